# -*- test-case-name: tests.relay.fast.flows.test_udp -*-
"""
UDP: what Linux can do with datagrams, and Python has no words for.
"""

from __future__ import annotations

import errno
import socket
from struct import Struct
from typing import Any, Final

from tunnelkit.relay.asked import Source, tell
from tunnelkit.relay.portable.udp import ROOM
from tunnelkit.wire.native.datagrams import LARGEST, Run

FEW: Final = 4
"""Datagrams from which on it pays to send them in one call."""
PLACE: Final = memoryview(bytearray(1 << 16))
"""Where a datagram is read to; it stands there until it is framed, which is at once."""

_UDP_SEGMENT: Final = 103
_PIECES: Final = 64
_SIZE: Final = Struct("=H")
_CUT: Final = {errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.ENOPROTOOPT}
"""What a system says that cannot cut, or not into such pieces."""


def cut(sock: socket.socket, run: Run, source: Source, address: Any) -> bool:
    """
    Send datagrams of one size as one, which the system cuts again.

    @param source: where they come from, or nothing.
    @param address: where they go, or None where the socket is connected.
    @return: whether it can; if not, nothing was sent.
    @raise OSError: they were not sent, for another reason.
    """
    size = len(run[0])
    most = min(_PIECES, LARGEST // size) if size else 0
    if most < FEW:
        return False
    how = [*source, (socket.IPPROTO_UDP, _UDP_SEGMENT, _SIZE.pack(size))]
    try:
        for at in range(0, len(run), most):
            sock.sendmsg(run[at : at + most], how, 0, address)
    except OSError as e:
        if e.errno in _CUT:
            return False
        raise
    return True


def bound(host: str, port: int, anywhere: bool) -> socket.socket:
    """
    Make the socket of a public port.

    @param anywhere: whether it is to tell to which address each datagram came.
    @raise OSError: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if anywhere:
            tell(sock)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock
