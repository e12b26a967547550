# -*- test-case-name: tests.dialects.native.test_calling -*-
"""
Requests: what a client has asked its server for and waits for the answer to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from tunnelkit.control.session import Refusal
from tunnelkit.wire import codes
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.native.messages import Close, Dial, Open

PATIENCE: Final = 10.0
"""Seconds for the answer to a request."""
DIALLING: Final = 30.0
"""Seconds for the answer to a dial, for which the server waits for two clients, one
after the other."""

Request: TypeAlias = Open | Close | Dial


class Requests:
    """
    Requests under way, by number.
    """

    def __init__(self, send: Callable[[Request], None], clock: IReactorTime) -> None:
        self._send = send
        self._clock = clock
        # Each with the kind of answer that it gets if it is not refused.
        self._waiting: dict[int, tuple[Deferred[Any], type]] = {}
        self._last = 0
        self._over: Refusal | None = None

    def ask(
        self,
        request: Callable[[int], Request],
        answer: type,
        patience: float = PATIENCE,
    ) -> Deferred[Any]:
        """
        Ask for something.

        @param request: makes the request of its number.
        @param answer: the kind of answer.
        @return: fails with L{Refusal}; may be cancelled.
        """
        if self._over is not None:
            return fail(self._over)
        self._last += 1
        answered: Deferred[Any] = Deferred()
        self._waiting[self._last] = answered, answer
        answered.addTimeout(patience, self._clock, _unanswered)
        answered.addBoth(self._forget, self._last)
        self._send(request(self._last))
        return answered

    def answered(self, number: int, kind: type, value: object) -> bool:
        """
        An answer came.

        @param kind: of what kind it is.
        @param value: what to give to who waits for it.
        @return: whether somebody does.
        @raise WireError: it answers something else.
        """
        waiting, expected = self._waiting.get(number, (None, None))
        if waiting is None:
            return False
        if kind is not expected:
            raise WireError(f"{kind.__name__.lower()} answers another request")
        waiting.callback(value)
        return True

    def refused(self, number: int, refusal: Refusal) -> bool:
        """
        The server declined.

        @return: whether somebody waited for it.
        """
        waiting, _ = self._waiting.get(number, (None, None))
        if waiting is not None:
            waiting.errback(refusal)
        return waiting is not None

    def fail(self, refusal: Refusal) -> None:
        """
        Nothing will be answered any more.
        """
        self._over = refusal
        for waiting, _ in [*self._waiting.values()]:
            waiting.errback(refusal)

    def _forget(self, result: Any, number: int) -> Any:
        del self._waiting[number]
        return result


def _unanswered(result: Any, seconds: float) -> Any:
    if isinstance(result, Failure):
        raise Refusal(codes.SILENT, f"no answer in {seconds:.0f} seconds", retry=True)
    return result
