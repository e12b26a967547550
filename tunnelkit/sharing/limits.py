# -*- test-case-name: tests.sharing.test_bounds -*-
"""
Limits: how long things may take, of each kind one at a time.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Limits:
    """
    Those of one connection.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._running: dict[str, IDelayedCall] = {}

    def __contains__(self, name: str) -> bool:
        """
        Tell whether one runs.
        """
        return name in self._running

    def set(self, name: str, seconds: float, call: Callable[[], object]) -> None:
        """
        Begin one anew.

        @param call: called when it is reached.
        """
        self.drop(name)
        self._running[name] = self._clock.callLater(seconds, self._reached, name, call)

    def drop(self, name: str) -> None:
        """
        Take one back, if it runs.
        """
        limit = self._running.pop(name, None)
        if limit is not None:
            limit.cancel()

    def dropAll(self) -> None:
        """
        Take all back.
        """
        for name in [*self._running]:
            self.drop(name)

    def _reached(self, name: str, call: Callable[[], object]) -> None:
        del self._running[name]
        call()
