"""
Tests for L{tunnelkit.relay.flows.carrying}, over a connection that takes as much as a
test says.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from zope.interface import implementer

from tests.fakes import TimedCase
from tunnelkit.interfaces import ICarrier, ICarrierOwner
from tunnelkit.relay.flows.carrying import CLOSING, ROUND, STALLED, Carrier, Waiting
from tunnelkit.relay.flows.flow import Flow
from tunnelkit.relay.flows.table import FlowTable
from tunnelkit.relay.flows.tally import LATE, QUEUE
from tunnelkit.wire.native.codec import said
from tunnelkit.wire.native.datagrams import Run, framed
from tunnelkit.wire.native.frames import (
    Datagram,
    Done,
    Frame,
    FrameDecoder,
    Message,
    Reset,
    encode,
)
from tunnelkit.wire.native.messages import Flow as Announced
from tunnelkit.wire.native.messages import FlowEnd

KIB = bytes(1024)


class Hearing(Flow):
    """
    A flow that remembers what comes.
    """

    def __init__(self, id: int, table: FlowTable) -> None:
        super().__init__(id, id, table)
        self.heard: list[bytes] = []

    def deliver(self, run: Run) -> None:
        """
        Remember datagrams.
        """
        self.heard.extend(map(bytes, run))


class Scripted(Carrier):
    """
    A carrier of which a test is the kernel.

    @ivar room: how many bytes it takes, or None for all.
    @ivar writes: what was taken at once, each time.
    @ivar how: how the connection was ended.
    """

    def __init__(self, work: Any, owner: ICarrierOwner, clock: Any) -> None:
        super().__init__(work, owner, clock)
        self.room: int | None = None
        self.writes: list[bytes] = []
        self.how: list[str] = []

    def _send(self, data: bytes) -> int:
        taken = len(data) if self.room is None else min(self.room, len(data))
        if self.room is not None:
            self.room -= taken
        if taken:
            self.writes.append(bytes(data[:taken]))
        if taken < len(data):
            self._block()
        return taken

    def _later(self, call: Callable[[], None]) -> None:
        self._clock.callLater(0, call)

    def _finish(self) -> None:
        self.how.append("finished")

    def _reset(self) -> None:
        self.how.append("reset")

    def ready(self, room: int | None = None) -> None:
        """
        The kernel takes more.
        """
        self.room = room
        self._drain()

    def hear(self, data: bytes) -> None:
        """
        The peer sent bytes.
        """
        place = memoryview(self._decoder.rest + data)
        self._receive(place, len(place))

    @property
    def sent(self) -> list[Frame]:
        """
        The whole frames that were taken.
        """
        return list(FrameDecoder().feed(b"".join(self.writes)))


@implementer(ICarrierOwner)
class Owner:
    """
    Remembers what a carrier says.
    """

    def __init__(self) -> None:
        self.said: list[object] = []

    def announced(self, carrier: ICarrier, flow: Announced) -> None:
        """
        A flow.
        """
        self.said.append(flow)

    def ended(self, carrier: ICarrier, end: FlowEnd) -> None:
        """
        An end.
        """
        self.said.append(end)

    def stalled(self, carrier: ICarrier) -> None:
        """
        A stall.
        """
        self.said.append("stalled")

    def lost(self, carrier: ICarrier, reason: str) -> None:
        """
        The end of the carrier.
        """
        self.said.append(reason)


class CarryingCase(TimedCase):
    """
    A carrier on the client's side, with a flow.
    """

    client = True

    def setUp(self) -> None:
        """
        Make them.
        """
        super().setUp()
        self.owner = Owner()
        self.works: list[str] = []
        works = SimpleNamespace(lost=lambda work, reason: self.works.append(reason))
        work = SimpleNamespace(
            peer="vps:8910", client=self.client, give=lambda carrier: (works, b"")
        )
        self.carrier = Scripted(work, self.owner, self.clock)
        self.flow = self.adopt(7)

    def adopt(self, number: int) -> Hearing:
        """
        Have a flow live there.
        """
        flow = Hearing(number, FlowTable(self.clock, lambda flow: None))
        self.carrier.adopt(flow)
        return flow

    def put(self, *datagrams: bytes) -> None:
        """
        Put datagrams there, and end the round.
        """
        for datagram in datagrams:
            self.flow.ship(framed(7, datagram))
        self.clock.advance(0)


class SendingTests(CarryingCase):
    """
    What leaves, and what is dropped.
    """

    def test_oneWrite(self) -> None:
        """
        All that comes in one round leaves in one write, of all flows.
        """
        other = self.adopt(8)
        other.ship(framed(8, b"x"))
        self.put(b"one", b"two")
        (write,) = self.carrier.writes
        self.assertEqual(write, framed(8, b"x") + framed(7, b"one") + framed(7, b"two"))

    def test_many(self) -> None:
        """
        A round that brings very many does not gather all of them.
        """
        self.put(*[b"x"] * (ROUND + 1))
        self.assertEqual(len(self.carrier.writes), 2)

    def test_begun(self) -> None:
        """
        A frame of which a part has left is finished, however late that is; those that
        wait behind it are not sent when they are old.
        """
        self.carrier.room = 5
        self.put(b"begun", b"old")
        self.clock.advance(0.3)
        self.put(b"new")
        self.carrier.ready()
        self.assertEqual(
            self.carrier.sent, [Datagram(7, b"begun"), Datagram(7, b"new")]
        )
        self.assertEqual(self.flow.tally.drops[LATE], 1)
        self.clock.advance(1)

    def test_bytes(self) -> None:
        """
        While nothing leaves 256 KiB wait at most, and the oldest are dropped.
        """
        self.carrier.room = 0
        for number in range(300):
            self.put(b"%03d" % number + KIB)
        self.carrier.ready()
        sent = [cast(Datagram, frame).payload[:3] for frame in self.carrier.sent]
        self.assertEqual(len(sent) + self.flow.tally.drops[QUEUE], 300)
        self.assertEqual(sent[-1], b"299")
        self.assertEqual(sent, sorted(sent))
        self.assertEqual(len(sent), 256 * 1024 // len(framed(7, b"000" + KIB)))
        self.clock.advance(1)

    def test_piecemeal(self) -> None:
        """
        However little the kernel takes at a time, what comes out is whole and in order.
        """
        self.carrier.room = 0
        sent = [b"%d" % number for number in range(40)]
        self.put(*sent)
        for room in (0, 1, 7, 8, 9, 30, 2, 100):
            self.carrier.ready(room)
        self.carrier.ready()
        self.assertEqual(self.carrier.sent, [Datagram(7, each) for each in sent])
        self.clock.advance(1)

    def test_announcedAgain(self) -> None:
        """
        An announcement that was dropped is said again before the next datagram.
        """
        opening = said(Announced(7, "dns", "192.0.2.7:1", "192.0.2.1:53"))
        self.carrier.adopt(self.flow, opening)
        self.carrier.room = 0
        self.put(b"lost")
        self.assertEqual(self.flow.opening, b"")
        self.clock.advance(0.3)
        self.carrier.ready()
        self.assertEqual((self.carrier.sent, self.flow.opening), ([], opening))
        self.put(b"next")
        kinds = [type(frame) for frame in self.carrier.sent]
        self.assertEqual(kinds, [Message, Datagram])
        self.clock.advance(1)

    def test_stalled(self) -> None:
        """
        Who has taken nothing for a second is said to stall; who took a little is not.
        """
        self.carrier.room = 0
        self.put(b"one")
        self.clock.advance(0.9)
        self.carrier.ready()
        self.carrier.room = 0
        self.put(b"two")
        self.clock.advance(0.2)
        self.assertEqual(self.owner.said, [])
        self.clock.advance(STALLED)
        self.assertEqual(self.owner.said, ["stalled"])

    def test_salvaged(self) -> None:
        """
        What waits can go another way, without what announced it here.
        """
        self.carrier.adopt(self.flow, said(Announced(7, "dns", "", "")))
        self.carrier.room = 0
        self.put(b"one", b"two")
        self.carrier.tell(FlowEnd(9))
        self.clock.advance(0)
        expected = [(self.flow, framed(7, b"one")), (self.flow, framed(7, b"two"))]
        self.assertEqual(self.carrier.salvaged(), expected)
        self.assertEqual(self.carrier.salvaged(), [])
        self.clock.advance(1)


class ReceivingTests(CarryingCase):
    """
    What comes, and what does not belong there.
    """

    def test_datagrams(self) -> None:
        """
        Datagrams reach their flows; those of flows that live elsewhere are counted.
        """
        self.carrier.hear(framed(7, b"one") + framed(8, b"stray") + framed(7, b"two"))
        self.assertEqual(self.flow.heard, [b"one", b"two"])
        self.assertEqual(self.carrier.strays, 1)
        self.assertEqual(self.flow.tally.drops[QUEUE], 0)

    def test_messages(self) -> None:
        """
        The owner hears of flows that begin and end.
        """
        flow = Announced(9, "dns", "192.0.2.7:1", "192.0.2.1:53")
        self.carrier.hear(said(flow) + said(FlowEnd(9, "idle")))
        self.assertEqual(self.owner.said, [flow, FlowEnd(9, "idle")])

    def test_wrong(self) -> None:
        """
        What breaks the protocol ends this connection, with a reason, and nobody hears
        what comes behind it.
        """
        for wrong in (
            encode(Done(1)),
            said(Announced(0, "dns", "", "")),
            said(Announced(2**32, "dns", "", "")),
            encode(Message({"type": "start"})),
            b"\x1f\x00\x00\x00",
        ):
            self.setUp()
            self.carrier.hear(framed(7, b"one") + wrong + framed(7, b"two"))
            self.assertEqual((self.flow.heard, self.carrier.how), ([b"one"], ["reset"]))
            (reason,) = self.owner.said
            self.assertIn("vps:8910 broke the protocol: ", str(reason))
            self.assertEqual(self.works, self.owner.said)

    def test_reset(self) -> None:
        """
        A RESET ends it.
        """
        self.carrier.hear(encode(Reset(1, 9, "no longer")))
        self.assertEqual(self.carrier.how, ["reset"])
        self.assertEqual(self.owner.said, ["vps:8910 reset it: no longer"])

    def test_bug(self) -> None:
        """
        A bug ends this connection alone, and is in the log.
        """
        self.flow.deliver = None  # type: ignore[assignment,method-assign]
        self.carrier.hear(framed(7, b"one"))
        self.assertEqual(self.owner.said, ["a bug"])
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_lost(self) -> None:
        """
        When it is gone it is said once, and what is put there does no harm.
        """
        self.put(b"one")
        self.flow.ship(framed(7, b"two"))
        self.carrier.abort()
        self.carrier.abort()
        self.put(b"three")
        self.assertEqual(self.owner.said, ["aborted here"])
        self.assertEqual(len(self.carrier.salvaged()), 1)


class ServerTests(CarryingCase):
    """
    The server's side.
    """

    client = False

    def test_messages(self) -> None:
        """
        A client ends flows and never announces one.
        """
        self.carrier.hear(said(FlowEnd(7)))
        self.assertEqual(self.owner.said, [FlowEnd(7)])
        self.carrier.hear(said(Announced(9, "dns", "", "")))
        self.assertEqual(self.carrier.how, ["reset"])


class ClosingTests(CarryingCase):
    """
    A carrier that is not needed any more.
    """

    def test_close(self) -> None:
        """
        What was put there leaves first; then it waits for the peer, for a while.
        """
        self.flow.ship(framed(7, b"last"))
        self.carrier.close()
        self.assertEqual(self.carrier.sent, [Datagram(7, b"last")])
        self.assertEqual((self.carrier.how, self.owner.said), (["finished"], []))
        self.clock.advance(CLOSING)
        self.assertEqual(self.carrier.how, ["finished", "reset"])

    def test_blocked(self) -> None:
        """
        So it does where the kernel takes nothing at first.
        """
        self.carrier.room = 0
        self.put(b"last")
        self.carrier.close()
        self.assertEqual(self.carrier.how, [])
        self.carrier.ready()
        self.assertEqual(self.carrier.how, ["finished"])
        self.carrier._end("closed")
        self.assertEqual(self.owner.said, ["closed"])


class WaitingTests(TimedCase):
    """
    Where there is no carrier.
    """

    def test_only(self) -> None:
        """
        What waits of one flow can be taken alone; the rest gets no younger by it.
        """
        waiting = Waiting(self.clock)
        table = FlowTable(self.clock, lambda flow: None)
        one, two = Hearing(1, table), Hearing(2, table)
        for flow in (one, two):
            waiting.adopt(flow)
            flow.ship(framed(flow.id, b"x"))
        self.clock.advance(0.2)
        self.assertEqual(waiting.salvaged(one), [(one, framed(1, b"x"))])
        self.clock.advance(0.1)
        self.assertEqual(waiting.salvaged(), [])
        self.assertEqual(table.tally.drops[LATE], 1)
