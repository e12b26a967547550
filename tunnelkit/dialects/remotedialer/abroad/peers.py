# -*- test-case-name: tests.dialects.remotedialer.abroad.test_peers -*-
"""
Peers: servers that use each other's clients.

Each dials the others, and tells those who its own clients are.  Who is asked for a
client of another's dials through the session that announced it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, cast

from twisted.application.service import Service
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelkit.carrier.route import Reached, Route
from tunnelkit.control.comeback import Comeback
from tunnelkit.dialects.abroad import Place
from tunnelkit.dialects.house import House
from tunnelkit.dialects.native.dialled import NativeClient
from tunnelkit.dialects.remotedialer.abroad.asking import AskingLine
from tunnelkit.dialects.remotedialer.abroad.place import hostHeader, parsePlace
from tunnelkit.dialects.remotedialer.dialling import NotDialled
from tunnelkit.dialects.remotedialer.ends import LineEnd
from tunnelkit.dialects.remotedialer.line import Line
from tunnelkit.dialects.way import hostOf, wayTo
from tunnelkit.relay.endpoints import IPortableReactor
from tunnelkit.relay.secure import ClientTLS
from tunnelkit.wire.certificate import parseFingerprint
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.remotedialer.login import PATH, PEER, PEER_TOKEN, shown
from tunnelkit.wire.remotedialer.messages import (
    NOT_ALLOWED,
    AddClient,
    Connect,
    Message,
    RemoveClient,
    route,
)

_NAME: Final = re.compile(r"[a-z0-9.-]{1,40}")
_FINGERPRINT: Final = "fingerprint="
_WORDS: Final = {
    "it with --fingerprint, or who vouches for it with --ca FILE": (
        f"it by {_FINGERPRINT}SHA256 behind the peer's URL"
    ),
    "--fingerprint": _FINGERPRINT,
    "--server": "the peer's URL",
}
"""What a client's options are called in C{peersFile=}."""


@dataclass(frozen=True, slots=True)
class Peer:
    """
    Another server.

    @ivar name: its id.
    @ivar token: its secret, by which it proves that to us.
    @ivar place: where it is.
    @ivar fingerprint: SHA-256 of the one certificate that is accepted; None for one
        that verifies.
    """

    name: str
    token: str = field(repr=False)
    place: Place
    fingerprint: bytes | None = None


def parsePeers(text: str) -> tuple[Peer, ...]:
    """
    Read a file of peers, C{ID TOKEN URL} in each line, and C{fingerprint=SHA256} behind
    it where the certificate does not verify.

    @raise ValueError: the text says what is wrong with which line, and quotes no token.
    """
    found: dict[str, Peer] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                peer = _peer(line.split())
            except ValueError as e:
                raise ValueError(f"line {number}: {e}") from None
            if peer.name in found:
                raise ValueError(f"line {number}: {peer.name} stands there twice")
            found[peer.name] = peer
    return tuple(found.values())


def checkName(name: str) -> str:
    """
    Read the id of a peer.

    @raise ValueError: it is none.
    """
    if not _NAME.fullmatch(name):
        raise ValueError("a peer's id is 1 to 40 of a-z, 0-9, - and .")
    return name


def _peer(words: list[str]) -> Peer:
    if len(words) not in (3, 4):
        raise ValueError("write ID TOKEN URL")
    name, token, url, *more = words
    if "://" not in url:  # who takes it for a host may look a token up
        raise ValueError("its third word is no URL: write ID TOKEN wss://HOST/connect")
    fingerprint = None
    if more:
        if not more[0].startswith(_FINGERPRINT):
            raise ValueError("what follows the URL is fingerprint=SHA256, or nothing")
        fingerprint = parseFingerprint(more[0].removeprefix(_FINGERPRINT))
    return Peer(checkName(name), token, parsePlace(url), fingerprint)


class Peering(Service):
    """
    Our session at one peer, which comes back whenever it is lost.
    """

    _log = Logger()

    def __init__(self, house: House, peer: Peer, name: str, token: str) -> None:
        """
        @param name: our own id.
        @param token: our own secret.
        """
        self.line: AskingLine | None = None
        self._house = house
        self._peer = peer
        self._headers = ((PEER, name), (PEER_TOKEN, token))
        self._comeback = Comeback(
            _route(house, peer).open,
            self._reached,
            house.clock,
            house.chance,
            lambda reason: None,
            patient=True,
        )
        self._comeback.words = _worded

    def startService(self) -> None:
        """
        Connect, and stay connected.
        """
        super().startService()
        self._comeback.start()

    def stopService(self) -> None:
        """
        Leave.
        """
        super().stopService()
        self._comeback.stop()
        if self.line is not None:
            self.line.end("the server is stopping")

    # Who listens for clients.

    def added(self, line: Line | NativeClient) -> None:
        """
        A client has come: the peer may dial it, unless it is one that no id names.
        """
        if isinstance(line, Line):
            self._tell(AddClient(line.key, line.session), line)

    def removed(self, line: Line | NativeClient) -> None:
        """
        It has gone.
        """
        if isinstance(line, Line):
            self._tell(RemoveClient(line.key, line.session), line)

    def _tell(self, message: Message, client: Line) -> None:
        if self.line is None:
            return
        try:
            self.line.say(message)
        except ValueError as e:
            self._log.warn(
                "peer {peer} is not told of client {client}: {reason}",
                peer=self._peer.name,
                client=client.who,
                reason=str(e),
            )

    # The session.

    def _reached(self, reached: Reached) -> None:
        place = self._peer.place
        number = int(self._house.nonce()[:15], 16)
        line = AskingLine(self._house.clock, number, self._dialled)
        self.line = line
        reached.connection.hold(line)
        headers = [(name.encode(), value.encode()) for name, value in self._headers]
        opened = line.ask(hostHeader(place), place.path or PATH, headers)
        opened.addCallbacks(self._opened, self._refused, callbackArgs=(line,))

    def _opened(self, result: None, line: AskingLine) -> None:
        self._comeback.good()
        self._log.info("connected to peer {peer}", peer=self._peer.name)
        line.onEnd(self._lost)
        self._house.switchboard().listen(self)

    def _refused(self, failure: Failure) -> None:
        self.line = None
        why = failure.getErrorMessage()
        self._comeback.lost(f"peer {self._peer.name} opened no WebSocket: {why}", True)

    def _lost(self, reason: str) -> None:
        self.line = None
        self._house.switchboard().forget(self)
        peer = self._peer.name
        self._comeback.lost(f"the session with peer {peer} is over: {reason}")

    def _dialled(self, end: LineEnd, asked: Connect) -> None:
        key, network = route(asked.network)
        if not key:
            end.refuse(ResetCode.DENIED, NOT_ALLOWED)
            return
        try:
            far = self._house.switchboard().dialHere(key, f"{network}/{asked.address}")
        except NotDialled as e:
            end.refuse(ResetCode.UNREACHABLE, str(e))
            return
        self._log.debug(
            "peer {peer} dials through client {client}",
            peer=self._peer.name,
            client=shown(key),
        )
        self._house.relay.join(far, end, b"")


def _worded(sentence: str) -> str:
    """
    Name what an operator gives for a peer where a sentence names the options of a
    client.
    """
    for option, ours in _WORDS.items():
        sentence = sentence.replace(option, ours)
    return sentence


def _route(house: House, peer: Peer) -> Route:
    reactor = cast(IPortableReactor, house.clock)
    place, tls = peer.place, None
    if place.tls:
        tls = ClientTLS(hostOf(place.server), peer.fingerprint is None)
    return wayTo(place.server, reactor, house.relay, tls, peer.fingerprint, bound=False)
