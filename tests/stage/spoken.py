"""
Spoken: the native protocol by hand, over a plain blocking connection, for tests that
are a client, a server, or neither.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SkipTest

from tests.stage.authority import strangers
from tests.stage.programs import LIMIT, Unfulfilled
from tests.stage.services import LOOPBACK
from tests.stage.sockets import (
    PIECE,
    Address,
    connected,
    listener,
    receive,
    receiveExactly,
)
from tunnelkit.control.login.client import ClientLogin
from tunnelkit.control.login.proofs import workProof
from tunnelkit.control.login.server import ServerLogin
from tunnelkit.state.verifier import Verifier
from tunnelkit.wire.certificate import bindingHash
from tunnelkit.wire.native.codec import fromClient, fromServer, said
from tunnelkit.wire.native.frames import Frame, FrameDecoder, Message, encode
from tunnelkit.wire.native.login import (
    Challenge,
    ClientHello,
    Login,
    Proof,
    ServerHello,
    Welcome,
)
from tunnelkit.wire.native.messages import (
    FromClient,
    FromServer,
    Open,
    Opened,
    Ping,
    Pong,
    Work,
)
from tunnelkit.wire.sniff import OPENING
from tunnelkit.wire.token import Token

T = TypeVar("T")

_KEY: Final = bytes(range(32))


class Speaker:
    """
    One side of a conversation.

    @ivar connection: the connection, which has a time limit for all that it does.
    """

    def __init__(self, connection: socket.socket, client: bool) -> None:
        """
        @param client: whether this is the client's side.
        """
        self.connection = connection
        self._read: Any = fromServer if client else fromClient
        self._decoder = FrameDecoder()
        self._heard: list[Frame] = []

    def say(self, *said_: FromClient | FromServer | Frame) -> None:
        """
        Send messages or frames, in one write.
        """
        self.send(b"".join(map(_encoded, said_)))

    def send(self, data: bytes) -> None:
        """
        Send bytes, whatever they are.
        """
        self.connection.sendall(data)

    def hear(self, expected: type[T]) -> T:
        """
        Wait for a frame or a message; what else comes before it is passed over.

        @raise EOFError: the other side ended without it.
        """
        while True:
            frame = self._next()
            found = self._read(frame) if isinstance(frame, Message) else frame
            if isinstance(found, expected):
                return found

    def silent(self) -> bool:
        """
        Wait until the other side closes, or resets.

        @return: whether it said nothing before that.
        """
        try:
            return self.connection.recv(1) == b""
        except ConnectionError:
            return True

    def ended(self) -> None:
        """
        Wait until the other side closes, or resets, whatever it says before that.

        @raise TimeoutError: it does not.
        """
        receive(self.connection)

    def close(self) -> None:
        """
        Close.
        """
        self.connection.close()

    def _next(self) -> Frame:
        while not self._heard:
            data = self.connection.recv(PIECE)
            if not data:
                raise EOFError("the other side ended")
            self._heard.extend(self._decoder.feed(data))
        return self._heard.pop(0)


def _encoded(each: FromClient | FromServer | Frame) -> bytes:
    return encode(each) if isinstance(each, Frame) else said(each)


# A client.


def arrived(address: Address, source: str = "") -> socket.socket:
    """
    Connect from an address of this machine's.

    @raise SkipTest: this machine has no such address.
    """
    if not source:
        return connected(address)
    assert not isinstance(address, str), "a UNIX socket has no addresses"
    try:
        return socket.create_connection(address, LIMIT, (source, 0))
    except OSError as e:
        if e.errno == errno.EADDRNOTAVAIL:
            raise SkipTest(f"this machine does not have {source}") from e
        raise


@dataclass(frozen=True, slots=True)
class Member:
    """
    A client that is logged in.

    @ivar channel: its control channel.
    @ivar certificate: what that showed, DER.
    """

    address: Address
    channel: Speaker
    welcome: Welcome
    certificate: bytes

    @classmethod
    def logIn(cls, address: Address, token: Token, source: str = "") -> Member:
        """
        Log in over TLS.

        @param source: the address to come from, if that matters.
        """
        connection = strangers().wrap_socket(arrived(address, source))
        certificate = connection.getpeercert(binary_form=True) or b""
        channel = Speaker(connection, client=True)
        channel.send(OPENING)
        channel.say(ClientHello((1,), "a test", "localhost"))
        channel.hear(ServerHello)
        binding = bindingHash(certificate)
        login = ClientLogin(
            token, "a test", os.urandom(16).hex(), binding, lambda: os.urandom(16).hex()
        )
        channel.say(login.first())
        channel.say(login.answer(channel.hear(Challenge)))
        welcome = channel.hear(Welcome)
        login.check(welcome)
        return cls(address, channel, welcome, certificate)

    def proof(self, serial: int) -> str:
        """
        Make the proof of a work connection.
        """
        return workProof(bytes.fromhex(self.welcome.key), serial, self.certificate)

    def unboundProof(self, serial: int) -> str:
        """
        Make the same as if this login was bound to no certificate.
        """
        return workProof(bytes.fromhex(self.welcome.key), serial, None)

    def bring(
        self, session: str, serial: int, proof: str, plain: bool = False
    ) -> Speaker:
        """
        Open a work connection.

        @param plain: whether without TLS.
        """
        connection = connected(self.address)
        work = Speaker(
            connection if plain else strangers().wrap_socket(connection), client=True
        )
        work.send(OPENING)
        work.say(Work(session, serial, proof))
        return work

    def alive(self) -> None:
        """
        Check that the control channel is.
        """
        self.channel.say(Ping(7))
        while self.channel.hear(Pong).at != 7:
            pass


# A server.


class Impostor:
    """
    What listens where a server should, plain, and does as its test says.  It knows the
    token, as a server that was taken over does.

    @ivar port: where it listens.
    @ivar came: how many connections it has had.
    """

    def __init__(self, token: Token) -> None:
        self.came = 0
        self._verifier = Verifier.of(token.secret, os.urandom)
        self._listening = listener(LOOPBACK)
        self._waiting: SimpleQueue[socket.socket] = SimpleQueue()
        self._held: list[socket.socket] = []
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """
        Listen no more, and close all connections.
        """
        with contextlib.suppress(OSError):
            # Closing it would not wake the thread that accepts.
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for each in self._held:
            each.close()

    def connection(self) -> Deferred[Speaker]:
        """
        Wait for the next connection that opens in the native protocol.
        """
        return deferToThread(self._connection)

    def member(self, tunnels: int = 1) -> Deferred[Speaker]:
        """
        Wait for a client, let it log in, and open its tunnels.

        @return: its control channel.
        """
        return deferToThread(self._member, tunnels)

    def work(self) -> Deferred[Speaker]:
        """
        Wait for the next connection, which must be a work connection.
        """
        return deferToThread(self._work)

    def challenged(self, channel: Speaker) -> str:
        """
        Hear a login out.

        @return: SCRAM's server-final-message.
        """
        channel.hear(ClientHello)
        channel.say(ServerHello(1, "none", "a test"))
        login = ServerLogin(
            lambda user: self._verifier, _KEY, None, lambda: os.urandom(16).hex()
        )
        channel.say(login.challenge(channel.hear(Login)))
        return login.prove(channel.hear(Proof))

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                connection.settimeout(LIMIT)
                self._held.append(connection)
                self._waiting.put(connection)
                self.came += 1

    def _connection(self) -> Speaker:
        try:
            connection = self._waiting.get(timeout=LIMIT)
        except Empty:
            raise Unfulfilled(f"nobody connected in {LIMIT:.0f} s") from None
        opening = receiveExactly(connection, len(OPENING))
        if opening != OPENING:
            raise Unfulfilled(f"who connected said {opening!r}")
        return Speaker(connection, client=False)

    def _member(self, tunnels: int) -> Speaker:
        channel = self._connection()
        channel.say(welcome(self.challenged(channel)))
        for _ in range(tunnels):
            request = channel.hear(Open)
            address = f"tcp://127.0.0.1:{9000 + request.id}"
            channel.say(Opened(request.id, request.tunnel, address))
        return channel

    def _work(self) -> Speaker:
        work = self._connection()
        work.hear(Work)
        return work


def welcome(final: str, silence: int = 12) -> Welcome:
    """
    Make the end of a login.

    @param final: SCRAM's server-final-message.
    @param silence: after how many seconds without a byte the client is to leave.
    """
    return Welcome(final, "session", _KEY.hex(), 5, silence, 100)
