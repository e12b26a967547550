"""
Tests for L{tunnelkit.wire.smux.session}.
"""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.golden.recorded import streams
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.smux.frames import HIGHEST, Command, Frame, FrameDecoder, encode
from tunnelkit.wire.smux.session import (
    PIECE,
    STRANGER,
    Answered,
    Bounds,
    Declined,
    Event,
    Finished,
    NoStream,
    Odd,
    Opened,
    Overrun,
    Received,
    Session,
)


class Side:
    """
    One side of a connection, and what it has sent.
    """

    def __init__(self, client: bool = False, bounds: Bounds | None = None) -> None:
        self.sent = bytearray()
        self.session = Session(client, self.sent.extend, bounds)

    def said(self) -> list[Frame]:
        """
        Give the frames that it has sent since this was last asked.
        """
        return list(FrameDecoder().feed(self.taken()))

    def taken(self) -> bytes:
        """
        Give the bytes that it has sent since this was last asked.
        """
        taken = bytes(self.sent)
        self.sent.clear()
        return taken

    def hears(self, *frames: Frame) -> list[Event]:
        """
        Let it hear frames.
        """
        return list(self.session.receive(b"".join(map(encode, frames))))


def syn(stream: int) -> Frame:
    """
    Make a SYN.
    """
    return Frame(Command.SYN, stream)


def fin(stream: int) -> Frame:
    """
    Make a FIN.
    """
    return Frame(Command.FIN, stream)


def psh(stream: int, data: bytes) -> Frame:
    """
    Make a PSH.
    """
    return Frame(Command.PSH, stream, data)


class SessionTests(SynchronousTestCase):
    """
    Streams cross one connection, and do not harm each other.
    """

    def test_golden(self) -> None:
        """
        A real client's session is understood: its control stream and three messages.
        """
        events = list(Side().session.receive(streams("mgrok", "port_busy")[2, "c2s"]))
        self.assertEqual(events[0], Opened(3))
        control = [e.data for e in events if isinstance(e, Received) and e.stream == 3]
        self.assertEqual([len(data) for data in control], [11, 7, 7])

    def test_goldenOpening(self) -> None:
        """
        Our client opens as the real one does.
        """
        client = Side(client=True)
        stream = client.session.open()
        client.session.send(stream, b"GRT1\x01secret")
        recorded = streams("mgrok", "session")[2, "c2s"]
        self.assertTrue(recorded.startswith(client.taken()))

    def test_goldenServer(self) -> None:
        """
        Our server opens streams with the numbers that a real one gives.
        """
        events = list(
            Side(client=True).session.receive(streams("mgrok", "closes")[2, "s2c"])
        )
        opened = [e.stream for e in events if isinstance(e, Opened)]
        server = Side()
        self.assertEqual([server.session.open() for _ in opened], opened)

    def test_both(self) -> None:
        """
        Each side opens streams of its own, and bytes come out where they belong.
        """
        client, server = Side(client=True), Side()
        one, other = client.session.open(), server.session.open()
        self.assertEqual((one, other), (3, 2))
        client.session.send(one, b"to")
        server.session.send(other, b"fro")
        self.assertEqual(
            list(server.session.receive(client.taken())),
            [Opened(3), Received(3, b"to")],
        )
        self.assertEqual(
            list(client.session.receive(server.taken())),
            [Opened(2), Received(2, b"fro")],
        )
        self.assertEqual(client.session.streams, (3, 2))

    def test_long(self) -> None:
        """
        Much is sent in pieces, and nothing is sent as no frame.
        """
        side = Side()
        stream = side.session.open()
        side.session.send(stream, bytes(PIECE + 1))
        side.session.send(stream, b"")
        lengths = [len(frame.payload) for frame in side.said()]
        self.assertEqual(lengths, [0, PIECE, 1])

    def test_finish(self) -> None:
        """
        A stream that is closed here is closed: bytes that were on their way are
        dropped, and it is closed once.
        """
        side = Side()
        side.hears(syn(3), psh(3, b"a"))
        side.session.finish(3)
        side.session.finish(3)
        side.session.send(3, b"late")
        side.session.consumed(3, 1)
        self.assertEqual(side.said(), [fin(3)])
        self.assertEqual(side.hears(psh(3, b"late"), fin(3)), [])
        self.assertEqual((side.session.unread, side.session.streams), (0, ()))

    def test_finished(self) -> None:
        """
        What a service sent before it closed is still delivered; the other side, which
        hears nothing any more, is sent nothing.
        """
        side = Side()
        events = side.hears(syn(3), psh(3, b"last"), fin(3), fin(3), psh(3, b"x"))
        self.assertEqual(events, [Opened(3), Received(3, b"last"), Finished(3)])
        side.session.send(3, b"in vain")
        self.assertEqual(side.session.waiting(3), 4)
        side.session.consumed(3, 4)
        side.session.finish(3)
        self.assertEqual(side.said(), [fin(3)])
        self.assertEqual(side.session.waiting(3), 0)

    def test_unknown(self) -> None:
        """
        Frames of streams that nobody knows are passed over, and so are NOPs.
        """
        side = Side()
        self.assertEqual(side.hears(psh(9, b"x"), fin(9), Frame(Command.NOP)), [])
        self.assertEqual(side.said(), [])

    def test_odd(self) -> None:
        """
        What would put the program out of step is passed over and told of.
        """
        side = Side()
        stream = b"\1\0\3\0\3\0\0\0abc" + b"\1\3\1\0\0\0\0\0x" + encode(syn(3))
        self.assertEqual(
            list(side.session.receive(stream)),
            [
                Odd(3, "a SYN with 3 bytes"),
                Opened(3),
                Odd(0, "a NOP with 1 bytes"),
                Odd(3, "stream 3 is opened again"),
            ],
        )

    def test_notTheirs(self) -> None:
        """
        A peer cannot open streams in our place.
        """
        for side, stream in (
            (Side(), 2),
            (Side(client=True), 3),
            (Side(), 0),
            (Side(client=True), 0),
        ):
            error = self.assertRaises(WireError, side.hears, syn(stream))
            self.assertIn(f"stream {stream} is not the other side's", str(error))

    def test_probe(self) -> None:
        """
        A live client answers a probe, and that is no stream.
        """
        side = Side()
        stream = side.session.probe()
        self.assertEqual(side.said(), [syn(stream), fin(stream)])
        self.assertEqual(side.session.streams, ())
        self.assertEqual(side.hears(fin(stream), fin(stream)), [Answered(stream)])

    def test_nop(self) -> None:
        """
        An idle session is kept alive.
        """
        side = Side()
        side.session.nop()
        self.assertEqual(side.taken().hex(), "0103000000000000")

    @given(st.binary(max_size=120))
    def test_anyBytes(self, noise: bytes) -> None:
        """
        A stranger's bytes mean something or are a L{WireError}, nothing else.
        """
        for data in (noise, encode(syn(3)) + b"\1\2" + noise):
            with contextlib.suppress(WireError):
                list(Side().session.receive(data))

    @given(
        st.lists(st.tuples(st.integers(0, 2), st.binary(max_size=50)), max_size=12),
        st.integers(1, 40),
    )
    def test_anyTraffic(self, traffic: list[tuple[int, bytes]], step: int) -> None:
        """
        Each stream's bytes come out in order, whatever the others carry.
        """
        client, server = Side(client=True), Side()
        numbers = [client.session.open() for _ in range(3)]
        for which, data in traffic:
            client.session.send(numbers[which], data)
        wire, got = client.taken(), dict.fromkeys(numbers, b"")
        for at in range(0, len(wire), step):
            for event in server.session.receive(wire[at : at + step]):
                if isinstance(event, Received):
                    got[event.stream] += event.data
                    server.session.consumed(event.stream, len(event.data))
        for which, number in enumerate(numbers):
            sent = b"".join(data for w, data in traffic if w == which)
            self.assertEqual(got[number], sent)
        self.assertEqual(server.session.unread, 0)


class BoundsTests(SynchronousTestCase):
    """
    Nothing grows without a bound.
    """

    def test_streams(self) -> None:
        """
        A peer that opens too many streams finds the last ones closed, and the others
        work on.
        """
        side = Side(bounds=Bounds(streams=2))
        events = side.hears(syn(3), syn(5), syn(7), psh(7, b"x"), psh(3, b"y"))
        self.assertEqual(events, [Opened(3), Opened(5), Declined(7), Received(3, b"y")])
        self.assertEqual(side.said(), [fin(7)])
        self.assertRaises(NoStream, side.session.open)
        side.session.finish(3)
        self.assertEqual(side.hears(syn(9)), [Opened(9)])

    def test_window(self) -> None:
        """
        A visitor that does not read loses their own stream, and nobody else's.
        """
        side = Side(bounds=Bounds(window=10))
        side.hears(syn(3), syn(5), psh(5, b"y" * 10), psh(3, b"x" * 10))
        self.assertEqual(
            side.hears(psh(3, b"x"), psh(3, b"x")), [Received(3, b"x"), Overrun(3)]
        )
        self.assertEqual(side.said(), [fin(3)])
        self.assertEqual((side.session.unread, side.session.streams), (10, (5,)))

    def test_consumed(self) -> None:
        """
        One that reads can have any amount.
        """
        side = Side(bounds=Bounds(window=10, budget=10))
        side.hears(syn(3))
        for _ in range(100):
            self.assertEqual(side.hears(psh(3, b"x" * 10)), [Received(3, b"x" * 10)])
            side.session.consumed(3, 10)

    def test_budget(self) -> None:
        """
        Many that read slowly cost no more than the session may: the one who keeps most
        waiting leaves.
        """
        side = Side(bounds=Bounds(window=10, budget=15))
        side.hears(syn(3), syn(5), syn(7), psh(3, b"x" * 8), psh(5, b"x" * 6))
        self.assertEqual(side.hears(psh(7, b"xx")), [Received(7, b"xx"), Overrun(3)])
        self.assertEqual(side.session.unread, 8)

    def test_stranger(self) -> None:
        """
        Who has not logged in has one stream; who has, has more.
        """
        side = Side(bounds=STRANGER)
        self.assertEqual(side.hears(syn(3), syn(5)), [Opened(3), Declined(5)])
        side.session.bounds = Bounds()
        self.assertEqual(side.hears(syn(7)), [Opened(7)])

    def test_numbers(self) -> None:
        """
        A session that has had every number says so, and is replaced.
        """
        for client in (True, False):
            side = Side(client)
            side.session._last = HIGHEST - 3 + client
            self.assertLessEqual(side.session.open(), HIGHEST)
            self.assertRaises(NoStream, side.session.open)
            self.assertRaises(NoStream, side.session.probe)
