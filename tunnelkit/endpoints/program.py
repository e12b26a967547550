# -*- test-case-name: tests.endpoints.test_listening -*-
"""
Program: this program, or a part of it, as the service behind a tunnel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IProtocolFactory, IReactorTime
from twisted.python.failure import Failure

from tunnelkit.endpoints.addresses import addressOf
from tunnelkit.interfaces import IEnd, IJoin, IRelay, Outcome, Undialled
from tunnelkit.relay.portable.protocol import ProtocolEnd
from tunnelkit.tunnels.private.local import LocalPrivate
from tunnelkit.tunnels.spec import TunnelSpec
from tunnelkit.wire.address import LocalAddress
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.native.messages import Start


@dataclass(frozen=True, slots=True)
class Here:
    """
    Where such a service is, for the log.

    @ivar what: what it is called.
    """

    what: str

    def __str__(self) -> str:
        return f"this program ({self.what})"


def here(factory: IProtocolFactory | None) -> LocalAddress:
    """
    Give the place of a factory's protocols, which nobody can dial.
    """
    return cast(LocalAddress, Here(type(factory).__name__))


class LocalProgram(LocalPrivate):
    """
    A factory of Twisted's that has a protocol for each visitor.
    """

    def __init__(
        self,
        spec: TunnelSpec,
        relay: IRelay,
        clock: IReactorTime,
        factory: IProtocolFactory,
        left: Callable[[], object],
    ) -> None:
        """
        @param left: told when a visitor has gone.
        """
        super().__init__(spec, relay, clock)
        self._clock = clock
        self._factory = factory
        self._left = left

    def _dial(self, start: Start) -> IEnd | Deferred[IEnd]:
        visitor = addressOf(start.visitor)
        try:
            protocol = self._factory.buildProtocol(visitor)
        except Exception:
            return fail(Failure())
        if protocol is None:
            reason = "the program takes no visitors now"
            return fail(Undialled(ResetCode.REFUSED, reason))
        return ProtocolEnd(protocol, addressOf(start.address), visitor, self._clock)

    def _ended(self, join: IJoin, outcome: Outcome) -> None:
        super()._ended(join, outcome)
        self._left()
