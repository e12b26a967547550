"""
Recorded conversations of stock mgrok clients, played to our server.
"""

from __future__ import annotations

import errno
from typing import Any

from tests.dialects.replay import Replay
from tests.golden.recorded import lines, meta, streams
from tests.mail import HOST, Post
from tests.network import Plain, accepting
from tests.whole import ADDRESS, ADMIN, PORT, SERVICE, WholeCase
from tunnelkit.dialects.abroad import Place
from tunnelkit.dialects.mgrok.abroad.client import MGROK
from tunnelkit.dialects.mgrok.spec import MgrokSpec
from tunnelkit.relay.endpoints import One
from tunnelkit.wire.ports import PortSet
from tunnelkit.wire.smux.frames import Command, Frame, FrameDecoder, encode

PORTS = frozenset((21200, 21201, 21202, 21300))
"""Where the recorded services listened."""
CLIENT = 2
"""The connection that is smux; the first is a TLS handshake."""


def frames(data: bytes) -> list[Frame]:
    """
    Read what was said.
    """
    return [*FrameDecoder().feed(data)]


def ofStreams(data: bytes) -> dict[int, list[Frame]]:
    """
    Read what was said of each stream, of which no order is promised between them.
    """
    found: dict[int, list[Frame]] = {}
    for frame in frames(data):
        found.setdefault(frame.stream, []).append(frame)
    return found


def arranged(said: list[Frame]) -> dict[int, list[Frame]]:
    """
    The same, with the Registers, of which the order is chance, in theirs.
    """
    found: dict[int, list[Frame]] = {}
    for frame in said:
        found.setdefault(frame.stream, []).append(frame)
    control = found[3]
    found[3] = [*control[:2], *sorted(control[2:], key=lambda each: each.payload)]
    return found


class GoldenTests(WholeCase):
    """
    Recorded stock clients get from us what they got from a stock server.
    """

    def replay(self, name: str) -> tuple[Replay, dict[int, list[Frame]]]:
        """
        Play a conversation.

        @return: it, and what a stock server said on each stream.
        """
        told = meta("mgrok", name)
        ports = ",".join(str(each["remote_port"]) for each in told["proxies"])
        self.serve(
            dialects=(MgrokSpec(told["server_token"]),), allowed=PortSet.parse(ports)
        )
        replay = Replay(self.network, PORT, "mgrok", name, lambda number, data: data)
        replay.play()
        data = streams("mgrok", name).get((CLIENT, "s2c"), b"")
        return replay, ofStreams(data)

    def assertSame(self, name: str) -> Replay:
        """
        Play a conversation, and compare what each stream heard, byte for byte.
        """
        replay, expected = self.replay(name)
        self.assertEqual(ofStreams(replay.clients[CLIENT].heard), expected)
        # Where a stock server resets there is a handshake, from which the client goes.
        self.assertEqual(replay.clients[1].heard[:2], b"\x16\x03")
        return replay

    def test_session(self) -> None:
        """
        A client logs in and gets two tunnels; a visitor has an echo, another asks by
        datagrams, of which one is empty, and after ten seconds each side says that it
        lives.
        """
        replay = self.assertSame("session")
        self.assertEqual(replay.visitors[1].heard, b"hello mgrok\n")
        heard = [datagram for datagram, _ in replay.posts[3].heard]
        self.assertEqual(heard, [b"datagram", b"second", b""])

    def test_closes(self) -> None:
        """
        A service that ends first, and one on which nothing listens, are as they were.
        Where the visitor ends his question, what a stock server sends at once waits
        for the client's end: then the answer is not lost.
        """
        replay = self.assertSame("closes")
        self.assertEqual(replay.visitors[1].heard, b"first")
        self.assertEqual({v.ended for v in replay.visitors.values()}, {"end"})

    def test_big(self) -> None:
        """
        A long answer arrives, as far as it was recorded.
        """
        replay, expected = self.replay("big")
        ours = ofStreams(replay.clients[CLIENT].heard)
        self.assertEqual(ours[2][: len(expected[2])], expected[2])
        (sent,) = (
            frame.payload
            for frame in frames(streams("mgrok", "big")[CLIENT, "c2s"])
            if frame.stream == 2 and frame.command == Command.PSH
        )
        self.assertEqual(replay.visitors[1].heard, sent)

    def test_portBusy(self) -> None:
        """
        A port that another program has is refused in silence; the next one is had.
        """
        busy = meta("mgrok", "port_busy")["proxies"][0]["remote_port"]
        self.network.taken[busy] = errno.EADDRINUSE
        replay = self.assertSame("port_busy")
        self.assertEqual(replay.visitors[1].heard, b"ok")

    def test_wrongToken(self) -> None:
        """
        Who has the wrong secret hears nothing, and is not kept: a stock server would
        keep him for ever.
        """
        replay, _ = self.replay("wrong_token")
        client = replay.clients[CLIENT]
        self.assertEqual((client.heard, client.ended), (b"", "end"))
        self.assertEqual(self.server.status().tunnels, ())

    def test_signal(self) -> None:
        """
        When a client is stopped its ports are free at once.
        """
        self.assertSame("client_sigint")
        self.assertEqual({*self.network.ports} - {SERVICE, PORT, ADMIN}, set())


class Recorded(Plain):
    """
    A stock server, as it was recorded: it says what it said when it said it, and
    besides answers the heartbeat that a client of ours sends, and no stock one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.decoder = FrameDecoder()
        self.frames: list[Frame] = []

    def dataReceived(self, data: bytes) -> None:
        """
        Take what comes.
        """
        super().dataReceived(data)
        for frame in self.decoder.feed(data):
            if (frame.stream, frame.payload) == (3, b"\x05"):
                self.say(encode(frame))
            else:
                self.frames.append(frame)


class ClientTests(WholeCase):
    """
    A recorded stock server gets from our client what it got from a stock one.
    """

    def play(self, name: str) -> tuple[list[Frame], list[Frame]]:
        """
        Play a conversation: what the server said, and what the services did.

        @return: what our client said, and what the stock one did.
        """
        told = meta("mgrok", name)
        self.heard = Recorded()
        self.network.listenTCP(PORT, One(self.heard))
        kinds = {"tcp": accepting, "udp": self.mail}
        self.came: dict[int, Any] = {}
        for each in told["proxies"]:
            port = each["local_port"]
            if port not in self.came and port in PORTS:
                self.came[port] = kinds[each["type"]](self.network, port)
        client = self.abroad(
            MGROK,
            *(
                f"{each['type']}:{each['local_port']}:port={each['remote_port']}"
                f":name={each['name']}"
                for each in told["proxies"]
            ),
            token=told["client_token"],
            place=Place(ADDRESS, False),
        )
        client.startService()
        self.network.settle()
        self.perform(name)
        said = [*self.heard.frames]
        client.stopService()
        self.network.settle()
        if name == "client_sigint":
            said = self.heard.frames
        self.network.ports.clear()
        self.network.accepting.clear()
        return said, frames(streams("mgrok", name)[CLIENT, "c2s"])

    def mail(self, network: Any, port: int) -> Post:
        """
        Run a service for datagrams.
        """
        post = Post()
        network.listenUDP(port, post, HOST)
        return post

    def perform(self, name: str) -> None:
        """
        Let all happen that was recorded, when it happened.
        """
        at = 0.0
        ports: dict[int, int] = {}
        for line in lines("mgrok", name):
            if "t" not in line or line.get("conn") == 1:
                continue
            self.network.elapse(max(0.0, line["t"] - at))
            at = max(at, line["t"])
            if line.get("dir") == "s2c" and "hex" in line:
                self.heard.say(bytes.fromhex(line["hex"]))
            elif line.get("side") == "service":
                self.act(line, ports)
            self.network.settle()

    def act(self, line: dict[str, Any], ports: dict[int, int]) -> None:
        """
        Do what a service did.
        """
        data = bytes.fromhex(line.get("hex", ""))
        if "note" in line:
            self.came[21201][-1].say(self.big())
        elif line["event"] == "accept":
            ports[line["id"]] = line["port"]
        elif "src" in line and line["event"] == "send":
            post = self.came[line["src"]]
            post.say(data, post.heard[-1][1])
        elif "id" in line and line["event"] in ("send", "close", "eof"):
            service = self.came[ports[line["id"]]][-1]
            if line["event"] == "send":
                service.say(data)
            else:
                service.wire.loseConnection()

    def assertSame(self, name: str) -> None:
        """
        Play a conversation, and compare each stream, frame by frame; the order of the
        Registers was chance.
        """
        ours, expected = self.play(name)
        self.assertEqual(arranged(ours), arranged(expected))

    def big(self) -> bytes:
        """
        Give the answer that was recorded in part: a header, and bytes without end.
        """
        said = frames(streams("mgrok", "big")[CLIENT, "c2s"])[-1].payload
        return said[: said.index(b"\r\n\r\n") + 4] + bytes(
            i % 251 for i in range(70000)
        )

    def test_session(self) -> None:
        """
        Login, two tunnels, an echo, three datagrams, and a sign of life.
        """
        self.assertSame("session")

    def test_closes(self) -> None:
        """
        A service that ends first, a visitor whose end takes the answer with it, and a
        service that is not there.
        """
        self.assertSame("closes")

    def test_portBusy(self) -> None:
        """
        Of a port that was refused nothing is heard; the other one serves.
        """
        self.assertSame("port_busy")

    def test_signal(self) -> None:
        """
        A client that stops closes its control stream, and the connection.
        """
        self.assertSame("client_sigint")

    def test_big(self) -> None:
        """
        A long answer goes in pieces as long as the program's.
        """
        ours, expected = self.play("big")
        found = [frame for frame in ours if frame.stream == 2]
        self.assertEqual(found[0], expected[-1])
        said = b"".join(frame.payload for frame in found)
        self.assertTrue(said == self.big())
        self.assertEqual(len(found[1].payload), len(expected[-1].payload))
