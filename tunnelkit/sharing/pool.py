# -*- test-case-name: tests.sharing.test_many -*-
"""
Pool: clients, those of their requests that wait, and the connections to the target.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tunnelkit.sharing.asking import Asking, Waiting
from tunnelkit.sharing.bounds import Bounds
from tunnelkit.sharing.clients.client import ClientLine
from tunnelkit.sharing.tally import ShareTally
from tunnelkit.sharing.targets.dialling import Connect, Dialling
from tunnelkit.sharing.targets.habit import Habit
from tunnelkit.sharing.targets.line import TargetLine
from tunnelkit.tunnels import detail
from tunnelkit.wire.framings.contract import Framing, Local, Request, Trouble


class Pool:
    """
    @ivar clients: who is here.
    @ivar lines: connections to the target that are not lost yet.
    @ivar waiting: requests that wait.
    @ivar partial: bytes of requests that are not whole, of all clients.
    @ivar draining: whether no more are taken.
    """

    _log = Logger()

    def __init__(
        self,
        connect: Connect,
        framing: Framing,
        bounds: Bounds,
        clock: IReactorTime,
        random: Callable[[], float],
    ) -> None:
        """
        @param random: gives numbers from 0 to below 1.
        """
        self.framing = framing
        self.bounds = bounds
        self.clock = clock
        self.tally = ShareTally()
        self.clients: dict[ClientLine, None] = {}
        self.lines: dict[TargetLine, None] = {}
        self.waiting = Waiting()
        self.partial = 0
        self._dialling = Dialling(
            connect,
            lambda: TargetLine(self, framing.replies(bounds.sticky)),
            clock,
            random,
            self.tally,
            bounds.dialling,
            self.pump,
        )
        self._habit = Habit(clock, bounds.caution, self.pump)
        self._pumping = False
        self._eager = False
        self._stopping = self.draining = False
        self._waitForGone: Deferred[None] | None = None

    def start(self) -> None:
        """
        Connect to the target, so that the log tells whether it is there.
        """
        self._eager = True
        self._dial()

    # Clients.

    def client(self) -> ClientLine:
        """
        Make the protocol of a client that comes.
        """
        self.tally.clients += 1
        requests = self.framing.requests(self.bounds.sticky)
        return ClientLine(self, requests, self.tally.clients)

    def arrived(self, client: ClientLine) -> bool:
        """
        A client is here.

        @return: whether it may stay.
        """
        room = len(self.clients) < self.bounds.clients
        self.clients[client] = None
        return room and not self.draining

    def left(self, client: ClientLine) -> None:
        """
        A client asks for nothing more.
        """
        line, client.line = client.line, None
        if self.bounds.sticky and line is not None and line.owner is client:
            line.owner = None
            if line.flying:
                line.drop(f"#{client.number} had it, and is gone")
            elif self.framing.stateful:
                line.close()
            self.pump()

    def forget(self, client: ClientLine) -> None:
        """
        A client's connection is closed.
        """
        self.clients.pop(client, None)
        self._checkGone()

    # Requests.

    def ask(self, asking: Asking) -> None:
        """
        Have a request take its turn.
        """
        waiting, size = self.waiting, len(asking.request.data)
        if waiting.count >= self.bounds.queue or not self.hasRoom(size):
            self.tally.full += 1
            self._log.info(
                "#{number} is refused: {count} requests of {size} bytes wait",
                number=asking.client.number,
                count=waiting.count,
                size=waiting.size,
            )
            asking.client.trouble(asking, Trouble.BUSY)
            return
        self.waiting.add(asking)
        self.pump()
        if asking.line is None and asking.limit is None and not asking.done:
            self._limit(asking)

    def hasRoom(self, size: int) -> bool:
        """
        Tell whether so many bytes of requests may be kept as well.
        """
        return self.waiting.size + self.partial + size <= self.bounds.size

    def _limit(self, asking: Asking) -> None:
        limit = self.bounds.timeout
        asking.limit = self.clock.callLater(limit, self._late, asking)

    def again(self, askings: Sequence[Asking]) -> None:
        """
        Have requests take their turn once more, before all others.
        """
        self.waiting.addFirst(askings)
        for asking in askings:
            asking.queued = self.clock.seconds()
            self._limit(asking)

    def excuse(self, trouble: Trouble, request: Request | None) -> Local:
        """
        Give what a client is told in place of a reply.
        """
        try:
            return self.framing.trouble(trouble, request)
        except Exception:
            self._log.failure("a bug at words for trouble")
            return Local(b"", close=True)

    def abandon(self, asking: Asking) -> None:
        """
        Nobody waits for the reply any longer.
        """
        if asking.line is not None:
            asking.line.abandon(asking)
        elif asking in asking.client.waiting:
            self.waiting.remove(asking)
        asking.unlimited()

    def _late(self, asking: Asking) -> None:
        asking.limit = None
        self.waiting.remove(asking)
        self.tally.waitTimeouts += 1
        there = any(not line.closed for line in self.lines)
        self._log.info(
            "#{number} has waited {limit:g} s: {why}",
            number=asking.client.number,
            limit=self.bounds.timeout,
            why="others have their turn" if there else "the target is not there",
        )
        asking.client.trouble(asking, Trouble.BUSY if there else Trouble.DOWN)

    # The target.

    def pump(self) -> None:
        """
        Send what can be sent, and connect where that would help.
        """
        if self._pumping:
            return
        self._pumping = True
        try:
            while self.waiting.count and (found := self._next()) is not None:
                self._send(*found)
        finally:
            self._pumping = False
        if self.waiting.count and self._habit.closes:
            for line in [each for each in self.lines if each.resting]:
                line.close()
        self._dial()

    def _next(self) -> tuple[ClientLine, TargetLine] | None:
        free = [line for line in self.lines if line.room]
        if not free:
            return None
        for client in self.waiting:
            line = self._lineFor(client, free)
            if line is not None and self._sure(line, client.waiting[0]):
                return client, line
        return None

    def _lineFor(self, client: ClientLine, free: list[TargetLine]) -> TargetLine | None:
        if client.choked:
            return None
        if client.flying or (self.bounds.sticky and client.line is not None):
            # What it has asked before has to be answered before.
            free = [line for line in free if line is client.line]
        elif self.bounds.sticky:
            free = [line for line in free if line.owner is None and not line.flying]
        free.sort(key=lambda line: len(line.flying))
        return next((line for line in free if line.quiet), None)

    def _sure(self, line: TargetLine, asking: Asking) -> bool:
        again = asking.request.repeatable and not asking.tries
        return again or self._habit.sure(line.life, bool(line.flying))

    def _send(self, client: ClientLine, line: TargetLine) -> None:
        asking = self.waiting.take(client)
        client.flying += 1
        client.line = line
        if self.bounds.sticky:
            line.owner = client
        self.tally.wait.add(self.clock.seconds() - asking.queued)
        self.tally.retries += asking.tries > 0
        if detail.shown:
            self._log.debug(
                "#{number} asks {count} bytes",
                number=client.number,
                count=len(asking.request.data),
            )
        line.send(asking)
        if asking.request.more:
            client.goOn()

    def _dial(self) -> None:
        while self._wanted() and not self._dialling.waits:
            self._dialling.dial()

    def _wanted(self) -> bool:
        under, there = self._dialling.under, len(self.lines)
        if self._stopping or there + under >= self.bounds.connections:
            return False
        if not there and (self._eager or not self._dialling.well):
            # Whether it is back is to be known before a client needs it.
            return not under
        return self.waiting.count > under

    def connected(self, line: TargetLine) -> None:
        """
        A connection to the target is there.
        """
        self._eager = False
        self.lines[line] = None
        if self._stopping:
            line.close()

    @property
    def depth(self) -> int:
        """
        How many requests may be under way on a connection.
        """
        return 1 if self._habit.single else self.bounds.pipeline

    def good(self, line: TargetLine) -> None:
        """
        The target has answered.
        """
        self.heard()
        if line.life.answered > 1:
            self._habit.kept()
        elif self._habit.closes and not (line.flying or self.lone(line)):
            self._renew(line)

    def lone(self, line: TargetLine) -> bool:
        """
        Tell whether a connection keeps something for its owner, so that another one
        cannot take its place.
        """
        return line.owner is not None and self.framing.stateful

    def heard(self) -> None:
        """
        The target is there, and says what it should.
        """
        self._dialling.good()

    def _renew(self, line: TargetLine) -> None:
        if not self.waiting.count:
            line.rest(self.bounds.rest)
        elif not self._habit.tries(self.bounds.rest):
            line.close()

    def stayed(self) -> None:
        """
        A target that used to close after each reply has not.
        """
        self._habit.kept()
        self.pump()

    def ended(self, brief: bool) -> None:
        """
        The target has ended a connection after one reply.

        @param brief: whether soon, and without a word.
        """
        self._habit.ended(brief)

    def lost(self, line: TargetLine) -> None:
        """
        A connection to the target is gone.
        """
        self.lines.pop(line, None)
        owner, line.owner = line.owner, None
        if owner is not None:
            owner.line = None
            if self.framing.stateful:
                owner.cut("its own connection to the target ended")
        if line.life.vain:
            self._dialling.bad()
        elif not line.life.asked:
            self._dialling.good()
        self.pump()

    # The end.

    @property
    def healthy(self) -> bool:
        """
        Whether the target answers, as far as is known.
        """
        idle = [line for line in self.lines if not (line.closed or line.flying)]
        return self._dialling.well or any(line.life.lasting for line in idle)

    def drain(self) -> Deferred[None]:
        """
        Take no more requests, and close each client when it has its answers.

        @return: fires when all are gone; it can be cancelled.
        """
        self.draining = True
        gone: Deferred[None] = Deferred()
        self._waitForGone = gone
        for client in [*self.clients]:
            client.endWhenAnswered()
        self._checkGone()
        return gone

    def _checkGone(self) -> None:
        gone = self._waitForGone
        if gone is not None and not self.clients:
            self._waitForGone = None
            gone.callback(None)

    def stop(self) -> None:
        """
        Close everything: nothing more is to be done, or there is no time for it.
        """
        self._stopping = True
        self._dialling.stop()
        self._habit.stop()
        for client in [*self.clients]:
            client.stop()
        for line in [*self.lines]:
            if line.flying:
                line.fail(Trouble.STOPPING, "we are stopping")
            else:
                line.close()
