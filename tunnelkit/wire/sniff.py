# -*- test-case-name: tests.wire.test_sniff -*-
"""
Sniffing: what a connection is, by its first bytes.

One port serves TLS and the native protocol, and what else is switched on.  Each is a
row in a table.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto
from typing import Final, TypeAlias, TypeVar

OPENING: Final = b"TK/1\n"
"""What a client of the native protocol says first."""


class Opening(Enum):
    """
    What the first bytes are.
    """

    TLS = auto()
    """A TLS handshake."""
    NATIVE = auto()
    """The native protocol, in the version that is spoken here."""
    VERSION = auto()
    """The native protocol, in another version."""
    UNKNOWN = auto()
    """None of these."""


Places: TypeAlias = tuple[bytes, ...]
"""For each of the first places the bytes that may stand there; at most 16."""

T = TypeVar("T")

ANY: Final = bytes(range(256))
"""For a place where anything may stand."""


def exactly(text: bytes) -> Places:
    """
    Give the places of these bytes and no others.
    """
    return tuple(text[at : at + 1] for at in range(len(text)))


_VERSION_DIGITS: Final = 5
_ROWS: Final[tuple[tuple[Places, Opening], ...]] = (
    (exactly(b"\x16\x03"), Opening.TLS),
    (exactly(OPENING), Opening.NATIVE),
    *(
        ((*exactly(b"TK/"), *[b"0123456789"] * digits, b"\n"), Opening.VERSION)
        for digits in range(1, _VERSION_DIGITS + 1)
    ),
)
"""Where the same bytes fit two rows, the first counts; what fits a row to its end must
not be the beginning of what fits another."""


def sniff(data: bytes, others: Iterable[tuple[Places, T]] = ()) -> Opening | T | None:
    """
    Tell what a connection is, from all the bytes that came so far.  The answer is
    given as soon as no further byte can change it.

    @param others: what it may be besides, and what is given then.
    @return: None where more bytes are needed; never more than 16 in all.
    """
    undecided = False
    rows: list[tuple[Places, Opening | T]] = [*_ROWS, *others]
    for places, opening in rows:
        if all(byte in place for byte, place in zip(data, places, strict=False)):
            if len(data) >= len(places):
                return opening
            undecided = True
    return None if undecided else Opening.UNKNOWN
