"""
Tests of a share with whatever may happen, in any order.
"""

from __future__ import annotations

from collections import deque
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.sharing.toy import Toy
from tests.sharing.world import Peer, World

Happening = tuple[str, int]
"""What happens, and a number that says to whom."""

WHAT = (
    *("come", "ask", "ask", "ask", "write", "half", "accept", "accept", "refuse"),
    *("answer", "answer", "answer", "part", "spent", "end", "cutOff", "push"),
    *("once", "once", "once"),
    *("leave", "halfClose", "stall", "read", "pass", "long"),
)
PASSING = {"pass": 0.3, "long": 40.0}


class Play:
    """
    A world in which things happen, and what must always hold there.

    Each request is the number of its client and a count; the target answers with the
    same, so every answer tells whose it is.
    """

    def __init__(
        self, connections: int, pipeline: int, sticky: bool, stateful: bool
    ) -> None:
        self.world = World(
            Toy(stateful), connections=connections, pipeline=pipeline, sticky=sticky
        )
        self.connections, self.pipeline = connections, pipeline
        self.clients: list[tuple[Peer, list[bytes]]] = []
        self.asked: list[int] = []
        self.targets: list[tuple[Peer, deque[bytes]]] = []
        self.writes: list[bytes] = []

    def happen(self, what: str, who: int) -> None:
        """
        Have something happen, as far as it can.
        """
        if what == "come":
            if len(self.clients) < 5:
                self.clients.append((self.world.client(), []))
                self.asked.append(0)
        elif what in ("ask", "write", "half", "leave", "halfClose", "stall", "read"):
            if self.clients:
                self._client(what, who % len(self.clients))
        elif what == "accept":
            if self.world.dials:
                self.targets.append((self.world.target(), deque()))
        elif what == "refuse":
            if self.world.dials:
                self.world.refuse()
        elif what in PASSING:
            self.world.advance(PASSING[what])
        elif self.targets:
            self._target(what, who % len(self.targets))
        self.check()

    def _client(self, what: str, who: int) -> None:
        client, _ = self.clients[who]
        if client.wire.lost or client.wire.over:
            return
        if what in ("ask", "write"):
            self.asked[who] += 1
            word = b"get" if what == "ask" else b"write"
            client.say(b"%s %d %d\n" % (word, who, self.asked[who]))
        elif what == "half":
            client.say(b"ge")
        elif what == "leave":
            client.leave()
        elif what == "halfClose":
            client.end()
        elif what == "stall":
            client.wire.reads = False
        else:
            client.wire.readAll()
            self.world.settle()

    def _target(self, what: str, who: int) -> None:
        target, due = self.targets[who]
        if target.wire.lost or target.wire.over:
            return
        if what == "end":
            target.end()
        elif what == "cutOff":
            target.leave()
        elif what == "push":
            # Between request and reply nobody could tell that it is not the reply.
            if not due:
                target.say(b"push nobody's\n")
        elif due and what == "part":
            target.say(b"part " + due[0])
        elif due:
            word = b"spent " if what == "spent" else b"whole "
            target.say(word + due.popleft())
            if what == "once":
                target.end()

    def check(self) -> None:
        """
        Look at what everybody has got.
        """
        for target, due in self.targets:
            for line in target.got.splitlines(True):
                # A client's half word stands before its next one.
                request = line.removeprefix(b">").replace(b"gege", b"ge")
                if b"write" in request:
                    assert request not in self.writes, f"{request!r} was sent twice"
                    self.writes.append(request)
                due.append(request)
            assert len(due) <= self.pipeline, due
        there = [t for t, _ in self.targets if not t.wire.lost]
        assert len(there) <= self.connections, there
        for number, (client, got) in enumerate(self.clients):
            for line in client.got.splitlines():
                if line.startswith((b"whole ", b"spent ", b"part ")):
                    owner = int(line.split()[-2])
                    assert owner == number, f"#{number} got {line!r}"
                    got.append(line)
            counts = [int(line.split()[-1]) for line in got]
            assert counts == sorted(counts), counts

    def finish(self) -> None:
        """
        Let time pass until nothing is left to wait for, and stop.  Who is still here
        has all its answers.
        """
        for _ in range(4):
            self.world.advance(100)
            while self.world.dials:
                self.world.refuse()
        self.check()
        for number, (client, got) in enumerate(self.clients):
            if not (client.wire.over or client.wire.ended or client.wire.lost):
                whole = [line for line in got if not line.startswith(b"part ")]
                assert len(whole) == self.asked[number], (number, got)
        for client, _ in self.clients:
            client.leave()
        self.world.pool.stop()
        self.world.settle()
        left = self.world.clock.getDelayedCalls()
        assert left == [], left
        pool = self.world.pool
        assert not pool.clients and not pool.lines and not pool.waiting.count


class OrdersTests(SynchronousTestCase):
    """
    Whatever happens, in whatever order.
    """

    @settings(max_examples=300, deadline=None)
    @given(
        st.lists(st.tuples(st.sampled_from(WHAT), st.integers(0, 9)), max_size=60),
        st.integers(1, 2),
        st.integers(1, 3),
        st.booleans(),
        st.booleans(),
    )
    def test_anything(
        self,
        story: list[Happening],
        connections: int,
        pipeline: int,
        sticky: bool,
        stateful: bool,
    ) -> None:
        """
        No client gets another's reply, or its own in another order; the target has no
        more connections and requests than it is told; nothing that must not be is sent
        twice; and when all is over nothing is left behind.
        """
        play = Play(connections, pipeline, sticky, stateful)
        for what, who in story:
            play.happen(what, who)
        play.finish()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_long(self) -> None:
        """
        So it is in long stories, in some of which one thing happens again and again, as
        with a target that has a habit.
        """
        kinds = sorted({*WHAT} - {"half"})
        for seed in range(100):
            chance = Random(seed)
            often = {what: chance.choice((0, 1, 1, 2, 5, 20)) for what in kinds}
            often |= {what: 5 for what in ("come", "ask", "accept")}
            play = Play(
                connections=chance.randint(1, 3),
                pipeline=chance.randint(1, 4),
                sticky=chance.random() < 0.3,
                stateful=chance.random() < 0.5,
            )
            for what in chance.choices(kinds, [*often.values()], k=200):
                play.happen(what, chance.randint(0, 9))
            play.finish()
        self.assertEqual(self.flushLoggedErrors(), [])
