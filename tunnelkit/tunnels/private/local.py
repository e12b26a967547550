# -*- test-case-name: tests.tunnels.private.test_local -*-
"""
Private on the client's side: a local service that other clients visit, encrypted from
end to end where it has a key.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IReactorTime

from tunnelkit.interfaces import IEnd, IRelay, IStreamEnd
from tunnelkit.tunnels.local import LocalTCP, hostPort
from tunnelkit.tunnels.localudp import LocalUDP, buckets
from tunnelkit.tunnels.spec import TunnelSpec
from tunnelkit.wire.address import HostPort, isAddress
from tunnelkit.wire.native.messages import Start
from tunnelkit.wire.proxy import proxyHeader

if TYPE_CHECKING:
    from tunnelkit.relay.wrapping.sealing import Sealing


class LocalPrivateUDP(LocalUDP):
    """
    A local service for datagrams, and the flows that are with it.
    """

    def __init__(self, spec: TunnelSpec, relay: IRelay, clock: IReactorTime) -> None:
        super().__init__(spec, relay, clock)
        if spec.key is not None:
            from tunnelkit.relay.flows.sealed import SealedShape

            self.flows.shape = SealedShape(
                self.flows.tally,
                spec.key,
                spec.name,
                False,
                clock,
                os.urandom,
                *buckets(spec.limits, clock),
            )


class LocalPrivate(LocalTCP):
    """
    A local service, and the visitors that are with it.
    """

    _sealing: Sealing | None = None

    def __init__(self, spec: TunnelSpec, relay: IRelay, clock: IReactorTime) -> None:
        super().__init__(spec, relay, clock)
        if spec.key is not None:
            # Most clients have none.
            from tunnelkit.relay.wrapping.sealing import Sealing

            self._sealing = Sealing(spec.key, spec.name, clock)

    def _opening(self, start: Start) -> bytes:
        """
        Make the PROXY header that tells the service which client visits.  There is no
        public address to which it came: that of the service stands there.
        """
        source, local = hostPort(start.visitor), self.spec.local
        there = local if isinstance(local, HostPort) and isAddress(local.host) else None
        if (
            source is None
            or there is None
            or (":" in source.host) != (":" in there.host)
        ):
            there = source
        return proxyHeader(self.spec.proxy, source, there)

    def _endOf(self, work: IStreamEnd) -> IEnd:
        if self._sealing is None:
            return super()._endOf(work)
        return self._sealing.end(work, client=False)
