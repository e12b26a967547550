# -*- test-case-name: tests.wire.framings.redis.test_answering -*-
"""
What redis says: values of RESP2, and, to who has a connection for himself and asked for
it, of RESP3.

Where a value ends is known by counting: each line or string completes one, and an
aggregate of so many puts that many in its place, however deep they are.
"""

from __future__ import annotations

from typing import Final

from tunnelkit.wire.framings.contract import Answered, Pushed, Reply, Request
from tunnelkit.wire.framings.redis.asking import numberOf
from tunnelkit.wire.native.frames import WireError

COLLECTED: Final = 64 * 1024
"""Bytes of a value that are collected before the client gets any of them."""
LINE: Final = 64 * 1024
"""The longest line, in bytes."""

_END: Final = b"\r\n"
_PUSH: Final = ord(">")
_LINES: Final = frozenset(b"+-:,#_(")
_STRINGS: Final = frozenset(b"$=!")
_AGGREGATES: Final = {
    ord("*"): 1,
    ord("~"): 1,
    ord(">"): 1,
    ord("%"): 2,
    ord("|"): 2,
}
"""How many values stand behind an aggregate, for each that it tells."""
_ATTRIBUTE: Final = ord("|")


class RedisReplies:
    """
    The decoder of a connection to redis.
    """

    def __init__(self, sticky: bool) -> None:
        """
        @param sticky: whether it is one client's own, who hears what was not asked for.
        """
        self._sticky = sticky
        self._buffer = bytearray()
        self._at = 0  # how far it was read
        self._skip = 0  # bytes of a string that are still to come
        self._left = 0  # values that are still to come of the one under way
        self._pushed = False
        self._passed = False  # whether the client has a part of it
        self._due = 0

    @property
    def begun(self) -> bool:
        """
        Whether any byte has come of the reply that is due.
        """
        return self._passed or bool(self._buffer)

    def send(self, request: Request) -> bytes:
        """
        Expect a value.
        """
        self._due += not request.silent
        return request.data

    def feed(self, data: bytes) -> None:
        """
        Take bytes.
        """
        self._buffer += data

    def ended(self) -> None:
        """
        No reply ends with its connection.
        """

    def next(self) -> Answered | None:
        """
        Give the next value, or what there is of a long one.

        @raise WireError: it is none, or none is due.
        """
        if not self._left and self._buffer:
            self._begin()
        whole = bool(self._left) and self._whole()
        if not whole and self._at < COLLECTED:
            return None
        data = bytes(self._buffer[: self._at])
        del self._buffer[: self._at]
        self._at = 0
        self._passed = not whole
        if self._pushed:
            return Pushed(data)
        self._due -= whole
        return Reply(data=data, last=whole)

    def _begin(self) -> None:
        unasked = self._buffer[0] == _PUSH
        self._pushed = self._sticky and (unasked or not self._due)
        if not self._pushed and (unasked or not self._due):
            raise WireError(f"it sent {len(self._buffer)} bytes that nobody asked for")
        self._left = 1

    def _whole(self) -> bool:
        """
        Read on; tell whether the value is all there.
        """
        while self._left:
            if self._skip:
                step = min(self._skip, len(self._buffer) - self._at)
                self._at += step
                self._skip -= step
                if self._skip:
                    return False
                self._left -= 1
            elif not self._item():
                return False
        return True

    def _item(self) -> bool:
        """
        Read the line with which each value begins, if it is all there.
        """
        end = self._buffer.find(_END, self._at, self._at + LINE)
        if end < 0:
            if len(self._buffer) - self._at >= LINE:
                raise WireError(f"it sent a line of more than {LINE} bytes")
            return False
        kind = self._buffer[self._at] if end > self._at else 0
        text = bytes(self._buffer[self._at + 1 : end])
        self._at = end + len(_END)
        if kind in _LINES:
            self._left -= 1
        elif kind in _STRINGS:
            self._string(numberOf(text))
        elif kind in _AGGREGATES:
            count = max(0, numberOf(text)) * _AGGREGATES[kind]
            # An attribute stands before a value, and is none.
            self._left += count - (kind != _ATTRIBUTE)
        else:
            raise WireError(f"it sent what is no value: {chr(kind)!r}")
        return True

    def _string(self, size: int) -> None:
        if size < 0:
            self._left -= 1
        else:
            self._skip = size + len(_END)
