# -*- test-case-name: tests.admin.test_figures -*-
"""
How numbers and strangers' words are shown to a person.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

_UNITS: Final = ("KiB", "MiB", "GiB", "TiB", "PiB")


def words(text: str, most: int = 120) -> str:
    """
    Give text that others chose as it can be shown: what does not print (a line's end,
    half a character, a mark that turns the text around) becomes U+FFFD, and what is
    long is cut.

    @param most: the longest text shown, in characters.
    """
    cut = text if len(text) <= most else text[: most - 1] + "…"
    if cut.isprintable():
        return cut
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in cut)


def number(count: int) -> str:
    """
    Group the digits of a count: 12 345 678.
    """
    return f"{count:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def size(count: int) -> str:
    """
    Show a count of bytes in the unit that fits: 1.4 GiB.
    """
    if count < 1024:
        return f"{count} B"
    shown = float(count)
    for unit in _UNITS:
        shown /= 1024
        # What would be rounded to 1024 of one unit is 1.0 of the next.
        if shown < 1023.95 or unit == _UNITS[-1]:
            break
    return f"{shown:.1f} {unit}"


def ratio(plain: int, packed: int) -> str:
    """
    Show how much smaller compression made something: 3.2 to 1.  Where nothing was
    compressed yet that is not known.
    """
    return f"{plain / packed:.1f} to 1" if packed else "\N{EN DASH}"


def milliseconds(seconds: float | None) -> str:
    """
    Show a time that something took, and a dash where it is not known.
    """
    return "\N{EN DASH}" if seconds is None else f"{seconds * 1000:.1f} ms"


def moment(seconds: float) -> str:
    """
    Show a moment, given in seconds since 1970: 2026-11-05 12:03 UTC.
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def machineMoment(seconds: float) -> str:
    """
    Write a moment, given in seconds since 1970, for a program: 2026-11-05T12:03:09Z.
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
