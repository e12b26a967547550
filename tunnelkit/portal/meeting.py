# -*- test-case-name: tests.portal.test_meeting -*-
"""
Meeting at the rendezvous: the far portal says where it is and lets those in who wait,
the near portal finds it by its name and waits to be let in.

Neither ever waits for the rendezvous: one that hangs, lies or is gone stops no flow.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.defer import TimeoutError as Late
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelkit.portal.addresses.candidates import Candidates
from tunnelkit.portal.addresses.sockets import Address
from tunnelkit.portal.calling import CallFailed, Rendezvous

REGISTERED: Final = 10
"""A far portal registers every so many seconds."""
LOOKED: Final = 3.0
"""A near portal looks for a far one every so many seconds."""
WITHDRAWING: Final = 2.0
"""Seconds that a far portal takes to say at its end that it is gone."""
LONGEST: Final = 30.0
"""Between two calls where they fail, in seconds at most."""


class _Calls:
    """
    Calls of a rendezvous: one at a time, fewer where they fail, and a line in the log
    where something is new.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._under: Deferred[None] | None = None
        self._next = 0.0
        self._wait = 1.0
        self._trouble = ""

    def hurry(self) -> None:
        """
        Call soon.
        """
        self._next = 0.0

    def stop(self) -> None:
        """
        Give up what is under way.
        """
        under, self._under = self._under, None
        if under is not None:
            under.cancel()

    def make(
        self, every: float, calls: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        """
        Make calls, unless others are under way or it is not yet time.
        """
        now = self._clock.seconds()
        if self._under is not None or now < self._next:
            return
        self._next = now + every
        under = self._under = Deferred.fromCoroutine(calls())
        under.addCallbacks(self._done, self._failed)

    def _done(self, result: None) -> None:
        self._under = None
        self._wait = 1.0
        if self._trouble:
            self._trouble = ""
            self._log.info("the rendezvous answers again")

    def _failed(self, failure: Failure) -> None:
        if self._under is None:
            return  # It was given up.
        self._under = None
        if not failure.check(CallFailed):
            self._log.failure("a bug at the rendezvous", failure)
        self._wait = min(LONGEST, self._wait * 2)
        self._next = self._clock.seconds() + self._wait
        trouble = failure.getErrorMessage()
        if trouble != self._trouble:
            self._trouble = trouble
            self._log.warn(
                "{trouble}; it is tried again and again, and flows go on meanwhile",
                trouble=trouble,
            )


class Announcing:
    """
    What a far portal does there.
    """

    _log = Logger()

    def __init__(
        self,
        rendezvous: Rendezvous,
        name: str,
        own: Callable[[], Candidates],
        punch: Callable[[Iterable[Address]], object],
        clock: IReactorTime,
    ) -> None:
        """
        @param own: gives where the portal may be found.
        @param punch: opens the NAT for addresses.
        """
        self._rendezvous = rendezvous
        self._name = name
        self._own = own
        self._punch = punch
        self._clock = clock
        self._calls = _Calls(clock)
        self._registered = Candidates()
        self._rounds = 0
        self._warned = False

    def second(self) -> None:
        """
        Do what is to be done each second.
        """
        self._calls.make(0.5, self._round)

    def hurry(self) -> None:
        """
        Register anew, if the address is another.
        """
        if self._own() != self._registered:
            self._rounds = 0
            self._calls.hurry()

    def stop(self) -> Deferred[None]:
        """
        Do nothing more, but say that the portal is gone.

        @return: fires soon, whatever the rendezvous does.
        """
        self._calls.stop()
        if not self._registered:
            return succeed(None)
        gone = self._rendezvous.withdraw(self._name, self._registered)
        self._registered = Candidates()
        told = Deferred.fromCoroutine(gone)
        told.addTimeout(WITHDRAWING, self._clock)
        return told.addErrback(self._notTold)

    def _notTold(self, failure: Failure) -> None:
        if not failure.check(CallFailed, Late):
            self._log.failure("a bug at the rendezvous", failure)
            return
        # What was cancelled may say why in its own words.
        late = "the rendezvous does not answer in time"
        self._log.info(
            "{reason}: it was not told that {name} is gone, and forgets it by itself",
            reason=late if failure.check(Late) else failure.getErrorMessage(),
            name=self._name,
        )

    async def _round(self) -> None:
        due = self._rounds % REGISTERED == 0
        self._rounds += 1
        if due:
            await self._register()
        waiting = await self._rendezvous.waiting(self._name)
        if waiting:
            self._punch(address for each in waiting for address in each.direct)
            self._rounds = 0

    async def _register(self) -> None:
        own = self._own()
        if own:
            self._registered = own
            try:
                await self._rendezvous.register(self._name, own)
            except CallFailed:
                self._rounds = 0
                raise
        elif not self._warned:
            self._warned = True
            self._log.warn(
                "this portal does not know its own address, so nobody can be told: give"
                " --stun, or --bind with an address"
            )


class ByName:
    """
    How a near portal finds a far one.
    """

    def __init__(
        self,
        rendezvous: Rendezvous,
        name: str,
        own: Callable[[], Candidates],
        clock: IReactorTime,
    ) -> None:
        """
        @param own: gives where the near portal is.
        """
        self._rendezvous = rendezvous
        self._name = name
        self._own = own
        self._calls = _Calls(clock)

    def look(self, found: Callable[[Candidates], object]) -> None:
        """
        Look it up, and ask it to let this portal in.
        """
        self._calls.make(LOOKED, lambda: self._look(found))

    def hurry(self) -> None:
        """
        Look at once: this portal's address is another.
        """
        self._calls.hurry()

    def stop(self) -> None:
        """
        Look no longer.
        """
        self._calls.stop()

    async def _look(self, found: Callable[[Candidates], object]) -> None:
        candidates = await self._rendezvous.find(self._name)
        own = self._own()
        if own:
            await self._rendezvous.wait(self._name, own)
        found(candidates)
