# -*- test-case-name: tests.wire.native.test_messages -*-
"""
Login: the messages with which a control channel begins, before any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

VERSION: Final = 1
"""The version of the protocol that this program speaks."""


@dataclass(frozen=True, slots=True)
class ClientHello:
    """
    The client's first message.

    @ivar versions: versions of the protocol that it speaks.
    @ivar program: its name and version, for people.
    @ivar host: the host that it dialled; a server without a name of its own uses
        it in public addresses.
    """

    name: ClassVar[str] = "hello"
    versions: tuple[int, ...]
    program: str
    host: str


@dataclass(frozen=True, slots=True)
class Login:
    """
    The beginning of the SCRAM conversation (RFC 5802).

    @ivar mechanism: C{SCRAM-SHA-256-PLUS} or C{SCRAM-SHA-256}.
    @ivar first: SCRAM's client-first-message.
    @ivar client: the client's name: leases are remembered by it.
    @ivar instance: random, the same for all logins of one running client.
    """

    name: ClassVar[str] = "login"
    mechanism: str
    first: str
    client: str
    instance: str


@dataclass(frozen=True, slots=True)
class Proof:
    """
    @ivar final: SCRAM's client-final-message.
    """

    name: ClassVar[str] = "proof"
    final: str


@dataclass(frozen=True, slots=True)
class ServerHello:
    """
    The server's first message.

    @ivar version: the version that both speak from here on.
    @ivar binding: C{endpoint} where login is bound to the server's certificate
        (RFC 5929, tls-server-end-point), C{none} where something else ends the
        TLS, or nothing does.
    @ivar program: its name and version, for people.
    """

    name: ClassVar[str] = "hello"
    version: int
    binding: str
    program: str


@dataclass(frozen=True, slots=True)
class Challenge:
    """
    @ivar first: SCRAM's server-first-message.
    """

    name: ClassVar[str] = "challenge"
    first: str


@dataclass(frozen=True, slots=True)
class Welcome:
    """
    The client is logged in.

    @ivar final: SCRAM's server-final-message: the server's own proof.
    @ivar session: the session's id.
    @ivar key: random, hexadecimal; work connections prove that they know it.
    @ivar heartbeat: seconds between two L{Ping}s.
    @ivar silence: seconds without a byte after which a side gives the other up.
    @ivar tunnels: the most tunnels of this session.
    @ivar dials: whether private tunnels can be dialled, which an old server does not
        know of.
    """

    name: ClassVar[str] = "welcome"
    final: str
    session: str
    key: str
    heartbeat: int
    silence: int
    tunnels: int
    dials: bool = False
