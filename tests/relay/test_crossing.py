"""
Tests for L{tunnelkit.relay.streams.workstream}: ends and resets that cross in every
order.

Both sides of a work connection are joined by a link that carries bytes when the test
says so, cut anywhere; a visitor and a service send, end, reset and stop reading in
any order.  Buffers are a few bytes, so that everything blocks sooner or later.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.relay.memory import START, MemoryTransport, framesIn, rawEnd, workEnd
from tunnelkit.interfaces import Outcome
from tunnelkit.relay.portable.raw import RawEnd
from tunnelkit.relay.streams.join import IDLE, Join
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.native.codec import said
from tunnelkit.wire.native.frames import Data, Done, End, Frame, Message, Reset
from tunnelkit.wire.native.messages import Start

_ROOM: Final = 16
"""What a visitor's or a service's transport holds, in bytes."""


class Person:
    """
    A visitor or a local service.

    @ivar said: what it sent.
    @ivar got: what it read.
    @ivar over: whether it ended its direction.
    @ivar reset: whether it reset the connection.
    """

    def __init__(self) -> None:
        self.end, self.transport = rawEnd()
        self.transport.bufferSize = _ROOM
        self.said = b""
        self.got = b""
        self.over = False
        self.reset = False

    def says(self, count: int) -> None:
        """
        Send some bytes, all of them different from their neighbours.
        """
        if not self.over and not self.reset:
            begin = len(self.said)
            data = bytes((begin + i) % 251 for i in range(count))
            self.said += data
            self.transport.peerSends(data)

    def ends(self, _: int = 0) -> None:
        """
        End its direction.
        """
        if not self.reset:
            self.over = True
            self.transport.peerEnds()

    def resets(self, _: int = 0) -> None:
        """
        Reset the connection.
        """
        self.reset = True
        self.transport.peerResets()

    def reads(self, count: int) -> None:
        """
        Read so many bytes, and no more.
        """
        self.transport.room = count

    def turn(self, _: int = 0) -> bool:
        """
        Let its connection move on.
        """
        happened = self.transport.turn()
        self.got += self.transport.take()
        return happened


class Visit:
    """
    One stream: a visitor, a service, and both joins.
    """

    def __init__(self) -> None:
        self.visitor, self.service = Person(), Person()
        self.outcomes: dict[str, Outcome] = {}
        self.joins: dict[str, Join] = {}
        self.cut = False
        self.refused = False

    def join(
        self, side: str, clock: Clock, one: RawEnd, other: RawEnd, opening: bytes
    ) -> None:
        """
        Join two ends, and remember how that ended.
        """
        join = self.joins[side] = Join(clock)
        join.start(one, other, opening)
        join.ended.addCallback(lambda outcome: self.outcomes.update({side: outcome}))


class Crossing:
    """
    A work connection, its two sides, and the visits that it served.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.server, self.near, self.pool = workEnd(False, self.clock)
        self.client, self.far, self.supply = workEnd(True, self.clock)
        self.wires: dict[MemoryTransport, bytearray] = {}
        for transport in (self.near, self.far):
            transport.bufferSize = 2 * _ROOM
            transport.room = 3 * _ROOM
            self.wires[transport] = bytearray()
        self.visits: list[Visit] = []
        self.visit = Visit()
        self.lost = False
        self.actions: dict[str, Callable[[int], object]] = {
            "visit": self.begin,
            "dial": self.dial,
            "refuse": self.refuse,
            "settle": lambda _: self.settle(),
            "turn near": lambda _: self.near.turn(),
            "turn far": lambda _: self.far.turn(),
            "carry forth": lambda count: self.carry(self.near, self.far, count),
            "carry back": lambda count: self.carry(self.far, self.near, count),
            "cut near": lambda count: self.cutReads(self.near, count),
            "cut far": lambda count: self.cutReads(self.far, count),
            "abort near": lambda _: self.abort("near"),
            "abort far": lambda _: self.abort("far"),
        }
        for name in ("visitor", "service"):
            for act in ("says", "ends", "resets", "reads", "turn"):
                self.actions[f"{name} {act}"] = self._person(name, act)
        self.begin()

    def _person(self, name: str, act: str) -> Callable[[int], object]:
        return lambda count: getattr(getattr(self.visit, name), act)(count)

    def begin(self, _: int = 0) -> None:
        """
        Let a visitor come, if the connection is idle.
        """
        if self.pool.idles != len(self.visits) or self.lost:
            return
        self.visit = visit = Visit()
        self.visits.append(visit)
        number = self.server.begin()
        start = Start(number, START.tunnel, START.kind, START.visitor, START.address)
        visit.join("near", self.clock, visit.visitor.end, self.server, said(start))  # type: ignore[arg-type]

    def _dialling(self) -> bool:
        known = len(self.supply.starts) == len(self.visits)
        return known and "far" not in self.visit.joins and not self.visit.refused

    def dial(self, _: int = 0) -> None:
        """
        Reach the service, if the client wants it.
        """
        if self._dialling():
            visit = self.visit
            visit.join("far", self.clock, self.client, visit.service.end, b"")  # type: ignore[arg-type]

    def refuse(self, _: int = 0) -> None:
        """
        Fail to reach it.
        """
        if self._dialling():
            self.visit.cut = self.visit.refused = True
            self.client.refuse(ResetCode.REFUSED, "refused")

    def abort(self, side: str) -> None:
        """
        Cut the stream on one side.
        """
        if side in self.visit.joins:
            self.visit.cut = True
            self.visit.joins[side].abort(ResetCode.STOPPING, "stopping")

    def carry(
        self, source: MemoryTransport, target: MemoryTransport, count: int
    ) -> bool:
        """
        Bring bytes over the link.
        """
        data = bytes(source.sent[:count])
        del source.sent[:count]
        self.wires[source] += data
        if source.room is not None:
            source.room += len(data)
        target.peerSends(data)
        return bool(data)

    def cutReads(self, transport: MemoryTransport, count: int) -> None:
        """
        Give what one side reads in pieces from now on.
        """
        transport.cut = count or None

    def lose(self) -> None:
        """
        Lose the connection.
        """
        self.lost = True
        self.near.peerResets()
        self.far.peerResets()

    def settle(self) -> None:
        """
        Let everything happen that can.
        """
        happened = True
        while happened:
            happened = any(
                [
                    self.near.turn(),
                    self.far.turn(),
                    self.carry(self.near, self.far, 7),
                    self.carry(self.far, self.near, 7),
                    *(v.visitor.turn() for v in self.visits),
                    *(v.service.turn() for v in self.visits),
                ]
            )

    def finish(self) -> None:
        """
        Let everybody read, and say no more.
        """
        self.dial()
        for visit in self.visits:
            for person in (visit.visitor, visit.service):
                person.transport.room = None
                person.ends()
        self.settle()
        self.dial()
        self.settle()


STEPS = st.lists(
    st.tuples(st.sampled_from(sorted(Crossing().actions)), st.integers(0, 60)),
    max_size=80,
)


class CrossingTests(SynchronousTestCase):
    """
    Whatever the order, no byte is lost, nothing cut looks whole, and the connection
    serves the next visitor.
    """

    def runSteps(self, steps: list[tuple[str, int]]) -> Crossing:
        """
        Do all steps.
        """
        crossing = Crossing()
        for action, count in steps:
            crossing.actions[action](count)
        return crossing

    def assertHonest(self, person: Person, other: Person) -> None:
        """
        What a person read is what the other said; if it saw an end, all of it.
        """
        self.assertEqual(person.got, other.said[: len(person.got)])
        if person.transport.ended:
            self.assertTrue(other.over)
            self.assertEqual(person.got, other.said)

    def assertServed(self, visit: Visit) -> None:
        """
        A visit is over; where nobody broke it off, it went well.
        """
        self.assertHonest(visit.visitor, visit.service)
        self.assertHonest(visit.service, visit.visitor)
        well = [outcome == Outcome() for outcome in visit.outcomes.values()]
        broken = visit.cut or visit.visitor.reset or visit.service.reset
        self.assertEqual(set(visit.outcomes), set(visit.joins))
        self.assertTrue(broken or all(well))
        self.assertTrue(visit.visitor.transport.lost)
        self.assertEqual(visit.service.transport.lost, "far" in visit.joins)

    def assertGrammar(self, crossing: Crossing) -> None:
        """
        Each side ended its direction exactly once a stream.
        """
        forth = framesIn(bytes(crossing.wires[crossing.near]))
        back = framesIn(bytes(crossing.wires[crossing.far]))
        served = len(crossing.visits)
        starts = [i for i, frame in enumerate(forth) if isinstance(frame, Message)]
        dones = [i for i, frame in enumerate(back) if isinstance(frame, Done)]
        self.assertEqual((len(starts), len(dones)), (served, served))
        for number in range(served):
            until = [*starts, len(forth)][number + 1]
            self.assertDirection(forth[starts[number] + 1 : until], number + 1, False)
            begin = 0 if number == 0 else dones[number - 1] + 1
            self.assertDirection(back[begin : dones[number]], number + 1, True)
            self.assertEqual(back[dones[number]], Done(number + 1))

    def assertDirection(self, frames: list[Frame], number: int, done: bool) -> None:
        """
        Data, then END or RESET, or both in this order; DONE stands for END.
        """
        shape = "".join(
            {Data: "d", End: "e", Reset: "r"}[type(frame)] for frame in frames
        )
        self.assertRegex(shape, "^d*(e|r|er)?$" if done else "^d*(e|r|er)$")
        for frame in frames:
            if isinstance(frame, Reset):
                self.assertEqual(frame.stream, number)

    @settings(max_examples=600)
    @given(STEPS)
    def test_everyOrder(self, steps: list[tuple[str, int]]) -> None:
        """
        Visitors come one after the other over one connection, and whatever they and
        their services do, each gets what is its own.
        """
        crossing = self.runSteps(steps)
        crossing.finish()
        crossing.begin()
        crossing.visit.visitor.says(100)
        crossing.settle()
        crossing.dial()
        crossing.visit.service.says(100)
        crossing.finish()
        self.assertEqual(crossing.visit.outcomes["near"], Outcome())
        self.assertEqual(crossing.visit.outcomes["far"], Outcome())
        for visit in crossing.visits:
            self.assertServed(visit)
        self.assertGrammar(crossing)
        self.assertEqual(crossing.pool.losses + crossing.supply.losses, [])
        self.assertEqual(crossing.pool.idles, len(crossing.visits))
        self.assertEqual(crossing.supply.idles, len(crossing.visits))
        self.assertEqual(crossing.clock.getDelayedCalls(), [])

    @settings(max_examples=250)
    @given(STEPS)
    def test_lostAtAnyMoment(self, steps: list[tuple[str, int]]) -> None:
        """
        A connection that is lost at any moment resets what it carried.
        """
        crossing = self.runSteps(steps)
        crossing.lose()
        crossing.finish()
        self.assertEqual(len(crossing.pool.losses), 1)
        self.assertEqual(len(crossing.supply.losses), 1)
        for visit in crossing.visits:
            self.assertHonest(visit.visitor, visit.service)
            self.assertHonest(visit.service, visit.visitor)
            self.assertEqual(set(visit.outcomes), set(visit.joins))
        self.assertEqual(crossing.clock.getDelayedCalls(), [])

    @settings(max_examples=250)
    @given(STEPS)
    def test_idleLimit(self, steps: list[tuple[str, int]]) -> None:
        """
        A service that never ends, and one that reads again after a long time, hold
        nothing for ever once their visitor has left.
        """
        crossing = self.runSteps(steps)
        crossing.dial()
        crossing.visit.visitor.ends()
        for _ in range(3):
            crossing.settle()
            crossing.dial()
            crossing.clock.advance(IDLE)
        for person in (crossing.visit.visitor, crossing.visit.service):
            person.reads(1000)
        for _ in range(3):
            crossing.settle()
            crossing.dial()
            crossing.clock.advance(IDLE)
        crossing.settle()
        for visit in crossing.visits:
            self.assertHonest(visit.visitor, visit.service)
            self.assertHonest(visit.service, visit.visitor)
            self.assertEqual(set(visit.outcomes), set(visit.joins))
        self.assertEqual(crossing.clock.getDelayedCalls(), [])
