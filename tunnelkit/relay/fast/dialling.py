# -*- test-case-name: tests.relay.fast.test_dialling -*-
"""
Dialling: a connection to a local service at a literal address, made in the loop.
"""

from __future__ import annotations

import errno
import os
import socket
from functools import lru_cache
from typing import Final

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tunnelkit.interfaces import IEnd, Undialled
from tunnelkit.relay.connection import RESETTING, linger, namedAddress, tune
from tunnelkit.relay.fast.end import Socket
from tunnelkit.relay.fast.loop import OUT, Loop
from tunnelkit.relay.fast.raw import RawSocket
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.codes import ResetCode

_HERE: Final = ("127.", "::1")
# A lookup of an enumeration's member is not for nothing.
_KIND: Final[int] = socket.SOCK_STREAM | socket.SOCK_NONBLOCK
_TCP: Final[int] = socket.IPPROTO_TCP
_NODELAY: Final[int] = socket.TCP_NODELAY
_PENDING: Final = {errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY}


def dial(
    loop: Loop, clock: IReactorTime, address: HostPort, timeout: float
) -> IEnd | Deferred[IEnd]:
    """
    Connect to a literal address.

    @return: the connection where it is there at once; else a Deferred of it, which
        fails with L{Undialled} and can be cancelled.
    """
    family, pair, peer, here = _known(address.host, address.port)
    try:
        sock = Socket(family, _KIND)
    except OSError as e:
        return fail(_undialled(address, e.errno or 0))
    linger(sock, RESETTING)
    # The kernel need not ask whether this machine is still there.
    if here:
        sock.setsockopt(_TCP, _NODELAY, 1)
    else:
        tune(sock)
    try:
        number = sock.connect_ex(pair)
        if number in _PENDING:
            # Asked again it says whether it is there by now, as on one machine it is.
            number = sock.connect_ex(pair)
    except OSError as e:  # an address that is none, to this system
        number = e.errno or errno.EADDRNOTAVAIL
    if not number:
        return RawSocket(loop, sock, peer)
    if number in _PENDING:
        try:
            return _Dialling(loop, clock, sock, address, timeout).dialled
        except OSError as e:  # nothing is left to watch it with
            number = e.errno or 0
    sock.close()
    return fail(_undialled(address, number))


@lru_cache
def _known(host: str, port: int) -> tuple[int, tuple[str, int], str, bool]:
    """
    Say what can be known of an address, once for all who are connected to it: its
    family, how sockets have it, how people have it, and whether it is this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    pair = host, port
    return family, pair, namedAddress(pair), host.startswith(_HERE)


def _isThere(sock: Socket) -> bool:
    """
    Tell whether a connection was made.
    """
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


class _Dialling:
    """
    A connection that is not there yet.
    """

    def __init__(
        self,
        loop: Loop,
        clock: IReactorTime,
        sock: Socket,
        address: HostPort,
        timeout: float,
    ) -> None:
        self.dialled: Deferred[IEnd] = Deferred(self._cancelled)
        self._loop = loop
        self._sock = sock
        self._address = address
        self._timeout = timeout
        loop.watch(sock.fileno(), self, OUT)
        self._late: IDelayedCall = clock.callLater(timeout, self._tooLate)

    def happened(self, event: int) -> None:
        """
        It is there, or failed.
        """
        number = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not number and not (event & OUT and _isThere(self._sock)):
            return  # that was for another one, which had this descriptor before
        self._leave()
        if number:
            self._sock.close()
            self.dialled.errback(_undialled(self._address, number))
        else:
            peer = namedAddress((self._address.host, self._address.port))
            self.dialled.callback(RawSocket(self._loop, self._sock, peer))

    def failed(self) -> None:
        """
        A bug came up at who waits for it; that is in the log.
        """

    def _leave(self) -> None:
        self._loop.forget(self._sock.fileno())
        if self._late.active():
            self._late.cancel()

    def _cancelled(self, _: Deferred[IEnd]) -> None:
        self._leave()
        self._sock.close()

    def _tooLate(self) -> None:
        self._leave()
        self._sock.close()
        why = f"did not answer within {self._timeout:.0f} seconds"
        self.dialled.errback(_told(self._address, ResetCode.TIMEOUT, why))


def _undialled(address: HostPort, number: int) -> Undialled:
    if number == errno.ECONNREFUSED:
        return _told(address, ResetCode.REFUSED, "refused the connection")
    if number == errno.ETIMEDOUT:
        return _told(address, ResetCode.TIMEOUT, "did not answer")
    why = f"cannot be reached: {os.strerror(number)}"
    return _told(address, ResetCode.UNREACHABLE, why)


def _told(address: HostPort, code: ResetCode, why: str) -> Undialled:
    return Undialled(code, f"the local service {address} {why}")
