"""
Tests for L{tests.bench.procfs}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.bench.procfs import Stat, family, readRollup, readStat, ticksBeside

STAT = (
    "{pid} ({name}) S 77 4242 4242 0 -1 4194560 3318 0 0 0 {user} {system} 5 6 20 0 1 "
    "0 88021 76857344 16040 18446744073709551615 1 1 0 0 0 0 0 16781312 16386\n"
)
ROLLUP = """\
55d1c0a00000-7ffd4b5f6000 ---p 00000000 00:00 0                          [rollup]
Rss:               64160 kB
Pss:               51234 kB
Shared_Clean:      12000 kB
"""


class StatTests(SynchronousTestCase):
    """
    What stands in C{/proc/PID/stat}.
    """

    def test_read(self) -> None:
        """
        The processor time is the process's and the kernel's, and that of children is
        told apart.
        """
        text = STAT.format(pid=4242, name="python", user=120, system=34)
        self.assertEqual(readStat(text), Stat(parent=77, ticks=154, inherited=11))

    def test_name(self) -> None:
        """
        A program may be called what it wants.
        """
        for name in ("a b", "x) S 1 2", "((", "12 13"):
            text = STAT.format(pid=1, name=name, user=1, system=2)
            self.assertEqual(readStat(text), Stat(parent=77, ticks=3, inherited=11))


class RollupTests(SynchronousTestCase):
    """
    What stands in C{/proc/PID/smaps_rollup}.
    """

    def test_read(self) -> None:
        """
        The resident size is in bytes.
        """
        self.assertEqual(readRollup(ROLLUP), 64160 * 1024)

    def test_nothing(self) -> None:
        """
        A process that is gone has no size, rather than none at all.
        """
        self.assertRaises(ValueError, readRollup, "")


class FamilyTests(SynchronousTestCase):
    """
    A program may be several processes.
    """

    def test_descendants(self) -> None:
        """
        All of them count, at any depth, and nobody else.
        """
        parents = [(2, 1), (3, 2), (4, 3), (5, 1), (6, 5), (7, 2)]
        self.assertEqual(family(parents, [2]), {2, 3, 4, 7})
        self.assertEqual(family(parents, [2, 3, 6]), {2, 3, 4, 6, 7})

    def test_gone(self) -> None:
        """
        One that has ended is no reason to fail.
        """
        self.assertEqual(family([], [9]), {9})


class BesideTests(SynchronousTestCase):
    """
    What other programs do.
    """

    def test_others(self) -> None:
        """
        All of them count with what they have started, but neither we nor the kernel.
        """
        processes = {
            1: Stat(parent=0, ticks=1, inherited=10),
            2: Stat(parent=0, ticks=1000, inherited=0),
            3: Stat(parent=2, ticks=1000, inherited=0),
            7: Stat(parent=1, ticks=1000, inherited=1000),
            8: Stat(parent=1, ticks=5, inherited=0),
        }
        self.assertEqual(ticksBeside(processes, 7), 16)

    def test_ended(self) -> None:
        """
        One that has ended has still been there.
        """
        before = {1: Stat(0, 1, 0), 8: Stat(1, 5, 2)}
        after = {1: Stat(0, 1, 8)}
        self.assertEqual(ticksBeside(before, 7), 8)
        self.assertEqual(ticksBeside(after, 7), 9)
