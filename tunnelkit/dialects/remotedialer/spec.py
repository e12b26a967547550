# -*- test-case-name: tests.dialects.remotedialer.test_spec -*-
"""
What an operator says about remotedialer: C{--dialect remotedialer:ids=foo,bar}.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from tunnelkit.dialects.house import House
from tunnelkit.dialects.remotedialer.abroad.peers import (
    Peer,
    Peering,
    checkName,
    parsePeers,
)
from tunnelkit.dialects.remotedialer.admitted import peerUser, userOf
from tunnelkit.dialects.remotedialer.dialect import NAME, RemoteDialerDialect
from tunnelkit.dialects.spec import Description

LONGEST: Final = 200
"""How long a client's id may be, in bytes."""

_NONE: Final[tuple[str, ...]] = ()


@dataclass(frozen=True, slots=True)
class PeeringSpec:
    """
    @ivar name: our own id.
    @ivar token: our own secret.
    """

    name: str
    token: str = field(repr=False)
    peers: tuple[Peer, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoteDialerSpec:
    """
    @ivar ids: the clients that may come in; a client has nothing else to show.
    @ivar tlsRequired: whether plain connections are refused.
    @ivar peering: how this server is known to its peers, and who they are.
    """

    ids: tuple[str, ...] = field(repr=False)
    tlsRequired: bool = False
    peering: PeeringSpec | None = None

    name = NAME

    @property
    def users(self) -> frozenset[str]:
        """
        Each client is a user.
        """
        peers = () if self.peering is None else self.peering.peers
        return frozenset(
            {*map(userOf, self.ids), *(peerUser(peer.name) for peer in peers)}
        )

    @property
    def warning(self) -> str:
        """
        Say how far its login can be trusted.
        """
        plain = (
            ", and who reads a plain connection has it and all that crosses it"
            " (tls=required refuses those)"
        )
        peers = () if self.peering is None else self.peering.peers
        exposed = ", ".join(peer.name for peer in peers if not peer.place.tls)
        return (
            "remotedialer is spoken on this port: a client's id is its only secret"
            f"{'' if self.tlsRequired else plain}"
            f"{exposed and f'; peer {exposed} is told our token and ids in plain'}"
        )

    def make(self, house: House) -> RemoteDialerDialect:
        """
        Make what speaks it.
        """
        plain, peering = not self.tlsRequired, self.peering
        if peering is None:
            return RemoteDialerDialect(house, self.ids, plain)
        for peer in peering.peers:
            session = Peering(house, peer, peering.name, peering.token)
            session.startService()
            house.atEnd(session.stopService)
        tokens = {peer.name: peer.token for peer in peering.peers}
        return RemoteDialerDialect(house, self.ids, plain, tokens)


def parseRemoteDialer(description: Description) -> RemoteDialerSpec:
    """
    Read what is behind C{remotedialer:}.

    @raise ValueError: the text says what is wrong, and quotes no id.
    """
    given = description.take("ids", _listed, _NONE)
    filed = _lines(description.file("idsFile"))
    ids = tuple(dict.fromkeys((*given, *filed)))
    if not ids:
        raise ValueError(
            "it has no ids, and without them anybody could come in: give ids=ID,ID or"
            " idsFile=FILE, with an id a line"
        )
    for id in ids:
        _check(id)
    return RemoteDialerSpec(ids, description.tlsRequired(), _peering(description))


def _peering(description: Description) -> PeeringSpec | None:
    name = description.take("id", checkName, "")
    text = description.file("peersFile")
    if not name and text is None:
        return None
    if not name or text is None:
        lacking = "peersFile=FILE, with a line ID TOKEN URL each" if name else "id=ID"
        raise ValueError(f"for peers it lacks {lacking}")
    try:
        peers = parsePeers(text)
    except ValueError as e:
        raise ValueError(f"peersFile=: {e}") from None
    return PeeringSpec(name, description.secret(), peers)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in text.split(","))


def _lines(text: str | None) -> tuple[str, ...]:
    lines = (line.strip() for line in (text or "").splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def _check(id: str) -> None:
    if not id:
        raise ValueError("one of the ids is empty: check the commas")
    if not id.isascii() or not id.isprintable() or " " in id:
        raise ValueError("one of the ids has other than printable ASCII characters")
    if len(id) > LONGEST:
        raise ValueError(f"one of the ids is longer than {LONGEST} characters")
