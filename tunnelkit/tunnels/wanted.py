# -*- test-case-name: tests.tunnels.test_wanted -*-
"""
Wanted: a tunnel that the client's user asked for, until the server gives it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelkit.control.names import legible
from tunnelkit.control.session import Refusal
from tunnelkit.tunnels.spec import TunnelSpec
from tunnelkit.wire.codes import COMPRESS
from tunnelkit.wire.native.messages import Closed, Open, Opened

AGAIN: Final = (5.0, 15.0)
"""Seconds after which a tunnel that was refused for a while is asked for again, from
and to."""
_LONGEST: Final = 500
"""How much of a reason is shown, in characters; the server may have written it."""
_UNKNOWN: Final = (
    "the server knows nothing of compression: have it updated, or leave compress= away"
)


class Asked(Protocol):
    """
    A control channel, as a wanted tunnel sees it.
    """

    def open(self, request: Callable[[int], Open]) -> Deferred[Opened]:
        """
        Ask for a tunnel.
        """

    def close(self, tunnel: str) -> Deferred[Closed]:
        """
        Withdraw a tunnel.
        """


class Wanted:
    """
    A tunnel that is asked for at each login, and again while it is refused for a
    while; one that was open before is asked for again whatever the server says, as it
    was right once.

    @ivar spec: what the user said of it.
    @ivar address: its public address, or empty while it has none.
    @ivar refused: why it was refused for good, or empty.
    @ivar pending: fires with None after the server's answer has been dealt with; None
        while no answer is waited for.
    """

    _log = Logger()

    def __init__(
        self,
        spec: TunnelSpec,
        clock: IReactorTime,
        random: Callable[[], float],
        changed: Callable[[], None],
        lease: bool = True,
        patient: bool = False,
    ) -> None:
        """
        @param random: gives numbers from 0 to below 1.
        @param changed: told after each answer.
        @param lease: whether its port stays this user's afterwards.
        @param patient: whether it is asked for again whatever the server says, even
            where it was never open.
        """
        self.spec = spec
        self.address = ""
        self.refused = ""
        self.pending: Deferred[Any] | None = None
        self._clock = clock
        self._random = random
        self._changed = changed
        self._lease = lease
        self._channel: Asked | None = None
        self._again: IDelayedCall | None = None
        self._known = patient
        self._said = ""

    @property
    def reason(self) -> str:
        """
        Why it is refused at the moment, or empty.
        """
        return self._said

    def ask(self, channel: Asked) -> None:
        """
        Ask for it on a new control channel.
        """
        self.forget()
        self._channel = channel
        self.refused = ""
        self._ask(channel)

    def forget(self) -> None:
        """
        The control channel is gone, or the tunnel is not wanted any more.
        """
        self._channel = None
        self.address = ""
        self._cancel()

    def closed(self, closed: Closed) -> None:
        """
        The server has withdrawn it.
        """
        if self._channel is not None and self.address:
            refusal = Refusal(closed.code, closed.reason, closed.retry)
            self._refusedBy(refusal, self._channel)

    def _ask(self, channel: Asked) -> None:
        spec = self.spec
        asked: Deferred[Any] = channel.open(
            lambda id: Open(
                id,
                spec.name,
                spec.kind,
                spec.port,
                self._lease,
                spec.compress,
                spec.visitors,
                spec.key is not None,
            )
        )
        self.pending = asked
        asked.addBoth(self._heard, asked)
        asked.addCallbacks(
            self._opened, self._ebOpen, callbackArgs=(channel,), errbackArgs=(channel,)
        )
        asked.addErrback(
            lambda failure: self._log.failure("a bug at asking for a tunnel", failure)
        )

    def _heard(self, result: Any, asked: Deferred[Any]) -> Any:
        if self.pending is asked:
            self.pending = None
        return result

    def _opened(self, opened: Opened, channel: Asked) -> None:
        if channel is not self._channel:
            if self._channel is None:
                # It is not wanted any more, and the server does not know that yet.
                channel.close(self.spec.name).addErrback(lambda _: None)
            return
        if opened.compress != self.spec.compress:
            # Such a server has not even seen that it was asked.
            channel.close(self.spec.name).addErrback(lambda _: None)
            self._refusedBy(Refusal(COMPRESS, _UNKNOWN), channel)
            return
        self.address = opened.address
        self._known = True
        self._said = ""
        self._log.info(
            "{address} leads to {local} ({name})",
            address=legible(opened.address),
            local=str(self.spec.local),
            name=self.spec.name,
        )
        self._changed()

    def _ebOpen(self, failure: Failure, channel: Asked) -> None:
        failure.trap(Refusal)
        if channel is self._channel and isinstance(failure.value, Refusal):
            self._refusedBy(failure.value, channel)

    def _refusedBy(self, refusal: Refusal, channel: Asked) -> None:
        self.address = ""
        again = refusal.retry or self._known
        reason = legible(refusal.reason, _LONGEST)
        self._say(reason, again)
        if again:
            low, high = AGAIN
            wait = low + (high - low) * self._random()
            self._again = self._clock.callLater(wait, self._ask, channel)
        else:
            self.refused = reason
        self._changed()

    def _say(self, reason: str, again: bool) -> None:
        # At each try again the reason is most often the same.
        if reason != self._said:
            self._said = reason
            self._log.warn(
                "tunnel {name} is refused: {reason} ({then})",
                name=self.spec.name,
                reason=reason,
                then="trying again" if again else "not tried again",
            )

    def _cancel(self) -> None:
        if self._again is not None and self._again.active():
            self._again.cancel()
        self._again = None
