"""
A web site where clients ask for their WebSocket, and clients that do, in a network in
memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource
from twisted.web.server import Site

from tests.logs import Log
from tests.network import Network, Plain, Speaker, accepting
from tunnelkit.dialects.remotedialer.abroad.asking import AskingLine
from tunnelkit.dialects.remotedialer.ends import LineEnd
from tunnelkit.dialects.remotedialer.line import Line
from tunnelkit.dialects.remotedialer.locals import Authorise, Locals, relayed
from tunnelkit.dialects.remotedialer.room import Caller, ConnectRoom, listed
from tunnelkit.dialects.remotedialer.switchboard import Switchboard
from tunnelkit.relay.connection import Connection
from tunnelkit.relay.portable.relay import PortableRelay
from tunnelkit.wire.remotedialer.codec import MessageDecoder, encode
from tunnelkit.wire.remotedialer.messages import Connect, Message, Unknown
from tunnelkit.wire.remotedialer.websocket import (
    Asked,
    Closed,
    Piece,
    Pong,
    Rejected,
    WebSocket,
)

WEB: Final = 8080
SERVICE: Final = 8000
TARGET: Final = f"tcp/127.0.0.1:{SERVICE}"


def everything(network: str, address: str) -> bool:
    """
    Allow all.
    """
    return True


class LineCase(SynchronousTestCase):
    """
    A site, with a switchboard behind it.

    @ivar switchboard: who is there.
    @ivar services: those who came to the service.
    @ivar answer: what takes that which clients dial.
    """

    answer: Callable[[LineEnd, Connect], None] | None = None

    def setUp(self) -> None:
        """
        Open it.
        """
        self.log = Log(self)
        self.network = Network()
        reactor: Any = self.network
        self.relay = PortableRelay(reactor)
        self.switchboard = Switchboard()
        self.services = accepting(self.network, SERVICE)
        self.locals: list[Locals] = []
        self.lines: list[AskingLine] = []
        self.welcomed: list[Line] = []
        root = Resource()
        root.putChild(b"connect", ConnectRoom(listed({"foo", "bar"}), self.welcome))
        self.site = Site(root, reactor=reactor, timeout=60)
        self.site.startFactory = self.site.stopFactory = lambda: None  # type: ignore[method-assign]
        self.network.listenTCP(WEB, self.site)
        self.addCleanup(self.assertNothingLeft)

    def assertNothingLeft(self) -> None:
        """
        When all lines have ended nothing is left.
        """
        for wire in self.network.wires:
            wire.frozen = False
        for line in (*self.lines, *self.welcomed):
            line.end("the test is over")
        self.network.settle()
        for service in self.services:
            service.wire.loseConnection()
        for wire in self.network.wires:
            wire.abortConnection()
        self.network.settle()
        self.assertEqual(list(map(str, self.network.getDelayedCalls())), [])
        self.assertEqual(self.switchboard.listClients(), [])

    def welcome(self, caller: Caller, request: IRequest) -> Line:
        """
        Have a client be there.
        """
        number = len(self.welcomed) + 7
        line = Line(self.network, caller.key, number, 0, self.answer)
        self.welcomed.append(line)
        self.switchboard.add(line)
        return line

    def come(
        self,
        key: str = "foo",
        authorise: Authorise = everything,
        dial: Any = None,
        port: int = WEB,
    ) -> AskingLine:
        """
        Have a client of ours come.

        @param authorise: says what it may be told to dial.
        """
        local = Locals(self.relay, authorise, dial or relayed(self.relay))
        self.locals.append(local)
        line = AskingLine(self.network, 0, local.connect)
        self.lines.append(line)
        self.network.connect(port, Connection(line))
        opened = line.ask("example.org", "/connect", [(b"X-Tunnel-ID", key.encode())])
        self.network.settle()
        self.assertIsNone(self.successResultOf(opened))
        return line

    def stock(self, key: str = "foo") -> Stock:
        """
        Have a stock client come.
        """
        stock = Stock()
        self.network.connect(WEB, stock)
        stock.ask(key)
        self.network.settle()
        return stock

    def stockServer(self, port: int = 8090) -> tuple[AskingLine, Stock]:
        """
        Have a client of ours come to a stock server.
        """
        came: list[Stock] = []

        class Servers(Factory):
            noisy = False

            def buildProtocol(self, address: Any) -> Stock:
                came.append(Stock())
                return came[-1]

        self.network.listenTCP(port, Servers())
        return self.come(port=port), came[-1]

    def dial(self, key: str = "foo", target: str = TARGET) -> Any:
        """
        Connect through a client.

        @return: what did, and the service's side.
        """
        speaker = Speaker()
        endpoint = self.switchboard.dialer(key, target)
        connected = endpoint.connect(Factory.forProtocol(lambda: speaker))
        self.network.elapse(1.0)
        self.successResultOf(connected)
        return speaker, self.services[-1]


class Stock(Plain):
    """
    A program that says and hears messages as they are.

    @ivar said: what the other side said.
    @ivar pings: how many pings and pongs came.
    """

    def __init__(self) -> None:
        super().__init__()
        self.said: list[Message | Unknown] = []
        self.pongs = 0
        self.status = 0
        self.socket: Any = None
        self.code = 0
        self.takes = True
        self._decoder = MessageDecoder()
        self._number = 0

    def ask(self, key: str = "foo") -> None:
        """
        Ask for the WebSocket.
        """
        headers = [(b"X-Tunnel-ID", key.encode())]
        self.socket = WebSocket.client(self.say, "example.org", "/connect", headers)

    def dataReceived(self, data: bytes) -> None:
        """
        Read messages.
        """
        self.heard += data
        if self.socket is None:
            self.socket = WebSocket.server(self.say)
        for event in self.socket.receive(data):
            match event:
                case Asked():
                    self.socket.accept()
                case Rejected(status):
                    self.status = status
                case Pong():
                    self.pongs += 1
                case Closed(code):
                    self.code = code
                case Piece(piece, last):
                    message = self._decoder.feed(piece, last)
                    if message is not None:
                        self.said.append(message)

    def tell(self, *messages: Message) -> None:
        """
        Say messages.
        """
        for message in messages:
            self._number += 1
            self.socket.send(encode(self._number, message))

    def took(self) -> list[Message | Unknown]:
        """
        Give what the other side said, and forget it.
        """
        said, self.said = self.said, []
        return said
