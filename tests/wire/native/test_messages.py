"""
Tests for L{tunnelkit.wire.native.messages} and L{tunnelkit.wire.codes}.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeAlias

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.wire import codes
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.native.codec import fromClient, fromServer, said, startIn, starting
from tunnelkit.wire.native.frames import (
    HEADER,
    FrameDecoder,
    Message,
    WireError,
    encode,
    encodedMessage,
)
from tunnelkit.wire.native.login import (
    Challenge,
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
    Flow,
    FlowEnd,
    FromClient,
    FromServer,
    Open,
    Opened,
    Ping,
    Pong,
    Refused,
    Start,
    Vouched,
    Want,
    Work,
)

Reader: TypeAlias = Callable[[Message], FromClient | FromServer]

BOTH: list[Ping | Pong | Bye | FlowEnd] = [
    Ping(at=2**63 - 1),
    Pong(at=0),
    FlowEnd(id=7),
    FlowEnd(id=2**32 - 1, reason="nothing came for 90 s"),
    Bye(),
    Bye(code=codes.DRAINING, reason="the server is stopped", retry=False),
]
CLIENT: list[FromClient] = [
    *BOTH,
    ClientHello(versions=(1, 2), program="tunnelkit 1.0", host="vps.example.org"),
    Login(
        mechanism="SCRAM-SHA-256-PLUS",
        first="p=tls-server-end-point,,n=default,r=x",
        client="laptop",
        instance="0badcafe",
    ),
    Proof(final="c=biws,r=xy,p=z"),
    Open(id=1, tunnel="tcp-127.0.0.1:8000", kind="tcp"),
    Open(id=2, tunnel="web", kind="tcp", port=9000, lease=False),
    Open(id=3, tunnel="ssh", kind="private", visitors=("alice", "bob"), sealed=True),
    Dial(id=4, tunnel="ssh"),
    Dial(id=5, tunnel="dns", kind="private-udp", sealed=True),
    Close(id=3, tunnel="web"),
    Work(session="s1", serial=7, proof="ab" * 32),
    Vouched(id=4),
]
SERVER: list[FromServer] = [
    *BOTH,
    ServerHello(version=1, binding="endpoint", program="tunnelkit 1.0"),
    Challenge(first="r=xy,s=c2FsdA==,i=4096"),
    Welcome(
        final="v=abc",
        session="s1",
        key="cd" * 32,
        heartbeat=5,
        silence=12,
        tunnels=100,
    ),
    Refused(code=codes.LOGIN, reason="the login failed"),
    Refused(
        code=codes.VERSION, reason="spoken: 1", retry=True, id=5, versions=(1, 2, 3)
    ),
    Opened(id=1, tunnel="web", address="tcp://vps.example.org:9000"),
    Closed(tunnel="web"),
    Closed(tunnel="web", id=3, code=codes.REVOKED, reason="gone", retry=False),
    Want(count=3),
    Certificates(id=4, hashes=("ab" * 32, "cd" * 32)),
    Drain(seconds=10),
    Drain(seconds=10, server="other.example.org:8910"),
    Start(
        stream=1,
        tunnel="web",
        kind="tcp",
        visitor="[2001:db8::1]:50000",
        address="192.0.2.1:9000",
    ),
    Flow(id=9, tunnel="dns", visitor="", address="", dial=4),
    Start(stream=2, tunnel="s", kind="private", visitor="", address="", dial=4),
    Flow(id=7, tunnel="dns", visitor="192.0.2.7:5300", address="192.0.2.1:53"),
    Flow(
        id=8,
        tunnel="dns",
        visitor="[2001:db8::1]:5300",
        address="[2001:db8::2]:53",
        compress="zstd",
    ),
]
SAID: list[tuple[Reader, FromClient | FromServer]] = [
    *((fromClient, message) for message in CLIENT),
    *((fromServer, message) for message in SERVER),
]

_TEXT: list[Any] = [None, 1, True, 1.5, [], {}, ["x"], "x" * 4097]
_NUMBER: list[Any] = [None, "1", True, False, 1.0, -1, 2**63, [], {}]
_LIST: list[Any] = [None, "", 1, True, {}, [None], [[]], [{}], [1.5], [True]]
WRONG: dict[str, list[Any]] = {
    "str": _TEXT,
    "int": _NUMBER,
    "bool": [None, 0, 1, "true", "", [], {}],
    "tuple[int, ...]": [*_LIST, ["1"], [-1], [2**63], [1] * 65],
    "tuple[str, ...]": [*_LIST, [1], ["x" * 4097], ["x"] * 65],
}
"""By a field's annotation, what it cannot hold."""

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_leaves=8,
)
NAMES = sorted({message.name for _, message in SAID})
FIELDS = sorted(
    {field.name for _, message in SAID for field in dataclasses.fields(message)}
)
OBJECTS = st.builds(
    lambda name, given: {**given, "type": name},
    st.sampled_from(NAMES) | st.text(max_size=10),
    st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=10), JSON),
)


def received(data: bytes) -> Message:
    """
    Give the one message that the bytes are.
    """
    (frame,) = FrameDecoder().feed(data)
    assert isinstance(frame, Message)
    return frame


def body(message: FromClient | FromServer) -> dict[str, Any]:
    """
    Give all of a message as the other side's JSON may hold it, defaults included.
    """
    values = {
        field.name: getattr(message, field.name)
        for field in dataclasses.fields(message)
    }
    return {"type": message.name, **values}


class ReadingTests(SynchronousTestCase):
    """
    What one side says the other understands; what nobody says is refused by name.
    """

    def refused(self, read: Reader, body: dict[str, Any]) -> str:
        """
        Check that a message is refused, on its way through a frame.

        @return: the words of the refusal.
        """
        frame = received(encode(Message(body)))
        return str(self.assertRaises(WireError, read, frame))

    def test_thereAndBack(self) -> None:
        """
        Every message arrives as it was said.
        """
        for read, message in SAID:
            self.assertEqual(read(received(said(message))), message)

    def test_defaultsSaid(self) -> None:
        """
        A peer that says also what it need not say is understood the same.
        """
        for read, message in SAID:
            self.assertEqual(read(received(encode(Message(body(message))))), message)

    def test_allMessages(self) -> None:
        """
        No message of the protocol is missing from these tests.
        """
        for union, messages in ((FromClient, CLIENT), (FromServer, SERVER)):
            self.assertEqual({type(each) for each in messages}, set(union.__args__))

    def test_wrongSide(self) -> None:
        """
        A server that talks like a client, or the other way round, is told which
        message it cannot say.
        """
        shared = {message.name for message in BOTH} | {"hello"}
        for read, messages in ((fromServer, CLIENT), (fromClient, SERVER)):
            for message in messages:
                if message.name not in shared:
                    words = self.refused(read, body(message))
                    self.assertIn(repr(message.name), words)

    def test_wrongHello(self) -> None:
        """
        Each side's first message is refused when its own kind says it.
        """
        hello = {"type": "hello", "program": "x"}
        words = self.refused(fromServer, {**hello, "versions": [1], "host": "x"})
        self.assertIn("hello message without version", words)
        words = self.refused(fromClient, {**hello, "version": 1, "binding": "none"})
        self.assertIn("hello message without versions", words)

    def test_unknownMessage(self) -> None:
        """
        A message of some other protocol is named, shortly.
        """
        for read in (fromClient, fromServer):
            self.assertIn(
                "unknown message 'dance'", self.refused(read, {"type": "dance"})
            )
            self.assertLess(len(self.refused(read, {"type": "x" * 4000})), 80)

    def test_missingField(self) -> None:
        """
        A message without something that it needs is refused by both names.
        """
        for read, message in SAID:
            for field in dataclasses.fields(message):
                whole = body(message)
                del whole[field.name]
                if field.default is dataclasses.MISSING:
                    words = self.refused(read, whole)
                    self.assertIn(f"{message.name} message without {field.name}", words)
                else:
                    value = read(received(encode(Message(whole))))
                    self.assertEqual(getattr(value, field.name), field.default)

    def test_wrongTypes(self) -> None:
        """
        A field that holds what it cannot is refused by both names: C{true} is no
        number, nor is what is negative or huge; long texts and lists are refused.
        """
        for read, message in SAID:
            for field in dataclasses.fields(message):
                for wrong in WRONG[str(field.type)]:
                    words = self.refused(read, {**body(message), field.name: wrong})
                    expected = f"{field.name} of a {message.name} message is not "
                    self.assertIn(expected, words, wrong)

    def test_bounds(self) -> None:
        """
        The longest and greatest that is allowed is allowed.
        """
        message = ClientHello(versions=(2**63 - 1,) * 64, program="x" * 4096, host="")
        self.assertEqual(fromClient(received(said(message))), message)

    def test_unknownFields(self) -> None:
        """
        A later version may say more, and is understood as far as possible.
        """
        for read, message in SAID:
            more = {**body(message), "more": {"deep": [1]}, "name": "x", "__class__": 1}
            self.assertEqual(read(received(encode(Message(more)))), message)

    @given(OBJECTS)
    def test_anyObject(self, anything: dict[str, Any]) -> None:
        """
        Whatever JSON a stranger sends, it is a message or refused, nothing else.
        """
        frame = received(encode(Message(anything)))
        for read in (fromClient, fromServer):
            try:
                value = read(frame)
            except WireError as e:
                self.assertIn("message", str(e))
            else:
                self.assertEqual(value.name, anything["type"])
                hash(value)


class SayingTests(SynchronousTestCase):
    """
    What is said is short, and what could not be understood is not said.
    """

    def test_short(self) -> None:
        """
        What a field holds by default is not sent.
        """
        self.assertEqual(
            received(said(Open(id=1, tunnel="web", kind="tcp"))).body,
            {"type": "open", "id": 1, "tunnel": "web", "kind": "tcp"},
        )
        self.assertEqual(received(said(Bye())).body, {"type": "bye"})

    def test_tooLong(self) -> None:
        """
        What does not fit in a frame is our own mistake, found before it is sent.
        """
        self.assertRaises(ValueError, said, Proof(final="x" * 65536))


_TEXTS = st.text(max_size=20) | st.text(
    st.characters(min_codepoint=32, max_codepoint=126), max_size=20
)
_STARTS = st.builds(
    Start, st.integers(0, 2**63 - 1), _TEXTS, _TEXTS, _TEXTS, _TEXTS, _TEXTS
)


class StartingTests(SynchronousTestCase):
    """
    Tests for L{starting} and L{startIn}, the short way of what each visitor costs.
    """

    def frame(self, data: bytes) -> tuple[Message, str]:
        """
        Give the one frame in some bytes, and its text.
        """
        (frame,) = FrameDecoder().feed(data)
        assert isinstance(frame, Message)
        return frame, data[HEADER.size :].decode("latin-1")

    @given(_STARTS)
    def test_starting(self, start: Start) -> None:
        """
        What is written for each visitor is what any other message would be.
        """
        make = starting(start.tunnel, start.kind, start.compress)
        self.assertEqual(make(start.stream, start.visitor, start.address), said(start))

    @given(_STARTS)
    def test_startIn(self, start: Start) -> None:
        """
        The short way gives what the long one gives, or leaves it to that one.
        """
        _, text = self.frame(said(start))
        self.assertIn(startIn(text), (start, None))

    def test_plain(self) -> None:
        """
        It is the short way that most visitors take, compressed or not.
        """
        for start in (
            Start(1, "web", "tcp", "192.0.2.7:50000", "[2001:db8::1]:9000"),
            Start(2**32 - 1, "tcp:8000", "tcp", "192.0.2.7:1", "a b:2", "zstd"),
        ):
            _, text = self.frame(said(start))
            self.assertEqual(startIn(text), start)

    @given(
        st.text('{}[]"",:\\ 01x', max_size=8),
        st.integers(0, 120),
        st.integers(0, 8),
    )
    def test_spoiled(self, text: str, at: int, less: int) -> None:
        """
        What is almost a start is never read as another one than by the long way.
        """
        _, good = self.frame(said(Start(7, "web", "tcp", "192.0.2.7:5", "x:1")))
        spoiled = good[:at] + text + good[at + less :]
        found = startIn(spoiled)
        if found is not None:
            (frame,) = FrameDecoder().feed(encodedMessage(spoiled))
            assert isinstance(frame, Message)
            self.assertEqual(found, fromServer(frame))

    def test_tooLong(self) -> None:
        """
        A text that is too long is refused as ever.
        """
        frame, text = self.frame(said(Start(1, "a" * 4097, "tcp", "", "")))
        self.assertIsNone(startIn(text))
        self.assertRaises(WireError, fromServer, frame)


class CodesTests(SynchronousTestCase):
    """
    Programs can rely on the codes.
    """

    def test_different(self) -> None:
        """
        No two causes share a code.
        """
        words = [value for name, value in vars(codes).items() if name.isupper()]
        self.assertEqual(len(words), len(set(words)))
        for word in words:
            self.assertRegex(word, r"\A[a-z]+(-[a-z]+)*\Z")

    def test_resetCodes(self) -> None:
        """
        The numbers are those of the protocol's page, and stay so.
        """
        self.assertEqual(
            [code.name for code in sorted(ResetCode)],
            [
                "ENDED",
                "PEER",
                "REFUSED",
                "UNREACHABLE",
                "TIMEOUT",
                "DENIED",
                "IDLE",
                "LOST",
                "STOPPING",
                "WITHDRAWN",
                "BUSY",
                "INTERNAL",
                "CORRUPT",
                "SEALED",
            ],
        )
        self.assertEqual(sorted(ResetCode), list(range(14)))
