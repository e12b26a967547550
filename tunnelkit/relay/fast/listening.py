# -*- test-case-name: tests.relay.fast.test_listening -*-
"""
Listening: a public port whose visitors are sockets of the loop's from the first.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Final

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IDelayedCall, IListeningPort, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from tunnelkit.relay.connection import RESETTING, linger, namedAddress, tune
from tunnelkit.relay.fast.end import Socket
from tunnelkit.relay.fast.loop import IN, Loop
from tunnelkit.relay.fast.raw import RawSocket

AT_ONCE: Final = 64
"""Visitors that are accepted before others have their turn."""
RESPITE: Final = 0.5
"""Seconds for which nobody is accepted after the system had no descriptor left."""

_EVERYWHERE: Final = ("::", "0.0.0.0")
_STREAM: Final[int] = socket.SOCK_STREAM
_EXHAUSTED: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


@implementer(IListeningPort)
class Listening:
    """
    A public port.
    """

    _log = Logger()

    def __init__(
        self,
        loop: Loop,
        clock: IReactorTime,
        host: str,
        port: int,
        backlog: int,
        arrived: Callable[[RawSocket], None],
    ) -> None:
        """
        @param host: an address; one of IPv6 takes IPv4 as well where it is C{::}.
        @param arrived: told of each visitor.
        """
        self._loop = loop
        self._clock = clock
        self._host = host
        self._port = port
        self._backlog = backlog
        self._arrived = arrived
        self._sock: Socket | None = None
        self._family: int = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._local = ""  # what all visitors come to, where that is one address
        self._again: IDelayedCall | None = None

    def startListening(self) -> None:
        """
        Listen.

        @raise CannotListenError: the port cannot be had.
        """
        sock = Socket(self._family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if self._family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            # What is accepted has all that, too.
            linger(sock, RESETTING)
            tune(sock)
            sock.bind((self._host, self._port))
            sock.listen(self._backlog)
            self._loop.watch(sock.fileno(), self, IN)
        except OSError as e:
            sock.close()
            raise CannotListenError(self._host, self._port, e) from e
        self._sock = sock
        if self._host not in _EVERYWHERE:
            self._local = namedAddress(sock.getsockname())

    def stopListening(self) -> Deferred[None]:
        """
        Accept nobody any more; the port is free at once.
        """
        sock, self._sock = self._sock, None
        if sock is not None:
            if self._again is not None and self._again.active():
                self._again.cancel()
            else:
                self._loop.forget(sock.fileno())
            sock.close()
        return succeed(None)

    def getHost(self) -> IPv4Address | IPv6Address:
        """
        Give the address.
        """
        assert self._sock is not None, "not listening"
        host, port = self._sock.getsockname()[:2]
        kind = IPv6Address if ":" in host else IPv4Address
        return kind("TCP", host, port)

    def happened(self, event: int) -> None:
        """
        Somebody came.
        """
        for _ in range(AT_ONCE):
            if self._sock is None:
                return
            try:
                fd, address = self._sock._accept()  # type: ignore[attr-defined]
            except BlockingIOError:
                return
            except OSError as e:
                if e.errno in _EXHAUSTED:
                    self._rest(e)
                    return
                continue  # one that went before it was there
            accepted = Socket(self._family, _STREAM, 0, fd)
            accepted.setblocking(False)
            peer = namedAddress(address)
            visitor = RawSocket(self._loop, accepted, peer, True, self._local)
            try:
                self._arrived(visitor)
            except Exception:
                self._bug(visitor)

    def failed(self) -> None:
        """
        A bug came up; it is in the log.
        """

    def _bug(self, visitor: RawSocket) -> None:
        self._log.failure("a bug at the arrival of {peer}", peer=visitor.peer)
        visitor.abort()

    def _rest(self, error: OSError) -> None:
        """
        Leave those who come to the kernel for a while.
        """
        assert self._sock is not None, "not listening"
        self._log.error(
            "cannot accept visitors on port {port}: {reason}; trying again",
            port=self.getHost().port,
            reason=error.strerror,
        )
        self._loop.forget(self._sock.fileno())
        self._again = self._clock.callLater(RESPITE, self._resume)

    def _resume(self) -> None:
        self._again = None
        if self._sock is not None:
            self._loop.watch(self._sock.fileno(), self, IN)
