# -*- test-case-name: tests.wire.framings.redis.test_values -*-
"""
Values of RESP: where one ends, of RESP2 and RESP3, however it is cut and nested.

See U{https://redis.io/docs/latest/develop/reference/protocol-spec/}.  What that calls
streamed strings and aggregates no server sends; here they are errors.
"""

from __future__ import annotations

from typing import Final

from tunnelkit.wire.native.frames import WireError

LINE: Final = 64 * 1024
"""The longest line, in bytes with its end: a string without a length, an error, or a
request that is typed by hand."""
DEPTH: Final = 64
"""How deep values may be nested."""
END: Final = b"\r\n"

_SIMPLE: Final = b"+-:_#,("
_BULK: Final = b"$!="
_AGGREGATES: Final = {
    ord("*"): 1,
    ord("~"): 1,
    ord(">"): 1,
    ord("%"): 2,
    # An attribute is no value: that which it is about follows.
    ord("|"): 2,
}
_ATTRIBUTE: Final = ord("|")
_NUMBER: Final = 22
"""Bytes of a line that holds a length: its kind, some digits, its end."""
_ZERO: Final = ord("0")
_NULLS: Final = (b"$-1", b"*-1")
_MOST: Final = 2**53
"""What a length may be: values are passed on as they come, so it takes no memory."""


def told(line: bytes | bytearray, most: int) -> int:
    """
    Read the length in a line such as C{$12}.

    @raise WireError: it is none, or too much.
    """
    digits = line[1:]
    # What isdigit takes beside digits is not ASCII, and bytes know only that.
    # One that begins with 0 Redis takes for none, and ends the connection.
    if not digits.isdigit() or (digits[0] == _ZERO and len(digits) > 1):
        raise WireError(f"{bytes(line)!r} is no length")
    length = int(digits)
    if length > most:
        raise WireError(f"the length {length} is more than {most}")
    return length


class Walk:
    """
    A walk over one value after the other, each in as many steps as it takes.

    @ivar whole: whether the last step has come to the end of a value.
    """

    def __init__(self) -> None:
        self.whole = False
        self._open: list[int] = []
        self._body = 0
        self._ends = False

    def go(self, data: bytearray, at: int) -> int:
        """
        Walk on.

        @param at: where the last step came to, or where a value begins.
        @return: how far it comes with what is there, at most to the end of the value.
        @raise WireError: these bytes are no value.
        """
        self.whole = False
        while not self.whole:
            if self._body:
                step = min(self._body, len(data) - at)
                at += step
                self._body -= step
                if self._body:
                    return at
            if self._ends:
                if len(data) < at + 2:
                    return at
                if data[at : at + 2] != END:
                    raise WireError("a string is not as long as it says")
                at += 2
                self._ends = False
                self._closed()
                continue
            end = self._line(data, at)
            if not end:
                return at
            self._begin(data[at : end - 2])
            at = end
        return at

    def _line(self, data: bytearray, at: int) -> int:
        if at == len(data):
            return 0
        longest = LINE if data[at] in _SIMPLE else _NUMBER
        end = data.find(END, at, at + longest)
        if end >= 0:
            return end + 2
        if len(data) - at >= longest:
            raise WireError(f"a line has more than {longest} bytes")
        if not self._known(data[at]):
            raise WireError(f"{bytes(data[at : at + 1])!r} begins no value")
        return 0

    @staticmethod
    def _known(kind: int) -> bool:
        return kind in _SIMPLE or kind in _BULK or kind in _AGGREGATES

    def _begin(self, line: bytearray) -> None:
        kind = line[0] if line else 0
        if kind in _SIMPLE or bytes(line) in _NULLS:
            self._closed()
        elif kind in _BULK:
            self._body = told(line, _MOST)
            self._ends = True
        elif kind in _AGGREGATES:
            count = told(line, _MOST) * _AGGREGATES[kind] + (kind == _ATTRIBUTE)
            if count:
                if len(self._open) >= DEPTH:
                    raise WireError(f"values are nested more than {DEPTH} deep")
                self._open.append(count)
            else:
                self._closed()
        else:
            raise WireError(f"{bytes(line[:1])!r} begins no value")

    def _closed(self) -> None:
        opened = self._open
        while opened:
            opened[-1] -= 1
            if opened[-1]:
                return
            opened.pop()
        self.whole = True
