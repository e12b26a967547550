# -*- test-case-name: tests.tunnels.private.test_socks -*-
"""
SOCKS on the client's side: programs that know SOCKS 5 reach any private tunnel by its
name, C{NAME.tunnel}.

The port that they ask for means nothing: a tunnel leads where it leads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IListeningPort,
    IReactorTime,
)
from twisted.internet.protocol import ServerFactory
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelkit.control.names import legible
from tunnelkit.control.session import Refusal
from tunnelkit.failures import StartFailed
from tunnelkit.interfaces import IRelay, IStreamEnd
from tunnelkit.relay.connection import Connection, Holder
from tunnelkit.relay.endpoints import BACKLOG, IPortableReactor
from tunnelkit.relay.occupant import whyNot
from tunnelkit.relay.wrapping.sealing import Sealing
from tunnelkit.tunnels.private.spec import warnOfPlace
from tunnelkit.tunnels.private.visit import Dial, Dialled, Visits
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.codes import DENIED, LOST, SEALED
from tunnelkit.wire.endkey import EndKey
from tunnelkit.wire.socks import Dialogue, Reply, SocksError

SUFFIX: Final = ".tunnel"
"""What stands behind a tunnel's name."""
ASKING: Final = 256
"""Programs at most that have not said yet what they want."""
PATIENCE: Final = 10.0
"""Seconds that each has to say it, and to take an answer that sends it away."""

_REPLIES: Final = {
    DENIED: Reply.NOT_ALLOWED,
    SEALED: Reply.NOT_ALLOWED,
    LOST: Reply.UNREACHABLE,
}


class SocksDoor:
    """
    One listener.

    @ivar visits: those who came.
    """

    _log = Logger()

    def __init__(
        self,
        at: HostPort,
        keys: Mapping[str, EndKey],
        relay: IRelay,
        reactor: IPortableReactor,
        dial: Dial,
    ) -> None:
        """
        @param keys: what is encrypted from end to end, by the tunnel's name.
        """
        self.relay = relay
        self.clock: IReactorTime = reactor
        self.visits = Visits(relay, reactor, dial, "--socks")
        self.asking: set[Asking] = set()
        self._at = at
        self._reactor = reactor
        self._port: IListeningPort | None = None
        self._sealings = {
            name: Sealing(key, name, reactor) for name, key in keys.items()
        }

    def start(self) -> None:
        """
        Take programs from now on.

        @raise StartFailed: the address cannot be had.
        """
        at = self._at
        try:
            self._port = self._reactor.listenTCP(
                at.port, _Programs(self), BACKLOG, at.host
            )
        except CannotListenError as e:
            raise StartFailed(
                f"--socks: cannot listen on {at}: {whyNot(e, at.port)}: stop what does,"
                " or give it another place"
            ) from e
        self._log.info(
            "SOCKS at {at} leads to private tunnels, as NAME.tunnel", at=str(at)
        )
        warnOfPlace(at, "private tunnels")

    def stop(self) -> Deferred[object] | None:
        """
        Take no more programs, and send those away that have not asked yet.
        """
        port, self._port = self._port, None
        for asking in [*self.asking]:
            asking.abort()
        return None if port is None else maybeDeferred(port.stopListening)

    @property
    def streams(self) -> int:
        """
        How many programs are at tunnels, or on their way.
        """
        return self.visits.streams

    def cut(self, reason: str) -> None:
        """
        Reset all streams under way, and those to be.
        """
        self.visits.cut(reason)

    def tunnelOf(self, host: str) -> str:
        """
        Give the name of the tunnel that a program asked for.

        @raise SocksError: it asked for something else.
        """
        name, suffix = host[: -len(SUFFIX)], host[-len(SUFFIX) :].lower()
        if not name or suffix != SUFFIX:
            raise SocksError(
                Reply.NOT_ALLOWED.message,
                f"it asked for {legible(host)!r}: only private tunnels are here, as"
                " NAME.tunnel",
            )
        return self._keyed(name)

    def sealingOf(self, name: str) -> Sealing | None:
        """
        Give what is said at a tunnel is encrypted by, or None.
        """
        return self._sealings.get(name)

    def _keyed(self, name: str) -> str:
        """
        Give the name as C{--key} has it.  Programs may write a host's name in small
        letters: what has a key must not be reached without it for that.
        """
        if name in self._sealings:
            return name
        folded = name.casefold()
        return next((own for own in self._sealings if own.casefold() == folded), name)


class _Programs(ServerFactory):
    """
    Takes programs that come.
    """

    noisy = False

    def __init__(self, door: SocksDoor) -> None:
        self._door = door

    def buildProtocol(self, address: IAddress | None) -> Connection | None:
        if len(self._door.asking) >= ASKING:
            self._door.visits.note(f"{ASKING} programs have not said what they want")
            return None
        return Connection(Asking(self._door))


class Asking(Holder):
    """
    A program that has not been brought to a tunnel yet.
    """

    def __init__(self, door: SocksDoor) -> None:
        self._door = door
        self._dialogue = Dialogue()
        self._unsaid = b""
        self._dialled: Dialled | None = None
        self._deadline: IDelayedCall | None = None
        self._over = False

    def held(self, connection: Connection) -> None:
        """
        It came: it has some time to say what it wants.
        """
        super().held(connection)
        self._door.asking.add(self)
        self._deadline = self._door.clock.callLater(PATIENCE, self._late)

    def dataReceived(self, data: bytes) -> None:
        """
        It says something.
        """
        if self._over or self._dialled is not None:
            return
        try:
            answer = self._dialogue.feed(data)
            host = self._dialogue.host
            if host is None:
                self.connection.transport.write(answer)
            else:
                self._unsaid = answer
                self._dial(self._door.tunnelOf(host))
        except SocksError as e:
            self._refuse(e.answer, str(e))

    def connectionLost(self, reason: Failure) -> None:
        """
        It has gone.
        """
        self._end()
        if self._dialled is not None:
            self._dialled.cancel()

    def abort(self) -> None:
        """
        Reset it.
        """
        self._end()
        self.connection.transport.abortConnection()

    def _dial(self, tunnel: str) -> None:
        door = self._door
        sealing = door.sealingOf(tunnel)
        self._end()
        # What it says next is for the tunnel: it stays with the system until then.
        self.connection.transport.pauseProducing()
        self._dialled = dialled = door.visits.dial(tunnel, sealing is not None)
        dialled.addCallbacks(self._reached, self._ebDial, callbackArgs=(sealing,))
        dialled.addErrback(door.visits.bug)

    def _reached(self, work: IStreamEnd, sealing: Sealing | None) -> None:
        self._dialled, self._over = None, True
        opening = self._unsaid + Reply.SUCCEEDED.message
        end = self._door.relay.adopt(
            self.connection, self._dialogue.rest, opening=opening
        )
        self._door.visits.join(work, end, sealing)

    def _ebDial(self, failure: Failure) -> None:
        self._dialled = None
        refusal = failure.value
        if isinstance(refusal, Refusal):
            reply = _REPLIES.get(refusal.code, Reply.FAILED)
            self.connection.transport.resumeProducing()
            self._refuse(reply.message, refusal.reason)
        else:
            self.connection.transport.abortConnection()
            self._door.visits.failed(failure)

    def _refuse(self, answer: bytes, reason: str) -> None:
        """
        Send it away, with an answer.
        """
        self._end()
        self._door.visits.note(reason)
        transport = self.connection.transport
        transport.write(self._unsaid + answer)
        transport.loseConnection()
        clock = self._door.clock
        self._deadline = clock.callLater(PATIENCE, transport.abortConnection)

    def _late(self) -> None:
        self._deadline = None
        self._door.visits.note("a program did not say what it wants")
        self.abort()

    def _end(self) -> None:
        self._over = True
        self._door.asking.discard(self)
        deadline, self._deadline = self._deadline, None
        if deadline is not None and deadline.active():
            deadline.cancel()
