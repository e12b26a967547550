"""
Tests of a whole rendezvous that udptun's programs had: each of our three parts in the
place of one of theirs, with all that the others said, byte by byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from typing import Any, Final

from treq.client import HTTPClient
from twisted.internet import task
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.task import Cooperator
from twisted.internet.testing import StringTransport
from twisted.web.client import Agent
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from tests.portal.http import connection, dateless
from tests.portal.net import Machine, NetCase, Talker, at
from tests.portal.recorded import Chunk, answersOfSTUN, chunks, datagrams
from tunnelkit.portal.calling import Rendezvous
from tunnelkit.portal.control import ControlResource
from tunnelkit.portal.far import FarPortal
from tunnelkit.portal.meeting import Announcing, ByName
from tunnelkit.portal.near import NearPortal
from tunnelkit.portal.portals import Portal
from tunnelkit.portal.rendezvous.pages import RendezvousResource
from tunnelkit.portal.rendezvous.rates import Rates
from tunnelkit.portal.rendezvous.registry import Registry
from tunnelkit.portal.settings import PortalSettings, Surroundings

NAME: Final = "rendezvous"
HOST: Final = "127.0.0.1"
FAR: Final = 60156
"""The far portal's own socket; the recorder's is C{SEEN}, which goes there."""
NEAR: Final = 58214
"""The near portal's own; the recorder's is C{SEEN + 1}."""
SEEN: Final = 21346
STUN: Final = 19302
SERVICE: Final = 21341
LISTEN: Final = 21342
SENDER: Final = 4660

_OWN: Final = re.compile(
    rb"(User-Agent|Accept-Encoding|Connection): .*?\r\n", re.IGNORECASE
)
"""What a program says of itself, and of what it can unpack."""


def split(data: bytes) -> Iterator[bytes]:
    """
    Cut what one side said on a connection into its messages.
    """
    while data:
        head = data.partition(b"\r\n\r\n")[0]
        found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        size = int(found[1]) if found else 0
        end = len(head) + 4 + size
        yield data[:end]
        data = data[end:]


def said(request: bytes) -> bytes:
    """
    Give what a request says: all but what a program says of itself, with its headers,
    of which the order means nothing, in one order.
    """
    head, _, body = _OWN.sub(b"", request).partition(b"\r\n\r\n")
    first, *headers = head.split(b"\r\n")
    lines = sorted(line.lower() for line in headers)
    return b"\r\n".join([first, *lines, b"", body])


class RendezvousTests(NetCase):
    """
    Our rendezvous in the place of theirs.
    """

    def test_all(self) -> None:
        """
        Their programs get what they got from their own, to the byte.
        """
        registry = Registry(self.clock)
        self.addCleanup(registry.clear)
        root = RendezvousResource(registry, Rates(self.clock.seconds))
        open_: dict[int, tuple[Any, StringTransport]] = {}
        expected: dict[int, bytes] = {}
        for chunk in chunks(NAME):
            self.clock.advance(max(0.0, chunk.time - self.clock.seconds()))
            if chunk.conn not in open_:
                open_[chunk.conn] = connection(root, self.clock)
                expected[chunk.conn] = b""
            if chunk.asks:
                open_[chunk.conn][0].dataReceived(chunk.data)
            else:
                expected[chunk.conn] += chunk.data
        self.assertEqual(len(open_), 22)
        for number, (channel, transport) in open_.items():
            channel.connectionLost()
            answered = dateless(transport.value().decode())
            self.assertEqual(answered, dateless(expected[number].decode()), number)


@implementer(IAgentEndpointFactory)
class Played:
    """
    A rendezvous that answers what theirs did.

    @ivar asked: each request, as bytes.
    """

    def __init__(self, case: NetCase, link: str) -> None:
        """
        @param link: between whom and the rendezvous.
        """
        self._case = case
        self.asked: list[bytes] = []
        self.recorded: list[tuple[float, bytes, bytes]] = []
        mine = (each for each in chunks(NAME) if each.link == link)
        for _, group in groupby(mine, lambda chunk: chunk.conn):
            self.recorded.extend(self._exchanges(list(group)))

    @staticmethod
    def _exchanges(group: list[Chunk]) -> Iterator[tuple[float, bytes, bytes]]:
        requests = split(b"".join(each.data for each in group if each.asks))
        answers = split(b"".join(each.data for each in group if not each.asks))
        times = [each.time for each in group if not each.asks]
        yield from zip(times, requests, answers, strict=True)

    def endpointForURI(self, uri: Any) -> Played:
        """
        All goes here.
        """
        return self

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        """
        Connect in memory.
        """
        protocol: Any = factory.buildProtocol(IPv4Address("TCP", HOST, 1))
        transport = StringTransport()
        protocol.makeConnection(transport)
        self._case.clock.callLater(0.01, self._answer, protocol, transport)
        return succeed(protocol)

    def _answer(self, protocol: Any, transport: StringTransport) -> None:
        request = transport.value()
        self.asked.append(request)
        now = self._case.clock.seconds()
        same = [each for each in self.recorded if said(each[1]) == said(request)]
        self._case.assertTrue(same, f"this was never asked: {request!r}")
        past = [each for each in same if each[0] <= now]
        protocol.dataReceived((past[-1:] or same[:1])[0][2])

    @property
    def kinds(self) -> list[bytes]:
        """
        What was asked, each once.
        """
        return list(dict.fromkeys(map(said, self.asked)))

    @property
    def expected(self) -> list[bytes]:
        """
        What theirs asked, each once.
        """
        return list(dict.fromkeys(said(request) for _, request, _ in self.recorded))


class PlayedCase(NetCase):
    """
    A test with one of our portals, on the machine of the recording.
    """

    def setUp(self) -> None:
        """
        Have it, with a STUN server that answers as the recorder did.
        """
        super().setUp()
        # What writes the bodies of requests has the reactor's clock else.
        turns = Cooperator(scheduler=lambda call: self.clock.callLater(0, call))
        self.patch(task, "_theCooperator", turns)
        self.here = Machine(self.net, HOST)
        self.stun = Talker(self.here, STUN)
        self.service = Talker(self.here, SERVICE)

    def played(self, link: str, port: int) -> tuple[Played, Rendezvous]:
        """
        Have their rendezvous.

        @param link: the recorded link between a portal and that.
        @param port: its port.
        @return: it, and what calls it.
        """
        played = Played(self, link)
        agent = Agent.usingEndpointFactory(self.clock, played)
        http = HTTPClient(agent)
        return played, Rendezvous(f"http://{HOST}:{port}/", http, self.clock, None)

    def around(self, own: int) -> Surroundings:
        """
        Give what a portal works with: their STUN transaction is always the same.
        """
        transaction = answersOfSTUN(NAME)[own][0][8:20]
        around = self.net.around(self.here)
        return replace(around, random=lambda length: transaction[:length])

    def compatible(self, own: int, **given: Any) -> PortalSettings:
        """
        Make settings.
        """
        stun = (at(HOST, STUN),)
        return self.settings(secret=None, bind=at("", own), stun=stun, **given)

    def answerSTUN(self, own: int) -> None:
        """
        See that a portal asks as theirs did, and answer.
        """
        self.net.run(0.05)
        question, answer = answersOfSTUN(NAME)[own]
        self.assertEqual(self.stun.got, [(question, (HOST, own))])
        self.stun.say(answer, (HOST, own))

    def until(self, time: float) -> None:
        """
        Let time pass up to that in the recording.
        """
        self.net.run(max(0.0, time - self.clock.seconds()))


class FarTests(PlayedCase):
    """
    Our far portal in the place of theirs.
    """

    def begin(self) -> Played:
        """
        Start it.

        @return: its rendezvous.
        """
        played, calls = self.played("server portal to helper", 21044)
        settings = self.compatible(FAR, serve=at(HOST, SERVICE), name="s")
        far = FarPortal(settings, self.around(FAR))
        far.announcing = Announcing(
            calls, "s", lambda: far.candidates, far.punch, self.clock
        )
        far.startService()
        # Not the end of it: theirs tells nobody of that.
        self.addCleanup(Portal.stopService, far)
        self.addCleanup(far.exits.clear)
        self.addCleanup(far.announcing._calls.stop)
        return played

    def test_all(self) -> None:
        """
        It asks STUN and the rendezvous what theirs asked, opens its NAT for the near
        portal that waits, and carries what that sends.
        """
        played = self.begin()
        self.answerSTUN(FAR)
        near = Talker(self.here, SEEN + 1)
        sent: list[bytes] = []
        for each in datagrams(NAME):
            self.until(each.time)
            if each.who == "near":
                near.say(each.payload, (HOST, FAR))
            elif each.who == "far":
                sent.append(each.payload)
            elif (each.who, each.event) == ("service", "recv"):
                self.net.run(0.05)
                self.assertEqual(self.service.heard, [each.payload])
            elif (each.who, each.event) == ("service", "send"):
                self.service.say(each.payload, self.service.got[0][1])
        self.until(22.12)
        self.assertEqual(set(played.kinds), set(played.expected))
        heard = [packet for packet, source in near.got if source == (HOST, FAR)]
        self.assertEqual([p for p in heard if p], [p for p in sent if p])
        # Whose second begins when is chance.
        self.assertLessEqual(abs(heard.count(b"") - sent.count(b"")), 1)


class NearTests(PlayedCase):
    """
    Our near portal in the place of theirs.
    """

    def begin(self) -> tuple[Played, ControlResource]:
        """
        Start it.

        @return: its rendezvous, and where a program tells it what to do.
        """
        played, calls = self.played("client portal to helper", 21045)
        near = NearPortal(self.compatible(NEAR), self.around(NEAR))
        near.finder = lambda name: ByName(
            calls, name, lambda: near.candidates, self.clock
        )
        self.running(near)
        return played, ControlResource(near, calls, "")

    def ask(self, control: ControlResource, request: str, body: str) -> bytes:
        """
        Have a program ask something of the portal.

        @return: the answer.
        """
        channel, transport = connection(control, self.clock)
        head = f"{request} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        channel.dataReceived((head + body).encode())
        self.net.run(0.05)
        channel.connectionLost()
        answered: bytes = transport.value()
        return answered

    def test_all(self) -> None:
        """
        Told by a program to lead to a name, it asks the rendezvous what theirs asked,
        and what it sends, and gives to the sender, is the same.
        """
        played, control = self.begin()
        self.answerSTUN(NEAR)
        far, sender = Talker(self.here, SEEN), Talker(self.here, SENDER)
        self.until(17.59)
        listed = self.ask(control, "GET /", "")
        self.assertTrue(listed.endswith(b'\r\n\r\n{"s":"127.0.0.1:21346"}\n'))
        opened = self.ask(control, "POST /s", f"{HOST}:{LISTEN}")
        self.assertTrue(opened.startswith(b"HTTP/1.1 200 OK\r\n"))
        sent: list[bytes] = []
        for each in datagrams(NAME):
            self.until(each.time)
            if each.who == "near":
                sent.append(each.payload)
            elif each.who == "far":
                far.say(each.payload, (HOST, NEAR))
            elif (each.who, each.event) == ("user", "send"):
                sender.say(each.payload, (HOST, LISTEN))
            elif (each.who, each.event) == ("user", "recv"):
                self.net.run(0.05)
                self.assertEqual(sender.got, [(each.payload, (HOST, LISTEN))])
        self.net.run(0.05)
        self.assertEqual(played.kinds, played.expected)
        self.assertEqual([p for p in far.heard if p], sent)
