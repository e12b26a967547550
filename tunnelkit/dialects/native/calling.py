# -*- test-case-name: tests.dialects.native.test_calling -*-
"""
Calling: the client's end of a control channel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, TypeAlias

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelkit.control.heartbeat import Heartbeat
from tunnelkit.control.login.client import ClientLogin, ServerUnproven
from tunnelkit.control.session import Refusal
from tunnelkit.dialects.house import PROGRAM
from tunnelkit.dialects.native.binding import bindingOf
from tunnelkit.dialects.native.caller import (
    Caller,
    Listener,
    Parting,
    otherVersion,
)
from tunnelkit.dialects.native.requests import DIALLING, Requests
from tunnelkit.relay.connection import Connection, Gauge, Holder, giveUpAfter
from tunnelkit.relay.secure import Seen
from tunnelkit.tunnels import detail
from tunnelkit.wire import codes
from tunnelkit.wire.native.codec import fromServer, said
from tunnelkit.wire.native.frames import Frame, FrameDecoder, Message, WireError
from tunnelkit.wire.native.login import (
    VERSION,
    Challenge,
    ClientHello,
    ServerHello,
    Welcome,
)
from tunnelkit.wire.native.messages import (
    PRIVATE,
    Bye,
    Certificates,
    Close,
    Closed,
    Dial,
    Drain,
    Flow,
    FromClient,
    Open,
    Opened,
    Ping,
    Pong,
    Refused,
    Start,
    Vouched,
    Want,
)
from tunnelkit.wire.sniff import OPENING

PATIENCE: Final = 10.0
"""Seconds for the login."""
CLOSING: Final = 5.0
"""Seconds that a close may take before it becomes a reset."""
_KEPT: Final = 60
"""How much of what a server says first is kept, in bytes."""

_Receivers: TypeAlias = Mapping[type, Callable[["CallingChannel", Any], None]]


class CallingChannel(Holder):
    """
    A control channel to a server.

    @ivar requests: what it was asked for and has not answered.
    """

    _log = Logger()

    def __init__(
        self,
        caller: Caller,
        server: str,
        shown: Seen | None,
        listener: Listener,
        clock: IReactorTime,
    ) -> None:
        """
        @param server: the server's address, for people.
        @param shown: what the TLS handshake showed; None on plain TCP.
        """
        self._caller = caller
        self._server = server
        self._shown = shown
        self._listener = listener
        self._clock = clock
        self._decoder = FrameDecoder()
        self._receivers: _Receivers = self._beforeHello
        self._first = b""
        self._parting: Parting | None = None
        self._deadline: IDelayedCall | None = None
        self._lost = False
        self._gone: Deferred[None] = Deferred()
        self.requests = Requests(self._send, clock)
        self._dials = False
        self.heartbeat = Heartbeat(clock, self._ping, self._silent)

    def held(self, connection: Connection) -> None:
        """
        Say hello.
        """
        super().held(connection)
        transport = connection.transport
        # A server that does not read what it asked for is not read from.
        gauge = Gauge(transport.pauseProducing, transport.resumeProducing)
        transport.registerProducer(gauge, True)
        hello = ClientHello((VERSION,), PROGRAM, self._caller.host)
        transport.write(OPENING + said(hello))
        self._due(PATIENCE, f"{self._server} did not answer the login in time")

    # What the client does.

    def open(self, request: Callable[[int], Open]) -> Deferred[Opened]:
        """
        Ask for a tunnel.

        @param request: makes the request of its number.
        @return: fails with L{Refusal}.
        """
        return self.requests.ask(request, Opened)

    def close(self, tunnel: str) -> Deferred[Closed]:
        """
        Withdraw a tunnel.

        @return: fails with L{Refusal}.
        """
        return self.requests.ask(lambda id: Close(id, tunnel), Closed)

    def dial(
        self, tunnel: str, kind: str = PRIVATE, sealed: bool = False
    ) -> Deferred[Any]:
        """
        Ask for a stream to a private tunnel of another client, or for a flow.

        @param sealed: whether what is said there is encrypted from end to end.
        @return: what the one who takes the answer gives to C{requests}; fails with
            L{Refusal}.
        """
        if not self._dials:
            reason = f"{self._server} knows no private tunnels: have it updated"
            return fail(Refusal(codes.KIND, reason))
        return self.requests.ask(
            lambda id: Dial(id, tunnel, kind, sealed),
            Start if kind == PRIVATE else Flow,
            DIALLING,
        )

    def leave(self, reason: str) -> Deferred[None]:
        """
        Say good-bye, and close.

        @return: fires when the connection is gone.
        """
        self._send(Bye("", reason))
        self._part(Parting("", reason, True), orderly=True)
        return self._gone

    def _send(self, message: FromClient) -> None:
        if self._parting is None:
            self.connection.transport.write(said(message))

    # What the server says.

    def dataReceived(self, data: bytes) -> None:
        """
        Bytes came: messages, or something else than a tunnelkit server.
        """
        if self._parting is not None:
            return  # nothing is gathered of what nobody will read
        self.heartbeat.heard()
        if self._receivers is self._beforeHello:
            self._first = (self._first + data)[:_KEPT]
        try:
            for frame in self._decoder.feed(data):
                if self._parting is not None:
                    return
                self._frameReceived(frame)
        except WireError as e:
            self._broken(str(e))
        except ServerUnproven as e:
            self._part(Parting(codes.LOGIN, str(e), False))
        except Refusal as e:
            self._part(Parting(e.code, e.reason, e.retry))
        except Exception:
            self._log.failure("a bug at the channel to {server}", server=self._server)
            self._part(Parting(codes.INTERNAL, "this client has a bug", True))

    def connectionLost(self, reason: Failure) -> None:
        """
        The control channel is gone.
        """
        self._lost = True
        closed = reason.check(ConnectionDone) is not None
        how = "the server closed it" if closed else reason.getErrorMessage()
        when = " during the login" if self._receivers is not self._loggedIn else ""
        self._part(
            Parting(
                codes.LOST, f"the connection to {self._server} ended{when}: {how}", True
            )
        )
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._gone.callback(None)

    def _frameReceived(self, frame: Frame) -> None:
        if not isinstance(frame, Message):
            raise WireError(f"a {type(frame).__name__} frame on a control channel")
        message = fromServer(frame)
        # Pings and pongs come again and again.
        if detail.shown and not isinstance(message, Ping | Pong):
            self._log.debug("the server says {name}", name=message.name)
        receive = self._receivers.get(type(message))
        if receive is None:
            raise WireError(f"{message.name} does not belong here")
        receive(self, message)

    def _helloReceived(self, hello: ServerHello) -> None:
        if hello.version != VERSION:
            reason = otherVersion(self._server, (hello.version,))
            raise Refusal(codes.VERSION, reason)
        caller = self._caller
        binding = bindingOf(self._server, hello.binding, self._shown, caller.verified)
        self._bound = binding is not None
        self._login = ClientLogin(
            caller.token, caller.client, caller.instance, binding, caller.nonce
        )
        self._receivers = self._inChallenge
        self._send(self._login.first())

    def _challengeReceived(self, challenge: Challenge) -> None:
        self._receivers = self._inProof
        self._send(self._login.answer(challenge))

    def _welcomeReceived(self, welcome: Welcome) -> None:
        self._login.check(welcome)
        self._receivers = self._loggedIn
        self._dials = welcome.dials
        if self._deadline is not None:
            self._deadline.cancel()
        self.heartbeat.pace(welcome.heartbeat, welcome.silence)
        giveUpAfter(self.connection.transport, self.heartbeat.silence)
        self.heartbeat.start()
        self._listener.loggedIn(welcome, self._bound)

    def _refusedReceived(self, refused: Refused) -> None:
        refusal = Refusal(refused.code, refused.reason, refused.retry)
        if self.requests.refused(refused.id, refusal):
            return
        if not refused.id:
            reason = refused.reason
            if refused.code == codes.VERSION:
                reason = otherVersion(self._server, refused.versions)
            self._part(Parting(refused.code, reason, refused.retry))

    def _answerReceived(self, answer: Opened | Closed) -> None:
        if self.requests.answered(answer.id, type(answer), answer):
            return
        if isinstance(answer, Opened):
            # Too late: nobody waits for it any more.
            self.close(answer.tunnel).addErrback(lambda _: None)
        elif not answer.id:
            self._listener.closed(answer)

    def _wantReceived(self, want: Want) -> None:
        self._listener.wanted(want.count)

    def _certificatesReceived(self, certificates: Certificates) -> None:
        self._listener.vouched(certificates.hashes)
        self._send(Vouched(certificates.id))

    def _drainReceived(self, drain: Drain) -> None:
        self._listener.drained(drain)

    def _pingReceived(self, ping: Ping) -> None:
        self._send(Pong(ping.at))

    def _pongReceived(self, pong: Pong) -> None:
        self.heartbeat.answered(pong.at)

    def _byeReceived(self, bye: Bye) -> None:
        self._part(Parting(bye.code, bye.reason, bye.retry))

    # How it ends.

    def _broken(self, error: str) -> None:
        if self._receivers is self._beforeHello:
            reason = (
                f"{self._server} is no tunnelkit server: it said {self._first!r}; check"
                " host and port of --server"
            )
        else:
            reason = f"{self._server} broke the protocol: {error}"
        self._part(Parting(codes.PROTOCOL, reason, False))

    def _silent(self) -> None:
        reason = f"nothing was heard from {self._server}"
        self._part(Parting(codes.SILENT, reason, True))

    def _ping(self, at: int) -> None:
        self._send(Ping(at))

    def _part(self, parting: Parting, orderly: bool = False) -> None:
        if self._parting is not None:
            return
        self._parting = parting
        self.heartbeat.stop()
        if not self._lost:
            self._close(orderly)
        self._listener.parted(parting)
        # Behind that, so that nobody takes it for an answer of the server's.
        self.requests.fail(_over(parting))

    def _close(self, orderly: bool) -> None:
        transport = self.connection.transport
        transport.unregisterProducer()
        if orderly:
            transport.loseConnection()
            self._due(CLOSING, "")
        else:
            transport.abortConnection()

    def _due(self, seconds: float, reason: str) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = self._clock.callLater(seconds, self._late, reason)

    def _late(self, reason: str) -> None:
        self._part(Parting(codes.SILENT, reason, True))
        self.connection.transport.abortConnection()

    _beforeHello: ClassVar[_Receivers] = {
        ServerHello: _helloReceived,
        Refused: _refusedReceived,
    }
    _inChallenge: ClassVar[_Receivers] = {
        Challenge: _challengeReceived,
        Refused: _refusedReceived,
    }
    _inProof: ClassVar[_Receivers] = {
        Welcome: _welcomeReceived,
        Refused: _refusedReceived,
    }
    _loggedIn: ClassVar[_Receivers] = {
        Opened: _answerReceived,
        Closed: _answerReceived,
        Refused: _refusedReceived,
        Want: _wantReceived,
        Certificates: _certificatesReceived,
        Drain: _drainReceived,
        Ping: _pingReceived,
        Pong: _pongReceived,
        Bye: _byeReceived,
    }


def _over(parting: Parting) -> Refusal:
    return Refusal(parting.code, parting.reason, retry=True)
