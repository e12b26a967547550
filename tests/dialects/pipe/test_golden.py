"""
Recorded conversations of stock pipe clients, played to our server.
"""

from __future__ import annotations

import errno

from tests.dialects.pipe.case import packets
from tests.dialects.replay import Replay
from tests.golden.recorded import meta, streams
from tests.network import Speaker
from tests.whole import ADMIN, PORT, SERVICE, WholeCase
from tunnelkit.dialects.pipe.spec import PipeSpec
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.pipe.codec import (
    FROM_CLIENT,
    FROM_SERVER,
    PacketDecoder,
    encode,
)
from tunnelkit.wire.pipe.packets import (
    Datagram,
    Exchange,
    Forwarded,
    FromServer,
    Heartbeat,
)
from tunnelkit.wire.ports import PortSet


def idsIn(said: list[FromServer]) -> list[str]:
    """
    Give the ids of connections that a server asks for.
    """
    return [packet.id for packet in said if isinstance(packet, Exchange)]


def withIds(data: bytes, ids: dict[str, str]) -> bytes:
    """
    Put our ids into what a client says first on a connection.
    """
    decoder, said = PacketDecoder(FROM_CLIENT), b""
    try:
        for packet in decoder.feed(data):
            if isinstance(packet, Exchange):
                return (
                    said
                    + encode(Exchange(ids[packet.id], packet.kind))
                    + decoder.rest()
                )
            said += encode(packet)
    except WireError:
        return data  # a visitor's bytes
    return said or data


class GoldenTests(WholeCase):
    """
    Recorded stock clients get from us what they got from a stock server.
    """

    def replay(self, name: str) -> tuple[Replay, dict[int, list[FromServer]]]:
        """
        Play a conversation.

        @return: it, and what a stock server said on each connection, with our ids.
        """
        told = meta("pipe", name)
        ports = ",".join(
            str(each["remote_port"])
            for each in told["forwards"]
            if 0 < each["remote_port"] < 65535
        )
        self.serve(
            dialects=(PipeSpec(told["server_token"], 0.0),),
            allowed=PortSet.parse(ports or "9000"),
        )
        ids: dict[str, str] = {}
        recorded = {n: idsIn(packets(data)) for n, data in self.said(name).items()}

        def rewrite(number: int, data: bytes) -> bytes:
            for control, client in replay.clients.items():
                ours = idsIn(self.heard(client))
                ids.update(zip(recorded.get(control, ()), ours, strict=False))
            return withIds(data, ids)

        replay = Replay(self.network, PORT, "pipe", name, rewrite)
        replay.play()
        expected = {
            number: [
                Exchange(ids.get(packet.id, packet.id), packet.kind)
                if isinstance(packet, Exchange)
                else packet
                for packet in packets(data)
            ]
            for number, data in self.said(name).items()
        }
        return replay, expected

    def said(self, name: str) -> dict[int, bytes]:
        """
        Give what the stock server said on control connections.
        """
        return {
            number: data
            for (number, sender), data in streams("pipe", name).items()
            if sender == "s2c" and data[0] in (2, 4, 6)
        }

    def heard(self, client: Speaker) -> list[FromServer]:
        """
        Read what we said on a control connection.
        """
        return (
            packets(client.heard) if client.heard[:1] in (b"\2", b"\4", b"\6") else []
        )

    def assertSame(self, name: str) -> Replay:
        """
        Play a conversation, and compare what the control connections heard, without
        the C{failed} that a stock server sends too late.
        """
        replay, expected = self.replay(name)
        for number, told in expected.items():
            late = told.index(Forwarded(True)) if Forwarded(True) in told else len(told)
            told = [
                packet
                for at, packet in enumerate(told)
                if at <= late or packet != Forwarded(False)
            ]
            while told and told[-1] == Heartbeat():
                told.pop()  # how many there are is a matter of a moment
            ours = self.heard(replay.clients[number])
            self.assertEqual(ours[: len(told)], told, number)
            self.assertLessEqual({*ours[len(told) :]}, {Heartbeat()})
        return replay

    def test_tcp(self) -> None:
        """
        A port is forwarded, a visitor gets an echo through a connection of his own,
        and there is a heartbeat every second.
        """
        replay = self.assertSame("login_tcp")
        self.assertEqual(replay.visitors[1].heard, b"hello pipe\n")
        self.assertEqual(replay.clients[2].heard, b"hello pipe\n")

    def test_http(self) -> None:
        """
        Two forwards of one client have a control connection each, and a visitor's
        request and its answer cross as they are.
        """
        replay = self.assertSame("http")
        self.assertTrue(replay.visitors[1].heard.endswith(b"hello golden\n"))
        self.assertEqual(replay.visitors[3].heard, b"x")

    def test_datagrams(self) -> None:
        """
        Datagrams of three users get their answers, each his own.
        """
        replay = self.assertSame("udp")
        heard = {n: [d for d, _ in post.heard] for n, post in replay.posts.items()}
        self.assertEqual(heard, {1: [b"one", b"two"], 2: [b"three"], 3: [b"six"]})
        asked = PacketDecoder(FROM_SERVER).feed(replay.clients[2].heard)
        self.assertEqual(
            [packet.payload for packet in asked if isinstance(packet, Datagram)],
            [b"one", b"two", b"three", b"six"],
        )

    def test_cancel(self) -> None:
        """
        A client that ends takes its forwards back: their ports are free at once.
        """
        self.assertSame("cancel")
        self.assertEqual({*self.network.ports} - {SERVICE, PORT, ADMIN}, set())
        self.assertEqual(self.network.boxes, {})

    def test_serviceCloses(self) -> None:
        """
        A stock client does not tell that the service has ended: the visitor sees
        nothing of it, and ends by himself.
        """
        replay = self.assertSame("service_close")
        self.assertEqual(replay.visitors[1].heard, b"bye\n")

    def test_serviceRefused(self) -> None:
        """
        Nor does it tell that nothing listens there.
        """
        replay = self.assertSame("service_refused")
        self.assertEqual(replay.clients[2].heard, b"hi\n")

    def test_wrongToken(self) -> None:
        """
        Who has the wrong secret gets no answer.
        """
        replay = self.assertSame("wrong_token")
        self.assertEqual(replay.clients[1].heard, b"")

    def test_refused(self) -> None:
        """
        What cannot be forwarded is refused as it is there.
        """
        self.network.taken[21100] = errno.EADDRINUSE
        self.assertSame("port_busy")
        self.stop(self.server)
        self.assertSame("refused_type_empty")
