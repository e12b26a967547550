# -*- test-case-name: tests.wire.pipe.test_packets -*-
"""
Packets: what pipe's programs say to each other, until a connection carries a visitor's
raw bytes.  L{tunnelkit.wire.pipe.codec} has them as bytes.

Every connection begins with a L{Login}, which is never answered.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from tunnelkit.wire.address import HIGHEST, HostPort

VERSION: Final = "0.0.1"
"""What a stock client calls itself; gnar's say C{v0.0.1-} and a hash."""
KINDS: Final = ("tcp", "udp")
"""What can be forwarded."""

_NAME: Final = 255
_LABEL: Final = 63


@dataclass(frozen=True, slots=True)
class Login:
    """
    Who opens a connection knows the secret; the first packet of each.

    @ivar token: see L{tunnelkit.wire.pipe.login.token}.
    @ivar timestamp: when it was made, in seconds of UNIX time.
    @ivar version: of the client's program.
    """

    token: str = field(repr=False)
    timestamp: int
    version: str = VERSION


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """
    The server lives; sent every second on a control connection.
    """


@dataclass(frozen=True, slots=True)
class Forward:
    """
    The client asks for a public port; C{ForwardReq} there.

    @ivar port: the port that it wants; it may be any number, see L{flaw}.
    @ivar subdomain: the name below the server's domain that it wants, or nothing.
    @ivar kind: C{tcp} or C{udp}; it may be any text.
    """

    port: int
    name: str
    subdomain: str
    kind: str


@dataclass(frozen=True, slots=True)
class Forwarded:
    """
    The answer to a L{Forward}; C{ForwardResp} there.

    @ivar good: whether the port is open.
    @ivar domain: the name that leads there, where the server gives names.
    @ivar reason: why it is not; servers of ours say so to clients of ours, and the
        programs pass it over.
    """

    good: bool
    domain: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Cancel:
    """
    The client takes a public port back, on a connection of its own; never answered.
    """

    name: str
    port: int


@dataclass(frozen=True, slots=True)
class Exchange:
    """
    From the server on a control connection: open a connection for this visitor, or for
    all datagrams.  From the client on that connection: this is it; raw bytes follow at
    once, or L{Datagram}s.

    @ivar id: the server's name for the visitor, given back as it is.
    """

    id: str
    kind: str


@dataclass(frozen=True, slots=True)
class Datagram:
    """
    One datagram, C{payload} may be empty; C{UDPDatagram} there.

    @ivar address: of the visitor; stock clients answer without it.  The scope of an
        IPv6 address stands behind a C{%}.
    """

    payload: bytes
    address: HostPort | None = None


FromClient: TypeAlias = Login | Forward | Cancel | Exchange | Datagram
"""What a client sends."""
FromServer: TypeAlias = Heartbeat | Forwarded | Exchange | Datagram
"""What a server sends."""
Packet: TypeAlias = FromClient | FromServer


def flaw(request: Forward) -> str | None:
    """
    Say why a L{Forward} can be granted by nobody.

    @return: the reason, in words for a log; None where there is none.  Port 0 is none:
        the server chooses.
    """
    if request.kind not in KINDS:
        return f"there is no kind {request.kind[:_LABEL]!r}: tcp or udp"
    if not 0 <= request.port <= HIGHEST:
        return f"{request.port} is not a port"
    if len(request.name.encode()) > _NAME:
        return f"a name of more than {_NAME} bytes"
    if request.subdomain and not _isLabel(request.subdomain):
        return f"{request.subdomain[:_LABEL]!r} cannot be a subdomain"
    return None


def _isLabel(text: str) -> bool:
    letters = text.replace("-", "a")
    ends = not text.startswith("-") and not text.endswith("-")
    return ends and text.isascii() and letters.isalnum() and len(text) <= _LABEL
