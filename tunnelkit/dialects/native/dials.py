# -*- test-case-name: tests.dialects.native.test_dialled -*-
"""
Dials: what the server has a client of our own protocol dial, as far as C{--allow} goes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime

from tunnelkit.control.names import legible
from tunnelkit.dialects.allowed import Pattern, allows, parseTarget
from tunnelkit.interfaces import IEnd, IRelay, Undialled
from tunnelkit.tunnels.local import DIALLING, LocalTCP
from tunnelkit.tunnels.spec import TunnelSpec
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.native.messages import DIAL, Start

_SPEC: Final = TunnelSpec(kind=DIAL, local=HostPort("localhost", 0), name="--allow")


class LocalDials(LocalTCP):
    """
    What may be dialled, and the connections that are.
    """

    def __init__(
        self, patterns: Iterable[Pattern], relay: IRelay, clock: IReactorTime
    ) -> None:
        super().__init__(_SPEC, relay, clock)
        self._patterns = tuple(patterns)

    def _dial(self, start: Start) -> IEnd | Deferred[IEnd]:
        network, _, address = start.address.partition("/")
        try:
            target = parseTarget(network, address)
        except ValueError as e:
            return fail(Undialled(ResetCode.UNREACHABLE, legible(str(e), 300)))
        if not allows(self._patterns, target):
            what = legible(start.address, 300)
            why = f"the server may not dial {what}: --allow {what} would let it"
            return fail(Undialled(ResetCode.DENIED, why))
        return self._relay.dial(target, DIALLING)
