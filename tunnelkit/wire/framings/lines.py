# -*- test-case-name: tests.wire.framings.test_lines -*-
"""
Lines: a request is a line, and so is its reply.
"""

from __future__ import annotations

from typing import Final

from tunnelkit.wire.framings.given import number, octets, only, truth
from tunnelkit.wire.framings.whole import Cut, Whole
from tunnelkit.wire.native.frames import WireError

LONGEST: Final = 64 * 1024
"""The longest line, in bytes, with its end."""
_MOST: Final = 16 * 1024 * 1024


def line(delimiter: bytes, longest: int) -> Cut:
    """
    Make what cuts lines.

    @param delimiter: with what a line ends.
    @param longest: bytes that a line may have, with its end.
    """

    def cut(data: bytearray) -> int:
        length = data.find(delimiter, 0, longest) + len(delimiter)
        if length >= len(delimiter):
            return length
        if len(data) >= longest:
            raise WireError(f"a line has more than {longest} bytes")
        return 0

    return cut


def makeEcho(arguments: list[str], options: dict[str, str]) -> Whole:
    """
    Make C{echo}: lines that end in LF, and may be asked twice.

    @raise ValueError: it is given anything.
    """
    only(arguments, 0, options, ())
    return Whole(line(b"\n", LONGEST), repeatable=True)


def makeLine(arguments: list[str], options: dict[str, str]) -> Whole:
    """
    Make C{line[:delimiter=D][:longest=N][:repeat=yes]}.

    @raise ValueError: that cannot be.
    """
    only(arguments, 0, options, ("delimiter", "longest", "repeat"))
    delimiter = octets("delimiter", options.get("delimiter"), b"\n")
    longest = number("longest", options.get("longest"), LONGEST, 1, _MOST)
    return Whole(
        line(delimiter, max(longest, len(delimiter))),
        repeatable=truth("repeat", options.get("repeat"), False),
    )
