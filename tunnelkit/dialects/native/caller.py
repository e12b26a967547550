"""
Caller: who logs in to a server, and who hears what becomes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from tunnelkit.wire.native.login import VERSION, Welcome
from tunnelkit.wire.native.messages import Closed, Drain
from tunnelkit.wire.token import Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """
    Who logs in.

    @ivar host: the server's host, as it was dialled.
    @ivar client: this client's name.
    @ivar instance: random, the same for all logins of this running client.
    @ivar verified: whether certificates must verify; only then may the server offer
        no binding over TLS.
    @ivar nonce: gives random text.
    """

    token: Token
    host: str
    client: str
    instance: str
    verified: bool
    nonce: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Parting:
    """
    Why a control channel ended.

    @ivar code: from L{tunnelkit.wire.codes}.
    @ivar reason: in words for the user.
    @ivar retry: whether coming back may succeed.
    """

    code: str
    reason: str
    retry: bool


def otherVersion(server: str, versions: Iterable[int]) -> str:
    """
    Say that a server speaks another version of the protocol, and what to do.

    @param server: its address.
    @param versions: what it speaks, as far as it says so.
    """
    told = ", ".join(map(str, versions))
    return (
        f"{server} speaks {f'version {told}' if told else 'another version'} of the "
        f"protocol, and this client version {VERSION}: install a tunnelkit that speaks "
        "the same, here or there"
    )


class Listener(Protocol):
    """
    Who is told what happens on a control channel.
    """

    def loggedIn(self, welcome: Welcome, bound: bool) -> None:
        """
        The login is good, and the server proven.

        @param bound: whether it was bound to the server's certificate.
        """

    def wanted(self, count: int) -> None:
        """
        The server wants more work connections.
        """

    def vouched(self, hashes: tuple[str, ...]) -> None:
        """
        Work connections may show these certificates from now on.
        """

    def closed(self, closed: Closed) -> None:
        """
        The server has withdrawn a tunnel by itself.
        """

    def drained(self, drain: Drain) -> None:
        """
        The server is about to stop.
        """

    def parted(self, parting: Parting) -> None:
        """
        The control channel has ended, said once.
        """
