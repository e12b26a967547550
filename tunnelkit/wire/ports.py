# -*- test-case-name: tests.wire.test_ports -*-
"""
Sets of ports: which public ports clients may ask for.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from tunnelkit.wire.address import HIGHEST, parsePort

_Range: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class PortSet:
    """
    Ports of TCP or UDP, kept as ranges.  Two sets of the same ports are equal,
    however they were written.

    @ivar ranges: lowest and highest port of each range; from the constructor on in
        order, with gaps between them.
    """

    ranges: tuple[_Range, ...] = ()

    def __post_init__(self) -> None:
        for low, high in self.ranges:
            if not 1 <= low <= high <= HIGHEST:
                raise ValueError(f"{low}-{high} is not a range of ports")
        object.__setattr__(self, "ranges", tuple(_joined(self.ranges)))

    @classmethod
    def parse(cls, text: str) -> PortSet:
        """
        Read ports and ranges, such as C{10000-20000,9000}.

        @raise ValueError: the text names the piece that is neither.
        """
        return cls(tuple(map(_range, text.split(","))))

    def __contains__(self, port: int) -> bool:
        at = bisect_right(self.ranges, (port, HIGHEST))
        return at > 0 and port <= self.ranges[at - 1][1]

    def __len__(self) -> int:
        return sum(high - low + 1 for low, high in self.ranges)

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def __str__(self) -> str:
        return ",".join(
            str(low) if low == high else f"{low}-{high}" for low, high in self.ranges
        )

    def without(self, ports: Iterable[int]) -> PortSet:
        """
        Give the set that lacks C{ports}, which need not all be in this one.
        """
        return PortSet(tuple(_cut(self.ranges, sorted(set(ports)))))

    def within(self, low: int, high: int) -> PortSet:
        """
        Give those from C{low} to C{high}, both included.
        """
        clipped = ((max(low, one), min(high, other)) for one, other in self.ranges)
        return PortSet(tuple((one, other) for one, other in clipped if one <= other))

    def nth(self, index: int) -> int:
        """
        Give the port with C{index} smaller ones in the set: with a random index
        below C{len}, a random port.

        @raise IndexError: the set has no more than C{index} ports.
        """
        if index >= 0:
            for low, high in self.ranges:
                if index <= high - low:
                    return low + index
                index -= high - low + 1
        raise IndexError("no port of that index in the set")


def _range(piece: str) -> _Range:
    low, dash, high = piece.partition("-")
    try:
        lowest = parsePort(low.strip())
        highest = parsePort(high.strip()) if dash else lowest
    except ValueError:
        raise ValueError(
            f"{piece.strip()!r} is not a port or a range of ports: "
            f"write such as 9000 or 10000-20000, from 1 to {HIGHEST}"
        ) from None
    if lowest > highest:
        raise ValueError(
            f"{piece.strip()!r} ends before it begins: write {highest}-{lowest}"
        )
    return lowest, highest


def _joined(ranges: Iterable[_Range]) -> Iterator[_Range]:
    start, end = 0, -1
    for low, high in sorted(ranges):
        if low > end + 1:
            if start:
                yield start, end
            start = low
        end = max(end, high)
    if start:
        yield start, end


def _cut(ranges: Iterable[_Range], ports: list[int]) -> Iterator[_Range]:
    for low, high in ranges:
        start = low
        for port in ports[bisect_left(ports, low) : bisect_right(ports, high)]:
            if start < port:
                yield start, port - 1
            start = port + 1
        if start <= high:
            yield start, high
