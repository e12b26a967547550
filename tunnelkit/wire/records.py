# -*- test-case-name: tests.wire.test_records -*-
"""
Records: where those of TLS end in a stream of bytes, which takes no key (RFC 8446,
section 5.1: type u8, version u16, length u16, and so many bytes).

To ask OpenSSL for a record that is not whole yet costs an exception.
"""

from __future__ import annotations

from typing import Final

HEADER: Final = 5
"""The length of a record's header, in bytes."""
LONGEST: Final = 16384 + 256
"""The most that a record has behind that.  One that announces more is taken to end with
its header, so that it is refused and not waited for."""


class Records:
    """
    Follows a stream of records, wherever it was cut.
    """

    __slots__ = ("_head", "_lack")

    def __init__(self) -> None:
        self._head = b""  # of a record whose header is not whole
        self._lack = 0  # bytes lacking to a record whose header was

    def whole(self, data: bytes | bytearray | memoryview, stop: int) -> bool:
        """
        Say whether bytes are one record, whole, as most that are received are.

        @param stop: how many there are.
        """
        return (
            stop >= HEADER
            and HEADER + (data[3] << 8 | data[4]) == stop
            and not self._lack
            and not self._head
        )

    def end(self, data: bytes | bytearray | memoryview, at: int, stop: int) -> int:
        """
        Say where the record ends to which the next byte belongs.

        @param at: where in C{data} that is.
        @param stop: where the bytes end that are there.
        @return: where the next record begins; -1 where this one is not whole: then
            what is there counts as its beginning, and the next bytes follow that.
        """
        lack = self._lack or self._length(data, at, stop)
        if not 0 < lack <= stop - at:
            self._lack = max(0, lack - (stop - at))
            return -1
        self._lack = 0
        return at + lack

    def follow(self, data: bytes | bytearray | memoryview, stop: int) -> None:
        """
        Take note of bytes, whatever records are in them.

        @param stop: how many of them.
        """
        at = 0
        while at >= 0:
            at = self.end(data, at, stop)

    def _length(self, data: bytes | bytearray | memoryview, at: int, stop: int) -> int:
        """
        Give how many bytes there are from here to the end of a record, of which the
        header begins here or has begun before; 0 where that is not whole.
        """
        head = self._head
        if len(head) + stop - at < HEADER:
            self._head = head + bytes(data[at:stop])
            return 0
        self._head = b""
        whole = head + bytes(data[at : at + HEADER - len(head)])
        length = whole[3] << 8 | whole[4]
        return HEADER - len(head) + (length if length <= LONGEST else 0)
