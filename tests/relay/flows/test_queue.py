"""
Tests for L{tunnelkit.relay.flows.queue}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.relay.flows.queue import FrameQueue


def queue(most: int = 100, age: float = 0.25) -> tuple[FrameQueue, list[object]]:
    """
    Make a queue, and what it drops.
    """
    dropped: list[object] = []
    return FrameQueue(lambda f, late: dropped.append((f, late)), most, age), dropped


def frames(found: list[tuple[float, bytes]]) -> list[bytes]:
    """
    Give frames without their times.
    """
    return [frame for _, frame in found]


class FrameQueueTests(SynchronousTestCase):
    """
    What waits is little, and not old.
    """

    def test_order(self) -> None:
        """
        What waits leaves in its order.
        """
        waiting, dropped = queue()
        waiting.put([b"one", b"two"], 0.0)
        waiting.put([b"three"], 0.1)
        self.assertEqual((len(waiting), waiting.size), (3, 11))
        self.assertEqual(frames(waiting.take(100, 0.1)), [b"one", b"two", b"three"])
        self.assertEqual((len(waiting), waiting.size, dropped), (0, 0, []))

    def test_bytes(self) -> None:
        """
        Where more waits than may, the oldest leave first.
        """
        waiting, dropped = queue(most=10)
        waiting.put([b"1111", b"2222", b"3333"], 0.0)
        self.assertEqual(dropped, [(b"1111", False)])
        waiting.put([b"4444444444"], 0.1)
        self.assertEqual(dropped[1:], [(b"2222", False), (b"3333", False)])
        self.assertEqual(frames(waiting.take(1, 0.1)), [b"4444444444"])

    def test_age(self) -> None:
        """
        What has waited for too long is dropped, and is not sent first.
        """
        waiting, dropped = queue()
        waiting.put([b"old"], 0.0)
        waiting.put([b"new"], 0.2)
        self.assertEqual(frames(waiting.take(100, 0.3)), [b"new"])
        self.assertEqual(dropped, [(b"old", True)])

    def test_take(self) -> None:
        """
        About as much is taken as is asked for, in whole frames.
        """
        waiting, _ = queue()
        waiting.put([b"1111", b"2222", b"3333"], 0.0)
        self.assertEqual(frames(waiting.take(5, 0.0)), [b"1111", b"2222"])
        self.assertEqual(frames(waiting.take(5, 0.0)), [b"3333"])

    def test_putBack(self) -> None:
        """
        What could not leave after all is the first again, and no younger.
        """
        waiting, dropped = queue()
        waiting.put([b"one", b"two", b"three"], 0.0)
        taken = waiting.take(6, 0.1)
        waiting.putBack(taken[1:])
        self.assertEqual(waiting.size, 8)
        self.assertEqual(frames(waiting.take(100, 0.2)), [b"two", b"three"])
        waiting.putBack(taken)
        self.assertEqual(waiting.take(100, 0.3), [])
        self.assertEqual(len(dropped), 2)

    @given(st.lists(st.tuples(st.integers(1, 60), st.floats(0.0, 0.2))))
    def test_bounded(self, puts: list[tuple[int, float]]) -> None:
        """
        Whatever comes and however fast, no more waits than may, and each frame leaves
        once: sent or dropped.
        """
        waiting, dropped = queue()
        now, count = 0.0, 0
        for size, pause in puts:
            now += pause
            waiting.put([bytes(size)], now)
            self.assertLessEqual(waiting.size, 100)
            count += 1
        sent = waiting.take(1000, now)
        self.assertEqual(len(sent) + len(dropped), count)
        self.assertTrue(all(since >= now - 0.25 for since, _ in sent))
