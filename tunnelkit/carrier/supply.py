# -*- test-case-name: tests.carrier.test_supply -*-
"""
Supply: the client's work connections, opened as the server wants them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelkit.carrier.route import Unreached
from tunnelkit.interfaces import ICarrier, IWorkEnd, IWorkLink, IWorkOwner
from tunnelkit.wire.native.messages import Start

AT_ONCE: Final = 32
"""Work connections that may be in opening at one time."""
MOST: Final = 65536
"""Work connections at most, those that are only wanted included."""


@implementer(IWorkOwner)
class Supply:
    """
    Opens as many work connections as are wanted, some at a time, and holds them.

    @ivar started: told that the server has opened a stream on one.
    """

    _log = Logger()

    def __init__(
        self,
        open: Callable[[IWorkOwner], Deferred[IWorkEnd]],
        started: Callable[[IWorkEnd, Start], None],
    ) -> None:
        """
        @param open: opens one for an owner.
        """
        self._open = open
        self.started = started
        self._wanted = 0
        self._opening: set[Deferred[None]] = set()
        self._works: set[IWorkLink] = set()
        self._failing = False
        self._stopped = False

    def want(self, count: int) -> None:
        """
        Open so many more.
        """
        if self._stopped:
            return
        room = MOST - len(self._works) - len(self._opening)
        self._wanted = min(room, self._wanted + count)
        self._begin()

    def retired(self) -> bool:
        """
        Open no more, close those that are there, and say whether all are gone.  Where
        one was closed and not aborted the server has read all that was sent on it
        when it is lost.
        """
        if not self._stopped:
            self._halt()
            for work in [*self._works]:
                work.close()
        return not self._works

    def stop(self) -> None:
        """
        Open no more, and reset those that are there.
        """
        self._halt()
        for work in [*self._works]:
            work.abort()

    # What work connections say.

    def idle(self, work: IWorkEnd) -> None:
        """
        The server knows that by itself.
        """

    def given(self, work: IWorkEnd, carrier: ICarrier) -> None:
        """
        One has become a datagram carrier.
        """
        self._works.discard(work)
        self._works.add(carrier)

    def lost(self, work: IWorkLink, reason: str) -> None:
        """
        One is gone; the server asks for another where it needs one.
        """
        self._works.discard(work)

    def _halt(self) -> None:
        self._stopped = True
        for opening in [*self._opening]:
            opening.cancel()

    def _begin(self) -> None:
        while self._wanted > 0 and len(self._opening) < AT_ONCE:
            self._wanted -= 1
            opening = self._open(self).addCallbacks(self._opened, self._failed)
            self._opening.add(opening)
            opening.addBoth(self._next, opening)

    def _opened(self, work: IWorkEnd) -> None:
        self._failing = False
        if self._stopped:
            work.abort()
        else:
            self._works.add(work)

    def _failed(self, failure: Failure) -> None:
        if self._stopped:
            return
        if self._failing:
            # It was not that one alone.  The server asks again for what did not come.
            self._wanted = 0
        else:
            self._failing = True
            self._say(failure)

    def _say(self, failure: Failure) -> None:
        if failure.check(Unreached):
            self._log.warn(
                "no work connection to the server: {reason}",
                reason=failure.getErrorMessage(),
            )
        else:
            self._log.failure("a bug at opening a work connection", failure)

    def _next(self, _: None, opening: Deferred[None]) -> None:
        self._opening.discard(opening)
        if not self._stopped:
            self._begin()
