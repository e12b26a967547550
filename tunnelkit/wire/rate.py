# -*- test-case-name: tests.wire.test_rate -*-
"""
Rates: how fast bytes may go, as people write it: C{10MB/s}.
"""

from __future__ import annotations

import re
from typing import Final

_UNITS: Final = {
    "B": 1,
    "kB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
}
_BY_LETTERS: Final = {unit.lower(): size for unit, size in _UNITS.items()}
_SIZE: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?([a-z]+)", re.ASCII | re.I)

LEAST: Final = 1000
"""The lowest rate, in bytes a second: with less a tunnel is of no use to anybody."""


def parseSize(text: str) -> int:
    """
    Read a number of bytes, such as C{64KiB} or C{1.5MB}; capitals do not matter.

    @raise ValueError: it is none; the text says what would be.
    """
    match = _SIZE.fullmatch(text.strip())
    unit = _BY_LETTERS.get(match[2].lower()) if match else None
    if match is None or unit is None:
        raise ValueError(
            f"{text!r} is not a number of bytes: write such as 64KiB or 1.5MB, with one"
            f" of {', '.join(_UNITS)}"
        )
    return round(float(match[1]) * unit)


def parseRate(text: str) -> int:
    """
    Read bytes a second, such as C{10MB/s}.

    @raise ValueError: it is no rate, or a very low one; the text says what would do.
    """
    size, slash, second = text.partition("/")
    if slash and second.strip() != "s":
        raise ValueError(f"{text!r} is not a rate: write such as 10MB/s")
    rate = parseSize(size)
    if rate < LEAST:
        raise ValueError(f"{text!r} is too little: the least is {LEAST} bytes a second")
    return rate
