"""
Tests for L{tunnelkit.wire.remotedialer.websocket}.
"""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.golden.recorded import exchanges, names, streams
from tests.wire.remotedialer.replayed import asking, messagesOf, pieces, replayed
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.remotedialer.codec import TooLong
from tunnelkit.wire.remotedialer.websocket import (
    PROTOCOL,
    TOO_LONG,
    UNACCEPTABLE,
    Accepted,
    Asked,
    Closed,
    Event,
    Piece,
    Pong,
    Rejected,
    Violation,
    WebSocket,
    codeFor,
)

REQUEST = (
    b"GET /connect?a=1 HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\nX-Tunnel-ID: foo\r\n\r\n"
)


class Side:
    """
    One side, and what it has sent.
    """

    def __init__(self, client: bool = False) -> None:
        self.sent = bytearray()
        if client:
            write, id = self.sent.extend, (b"X-Tunnel-ID", b"foo")
            self.socket = WebSocket.client(write, "h:1", "/connect", [id])
        else:
            self.socket = WebSocket.server(self.sent.extend)

    def taken(self) -> bytes:
        """
        Give the bytes that it has sent since this was last asked.
        """
        taken = bytes(self.sent)
        self.sent.clear()
        return taken

    def hears(self, data: bytes) -> list[Event]:
        """
        Let it hear bytes.
        """
        return list(self.socket.receive(data))


def opened() -> tuple[Side, Side]:
    """
    Give a client and a server between whom a WebSocket is open.
    """
    client, server = Side(client=True), Side()
    server.hears(client.taken())
    server.socket.accept()
    client.hears(server.taken())
    return client, server


def frame(first: int, payload: bytes) -> bytes:
    """
    Make a frame of a client's, with a mask that changes nothing.
    """
    return bytes([first, 0x80 | len(payload)]) + bytes(4) + payload


class GoldenTests(SynchronousTestCase):
    """
    What the real programs said is understood, and answered in the same bytes.
    """

    def test_answer(self) -> None:
        """
        A real client's request is answered as the real server answered it.
        """
        for name in names("remotedialer"):
            recorded = streams("remotedialer", name)
            for connection, sender in recorded:
                if sender == "c2s":
                    head, end, _ = recorded[connection, sender].partition(b"\r\n\r\n")
                    side = Side()
                    (asked,) = side.hears(head + end)
                    self.assertIsInstance(asked, Asked)
                    side.socket.accept()
                    self.assertSaidAs(side.taken(), recorded[connection, "s2c"])

    def assertSaidAs(self, answer: bytes, recorded: bytes) -> None:
        """
        Compare the head of an answer, in which the case of names means nothing.
        """
        head = recorded.partition(b"\r\n\r\n")[0]
        self.assertEqual(answer.strip().lower(), head.lower())

    def test_frames(self) -> None:
        """
        Our server's frames are those of the real one, empty pongs included.
        """
        for name in names("remotedialer"):
            messages = replayed(name)
            for (connection, sender), data in streams("remotedialer", name).items():
                if sender == "s2c":
                    frames = data.partition(b"\r\n\r\n")[2]
                    self.assertFrames(frames, messages[connection, sender])

    def assertFrames(self, frames: bytes, messages: list[bytes]) -> None:
        """
        Compare a server's frames with what ours sends, by the same pings.
        """
        _, server = opened()
        for message in messages:
            while frames.startswith(b"\x8a"):
                server.hears(frame(0x89, b""))
                frames = self.without(server.taken(), frames)
            server.socket.send(message)
            frames = self.without(server.taken(), frames)
        self.assertEqual(frames.replace(b"\x8a\x00", b""), b"")

    def without(self, said: bytes, frames: bytes) -> bytes:
        """
        See that frames begin with something, and give what follows.
        """
        self.assertEqual(frames[: len(said)], said)
        return frames[len(said) :]

    def test_everySplit(self) -> None:
        """
        A real conversation is understood wherever the network cuts it.
        """
        recorded = streams("remotedialer", "service_close")
        request, answer = recorded[1, "c2s"], recorded[1, "s2c"]
        expected = replayed("service_close")
        for cut in range(len(answer) + 1):
            socket = asking(request)
            got = messagesOf(socket, answer[:cut], answer[cut:])
            self.assertEqual(got, expected[1, "s2c"], f"cut at {cut}")
        end = request.index(b"\r\n\r\n") + 4
        for cut in range(end):
            server = Side()
            events = server.hears(request[:cut]) + server.hears(request[cut:end])
            self.assertEqual([type(event) for event in events], [Asked])
        for cut in range(len(request) - end):
            rest = request[end:]
            received = request[:end], rest[:cut], rest[cut:]
            got = messagesOf(Side().socket, *received)
            self.assertEqual(got, expected[1, "c2s"], f"cut at {cut}")

    def test_requests(self) -> None:
        """
        What the real server did not take for a request of a WebSocket ours does not.
        """
        for exchange in exchanges("remotedialer", "http"):
            request = exchange["request"].encode("latin-1")
            if not request.startswith(b"GET /connect"):
                continue
            side, status = Side(), int(exchange["response"].split()[1])
            if status in (101, 401):
                self.assertIsInstance(side.hears(request)[0], Asked)
                continue
            error = self.assertRaises(Violation, side.hears, request)
            self.assertIn(error.status, (400, 426), exchange["what"])
            self.assertTrue(side.taken().startswith(b"HTTP/1.1 %d " % error.status))
            self.assertEqual(side.hears(REQUEST), [])


class OpeningTests(SynchronousTestCase):
    """
    A WebSocket is open when both sides say so.
    """

    def test_asked(self) -> None:
        """
        A server sees who asks before it says yes or no.
        """
        (asked,) = Side().hears(REQUEST)
        assert isinstance(asked, Asked)
        self.assertEqual(asked.target, "/connect?a=1")
        self.assertEqual(asked.header("x-tunnel-id"), "foo")
        self.assertEqual(asked.header("X-Other"), "")

    def test_accepted(self) -> None:
        """
        A client knows when it can send, and what came right behind is not lost.
        """
        client, server = Side(client=True), Side()
        (asked,) = server.hears(client.taken())
        assert isinstance(asked, Asked)
        self.assertEqual(asked.header("X-Tunnel-ID"), "foo")
        self.assertFalse(client.socket.isOpen or server.socket.isOpen)
        server.socket.accept([(b"X-Server", b"tunnelkit")])
        server.socket.send(b"first")
        said = server.taken()
        self.assertIn(b"x-server: tunnelkit\r\n", said.lower())
        self.assertEqual(client.hears(said), [Accepted(), Piece(b"first", True)])
        self.assertTrue(client.socket.isOpen and server.socket.isOpen)

    def test_rejected(self) -> None:
        """
        A client is told why it was not let in.
        """
        client, server = Side(client=True), Side()
        server.hears(client.taken())
        server.socket.reject(401, "failed authentication")
        said = server.taken()
        self.assertTrue(said.startswith(b"HTTP/1.1 401 "))
        self.assertEqual(client.hears(said), [Rejected(401, "failed authentication")])
        self.assertEqual(client.hears(b"more") + server.hears(b"more"), [])
        server.socket.send(b"x")
        client.socket.ping()
        self.assertEqual(server.taken() + client.taken(), b"")

    def test_readElsewhere(self) -> None:
        """
        A request that a web server has read is taken over from there.
        """
        lines = REQUEST.strip().split(b"\r\n")[1:]
        pairs = [
            (name, value) for name, _, value in (e.partition(b": ") for e in lines)
        ]
        sent = bytearray()
        socket = WebSocket.asked(sent.extend, "/connect", pairs)
        socket.accept()
        self.assertIn(b"Bz3qJYTGdOe8gUSpLosEdiLKDrk=", bytes(sent))
        self.assertEqual(list(socket.receive(frame(0x82, b"hi"))), [Piece(b"hi", True)])
        for wrong in ([], pairs[:1], [*pairs, (b"a b", b"c")], [(b"Host", b"\xff")]):
            error = self.assertRaises(
                Violation, WebSocket.asked, bytes, "/connect", wrong
            )
            self.assertEqual(error.status, 400)

    def test_badRequest(self) -> None:
        """
        A client of ours sends no header that could not be one.
        """
        for host, target, header in (
            ("h", "/", (b"X", b"a\r\nb: c")),
            ("h", "/\u00e9", (b"X", b"a")),
            ("h\r\n", "/", (b"X", b"a")),
            ("...", "/", (b"X", b"a")),
            ("h", "/ x", (b"X", b"a")),
            ("h", "/", (b"X y", b"a")),
        ):
            sent = bytearray()
            client = WebSocket.client
            self.assertRaises(ValueError, client, sent.extend, host, target, [header])
            self.assertEqual(sent, b"")

    def test_badAnswer(self) -> None:
        """
        A client does not take anything for a server.
        """
        for answer in (
            b"SSH-2.0-OpenSSH\r\n\r\n",
            b"HTTP/1.1 101 Fine\r\n\r\n",
            b"HTTP/1.1 101 Fine\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Accept: AAAA\r\n\r\n",
        ):
            client = Side(client=True)
            client.taken()
            self.assertRaises(Violation, client.hears, answer)
            self.assertEqual(client.taken(), b"")
            self.assertFalse(client.socket.isOpen)

    def test_early(self) -> None:
        """
        Who sends before the answer is told so, and nothing of it is kept.
        """
        self.assertRaises(Violation, Side().hears, REQUEST + frame(0x82, b"hi"))
        server = Side()
        server.hears(REQUEST)
        error = self.assertRaises(Violation, server.hears, b"x")
        self.assertIn("bytes before the WebSocket was open", str(error))

    def test_longRequest(self) -> None:
        """
        A request without end is not waited for.
        """
        server = Side()
        with self.assertRaises(Violation):
            for _ in range(100):
                server.hears(b"GET / HTTP/1.1\r\nX: " + b"a" * 1024)


class MessageTests(SynchronousTestCase):
    """
    Messages cross whole, both ways.
    """

    @given(st.lists(st.binary(max_size=300), max_size=4), st.integers(1, 90))
    def test_anyMessages(self, messages: list[bytes], step: int) -> None:
        """
        Whatever one side sends, the other gets that.
        """
        client, server = opened()
        for one, other in ((client, server), (server, client)):
            for message in messages:
                one.socket.send(message)
            said = pieces(one.taken(), step)
            self.assertEqual(messagesOf(other.socket, *said), messages)

    @given(st.binary(max_size=60))
    def test_anyBytes(self, noise: bytes) -> None:
        """
        A stranger's bytes mean something or are a L{WireError}, nothing else.
        """
        client, server = opened()
        fresh, waiting = Side(), Side(client=True)
        for side in (client, server, fresh, waiting):
            for data in (noise, REQUEST[:70] + noise):
                with contextlib.suppress(WireError):
                    side.hears(data)

    def test_long(self) -> None:
        """
        A long message comes out as it arrives, and is not gathered.
        """
        client, server = opened()
        server.socket.send(bytes(1 << 20))
        said = server.taken()
        got = [
            event
            for at in range(0, len(said), 65536)
            for event in client.hears(said[at : at + 65536])
        ]
        self.assertGreater(len(got), 15)
        parts = [event for event in got if isinstance(event, Piece)]
        self.assertEqual(sum(len(part.data) for part in parts), 1 << 20)
        self.assertEqual(
            [part.last for part in parts], [False] * (len(got) - 1) + [True]
        )

    def test_fragments(self) -> None:
        """
        A message in several frames is one, also with a ping between them.
        """
        _, server = opened()
        stream = frame(0x02, b"a") + frame(0x89, b"?") + frame(0x80, b"b")
        self.assertEqual(server.hears(stream), [Piece(b"a", False), Piece(b"b", True)])
        self.assertEqual(server.taken(), b"\x8a\x00")

    def test_ping(self) -> None:
        """
        A ping is answered with an empty pong, whatever it carries, and each pong is
        told of.
        """
        client, server = opened()
        client.socket.ping()
        self.assertEqual(server.hears(client.taken()), [])
        self.assertEqual(client.hears(server.taken()), [Pong()])
        self.assertEqual(server.hears(frame(0x8A, b"x")), [Pong()])


class ClosingTests(SynchronousTestCase):
    """
    Either side can end it, and a fault ends it with a reason.
    """

    def test_close(self) -> None:
        """
        Who closes hears of the answer; what comes behind is passed over.
        """
        client, server = opened()
        client.socket.close(1001, "going away")
        client.socket.close()
        client.socket.send(b"x")
        self.assertEqual(
            server.hears(client.taken() + frame(0x82, b"x")),
            [Closed(1001, "going away")],
        )
        self.assertEqual(client.hears(server.taken()), [Closed(1001, "")])
        for side in (client, server):
            self.assertFalse(side.socket.isOpen)
            side.socket.send(b"x")
            side.socket.ping()
            side.socket.close()
            self.assertEqual((side.taken(), side.hears(b"\x82\x01x")), (b"", []))

    def test_closeWithoutCode(self) -> None:
        """
        A close that says nothing is a close too.
        """
        _, server = opened()
        self.assertEqual(server.hears(frame(0x88, b"")), [Closed(1005, "")])
        self.assertEqual(server.taken(), b"\x88\x00")

    def test_whileClosing(self) -> None:
        """
        What the peer sent before it heard of the close still arrives.
        """
        client, server = opened()
        server.socket.send(b"last")
        client.socket.close()
        server.hears(client.taken())
        self.assertEqual(
            client.hears(server.taken()), [Piece(b"last", True), Closed(1000, "")]
        )

    def test_faults(self) -> None:
        """
        The log says what a peer did wrong, and the peer is told a code.
        """
        for stream, code, words in (
            (frame(0x81, b"text"), UNACCEPTABLE, "a text message"),
            (frame(0x83, b""), PROTOCOL, "Invalid opcode"),
            (frame(0xC2, b""), PROTOCOL, "Reserved bit"),
            (frame(0x80, b""), PROTOCOL, "unexpected CONTINUATION"),
            (frame(0x02, b"") + frame(0x82, b""), PROTOCOL, "expected CONTINUATION"),
            (frame(0x09, b""), PROTOCOL, "fragment control frame"),
            (b"\x82\x01x", PROTOCOL, "unmasked"),
            (frame(0x88, b"\x00"), PROTOCOL, "CLOSE with 1 byte"),
            (frame(0x88, b"\x00\x01"), PROTOCOL, "CLOSE with invalid code"),
        ):
            _, server = opened()
            error = self.assertRaises(Violation, server.hears, stream)
            self.assertIn(words, str(error))
            self.assertEqual(codeFor(error), code)
            server.socket.close(codeFor(error), str(error))
            self.assertEqual(server.taken()[2:4], code.to_bytes(2, "big"))

    def test_codes(self) -> None:
        """
        Faults of messages have codes too.
        """
        self.assertEqual(codeFor(TooLong("")), TOO_LONG)
        self.assertEqual(codeFor(WireError("")), PROTOCOL)
