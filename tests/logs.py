"""
What is logged while a test runs.
"""

from __future__ import annotations

from typing import cast

from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase


class Log:
    """
    Looks at the log until its test ends.
    """

    def __init__(self, case: SynchronousTestCase) -> None:
        self._events: list[LogEvent] = []
        observer = cast(ILogObserver, self._events.append)
        globalLogPublisher.addObserver(observer)
        case.addCleanup(globalLogPublisher.removeObserver, observer)

    def lines(self, *levels: str) -> list[str]:
        """
        Give what tunnelkit said at some levels.
        """
        return [
            formatEvent(event)
            for event in self._events
            if event["log_namespace"].startswith("tunnelkit.")
            and event["log_level"].name in levels
        ]

    def clear(self) -> None:
        """
        Forget what was said.
        """
        self._events.clear()
