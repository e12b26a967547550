"""
Tests for L{tunnelkit.relay.portable.turns}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.relay.portable.turns import REST, Turn, Turns


class One:
    """
    One who shares the connection.

    @ivar has: how often he has something to say.
    """

    def __init__(self, name: str, has: int) -> None:
        self.turn = Turn()
        self.name = name
        self.has = has


class Connection:
    """
    A connection that takes little from those who share it; who is read from first is
    always the same.

    @ivar said: who was heard, in the order.
    @ivar free: how often all could go on.
    """

    def __init__(self, clock: Clock, *ones: One, takes: int = 2) -> None:
        self.ones = [*ones]
        self.said: list[str] = []
        self.free = 0
        self._takes = takes
        self._clock = clock
        self._going: set[str] = set()
        self.turns = Turns(clock, lambda: self.ones, self._go, self._done)

    def window(self) -> None:
        """
        It takes more, until it is full, or everybody has said all.
        """
        self.turns.drained()
        room = self._takes
        for _ in range(3):
            for one in self.ones:
                while one.name in self._going and one.has and room:
                    one.has -= 1
                    one.turn.sent = True
                    self.said.append(one.name)
                    room -= 1
            if not room:
                break
            self._clock.advance(0)
        self.fill()

    def fill(self) -> None:
        """
        It is full.
        """
        self.turns.filled()
        self._going.clear()

    def _go(self, ones: list[One]) -> None:
        self._going |= {one.name for one in ones}

    def _done(self) -> None:
        self.free += 1


class TurnsTests(SynchronousTestCase):
    """
    Nobody is left with nothing for long.
    """

    def setUp(self) -> None:
        """
        Begin.
        """
        self.clock = Clock()
        self.clock.advance(1)

    def tearDown(self) -> None:
        """
        Nothing waits.
        """
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_everybody(self) -> None:
        """
        Each is heard in as many windows as it takes to hear all of them.
        """
        names = "abcdefg"
        line = Connection(self.clock, *(One(name, 1000) for name in names))
        for _ in range(5):
            before = len(line.said)
            for _ in names:
                line.window()
            self.assertEqual({*line.said[before:]}, {*names})

    def test_newcomers(self) -> None:
        """
        Not even where others come all the time.
        """
        old = One("old", 1000)
        line = Connection(self.clock, One("greedy", 1000), old)
        for at in range(20):
            line.ones.insert(0, One(f"new{at}", 1000))
            line.window()
        self.assertIn("greedy", line.said)
        self.assertIn("old", line.said)

    def test_idle(self) -> None:
        """
        Who has nothing to say holds up others for a moment only, and is not asked again
        at once.
        """
        busy, idle = One("busy", 1000), One("idle", 0)
        line = Connection(self.clock, busy, idle)
        line.window()
        line.turns.drained()
        self.assertEqual(line._going, {"idle"})
        self.clock.advance(0)
        self.clock.advance(0)
        self.assertEqual((line._going, line.free), ({"busy", "idle"}, 2))
        busy.turn.sent = True
        line.fill()
        line.turns.drained()
        self.assertEqual(line._going, {"busy", "idle"})
        self.clock.advance(REST)
        busy.turn.sent = True
        line.fill()
        line.turns.drained()
        self.assertEqual(line._going, {"idle"})
        line.turns.stop()

    def test_fullAtOnce(self) -> None:
        """
        Where the first fill it again while they are told, nobody else is told.
        """
        line = Connection(self.clock, One("a", 1), One("b", 1), takes=1)
        line.window()
        gone: list[list[str]] = []

        def go(ones: list[One]) -> None:
            gone.append([one.name for one in ones])
            ones[0].turn.sent = True
            line.turns.filled()

        line.turns._go = go
        line.turns.drained()
        self.clock.advance(0)
        self.clock.advance(0)
        self.assertEqual(gone, [["b"]])

    def test_alone(self) -> None:
        """
        Who is alone goes on at once.
        """
        line = Connection(self.clock, One("a", 3), takes=1)
        for _ in range(3):
            line.window()
        self.assertEqual((line.said, line.free), (["a"] * 3, 3))
