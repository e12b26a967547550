# -*- test-case-name: tests.relay.fast.test_udp -*-
"""
UDP: what Linux can do with datagrams, and Python has no words for.
"""

from __future__ import annotations

import errno
import socket
from struct import Struct
from typing import Any, Final, TypeAlias

from tunnelkit.wire.datagrams import LARGEST, Run

ROOM: Final = 4 << 20
"""How much the system is asked to hold that was not read yet, in bytes."""
FEW: Final = 4
"""Datagrams from which on it pays to send them in one call."""
PLACE: Final = memoryview(bytearray(1 << 16))
"""Where a datagram is read to; it stands there until it is framed, which is at once."""
ANCILLARY: Final = 64
"""Room for what is told beside a datagram, in bytes."""

_UDP_SEGMENT: Final = 103
_PIECES: Final = 64
_SIZE: Final = Struct("=H")
_CUT: Final = {errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.ENOPROTOOPT}
"""What a system says that cannot cut, or not into such pieces."""

_PKTINFO: Final = getattr(socket, "IP_PKTINFO", 8)
_PKTINFO6: Final = getattr(socket, "IPV6_PKTINFO", 50)
_RECVPKTINFO6: Final = getattr(socket, "IPV6_RECVPKTINFO", 49)
_LOCAL6: Final = b"\xfe\x80"
"""How addresses begin that mean something at one interface alone."""

Ancillary: TypeAlias = list[tuple[int, int, bytes]]
"""What is told beside a datagram, as the socket module has it."""


def cut(sock: socket.socket, run: Run, source: Ancillary, address: Any) -> bool:
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
                sock.setsockopt(socket.IPPROTO_IPV6, _RECVPKTINFO6, 1)
        elif anywhere:
            sock.setsockopt(socket.IPPROTO_IP, _PKTINFO, 1)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def answering(told: Ancillary) -> Ancillary:
    """
    Say where an answer comes from: from where the question went, by whichever
    interface leads to who asked.
    """
    for level, kind, info in told:
        if (level, kind) == (socket.IPPROTO_IPV6, _PKTINFO6):
            if info[:2] != _LOCAL6:
                info = info[:16] + bytes(len(info) - 16)
            return [(level, kind, info)]
        if (level, kind) == (socket.IPPROTO_IP, _PKTINFO):
            # The interface is left open; the address stands where the source belongs.
            return [(level, kind, bytes(4) + info[8:12] + bytes(4))]
    return []


def sourceIn(source: Ancillary) -> str:
    """
    Give the address in what L{answering} gave, if there is one.
    """
    for level, _, info in source:
        if level == socket.IPPROTO_IPV6:
            return socket.inet_ntop(socket.AF_INET6, info[:16])
        return socket.inet_ntop(socket.AF_INET, info[4:8])
    return ""
