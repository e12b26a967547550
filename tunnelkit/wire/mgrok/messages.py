# -*- test-case-name: tests.wire.mgrok.test_messages -*-
"""
Messages: what mgrok's programs say to each other.  L{tunnelkit.wire.mgrok.codec} has
them as bytes.

The client's first stream is the control stream: a L{Handshake}, then a L{Register} for
each tunnel.  Neither is ever answered, a refusal neither.  Each visitor, and each
datagram of a visitor's, gets a stream of the server's that begins with a L{NewStream}.
"""

from __future__ import annotations

from dataclasses import dataclass
from hmac import compare_digest
from typing import Final, TypeAlias

KINDS: Final = ("tcp", "udp")
"""What can be registered."""


@dataclass(frozen=True, slots=True, repr=False)
class Handshake:
    """
    Who the client is: the shared secret as it stands.  C{repr()} hides it.
    """

    token: bytes

    def __repr__(self) -> str:
        return "Handshake(token=...)"


@dataclass(frozen=True, slots=True)
class Register:
    """
    The client asks for a public port.

    @ivar kind: C{tcp} or C{udp}.
    @ivar remotePort: the public port; 0 for any, which the client never learns.
    @ivar localPort: of the service, for information.
    @ivar name: may be empty, and has at most 255 bytes of UTF-8.
    """

    kind: str
    remotePort: int
    localPort: int
    name: str


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """
    Asked on the control stream, and answered there by the same.
    """


@dataclass(frozen=True, slots=True)
class NewStream:
    """
    What a stream of the server's is for; raw bytes follow, or datagrams.

    @ivar stream: its number, for information.
    @ivar remotePort: the public port that the visitor came to.
    @ivar name: of the tunnel.
    """

    stream: int
    remotePort: int
    name: str


Control: TypeAlias = Register | Heartbeat
"""What a client says after its handshake."""


def isGenuine(said: Handshake, secret: str) -> bool:
    """
    Tell whether a handshake has the secret, in a time that does not depend on how much
    of it is right.  None has an empty one.
    """
    return compare_digest(said.token, secret.encode()) and bool(secret)
