"""
Codes: why something was refused, closed or reset, for programs; the words beside
them are for people.  docs/protocol.rst and docs/troubleshooting.rst list them.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

# Of refused, closed and bye.
VERSION: Final = "version"
"""No version of the protocol that both speak."""
BINDING: Final = "binding"
"""The login was bound to another certificate, or to none, unlike the server's."""
INSECURE: Final = "insecure"
"""Plain TCP, where the server wants TLS."""
LOGIN: Final = "login"
"""The login failed; the cause is not told."""
REVOKED: Final = "revoked"
"""The user was revoked while logged in."""
DISPLACED: Final = "displaced"
"""A newer login took this session's place."""
WITHDRAWN: Final = "withdrawn"
"""The tunnel or its session ended meanwhile."""
DRAINING: Final = "draining"
"""The server is stopping."""
FULL: Final = "full"
"""A bound of the server is reached: sessions, tunnels, leases."""
KIND: Final = "kind"
"""The server does not know, or does not allow, this kind of tunnel."""
NAME: Final = "name"
"""The tunnel's name is not one, or is taken in this session."""
PORT_DENIED: Final = "port-denied"
"""The port is outside of what clients may ask for."""
PORT_LEASED: Final = "port-leased"
"""The port, or all of them, belongs to another user."""
PORT_LIVE: Final = "port-live"
"""The port is published by another live client of the same user."""
PORT_TAKEN: Final = "port-taken"
"""Another program on the server's machine listens there."""
NAME_LEASED: Final = "name-leased"
"""The private tunnel's name belongs to another user."""
NAME_LIVE: Final = "name-live"
"""The private tunnel is published by another live client of the same user."""
DENIED: Final = "denied"
"""There is no such private tunnel, or this user may not visit it."""
SEALED: Final = "sealed"
"""One of two clients encrypts what they say to each other, and the other does not."""
BUSY: Final = "busy"
"""Too many streams, or no work connection in time."""
COMPRESS: Final = "compress"
"""The server does not compress visitors' bytes as it was asked to."""
PROTOCOL: Final = "protocol"
"""The peer broke the protocol."""
SILENT: Final = "silent"
"""Nothing was heard from the peer for too long."""
LOST: Final = "lost"
"""The control channel was lost."""
INTERNAL: Final = "internal"
"""A bug; the log of the other side has more."""


class ResetCode(IntEnum):
    """
    Why a stream failed.
    """

    ENDED = 0
    """Not a failure: used where a stream ended well."""
    PEER = 1
    """The connection on the other side was reset."""
    REFUSED = 2
    """The local service refused the connection."""
    UNREACHABLE = 3
    """The local service cannot be reached, or its name is not known."""
    TIMEOUT = 4
    """The local service did not answer in time."""
    DENIED = 5
    """The client does not publish this tunnel."""
    IDLE = 6
    """A half-open stream was idle for too long."""
    LOST = 7
    """The work connection was lost."""
    STOPPING = 8
    """The other side is stopping."""
    WITHDRAWN = 9
    """The tunnel, its session or its user ended."""
    BUSY = 10
    """Too many streams, or no work connection in time."""
    INTERNAL = 11
    """A bug; the log of the other side has more."""
    CORRUPT = 12
    """What came compressed cannot be unpacked, or ended too early."""
    SEALED = 13
    """What two clients encrypt between them cannot be read, or ended too early."""
