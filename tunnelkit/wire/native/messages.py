# -*- test-case-name: tests.wire.native.test_messages -*-
"""
Messages: what the two sides of the native protocol say to each other.

Each is a frozen value here (docs/protocol.rst has the table);
L{tunnelkit.wire.native.codec} makes bytes of them and back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

from tunnelkit.wire.native.login import (
    Challenge,
    ClientHello,
    Login,
    Proof,
    ServerHello,
    Welcome,
)

PRIVATE: Final = "private"
"""The kind of a tunnel that other clients dial."""

UDP: Final = "udp"
"""The kind of a L{Start} that makes a datagram carrier of its work connection."""

DIAL: Final = "dial"
"""The kind of a L{Start} that has the client dial what is its address."""


@dataclass(frozen=True, slots=True)
class Open:
    """
    Asks for a tunnel.

    @ivar id: the request's number, which the answer repeats.
    @ivar tunnel: the tunnel's name, unique in its session.
    @ivar kind: what is published, such as C{tcp}.
    @ivar port: the public port, or 0: the one leased before, else any.
    @ivar lease: whether port and name stay this user's when the session has ended.
    @ivar compress: how visitors' bytes are to be compressed: C{deflate}, C{zstd}, or
        empty for not at all.
    @ivar visitors: with a private tunnel: the users who may visit it; without any, the
        one who publishes it.
    @ivar sealed: with a private tunnel: whether the two clients encrypt between
        them.
    """

    name: ClassVar[str] = "open"
    id: int
    tunnel: str
    kind: str
    port: int = 0
    lease: bool = True
    compress: str = ""
    visitors: tuple[str, ...] = ()
    sealed: bool = False


@dataclass(frozen=True, slots=True)
class Dial:
    """
    Asks for a stream to a private tunnel, which another client publishes.  The answer
    is a L{Start} on a work connection, or L{Refused}.

    @ivar id: the request's number, which the answer repeats.
    @ivar tunnel: the tunnel's name.
    @ivar kind: what it is to be: C{private}.
    @ivar sealed: whether this client encrypts what it has to say to the other one.
    """

    name: ClassVar[str] = "dial"
    id: int
    tunnel: str
    kind: str = PRIVATE
    sealed: bool = False


@dataclass(frozen=True, slots=True)
class Close:
    """
    Withdraws a tunnel; streams under way go on.
    """

    name: ClassVar[str] = "close"
    id: int
    tunnel: str


@dataclass(frozen=True, slots=True)
class Work:
    """
    Makes a new connection a work connection of a session.

    @ivar session: the session's id, from L{Welcome}.
    @ivar serial: never used before in this session.
    @ivar proof: HMAC-SHA256, hexadecimal, under the session's key.
    """

    name: ClassVar[str] = "work"
    session: str
    serial: int
    proof: str


@dataclass(frozen=True, slots=True)
class Vouched:
    """
    Answers L{Certificates}: work connections may show those from now on.
    """

    name: ClassVar[str] = "vouched"
    id: int


@dataclass(frozen=True, slots=True)
class Ping:
    """
    Asks for a L{Pong}.

    @ivar at: the asker's clock in microseconds; the answer repeats it.
    """

    name: ClassVar[str] = "ping"
    at: int


@dataclass(frozen=True, slots=True)
class Pong:
    """
    Answers a L{Ping}.
    """

    name: ClassVar[str] = "pong"
    at: int


@dataclass(frozen=True, slots=True)
class Bye:
    """
    This side leaves; the connection closes behind it.

    @ivar code: why, from L{tunnelkit.wire.codes}, or empty.
    @ivar reason: why, in words for a person.
    @ivar retry: whether coming back may succeed.
    """

    name: ClassVar[str] = "bye"
    code: str = ""
    reason: str = ""
    retry: bool = True


@dataclass(frozen=True, slots=True)
class Refused:
    """
    No, and why.

    @ivar code: why, from L{tunnelkit.wire.codes}.
    @ivar reason: why and what to do, in words for a person.
    @ivar retry: whether asking again later may succeed.
    @ivar id: the request's number; 0 for the connection as a whole.
    @ivar versions: with code C{version}: those that the server speaks.
    """

    name: ClassVar[str] = "refused"
    code: str
    reason: str
    retry: bool = False
    id: int = 0
    versions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Opened:
    """
    Answers L{Open}: visitors may come.

    @ivar address: the full public address, such as C{tcp://vps.example.org:9000}.
    @ivar compress: how visitors' bytes are compressed: as was asked for, unless this
        side is too old to know of it.
    """

    name: ClassVar[str] = "opened"
    id: int
    tunnel: str
    address: str
    compress: str = ""


@dataclass(frozen=True, slots=True)
class Closed:
    """
    A tunnel is withdrawn: the answer to L{Close}, or, with C{id} 0, the server's own
    doing.

    @ivar code: why, from L{tunnelkit.wire.codes}, or empty.
    @ivar retry: whether asking for it again may succeed.
    """

    name: ClassVar[str] = "closed"
    tunnel: str
    id: int = 0
    code: str = ""
    reason: str = ""
    retry: bool = True


@dataclass(frozen=True, slots=True)
class Want:
    """
    Asks the client for more work connections.
    """

    name: ClassVar[str] = "want"
    count: int


@dataclass(frozen=True, slots=True)
class Certificates:
    """
    What work connections may show from now on.

    @ivar hashes: SHA-256 of each certificate's DER, hexadecimal.
    """

    name: ClassVar[str] = "certificates"
    id: int
    hashes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drain:
    """
    This server goes away.

    @ivar seconds: until when streams may go on.
    @ivar server: where to go instead, or empty.
    """

    name: ClassVar[str] = "drain"
    seconds: int
    server: str = ""


# Not frozen: that takes two thirds of the time to make one, and each visitor has one.
@dataclass(slots=True)
class Start:
    """
    Opens a stream on an idle work connection.

    @ivar stream: the stream's number, unique on its work connection.
    @ivar tunnel: which tunnel the visitor came to.
    @ivar kind: the tunnel's kind; L{DIAL} where it is no tunnel's, L{UDP} where this is
        to be a datagram carrier.
    @ivar visitor: the visitor's address, C{HOST:PORT}.
    @ivar address: the address that the visitor came to, C{HOST:PORT}; with L{DIAL} what
        to dial, C{tcp/HOST:PORT} or C{unix/PATH}.
    @ivar compress: how the stream's bytes are compressed, both ways.
    @ivar dial: the number of the L{Dial} that it answers, or 0: a visitor came.
    """

    name: ClassVar[str] = "start"
    stream: int
    tunnel: str
    kind: str
    visitor: str
    address: str
    compress: str = ""
    dial: int = 0


@dataclass(frozen=True, slots=True)
class Flow:
    """
    Announces a flow on a datagram carrier: from here on it lives there.

    @ivar id: the flow's number, unique in its session and not used again.
    @ivar tunnel: which tunnel the visitor came to.
    @ivar visitor: the visitor's address, C{HOST:PORT}.
    @ivar address: the address that the visitor came to, C{HOST:PORT}.
    @ivar compress: how the flow's datagrams are compressed, both ways.
    @ivar dial: the number of the L{Dial} that it answers, or 0: a visitor came.
    """

    name: ClassVar[str] = "flow"
    id: int
    tunnel: str
    visitor: str
    address: str
    compress: str = ""
    dial: int = 0


@dataclass(frozen=True, slots=True)
class FlowEnd:
    """
    A flow is over.

    @ivar reason: why, in words for a person.
    """

    name: ClassVar[str] = "flow-end"
    id: int
    reason: str = ""


FromClient: TypeAlias = (
    ClientHello
    | Login
    | Proof
    | Open
    | Dial
    | Close
    | Work
    | FlowEnd
    | Vouched
    | Ping
    | Pong
    | Bye
)
FromServer: TypeAlias = (
    ServerHello
    | Challenge
    | Welcome
    | Refused
    | Opened
    | Closed
    | Want
    | Certificates
    | Drain
    | Start
    | Flow
    | FlowEnd
    | Ping
    | Pong
    | Bye
)
