# -*- test-case-name: tests.dialects.mgrok.test_streams -*-
"""
Streams: how visitors of TCP get to a client of mgrok's, each by a stream of his own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from tunnelkit.carrier.contract import Opening
from tunnelkit.carrier.pool import NoWork
from tunnelkit.dialects.mgrok.line import Line
from tunnelkit.interfaces import IStreamEnd
from tunnelkit.relay.portable.muxed import MuxedEnd
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.mgrok.codec import encode
from tunnelkit.wire.mgrok.messages import NewStream
from tunnelkit.wire.smux.session import NoStream

PATIENCE: Final = 10.0
"""Seconds that a visitor waits for room in the connection."""
VOID: Final = 10.0
"""Seconds for which a visitor may go on whose client has closed his stream: a reset at
once could take the answer from him that came before."""


class StreamEnd(MuxedEnd):
    """
    A stream, as an end of a join.  There is no reset in smux: one that fails is closed
    as one that ends well.
    """

    def __init__(self, line: Line, peer: str, stream: int = 0) -> None:
        """
        @param stream: the number of one that the other side has opened; 0 to open one.
        @raise NoStream: there are too many.
        """
        super().__init__(peer, line.blocked)
        self._line = line
        self._patience: float | None = None
        self.stream = stream or line.open(self)

    def begin(self) -> int:
        """
        Give its number.
        """
        return self.stream

    def ended(self) -> None:
        """
        The other side has closed it, and takes nothing more, either.
        """
        super().ended()
        self._patience = self._line.clock.seconds() + VOID

    def write(self, data: bytes) -> None:
        """
        Send bytes.
        """
        until, receiver = self._patience, self._receiver
        if until is None or receiver is None or self._line.clock.seconds() < until:
            super().write(data)
        else:
            receiver.failed(ResetCode.PEER, "the other side takes no more")

    def _send(self, data: bytes) -> None:
        self._line.send(self.stream, data)

    def _close(self) -> None:
        self._line.finish(self.stream)

    def _fail(self, code: ResetCode, reason: str) -> None:
        self._line.finish(self.stream)

    def _passed(self, count: int) -> None:
        self._line.consumed(self.stream, count)

    def _held(self) -> None:
        self._line.waits(self.stream)


class Visitors:
    """
    The visitors of one client: there is a stream at once, unless the connection is
    full.
    """

    def __init__(
        self,
        line: Line,
        peer: str,
        clock: IReactorTime,
        named: Callable[[str], tuple[str, int]],
    ) -> None:
        """
        @param named: gives what the client calls a tunnel, and its public port.
        """
        self._line = line
        self._peer = peer
        self._clock = clock
        self._named = named
        self._waiting: dict[Deferred[None], None] = {}
        self._closed = False

    @property
    def counts(self) -> tuple[int, int, int]:
        """
        None is idle and busy ones are the tunnel's to count; so many visitors wait.
        """
        return 0, 0, len(self._waiting)

    def opening(self, tunnel: str, kind: str, port: int, compress: str) -> Opening:
        """
        Begin each stream with what it is for.
        """
        name, _ = self._named(tunnel)
        return lambda number, visitor, address: encode(NewStream(number, port, name))

    def takeNow(self) -> IStreamEnd | None:
        """
        Get a stream for a visitor, if the connection takes more.
        """
        if self._closed or self._waiting or self._line.blocked:
            return None
        try:
            return StreamEnd(self._line, self._peer)
        except NoStream:
            return None

    def take(self) -> Deferred[IStreamEnd]:
        """
        Get one when the connection takes more.
        """
        if self._closed:
            return fail(_gone())
        waiting: Deferred[None] = succeed(None)
        if self._line.blocked or self._waiting:
            waiting = Deferred()
            self._waiting[waiting] = None
            waiting.addTimeout(PATIENCE, self._clock, _late)
            waiting.addBoth(self._waited, waiting)
        return waiting.addCallback(self._opened)

    def fill(self) -> None:
        """
        Have nothing ready: a stream is there at once.
        """

    def sweep(self) -> None:
        """
        Have nothing to put in order.
        """

    def close(self) -> None:
        """
        Whoever waits has waited in vain.
        """
        self._closed = True
        for waiting in [*self._waiting]:
            waiting.errback(_gone())

    def writable(self) -> None:
        """
        The connection takes more.
        """
        for waiting in [*self._waiting]:
            if self._line.blocked or self._closed:
                return
            if waiting in self._waiting:
                waiting.callback(None)

    def _waited(self, result: Failure | None, waiting: Deferred[None]) -> object:
        del self._waiting[waiting]
        return result

    def _opened(self, result: None) -> IStreamEnd:
        try:
            return StreamEnd(self._line, self._peer)
        except NoStream as e:
            raise NoWork(ResetCode.BUSY, str(e)) from e


def _gone() -> NoWork:
    return NoWork(ResetCode.WITHDRAWN, "the client has gone")


def _late(result: Failure | None, seconds: float) -> None:
    if isinstance(result, Failure):
        raise NoWork(
            ResetCode.BUSY,
            f"the client took nothing for {seconds:.0f} seconds",
        )
