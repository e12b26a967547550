# -*- test-case-name: tests.sharing.test_targets -*-
"""
Dialling: connections to the target, made when they are wanted, and again with ever
longer pauses where that fails.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IProtocol, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelkit.control.backoff import Backoff
from tunnelkit.sharing.tally import ShareTally

Connect: TypeAlias = Callable[[IProtocol], Deferred[IProtocol]]
"""Connects a protocol to the target."""


class Dialling:
    """
    @ivar under: how many connections are being made.
    @ivar well: whether the target was there when last seen, and answered.
    """

    _log = Logger()

    def __init__(
        self,
        connect: Connect,
        make: Callable[[], IProtocol],
        clock: IReactorTime,
        random: Callable[[], float],
        tally: ShareTally,
        patience: float,
        pump: Callable[[], None],
    ) -> None:
        """
        @param make: makes the protocol of one connection.
        @param patience: seconds that connecting may take.
        @param pump: called when another one may be made.
        """
        self.under = 0
        self._connect = connect
        self._make = make
        self._clock = clock
        self._tally = tally
        self._patience = patience
        self._pump = pump
        self._backoff = Backoff(random)
        self._dials: set[Deferred[IProtocol]] = set()
        self._pause: IDelayedCall | None = None
        self.well = True
        self._said = ""
        self._stopped = False

    @property
    def waits(self) -> bool:
        """
        Whether none may be made now: the last one failed a moment ago, or is a trial.
        """
        return self._stopped or self._pause is not None or self._trying()

    def _trying(self) -> bool:
        return self.under > 0 and not self.well

    def dial(self) -> None:
        """
        Make a connection.
        """
        line = self._make()
        self.under += 1
        if not self._said:
            self._log.info("creating target connection")
        dial = self._connect(line)
        dial.addTimeout(self._patience, self._clock)
        self._dials.add(dial)
        dial.addCallbacks(self._cbConnected, self._ebFailed, callbackArgs=(dial,))
        dial.addErrback(lambda failure: self._log.failure("a bug at dialling", failure))
        dial.addBoth(lambda _: self._dials.discard(dial))

    def _cbConnected(self, line: IProtocol, dial: Deferred[IProtocol]) -> IProtocol:
        self.under -= 1
        self._said = ""
        self._tally.connects += 1
        self._pump()
        return line

    def _ebFailed(self, failure: Failure) -> None:
        self.under -= 1
        if self._stopped:
            return
        self._tally.failedConnects += 1
        reason = failure.getErrorMessage() or type(failure.value).__name__
        if reason != self._said:
            self._said = reason
            self._log.warn(
                "the target cannot be reached: {reason}; trying again", reason=reason
            )
        self.bad()
        self._pump()

    def good(self) -> None:
        """
        The target is well: it has answered.
        """
        if not self.well:
            self.well = True
            self._backoff.reset()

    def bad(self) -> None:
        """
        The target is not, or was there and left without a word: let it be for a moment.
        """
        if self.well:
            self.well = False
            self._backoff.reset()
        if self._pause is None and not self._stopped:
            self._pause = self._clock.callLater(self._backoff.delay(), self._goOn)

    def _goOn(self) -> None:
        self._pause = None
        self._pump()

    def stop(self) -> None:
        """
        Make none any more.
        """
        self._stopped = True
        pause, self._pause = self._pause, None
        if pause is not None:
            pause.cancel()
        for dial in [*self._dials]:
            dial.cancel()
