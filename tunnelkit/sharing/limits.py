# -*- test-case-name: tests.sharing.test_limits -*-
"""
Limits: how long things may take, of each kind one at a time.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class _Limit:
    """
    @ivar until: when it is reached, on the clock; None where it does not count.
    @ivar look: what looks whether that is so.
    """

    __slots__ = ("call", "look", "until")

    def __init__(self) -> None:
        self.until: float | None = None
        self.call: Callable[[], object] = lambda: None
        self.look: IDelayedCall | None = None


class Limits:
    """
    Those of one connection.

    One that is taken back or begun anew leaves the clock's call as it is, which looks
    again when it comes: to make one for each request would cost a lot.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._limits: dict[str, _Limit] = {}

    def __contains__(self, name: str) -> bool:
        """
        Tell whether one runs.
        """
        limit = self._limits.get(name)
        return limit is not None and limit.until is not None

    def set(self, name: str, seconds: float, call: Callable[[], object]) -> None:
        """
        Begin one anew.

        @param seconds: as long as for each of this name.
        @param call: called when it is reached.
        """
        limit = self._limits.get(name)
        if limit is None:
            limit = self._limits[name] = _Limit()
        limit.until = self._clock.seconds() + seconds
        limit.call = call
        if limit.look is None:
            limit.look = self._clock.callLater(seconds, self._look, limit)

    def begin(self, name: str, seconds: float, call: Callable[[], object]) -> None:
        """
        Begin one, unless it runs.
        """
        if name not in self:
            self.set(name, seconds, call)

    def drop(self, name: str) -> None:
        """
        Take one back, if it runs.
        """
        limit = self._limits.get(name)
        if limit is not None:
            limit.until = None

    def dropAll(self) -> None:
        """
        Take all back, and leave nothing behind.
        """
        limits, self._limits = self._limits, {}
        for limit in limits.values():
            if limit.look is not None:
                limit.look.cancel()

    def _look(self, limit: _Limit) -> None:
        limit.look = None
        if limit.until is None:
            return
        left = limit.until - self._clock.seconds()
        if left > 0:
            limit.look = self._clock.callLater(left, self._look, limit)
        else:
            limit.until = None
            limit.call()
