# -*- test-case-name: tests.relay.fast.test_loop -*-
"""
Loop: all sockets of the fast path in one epoll, which is one reader of the reactor.

The reactor sees a single descriptor, and calls L{Loop.doRead} when anything happened;
from there on no call goes through Twisted.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from time import monotonic
from typing import Final, Protocol

from twisted.internet.interfaces import IReactorFDSet, IReactorTime, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelkit.relay.fast.pipes import SIZE, Pipes

IN: Final[int] = select.EPOLLIN
LAST: Final[int] = select.EPOLLRDHUP
OUT: Final[int] = select.EPOLLOUT
ERROR: Final[int] = select.EPOLLERR
HANGUP: Final[int] = select.EPOLLHUP

BUDGET: Final = 0.002
"""Seconds after which the reactor has its turn, whatever is still to do here."""
WAIT: Final = 0.001
"""Seconds for which the loop waits for more, at most; the kernel counts in these."""
BITE: Final = SIZE
"""Bytes of bulk that are moved at once while nobody else has anything to say."""
SHARED_BITE: Final = 1 << 17
"""The same while others have."""
SHARED: Final = 0.05
"""Seconds for which that is so after the last of them, and for which it is remembered
who moves bulk."""
AWAY: Final = 0.003
"""Seconds after which whoever was left the processor is none of those who only have a
word to say, but would keep it as long as the kernel lets him."""
STAYS: Final = 5
"""So many times as long as he had it he is not left it again."""
AGAIN: Final = 8
"""How often it asks before it sleeps: to be woken costs more than these together."""
EVENTS: Final = 256
"""Events that are asked for at a time."""


class ILoopReactor(IReactorFDSet, IReactorTime):
    """
    What a loop needs of a reactor.
    """


class Watched(Protocol):
    """
    What a loop watches.
    """

    def happened(self, event: int) -> None:
        """
        One of the things that are watched for happened, or an error, or a hang-up.
        An event may be stale, and say nothing.
        """

    def failed(self) -> None:
        """
        A bug came up in L{happened}, and was logged: reset the connection.
        """


@implementer(IReadDescriptor)
class Loop:
    """
    An epoll that is one of the reactor's readers while it watches anything.

    @ivar pipes: pipes for bulk.
    @ivar bulky: descriptors between which bulk was moved lately.
    @ivar bite: how much of it is to be moved at once, in bytes.
    @ivar others: how many joins have an end that is the reactor's: they are not to
        wait for the loop.
    """

    _log = Logger()

    def __init__(
        self, reactor: ILoopReactor, now: Callable[[], float] = monotonic
    ) -> None:
        """
        @param now: tells the time, seconds since whenever.
        """
        self.pipes = Pipes()
        self.bulky: set[int] = set()
        self._bulkyBefore: set[int] = set()
        self.bite = BITE
        self._bulkyUntil = self._sharedUntil = self._staysUntil = 0.0
        self._reactor = reactor
        self._now = now
        self._watched: dict[int, Watched] = {}
        self._epoll: select.epoll | None = None
        self._ended = 0.0  # when the reactor had its turn
        self._prompt = False  # whether something came sooner than that lately
        self._calls: list[Callable[[], None]] = []  # for the end of this round
        self._within = False  # whether a round is under way
        self.others = 0

    def __len__(self) -> int:
        return len(self._watched)

    def watch(self, fd: int, watched: Watched, events: int) -> None:
        """
        Tell C{watched} of events at a descriptor.

        @param events: C{IN}, C{LAST} (the other side has ended its direction) and
            C{OUT}, any of them or none; errors and hang-ups are told in any case.
        """
        epoll = self._epoll or self._open()
        epoll.register(fd, events)
        self._watched[fd] = watched

    def change(self, fd: int, events: int) -> None:
        """
        Watch for other events.
        """
        assert self._epoll is not None, "nothing is watched"
        self._epoll.modify(fd, events)

    def forget(self, fd: int) -> None:
        """
        Watch a descriptor no more.
        """
        assert self._epoll is not None, "nothing is watched"
        self._epoll.unregister(fd)
        self.closing(fd)

    def closing(self, fd: int) -> None:
        """
        Watch a descriptor no more that is about to be closed: the kernel forgets it
        by itself.
        """
        del self._watched[fd]
        if not self._watched:
            self._close()

    def later(self, call: Callable[[], None]) -> None:
        """
        Call something when all that has happened is told, before there is anything
        else.
        """
        if not self._calls and not self._within:
            self._reactor.callLater(0, self._callAll)
        self._calls.append(call)

    def _open(self) -> select.epoll:
        self._epoll = epoll = select.epoll()
        self._reactor.addReader(self)
        return epoll

    def _close(self) -> None:
        # Nothing is left behind where nothing is relayed.
        epoll, self._epoll = self._epoll, None
        self._reactor.removeReader(self)
        if epoll is not None:
            epoll.close()
        self.pipes.close()

    # What the reactor asks.

    def fileno(self) -> int:
        """
        Give the epoll's descriptor.
        """
        return -1 if self._epoll is None else self._epoll.fileno()

    def doRead(self) -> None:
        """
        Tell of what happened, and of what happens meanwhile, for a while.

        Where it has paid lately it is waited for that: an answer most often comes
        sooner than the reactor could have been round.
        """
        get, now = self._watched.get, self._now()
        until = now + BUDGET
        if now - self._ended < WAIT:
            self._prompt = True
        wait = self._prompt and not self.others
        patient = False
        # It may be closed, and another one opened, by what is told.
        while (epoll := self._epoll) is not None and now < until:
            events = epoll.poll(0, EVENTS) or (patient and self._more(epoll))
            if not events:
                break
            self._within = True
            for fd, event in events:
                watched = get(fd)
                if watched is not None:
                    try:
                        watched.happened(event)
                    except Exception:
                        self._bug(watched)
            self._within = False
            if self._calls:
                self._callAll()
            patient = wait
            now = self._now()
            if self.bulky:
                self._share(events, now)
        self._ended = now

    def _share(self, events: list[tuple[int, int]], now: float) -> None:
        """
        Bulk was moved.  Others are not to wait for it, neither here nor in the
        programs for which it keeps a processor busy.
        """
        bulky, before = self.bulky, self._bulkyBefore
        if any(fd not in bulky and fd not in before for fd, _ in events):
            self._sharedUntil = now + SHARED
        self.bite = SHARED_BITE if now < self._sharedUntil else BITE
        if now >= self._bulkyUntil:
            # In two steps, so that nobody is forgotten who goes on.
            self._bulkyBefore, self.bulky = bulky, set()
            self._bulkyUntil = now + SHARED
        if now >= self._staysUntil:
            os.sched_yield()
            away = self._now() - now
            if away > AWAY:
                self._staysUntil = now + STAYS * away

    def _more(self, epoll: select.epoll) -> list[tuple[int, int]]:
        """
        Wait for more, a moment.
        """
        for _ in range(AGAIN):
            if events := epoll.poll(0, EVENTS):
                return events
        events = epoll.poll(WAIT, EVENTS)
        self._prompt = bool(events)
        return events

    def logPrefix(self) -> str:
        """
        Say who this is, for the log.
        """
        return "relay"

    def connectionLost(self, reason: Failure) -> None:
        """
        The reactor gives this reader up, as it does with all at its end.
        """

    def _callAll(self) -> None:
        calls, self._calls = self._calls, []
        for call in calls:
            try:
                call()
            except Exception:
                self._log.failure("a bug at the end of a round")

    def _bug(self, watched: Watched) -> None:
        self._log.failure("a bug in the relay")
        try:
            watched.failed()
        except Exception:
            self._log.failure("a bug at the end of a connection")
