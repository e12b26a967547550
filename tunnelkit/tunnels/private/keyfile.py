# -*- test-case-name: tests.tunnels.private.test_spec -*-
"""
Key files: what C{keyFile=} of a tunnel or of a visit names.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from tunnelkit.wire.endkey import EndKey, parseEndKey

LONGEST_SEALED: Final = 200
"""The longest name of a tunnel that has a key, in bytes."""

ReadFile: TypeAlias = Callable[[str], str]
"""Gives the text of a file, by its name; its ValueError says what is wrong."""


def fileText(name: str) -> str:
    """
    Give the text of a file.

    @raise ValueError: it cannot be read.
    """
    try:
        return Path(name).read_text(encoding="utf-8", errors="replace")
    except OSError as e:
        raise ValueError(f"{name} cannot be read: {e.strerror}") from e


def endKey(name: str, tunnel: str, read: ReadFile) -> EndKey | None:
    """
    Read the key of a tunnel.

    @param name: the name of its file, or empty: it has none.
    @raise ValueError: it cannot be read, or is none, or does not go with such a name.
    """
    if not name:
        return None
    if len(tunnel.encode()) > LONGEST_SEALED:
        most = f"at most {LONGEST_SEALED} bytes"
        raise ValueError(f"with keyFile= the tunnel's name has {most}: shorten it")
    try:
        return parseEndKey(read(name).encode())
    except ValueError as e:
        raise ValueError(f"keyFile={name}: {e}") from None


def fileName(text: str | None) -> str:
    """
    Read the name of a file, which may be left out.
    """
    if text == "":
        raise ValueError("keyFile= is empty: name a file, or leave it out")
    return text or ""
