# -*- test-case-name: tests.dialects.remotedialer.test_switchboard -*-
"""
Dialling: any protocol of Twisted's, connected through a client.

That a client has dialled is never said, only that it has not.  So a connection is taken
for open at its first bytes, or when no refusal came for a moment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from twisted.internet.address import (
    HostnameAddress,
    IPv4Address,
    IPv6Address,
    UNIXAddress,
)
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from zope.interface import implementer

from tunnelkit.dialects.remotedialer.ends import LineEnd, nobody
from tunnelkit.dialects.remotedialer.line import Line
from tunnelkit.relay.portable.protocol import ProtocolEnd
from tunnelkit.relay.streams.join import Join
from tunnelkit.wire.address import HostPort, isAddress, parseHostPort
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.remotedialer.messages import routed

GRACE: Final = (0.05, 1.0)
"""Seconds to wait for a refusal, from and to; between them twice the client's round
trip."""


class NotDialled(ConnectError):
    """
    It could not be dialled.  The text says why.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(string=reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


@implementer(IStreamClientEndpoint)
class DialledEndpoint:
    """
    Something that a client can dial.
    """

    def __init__(
        self,
        dial: Callable[[], LineEnd],
        grace: float | None,
    ) -> None:
        """
        @param dial: dials; raises L{NotDialled}.
        @param grace: how long to wait for a refusal, in seconds; None for what suits
            the client's distance.
        """
        self._dial = dial
        self._grace = grace

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Dial.

        @return: can be cancelled; the client is told then.
        """
        try:
            end = self._dial()
        except NotDialled as e:
            return fail(e)
        clock = end.clock

        def begin(protocol: IProtocol, here: IAddress, there: IAddress) -> None:
            near = ProtocolEnd(protocol, here, there, clock, halves=False)
            Join(clock).start(near, end, b"")

        grace = graceFor(self._grace, end.roundTrip)
        return Connecting(end, protocolFactory, clock, grace, begin).connected


class Awaited(Protocol):
    """
    The end of such a connection.

    @ivar peer: what was dialled.
    @ivar failure: why that failed; empty where it did not.
    @ivar stirred: told of each sign of the other side's.
    """

    peer: str
    stirred: Callable[[], None]

    @property
    def failure(self) -> str: ...

    def abort(self) -> None:
        """
        Fail it.
        """

    def giveUp(self, code: ResetCode, reason: str) -> None:
        """
        Fail it, with a reason for the client.
        """


class Connecting:
    """
    A connection of which it is not known yet whether it is open.

    @ivar connected: fires when it is; fails with L{NotDialled}, and can be cancelled.
    """

    def __init__(
        self,
        end: Awaited,
        factory: IProtocolFactory,
        clock: IReactorTime,
        grace: float,
        begin: Callable[[IProtocol, IAddress, IAddress], None],
    ) -> None:
        """
        @param grace: how long to wait for a refusal, in seconds.
        @param begin: joins a protocol to the end, with its two addresses.
        """
        self.connected: Deferred[IProtocol] = Deferred(self._cancelled)
        self._end = end
        self._factory = factory
        self._begin = begin
        self._late = clock.callLater(grace, self._open)
        end.stirred = self._stirred
        if end.failure:
            self._stirred()

    def _stirred(self) -> None:
        if self._end.failure:
            self._over()
            self._end.abort()
            self.connected.errback(NotDialled(self._end.failure))
        else:
            self._open()

    def _open(self) -> None:
        self._over()
        address = addressOf(self._end.peer)
        try:
            protocol = self._factory.buildProtocol(address)
        except Exception:
            self._end.abort()
            self.connected.errback()
            return
        if protocol is None:
            self._end.abort()
            self.connected.errback(NotDialled("nobody wants the connection"))
            return
        self._begin(protocol, IPv4Address("TCP", "127.0.0.1", 0), address)
        self.connected.callback(protocol)

    def _cancelled(self, connected: Deferred[IProtocol]) -> None:
        self._over()
        self._end.giveUp(ResetCode.WITHDRAWN, "the dial was given up")

    def _over(self) -> None:
        self._end.stirred = nobody
        if self._late.active():
            self._late.cancel()


def dialledBy(line: Line, target: str, key: str = "") -> LineEnd:
    """
    Dial across a line.

    @param target: what the other side is to dial, as C{tcp/127.0.0.1:80}.
    @param key: through which of its clients.
    @raise NotDialled: that cannot be tried.
    """
    network, slash, address = target.partition("/")
    if not slash:
        raise NotDialled(f"{target!r} is not NETWORK/ADDRESS, as tcp/127.0.0.1:80")
    try:
        return line.dial(routed(key, network) if key else network, address)
    except (ValueError, ConnectionError) as e:
        raise NotDialled(f"{target[:300]} cannot be dialled: {e}") from None


def addressOf(target: str) -> IAddress:
    """
    Give what was dialled as an address of Twisted's.
    """
    network, _, text = target.partition("/")
    if network.rpartition("::")[2].startswith("unix"):
        return UNIXAddress(text.encode())
    try:
        found = parseHostPort(text)
    except ValueError:
        found = HostPort(text, 0)
    if not isAddress(found.host):
        return HostnameAddress(found.host.encode(), found.port)
    kind = IPv6Address if ":" in found.host else IPv4Address
    return kind("TCP", found.host, found.port)


def graceFor(grace: float | None, roundTrip: float | None) -> float:
    """
    Say how long to wait for a refusal, in seconds.

    @param grace: what the caller wants; None for what suits the client's distance.
    @param roundTrip: that, in seconds, or None where it is not known.
    """
    if grace is not None:
        return grace
    low, high = GRACE
    return min(high, max(low, 2 * (roundTrip or 0.0)))
