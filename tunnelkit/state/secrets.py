# -*- test-case-name: tests.commands.options.test_flags -*-
"""
Secrets: files that hold one, as options and endpoint descriptions name them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_LONGEST: Final = 4096
"""The longest file of a token, in characters."""


def readText(path: str, most: int) -> str:
    """
    Read a file.

    @param most: the most of it that is read, in characters.
    @raise ValueError: that cannot be; the text is for the user.
    """
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(most)
    except OSError as e:
        raise ValueError(f"{path} cannot be read: {e.strerror}") from e


def exposure(path: str | Path, what: str) -> str:
    """
    Warn of a file that everybody on this machine can read.

    @param what: what is in it.
    @return: a sentence; empty where only its owner and group can, or nobody knows.
    """
    if os.name == "posix" and os.stat(path).st_mode & 0o004:
        return (
            f"every user of this machine can read the {what} in {path}:"
            f" run chmod 600 {path}"
        )
    return ""


def readToken(path: str) -> str:
    """
    Read the text of a token.

    @raise ValueError: there is none; the text is for the user.
    """
    content = readText(path, _LONGEST)
    if not content.strip():
        raise ValueError(f"{path} is empty: it must hold a token")
    return content
