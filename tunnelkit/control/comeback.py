# -*- test-case-name: tests.test_client -*-
"""
Comeback: a client's connection to its server, made again whenever it is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelkit.carrier.route import Reached, Unreached
from tunnelkit.control.backoff import Backoff
from tunnelkit.control.names import legible

BRIEF: Final = 1.0
"""Seconds that a login must last so that the next one is tried at once: a server that
lets us in only to throw us out is not to be asked again and again."""
_LONGEST: Final = 500
"""How much of a reason is logged, in characters; the server may have written it."""


class Comeback:
    """
    One such connection.  Who has it speaks on it, and says here how that went.

    @ivar missed: told each time why the server is not there, or not for us.
    @ivar words: gives a reason in its user's words.
    """

    _log = Logger()

    def __init__(
        self,
        open: Callable[[], Deferred[Reached]],
        reached: Callable[[Reached], None],
        clock: IReactorTime,
        random: Callable[[], float],
        failed: Callable[[str], None],
        patient: bool = False,
    ) -> None:
        """
        @param open: connects; fails with L{Unreached}, and can be cancelled.
        @param reached: told of each connection.
        @param random: gives numbers from 0 to below 1.
        @param failed: told, in one sentence, of a failure that no waiting can mend.
        @param patient: whether it goes on trying all the same.
        """
        self.missed: Callable[[str], None] = lambda reason: None
        self.words: Callable[[str], str] = lambda reason: reason
        self._open = open
        self._reached = reached
        self._clock = clock
        self._failed = failed
        self._backoff = Backoff(random)
        self._connecting: Deferred[Reached] | None = None
        self._waiting: IDelayedCall | None = None
        self._known = patient
        self._since: float | None = None
        self._said = ""
        self._running = False

    def start(self) -> None:
        """
        Connect, at once.
        """
        self._running = True
        self._backoff.reset()
        self._later(self._backoff.delay())

    def stop(self) -> None:
        """
        Try no longer.  A connection that is there stays.
        """
        self._running = False
        if self._waiting is not None and self._waiting.active():
            self._waiting.cancel()
        if self._connecting is not None:
            self._connecting.cancel()

    def good(self) -> None:
        """
        The server has let us in.
        """
        self._known = True
        self._since = self._clock.seconds()
        self._said = ""
        self._backoff.reset()

    def lost(self, reason: str, lasting: bool = False, wait: float = 0.0) -> None:
        """
        The server is not there, or not for us: try again later, or give up.

        @param reason: in words for the user, whoever wrote them.
        @param lasting: whether trying again cannot be expected to help.  After a
            good login it is tried all the same: it was mended once.
        @param wait: seconds to wait at least.
        """
        since, self._since = self._since, None
        if not self._running:
            return
        reason = legible(self.words(reason), _LONGEST)
        if lasting and not self._known:
            self._failed(reason)
            return
        self.missed(reason)
        if not self._running:
            return  # whoever was told has had enough
        if reason != self._said:
            self._said = reason
            self._log.warn("{reason}; trying again", reason=reason)
        if since is not None and self._clock.seconds() - since < BRIEF:
            self._backoff.delay()  # which is that of the first try: none
        self._later(max(wait, self._backoff.delay(lasting)))

    def _later(self, seconds: float) -> None:
        self._waiting = self._clock.callLater(seconds, self._connect)

    def _connect(self) -> None:
        self._connecting = connecting = self._open()
        connecting.addCallback(self._cbReached).addErrback(self._ebReach)

    def _cbReached(self, reached: Reached) -> None:
        self._connecting = None
        self._reached(reached)

    def _ebReach(self, failure: Failure) -> None:
        self._connecting = None
        error = failure.value
        if isinstance(error, Unreached):
            self.lost(str(error), error.lasting)
        elif self._running:
            self._log.failure("a bug at connecting", failure)
            self.lost("this client has a bug: see its log")
