# -*- test-case-name: tests.relay.test_connection -*-
"""
Connection: a Twisted transport whose bytes go to whoever holds it at the moment.

A connection on the server's port is looked at first, then put under TLS, then
logged in or lent to the relay.  Each of these holds it for a while and hands it on.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IHandshakeListener,
    IPushProducer,
    ISSLTransport,
    ITCPTransport,
    ITransport,
)
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import Attribute, implementer

from tunnelkit.wire.address import HostPort, unmapped

_KEEPALIVE: Final = {
    getattr(socket, name): value
    for name, value in (
        ("TCP_KEEPIDLE", 30),
        ("TCP_KEEPINTVL", 10),
        ("TCP_KEEPCNT", 3),
    )
    if hasattr(socket, name)
}
"""When the kernel asks whether a silent peer is there: after so many seconds, so many
seconds apart, so often."""

_ROUND_TRIP: Final = 68
"""Where in Linux's C{struct tcp_info} the smoothed round trip is, in microseconds."""


RESETTING: Final = struct.pack("ii", 1, 0)
"""SO_LINGER of a socket whose close, or the death of its process, is a reset."""
ENDING: Final = struct.pack("ii", 0, 0)
"""SO_LINGER of a socket whose close is an end."""


BUFFER: Final = 32768
"""How much is read at once, and how much may wait to be written, in bytes.  Twice as
much is a third faster in bulk; but of 200 visitors that never read, each costs some
four times this, and both halves are to stay below 60 MiB."""


_PEEK: Final = socket.MSG_PEEK | getattr(socket, "MSG_DONTWAIT", 0)


class IRelayTransport(ITCPTransport, IConsumer, IPushProducer):
    """
    What every transport under tunnelkit can do.
    """

    bufferSize: int = Attribute("how much is read at once, and may wait to be written")
    disconnecting: bool = Attribute("whether it was asked to close")


@implementer(IPushProducer)
class Gauge:
    """
    Tells a listener when a transport's write buffer is full and when it is empty.
    It stops nothing: a transport registered as producer would be closed by its
    consumer's end.
    """

    __slots__ = ("pauseProducing", "resumeProducing")

    def __init__(self, blocked: Callable[[], None], ready: Callable[[], None]) -> None:
        self.pauseProducing = blocked
        self.resumeProducing = ready

    def stopProducing(self) -> None:
        """
        The transport is lost, which its protocol hears by itself.
        """


class Holder:
    """
    Who holds a connection at the moment.

    @ivar connection: the connection.
    """

    connection: Connection

    def held(self, connection: Connection) -> None:
        """
        The connection is this holder's now.
        """
        self.connection = connection

    def dataReceived(self, data: bytes) -> None:
        """
        Bytes came.
        """

    def handshakeCompleted(self) -> None:
        """
        The TLS of the transport is up.
        """

    def connectionLost(self, reason: Failure) -> None:
        """
        The connection is gone.
        """


_NOBODY: Final = Holder()


@implementer(IHandshakeListener)
class Connection(Protocol):
    """
    A connection that is handed from holder to holder.

    @ivar first: the peer's first bytes, where something kept them.
    """

    transport: IRelayTransport
    first: bytes = b""

    def __init__(self, holder: Holder) -> None:
        self._holder = holder

    def hold(self, holder: Holder) -> None:
        """
        Give everything that comes from now on to C{holder}.
        """
        self._holder = holder
        holder.held(self)

    def connectionMade(self) -> None:
        """
        The transport is there: tell the first holder.
        """
        tuned(self.transport)
        self._holder.held(self)

    def dataReceived(self, data: bytes) -> None:
        """
        Pass bytes on.
        """
        self._holder.dataReceived(data)

    def handshakeCompleted(self) -> None:
        """
        Pass that on.
        """
        self._holder.handshakeCompleted()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """
        Pass the end on, and let go of who held it: there is no cycle left to collect.
        """
        holder, self._holder = self._holder, _NOBODY
        holder.connectionLost(reason)


def socketTransport(transport: Any) -> Any:
    """
    Give the transport that has the socket: the one itself, or that below its TLS.
    """
    while (below := getattr(transport, "transport", None)) is not None:
        transport = below
    return transport


def socketOf(transport: Any) -> socket.socket | None:
    """
    Give the socket under a transport, TLS or not, or None where it has none, as in
    a test or after its end.
    """
    transport = socketTransport(transport)
    with contextlib.suppress(AttributeError):
        handle = transport.getHandle()
        return handle if isinstance(handle, socket.socket) else None
    return None


def isTLS(transport: ITransport) -> bool:
    """
    Tell whether there is TLS on a transport: then no half of it ends alone, and what
    its socket has is not yet what was said.
    """
    return bool(ISSLTransport.providedBy(transport))


def quiet(transport: ITransport) -> bool:
    """
    Tell whether nothing is there that was not read yet: bytes, the end, or a failure.
    A transport without a socket, or under TLS, is taken to be quiet.
    """
    handle = None if isTLS(transport) else socketOf(transport)
    if handle is None:
        return True
    try:
        handle.recv(1, _PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def unwritten(transport: Any) -> int | None:
    """
    Tell how many bytes a transport has not given to the kernel, also when it is lost;
    None where that is not known, as under TLS.
    """
    if isTLS(transport) or not hasattr(transport, "dataBuffer"):
        return None
    waits = len(transport.dataBuffer) - transport.offset
    return int(waits + transport._tempDataLen)


def tuned(transport: ITransport) -> None:
    """
    Let small writes go at once, and have the kernel ask whether a silent peer is
    still there.
    """
    handle = socketOf(transport)
    if handle is not None:
        tune(handle)


def tune(handle: socket.SocketType) -> None:
    """
    Do so with a socket, or with a listening one for all that it accepts.
    """
    if handle.family not in (socket.AF_INET, socket.AF_INET6):
        return
    with contextlib.suppress(OSError):
        handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, seconds in _KEEPALIVE.items():
            handle.setsockopt(socket.IPPROTO_TCP, option, seconds)


def linger(handle: socket.SocketType | None, how: bytes) -> None:
    """
    Set SO_LINGER, where there is a socket.
    """
    if handle is not None:
        try:
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, how)
        except OSError:
            return  # it is gone


def giveUpAfter(transport: ITransport, seconds: float) -> None:
    """
    Have the kernel give a connection up when what was sent is not acknowledged for
    so long.  Never for work connections: a paused reader is not a dead peer.
    """
    handle = socketOf(transport)
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if handle is not None and option is not None:
        with contextlib.suppress(OSError):
            handle.setsockopt(socket.IPPROTO_TCP, option, int(seconds * 1000))


def roundTripOf(transport: ITransport) -> float | None:
    """
    Give the round trip to the peer in seconds, as the kernel knows it from the first
    packets on; None where it does not tell.
    """
    handle = socketOf(transport)
    option = getattr(socket, "TCP_INFO", None)
    if handle is None or option is None or sys.platform != "linux":
        return None
    with contextlib.suppress(OSError, struct.error):
        told = handle.getsockopt(socket.IPPROTO_TCP, option, _ROUND_TRIP + 4)
        return float(struct.unpack_from("=I", told, _ROUND_TRIP)[0]) / 1e6
    return None


def named(address: IAddress | None, otherwise: str = "a UNIX socket") -> str:
    """
    Give an address as text: C{HOST:PORT} where it has those, else its path, else
    C{otherwise}.
    """
    host = getattr(address, "host", None)
    if isinstance(host, str):
        return str(HostPort(unmapped(host), getattr(address, "port", 0)))
    path = getattr(address, "name", None)
    if isinstance(path, bytes) and path:
        return "unix:" + path.decode(errors="replace")
    return otherwise


def namedAddress(address: tuple[Any, ...]) -> str:
    """
    Give an address of the socket module's, of IPv4 or IPv6, as text.
    """
    host, port = address[:2]
    if ":" in host:
        host = unmapped(host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def peerOf(transport: ITransport) -> str:
    """
    Say who is at the other side of a transport.
    """
    return named(transport.getPeer())
