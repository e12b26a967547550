# -*- test-case-name: tests.sharing.test_targets -*-
"""
A connection to the target: takes requests, one by one or a few at a time, and gives
each reply to who asked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelkit.relay.connection import Gauge, named, quiet, tuned
from tunnelkit.sharing.asking import Asking, parted
from tunnelkit.sharing.limits import Limits
from tunnelkit.sharing.targets.habit import Life
from tunnelkit.sharing.targets.outlet import Outlet
from tunnelkit.tunnels import detail
from tunnelkit.wire.framings.contract import (
    Answered,
    Part,
    Pushed,
    Replies,
    Reply,
    Stray,
    Trouble,
)
from tunnelkit.wire.native.frames import WireError

if TYPE_CHECKING:
    from tunnelkit.sharing.clients.client import ClientLine
    from tunnelkit.sharing.pool import Pool

HALF: Final = "a request stopped half way"


class TargetLine(Protocol):
    """
    @ivar flying: requests that were sent and are not answered, the oldest first.
    @ivar owner: whose own it is; None where it is everybody's, or nobody's yet.
    @ivar choked: whether the target takes no more at the moment.
    @ivar life: what is seen of it.
    @ivar closed: whether it is of no further use.
    """

    _log = Logger()
    transport: Any
    life: Life
    _outlet: Outlet

    def __init__(self, pool: Pool, replies: Replies) -> None:
        self.flying: deque[Asking] = deque()
        self.owner: ClientLine | None = None
        self.choked = False
        self.closed = False
        self.streaming: Asking | None = None
        self._pool = pool
        self._clock = pool.clock
        self._replies = replies
        self._digesting = False
        self._spent = self._leaving = self._news = False
        self._limits = Limits(pool.clock)
        self._shown = ""

    def connectionMade(self) -> None:
        """
        The target is there.
        """
        self.life = Life(self._clock)
        transport = self.transport
        self._outlet = Outlet(transport)
        tuned(transport)
        transport.registerProducer(Gauge(self._full, self._drained), True)
        self._shown = f"{named(transport.getHost())} <-> {named(transport.getPeer())}"
        self._log.info("new target connection: {line}", line=self._shown)
        self._pool.connected(self)

    @property
    def room(self) -> bool:
        """
        Whether another request can be sent.
        """
        return (
            len(self.flying) < self._pool.depth
            and self.streaming is None
            and not (self.closed or self._spent or self._leaving)
            and not (self._digesting or self.resting)
            # What has no reply would pile up here.
            and not self.choked
        )

    @property
    def quiet(self) -> bool:
        """
        Whether nothing has come that was not read yet while nothing is due: the
        target's end, or bytes that the next reply must not begin with.  The reactor
        tells of those soon.  Where the target has news for its owner there may be
        bytes at any time.
        """
        return bool(self.flying) or self._news or quiet(self.transport)

    def send(self, asking: Asking) -> None:
        """
        Send a request; there is room.
        """
        request = asking.request
        asking.line = self
        asking.tries += 1
        asking.sent = self._clock.seconds()
        self.life.asked = True
        if request.more:
            self.streaming = asking
        self.flying.append(asking)
        try:
            asking.begin = self._outlet.written
            self._outlet.write(self._replies.send(request))
        except Exception:
            self._log.failure("a bug at a request")
            self._withdraw(asking)
            self._pool.tally.broken += 1
            asking.client.trouble(asking, Trouble.BROKEN)
            return
        if request.silent and not request.more:
            self.flying.pop()
            self._over(asking)
            asking.client.answered(asking)
        else:
            self._watchIf(asking)

    def more(self, part: Part) -> None:
        """
        Send more of the request that streams.
        """
        asking = self.streaming
        if asking is None:
            return
        if part.last:
            self.streaming = None
        self._outlet.write(part.data)
        self._watchIf(asking)
        if part.last:
            if asking.request.silent:
                self.flying.remove(asking)
                self._over(asking)
                self._watch()
                asking.client.answered(asking)
            self._pool.pump()

    def abandon(self, asking: Asking) -> None:
        """
        Nobody waits for this reply any longer.  It is read all the same, within the
        time that a reply has, so that the next one is told from it.
        """
        if asking is self.streaming:
            self._pool.tally.thrownAway += 1
            self._withdraw(asking)
        else:
            self._watchIf(asking)

    def _withdraw(self, asking: Asking) -> None:
        """
        Forget the last request, of which a part may be sent.  Those before it are
        others', and have their replies first.
        """
        self._leaving = True
        self.streaming = None
        self.flying.pop()
        self._over(asking)
        if not self.flying:
            self.drop(HALF)

    def hold(self) -> None:
        """
        Read no more for the moment: who asked does not.
        """
        self._limits.drop("reply")
        self.transport.pauseProducing()

    def release(self) -> None:
        """
        Read on.
        """
        if not self.closed:
            self.transport.resumeProducing()
            self._watch()

    def _full(self) -> None:
        self.choked = True

    def _drained(self) -> None:
        self.choked = False
        if self.streaming is not None:
            self._watchIf(self.streaming)
            self.streaming.client.goOn()
        else:
            self._pool.pump()

    def dataReceived(self, data: bytes) -> None:
        """
        The target says something.
        """
        if not self.closed:
            self._digest(self._replies.feed, data)

    def _digest(self, tell: Callable[..., None], *said: bytes) -> None:
        self._digesting = True
        try:
            tell(*said)
            while not self.closed and (event := self._replies.next()) is not None:
                self._take(event)
        except WireError as e:
            self._pool.tally.unsolicited += 1
            self.fail(Trouble.BROKEN, str(e))
        except Exception:
            self._log.failure("a bug at a reply")
            self.fail(Trouble.BROKEN, "a bug of ours, see above")
        finally:
            self._digesting = False
        if self._spent:
            self.fail(Trouble.BROKEN, "it is used up", ended=True)
        elif self._leaving and not self.flying:
            self.drop(HALF)
        self._pool.pump()

    def _take(self, event: Answered) -> None:
        if isinstance(event, Reply):
            self._answer(event)
        elif isinstance(event, Stray):
            self._pool.tally.strays += 1
            self._log.info("dropped from {line}: {e.reason}", line=self._shown, e=event)
        elif isinstance(event, Pushed):
            if self.owner is None:
                raise WireError("it said something that nobody asked for")
            self._news = self.life.heard = True
            self._pool.heard()
            self.owner.push(event.data)

    def _answer(self, reply: Reply) -> None:
        if not self.flying:
            raise WireError("it said something that nobody asked for")
        asking = self.flying[0]
        client = asking.client
        if not reply.last:
            client.reply(asking, reply)
            if client.gone:
                self._limits.begin("waste", self._pool.bounds.waste, self._wasted)
            elif self.flying and not client.choked:
                self._watch()
            return
        if asking is self.streaming:
            # It has answered before it had all: the rest is of no use to it.
            self.streaming = None
            self._spent = True
            reply = replace(reply, close=True)
        self._spent = self._spent or reply.spent
        self.flying.popleft()
        self._limits.drop("waste")
        self.life.answer()
        self._over(asking)
        self._watch()
        took = self.life.last - asking.sent
        self._pool.tally.service.add(took)
        self._pool.good(self)
        if detail.shown:
            self._log.debug(
                "#{n} is answered after {time:.6f} s", n=client.number, time=took
            )
        client.reply(asking, reply)

    def _wasted(self) -> None:
        if len(self.flying) == 1:
            self.drop("nobody is there for the rest of a reply")

    def _over(self, asking: Asking) -> None:
        asking.line = None
        asking.client.flying -= 1

    @property
    def resting(self) -> bool:
        """
        Whether it is left alone, to see whether the target ends it.
        """
        return "rest" in self._limits

    def rest(self, seconds: float) -> None:
        """
        Take no request for so long, and none at all if the target ends meanwhile.
        """
        if not self.closed:
            self._limits.set("rest", seconds, self._pool.stayed)

    def _watchIf(self, asking: Asking) -> None:
        if self.flying and asking is self.flying[0]:
            self._watch()

    def _watch(self) -> None:
        if self.flying and not self.flying[0].request.patient and not self.closed:
            self._limits.set("reply", self._pool.bounds.replyTimeout, self._late)
        else:
            self._limits.drop("reply")

    def _late(self) -> None:
        self._pool.tally.replyTimeouts += 1
        limit, client = self._pool.bounds.replyTimeout, self.flying[0].client
        self.fail(Trouble.LATE, f"no reply to #{client.number} within {limit:g} s")

    def fail(self, trouble: Trouble, reason: str, ended: bool = False) -> None:
        """
        Close it: its state is not known.  Requests that it has are sent again where
        they may be.

        @param trouble: what the oldest of those is told otherwise.
        @param reason: for the log.
        @param ended: whether it was the target that ended it, or has said that it
            would.
        """
        if self.closed:
            return
        untouched = ended and not self._replies.begun
        # What is set on a client's own connection is lost, and the client with it.
        lone = self._pool.lone(self)
        # What is not sent will not be, if the connection is lost.
        sent = self._outlet.sent if ended and not self._spent else None
        flying = [*self.flying]
        self._shut()
        if not ended or (flying and not self._spent):
            self._log.info(
                "target connection {line} is dropped: {reason}",
                line=self._shown,
                reason=reason,
            )
        for asking in flying:
            self._over(asking)
        gone, again, told = parted(flying, not lone, untouched, sent)
        self._pool.tally.thrownAway += len(gone)
        if again:
            self._pool.again(again)
        for asking in told:
            why = trouble if asking is flying[0] else Trouble.BROKEN
            self._pool.tally.broken += why is Trouble.BROKEN
            asking.client.trouble(asking, why)
        if self._spent and ended:
            self._lose()
        else:
            self.transport.abortConnection()

    def drop(self, reason: str) -> None:
        """
        Close it because of who asked: the target is not to blame.

        @param reason: for the log.
        """
        self.life.excused = True
        self.fail(Trouble.BROKEN, reason)

    def _shut(self) -> None:
        self.closed = True
        self._limits.dropAll()
        self.flying.clear()
        self.streaming = None
        self.transport.unregisterProducer()

    def close(self) -> None:
        """
        Close it without a word; nothing is under way.
        """
        if not self.closed:
            self.life.excused = True
            self._shut()
            self._lose()

    def _lose(self) -> None:
        # A target that does not read would have it stay for ever.
        cut, limit = self.transport.abortConnection, self._pool.bounds.closing
        self._limits.set("close", limit, cut)
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The target, or we, have ended it.
        """
        ours = self.closed
        if not ours and reason.check(ConnectionDone):
            # What ends with the connection does not end with a reset.
            self._digest(self._replies.ended)
        if self.life.answered == 1 and (self._spent or not ours):
            quietly = not (self._spent or self._replies.begun)
            self._pool.ended(brief=quietly and self.life.afresh)
        self.fail(Trouble.BROKEN, reason.getErrorMessage(), ended=True)
        self._limits.dropAll()
        self._log.info("target connection closed: {line}", line=self._shown)
        self._pool.lost(self)
