# -*- test-case-name: tests.relay.test_asked -*-
"""
Which address of this machine a datagram came to, where there are several, and how the
answer comes from there.  Linux tells, by what comes beside a datagram.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterable
from typing import Final, TypeAlias

ANCILLARY: Final = 64
"""Room for what is told beside a datagram, in bytes."""
ANYWHERE: Final = ("::", "0.0.0.0")
"""What is listened on where it is all addresses."""
TELLS: Final = sys.platform == "linux"
"""Whether this system tells.  Others may, each in its own way."""

_PKTINFO: Final = getattr(socket, "IP_PKTINFO", 8)
_PKTINFO6: Final = getattr(socket, "IPV6_PKTINFO", 50)
_RECVPKTINFO6: Final = getattr(socket, "IPV6_RECVPKTINFO", 49)
_LOCAL6: Final = b"\xfe\x80"
"""How addresses begin that mean something at one interface alone."""

Told: TypeAlias = Iterable[tuple[int, int, bytes]]
"""What is told beside a datagram, as the socket module has it."""
Source: TypeAlias = tuple[tuple[int, int, bytes], ...]
"""Where an answer is to come from, told in the same way; empty where there is nothing
to choose."""


def tell(sock: socket.socket) -> None:
    """
    Have a socket tell to which address each datagram came.

    @raise OSError: it cannot.
    """
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _RECVPKTINFO6, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _PKTINFO, 1)


def answering(told: Told) -> Source:
    """
    Say where an answer comes from: from where the question went, by whichever
    interface leads to who asked.
    """
    for level, kind, info in told:
        if (level, kind) == (socket.IPPROTO_IPV6, _PKTINFO6):
            if info[:2] != _LOCAL6:
                info = info[:16] + bytes(len(info) - 16)
            return ((level, kind, info),)
        if (level, kind) == (socket.IPPROTO_IP, _PKTINFO):
            # The interface is left open; the address stands where the source belongs.
            return ((level, kind, bytes(4) + info[8:12] + bytes(4)),)
    return ()


def sourceIn(source: Source) -> str:
    """
    Give the address in what L{answering} gave, if there is one.
    """
    for level, _, info in source:
        if level == socket.IPPROTO_IPV6:
            return socket.inet_ntop(socket.AF_INET6, info[:16])
        return socket.inet_ntop(socket.AF_INET, info[4:8])
    return ""
