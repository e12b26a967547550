# -*- test-case-name: tests.wire.framings.http1.test_refusals -*-
"""
Bodies: where they end, and what of their bytes is passed on (RFC 9112 sections 6, 7).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, Protocol

from tunnelkit.wire.framings.http1.answers import Malformed
from tunnelkit.wire.framings.http1.fields import TOKEN, trailersOf
from tunnelkit.wire.framings.http1.limits import Limits
from tunnelkit.wire.framings.http1.lines import Lines, Source
from tunnelkit.wire.framings.http1.parsing import Reading

_EXTENSION: Final = (
    rb";" + TOKEN + rb"(?:=(?:" + TOKEN + rb'|"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e]'
    rb'|\\[\t\x20-\x7e])*"))?'
)
_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})((?:" + _EXTENSION + rb")*)")


class Body(Protocol):
    """
    The body of a message, while it comes.

    @ivar done: whether it is all there.
    """

    @property
    def done(self) -> bool: ...

    def take(self, source: Source) -> bytes:
        """
        Take what is there of it.

        @return: what is passed on.
        @raise Malformed: it is no body.
        """


class Counted:
    """
    A body of a length that is known; none at all has the length 0.
    """

    def __init__(self, length: int) -> None:
        """
        @param length: in bytes.
        """
        self._left = length

    @property
    def done(self) -> bool:
        """
        Whether it is all there.
        """
        return not self._left

    def take(self, source: Source) -> bytes:
        """
        Take what is there of it.
        """
        data = source.take(self._left)
        self._left -= len(data)
        return data


class Endless:
    """
    A body that ends with its connection.
    """

    done = False

    def take(self, source: Source) -> bytes:
        """
        Take what is there.
        """
        return source.take()


class Chunked:
    """
    A body in chunks.  They are passed on as they are, without their extensions, which
    are between neighbours; the last one and the trailers when all of them are there.
    """

    def __init__(self, reading: Reading, limits: Limits, plain: bool = False) -> None:
        """
        @param reading: what has read the head.
        @param plain: whether nothing is passed on but what the chunks contain.
        """
        self.done = False
        self._reading = reading
        self._room = limits.extensions
        self._plain = plain
        self._left = 0
        self._step: Callable[[Source], bytes | None] = self._size
        self._excess = (431, "the trailers are too long, or too many")
        self._limits = limits
        self._trailers: Lines | None = None

    def take(self, source: Source) -> bytes:
        """
        Take what is there of it.

        @raise Malformed: these are no chunks.
        """
        pieces = []
        while not self.done and (piece := self._step(source)) is not None:
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _pass(self, data: bytes, framing: bool) -> bytes:
        self._reading.read(data)
        if self._reading.ended is not self.done:
            raise Malformed(400, "its chunks can be read in two ways")
        return b"" if framing and self._plain else data

    def _size(self, source: Source) -> bytes | None:
        line = source.line(self._room + 17, (400, "chunk extensions are too long"))
        if line is None:
            return None
        found = _SIZE.fullmatch(line)
        if found is None:
            raise Malformed(400, "the size of a chunk is no number, or too large a one")
        digits, extensions = found.groups()
        self._room -= len(extensions)
        self._left = int(digits, 16)
        if self._left:
            self._step = self._content
            return self._pass(digits + b"\r\n", True)
        limits = self._limits
        self._trailers = Lines(source, limits.trailers, limits.fields, self._excess)
        self._step = self._end
        return b""

    def _content(self, source: Source) -> bytes | None:
        if not (data := source.take(self._left)):
            return None
        self._left -= len(data)
        if not self._left:
            self._step = self._close
        return self._pass(data, False)

    def _close(self, source: Source) -> bytes | None:
        excess = (400, "a chunk does not end where its size says")
        if source.first() not in (b"", b"\r"):
            raise Malformed(*excess)
        if source.line(2, excess) is None:
            return None
        self._step = self._size
        return self._pass(b"\r\n", True)

    def _end(self, source: Source) -> bytes | None:
        assert self._trailers is not None
        if (lines := self._trailers.read()) is None:
            return None
        trailers = trailersOf(lines)
        self.done = True
        data = b"0\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"
        data = self._pass(data, True)
        self._reading.check(trailers)
        return data
