# -*- test-case-name: tests.control.test_rounds -*-
"""
Rounds: what is done every few seconds, whatever becomes of it.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger


class Round:
    """
    Calls something again and again.
    """

    _log = Logger()

    def __init__(
        self, seconds: float, call: Callable[[], None], clock: IReactorTime
    ) -> None:
        self._seconds = seconds
        self._call = call
        self._loop = LoopingCall(self._try)
        self._loop.clock = clock

    def start(self) -> None:
        """
        Call it after that many seconds, and so on.
        """
        self._loop.start(self._seconds, now=False)

    def stop(self) -> None:
        """
        Call it no more.
        """
        if self._loop.running:
            self._loop.stop()

    def _try(self) -> None:
        try:
            self._call()
        except Exception:
            self._log.failure("a bug in what is done every few seconds")
