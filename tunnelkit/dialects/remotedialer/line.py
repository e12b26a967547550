# -*- test-case-name: tests.dialects.remotedialer.test_line -*-
"""
Line: one WebSocket of remotedialer's, and the connections that cross it.

It does not matter which side opened the WebSocket: either can dial through the other,
where that one lets it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelkit.control.heartbeat import Heartbeat
from tunnelkit.control.names import legible
from tunnelkit.dialects.remotedialer.ends import LineEnd, weigh
from tunnelkit.relay.connection import Gauge, Holder, giveUpAfter
from tunnelkit.relay.portable.turns import Turns
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.remotedialer.codec import MessageDecoder, encode
from tunnelkit.wire.remotedialer.login import shown
from tunnelkit.wire.remotedialer.messages import (
    END,
    NOT_ALLOWED,
    PING,
    SILENCE,
    SYNC,
    AddClient,
    Connect,
    Data,
    Error,
    Message,
    Pause,
    RemoveClient,
    Resume,
    Sync,
    Unknown,
    notFound,
    route,
)
from tunnelkit.wire.remotedialer.websocket import (
    NORMAL,
    Closed,
    Event,
    Piece,
    Pong,
    WebSocket,
    codeFor,
)

MOST: Final = 4096
"""Connections on one line at most."""
SURPLUS: Final = 4 << 20
"""How many bytes may be said to who reads nothing, beyond what a transport holds."""
CLOSING: Final = 5.0
"""Seconds that a close may take before it becomes a reset."""
OURS: Final = 1 << 32
"""From where this side counts its connections where it opened the WebSocket: the
program counts from 1 on both sides, and its numbers meet."""
_PINGS: Final = 16
"""Pings whose answer counts."""

Answer: TypeAlias = Callable[[LineEnd, Connect], None]
"""Takes a connection that the other side dials."""
Announced: TypeAlias = Callable[[AddClient | RemoveClient], None]
"""Hears of a client that the other side has, or has no more."""


class Line(Holder):
    """
    One WebSocket, from when it is open.

    @ivar clock: tells the time.
    @ivar key: what the client is dialled by; on the side that opened the WebSocket it
        is C{client}, as the program has it.
    @ivar session: the number of this session, by which a peer knows it.
    @ivar heartbeat: asks whether the other side lives, once the WebSocket is open.
    @ivar full: whether the socket takes no more for now.
    @ivar over: whether it has ended.
    @ivar ends: the connections, by number.
    @ivar waiting: bytes that came and cannot go on yet.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        key: str,
        session: int,
        number: int,
        answer: Answer | None = None,
        announced: Announced | None = None,
        opener: bool = False,
    ) -> None:
        """
        @param number: of its first message: any will do.
        @param answer: takes what the other side dials; None where it may not.
        @param opener: whether this side opened the WebSocket.
        """
        self.key = key
        self.session = session
        self.full = False
        self.over = False
        self.waiting = 0
        self.ends: dict[int, LineEnd] = {}
        self.heartbeat = Heartbeat(clock, self.ping, self._silent, PING, SILENCE)
        self._ended: list[Callable[[str], None]] = []
        self.clock = clock
        self._number = number
        self._answer = answer
        self._announced = announced
        self._opener = opener
        self._last = OURS if opener else 1
        self._decoder = MessageDecoder()
        self._surplus = 0
        self._pings: deque[int] = deque(maxlen=_PINGS)
        self._closing: IDelayedCall | None = None
        self._syncs = LoopingCall(self._sync)
        self._syncs.clock = clock
        self._socket: WebSocket | None = None
        self._early: list[bytes] = []  # said before there was a WebSocket
        self._turns = Turns(clock, lambda: self.ends.values(), weigh)

    @property
    def who(self) -> str:
        """
        The client, as the log may show it.
        """
        return self.key if self._opener else shown(self.key)

    def onEnd(self, ended: Callable[[str], None]) -> None:
        """
        Have somebody told, once, that it has ended, and why.
        """
        self._ended.append(ended)

    def begin(self, socket: WebSocket) -> None:
        """
        The WebSocket is open.
        """
        self._socket = socket
        early, self._early = self._early, []
        for said in early:
            socket.send(said)
        self.live()

    def live(self) -> None:
        """
        Begin to ask whether the other side lives, and to feel how much it takes.
        """
        transport = self.connection.transport
        transport.registerProducer(Gauge(self._fill, self._drain), True)
        giveUpAfter(transport, SILENCE)
        self.heartbeat.start()
        if self._opener:
            self._syncs.start(SYNC, now=False)

    # What this side does.

    def dial(self, network: str, address: str) -> LineEnd:
        """
        Have the other side dial.  It says nothing when it has, only when it has not.

        @raise ValueError: the address is longer than the other side reads.
        @raise ConnectionError: there are too many, or the line has ended, or the other
            side has not opened the WebSocket that this one asked for.
        """
        if self.over or len(self.ends) >= MOST:
            raise ConnectionError("too many connections" if not self.over else "over")
        if self._socket is not None and not self._socket.isOpen:
            raise ConnectionError("the WebSocket is not open")
        self._last += 1
        while self._last in self.ends:
            self._last += 1
        asked = Connect(self._last, network, address)
        said = encode(self._next(), asked)
        end = self._made(asked, True)
        self._send(said)
        return end

    def say(self, message: Message) -> None:
        """
        Say something; nothing, where the line has ended.
        """
        self._send(encode(self._next(), message))

    def write(self, data: bytes) -> None:
        """
        Send bytes of the WebSocket.  Who asks and asks, and reads no answer, is lost.
        """
        if self.full:
            self._surplus += len(data)
            if self._surplus > SURPLUS:
                self.connection.transport.abortConnection()
                return
        self.connection.transport.write(data)

    def drop(self, end: LineEnd, last: Error) -> None:
        """
        A connection is over.

        @param last: tells the other side, where it does not know.
        """
        if self.ends.pop(end.id, None) is not None:
            self.say(last)

    def ping(self, at: int = 0) -> None:
        """
        Ask whether the other side lives.

        @param at: what the heartbeat is told with the answer.
        """
        if self._socket is not None and not self.over:
            self._pings.append(at)
            self._socket.ping()

    def end(self, reason: str, code: int = NORMAL) -> None:
        """
        End it, and all connections.

        @param code: of the WebSocket.
        """
        if self.over:
            return
        self.over = True
        self.heartbeat.stop()
        self._turns.stop()
        if self._syncs.running:
            self._syncs.stop()
        if self._socket is not None:
            self._socket.close(code, reason)
            self.connection.transport.unregisterProducer()
        self._closing = self.clock.callLater(CLOSING, self._cut)
        self.connection.transport.loseConnection()
        ends, self.ends = self.ends, {}
        for end in ends.values():
            end.lost(ResetCode.LOST, reason)
        ended, self._ended = self._ended, []
        for tell in ended:
            tell(reason)

    # What the other side says.

    def dataReceived(self, data: bytes) -> None:
        """
        Bytes came.
        """
        if self.over or self._socket is None:
            return
        self.heartbeat.heard()
        try:
            for event in self._socket.receive(data):
                self._happened(event)
                if self.over:
                    return
        except WireError as e:
            self._log.info(
                "the session of {who} is cut: {reason}",
                who=self.who,
                reason=legible(str(e)),
            )
            self.end(str(e), codeFor(e))
        except Exception:
            self._log.failure("a bug at the session of {who}", who=self.who)
            self.end("a bug: the log has more")

    def connectionLost(self, reason: Failure) -> None:
        """
        The connection is gone.
        """
        self.end("the connection is gone")
        if self._closing is not None and self._closing.active():
            self._closing.cancel()

    def _happened(self, event: Event) -> None:
        match event:
            case Piece(data, last):
                message = self._decoder.feed(data, last)
                if message is not None:
                    self._said(message)
            case Pong():
                if self._pings:
                    self.heartbeat.answered(self._pings.popleft())
            case Closed():
                self.end("the other side has closed the WebSocket")

    def _said(self, message: Message | Unknown) -> None:
        match message:
            case Data():
                self._data(message)
            case Connect():
                self._connect(message)
            case Error(id, text):
                self._error(id, text)
            case Pause(id) if id in self.ends:
                self.ends[id].pause()
            case Resume(id) if id in self.ends:
                self.ends[id].resume()
            case Sync(ids):
                self._forget(ids)
            case AddClient() | RemoveClient() if self._announced is not None:
                self._announced(message)

    def _data(self, message: Data) -> None:
        end = self.ends.get(message.connection)
        if end is not None:
            end.received(message.payload)
        elif not message.more:
            self.say(notFound(self.key, self.session, message.connection))

    def _connect(self, asked: Connect) -> None:
        if asked.connection in self.ends:
            # Both sides count from 1 in the program.
            self._refuse(asked, "a connection has this number already")
        elif len(self.ends) >= MOST:
            self._refuse(asked, "too many connections")
        elif self._answer is None:
            self._refuse(asked, NOT_ALLOWED)
        else:
            self._answer(self._made(asked, False), asked)

    def _error(self, id: int, text: str) -> None:
        end = self.ends.pop(id, None)
        if end is None:
            return  # it answers ours
        self.say(Error(id, text))
        if text == END:
            end.ended()
        else:
            end.lost(ResetCode.PEER, text)

    def _forget(self, known: frozenset[int]) -> None:
        # A Connect may have crossed the list.
        latest = self.clock.seconds() - SYNC
        for id, end in [*self.ends.items()]:
            if id not in known and end.since <= latest and id in self.ends:
                del self.ends[id]
                end.lost(ResetCode.LOST, "the other side does not know it any more")

    def _refuse(self, asked: Connect, why: str) -> None:
        _, network = route(asked.network)  # before it stands a client's id
        self._log.debug(
            "{who} may not dial {network}/{address}: {why}",
            who=self.who,
            network=legible(network),
            address=legible(asked.address),
            why=why,
        )
        self.say(Error(asked.connection, why))

    # The socket.

    def _made(self, asked: Connect, ours: bool) -> LineEnd:
        id, text = asked.connection, f"{asked.network}/{asked.address}"
        end = LineEnd(self, id, self.clock.seconds(), text, ours)
        self.ends[id] = end
        return end

    def _send(self, said: bytes) -> None:
        if self.over:
            return
        if self._socket is None:
            self._early.append(said)
        else:
            self._socket.send(said)

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _sync(self) -> None:
        if not self.full:
            self.say(Sync(frozenset(self.ends)))

    def _fill(self) -> None:
        self.full = True
        self._turns.filled()
        weigh([*self.ends.values()])

    def _drain(self) -> None:
        self.full = False
        self._surplus = 0
        self._turns.drained()

    def _silent(self) -> None:
        self.end("nothing was heard from the other side")

    def _cut(self) -> None:
        self.connection.transport.abortConnection()
