"""
Tests for L{tunnelkit.state.files}.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest import skipIf, skipUnless

from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.state import files
from tunnelkit.state.files import Changes, Lock, replaceFile, stamp

try:
    import fcntl
except ImportError:
    noLocks = True
else:
    noLocks = False

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


class ChangesTests(SynchronousTestCase):
    """
    A change to a file is noticed, whoever made it and however.
    """

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.write_bytes(b"one")
        self.changes = Changes(self.path)
        self.settle()

    def settle(self) -> None:
        """
        Look until there is nothing new.
        """
        for _ in range(3):
            last = self.changes.seen()
        self.assertFalse(last)

    def test_first(self) -> None:
        """
        The first look finds something new.
        """
        self.assertTrue(Changes(self.path).seen())

    def test_written(self) -> None:
        """
        A file that is written to is new.
        """
        self.path.write_bytes(b"longer")
        self.assertTrue(self.changes.seen())
        self.settle()

    def test_replaced(self) -> None:
        """
        A file that another took the place of is new, even with the same times and
        size.
        """
        other = Path(self.mktemp())
        other.write_bytes(b"two")
        status = self.path.stat()
        os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
        os.replace(other, self.path)
        self.assertTrue(self.changes.seen())
        self.settle()

    def test_timesKept(self) -> None:
        """
        A file written to by a program that puts its times back is new.
        """
        status = self.path.stat()
        # Until the file system's own clock has gone on, which is no matter of ours.
        probe = Path(self.mktemp())
        probe.touch()
        while probe.stat().st_ctime_ns <= status.st_ctime_ns:
            probe.touch()
        self.path.write_bytes(b"two")
        os.utime(self.path, ns=(status.st_atime_ns, status.st_mtime_ns))
        self.assertTrue(self.changes.seen())

    def test_goneAndBack(self) -> None:
        """
        A file that goes away or comes back is new.
        """
        self.path.unlink()
        self.assertTrue(self.changes.seen())
        self.settle()
        self.path.write_bytes(b"one")
        self.assertTrue(self.changes.seen())

    def test_twiceWithinATick(self) -> None:
        """
        What changes again before the clock of the file system goes on is not missed.
        """
        frozen = stamp(self.path)
        self.patch(files, "stamp", lambda path: (*frozen, 1))
        self.assertTrue(self.changes.seen())
        # Nothing that can be seen of the file has changed, but it may have.
        self.assertTrue(self.changes.seen())
        self.assertFalse(self.changes.seen())

    def test_any(self) -> None:
        """
        Of several files it is enough that one changed.
        """
        other = Path(self.mktemp())
        self.changes = Changes(self.path, other)
        self.settle()
        other.write_bytes(b"")
        self.assertTrue(self.changes.seen())


class ReplaceFileTests(SynchronousTestCase):
    """
    A file of secrets is whole at each moment, and nobody else's to read.
    """

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "file"

    def listed(self) -> list[str]:
        """
        Give what is in the folder.
        """
        return sorted(os.listdir(self.folder))

    def test_new(self) -> None:
        """
        A new file has the contents, and mode 0600 whatever the umask.
        """
        self.addCleanup(os.umask, os.umask(0))
        replaceFile(self.path, b"contents")
        self.assertEqual(self.path.read_bytes(), b"contents")
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(self.listed(), ["file"])

    def test_old(self) -> None:
        """
        Who has the old file open reads on in it; mode 0600 holds for the new one.
        """
        self.path.write_bytes(b"old")
        self.path.chmod(0o644)
        with open(self.path, "rb") as reader:
            replaceFile(self.path, b"new")
            self.assertEqual(reader.read(), b"old")
        self.assertEqual(self.path.read_bytes(), b"new")
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def test_leftover(self) -> None:
        """
        What a crash left unfinished is in nobody's way and does not pile up.
        """
        (self.folder / ".file.new").write_bytes(b"half of someth")
        replaceFile(self.path, b"new")
        self.assertEqual(self.path.read_bytes(), b"new")
        self.assertEqual(self.listed(), ["file"])

    def test_diskFull(self) -> None:
        """
        Where the new contents cannot be written the old ones stand.
        """
        replaceFile(self.path, b"old")

        def full(descriptor: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        self.patch(os, "fsync", full)
        self.assertRaises(OSError, replaceFile, self.path, b"new")
        self.assertEqual(self.path.read_bytes(), b"old")
        self.assertEqual(self.listed(), ["file"])

    def test_link(self) -> None:
        """
        A symbolic link stays one; the file that it names is replaced.
        """
        target = Path(self.mktemp()).resolve()
        target.write_bytes(b"old")
        self.path.symlink_to(target)
        replaceFile(self.path, b"new")
        self.assertTrue(self.path.is_symlink())
        self.assertEqual(target.read_bytes(), b"new")

    def test_written(self) -> None:
        """
        The contents are on the disk before the file takes its name, so that a power
        cut leaves no empty one.
        """
        calls: list[str] = []

        def noted(name: str, call: Callable[..., None]) -> Callable[..., None]:
            def note(*arguments: object) -> None:
                calls.append(name)
                call(*arguments)

            return note

        for name in ("fsync", "replace"):
            self.patch(os, name, noted(name, getattr(os, name)))
        replaceFile(self.path, b"new")
        self.assertEqual(calls, ["fsync", "replace", "fsync"])

    @skipUnless(ROOT, "only root can give files away")
    def test_owner(self) -> None:
        """
        What root edits in the folder of another user stays that user's.
        """
        os.chown(self.folder, 4321, 4322)
        replaceFile(self.path, b"one")
        with Lock(self.folder / "lock"):
            pass
        for path in (self.path, self.folder / "lock"):
            self.assertEqual((path.stat().st_uid, path.stat().st_gid), (4321, 4322))
        os.chown(self.path, 1234, 1235)
        replaceFile(self.path, b"two")
        status = self.path.stat()
        self.assertEqual((status.st_uid, status.st_gid), (1234, 1235))


class LockTests(SynchronousTestCase):
    """
    One process at a time.
    """

    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    @skipIf(noLocks, "this system has no fcntl")
    def test_second(self) -> None:
        """
        The second to ask is told that the lock is taken, and by whom.
        """
        first, second = Lock(self.path), Lock(self.path)
        self.addCleanup(first.release)
        self.assertTrue(first.take(wait=False))
        self.assertTrue(first.held)
        self.assertFalse(second.take(wait=False))
        self.assertFalse(second.held)
        self.assertEqual(second.holder(), str(os.getpid()))
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    @skipIf(noLocks, "this system has no fcntl")
    def test_released(self) -> None:
        """
        A lock that was released can be taken again.
        """
        first, second = Lock(self.path), Lock(self.path)
        first.take(wait=False)
        first.release()
        first.release()
        self.assertFalse(first.held)
        self.assertTrue(second.take(wait=False))
        second.release()

    @skipIf(noLocks, "this system has no fcntl")
    def test_killed(self) -> None:
        """
        A process that is killed holds its lock no longer, and its number does not
        keep anybody away; one that lives does.
        """
        program = (
            "import sys, pathlib; from tunnelkit.state.files import Lock;"
            " lock = Lock(pathlib.Path(sys.argv[1])); lock.take(wait=False);"
            " print(flush=True); sys.stdin.read()"
        )
        folder = Path(files.__file__).parents[2]
        other = subprocess.Popen(
            [sys.executable, "-c", program, str(self.path.resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(folder)},
        )
        with other:
            assert other.stdout is not None
            other.stdout.readline()
            lock = Lock(self.path)
            taken = lock.take(wait=False)
            holder = lock.holder()
            other.send_signal(signal.SIGKILL)
        self.assertFalse(taken)
        self.assertEqual(holder, str(other.pid))
        self.assertTrue(lock.take(wait=False))
        self.assertEqual(lock.holder(), str(os.getpid()))
        lock.release()

    def test_holderUnknown(self) -> None:
        """
        Where the number of the process cannot be had, nothing else is said in its
        place.
        """
        self.assertEqual(Lock(self.path).holder(), "unknown")
        self.path.write_bytes(b"\xff" * 30)
        self.assertEqual(Lock(self.path).holder(), "unknown")

    @skipIf(noLocks, "this system has no fcntl")
    def test_noLocksThere(self) -> None:
        """
        On a file system without locks nobody believes to hold one, and no file
        stays open.
        """

        def refuse(file: object, operation: int) -> None:
            raise OSError(errno.ENOLCK, "No locks available")

        self.patch(fcntl, "flock", refuse)
        lock = Lock(self.path)
        self.assertRaises(OSError, lock.take, False)
        self.assertFalse(lock.held)

    def test_noLocksAtAll(self) -> None:
        """
        Where the system has no locks of this kind, as Windows, all goes on without.
        """
        self.patch(files, "fcntl", None)
        with Lock(self.path):
            other = Lock(self.path)
            self.assertTrue(other.take(wait=False))
            other.release()
