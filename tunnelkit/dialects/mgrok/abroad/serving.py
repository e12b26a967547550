# -*- test-case-name: tests.dialects.mgrok.abroad.test_client -*-
"""
Serving: the streams that a server of mgrok's opens at a client of ours, for a visitor
or for a datagram.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tunnelkit.control.names import legible
from tunnelkit.dialects.mgrok.contract import Quiet
from tunnelkit.dialects.mgrok.datagrams import Carrying, Talk
from tunnelkit.dialects.mgrok.line import Line
from tunnelkit.dialects.mgrok.recent import Recent
from tunnelkit.dialects.mgrok.streams import StreamEnd
from tunnelkit.interfaces import ICarrier
from tunnelkit.relay.flows.flow import Flow
from tunnelkit.tunnels.bursts import Bursts
from tunnelkit.tunnels.local import LocalTCP
from tunnelkit.tunnels.localudp import LocalUDP
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.mgrok.codec import HeadDecoder
from tunnelkit.wire.mgrok.messages import NewStream
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.native.messages import Flow as Announced
from tunnelkit.wire.native.messages import FlowEnd, Start

HEADS: Final = 1024
"""Streams of which it is not known yet what they are for, at most."""
PATIENCE: Final = 10.0
"""Seconds that a stream has to say that."""
ASKED: Final = 1024
"""Streams of datagrams at most, each with a socket."""


class Serving:
    """
    Gives each stream to the local service that it is for, and to no other: where the
    program takes any service for a tunnel that it does not know, here it is closed.
    """

    _log = Logger()

    def __init__(
        self,
        line: Line,
        clock: IReactorTime,
        server: str,
        locals: Mapping[str, LocalTCP | LocalUDP],
    ) -> None:
        """
        @param server: where the server is, for people.
        @param locals: the services, by the names of their tunnels.
        """
        self.resting = False
        self._line = line
        self._server = server
        self._locals = locals
        self._heads = Recent(clock, self._late, HEADS, PATIENCE)
        self._answers = Answers(line, clock)
        self._bursts = Bursts(self._say, clock)

    def opened(self, stream: int) -> Head:
        """
        The server has opened a stream.
        """
        self._heads.use(stream)
        return Head(self, stream)

    def close(self) -> None:
        """
        The connection is over.
        """
        self._heads.clear()
        self._answers.close()
        self._bursts.stop()

    def writable(self) -> None:
        """
        The connection takes more.
        """
        self._answers.writable()

    # What a stream says.

    def headed(self, stream: int, head: NewStream, rest: bytes) -> None:
        """
        It is known what it is for.
        """
        self._heads.forget(stream)
        local = self._locals.get(head.name)
        if local is None or self.resting:
            name = legible(head.name, 40)
            reason = f"this client does not publish {name!r}"
            self.refuse(stream, "the client is stopping" if self.resting else reason)
        elif isinstance(local, LocalTCP):
            end = ServedEnd(self._line, self._server, stream)
            self._line.streams[stream] = end
            start = Start(stream, local.spec.name, local.spec.kind, "", "")
            local.started(end, start)
            if rest:
                end.received(rest)
        else:
            self._answers.begin(stream, local, rest)

    def refuse(self, stream: int, reason: str) -> None:
        """
        Close a stream that is for nobody.
        """
        self._heads.forget(stream)
        self._bursts.note(f"{self._server}: {reason}")
        self._line.finish(stream)

    def forget(self, stream: int) -> None:
        """
        A stream has ended before that is known.
        """
        self._heads.forget(stream)
        self._line.finish(stream)

    def consumed(self, stream: int, count: int) -> None:
        """
        So many bytes of a stream have been read.
        """
        self._line.consumed(stream, count)

    def _late(self, stream: int) -> None:
        self.refuse(stream, "a stream does not say what it is for")

    def _say(self, sentence: str) -> None:
        self._log.warn("a stream is closed: {sentence}", sentence=sentence)


class Head(Quiet):
    """
    A stream, until it is known what it is for.
    """

    def __init__(self, serving: Serving, stream: int) -> None:
        self._serving = serving
        self._stream = stream
        self._decoder = HeadDecoder()

    def received(self, data: bytes) -> None:
        """
        Bytes came.
        """
        try:
            head = self._decoder.feed(data)
        except WireError as e:
            self._serving.refuse(self._stream, str(e))
            return
        rest = b"" if head is None else self._decoder.rest()
        self._serving.consumed(self._stream, len(data) - len(rest))
        if head is not None:
            self._serving.headed(self._stream, head, rest)

    def ended(self) -> None:
        """
        The server has closed it.
        """
        self._serving.forget(self._stream)

    def lost(self, code: ResetCode, reason: str) -> None:
        """
        It failed.
        """
        self._serving.forget(self._stream)


class ServedEnd(StreamEnd):
    """
    A visitor's stream at the client's side.  Of the service's end nothing can be said
    but the end of both; and where the visitor has gone, what the service says is for
    nobody.
    """

    def __init__(self, line: Line, peer: str, stream: int) -> None:
        super().__init__(line, peer, stream)
        self._finishing = False

    def write(self, data: bytes) -> None:
        """
        Send what the service says.
        """
        if self._ended and not self._finishing and self._receiver is not None:
            self._receiver.failed(ResetCode.PEER, "the visitor takes no more")
        else:
            super().write(data)

    def finish(self) -> bool:
        """
        The service has ended: close the stream, behind what the visitor has said.
        """
        self._finishing = True
        self._finish()
        return True

    def resumeReading(self) -> None:
        """
        Take bytes.
        """
        super().resumeReading()
        if self._finishing:
            self._finish()

    def _finish(self) -> None:
        if not self._early and not self._over:
            self._close()
            if not self._ended:
                self._reading = True
                self.ended()


class Answers(Carrying):
    """
    The sockets of a client's UDP services, each with a stream of its own.
    """

    def __init__(self, line: Line, clock: IReactorTime) -> None:
        super().__init__(line, clock, ASKED)

    def begin(self, stream: int, local: LocalUDP, rest: bytes) -> None:
        """
        A datagram is to come.
        """
        self._recent.use(stream)
        announced = Announced(stream, local.spec.name, "", "")
        # What flows need of a carrier it has.
        local.land(announced, cast(ICarrier, self))
        flow = self.flows.get(stream)
        if flow is None:
            self.finish(stream)
            return
        talk = Talk(self, flow, stream)
        self._line.streams[stream] = talk
        if rest:
            talk.received(rest)

    def tell(self, message: object) -> None:
        """
        A flow is over, and its stream.
        """
        if isinstance(message, FlowEnd):
            self.finish(message.id)

    def ended(self, stream: int) -> None:
        """
        The server has closed a stream, or the connection is gone.
        """
        flow = self.flows.get(stream)
        self.finish(stream)
        if flow is not None:
            flow.table.end(flow, "the server has closed its stream", known=True)

    def _faded(self, stream: int) -> None:
        self.ended(stream)

    def _send(self, flow: Flow, payload: bytes) -> None:
        self._say(flow.id, payload)

    def _deliver(self, talk: Talk, payload: bytes) -> None:
        if talk.flow is not None and self.flows.get(talk.stream) is talk.flow:
            talk.flow.take([memoryview(payload)])
