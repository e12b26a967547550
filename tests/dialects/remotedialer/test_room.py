"""
Tests for L{tunnelkit.dialects.remotedialer.room} and C{asking}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource

from tests.dialects.remotedialer.case import (
    TARGET,
    WEB,
    LineCase,
    Stock,
    everything,
)
from tests.golden.recorded import exchanges
from tests.network import Speaker
from tunnelkit.dialects.abroad import AbroadSettings, Means, Place
from tunnelkit.dialects.remotedialer.abroad.asking import (
    PATIENCE,
    AskingLine,
    NotOpened,
)
from tunnelkit.dialects.remotedialer.abroad.client import (
    REMOTEDIALER,
    RemoteDialerClient,
)
from tunnelkit.dialects.remotedialer.line import Line
from tunnelkit.dialects.remotedialer.locals import Locals, relayed
from tunnelkit.dialects.remotedialer.room import (
    Caller,
    ConnectRoom,
    listed,
    welcoming,
)
from tunnelkit.dialects.remotedialer.switchboard import Switchboard
from tunnelkit.relay.connection import Connection
from tunnelkit.wire.address import HostPort


def head(answer: bytes) -> tuple[int, dict[str, str], str]:
    """
    Read an answer: status, headers, body.
    """
    first, _, rest = answer.decode("latin-1").partition("\r\n")
    lines, _, body = rest.partition("\r\n\r\n")
    pairs = (line.split(": ", 1) for line in lines.split("\r\n"))
    return int(first.split()[1]), {name.lower(): text for name, text in pairs}, body


class GoldenTests(LineCase):
    """
    The program's answers are ours.
    """

    def ask(self, request: str) -> bytes:
        """
        Ask.
        """
        asking = Speaker()
        self.network.connect(WEB, asking)
        asking.say(request.encode())
        self.network.settle()
        return asking.heard

    def test_recorded(self) -> None:
        """
        Who may not come in, or asks for no WebSocket, gets the recorded answer; but we
        say once what is wrong, in words of our own.
        """
        for exchange in exchanges("remotedialer", "http"):
            if "/connect" not in exchange["request"] or "peer id" in exchange["what"]:
                continue
            expected = head(exchange["response"].encode())
            status, headers, body = head(self.ask(exchange["request"]))
            self.assertEqual(status, expected[0], exchange["what"])
            for name in ("content-type", "upgrade", "sec-websocket-accept"):
                self.assertEqual(headers.get(name), expected[1].get(name), name)
            if status == 401:
                self.assertEqual(body, expected[2])
            elif status != 101:
                self.assertIn("WebSocket", body)

    def test_others(self) -> None:
        """
        There is nothing else there.
        """
        self.assertIn(b" 404 ", self.ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
        self.assertIn(b" 405 ", self.ask("POST /connect HTTP/1.1\r\nHost: x\r\n\r\n"))


class AuthoriserTests(LineCase):
    """
    A program of one's own says who may come in.
    """

    def room(self, authorise: Any) -> Stock:
        """
        Ask a room with an authoriser.
        """
        self.site.resource = root = Resource()
        root.putChild(b"connect", ConnectRoom(authorise, self.welcome))
        stock = Stock()
        self.network.connect(WEB, stock)
        stock.ask("anything")
        self.network.settle()
        return stock

    def test_own(self) -> None:
        """
        It sees the request and gives the key.
        """

        def authorise(request: IRequest) -> Caller:
            self.assertEqual(request.uri, b"/connect")
            return Caller("ann")

        self.room(authorise)
        self.assertEqual(self.switchboard.listClients(), ["ann"])

    def test_whole(self) -> None:
        """
        A program of ten lines has clients, dials through them, and lets them dial.
        """
        board = Switchboard()
        local = Locals(self.relay, everything, relayed(self.relay))
        welcome = welcoming(board, self.network, local.connect)
        self.site.resource = root = Resource()
        root.putChild(b"connect", ConnectRoom(listed({"foo"}), welcome))
        reactor: Any = self.network
        means = Means(
            reactor=reactor,
            relay=self.relay,
            random=lambda count: b"r" * count,
            now=self.network.seconds,
            failed=self.fail,
        )
        place = Place(HostPort("127.0.0.1", WEB), False)
        settings = AbroadSettings(dialect=REMOTEDIALER, place=place, name="foo")
        client = RemoteDialerClient(settings, means, authorise=everything)
        factory = Factory.forProtocol(Speaker)
        self.failureResultOf(client.dialer(TARGET).connect(factory))
        client.startService()
        self.network.settle()
        for endpoint in (board.dialer("foo", TARGET), client.dialer(TARGET)):
            connected = endpoint.connect(factory)
            self.network.elapse(1.0)
            speaker: Any = self.successResultOf(connected)
            speaker.say(b"hello")
            self.network.settle()
            self.assertEqual(self.services[-1].heard, b"hello")
        client.stopService()
        self.network.settle()

    def test_later(self) -> None:
        """
        It may take its time; who does not wait for it costs nothing.
        """
        asked: list[Deferred[Caller | None]] = []

        def authorise(request: IRequest) -> Deferred[Caller | None]:
            asked.append(Deferred())
            return asked[-1]

        self.room(authorise)
        asked[0].callback(Caller("ann"))
        self.network.settle()
        self.assertEqual(self.switchboard.listClients(), ["ann"])
        self.room(authorise).wire.abortConnection()
        self.network.settle()
        asked[1].callback(Caller("bob"))
        self.network.settle()
        self.assertEqual(self.switchboard.listClients(), ["ann"])

    def test_errors(self) -> None:
        """
        Its ValueError is told to who asks; a bug is not.
        """

        def refusing(request: IRequest) -> Caller:
            raise ValueError("come back on Monday")

        def broken(request: IRequest) -> Caller:
            raise RuntimeError("a secret")

        stock = self.room(refusing)
        self.assertEqual(stock.status, 400)
        self.assertTrue(stock.heard.endswith(b"come back on Monday"))
        stock = self.room(broken)
        self.assertEqual(stock.status, 500)
        self.assertNotIn(b"a secret", stock.heard)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_full(self) -> None:
        """
        Who may come in and finds no room is told so.
        """

        def welcome(caller: Caller, request: IRequest) -> Line:
            raise ConnectionError("there are too many")

        self.site.resource = root = Resource()
        root.putChild(b"connect", ConnectRoom(lambda r: Caller("ann"), welcome))
        stock = Stock()
        self.network.connect(WEB, stock)
        stock.ask()
        self.network.settle()
        self.assertEqual(stock.status, 503)

    def test_early(self) -> None:
        """
        What a client says ahead of the answer is not lost.
        """
        stock = Stock()
        self.network.connect(WEB, stock)
        stock.ask()
        stock.say(bytes.fromhex("898000000000"))
        self.network.settle()
        self.assertTrue(stock.heard.endswith(b"\x8a\x00"))

    def test_earlyAndLater(self) -> None:
        """
        Not even where the authoriser takes its time.
        """
        asked: Deferred[Caller | None] = Deferred()
        stock = self.room(lambda request: asked)
        stock.say(bytes.fromhex("898000000000"))
        self.network.settle()
        asked.callback(Caller("ann"))
        self.network.settle()
        self.assertTrue(stock.heard.endswith(b"\x8a\x00"))


class AskingTests(LineCase):
    """
    Our client asks for its WebSocket.
    """

    def ask(self, port: int = WEB, **named: Any) -> tuple[AskingLine, Deferred[None]]:
        """
        Ask.
        """
        line = AskingLine(self.network, 0)
        self.lines.append(line)
        self.network.connect(port, Connection(line))
        headers = [(b"X-Tunnel-ID", named.get("key", b"foo"))]
        return line, line.ask(named.get("host", "x"), "/connect", headers)

    def assertNotOpened(self, opened: Deferred[None], text: str, status: int) -> None:
        """
        See why it was not.
        """
        error = self.failureResultOf(opened, NotOpened).value
        self.assertIn(text, str(error))
        self.assertEqual(error.status, status)

    def test_refused(self) -> None:
        """
        A wrong id is told as what it is.
        """
        _, opened = self.ask(key=b"nobody")
        self.network.settle()
        self.assertNotOpened(opened, "the answer is 401", 401)

    def test_silent(self) -> None:
        """
        A server that does not answer is left.
        """
        self.network.ports.clear()
        _, opened = self.ask(8000)
        self.network.elapse(PATIENCE)
        self.assertNotOpened(opened, "no answer in 10 seconds", 0)

    def test_noServer(self) -> None:
        """
        So is one that speaks something else, or closes.
        """
        _, opened = self.ask(8000)
        self.services[-1].say(b"220 hello\r\n\r\n")
        self.network.settle()
        self.assertNotOpened(opened, "", 0)
        _, opened = self.ask(8000)
        self.services[-1].wire.loseConnection()
        self.network.settle()
        self.assertNotOpened(opened, "the connection is gone", 0)

    def test_cancelled(self) -> None:
        """
        One can give up.
        """
        line, opened = self.ask(8000)
        opened.cancel()
        self.network.settle()
        self.assertTrue(line.over)
        self.assertNotOpened(opened, "given up", 0)
