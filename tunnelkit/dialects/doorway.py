# -*- test-case-name: tests.dialects.test_doorway -*-
"""
Doorway: the server's own port, where whoever connects is looked at first.

The first bytes tell TLS from the dialects; they are looked at on the connection
itself and again inside TLS.  Who has not logged in yet is a guest: guests are
counted, in all and of each address, and have a deadline at each step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IProtocolNegotiationFactory,
    IReactorTime,
    ISSLTransport,
)
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelkit.control.names import legible
from tunnelkit.interfaces import IDialect, IRelay
from tunnelkit.relay.connection import Connection, Holder, peerOf
from tunnelkit.relay.secure import ALPN, TLS13, Seen, ServerTLS, seen
from tunnelkit.wire import codes
from tunnelkit.wire.address import unmapped
from tunnelkit.wire.native.codec import said
from tunnelkit.wire.native.login import VERSION
from tunnelkit.wire.native.messages import Refused
from tunnelkit.wire.sniff import OPENING, Opening, sniff

GUESTS: Final = 1024
"""Connections that are not logged in yet, at most."""
GUESTS_OF_ONE: Final = 256
"""The same, of one address."""
PATIENCE: Final = 10.0
"""Seconds for the first bytes, for the TLS handshake, and for the login, each."""
DELAY: Final = 1.0
"""Seconds that a guest waits for its dismissal whose secret was wrong, where that costs
it nothing to try."""
CLOSING: Final = 5.0
"""Seconds that a close may take before it becomes a reset."""


class Guest:
    """
    A connection that is not logged in yet: its place among the guests, and its
    deadline.

    @ivar host: the address that it comes from.
    @ivar peer: the same with its port, for the log.
    @ivar seen: what the TLS handshake showed, or None on a plain connection.
    """

    def __init__(self, doorway: Doorway, host: str) -> None:
        self.host = self.peer = host
        self.seen: Seen | None = None
        self._doorway = doorway
        self._connection: Connection | None = None
        self._deadline: IDelayedCall | None = None
        self._left = False

    def due(self, connection: Connection, lacking: str) -> None:
        """
        Give it L{PATIENCE} seconds for the next step.

        @param lacking: what did not come when they are over, for the log.
        """
        self._cancel()
        if not self._left:
            self._connection = connection
            self._deadline = self._doorway.clock.callLater(
                PATIENCE, self._late, connection, lacking
            )

    def leave(self) -> None:
        """
        It is logged in, or gone: it is no guest any more.
        """
        self._cancel()
        if not self._left:
            self._left = True
            self._doorway.left(self)

    def dismiss(self, connection: Connection, reason: str) -> None:
        """
        Send it away, after what was written to it.
        """
        self._doorway.dismissed(self.peer, reason)
        self.close(connection)

    def delay(
        self,
        connection: Connection,
        reason: str,
        last: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Send it away in a moment, and hear nothing more of it: who tries secrets is to
        be slow at that.

        @param last: says to it, then, what there is to say.
        """
        self._cancel()
        if not self._left:
            self._connection = connection
            self._deadline = self._doorway.clock.callLater(
                DELAY, self._delayed, connection, reason, last
            )

    def close(self, connection: Connection) -> None:
        """
        Close its connection, with a deadline, which ends when it leaves.
        """
        self._cancel()
        connection.transport.loseConnection()
        self._deadline = self._doorway.clock.callLater(
            CLOSING, connection.transport.abortConnection
        )

    def abort(self) -> None:
        """
        Reset its connection.
        """
        if self._connection is not None:
            self._connection.transport.abortConnection()

    def _delayed(
        self, connection: Connection, reason: str, last: Callable[[], None]
    ) -> None:
        last()
        self.dismiss(connection, reason)

    def _late(self, connection: Connection, lacking: str) -> None:
        self._deadline = None
        self._doorway.dismissed(self.peer, lacking)
        connection.transport.abortConnection()

    def _cancel(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None


Greet: TypeAlias = Callable[[Guest], Holder]
"""Makes who holds a connection that speaks the native protocol."""


@implementer(IProtocolNegotiationFactory)
class Doorway(Factory):
    """
    Makes a guest of each connection to the server's port.

    @ivar clock: tells the time.
    @ivar plain: whether the native protocol may be spoken without TLS.
    @ivar counts: totals since the start, by name.
    @ivar dialects: what may be spoken besides, by the first bytes.
    """

    noisy = False
    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        relay: IRelay,
        tls: ServerTLS,
        native: Greet,
        plain: bool = False,
        most: int = GUESTS,
        mostOfOne: int = GUESTS_OF_ONE,
        dialects: Iterable[IDialect] = (),
    ) -> None:
        self.dialects = tuple(
            (places, dialect) for dialect in dialects for places in dialect.places
        )
        self.clock = clock
        self.relay = relay
        self.tls = tls
        self.native = native
        self.plain = plain
        self.counts = {"connections": 0, "connections_refused": 0, "dismissed": 0}
        self._most = most
        self._mostOfOne = mostOfOne
        self._guests: dict[Guest, None] = {}
        self._hosts: Counter[str] = Counter()

    @property
    def guests(self) -> int:
        """
        How many connections are not logged in yet.
        """
        return len(self._guests)

    def buildProtocol(self, address: IAddress | None) -> Connection:
        """
        Take a connection, if there is room among the guests.
        """
        host = unmapped(getattr(address, "host", None) or "a UNIX socket")
        self.counts["connections"] += 1
        if self.guests >= self._most or self._hosts[host] >= self._mostOfOne:
            self.counts["connections_refused"] += 1
            self._log.debug("too many guests: {host} is turned away", host=host)
            # In place of no protocol, which those who wrap this factory do not expect.
            return Connection(_TurnedAway())
        return Connection(Look(self, Guest(self, host)))

    def acceptableProtocols(self) -> list[bytes]:
        """
        Give what is offered to a client's ALPN where the TLS is Twisted's own, on
        C{tls:} and C{ssl:}: the handshake of who offers something fails without.
        """
        return list(ALPN)

    def close(self) -> None:
        """
        Send all guests away: the server has stopped.
        """
        for guest in [*self._guests]:
            guest.abort()

    def arrived(self, guest: Guest) -> None:
        """
        A guest is there.
        """
        if guest not in self._guests:
            self._guests[guest] = None
            self._hosts[guest.host] += 1

    def left(self, guest: Guest) -> None:
        """
        A guest has logged in, or is gone.
        """
        del self._guests[guest]
        self._hosts[guest.host] -= 1
        if not self._hosts[guest.host]:
            del self._hosts[guest.host]

    def dismissed(self, peer: str, reason: str) -> None:
        """
        A guest was sent away.
        """
        self.counts["dismissed"] += 1
        self._log.debug("{peer} is sent away: {reason}", peer=peer, reason=reason)

    def vanished(self, peer: str, reason: str) -> None:
        """
        A guest has left before it said what it wants.
        """
        self._log.debug("{peer} has left: {reason}", peer=peer, reason=legible(reason))


class _TurnedAway(Holder):
    """
    Holds a connection for which there is no room.
    """

    def held(self, connection: Connection) -> None:
        """
        Reset it.
        """
        connection.transport.abortConnection()


class Look(Holder):
    """
    Looks at the first bytes of a connection, and hands it on to whom they belong.
    """

    def __init__(self, doorway: Doorway, guest: Guest) -> None:
        self._doorway = doorway
        self._guest = guest
        self._first = b""
        self._gone = False

    def held(self, connection: Connection) -> None:
        """
        Wait for the handshake, where the transport is TLS, or for the first bytes.
        """
        super().held(connection)
        self._doorway.arrived(self._guest)
        self._guest.peer = peerOf(connection.transport)
        if ISSLTransport.providedBy(connection.transport):
            self._guest.due(connection, "the TLS handshake took too long")
        else:
            self._guest.due(connection, "it said nothing")

    def handshakeCompleted(self) -> None:
        """
        Look at what the handshake showed; then wait for the first bytes inside TLS.
        """
        self._guest.seen = shown = seen(self.connection.transport, client=False)
        if shown.version != TLS13:
            self._gone = True
            self._guest.dismiss(self.connection, f"it speaks {shown.version}")
        else:
            self._guest.due(self.connection, "it said nothing inside TLS")

    def dataReceived(self, data: bytes) -> None:
        """
        See whether the first bytes are enough to tell what this is.
        """
        if self._gone:
            return
        self._first += data
        opening = sniff(self._first, self._doorway.dialects)
        if opening is None:
            return
        self._gone = True
        if isinstance(opening, Opening):
            self._openings.get(opening, Look._unknown)(self, self._first)
        else:
            self._dialect(opening)

    def connectionLost(self, reason: Failure) -> None:
        """
        It is gone.  Where that is in the handshake it does not trust the certificate,
        most often, which mgrok's clients do every day: no more than a line.
        """
        if not self._gone:
            self._doorway.vanished(self._guest.peer, reason.getErrorMessage())
        self._guest.leave()

    def _tls(self, first: bytes) -> None:
        if self._guest.seen is not None:
            self._unknown(first)
            return
        inside = Connection(Look(self._doorway, self._guest))
        self._doorway.relay.secure(self.connection, first, self._doorway.tls, inside)

    def _native(self, first: bytes) -> None:
        if self._guest.seen is None and not self._doorway.plain:
            self._refuse(
                Refused(
                    codes.INSECURE,
                    "this server wants TLS: leave --insecure away, or start the "
                    "server with it",
                )
            )
            return
        self.connection.hold(self._doorway.native(self._guest))
        self.connection.dataReceived(first[len(OPENING) :])

    def _dialect(self, dialect: IDialect) -> None:
        if self._guest.seen is None and not dialect.plain:
            reason = f"it speaks {dialect.name} without TLS"
            self._guest.dismiss(self.connection, reason)
            return
        self.connection.hold(dialect.greet(self._guest))
        self.connection.dataReceived(self._first)

    def _version(self, first: bytes) -> None:
        self._refuse(
            Refused(
                codes.VERSION,
                f"this server speaks version {VERSION} of the protocol",
                versions=(VERSION,),
            )
        )

    def _unknown(self, first: bytes) -> None:
        self._guest.dismiss(self.connection, "it speaks none of our protocols")

    def _refuse(self, refused: Refused) -> None:
        self.connection.transport.write(said(refused))
        self._guest.dismiss(self.connection, refused.reason)

    _openings: Final = {
        Opening.TLS: _tls,
        Opening.NATIVE: _native,
        Opening.VERSION: _version,
    }
