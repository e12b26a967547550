"""
What the tests of the native protocol share: a server without its state folder, and
clients that say what a test tells them to.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, TypeVar

from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.trial.unittest import SynchronousTestCase

from tests.fakes import pairOf, random
from tests.logs import Log
from tests.network import Network, Plain, secured
from tunnelkit.control.leases.ports import Leases
from tunnelkit.control.login.client import ClientLogin
from tunnelkit.control.login.proofs import workProof
from tunnelkit.control.session import Session
from tunnelkit.control.sessions import Sessions
from tunnelkit.dialects.doorway import Doorway
from tunnelkit.dialects.house import House
from tunnelkit.dialects.native.greeting import Greeting
from tunnelkit.relay.portable.relay import PortableRelay
from tunnelkit.relay.secure import ServerTLS
from tunnelkit.state.store import MemoryStore
from tunnelkit.state.verifier import Verifier
from tunnelkit.tunnels.bursts import Bursts
from tunnelkit.tunnels.kinds import PUBLIC
from tunnelkit.tunnels.published import Published
from tunnelkit.wire.certificate import bindingHash
from tunnelkit.wire.native.codec import fromServer, said
from tunnelkit.wire.native.frames import FrameDecoder, Message
from tunnelkit.wire.native.login import Challenge, ClientHello, ServerHello, Welcome
from tunnelkit.wire.native.messages import FromClient, FromServer, Work
from tunnelkit.wire.ports import PortSet
from tunnelkit.wire.sniff import OPENING
from tunnelkit.wire.token import Token

PORT: Final = 8910
PLAIN_PORT: Final = 8911
OTHER_PORT: Final = 8912
"""A TLS port with a certificate of its own."""

TOKEN: Final = Token("ann", "ue5xkq3dznb7w2yhj4ltv6pamrs2cfgo")
VERIFIER: Final = Verifier.of(TOKEN.secret, lambda size: bytes(range(size)))
HELLO: Final = ClientHello((1,), "test/1", "vps.example.org")
PAIR: Final = pairOf("localhost")
OTHER_PAIR: Final = pairOf("other")

_Said = TypeVar("_Said", bound=FromServer)


class Script(Plain):
    """
    A client that says what it is told to.

    @ivar unread: what the server said and nobody looked at yet.
    """

    def __init__(self, network: Network, der: bytes | None) -> None:
        super().__init__()
        self.network = network
        self.der = der
        self.unread: list[FromServer] = []
        self._decoder = FrameDecoder()

    def dataReceived(self, data: bytes) -> None:
        """
        Read what the server says.
        """
        super().dataReceived(data)
        for frame in self._decoder.feed(data):
            assert isinstance(frame, Message), f"{frame} is no message"
            self.unread.append(fromServer(frame))

    def tell(self, *messages: FromClient) -> None:
        """
        Say something, and let the server answer.
        """
        self.say(b"".join(map(said, messages)))
        self.network.settle()

    def got(self, kind: type[_Said]) -> _Said:
        """
        Give the next message, which is of this kind.
        """
        assert self.unread, f"no {kind.name}: the server says nothing"
        message = self.unread.pop(0)
        assert isinstance(message, kind), f"{message} in place of {kind.name}"
        return message

    def all(self, kind: type[_Said]) -> list[_Said]:
        """
        Give all messages of a kind that nobody looked at yet.
        """
        found: list[_Said] = [m for m in self.unread if isinstance(m, kind)]
        self.unread = [m for m in self.unread if not isinstance(m, kind)]
        return found

    def hello(self, hello: ClientHello = HELLO) -> ServerHello:
        """
        Say hello.
        """
        self.say(OPENING)
        self.tell(hello)
        return self.got(ServerHello)

    def prove(
        self,
        hello: ServerHello,
        token: Token = TOKEN,
        client: str = "laptop",
        instance: str = "instance1",
    ) -> ClientLogin:
        """
        Go through the login, up to the proof.
        """
        bound = hello.binding == "endpoint" and self.der is not None
        binding = bindingHash(self.der or b"") if bound else None
        login = ClientLogin(token, client, instance, binding, lambda: "clientnonce")
        self.tell(login.first())
        self.tell(login.answer(self.got(Challenge)))
        return login

    def logIn(self, hello: ClientHello = HELLO, **who: Any) -> Welcome:
        """
        Log in.
        """
        login = self.prove(self.hello(hello), **who)
        welcome = self.got(Welcome)
        login.check(welcome)
        return welcome


class NativeCase(SynchronousTestCase):
    """
    A server on three ports: one of TLS, one plain, and one of TLS with another
    certificate.
    """

    def allowed(self, user: str) -> bool:
        """
        Say whether a user may do anything.
        """
        return user in self.users

    def setUp(self) -> None:
        """
        Listen.
        """
        self.log = Log(self)
        self.network = network = Network()
        network.advance(1000)
        self.users: dict[str, Verifier] = {"ann": VERIFIER}
        self.hashes: tuple[str, ...] = (PAIR.fingerprint,)
        self.sessions = Sessions(network, network.seconds, random, self.allowed, most=5)
        relay = PortableRelay(network)
        leases = Leases(
            MemoryStore(),
            PortSet.parse("9000-9019"),
            clock=network,
            now=network.seconds,
            choose=lambda below: 0,
        )
        leases.load()
        self.warned: list[str] = []
        self.house = House(
            http=lambda: None,
            atEnd=self.addCleanup,
            clock=network,
            relay=relay,
            sessions=self.sessions,
            published=Published({"tcp": leases}, relay, network, PUBLIC, "127.0.0.1"),
            lookup=lambda user: self.users.get(user),
            decoyKey=bytes(32),
            nonce=lambda: random(8).hex(),
            shown=lambda: self.hashes,
            troubles=Bursts(self.warned.append, network),
            now=network.seconds,
        )
        self.doorways = [
            Doorway(network, relay, ServerTLS(pair), self.greet, plain)
            for pair, plain in ((PAIR, False), (PAIR, True), (OTHER_PAIR, False))
        ]
        for port, doorway in zip(
            (PORT, PLAIN_PORT, OTHER_PORT), self.doorways, strict=True
        ):
            network.listenTCP(port, doorway)
        self.addCleanup(self.assertNothingLeft)

    def greet(self, guest: Any) -> Greeting:
        """
        Let somebody speak the native protocol.
        """
        return Greeting(self.house, guest)

    def assertNothingLeft(self) -> None:
        """
        When all have gone, nobody is counted any more, and nothing waits.
        """
        for one in self.sessions:
            one.end("", "the test is over")
        for wire in self.network.wires:
            wire.frozen = False
        for doorway in self.doorways:
            doorway.close()
        self.house.troubles.stop()
        self.network.settle()
        for wire in self.network.wires:
            wire.abortConnection()
        self.network.settle()
        self.assertEqual([doorway.guests for doorway in self.doorways], [0, 0, 0])
        self.assertEqual(list(map(str, self.network.getDelayedCalls())), [])

    def come(
        self, port: int = PORT, creator: IOpenSSLClientConnectionCreator | None = None
    ) -> Script:
        """
        Connect, with TLS where the port has it.
        """
        pair = OTHER_PAIR if port == OTHER_PORT else PAIR
        plain = port == PLAIN_PORT
        one = Script(self.network, None if plain else pair.der)
        self.network.connect(
            port, one if plain else secured(self.network, one, creator)
        )
        self.network.settle()
        return one

    def session(self) -> Session:
        """
        Give the one session there is.
        """
        (session,) = self.sessions
        return session

    def bringWork(
        self, welcome: Welcome, serial: int = 1, port: int = PORT, **changes: Any
    ) -> Script:
        """
        Open a work connection.
        """
        one = self.come(port)
        one.say(OPENING)
        one.tell(replace(workOf(welcome, serial, one.der), **changes))
        return one

    def works(self) -> int:
        """
        Say how many work connections the one session has.
        """
        idle, busy, _ = self.session().pool.counts
        return idle + busy


def workOf(welcome: Welcome, serial: int, der: bytes | None) -> Work:
    """
    Make the first message of a work connection.
    """
    proof = workProof(bytes.fromhex(welcome.key), serial, der)
    return Work(welcome.session, serial, proof)
