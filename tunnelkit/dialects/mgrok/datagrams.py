# -*- test-case-name: tests.dialects.mgrok.test_datagrams -*-
"""
Datagrams: what mgrok has for UDP, which is a stream for each datagram of a visitor's.
The answers to it come on the same stream.

The program never closes such a stream, and loses a socket with each.  Here it is closed
when nothing has come for a while, or when another needs its place.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IReactorTime

from tunnelkit.dialects.mgrok.line import Line
from tunnelkit.dialects.mgrok.recent import Recent
from tunnelkit.relay.flows.carrying import Waiting
from tunnelkit.relay.flows.ends import VisitorFlow
from tunnelkit.relay.flows.flow import Flow
from tunnelkit.relay.flows.tally import UNSENT
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.mgrok.codec import DatagramDecoder, encode, encodeDatagram
from tunnelkit.wire.mgrok.messages import NewStream
from tunnelkit.wire.native.datagrams import HEAD, LARGEST, flowOf
from tunnelkit.wire.smux.session import NoStream

MOST: Final = 512
"""Streams for datagrams of one client at most: a stock one has a socket for each, and
often room for 1024."""
IDLE: Final = 30.0
"""Seconds for which an answer, or another one, is waited for."""
FLOWS: Final = (1 << 32) - 1
"""Flows that a client can have in its time."""

_LENGTH: Final = 2
"""Bytes before each datagram, which say how long it is."""


class Carrying(Waiting, ABC):
    """
    Flows, and the streams of their datagrams, at either side.
    """

    def __init__(self, line: Line, clock: IReactorTime, most: int = MOST) -> None:
        """
        @param most: how many streams there may be.
        """
        super().__init__(clock)
        self.blocked = line.blocked
        self._line = line
        self._closed = False
        self._recent = Recent(clock, self._faded, most, IDLE)

    def close(self) -> None:
        """
        The connection is over.
        """
        self._closed = self.blocked = True
        self._recent.clear()

    def writable(self) -> None:
        """
        The connection takes more: send what waits.
        """
        self.blocked = self._closed
        while not self.blocked:
            entries = self._queue.take(1, self._clock.seconds())
            if not entries:
                break
            self.put(entries[0][1])

    def put(self, frame: bytes) -> None:
        """
        Send a datagram, or have it wait.
        """
        # Once it waits, it waits for its turn.
        self.blocked = self.blocked or self._line.blocked
        flow = self.flows.get(flowOf(frame))
        if self.blocked:
            super().put(frame)
        elif flow is not None:
            self._send(flow, frame[HEAD.size :])

    def finish(self, stream: int) -> None:
        """
        Close a stream.
        """
        self._recent.forget(stream)
        self._line.finish(stream)

    def taken(self, talk: Talk, payload: bytes) -> None:
        """
        A datagram came on a stream.
        """
        self._line.consumed(talk.stream, _LENGTH + len(payload))
        self._recent.use(talk.stream)
        self._deliver(talk, payload)

    def held(self, stream: int) -> None:
        """
        A part of a datagram waits for its rest.
        """
        self._line.waits(stream)

    def _say(self, stream: int, payload: bytes) -> None:
        self._recent.use(stream)
        for piece in encodeDatagram(payload):
            self._line.send(stream, piece)

    @abstractmethod
    def ended(self, stream: int) -> None:
        """
        A stream is over, by the other side or with the connection.
        """

    @abstractmethod
    def _faded(self, stream: int) -> None:
        """
        A stream was not used for a while, or another needs its place.
        """

    @abstractmethod
    def _send(self, flow: Flow, payload: bytes) -> None:
        """
        Send a datagram of a flow.
        """

    @abstractmethod
    def _deliver(self, talk: Talk, payload: bytes) -> None:
        """
        Pass on a datagram that came.
        """


class Talk:
    """
    What is said on one stream.
    """

    __slots__ = ("_carrying", "_decoder", "flow", "stream")

    def __init__(self, carrying: Carrying, flow: Flow | None, stream: int = 0) -> None:
        self.flow = flow
        self.stream = stream
        self._carrying = carrying
        self._decoder = DatagramDecoder()

    def received(self, data: bytes) -> None:
        """
        Bytes came.
        """
        for payload in self._decoder.feed(data):
            self._carrying.taken(self, payload)
        self._carrying.held(self.stream)

    def ended(self) -> None:
        """
        The other side has closed it.
        """
        self._carrying.ended(self.stream)

    def lost(self, code: ResetCode, reason: str) -> None:
        """
        It failed.
        """
        self._carrying.ended(self.stream)

    def block(self) -> None:
        """
        Do nothing: who sends looks before he does.
        """

    def unblock(self) -> None:
        """
        Do nothing, likewise.
        """


class Datagrams(Carrying):
    """
    The flows of one client, on the server: each datagram of theirs has a stream.

    @ivar strays: answers that nobody waited for.
    """

    def __init__(
        self,
        line: Line,
        clock: IReactorTime,
        named: Callable[[str], tuple[str, int]],
    ) -> None:
        """
        @param named: gives what the client calls a tunnel, and its public port.
        """
        super().__init__(line, clock)
        self.strays = 0
        self._named = named
        self._number = 0
        self._asked: dict[int, Flow] = {}

    # What a tunnel says.

    def enter(self, user: object) -> None:
        """
        Be ready: nothing is to be done for that.
        """

    def leave(self, user: object) -> None:
        """
        A tunnel is over, and its flows are: nobody waits for their answers.
        """
        for stream, flow in [*self._asked.items()]:
            if flow.id not in self.flows:
                self.ended(stream)

    def place(self, flow: VisitorFlow) -> bool:
        """
        Have a new flow live here.
        """
        if self._number >= FLOWS or self._closed:
            return False
        self._number += 1
        flow.id = self._number
        self.adopt(flow)
        return True

    def tell(self, message: object) -> None:
        """
        Do nothing: mgrok has no word for the end of a flow.
        """

    # What happens to streams.

    def ended(self, stream: int) -> None:
        """
        There will be no more answers on a stream.
        """
        self._asked.pop(stream, None)
        self.finish(stream)

    def _faded(self, stream: int) -> None:
        self.ended(stream)

    def _send(self, flow: Flow, payload: bytes) -> None:
        talk = Talk(self, flow)
        try:
            talk.stream = stream = self._line.open(talk)
        except NoStream:
            flow.tally.drop(UNSENT)
            return
        self._asked[stream] = flow
        name, port = self._named(flow.table.tunnel)
        self._line.send(stream, encode(NewStream(stream, port, name)))
        self._say(stream, payload)

    def _deliver(self, talk: Talk, payload: bytes) -> None:
        flow = talk.flow
        if flow is None or self.flows.get(flow.id) is not flow:
            self.strays += 1
        elif len(payload) > LARGEST:
            flow.tally.drop(UNSENT)
        else:
            flow.take([memoryview(payload)])
