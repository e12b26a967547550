"""
Tests for L{tunnelkit.portal.flows.table} and L{tunnelkit.portal.flows.numbers}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.portal.flows.numbers import REST, Serials, Tags
from tunnelkit.portal.flows.table import IDLE, Flows
from tunnelkit.wire.portal.sealed import FLOWS
from tunnelkit.wire.portal.tags import TAGS

ONE, TWO = ("127.0.0.1", 4660), ("127.0.0.2", 4660)


class FlowsTests(SynchronousTestCase):
    """
    Who is silent is forgotten, and nobody else.
    """

    def setUp(self) -> None:
        """
        Make a table of three places.
        """
        self.clock = Clock()
        self.ended: list[tuple[str, float]] = []
        self.flows: Flows[str, str] = Flows(
            self.clock, lambda key, value, used: self.ended.append((key, used)), 3
        )

    def test_idle(self) -> None:
        """
        A flow is gone 90 seconds after it was used last, and no timer stays behind.
        """
        self.flows.add("a", "A")
        self.clock.advance(50)
        self.flows.add("b", "B")
        self.assertEqual(self.flows.use("a"), "A")
        self.clock.advance(IDLE - 0.5)
        self.assertEqual(self.ended, [])
        self.clock.advance(0.5)
        self.assertEqual(self.ended, [("b", 50.0), ("a", 50.0)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_full(self) -> None:
        """
        Where it is full the one that was silent for longest leaves.
        """
        for key in "abc":
            self.flows.add(key, key)
        self.flows.use("a")
        self.flows.add("d", "d")
        self.assertEqual([key for key, _ in self.ended], ["b"])
        self.assertEqual(self.flows.inOrder(), ["c", "a", "d"])
        self.flows.clear()
        self.assertEqual(len(self.flows), 0)

    def test_unknown(self) -> None:
        """
        What is not there is not used, and not ended twice.
        """
        self.assertIsNone(self.flows.use("a"))
        self.flows.end("a")
        self.assertEqual(self.ended, [])


class TagsTests(SynchronousTestCase):
    """
    No answer reaches the wrong sender.
    """

    def setUp(self) -> None:
        """
        Make the tags of a portal.
        """
        self.clock = Clock()
        self.tags = Tags(self.clock.seconds)

    def test_port(self) -> None:
        """
        A sender gets its own port where nobody has it, and another tag where somebody
        does.
        """
        self.assertEqual(self.tags.take(ONE), 4660)
        other = self.tags.take(TWO)
        self.assertNotIn(other, (None, 4660))

    def test_rest(self) -> None:
        """
        A tag rests for two minutes after its last use, but for its own sender.
        """
        self.tags.take(ONE)
        self.tags.free(4660, ONE, 0.0)
        self.clock.advance(REST - 1)
        self.assertNotEqual(self.tags.take(TWO), 4660)
        self.assertEqual(self.tags.take(ONE), 4660)
        self.tags.free(4660, ONE, self.clock.seconds())
        self.clock.advance(REST)
        self.assertEqual(self.tags.take(("127.0.0.3", 4660)), 4660)

    def test_all(self) -> None:
        """
        All tags can be had, each once, and then there is none.
        """
        taken = {self.tags.take(ONE) for _ in range(TAGS)}
        self.assertEqual(len(taken), TAGS)
        self.assertNotIn(None, taken)
        self.assertIsNone(self.tags.take(TWO))

    @given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=50))
    def test_model(self, steps: list[tuple[int, int]]) -> None:
        """
        Whatever senders do, no tag has two, and none changes hands within two minutes.
        """
        clock = Clock()
        tags = Tags(clock.seconds)
        last: dict[int, tuple[tuple[str, int], float]] = {}
        held: dict[tuple[str, int], int] = {}
        for who, port in steps:
            clock.advance(17)
            sender = (f"127.0.0.{who}", port)
            if sender in held:
                tag = held.pop(sender)
                last[tag] = sender, clock.seconds()
                tags.free(tag, sender, clock.seconds())
                continue
            tag = tags.take(sender) or 0
            self.assertNotIn(tag, held.values())
            owner, used = last.get(tag, (sender, 0.0))
            self.assertTrue(owner == sender or clock.seconds() - used >= REST)
            held[sender] = tag


class SerialsTests(SynchronousTestCase):
    """
    In the native mode numbers are plenty.
    """

    def test_next(self) -> None:
        """
        Each flow has the next number; 0 is the portals' own; behind the last comes the
        first that is free.
        """
        serials = Serials()
        self.assertEqual([serials.take(ONE), serials.take(ONE)], [1, 2])
        serials.free(1, ONE, 0.0)
        serials._last = FLOWS - 2
        self.assertEqual([serials.take(ONE) for _ in range(3)], [FLOWS - 1, 1, 3])
