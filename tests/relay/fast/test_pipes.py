"""
Tests for L{tunnelkit.relay.fast.pipes}.
"""

from __future__ import annotations

import errno
import fcntl
import os
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.relay.fast.case import ABLE, UNABLE, descriptors

if ABLE:
    from tunnelkit.relay.fast.pipes import LEAST, RESPITE, SIZE, Pipe, Pipes


class PipesTests(SynchronousTestCase):
    """
    Tests for L{Pipes}.
    """

    skip = UNABLE

    def setUp(self) -> None:
        """
        Make the pipes; none is left over.
        """
        before = descriptors()
        self.addCleanup(lambda: self.assertEqual(descriptors(), before, "a leak"))
        self.pipes = Pipes(kept=2)
        self.addCleanup(self.pipes.close)

    def taken(self) -> Pipe:
        """
        Take one that is there.
        """
        pipe = self.pipes.take()
        assert pipe is not None
        return pipe

    def test_fit(self) -> None:
        """
        A pipe passes bytes on, does not block, and is not passed to other programs.
        """
        pipe = self.taken()
        os.write(pipe.into, b"bytes")
        self.assertEqual(os.read(pipe.out, 9), b"bytes")
        self.assertRaises(BlockingIOError, os.read, pipe.out, 9)
        self.assertFalse(os.get_inheritable(pipe.out) or os.get_inheritable(pipe.into))
        self.pipes.give(pipe)

    def test_again(self) -> None:
        """
        Bulk streams one after the other make one pipe, not one each.
        """
        pipe = self.taken()
        self.pipes.give(pipe)
        self.assertEqual(self.taken(), pipe)
        self.assertEqual(self.pipes.open, 1)
        self.pipes.give(pipe)

    def test_kept(self) -> None:
        """
        After a rush no more empty pipes are kept than is allowed, and none at the end.
        """
        for pipe in [self.taken() for _ in range(5)]:
            self.pipes.give(pipe)
        self.assertEqual(self.pipes.open, 2)
        self.pipes.close()
        self.assertEqual(self.pipes.open, 0)

    def test_dropped(self) -> None:
        """
        A pipe with bytes in it is closed, and nobody else gets those.
        """
        pipe = self.taken()
        os.write(pipe.into, b"somebody's")
        self.pipes.drop(pipe)
        self.assertEqual(self.pipes.open, 0)
        other = self.taken()
        self.assertRaises(BlockingIOError, os.read, other.out, 9)
        self.pipes.give(other)

    def test_smaller(self) -> None:
        """
        A user whose share of large pipes is used up gets smaller ones, while those
        are of use.
        """
        sizes: list[int] = []

        def limited(fd: int, command: int, size: int = 0) -> int:
            if size:
                sizes.append(size)
                raise PermissionError(errno.EPERM, "the user's limit")
            return LEAST

        self.patch(fcntl, "fcntl", limited)
        self.pipes.give(self.taken())
        self.assertEqual(sizes, [SIZE])

    def test_tooSmall(self) -> None:
        """
        Beyond that bulk is copied: pipes of a page or two are closed again, and the
        kernel is left alone for a while.
        """
        asked: list[int] = []
        pipe2 = os.pipe2

        def counted(flags: int) -> tuple[int, int]:
            asked.append(flags)
            return pipe2(flags)

        self.patch(os, "pipe2", counted)
        self.patch(fcntl, "fcntl", lambda *given: LEAST // 2)
        for _ in range(RESPITE + 1):
            self.assertIsNone(self.pipes.take())
        self.assertEqual((len(asked), self.pipes.open), (1, 0))
        self.patch(fcntl, "fcntl", lambda *given: LEAST)
        self.pipes.give(self.taken())
        self.assertEqual(len(asked), 2)

    def test_none(self) -> None:
        """
        A process without a descriptor left copies, too.
        """

        def full(flags: int) -> Any:
            raise OSError(errno.EMFILE, "too many open files")

        self.patch(os, "pipe2", full)
        self.assertIsNone(self.pipes.take())
        self.assertEqual(self.pipes.open, 0)
