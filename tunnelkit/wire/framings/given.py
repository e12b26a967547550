# -*- test-case-name: tests.wire.framings.test_lines -*-
"""
What a framing is given behind its name: C{NAME:ARGUMENT:...:OPTION=VALUE}.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

WORDS: Final = {"yes": True, "no": False}


def number(name: str, text: str | None, usual: int, least: int, most: int) -> int:
    """
    Read a number.

    @param text: as it was given; C{None} where it was not.
    @raise ValueError: it is none from C{least} to C{most}; the text is for the user.
    """
    if text is None:
        return usual
    if not (text.isascii() and text.isdecimal() and least <= int(text) <= most):
        raise ValueError(f"{name}={text}: give a number from {least} to {most}")
    return int(text)


def truth(name: str, text: str | None, usual: bool) -> bool:
    """
    Read C{yes} or C{no}.

    @raise ValueError: it is neither.
    """
    if text is None:
        return usual
    if text not in WORDS:
        raise ValueError(f"{name}={text}: give yes or no")
    return WORDS[text]


def octets(name: str, text: str | None, usual: bytes) -> bytes:
    r"""
    Read bytes: text as it stands, and C{\n}, C{\r}, C{\t}, C{\xHH} as in Python.  In a
    description each C{\} is written twice.

    @raise ValueError: it is none, or empty.
    """
    if text is None:
        return usual
    try:
        found = text.encode().decode("unicode_escape").encode("latin-1")
    except (UnicodeDecodeError, UnicodeEncodeError):
        found = b""
    if not found:
        raise ValueError(rf"{name}={text}: give characters, or \r, \n, \t, \xHH")
    return found


def only(
    arguments: list[str], most: int, options: Mapping[str, str], known: Iterable[str]
) -> None:
    """
    Refuse what is not known.

    @param most: how many arguments there may be.
    @raise ValueError: there are more, or there is an option of another name.
    """
    if len(arguments) > most:
        raise ValueError(f"{arguments[most]!r} is one argument too many")
    names = [*known]
    for name in options:
        if name not in names:
            hint = f"there are {', '.join(names)}" if names else "it has none"
            raise ValueError(f"there is no option {name!r}: {hint}")
