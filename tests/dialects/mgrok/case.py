"""
A server that speaks mgrok, and its clients.
"""

from __future__ import annotations

from typing import Any, Final

from tests.mail import Post
from tests.network import Speaker
from tests.whole import PORT, WholeCase
from tunnelkit.dialects.mgrok.spec import MgrokSpec
from tunnelkit.wire.mgrok.codec import DatagramDecoder, HeadDecoder, encode
from tunnelkit.wire.mgrok.messages import Handshake, Heartbeat, NewStream, Register
from tunnelkit.wire.smux.session import Bounds, Finished, Opened, Received, Session

TOKEN: Final = "open sesame"
PUBLIC: Final = 9000


class Stock(Speaker):
    """
    A client that does what the program does with smux: it takes all there is, and
    closes what the other side has closed.

    @ivar smux: its side of the connection.
    @ivar control: the number of its control stream.
    @ivar opened: streams that the server has opened, in their order.
    @ivar said: by its number, what came of a stream.
    @ivar finished: streams that the server has closed.
    @ivar deaf: whether it closes nothing by itself.
    """

    def __init__(self) -> None:
        super().__init__()
        self.smux = Session(True, self.say, Bounds(1 << 20, 1 << 30, 1 << 30))
        self.control = 0
        self.opened: list[int] = []
        self.said: dict[int, bytes] = {}
        self.finished: list[int] = []
        self.deaf = False

    def connectionMade(self) -> None:
        """
        Open the control stream.
        """
        super().connectionMade()
        self.control = self.smux.open()

    def dataReceived(self, data: bytes) -> None:
        """
        Take what comes.
        """
        super().dataReceived(data)
        for event in self.smux.receive(data):
            match event:
                case Opened(stream):
                    self.opened.append(stream)
                    self.said[stream] = b""
                case Received(stream, data):
                    self.said[stream] = self.said.get(stream, b"") + data
                    self.smux.consumed(stream, len(data))
                case Finished(stream):
                    self.finished.append(stream)
                    if not self.deaf:
                        self.smux.finish(stream)

    def tell(self, *messages: Handshake | Register | Heartbeat) -> None:
        """
        Say something on the control stream, a PSH each.
        """
        for message in messages:
            self.smux.send(self.control, encode(message))

    def content(self, stream: int) -> tuple[NewStream | None, bytes]:
        """
        Give what a stream is for, and what came of it.
        """
        decoder = HeadDecoder()
        head = decoder.feed(self.said[stream])
        return head, decoder.rest()

    def datagrams(self) -> list[bytes]:
        """
        Give what came as datagrams on the streams that are open.
        """
        found: list[bytes] = []
        for stream in self.opened:
            found += DatagramDecoder().feed(self.content(stream)[1])
        return found


class MgrokCase(WholeCase):
    """
    A server that speaks mgrok.
    """

    def setUp(self) -> None:
        """
        Start it.
        """
        super().setUp()
        self.serveMgrok()

    def serveMgrok(self, tlsRequired: bool = False, **changes: Any) -> None:
        """
        Start it.
        """
        self.serve(dialects=(MgrokSpec(TOKEN, tlsRequired),), **changes)

    def arrive(self) -> Stock:
        """
        Connect.
        """
        client = Stock()
        self.network.connect(PORT, client)
        return client

    def come(self, *messages: Register | Heartbeat, token: str = TOKEN) -> Stock:
        """
        Connect, log in, and say something.
        """
        client = self.arrive()
        client.tell(Handshake(token.encode()), *messages)
        self.network.settle()
        return client

    def register(
        self, port: int = PUBLIC, name: str = "web", kind: str = "tcp"
    ) -> Stock:
        """
        Have a client with a tunnel.
        """
        client = self.come(Register(kind, port, 8000, name))
        names = [tunnel.name for tunnel in self.server.status().tunnels]
        self.assertIn(name, names)
        return client

    def served(self, client: Stock, port: int = PUBLIC) -> tuple[Speaker, int]:
        """
        Let a visitor come.

        @return: the visitor, and his stream.
        """
        visitor = self.visit(port)
        return visitor, client.opened[-1]

    def ask(self, *datagrams: bytes, port: int = PUBLIC) -> Post:
        """
        Let a visitor send datagrams.
        """
        visitor = Post()
        network: Any = self.network
        network.listenUDP(0, visitor, "127.0.0.1")
        for datagram in datagrams:
            visitor.say(datagram, port)
            self.network.settle()
        return visitor

    def told(self) -> str:
        """
        Give what the log says to the operator.
        """
        return "\n".join(self.log.lines("info", "warn"))
