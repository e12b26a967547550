# -*- test-case-name: tests.wire.framings.test_lengths -*-
"""
Lengths: a request begins with its length, in a header that is always equally long, and
so does its reply.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from tunnelkit.wire.framings.given import number, only, truth
from tunnelkit.wire.framings.whole import Cut, Whole
from tunnelkit.wire.native.frames import WireError

Order: TypeAlias = Literal["big", "little"]

LONGEST: Final = 64 * 1024
"""The longest frame, in bytes with its header, where it is not told."""
MOST: Final = 16 * 1024 * 1024
"""What that may be at most."""
DIGITS: Final = 4
"""Of a length in mpu."""
_SIZES: Final = 8
_ORDERS: Final[dict[str, Order]] = {"big": "big", "little": "little"}


def prefixed(
    size: int,
    order: Order = "big",
    offset: int = 0,
    itself: bool = False,
    longest: int = LONGEST,
) -> Cut:
    """
    Make what cuts frames with a binary length.

    @param size: bytes of the length.
    @param order: the order of those.
    @param offset: bytes before it, which it does not count unless C{itself}.
    @param itself: whether it counts all of the frame, and not what stands behind it.
    @param longest: bytes that a frame may have, in all.
    """
    header = offset + size

    def cut(data: bytearray) -> int:
        if len(data) < header:
            return 0
        told = int.from_bytes(data[offset:header], order)
        length = told if itself else told + header
        if length < header:
            raise WireError(f"the length {told} is less than that of its header")
        if length > longest:
            raise WireError(f"a frame of {length} bytes, and {longest} is the most")
        return length if len(data) >= length else 0

    return cut


def digits(data: bytearray) -> int:
    """
    Cut mpu: four ASCII digits and nothing else, which do not count themselves.
    """
    header = bytes(data[:DIGITS])
    if header and not header.isdigit():
        raise WireError(f"the length {header!r} is not {DIGITS} digits")
    if len(header) < DIGITS:
        return 0
    length = DIGITS + int(header)
    return length if len(data) >= length else 0


def makeLength(arguments: list[str], options: dict[str, str]) -> Whole:
    """
    Make C{length:SIZE[:big|little][:offset=N][:counts=all][:longest=N][:repeat=yes]}.

    @raise ValueError: that cannot be.
    """
    only(arguments, 2, options, ("offset", "counts", "longest", "repeat"))
    if not arguments:
        raise ValueError("the size of the length is missing: write length:2:big")
    size = number("size", arguments[0], 0, 1, _SIZES)
    order = _ORDERS.get(arguments[1] if len(arguments) > 1 else "big")
    if order is None:
        raise ValueError(f"{arguments[1]!r} is neither big nor little")
    counts = options.get("counts", "body")
    if counts not in ("body", "all"):
        raise ValueError(f"counts={counts}: give body or all")
    offset = number("offset", options.get("offset"), 0, 0, 1024)
    longest = number("longest", options.get("longest"), LONGEST, 1, MOST)
    if "longest" not in options and size <= 2:
        # Whatever such a length says is short enough.
        longest = LONGEST + offset + size
    cut = prefixed(size, order, offset, counts == "all", longest)
    return Whole(cut, truth("repeat", options.get("repeat"), False))


def makeISO8583(arguments: list[str], options: dict[str, str]) -> Whole:
    """
    Make C{iso8583}: a length of two bytes, the high one first.  Nothing is sent twice.

    @raise ValueError: it is given anything.
    """
    only(arguments, 0, options, ())
    return makeLength(["2", "big"], {})


def makeMPU(arguments: list[str], options: dict[str, str]) -> Whole:
    """
    Make C{mpu}: a length of four digits.  Nothing is sent twice.

    @raise ValueError: it is given anything.
    """
    only(arguments, 0, options, ())
    return Whole(digits, repeatable=False)
