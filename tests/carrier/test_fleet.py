"""
Tests for L{tunnelkit.carrier.fleet} and L{tunnelkit.carrier.dock}.
"""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred, fail, succeed

from tests.fakes import FakeCarrier, FakeRelay, FakeWork, TimedCase
from tunnelkit.carrier.dock import CARRIERS as MOST
from tunnelkit.carrier.dock import Dock
from tunnelkit.carrier.fleet import AGAIN, AT_ONCE, CARRIERS, REST, Fleet
from tunnelkit.carrier.pool import NoWork
from tunnelkit.interfaces import ICarrier, IWorkEnd
from tunnelkit.relay.flows.ends import VisitorFlow
from tunnelkit.relay.flows.flow import Flow
from tunnelkit.relay.flows.table import FlowTable
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.native.codec import said
from tunnelkit.wire.native.datagrams import Run, framed
from tunnelkit.wire.native.frames import FrameDecoder, Message
from tunnelkit.wire.native.messages import Flow as Announced
from tunnelkit.wire.native.messages import FlowEnd, Start


class Visitor(VisitorFlow):
    """
    A visitor's flow.
    """

    peer = "192.0.2.7:5000"
    local = "198.51.100.1:53"

    def deliver(self, run: Run) -> None:
        """
        Do nothing.
        """

    def say(self, datagram: bytes) -> None:
        """
        Send something to the service.
        """
        self.ship(framed(self.id, datagram))


def announced(carrier: FakeCarrier) -> list[int]:
    """
    Give the numbers of flows that were announced on a carrier.
    """
    return [
        frame.body["id"]
        for frame in FrameDecoder().feed(b"".join(carrier.frames))
        if isinstance(frame, Message) and frame.body["type"] == "flow"
    ]


class FleetTests(TimedCase):
    """
    Flows are spread, and move where they must.
    """

    def setUp(self) -> None:
        """
        Make a fleet.
        """
        super().setUp()
        self.relay = FakeRelay()
        self.relay.clock = self.clock
        self.works: list[Deferred[IWorkEnd]] = [self.work() for _ in range(CARRIERS)]
        pool: Any = self
        self.fleet = Fleet(pool, self.relay, self.clock)
        self.table = FlowTable(self.clock, lambda flow: None, "dns")
        self.visitors = 0
        self.addCleanup(self.over)

    def over(self) -> None:
        """
        End all.
        """
        self.fleet.leave(self)
        self.table.clear("over")
        # What a fake left waiting is looked at for the last time.
        self.clock.advance(10)

    def take(self) -> Deferred[IWorkEnd]:
        """
        Be the pool.
        """
        return self.works.pop() if self.works else Deferred()

    def work(self) -> Deferred[IWorkEnd]:
        """
        Make a work connection.
        """
        return succeed(cast(IWorkEnd, FakeWork()))

    def come(self, count: int = 1) -> list[Visitor]:
        """
        Have visitors come who say something.
        """
        came = []
        for _ in range(count):
            self.visitors += 1
            flow = Visitor(0, self.visitors, self.table)
            self.assertTrue(self.fleet.place(flow))
            self.table.add(flow)
            flow.say(b"hello")
            came.append(flow)
        return came

    @property
    def counts(self) -> list[int]:
        """
        How many flows live on each carrier.
        """
        return [len(carrier.flows) for carrier in self.relay.carriers]

    def test_carriers(self) -> None:
        """
        With the first tunnel there are four carriers, and with the last they go.
        """
        self.assertEqual(self.relay.carriers, [])
        self.fleet.enter("one")
        self.fleet.enter("other")
        self.assertEqual(len(self.relay.carriers), CARRIERS)
        start = said(Start(1, "", "udp", "", ""))
        self.assertEqual({each.opening for each in self.relay.carriers}, {start})
        self.fleet.leave("one")
        self.assertEqual({each.ended for each in self.relay.carriers}, {""})
        self.fleet.leave("other")
        self.assertEqual({each.ended for each in self.relay.carriers}, {"closed"})

    def test_spread(self) -> None:
        """
        Flows are spread evenly, each announced before its first datagram, with a number
        of its own.
        """
        self.fleet.enter(self)
        flows = self.come(10)
        self.assertEqual(sorted(self.counts), [2, 2, 3, 3])
        self.assertEqual([flow.id for flow in flows], [*range(1, 11)])
        flow = Announced(1, "dns", "192.0.2.7:5000", "198.51.100.1:53")
        first = cast(FakeCarrier, flows[0].carrier).frames[0]
        self.assertEqual(first, said(flow) + framed(1, b"hello"))

    def test_blocked(self) -> None:
        """
        New flows live where something leaves.
        """
        self.fleet.enter(self)
        blocked = self.relay.carriers[0]
        blocked.blocked = True
        self.come(6)
        self.assertEqual(self.counts, [0, 2, 2, 2])
        for carrier in self.relay.carriers:
            carrier.blocked = True
        self.come(1)
        self.assertEqual(self.counts[0], 1)

    def test_lost(self) -> None:
        """
        The flows of a lost carrier are announced on others at once, so that the service
        reaches their visitors, too; what waited goes with them, and another carrier is
        asked for.
        """
        self.fleet.enter(self)
        flows = self.come(8)
        own = cast(FakeCarrier, flows[0].carrier)
        self.clock.advance(AGAIN)
        own.blocked = True
        flows[0].say(b"waits")
        self.works = [self.work()]
        own.lose()
        self.assertEqual(len(self.relay.carriers), CARRIERS + 1)
        new = cast(FakeCarrier, flows[0].carrier)
        self.assertIsNot(new, own)
        opening = flows[0].announcement()
        self.assertIn(opening + framed(1, b"waits"), new.frames)
        self.clock.advance(REST)
        rest = [each for each in self.relay.carriers if each is not own]
        again = [number for each in rest for number in announced(each)]
        self.assertEqual(sorted(again), sorted([*range(1, 9)]))

    def test_refusing(self) -> None:
        """
        A client that resets each carrier is not asked again and again.
        """
        self.fleet.enter(self)
        self.works = [self.work() for _ in range(100)]
        for carrier in [*self.relay.carriers]:
            carrier.lose()
        self.assertEqual(len(self.relay.carriers), CARRIERS)
        self.clock.advance(AGAIN)
        self.assertEqual(len(self.relay.carriers), 2 * CARRIERS)

    def test_stalled(self) -> None:
        """
        A carrier that takes nothing loses its flows to one that does, if there is any.
        """
        self.fleet.enter(self)
        self.come(8)
        carrier = self.relay.carriers[0]
        for each in self.relay.carriers:
            each.blocked = True
        self.fleet.stalled(carrier)
        self.assertEqual(self.counts, [2, 2, 2, 2])
        self.relay.carriers[1].blocked = False
        self.fleet.stalled(carrier)
        self.clock.advance(REST)
        self.assertEqual(self.counts, [0, 4, 2, 2])

    def test_waiting(self) -> None:
        """
        What comes before there is a carrier waits a moment for one.
        """
        works, self.works = self.works, []
        first: Deferred[IWorkEnd] = Deferred()
        self.works = [first]
        self.fleet.enter(self)
        (flow,) = self.come()
        self.assertEqual(self.relay.carriers, [])
        works[0].addCallback(first.callback)
        (carrier,) = self.relay.carriers
        self.assertIs(flow.carrier, carrier)
        self.assertEqual(carrier.frames[-1][-13:], framed(1, b"hello"))

    def test_byAndBy(self) -> None:
        """
        Thousands of flows do not move in one go: others have their turn.
        """
        self.fleet.enter(self)
        self.come(4 * 3 * AT_ONCE)
        carrier = self.relay.carriers[0]
        for each in self.relay.carriers:
            each.frames.clear()
        carrier.lose()
        rest = self.relay.carriers[1:]
        self.assertEqual(sum(len(announced(each)) for each in rest), AT_ONCE)
        self.clock.pump([REST] * 3)
        self.assertEqual(sum(len(announced(each)) for each in rest), 3 * AT_ONCE)

    def test_ended(self) -> None:
        """
        A flow that the client ends is over; a word about one that is not known does
        nothing.
        """
        self.fleet.enter(self)
        (flow,) = self.come()
        carrier = cast(FakeCarrier, flow.carrier)
        self.fleet.ended(carrier, FlowEnd(99))
        self.fleet.ended(self.relay.carriers[0], FlowEnd(1))
        self.fleet.ended(carrier, FlowEnd(1, "no socket"))
        self.assertEqual((len(self.table), len(carrier.frames)), (0, 1))

    def test_noWork(self) -> None:
        """
        Where the client brings no work connection it is asked again.
        """
        self.works = [fail(NoWork(ResetCode.BUSY, "none")) for _ in range(CARRIERS)]
        self.fleet.enter(self)
        self.works = [self.work()]
        self.clock.advance(AGAIN)
        self.assertEqual(len(self.relay.carriers), 1)

    def test_strays(self) -> None:
        """
        Datagrams that came for flows which live elsewhere stay counted.
        """
        self.fleet.enter(self)
        self.relay.carriers[0].strays = 3
        self.relay.carriers[1].strays = 4
        self.relay.carriers[0].lose()
        self.assertEqual(self.fleet.strays, 7)


class DockTests(TimedCase):
    """
    The client lets flows go where they may.
    """

    def setUp(self) -> None:
        """
        Make a dock with one carrier.
        """
        super().setUp()
        self.relay = FakeRelay()
        self.relay.clock = self.clock
        self.flows = FlowTable(self.clock, lambda flow: None)
        self.refusal = ""
        landing: Any = self
        self.dock = Dock(
            self.relay, self.clock, lambda flow: {"dns": landing}.get(flow.tunnel)
        )
        self.addCleanup(lambda: self.flows.clear("over"))

    def carrier(self) -> FakeCarrier:
        """
        Have a carrier.
        """
        self.dock.carry(cast(IWorkEnd, FakeWork()))
        return self.relay.carriers[-1]

    def find(self, number: int) -> Flow | None:
        """
        Be the local service, which has a flow.
        """
        return self.flows.flows.get(number)

    def land(self, flow: Announced, carrier: ICarrier) -> str:
        """
        Be the local service.
        """
        if self.refusal:
            return self.refusal
        landed = Visitor(flow.id, flow.id, self.flows)
        carrier.adopt(landed)
        self.flows.add(landed)
        return ""

    def test_published(self) -> None:
        """
        Only what was configured is dialled, whatever the server asks; it is told why
        not.
        """
        carrier = self.carrier()
        self.dock.announced(carrier, Announced(1, "ssh", "", ""))
        self.refusal = "not so"
        self.dock.announced(carrier, Announced(2, "dns", "", ""))
        self.assertEqual(len(self.flows), 0)
        unpublished = FlowEnd(1, "the client does not publish that")
        self.assertEqual(
            carrier.frames, [said(unpublished), said(FlowEnd(2, "not so"))]
        )

    def test_moves(self) -> None:
        """
        A flow that is announced again moves there, and is the same.
        """
        one, other = self.carrier(), self.carrier()
        for carrier in (one, other, one):
            self.dock.announced(carrier, Announced(1, "dns", "", ""))
            (flow,) = self.flows.flows.values()
            self.assertIs(flow.carrier, carrier)
        self.assertEqual((len(one.flows), len(other.flows)), (1, 0))

    def test_lost(self) -> None:
        """
        What the service says while its flow has no carrier waits a moment.
        """
        one = self.carrier()
        for number in (1, 2):
            self.dock.announced(one, Announced(number, "dns", "", ""))
        one.blocked = True
        for flow in [*self.flows.flows.values()]:
            cast(Visitor, flow).say(b"before")
        one.lose()
        cast(Visitor, self.flows.flows[1]).say(b"after")
        other = self.carrier()
        self.dock.announced(other, Announced(1, "dns", "", ""))
        expected = [framed(1, b"before"), framed(1, b"after")]
        self.assertEqual(other.frames, expected)

    def test_ended(self) -> None:
        """
        The server ends a flow, and is not answered.
        """
        carrier = self.carrier()
        self.dock.announced(carrier, Announced(1, "dns", "", ""))
        self.dock.ended(carrier, FlowEnd(2))
        self.dock.ended(carrier, FlowEnd(1, "idle"))
        self.assertEqual((len(self.flows), carrier.frames), (0, []))

    def test_bound(self) -> None:
        """
        A server has no more than so many carriers.
        """
        for _ in range(MOST):
            self.carrier()
        work = FakeWork()
        self.dock.carry(cast(IWorkEnd, work))
        self.assertEqual(work.refused[0][0], ResetCode.BUSY)
        self.assertEqual(len(self.relay.carriers), MOST)

    def test_close(self) -> None:
        """
        With the login all flows end, those included that have no carrier.
        """
        one, other = self.carrier(), self.carrier()
        self.dock.announced(one, Announced(1, "dns", "", ""))
        self.dock.announced(other, Announced(2, "dns", "", ""))
        one.lose()
        self.dock.close("over")
        self.assertEqual((len(self.flows), other.ended), (0, "aborted"))
        work = FakeWork()
        self.dock.carry(cast(IWorkEnd, work))
        self.assertEqual(len(work.refused), 1)
