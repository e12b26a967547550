"""
Tests that docs/protocol.rst and the tables of docs/design.rst say what the code does:
whoever writes a client in another language has nothing but that page.

The pages are read as text; what is looked at has a name there.
"""

from __future__ import annotations

import csv
import hashlib
import hmac
import json
import re
import textwrap
from ast import literal_eval
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import MISSING, fields
from importlib import import_module
from inspect import signature
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast, get_args

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyRequest
from zope.interface import implementer

from tests import test_layers
from tests.fakes import FakeChannel, worksOf
from tunnelkit.control.login.client import ClientLogin
from tunnelkit.control.login.proofs import workProof
from tunnelkit.control.login.server import LoginRefused, ServerLogin
from tunnelkit.control.session import Identity, Session
from tunnelkit.interfaces import ICarrier, IWorkEnd, IWorkLink, IWorkOwner
from tunnelkit.relay.connection import Connection, Holder
from tunnelkit.relay.portable.raw import RawEnd
from tunnelkit.relay.portable.work import WorkEnd
from tunnelkit.relay.streams.join import Join
from tunnelkit.state.lease import Lease
from tunnelkit.state.verifier import Verifier
from tunnelkit.tunnels import kinds as kindTables
from tunnelkit.tunnels.spec import parseTunnel
from tunnelkit.wire import codes, sniff
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.certificate import bindingHash
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.native.codec import fromClient, fromServer, said
from tunnelkit.wire.native.datagrams import DatagramDecoder, framed
from tunnelkit.wire.native.frames import (
    Data,
    Datagram,
    Done,
    End,
    Frame,
    FrameDecoder,
    Message,
    Reset,
    WireError,
    encode,
)
from tunnelkit.wire.native.login import (
    VERSION,
    Challenge,
    ClientHello,
    Login,
    Proof,
    ServerHello,
    Welcome,
)
from tunnelkit.wire.native.messages import (
    DIAL,
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
from tunnelkit.wire.token import Token

DOCS: Final = Path(__file__).parent.parent.parent / "docs"
PROTOCOL: Final = (DOCS / "protocol.rst").read_text(encoding="utf-8")
DESIGN: Final = (DOCS / "design.rst").read_text(encoding="utf-8")


def block(name: str, page: str = PROTOCOL) -> str:
    """
    Give what stands in a literal block or a table of a page.

    @param name: its name, which is also its anchor.
    """
    found = re.search(
        rf"^\.\. [^\n]*\n   :name: {name}\n(?:   :[^\n]*\n)*\n((?:   [^\n]*\n|\n)+)",
        page,
        re.MULTILINE,
    )
    assert found, f"the page has no {name}"
    return textwrap.dedent(found[1]).strip("\n")


def rows(name: str, page: str = PROTOCOL) -> list[list[str]]:
    """
    Give the rows of a table, without what marks links and literal text.
    """
    lines = csv.reader(block(name, page).splitlines(), skipinitialspace=True)
    return [[re.sub(r"`|__?$| <.*>", "", cell) for cell in line] for line in lines]


def values(name: str) -> Mapping[str, str]:
    """
    Give the values of an example, by what they are called.
    """
    return dict(re.findall(r"^(\S.*?)  +(\S+)$", block(name), re.MULTILINE))


def turns(name: str) -> list[tuple[str, bytes]]:
    """
    Give who says what in an example.
    """
    found = re.findall(
        r"^([CS]) ((?:[0-9a-f]{2} ?)+)(.*(?:\n .*)*)", block(name), re.MULTILINE
    )
    return [
        # What goes on in the next line is one text, without that line's indentation.
        (who, bytes.fromhex(head) + payload(re.sub(r"\n *", "", rest)))
        for who, head, rest in found
    ]


def payload(text: str) -> bytes:
    """
    Give the bytes behind the hexadecimal ones: of a message, or of a text.
    """
    if text.startswith('"TK/'):
        return b""  # This only spells what stands before it.
    return cast(bytes, literal_eval("b" + text)) if text[:1] == '"' else text.encode()


def says(who: str, *names: str) -> bytes:
    """
    Give all that one side says in examples.
    """
    return b"".join(said for name in names for one, said in turns(name) if one == who)


DER: Final = x509.load_pem_x509_certificate(
    block("example-certificate").encode()
).public_bytes(Encoding.DER)


class FrameExampleTests(SynchronousTestCase):
    """
    The frames on the page are those that are sent and understood.
    """

    def test_examples(self) -> None:
        """
        Each of the examples is what the code makes and reads.
        """
        dump = re.findall(
            r"^((?:[0-9a-f]{2} ?)+(?:\n +(?:[0-9a-f]{2} ?)+)*) +([A-Z]+)",
            block("example-frames"),
            re.MULTILINE,
        )
        frames: tuple[Frame, ...] = (
            Data(b"hello"),
            End(),
            Message({"type": "ping", "at": 7}),
            Reset(7, 2, "no"),
            Datagram(3, b"abc"),
            Datagram(3, b""),
            Done(7),
        )
        for (digits, name), frame in zip(dump, frames, strict=True):
            shown = bytes.fromhex(digits)
            self.assertEqual(shown, encode(frame))
            self.assertEqual(list(FrameDecoder().feed(shown)), [frame])
            self.assertEqual(name, type(frame).__name__.upper())

    def test_lengths(self) -> None:
        """
        A frame may be as long as the table says, and no longer.
        """
        for kind, name, length, *_ in rows("table-frames"):
            least, most = (int(each) for each in (length.split(" to ") * 2)[:2])
            if name in ("DATA", "END"):
                continue  # A header cannot announce another length.
            for wrong in (least - 1, most + 1):
                decoder = FrameDecoder()
                header = bytes.fromhex(kind) + wrong.to_bytes(3, "big")
                self.assertRaises(WireError, list, decoder.feed(header))
            header = bytes.fromhex(kind) + most.to_bytes(3, "big")
            self.assertEqual(list(FrameDecoder().feed(header)), [])

    def test_types(self) -> None:
        """
        A frame of a type that the table does not have is refused.
        """
        known = {int(kind, 16) for kind, *_ in rows("table-frames")}
        for kind in set(range(256)) - known:
            feeding = FrameDecoder().feed(bytes([kind, 0, 0, 8]) + bytes(8))
            self.assertRaises(WireError, list, feeding)


SHAPES: Final[Mapping[str, type]] = {
    "hello-client": ClientHello,
    "hello-server": ServerHello,
    **{
        each.name: each
        for each in (
            *(Login, Challenge, Proof, Welcome, Refused, Open, Opened, Close, Closed),
            Dial,
            *(Want, Ping, Pong, Certificates, Vouched, Drain, Bye, Work, Start),
            *(Flow, FlowEnd),
        )
    },
}
"""
The messages, by the names of their tables.
"""

TYPES: Final = {
    "text": "str",
    "number": "int",
    "truth": "bool",
    "list of numbers": "tuple[int, ...]",
    "list of texts": "tuple[str, ...]",
}
"""
What the page and the code call the same.
"""


class MessageTableTests(SynchronousTestCase):
    """
    The messages on the page have the fields that are sent and understood.
    """

    def test_fields(self) -> None:
        """
        Each message has the fields, types and defaults of its table.
        """
        for name, shape in SHAPES.items():
            table = [
                (field, TYPES[kind], default)
                for field, kind, default, _ in rows(f"message-{name}")
            ]
            code = [
                (
                    field.name,
                    field.type,
                    "needed" if field.default is MISSING else json.dumps(field.default),
                )
                for field in fields(cast(Any, shape))
            ]
            self.assertEqual(table, code, name)

    def test_all(self) -> None:
        """
        No message is missing on the page, or sent by whom it does not say.
        """
        self.assertEqual(
            set(SHAPES.values()), {*get_args(FromClient), *get_args(FromServer)}
        )
        table = {
            (name, who)
            for name, senders, *_ in rows("table-messages")
            for who in (("client", "server") if senders == "both" else (senders,))
        }
        code = {(each.name, "client") for each in get_args(FromClient)}
        code |= {(each.name, "server") for each in get_args(FromServer)}
        self.assertEqual(table, code)


class LoginExampleTests(SynchronousTestCase):
    """
    Who says what the page says is let in.
    """

    def setUp(self) -> None:
        """
        Read what both sides know.
        """
        self.values = values("example-values")
        self.token = Token.parse(self.values["token"])
        self.salt = bytes.fromhex(self.values["salt"])

    def nonce(self, whose: str) -> Any:
        """
        Give what makes the nonce of the example.
        """
        return lambda: self.values[f"{whose}'s nonce"]

    def test_allowed(self) -> None:
        """
        What has a client dial is what the page has.
        """
        start = Start(1, "", DIAL, "", "tcp/127.0.0.1:5432")
        self.assertEqual(says("S", "example-allowed"), said(start))

    def test_conversation(self) -> None:
        """
        Client and server say, byte for byte, what stands on the page.
        """
        verifier = Verifier.of(self.token.secret, lambda size: self.salt)
        welcomed = json.loads(turns("example-login")[-1][1][4:])
        binding = bindingHash(DER)
        client = ClientLogin(
            self.token,
            "laptop",
            self.values["client's instance"],
            binding,
            self.nonce("client"),
        )
        server = ServerLogin(
            {"default": verifier}.get, bytes(32), binding, self.nonce("server")
        )
        program = "tunnelkit/26.11.0"
        login = client.first()
        challenge = server.challenge(login)
        proof = client.answer(challenge)
        welcome = Welcome(
            server.prove(proof), welcomed["session"], welcomed["key"], 5, 12, 100
        )
        client.check(welcome)
        self.assertEqual(
            turns("example-login"),
            [
                ("C", sniff.OPENING),
                ("C", said(ClientHello((VERSION,), program, "vps.example.org"))),
                ("S", said(ServerHello(VERSION, "endpoint", program))),
                ("C", said(login)),
                ("S", said(challenge)),
                ("C", said(proof)),
                ("S", said(welcome)),
            ],
        )

    def test_formulas(self) -> None:
        """
        Who follows the page's formulas, and nothing else, comes to the same proofs.
        """
        salted = hashlib.pbkdf2_hmac(
            "sha256", self.token.secret.encode(), self.salt, 4096
        )
        clientKey = hmac.digest(salted, b"Client Key", "sha256")
        storedKey = hashlib.sha256(clientKey).digest()
        serverKey = hmac.digest(salted, b"Server Key", "sha256")
        for name, value in (
            ("SHA-256 of the DER", hashlib.sha256(DER).digest()),
            ("SaltedPassword", salted),
            ("ClientKey", clientKey),
            ("StoredKey", storedKey),
            ("ServerKey", serverKey),
        ):
            self.assertEqual(self.values[name], value.hex(), name)
        _, _, _, login, challenge, proof, welcome = (
            json.loads(said[4:]) if said[:1] == b"\x01" else {}
            for _, said in turns("example-login")
        )
        final, _, shown = proof["final"].rpartition(",p=")
        channel = b64encode(b"p=tls-server-end-point,," + hashlib.sha256(DER).digest())
        self.assertTrue(final.startswith(f"c={channel.decode()},"))
        message = ",".join(
            (login["first"].split(",,")[1], challenge["first"], final)
        ).encode()
        mask = hmac.digest(storedKey, message, "sha256")
        clientProof = bytes(a ^ b for a, b in zip(clientKey, mask, strict=True))
        self.assertEqual(shown, b64encode(clientProof).decode())
        signature = hmac.digest(serverKey, message, "sha256")
        self.assertEqual(welcome["final"], f"v={b64encode(signature).decode()}")

    def test_nonceLimit(self) -> None:
        """
        A nonce may be as long as the page says, and no longer.
        """
        limit = int(re.findall(r"1 to \*\*(\d+)\*\* characters", PROTOCOL)[0])
        for length, malformed in ((limit, False), (limit + 1, True)):
            server = ServerLogin(lambda user: None, bytes(32), None, lambda: "n")
            server.challenge(
                Login("SCRAM-SHA-256", f"n,,n=nemo,r={'x' * length}", "", "")
            )
            refused = self.assertRaises(LoginRefused, server.prove, Proof(""))
            self.assertEqual("first-message is malformed" in refused.cause, malformed)

    def test_version(self) -> None:
        """
        A client of a later version can read why it is refused.
        """
        (_, opening), (_, refused) = turns("example-version")
        self.assertIs(sniff.sniff(opening), sniff.Opening.VERSION)
        (frame,) = FrameDecoder().feed(refused)
        message = fromServer(cast(Message, frame))
        self.assertEqual(said(message), refused)
        assert isinstance(message, Refused)
        self.assertEqual((message.code, message.versions), (codes.VERSION, (VERSION,)))


class WorkExampleTests(SynchronousTestCase):
    """
    Who proves what the page says gets its work connection.
    """

    def test_proof(self) -> None:
        """
        The proof of the example is that of the code and of the formula.
        """
        shown = values("example-work")
        key, serial = bytes.fromhex(shown["key"]), int(shown["serial"])
        self.assertEqual(shown["proof"], workProof(key, serial, DER))
        signed = bytes.fromhex(shown["HMAC of"] + shown["SHA-256 of the DER"])
        self.assertEqual(shown["proof"], hmac.digest(key, signed, "sha256").hex())
        (_, opening), (_, work) = turns("example-work")
        self.assertEqual(opening, sniff.OPENING)
        (frame,) = FrameDecoder().feed(work)
        session = json.loads(turns("example-login")[-1][1][4:])["session"]
        self.assertEqual(
            fromClient(cast(Message, frame)), Work(session, serial, shown["proof"])
        )
        self.assertEqual(work, said(Work(session, serial, shown["proof"])))


class Socket(StringTransport):
    """
    The connection of a visitor or a local service.

    @ivar reset: whether it was reset.
    """

    reset = False

    def loseWriteConnection(self) -> None:
        """
        Take the end; the test says when the kernel has all.
        """

    def abortConnection(self) -> None:
        """
        Note that.
        """
        self.reset = True

    def unregisterProducer(self) -> None:
        """
        Do so, also where there is none, as other transports do.
        """
        if self.producer is not None:
            super().unregisterProducer()


def raw() -> tuple[RawEnd, Socket]:
    """
    Make a visitor or a local service.
    """
    end, socket = RawEnd(), Socket()
    end.makeConnection(socket)
    return end, socket


@implementer(IWorkOwner)
class Owner:
    """
    Has streams joined to a local service, or refused where there is none.
    """

    def __init__(self) -> None:
        self.service: RawEnd | None = None
        self.rested = 0

    def started(self, work: IWorkEnd, start: Start) -> None:
        """
        Join or refuse.
        """
        if self.service is None:
            refused = "the local service 127.0.0.1:8000 refused the connection"
            work.refuse(ResetCode.REFUSED, refused)
        else:
            Join(Clock()).start(cast(WorkEnd, work), self.service, b"")

    def idle(self, work: IWorkEnd) -> None:
        """
        Count.
        """
        self.rested += 1

    def given(self, work: IWorkEnd, carrier: ICarrier) -> None:
        """
        A work connection is a datagram carrier now.
        """
        raise AssertionError("nobody asked for that")

    def lost(self, work: IWorkLink, reason: str) -> None:
        """
        Nothing may go wrong here.
        """
        raise AssertionError(reason)


def workEnd(client: bool) -> tuple[WorkEnd, Owner, StringTransport]:
    """
    Make one side of a work connection; give its owner and what it says, too.
    """
    connection, transport, owner = Connection(Holder()), StringTransport(), Owner()
    connection.makeConnection(transport)
    return WorkEnd(connection, owner, client, Clock()), owner, transport


class StreamExampleTests(SynchronousTestCase):
    """
    A visitor comes through a work connection by the very bytes on the page.
    """

    def test_client(self) -> None:
        """
        The client answers with the page's bytes, one visitor after the other.
        """
        work, owner, transport = workEnd(client=True)
        service, socket = raw()
        owner.service = service
        work.dataReceived(says("S", "example-stream"))
        self.assertEqual(socket.value(), b"hello\n")
        service.writeConnectionLost()
        service.dataReceived(b"hi\n")
        service.readConnectionLost()
        self.assertEqual(transport.value(), says("C", "example-stream"))
        transport.clear()
        owner.service = None
        work.dataReceived(says("S", "example-refusal"))
        self.assertEqual(transport.value(), says("C", "example-refusal"))
        self.assertEqual(owner.rested, 2)

    def test_server(self) -> None:
        """
        The server says the page's bytes, and its visitor gets the answer.
        """
        work, owner, transport = workEnd(client=False)
        visitor, socket = self.visit(work, "example-stream")
        visitor.dataReceived(b"hello\n")
        visitor.readConnectionLost()
        work.dataReceived(says("C", "example-stream"))
        visitor.writeConnectionLost()
        self.assertEqual(socket.value(), b"hi\n")
        self.assertFalse(socket.reset)
        self.assertEqual(transport.value(), says("S", "example-stream"))
        transport.clear()
        _, socket = self.visit(work, "example-refusal")
        work.dataReceived(says("C", "example-refusal"))
        self.assertTrue(socket.reset)
        self.assertEqual(transport.value(), says("S", "example-refusal"))
        self.assertEqual(owner.rested, 2)

    def test_dial(self) -> None:
        """
        A private tunnel is asked for and given by the page's bytes.
        """
        self.assertEqual(says("C", "example-dial"), said(Dial(4, "ssh")))
        start = Start(1, "ssh", "private", "", "", dial=4)
        self.assertEqual(says("S", "example-dial"), said(start))

    def visit(self, work: WorkEnd, example: str) -> tuple[RawEnd, Socket]:
        """
        Let a visitor come to the server as in an example.
        """
        (frame,) = FrameDecoder().feed(turns(example)[0][1])
        start = fromServer(cast(Message, frame))
        assert isinstance(start, Start)
        self.assertEqual(work.begin(), start.stream)
        visitor, socket = raw()
        Join(Clock()).start(visitor, work, said(start))
        return visitor, socket


class FlowExampleTests(SynchronousTestCase):
    """
    Datagrams cross by the very bytes on the page.
    """

    def test_server(self) -> None:
        """
        What the server says on a carrier is what the page has.
        """
        flow = Flow(7, "dns", "203.0.113.9:51820", "198.51.100.7:5300")
        frames = [
            said(Start(1, "", "udp", "", "")),
            said(flow),
            framed(7, b"query"),
            framed(7, b"again"),
            said(FlowEnd(7, "nothing came for 90 seconds")),
        ]
        self.assertEqual(b"".join(frames), says("S", "example-flow"))

    def test_client(self) -> None:
        """
        What the client says is, too, and both can be read.
        """
        self.assertEqual(framed(7, b"answer"), says("C", "example-flow"))
        heard: list[object] = []
        taker = SimpleNamespace(take=lambda run: heard.extend(map(bytes, run)))
        decoder = DatagramDecoder({7: cast(Any, taker)}, heard.append)
        stream = says("S", "example-flow")
        decoder.feed(stream[len(turns("example-flow")[0][1]) :])
        self.assertEqual(heard[1:3], [b"query", b"again"])
        self.assertEqual(fromServer(cast(Message, heard[3])).name, "flow-end")


class CodeTableTests(SynchronousTestCase):
    """
    Whoever meets a code finds it on the page.
    """

    def test_codes(self) -> None:
        """
        The table has all codes of refusals, and no other.
        """
        known = [
            value
            for name, value in vars(codes).items()
            if name.isupper() and isinstance(value, str)
        ]
        self.assertEqual([code for code, *_ in rows("table-codes")], known)

    def test_resets(self) -> None:
        """
        The table has all codes of resets with their numbers, and no other.
        """
        table = [(int(code), name) for code, name, _ in rows("table-resets")]
        self.assertEqual(table, [(code.value, code.name.lower()) for code in ResetCode])


LIMITS: Final[Mapping[str, str]] = {
    "payload of a DATA frame": "wire.native.frames.LONGEST",
    "window of a stream compressed by zstd": "wire.packing.WINDOW",
    "reason of a RESET": "wire.native.frames._REASON",
    "text in a message": "wire.native.codec._TEXT",
    "list in a message": "wire.native.codec._ITEMS",
    "iterations, from and to": "state.verifier.ITERATIONS"
    " control.login.client._MOST_ITERATIONS",
    "first bytes; TLS handshake; opening to login, each": "dialects.doorway.PATIENCE",
    "connections that are not logged in, in all": "dialects.doorway.GUESTS",
    "connections that are not logged in, of one address": "dialects.doorway"
    ".GUESTS_OF_ONE",
    "sessions of a server": "control.sessions.MOST",
    "tunnels of a session": "control.session.TUNNELS",
    "streams of a session": "control.session.STREAMS",
    "name of a client": "control.names._LONGEST",
    "name of a tunnel": "tunnels.spec._LONGEST_NAME",
    "work connections in opening at once": "carrier.supply.AT_ONCE",
    "how far serials may overtake each other": "control.session._WINDOW",
    "work connections of a session, those included that close": "carrier.pool.WORKS",
    "idle work connections that are kept": "carrier.pool.LEAST carrier.pool.MOST",
    "work connections beyond those that were asked for, which may have come late": (
        "carrier.pool.SLACK"
    ),
    "an idle work connection that no peak of the last minute needed is closed after": (
        "carrier.pool.SURPLUS"
    ),
    "an idle work connection is replaced after": "carrier.pool.AGE",
    "a visitor waits for a work connection": "carrier.pool.PATIENCE",
    "the client dials the local service": "tunnels.local.DIALLING",
    "half-open stream without a byte; DONE after the end": "relay.streams.join.IDLE",
    "flows of a UDP tunnel": "relay.flows.table.MOST",
    "a flow without a datagram": "relay.flows.table.IDLE",
    "datagram carriers of a session": "carrier.fleet.CARRIERS",
    "datagrams that wait for a carrier, in bytes": "relay.flows.queue.MOST",
    "datagrams that wait for a carrier, in time": "relay.flows.queue.AGE",
    "a carrier that takes nothing loses its flows after": (
        "relay.flows.carrying.STALLED"
    ),
    "between two pings": "control.heartbeat.INTERVAL",
    "silence on the control channel": "control.heartbeat.SILENCE",
    "heartbeat that a client takes": "control.heartbeat._INTERVALS",
    "silence that a client takes": "control.heartbeat._SILENCES",
    "answer to certificates": "dialects.native.channel.VOUCHING",
    "answer to the ping of a contest": "tunnels.published.PROBE",
    "the answer to dial": "dialects.native.requests.DIALLING",
    "a displaced client waits": "dialects.native.line.DISPLACED",
    "a tunnel that was refused for a while is asked for again after": (
        "tunnels.wanted.AGAIN"
    ),
}
"""
The constants behind the limits of the protocol's page.
"""

OTHERWISE: Final = {
    "payload of a MESSAGE frame",
    "client's nonce",
    "first bytes that are looked at",
}
"""
Limits that other tests look at.
"""


def constant(names: str) -> tuple[float, ...]:
    """
    Give the numbers of constants, C{room.module.NAME}, or of what a parameter is
    by default, C{room.module.Class(parameter)}.
    """
    numbers: list[float] = []
    for name in names.split():
        path, _, parameter = name.rstrip(")").partition("(")
        module, _, attribute = path.rpartition(".")
        value = getattr(import_module(f"tunnelkit.{module}"), attribute)
        if parameter:
            value = signature(value).parameters[parameter].default
        numbers += value if isinstance(value, tuple) else [value]
    return tuple(numbers)


def quantity(text: str) -> tuple[float, ...]:
    """
    Read one or two numbers with their unit, such as C{0.4 to 2 s} or C{64 KiB}.
    """
    factor = {"KiB": 1024, "MiB": 1 << 20, "min": 60, "h": 3600}.get(
        text.split()[-1], 1
    )
    return tuple(float(each) * factor for each in re.findall(r"[\d.]+", text))


class LimitTests(SynchronousTestCase):
    """
    The numbers on the pages are those of the code.
    """

    def test_protocol(self) -> None:
        """
        Each limit that a peer can notice is as the protocol's page has it.
        """
        table = {what: limit for what, limit in rows("table-limits")}
        self.assertEqual(set(table), {*LIMITS, *OTHERWISE})
        for what, names in LIMITS.items():
            self.assertEqual(quantity(table[what]), constant(names), what)
        (longest,) = quantity(table["payload of a MESSAGE frame"])
        self.assertIn(
            ["01", "MESSAGE", f"2 to {longest:.0f}"],
            [r[:3] for r in rows("table-frames")],
        )
        (looked,) = quantity(table["first bytes that are looked at"])
        self.assertLessEqual(max(len(places) for places, _ in sniff._ROWS), looked)

    def test_design(self) -> None:
        """
        Each bound is as the table of the design has it.
        """
        table = rows("table-bounds", DESIGN)
        self.assertGreater(len(table), 40)
        for what, bound, names, *_ in table:
            self.assertEqual(quantity(bound), constant(names), what)


class FloorTests(SynchronousTestCase):
    """
    The design's page shows the house that stands.
    """

    def test_floors(self) -> None:
        """
        Each room is on the floor where the table has it.
        """
        table = [set(rooms.split(", ")) for _, rooms, _ in rows("table-floors", DESIGN)]
        self.assertEqual(table, list(test_layers.FLOORS))


def run(*names: str) -> dict[str, Any]:
    """
    Run examples of the design's page as one module.

    @return: what is defined in it.
    """
    module: dict[str, Any] = {"__name__": __name__}
    for name in names:
        exec(compile(block(name, DESIGN), name, "exec"), module)
    return module


class Stage:
    """
    A relay and a channel on which an example of a kind can be seen.

    @ivar openings: what went ahead of each join.
    """

    def __init__(self) -> None:
        self.openings: list[bytes] = []
        self.arrived: Any = None

    def listen(self, address: HostPort, arrived: Any) -> None:
        """
        Remember who is told of visitors.
        """
        self.arrived = arrived

    def dial(self, address: HostPort, timeout: float) -> Deferred[Any]:
        """
        Never reach anything.
        """
        return Deferred()

    def join(self, one: Any, other: Any, opening: bytes) -> Any:
        """
        Remember what went ahead.
        """
        self.openings.append(opening)
        return Join(Clock())

    def send(self, message: FromServer) -> None:
        """
        Let nobody hear it.
        """


class Refusable:
    """
    A work connection that counts how often it was refused.
    """

    refused = 0

    def begin(self) -> int:
        """
        Begin a stream.
        """
        return 1

    def refuse(self, code: ResetCode, reason: str) -> None:
        """
        Count.
        """
        self.refused += 1


class KindExampleTests(SynchronousTestCase):
    """
    Who adds a kind as the design's page does it has one that works.
    """

    def setUp(self) -> None:
        """
        Make the module of the example, and the tables.
        """
        self.example = run("kind-spec", "kind-local", "kind-public", "kind-tables")

    def test_tables(self) -> None:
        """
        No kind that there is gets lost, and no table is forgotten.
        """
        for name in ("PARSERS", "LOCAL", "PUBLIC"):
            expected = {*getattr(kindTables, name), "limited"}
            self.assertEqual(set(self.example[name]), expected)

    def test_parser(self) -> None:
        """
        The user can write what the page says, and is told what is missing.
        """
        spec = parseTunnel("limited:8000:most=2", self.example["PARSERS"])
        for name, value in (
            ("kind", "limited"),
            ("local", HostPort("127.0.0.1", 8000)),
            ("most", 2),
        ):
            self.assertEqual(getattr(spec, name), value)
        for text in ("limited:8000", "limited:8000:most=0", "limited:8000:most=x"):
            error = self.assertRaises(
                ValueError, parseTunnel, text, self.example["PARSERS"]
            )
            self.assertIn("most=N is missing", str(error))

    def test_local(self) -> None:
        """
        The third visitor of a service for two is turned away.
        """
        spec = parseTunnel("limited:8000:most=2", self.example["PARSERS"])
        local = self.example["LOCAL"][spec.kind](spec, Stage(), Clock())
        work = Refusable()
        for refused in (0, 0, 1):
            local.started(work, Start(1, spec.name, spec.kind, "", ""))
            self.assertEqual(work.refused, refused)

    def test_public(self) -> None:
        """
        The client is told the kind that it asked for, without which it would refuse
        every visitor.
        """
        stage, clock = Stage(), Clock()
        identity = Identity(
            user="u",
            client="c",
            instance="i",
            program="p",
            peer="",
            host="",
            bound=True,
        )
        session = Session(
            identity, FakeChannel(), clock, 0.0, bytes, bool, lambda *ended: None
        )
        worksOf(session).add(cast(Any, Refusable()))
        lease = Lease("tcp", 9000, "u", "c", "web", 0.0)
        tunnel = self.example["PUBLIC"]["limited"](
            session, "web", lease, "limited://h:9000", stage, clock, lambda *free: None
        )
        tunnel.listen("")
        stage.arrived(raw()[0])
        clock.advance(0)
        (opening,) = stage.openings
        self.assertIn(b'"kind":"limited"', opening)
        self.assertEqual(tunnel.status().kind, "limited")


class RoomExampleTests(SynchronousTestCase):
    """
    Who adds an admin room as the design's page does it has one that works.
    """

    def test_room(self) -> None:
        """
        The room shows who is logged in, a name a line.
        """
        names = ("laptop", "home\x1b[2J")
        status = SimpleNamespace(
            sessions=[SimpleNamespace(client=name) for name in names]
        )
        source = SimpleNamespace(status=lambda: status)
        request = DummyRequest([b""])
        run("room")["makeRoom"](source).render(request)
        self.assertEqual(b"".join(request.written), "home\ufffd[2J\nlaptop\n".encode())
