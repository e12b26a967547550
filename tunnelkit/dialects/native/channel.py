# -*- test-case-name: tests.dialects.native.test_channel -*-
"""
Channel: the server's end of a control channel: login, tunnels, heartbeat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Final, TypeAlias

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelkit.control.heartbeat import INTERVAL, SILENCE
from tunnelkit.control.login.server import LoginRefused, ServerLogin
from tunnelkit.control.names import hostOr, isClientName, legible
from tunnelkit.control.session import TUNNELS, Identity, Refusal, Session
from tunnelkit.dialects.doorway import Guest
from tunnelkit.dialects.house import PROGRAM, House
from tunnelkit.relay.connection import Connection, Gauge, Holder, giveUpAfter
from tunnelkit.tunnels import detail
from tunnelkit.tunnels.published import PublicTunnel
from tunnelkit.wire import codes
from tunnelkit.wire.address import unmapped
from tunnelkit.wire.certificate import CertificateError, bindingHash, fingerprint
from tunnelkit.wire.native.codec import fromClient, said
from tunnelkit.wire.native.frames import Frame, FrameDecoder, Message, WireError
from tunnelkit.wire.native.login import (
    VERSION,
    ClientHello,
    Login,
    Proof,
    ServerHello,
    Welcome,
)
from tunnelkit.wire.native.messages import (
    Bye,
    Certificates,
    Close,
    Closed,
    Dial,
    Drain,
    FromServer,
    Open,
    Opened,
    Ping,
    Pong,
    Refused,
    Vouched,
    Want,
)

AT_ONCE: Final = 16
"""Messages that are taken before others have their turn."""
REST: Final = 0.01
"""Seconds until the next are."""
CLOSING: Final = 5.0
"""Seconds that a close may take before it becomes a reset."""
VOUCHING: Final = 5.0
"""Seconds that a client has to say that it knows the next certificate."""

_Receivers: TypeAlias = Mapping[type, Callable[["ControlChannel", Any], None]]


class ControlChannel(Holder):
    """
    A client's control channel.
    """

    _log = Logger()

    def __init__(self, house: House, guest: Guest, hello: ClientHello) -> None:
        self._house = house
        self._guest = guest
        self._hello = hello
        self._decoder = FrameDecoder()
        self._receivers: _Receivers = self._beforeLogin
        self._session: Session | None = None
        self._vouching: dict[int, Deferred[None]] = {}
        self._vouched = 0
        self._left = False
        self._blocked = False
        self._resting: IDelayedCall | None = None

    def held(self, connection: Connection) -> None:
        """
        Answer the client's hello.
        """
        super().held(connection)
        transport = connection.transport
        # A client that does not read what it asked for is not read from.
        transport.registerProducer(Gauge(self._block, self._unblock), True)
        shown, house = self._guest.seen, self._house
        try:
            binding = bindingHash(shown.certificate) if shown else None
        except CertificateError as e:
            # One of our own was looked at at the start; that of a tls: port was not.
            self._log.error("nobody can log in: {reason}", reason=str(e))
            self._refuse(codes.BINDING, f"nobody can log in to this server: {e}")
            return
        self._login = ServerLogin(house.lookup, house.decoyKey, binding, house.nonce)
        self._bound = binding is not None
        self.send(ServerHello(VERSION, "endpoint" if self._bound else "none", PROGRAM))

    # What the session says.

    def send(self, message: FromServer) -> None:
        """
        Say something to the client.
        """
        if not self._left:
            self.connection.transport.write(said(message))

    def want(self, count: int) -> None:
        """
        Ask for work connections.
        """
        self.send(Want(count))

    def ping(self, at: int) -> None:
        """
        Ask whether the client lives.
        """
        self.send(Ping(at))

    def drain(self, seconds: float) -> None:
        """
        Tell the client that the server stops.
        """
        self.send(Drain(round(seconds)))

    def leave(self, code: str, reason: str, retry: bool) -> None:
        """
        Say good-bye, and close.
        """
        self.send(Bye(code, reason, retry))
        self._close()

    def vouch(self, hashes: tuple[str, ...]) -> Deferred[None]:
        """
        Tell the client which certificates its work connections may show from now on.

        @param hashes: SHA-256 of each, hexadecimal; the one that this connection
            showed is good as well.
        @return: fires when the client has taken note, or has had its time.
        """
        self._vouched += 1
        vouched: Deferred[None] = Deferred()
        self._vouching[self._vouched] = vouched
        vouched.addTimeout(VOUCHING, self._house.clock, lambda *_: None)
        both = dict.fromkeys((*self._ownHashes(), *hashes))
        self.send(Certificates(self._vouched, tuple(both)))
        return vouched.addBoth(self._forget, self._vouched)

    # What the client says.

    def dataReceived(self, data: bytes) -> None:
        """
        Bytes came: messages, or the client's mistake.
        """
        if self._left:
            return  # nothing is gathered of what nobody will read
        if self._session is not None:
            self._session.heartbeat.heard()
        frames = self._decoder.feed(data)
        if self._resting is None:
            self._receive(frames)

    def _receive(self, frames: Iterator[Frame]) -> None:
        """
        Take some messages, and leave the reactor to others before the next: whoever
        sends without end may not keep visitors waiting.
        """
        try:
            for count, frame in enumerate(frames, 1):
                self._frameReceived(frame)
                if self._left:
                    return
                if count == AT_ONCE:
                    self._resting = self._house.clock.callLater(REST, self._goOn)
                    self._pace()
                    return
        except WireError as e:
            self._refuse(codes.PROTOCOL, str(e))
        except LoginRefused as e:
            self._house.counts["logins_failed"] += 1
            self._house.troubles.note(f"login from {self._guest.host}: {e.cause}")
            self._refuse(e.code, e.reason, e.retry)
        except Refusal as e:
            self._refuse(e.code, e.reason, e.retry)
        except Exception:
            self._log.failure("a bug at the channel of {peer}", peer=self._guest.peer)
            self._refuse(codes.INTERNAL, "the server has a bug: see its log", True)

    def _goOn(self) -> None:
        self._resting = None
        self._receive(self._decoder.feed(b""))
        self._pace()

    def _block(self) -> None:
        self._blocked = True
        self._pace()

    def _unblock(self) -> None:
        self._blocked = False
        self._pace()

    def _pace(self) -> None:
        transport = self.connection.transport
        if self._left:
            return
        if self._blocked or self._resting is not None:
            transport.pauseProducing()
        else:
            transport.resumeProducing()

    def _leave(self) -> None:
        self._left = True
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None

    def connectionLost(self, reason: Failure) -> None:
        """
        The control channel is gone, and its session with it.
        """
        self._leave()
        self._guest.leave()
        for vouched in [*self._vouching.values()]:
            vouched.callback(None)
        if self._session is not None:
            how = "closed" if reason.check(ConnectionDone) else reason.getErrorMessage()
            self._session.end(
                codes.LOST, f"the client's control channel is gone: {how}"
            )

    def _frameReceived(self, frame: Frame) -> None:
        if not isinstance(frame, Message):
            raise WireError(f"a {type(frame).__name__} frame on a control channel")
        message = fromClient(frame)
        if detail.shown:
            peer = self._guest.peer
            self._log.debug("{peer} says {name}", peer=peer, name=message.name)
        receive = self._receivers.get(type(message))
        if receive is None:
            raise WireError(f"{message.name} does not belong here")
        receive(self, message)

    def _loginReceived(self, login: Login) -> None:
        self._receivers = self._inLogin
        self.send(self._login.challenge(login))

    def _proofReceived(self, proof: Proof) -> None:
        final = self._login.prove(proof)
        self._session = session = self._house.sessions.admit(self._identity(), self)
        self._house.counts["logins"] += 1
        self._guest.leave()
        self._receivers = self._loggedIn
        giveUpAfter(self.connection.transport, SILENCE)
        self.send(
            Welcome(
                *(final, session.id, session.key.hex(), INTERVAL, SILENCE, TUNNELS),
                dials=True,
            )
        )
        # The certificate may have changed since this connection was made.
        if self._bound and {*self._house.shown()} != {*self._ownHashes()}:
            self.vouch(self._house.shown())
        session.heartbeat.start()

    def _identity(self) -> Identity:
        """
        Say who has logged in, in words that can be shown.

        @raise Refusal: that client cannot be called so.
        """
        hello, login = self._hello, self._login
        if not isClientName(login.client):
            raise Refusal(
                codes.NAME,
                "a client's name has 1 to 200 printable characters: give another one"
                " with --name",
            )
        local = unmapped(getattr(self.connection.transport.getHost(), "host", ""))
        return Identity(
            user=login.user,
            client=login.client,
            instance=login.instance,
            program=legible(hello.program),
            peer=self._guest.peer,
            host=hostOr(hello.host, local or "localhost"),
            bound=self._bound,
        )

    def _ownHashes(self) -> tuple[str, ...]:
        seen = self._guest.seen
        return () if seen is None else (fingerprint(seen.certificate),)

    def _openReceived(self, request: Open) -> None:
        opened = self._house.published.open(self._allowed(), request)
        opening = Deferred.fromCoroutine(opened)
        opening.addCallback(lambda tunnel: self._opened(request, tunnel))
        opening.addErrback(self._ebOpen, request)

    def _allowed(self) -> Session:
        """
        Give the session.

        @raise Refusal: its user may do nothing any more.
        """
        assert self._session is not None, "not logged in"
        if self._house.lookup(self._session.identity.user) is None:
            raise Refusal(codes.REVOKED, "the token was revoked, or has expired")
        return self._session

    def _dialReceived(self, request: Dial) -> None:
        dialling = maybeDeferred(self._house.published.dial, self._allowed(), request)
        dialling.addErrback(self._ebOpen, request)

    def _opened(self, request: Open, tunnel: PublicTunnel) -> None:
        assert self._session is not None, "not logged in"
        opened = Opened(request.id, request.tunnel, tunnel.address, tunnel.compress)
        self.send(opened)
        self._session.pool.fill()

    def _ebOpen(self, failure: Failure, request: Open | Dial) -> None:
        refusal = failure.value
        if isinstance(refusal, Refusal):
            refused = Refused(
                refusal.code, refusal.reason, refusal.retry, id=request.id
            )
        else:
            self._log.failure("a bug at opening {name}", failure, name=request.tunnel)
            refused = Refused(
                codes.INTERNAL, "the server has a bug: see its log", id=request.id
            )
        self.send(refused)

    def _closeReceived(self, request: Close) -> None:
        assert self._session is not None, "not logged in"
        if request.tunnel in self._session.opening:
            # It overtakes the opening, which then comes to nothing.
            self._session.opening[request.tunnel] = False
        elif not self._session.withdraw(request.tunnel):
            self.send(Refused(codes.NAME, "there is no such tunnel", id=request.id))
            return
        self.send(Closed(request.tunnel, id=request.id))

    def _vouchedReceived(self, message: Vouched) -> None:
        vouched = self._vouching.get(message.id)
        if vouched is not None:
            vouched.callback(None)

    def _forget(self, _: None, number: int) -> None:
        del self._vouching[number]

    def _pingReceived(self, ping: Ping) -> None:
        self.send(Pong(ping.at))

    def _pongReceived(self, pong: Pong) -> None:
        assert self._session is not None, "not logged in"
        self._session.heartbeat.answered(pong.at)

    def _byeReceived(self, bye: Bye) -> None:
        if self._session is None:
            self._close()
        else:
            self._session.end("", "the client said good-bye")

    def _refuse(self, code: str, reason: str, retry: bool = False) -> None:
        """
        End it for the client's fault, and say so.
        """
        if self._session is not None:
            self._session.end(code, reason, retry)
            return
        self.send(Refused(code, reason, retry))
        self._close()

    def _close(self) -> None:
        if self._left:
            return
        self._leave()
        self.connection.transport.unregisterProducer()
        self._guest.close(self.connection)

    _beforeLogin: ClassVar[_Receivers] = {Login: _loginReceived, Bye: _byeReceived}
    _inLogin: ClassVar[_Receivers] = {Proof: _proofReceived, Bye: _byeReceived}
    _loggedIn: ClassVar[_Receivers] = {
        Open: _openReceived,
        Dial: _dialReceived,
        Close: _closeReceived,
        Vouched: _vouchedReceived,
        Ping: _pingReceived,
        Pong: _pongReceived,
        Bye: _byeReceived,
    }
