# -*- test-case-name: tests.wire.remotedialer.test_messages -*-
"""
Messages: what remotedialer's programs say to each other about the connections that one
dials through the other.  L{tunnelkit.wire.remotedialer.codec} has them as bytes.

Who dials chooses a connection's number and sends L{Connect}; that it was dialled is
never answered, only that it was not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

END: Final = "EOF"
"""The text of an L{Error} that is none: the connection has ended well."""
DISCONNECTED: Final = "tunnel disconnect"
"""What the program says of connections whose session is lost."""
NOT_ALLOWED: Final = "connect not allowed"
"""What it says where nobody lets a L{Connect} in."""

PAUSE: Final = 2 << 20
"""How many bytes may wait at a receiver before it sends L{Pause}."""
RESUME: Final = 256 << 10
"""How few must wait before it sends L{Resume}."""
PIECE: Final = 32768
"""How long the L{Data} is that the program sends, in bytes."""
PING: Final = 5
"""How often the side that opened the WebSocket pings, in seconds."""
SILENCE: Final = 60
"""After how many seconds without a ping or pong the program drops a session."""
SYNC: Final = 60
"""How often the side that opened the WebSocket sends L{Sync}, in seconds."""


@dataclass(frozen=True, slots=True)
class Connect:
    """
    Dial, and call it by this number.

    @ivar network: a name of Go's, as C{tcp} or C{unix}; C{KEY::tcp} from a peer asks
        for the client with that key, see L{route}.
    @ivar address: as that network has them, C{127.0.0.1:80}.
    """

    connection: int
    network: str
    address: str


@dataclass(frozen=True, slots=True)
class Data:
    """
    Bytes of a connection.

    @ivar more: whether these are the beginning of a message whose rest is to come; it
        does not matter to who takes the bytes.
    """

    connection: int
    payload: bytes
    more: bool = False


@dataclass(frozen=True, slots=True)
class Error:
    """
    A connection has ended, both ways: well, where the text is L{END}.
    """

    connection: int
    text: str


@dataclass(frozen=True, slots=True)
class Pause:
    """
    Send no more of this connection for now.
    """

    connection: int


@dataclass(frozen=True, slots=True)
class Resume:
    """
    Send on; it may come without a L{Pause}.
    """

    connection: int


@dataclass(frozen=True, slots=True)
class Sync:
    """
    All connections that the sender knows: others are lost.
    """

    connections: frozenset[int]


@dataclass(frozen=True, slots=True)
class AddClient:
    """
    A peer has a client.

    @ivar key: what the client is dialled by.
    @ivar session: the number of one of its sessions.
    """

    key: str
    session: int


@dataclass(frozen=True, slots=True)
class RemoveClient:
    """
    A peer has a client's session no more.
    """

    key: str
    session: int


@dataclass(frozen=True, slots=True)
class Unknown:
    """
    A message of a later version; to be passed over.

    @ivar number: of its type.
    """

    connection: int
    number: int


Message: TypeAlias = (
    Connect | Data | Error | Pause | Resume | Sync | AddClient | RemoveClient
)
"""What can be said."""


def notFound(client: str, session: int | str, connection: int) -> Error:
    """
    Give the answer to L{Data} of a connection that nobody knows, in the words of the
    program.

    @param client: the client's key; C{client} on the side that opened the WebSocket,
        with session 0.
    """
    text = f"connection not found {client}/{session}/{connection}"
    return Error(connection, text)


def route(network: str) -> tuple[str, str]:
    """
    Cut the network of a L{Connect}.

    @return: the key of the client to dial through, empty for this side itself, and the
        network to dial there.
    """
    key, mark, rest = network.partition("::")
    return (key, rest) if mark else ("", network)


def routed(key: str, network: str) -> str:
    """
    Give the network that asks a peer to dial through one of its clients.
    """
    return f"{key}::{network}"
