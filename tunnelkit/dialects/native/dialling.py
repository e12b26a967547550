# -*- test-case-name: tests.dialects.native.test_dialled -*-
"""
Dialling: any protocol of Twisted's, connected through a client of our own protocol.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from zope.interface import implementer

from tunnelkit.carrier.pool import NoWork
from tunnelkit.control.session import Session
from tunnelkit.dialects.allowed import parseTarget
from tunnelkit.dialects.native.dialled import Asked, ClientName, Natives, isBusy
from tunnelkit.dialects.remotedialer.dialling import (
    Connecting,
    NotDialled,
    graceFor,
)
from tunnelkit.relay.portable.protocol import ProtocolEnd


@implementer(IStreamClientEndpoint)
class NativeEndpoint:
    """
    Something that such a client can dial.
    """

    def __init__(
        self,
        natives: Natives | None,
        name: ClientName,
        target: str,
        grace: float | None,
    ) -> None:
        """
        @param target: C{tcp/HOST:PORT}, or C{unix/PATH}.
        @param grace: how long to wait for a refusal, in seconds; None for what suits
            the client's distance.
        """
        self._natives = natives
        self._name = name
        self._target = target
        self._grace = grace

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Dial.

        @return: fails with L{NotDialled}; can be cancelled, and the client is told
            then.
        """
        natives = self._natives
        session = None if natives is None else natives.find(self._name)
        if natives is None or session is None:
            return fail(NotDialled(f"no client {self._name} is connected"))
        network, _, address = self._target.partition("/")
        try:
            parseTarget(network, address)
        except ValueError as e:
            return fail(NotDialled(f"{self._target[:300]} cannot be dialled: {e}"))
        if not session.allowed():
            return fail(NotDialled("the token was revoked, or has expired"))
        if isBusy(session):
            return fail(NotDialled(f"client {self._name} has too many streams"))
        return Deferred.fromCoroutine(self._connect(natives, session, protocolFactory))

    async def _connect(
        self, natives: Natives, session: Session, factory: IProtocolFactory
    ) -> IProtocol:
        assert session.works is not None, "no client of ours"
        try:
            work = await session.works.take()
        except NoWork as e:
            raise NotDialled(str(e)) from None
        end = Asked(session, work, self._target)

        def begin(protocol: IProtocol, here: IAddress, there: IAddress) -> None:
            near = ProtocolEnd(protocol, here, there, natives.clock)
            natives.relay.join(near, end, b"")

        grace = graceFor(self._grace, session.heartbeat.roundTrip)
        connecting = Connecting(end, factory, natives.clock, grace, begin)
        return await connecting.connected
