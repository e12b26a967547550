# -*- test-case-name: tests.endpoints.test_dialling -*-
"""
Dialling through a tunnel: an endpoint that connects to a private tunnel of another
client.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from zope.interface import implementer

from tunnelkit.control.session import Refusal
from tunnelkit.endpoints.addresses import NOBODY
from tunnelkit.endpoints.shared import SharedClient, sharedBy
from tunnelkit.interfaces import IEnd, IJoin, IStreamEnd, Outcome
from tunnelkit.relay.portable.protocol import ProtocolEnd
from tunnelkit.settings import ClientSettings
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.endkey import EndKey

PATIENCE: Final = 30.0
"""Seconds to get through, the login included."""


class NotReached(ConnectError):
    """
    A tunnel could not be dialled.  The text says why.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(string=reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


@implementer(IStreamClientEndpoint)
class TunnelClientEndpoint:
    """
    A private tunnel.
    """

    def __init__(
        self,
        reactor: Any,
        settings: ClientSettings,
        name: str,
        timeout: float = PATIENCE,
        key: EndKey | None = None,
    ) -> None:
        """
        @param settings: which server, and as who.
        @param name: the tunnel's name.
        @param timeout: seconds to get through.
        @param key: by which the two clients encrypt what they say; None where they do
            not.
        """
        self._reactor = reactor
        self._settings = settings
        self._name = name
        self._timeout = timeout
        self._key = key

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Dial.

        @return: fails with L{NotReached}; can be cancelled.
        """
        shared = sharedBy(self._reactor, self._settings)
        shared.converse(1)
        dialled = Deferred.fromCoroutine(self._dial(shared, protocolFactory))
        dialled.addTimeout(self._timeout, self._reactor, self._late)
        return dialled

    async def _dial(self, shared: SharedClient, factory: IProtocolFactory) -> IProtocol:
        try:
            await shared.ready()
            work = await shared.dial(self._name, sealed=self._key is not None)
            protocol = self._speak(shared, factory, work)
        except Refusal as e:
            shared.converse(-1)
            raise NotReached(f"tunnel {self._name}: {e.reason}") from None
        except BaseException:
            shared.converse(-1)
            raise
        return protocol

    def _speak(
        self, shared: SharedClient, factory: IProtocolFactory, work: IStreamEnd
    ) -> IProtocol:
        there = IPv4Address("TCP", self._name, 0)
        try:
            protocol = factory.buildProtocol(there)
        except BaseException:
            work.refuse(ResetCode.INTERNAL, "the client has a bug: see its log")
            raise
        if protocol is None:
            work.refuse(ResetCode.WITHDRAWN, "nobody wants the connection any more")
            raise NotReached(f"tunnel {self._name}: nobody wants the connection")

        def ended(join: IJoin, outcome: Outcome) -> None:
            shared.converse(-1)

        near = ProtocolEnd(protocol, NOBODY, there, self._reactor)
        end: IEnd = work
        if self._key is not None:
            # Few tunnels are encrypted from end to end, which takes a library.
            from tunnelkit.relay.wrapping.sealing import Sealing

            sealing = Sealing(self._key, self._name, self._reactor)
            end = sealing.end(work, client=True)
        shared.relay.join(near, end, b"").tell(ended)
        return protocol

    def _late(self, result: Any, timeout: float) -> Any:
        raise NotReached(f"tunnel {self._name}: no answer in {timeout:g} seconds")
