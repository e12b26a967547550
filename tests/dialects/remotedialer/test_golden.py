"""
Recorded conversations of the stock programs, played to ours in either role.
"""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from twisted.internet.protocol import Factory

from tests.dialects.remotedialer.case import WEB, LineCase, everything
from tests.golden.recorded import lines, streams
from tests.network import Plain, Speaker, accepting
from tests.wire.remotedialer.replayed import asking, key, replayed
from tunnelkit.dialects.remotedialer.abroad.asking import AskingLine
from tunnelkit.dialects.remotedialer.locals import Locals, relayed
from tunnelkit.relay.connection import Connection
from tunnelkit.wire.remotedialer.codec import MessageDecoder, decode
from tunnelkit.wire.remotedialer.messages import (
    DISCONNECTED,
    END,
    Connect,
    Data,
    Error,
    Sync,
)
from tunnelkit.wire.remotedialer.websocket import Asked, Piece, WebSocket

SYSTEM = "remotedialer"


def said(name: str, sender: str) -> list[Any]:
    """
    Give the messages of one side, on the first connection.
    """
    return [decode(each)[1] for each in replayed(name).get((1, sender), [])]


def joined(messages: list[Any]) -> dict[int, bytes]:
    """
    Give the bytes that were sent of each connection.
    """
    found: dict[int, bytes] = {}
    for each in messages:
        if isinstance(each, Data):
            found[each.connection] = found.get(each.connection, b"") + each.payload
    return found


def others(messages: list[Any]) -> list[Any]:
    """
    Give all other messages; of Errors, the first of each connection: the program says
    what is over two or three times.
    """
    found: list[Any] = []
    over: set[int] = set()
    for each in messages:
        if isinstance(each, Error):
            if each.connection not in over:
                over.add(each.connection)
                found.append(each)
        elif not isinstance(each, Data):
            found.append(each)
    return found


def read(socket: WebSocket, data: bytes) -> list[Any]:
    """
    Read what one side says, of which the beginning was read before.
    """
    found: list[Any] = []
    decoder: Any = socket.__dict__.setdefault("decoder", MessageDecoder())
    for event in socket.receive(data):
        if isinstance(event, Asked):
            socket.accept()
        elif isinstance(event, Piece):
            message = decoder.feed(event.data, event.last)
            if message is not None:
                found.append(message)
    return found


class ServerTests(LineCase):
    """
    A stock client gets from our server what it got from its own.
    """

    def play(self, name: str) -> tuple[Plain, dict[int, Speaker], list[Any]]:
        """
        Play a conversation: dial when the stock server did, and say what it said.

        @return: the client, who dialled, by the number of his connection, and what we
            said.
        """
        client, visitors = Plain(), dict[int, Speaker]()
        recorded = streams(SYSTEM, name)
        server = asking(recorded[1, "c2s"])
        at = 0.0
        for line in lines(SYSTEM, name):
            if line.get("conn") != 1 or "t" not in line:
                continue
            self.network.elapse(max(0.0, line["t"] - at))
            at = max(at, line["t"])
            data = bytes.fromhex(line.get("hex", ""))
            if line.get("event") == "open":
                self.network.connect(WEB, client)
            elif line.get("event") == "eof":
                client.wire.loseConnection()
            elif line["dir"] == "c2s":
                client.say(data)
            else:
                for message in read(server, data):
                    self.repeat(message, visitors)
            self.network.settle()
        ours = asking(recorded[1, "c2s"])
        return client, visitors, read(ours, client.heard)

    def repeat(self, message: Any, visitors: dict[int, Speaker]) -> None:
        """
        Have our server do what the stock server did.
        """
        match message:
            case Connect(id, network, address):
                visitors[id] = visitor = Speaker()
                factory = Factory.forProtocol(lambda: visitor)
                target = f"{network}/{address}"
                self.switchboard.dialer("foo", target, 0.0).connect(factory)
                self.network.settle()
            case Data(id, payload) if not visitors[id].ended:
                visitors[id].say(payload)

    def assertSame(self, name: str) -> dict[int, Speaker]:
        """
        Play a conversation, and compare what the client heard.
        """
        _, visitors, ours = self.play(name)
        expected = said(name, "s2c")
        self.assertEqual(joined(ours), joined(expected))
        expected = [each for each in others(expected) if not lost(each)]
        self.assertEqual(others(ours), expected)
        told = joined(said(name, "c2s"))
        for id, visitor in visitors.items():
            self.assertEqual(visitor.heard, told.get(id, b""))
        return visitors

    def test_session(self) -> None:
        """
        Requests cross, with a connection of its own each; the connections stay.
        """
        visitors = self.assertSame("session")
        self.assertEqual({each.ended for each in visitors.values()}, {""})

    def test_serviceCloses(self) -> None:
        """
        The service's end is an end, after its answer.
        """
        visitors = self.assertSame("service_close")
        self.assertEqual(visitors[2].ended, "end")

    def test_refused(self) -> None:
        """
        What could not be dialled is a failure.
        """
        visitors = self.assertSame("dial_refused")
        self.assertEqual(visitors[2].ended, "reset")

    def test_large(self) -> None:
        """
        A long answer comes in the client's small frames.
        """
        _, visitors, _ = self.play("large_get")
        (visitor,) = visitors.values()
        self.assertGreater(len(visitor.heard), 30_000)
        self.assertTrue(visitor.heard.startswith(b"HTTP/1.1 200"))

    def test_clientGone(self) -> None:
        """
        When the client is killed what it served is reset.
        """
        visitors = self.assertSame("client_gone")
        self.assertEqual(visitors[2].ended, "reset")

    def test_sync(self) -> None:
        """
        The client's list drops nothing that it has.
        """
        visitors = self.assertSame("sync")
        self.assertEqual({each.ended for each in visitors.values()}, {""})


def lost(message: Any) -> bool:
    """
    Tell what a stock server says where nobody hears it.
    """
    return isinstance(message, Error) and message.text == DISCONNECTED


class StockServer(Plain):
    """
    A stock server, as far as it was recorded.
    """


class ClientTests(LineCase):
    """
    Our client says to a stock server what its own client said.
    """

    def play(self, name: str) -> list[Any]:
        """
        Play a conversation to our client, with the service that was there.

        @return: what our client said.
        """
        server, services = StockServer(), dict[int, list[Speaker]]()
        recorded = streams(SYSTEM, name)
        conversation = lines(SYSTEM, name)
        for port in {each["port"] for each in conversation if "port" in each}:
            services[port] = accepting(self.network, port)
        self.network.listenTCP(8090, Factory.forProtocol(lambda: server))
        self.begin(key(recorded[1, "c2s"]))
        at, ids = 0.0, dict[int, int]()
        for line in conversation:
            if "t" not in line:
                continue
            self.network.elapse(max(0.0, line["t"] - at))
            at = max(at, line["t"])
            data = bytes.fromhex(line.get("hex", ""))
            if line.get("conn") == 1 and line.get("dir") == "s2c" and data:
                server.say(data)
            elif line.get("side") == "service":
                self.serve(line, data, services, ids)
            self.network.settle()
        reading = WebSocket.server(bytes)
        head, end, rest = server.heard.partition(b"\r\n\r\n")
        return [*read(reading, head + end), *read(reading, rest)]

    def begin(self, nonce: bytes) -> None:
        """
        Have our client ask, with the recorded nonce.
        """
        local = Locals(self.relay, everything, relayed(self.relay))
        line = AskingLine(self.network, 0, local.connect)
        self.lines.append(line)
        self.network.connect(8090, Connection(line))
        with patch("wsproto.handshake.generate_nonce", lambda: nonce):
            opened = line.ask("127.0.0.1:21051", "/connect", [(b"X-Tunnel-ID", b"foo")])
        opened.addErrback(lambda failure: None)
        self.network.settle()

    def serve(
        self,
        line: dict[str, Any],
        data: bytes,
        services: dict[int, list[Speaker]],
        ids: dict[int, int],
    ) -> None:
        """
        Do what the service did.
        """
        if line["event"] == "accept":
            ids[line["id"]] = line["port"]
            return
        service = services[ids[line["id"]]][-1]
        if line["event"] == "send":
            service.say(data)
        elif line["event"] == "close":
            service.wire.loseConnection()

    def assertSame(self, name: str) -> None:
        """
        Play a conversation, and compare what the server heard.
        """
        ours, expected = self.play(name), said(name, "c2s")
        self.assertEqual(joined(ours), joined(expected))
        self.assertEqual(others(ours), others(expected))

    def test_session(self) -> None:
        """
        What the server dials is dialled, and answers.
        """
        self.assertSame("session")

    def test_serviceCloses(self) -> None:
        """
        A service's end is told.
        """
        self.assertSame("service_close")

    def test_sync(self) -> None:
        """
        After a minute the server is told what there is.
        """
        self.assertSame("sync")
        self.assertIn(Sync(frozenset({2, 3})), said("sync", "c2s"))

    def test_refused(self) -> None:
        """
        A service that refuses is an Error, with words of our own, and what was sent to
        it is answered as the program answers it.
        """
        ours = self.play("dial_refused")
        refused, unknown = ours
        self.assertEqual(refused.connection, 2)
        self.assertIn("127.0.0.1:21299 refused the connection", refused.text)
        self.assertEqual(unknown, Error(2, "connection not found client/0/2"))
        theirs = said("dial_refused", "c2s")
        self.assertIn(unknown, theirs)
        self.assertEqual([each.text for each in theirs].count(END), 1)
