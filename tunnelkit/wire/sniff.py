# -*- test-case-name: tests.wire.test_sniff -*-
"""
Sniffing: what a connection is, by its first bytes.

One port serves TLS and the native protocol.  Each is a row in a table, and another
protocol on the port is another row.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final, TypeAlias

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


_Row: TypeAlias = tuple[tuple[bytes, ...], Opening]
"""For each place the bytes that may stand there, and what it is if they all do."""


def _exactly(text: bytes) -> tuple[bytes, ...]:
    return tuple(text[at : at + 1] for at in range(len(text)))


_VERSION_DIGITS: Final = 5
_ROWS: Final[tuple[_Row, ...]] = (
    (_exactly(b"\x16\x03"), Opening.TLS),
    (_exactly(OPENING), Opening.NATIVE),
    *(
        ((*_exactly(b"TK/"), *[b"0123456789"] * digits, b"\n"), Opening.VERSION)
        for digits in range(1, _VERSION_DIGITS + 1)
    ),
)
"""Where the same bytes fit two rows, the first counts; what fits a row to its end must
not be the beginning of what fits another."""


def sniff(data: bytes) -> Opening | None:
    """
    Tell what a connection is, from all the bytes that came so far.  The answer is
    given as soon as no further byte can change it.

    @return: None where more bytes are needed; never more than 16 in all.
    """
    undecided = False
    for places, opening in _ROWS:
        if all(byte in place for byte, place in zip(data, places, strict=False)):
            if len(data) >= len(places):
                return opening
            undecided = True
    return None if undecided else Opening.UNKNOWN
