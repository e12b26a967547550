"""
Tests for L{tunnelkit.state.store}.
"""

from __future__ import annotations

import os
import queue
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorThreads
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogPublisher
from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tunnelkit.state.lease import ILeaseStore, Lease
from tunnelkit.state.store import (
    Apart,
    MemoryStore,
    Place,
    SQLiteStore,
    WriteBehind,
    inThread,
)

WEB = Lease("tcp", 20001, "default", "laptop", "tcp:8000", 1000.5)
SSH = Lease("tcp", 2222, "ann", "desk", "ssh", 2000.0)
DNS = Lease("udp", 2222, "ann", "desk", "dns", 3000.0)

NAMES = st.text(st.characters(exclude_categories=()), max_size=20)
LEASES = st.builds(
    Lease,
    st.sampled_from(["tcp", "udp"]),
    st.integers(1, 65535),
    st.from_regex(r"[a-z0-9.-]{1,64}", fullmatch=True),
    NAMES,
    NAMES,
    st.floats(0, 1e11),
)


class HeldStore(MemoryStore):
    """
    A store whose writes end when the test says so.

    @ivar writes: what was to be kept and dropped, and the Deferred of each write
        that has begun.
    """

    def __init__(self, leases: Iterable[Lease] = ()) -> None:
        super().__init__(leases)
        self.writes: list[tuple[list[Lease], list[Place], Deferred[None]]] = []
        self.closed = False

    def write(self, kept: Iterable[Lease], dropped: Iterable[Place]) -> Deferred[None]:
        ended: Deferred[None] = Deferred()
        self.writes.append((list(kept), list(dropped), ended))
        return ended

    def end(self, error: Exception | None = None) -> None:
        """
        End the oldest write, well or with an error.
        """
        kept, dropped, ended = self.writes.pop(0)
        if error is not None:
            ended.errback(error)
        else:
            super().write(kept, dropped)
            ended.callback(None)

    def close(self) -> Deferred[None]:
        self.closed = True
        return super().close()


class StoreCases:
    """
    What every store does.
    """

    def store(self: Any) -> ILeaseStore:
        """
        Open the test's store, which is the same one each time.
        """
        raise NotImplementedError

    def test_new(self: Any) -> None:
        """
        A first start finds no leases.
        """
        self.assertEqual(self.store().load(), [])

    def test_restart(self: Any) -> None:
        """
        A server that is started again finds the leases that were kept.
        """
        store = self.store()
        store.load()
        self.successResultOf(store.write([WEB, SSH, DNS], []))
        self.successResultOf(store.close())
        self.assertCountEqual(self.store().load(), [WEB, SSH, DNS])

    def test_replaced(self: Any) -> None:
        """
        A port has one lease: the one that was kept last.
        """
        store = self.store()
        store.load()
        other = Lease("tcp", WEB.port, "ann", "desk", "web", 5000.0)
        self.successResultOf(store.write([WEB], []))
        self.successResultOf(store.write([other], []))
        self.successResultOf(store.close())
        self.assertEqual(self.store().load(), [other])

    def test_dropped(self: Any) -> None:
        """
        A dropped lease is gone, and the same port of another space is not; a lease
        that is not there may be dropped too.
        """
        store = self.store()
        store.load()
        self.successResultOf(store.write([WEB, SSH, DNS], []))
        self.successResultOf(store.write([], [("tcp", 2222), ("tcp", 1)]))
        self.successResultOf(store.close())
        self.assertCountEqual(self.store().load(), [WEB, DNS])


class MemoryStoreTests(StoreCases, SynchronousTestCase):
    """
    A server that is embedded remembers leases as long as its program runs.
    """

    def setUp(self) -> None:
        self._store = MemoryStore()

    def store(self) -> ILeaseStore:
        return self._store

    def test_given(self) -> None:
        """
        A program can begin with leases of its own.
        """
        self.assertEqual(MemoryStore([WEB]).load(), [WEB])


class SQLiteStoreTests(StoreCases, SynchronousTestCase):
    """
    A server remembers leases in a file.
    """

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        self.path = folder / "leases.db"

    def store(self, apart: Apart = maybeDeferred) -> SQLiteStore:
        store = SQLiteStore(self.path, apart, patience=0)
        self.addCleanup(store._disconnect)
        return store

    def refusal(self) -> str:
        """
        Give why the file cannot be loaded; it is named, and not changed by that.
        """
        before = self.path.read_bytes() if self.path.is_file() else None
        text = str(self.assertRaises(OSError, self.store().load))
        self.assertTrue(text.startswith(f"{self.path} "), text)
        if before is not None:
            self.assertEqual(self.path.read_bytes(), before)
        return text

    def filled(self) -> None:
        """
        Leave a good file with two leases.
        """
        store = self.store()
        store.load()
        self.successResultOf(store.write([WEB, SSH], []))
        self.successResultOf(store.close())

    def database(self, *statements: str) -> None:
        """
        Change the file as another program would.
        """
        connection = sqlite3.connect(self.path)
        with connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()

    @given(st.lists(LEASES, unique_by=lambda lease: (lease.space, lease.port)))
    @settings(max_examples=30)
    def test_anyLeases(self, leases: list[Lease]) -> None:
        """
        Whatever clients call themselves and their tunnels, that is remembered.
        """
        self.path.unlink(missing_ok=True)
        store = self.store()
        store.load()
        self.successResultOf(store.write(leases, []))
        self.successResultOf(store.close())
        reopened = self.store()
        self.assertCountEqual(reopened.load(), leases)
        self.successResultOf(reopened.close())

    def test_oddNames(self) -> None:
        """
        A name that is no text, as JSON can hold one, does not keep others from being
        written, and is remembered too.
        """
        odd = Lease("tcp", 9000, "ann", "half \ud83d", "\udc00\0", 1.0)
        store = self.store()
        store.load()
        self.successResultOf(store.write([odd, WEB], []))
        self.successResultOf(store.close())
        self.assertCountEqual(self.store().load(), [odd, WEB])

    def test_nothingBeforeLoad(self) -> None:
        """
        Before the server has started, and so before it has become a daemon, there is
        no file and no thread; a start that is given up before that has nothing to
        close.
        """
        calls: list[Callable[[], None]] = []

        def apart(call: Callable[[], None]) -> Deferred[None]:
            calls.append(call)
            return maybeDeferred(call)

        store = self.store(apart)
        self.successResultOf(store.close())
        self.assertFalse(self.path.exists())
        self.assertEqual(calls, [])

    def test_private(self) -> None:
        """
        The file is for its owner's eyes alone.
        """
        self.addCleanup(os.umask, os.umask(0))
        self.filled()
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_oneFile(self) -> None:
        """
        When the server has stopped, the one file is all there is to copy.
        """
        self.filled()
        self.assertEqual(os.listdir(self.path.parent), [self.path.name])

    def test_secondServer(self) -> None:
        """
        A second server on the same state folder is told so and does not start; when
        the first has stopped, it does.
        """
        self.filled()
        first = self.store()
        first.load()
        text = str(self.assertRaises(OSError, self.store().load))
        self.assertIn(f"{self.path} is in use by another program", text)
        self.assertIn("state folder of its own", text)
        self.successResultOf(first.close())
        self.assertCountEqual(self.store().load(), [WEB, SSH])

    def test_writtenWhenClosed(self) -> None:
        """
        A write that comes when the store is closed is reported as failed, not lost
        without a word.
        """
        store = self.store()
        error = self.failureResultOf(store.write([WEB], [])).value
        self.assertEqual(str(error), f"{self.path} is not open")

    def test_noFolder(self) -> None:
        """
        A state folder that is gone is named.
        """
        self.path.parent.rmdir()
        self.assertIn("cannot be opened: No such file or directory", self.refusal())

    def test_folderInItsPlace(self) -> None:
        """
        A folder in the file's place is named.
        """
        self.path.mkdir()
        self.assertIn("cannot be opened: Is a directory", self.refusal())

    def test_foreignFile(self) -> None:
        """
        A file of another program's is not touched, and the operator learns what to
        do.
        """
        self.path.write_bytes(b"my diary, volume 1\n" * 100)
        self.assertIn("move it away to begin a new one", self.refusal())

    def test_foreignDatabase(self) -> None:
        """
        So is a database of another program's.
        """
        self.database("CREATE TABLE lease (song TEXT)")
        self.assertIn("it is another program's database", self.refusal())

    def test_laterVersion(self) -> None:
        """
        A file that a later tunnelkit has written is left to that one.
        """
        self.filled()
        self.database("PRAGMA user_version = 2")
        self.assertIn("its version is 2, this program knows 1", self.refusal())

    def test_wrongRow(self) -> None:
        """
        A row that is not a lease stops the start, as no lease is thrown away.
        """
        for row in (
            "('tcp', 'high', 'ann', x'', x'', 1)",
            "('tcp', 1, 'ann', x'ff', x'', 1)",
            "('tcp', 1, CAST(x'ff' AS TEXT), x'', x'', 1)",
        ):
            self.filled()
            self.database(f"INSERT INTO lease VALUES {row}")
            self.assertIn("move it away", self.refusal())
            self.path.unlink()

    def test_damagedBetweenRows(self) -> None:
        """
        Damage that the next write would make worse stops the start, although all
        leases can still be read.
        """
        self.filled()
        with self.path.open("r+b") as file:
            # The list of free places in the page that holds the leases.
            file.seek(4096 + 1)
            file.write(b"\x0f\xf0")
        self.assertIn("move it away", self.refusal())

    def test_damagedAnywhere(self) -> None:
        """
        A damaged file stops the start with a sentence, or gives leases; it does not
        give anything else.
        """
        self.filled()
        good = self.path.read_bytes()

        @given(st.integers(0, len(good) - 1), st.binary(min_size=1, max_size=50))
        @settings(max_examples=100)
        def damaged(at: int, noise: bytes) -> None:
            self.path.write_bytes(good[:at] + noise + good[at + len(noise) :])
            store = self.store()
            try:
                leases = store.load()
            except OSError as e:
                self.assertIn(str(self.path), str(e))
            else:
                self.assertTrue(all(type(lease.used) is float for lease in leases))
            store._disconnect()

        damaged()

    def test_cutAnywhere(self) -> None:
        """
        A file that was cut short, as by a full disk while it was copied, stops the
        start; an empty one is a new one.
        """
        self.filled()
        good = self.path.read_bytes()
        for length in (1, 15, 16, 99, 100, 4095, 4096, len(good) - 1):
            self.path.write_bytes(good[:length])
            self.refusal()
        self.path.write_bytes(b"")
        self.assertEqual(self.store().load(), [])

    def test_diskFull(self) -> None:
        """
        While the disk is full a write fails whole, with the file's name, and the
        store goes on when there is room again.
        """
        self.filled()
        store = self.store()
        store.load()
        connection = cast(sqlite3.Connection, store._connection)
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        many = [Lease("tcp", port, "ann", "c", "t", 1.0) for port in range(1, 1000)]
        error = self.failureResultOf(store.write(many, [("tcp", WEB.port)])).value
        self.assertIsInstance(error, OSError)
        self.assertEqual(
            str(error), f"{self.path} cannot be written (database or disk is full)"
        )
        ports = connection.execute("SELECT port FROM lease").fetchall()
        self.assertCountEqual(ports, [(WEB.port,), (SSH.port,)])

        connection.execute("PRAGMA max_page_count = 100000")
        self.successResultOf(store.write(many, [("tcp", WEB.port)]))
        self.successResultOf(store.close())
        self.assertCountEqual(self.store().load(), [SSH, *many])

    def test_oneWriteAtATime(self) -> None:
        """
        Writes reach the file in the order in which they were asked for, however many
        threads there are.
        """
        waiting: list[tuple[Callable[[], None], Deferred[None]]] = []

        def apart(call: Callable[[], None]) -> Deferred[None]:
            waiting.append((call, Deferred()))
            return waiting[-1][1]

        store = self.store(apart)
        store.load()
        writes = [store.write([WEB], []), store.write([], [("tcp", WEB.port)])]
        closed = store.close()
        for _ in range(3):
            ((call, done),) = waiting
            waiting.clear()
            call()
            done.callback(None)
        for ended in (*writes, closed):
            self.successResultOf(ended)
        self.assertEqual(self.store().load(), [])

    def test_killed(self) -> None:
        """
        A server killed (-9) in the middle of a write has kept all writes before it
        whole, and nothing of that one.
        """
        script = """if True:
            import os, pathlib, signal, sqlite3, sys
            from twisted.internet.defer import maybeDeferred
            from tunnelkit.state.store import SQLiteStore
            from tunnelkit.state.lease import Lease

            def traced(statement):
                if statement.startswith("INSERT") and " 1999," in statement:
                    os.kill(os.getpid(), signal.SIGKILL)

            def leases(ports):
                return [Lease("tcp", p, "ann", "c" * 99, "t", 1.0) for p in ports]

            store = SQLiteStore(pathlib.Path(sys.argv[1]), maybeDeferred)
            store.load()
            store._connection.execute("PRAGMA cache_size = 4")
            store.write(leases(range(1, 1000)), [])
            store._connection.set_trace_callback(traced)
            store.write(leases(range(1000, 2000)), [("tcp", 1)])
        """
        child = subprocess.run(
            [sys.executable, "-c", script, str(self.path)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            timeout=60,
        )
        self.assertEqual(child.returncode, -signal.SIGKILL)
        journal = self.path.with_name("leases.db-journal")
        self.assertGreater(journal.stat().st_size, 0)
        ports = sorted(lease.port for lease in self.store().load())
        self.assertEqual(ports, list(range(1, 1000)))

    def test_copiedWhileOpen(self) -> None:
        """
        What was reported as written is in the file, although the server still runs.
        """
        store = self.store()
        store.load()
        self.successResultOf(store.write([WEB], []))
        shutil.copy(self.path, self.path.with_name("copy.db"))
        self.path = self.path.with_name("copy.db")
        self.assertEqual(self.store().load(), [WEB])


class ThreadedReactor:
    """
    The threads of a reactor, without the rest.
    """

    def __init__(self) -> None:
        self.calls: queue.Queue[Callable[[], object]] = queue.Queue()
        self.pool: ThreadPool | None = None

    def getThreadPool(self) -> ThreadPool:
        if self.pool is None:
            self.pool = ThreadPool(0, 3)
            self.pool.start()
        return self.pool

    def callFromThread(self, call: Callable[..., object], *args: object) -> None:
        self.calls.put(lambda: call(*args))

    def turn(self) -> None:
        """
        Wait for a thread to call back, and do what it says.
        """
        self.calls.get(timeout=30)()


class InThreadTests(SynchronousTestCase):
    """
    Nobody waits for the disk.
    """

    def test_realThread(self) -> None:
        """
        Leases are written in another thread, what comes of it is told in the
        reactor's own, and there is no thread before.
        """
        reactor = ThreadedReactor()
        threads: list[int] = []
        apart = inThread(cast(IReactorThreads, reactor))
        path = Path(self.mktemp())

        def noting(call: Callable[[], None]) -> Deferred[None]:
            def noted() -> None:
                threads.append(threading.get_ident())
                call()

            return apart(noted)

        store = SQLiteStore(path, noting)
        store.load()
        self.assertIsNone(reactor.pool)
        writes = [store.write([WEB], []), store.write([SSH], [])]
        self.addCleanup(reactor.getThreadPool().stop)
        closed = store.close()
        fired: list[int] = []
        closed.addCallback(lambda _: fired.append(threading.get_ident()))
        for _ in range(3):
            reactor.turn()
        for write in writes:
            self.successResultOf(write)
        self.assertEqual(fired, [threading.get_ident()])
        self.assertEqual(len(threads), 3)
        self.assertNotIn(threading.get_ident(), threads)

        reopened = SQLiteStore(path, maybeDeferred)
        self.addCleanup(reopened._disconnect)
        self.assertCountEqual(reopened.load(), [WEB, SSH])


class WriteBehindTests(SynchronousTestCase):
    """
    Changes reach the store, when it can.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.store = HeldStore()
        self.behind = WriteBehind(self.store, self.clock)
        self.addCleanup(
            lambda: self.assertEqual(self.clock.getDelayedCalls(), [], "timers remain")
        )

    def errors(self) -> list[str]:
        """
        Gather the errors that are logged from here on.
        """
        errors: list[str] = []

        @implementer(ILogObserver)
        def observe(event: LogEvent) -> None:
            if event["log_level"] is LogLevel.error:
                errors.append(event["log_format"].format(**event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        return errors

    def test_atOnce(self) -> None:
        """
        A change is on its way at once, so that little is lost by C{kill -9}.
        """
        self.behind.keep(WEB)
        self.behind.drop("tcp", 9000)
        self.behind.flush()
        ((kept, dropped, _),) = self.store.writes
        self.assertEqual((kept, dropped), ([WEB], [("tcp", 9000)]))
        self.store.end()

    def test_nothing(self) -> None:
        """
        Where nothing has changed the disk is left alone.
        """
        self.behind.flush()
        self.assertEqual(self.store.writes, [])

    def test_coalesced(self) -> None:
        """
        A thousand clients that come at once cost two writes, not a thousand.
        """
        for port in range(1000):
            self.behind.keep(Lease("tcp", port, "ann", "c", "t", 1.0))
            self.behind.flush()
        self.behind.drop("tcp", 0)
        self.behind.flush()
        self.assertEqual(len(self.store.writes), 1)
        self.store.end()
        ((kept, dropped, _),) = self.store.writes
        self.assertEqual((len(kept), dropped), (999, [("tcp", 0)]))
        self.store.end()
        self.assertEqual(self.store.writes, [])

    def test_trouble(self) -> None:
        """
        While the disk is full the server says so, and tries again less and less
        often; when there is room all is written, the newest state of each port.
        """
        errors = self.errors()
        self.behind.keep(WEB)
        self.behind.keep(SSH)
        self.behind.flush()
        waits = []
        for _ in range(8):
            self.behind.drop("tcp", WEB.port)
            self.store.end(OSError("leases.db cannot be written (disk is full)"))
            self.assertEqual(
                self.behind.trouble,
                "leases are kept in memory alone: leases.db cannot be written (disk is"
                " full)",
            )
            (call,) = self.clock.getDelayedCalls()
            waits.append(call.getTime() - self.clock.seconds())
            self.behind.keep(DNS)
            self.behind.flush()
            self.assertEqual(self.store.writes, [])
            self.clock.advance(waits[-1])
        self.assertEqual(waits, [1, 2, 4, 8, 16, 32, 60, 60])
        self.assertEqual(len(errors), 1)
        self.assertIn("2 changes to leases are not written", errors[0])

        self.store.end()
        self.assertIsNone(self.behind.trouble)
        self.assertCountEqual(self.store.load(), [SSH, DNS])

    def test_troubleAnew(self) -> None:
        """
        A disk that fails again later is tried again soon, and the log says so again.
        """
        errors = self.errors()
        for _ in range(2):
            self.behind.keep(WEB)
            self.behind.flush()
            self.store.end(OSError("no"))
            self.clock.advance(1)
            self.store.end()
        self.assertEqual(len(errors), 2)

    def test_bug(self) -> None:
        """
        A store that fails in an unforeseen way stops nothing either, and leaves a
        traceback.
        """
        self.behind.keep(WEB)
        self.behind.flush()
        self.store.end(ZeroDivisionError("oops"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIn("oops", str(self.behind.trouble))
        self.clock.advance(1)
        self.store.end()
        self.assertEqual(self.store.load(), [WEB])

    def test_close(self) -> None:
        """
        A server that stops has written everything, also what changed during the last
        write, before it lets go of the store.
        """
        self.behind.keep(WEB)
        self.behind.flush()
        self.behind.keep(SSH)
        closed = self.behind.close()
        self.store.end()
        self.assertNoResult(closed)
        self.assertFalse(self.store.closed)
        self.store.end()
        self.successResultOf(closed)
        self.assertTrue(self.store.closed)
        self.assertCountEqual(self.store.load(), [WEB, SSH])

    def test_closeInTrouble(self) -> None:
        """
        A server that stops while the disk is full tries once more, says what is lost,
        and stops.
        """
        self.behind.keep(WEB)
        self.behind.flush()
        self.store.end(OSError("full"))
        errors = self.errors()
        closed = self.behind.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.store.end(OSError("full"))
        self.successResultOf(closed)
        self.assertTrue(self.store.closed)
        self.assertEqual(errors, ["1 changes to leases are not written: full"])

    def test_closeTwice(self) -> None:
        """
        Who closes a second time waits for the first, and writes nothing more.
        """
        self.behind.keep(WEB)
        closed = self.behind.close()
        self.behind.drop("tcp", WEB.port)
        again = self.behind.close()
        self.assertNoResult(again)
        self.store.end()
        self.successResultOf(closed)
        self.successResultOf(again)
        self.assertEqual(self.store.load(), [WEB])

    def test_nothingAfterClose(self) -> None:
        """
        What changes after a store was let go is not sent to it.
        """
        self.successResultOf(self.behind.close())
        self.behind.keep(WEB)
        self.behind.flush()
        self.assertEqual(self.store.writes, [])

    def test_storeThatRaises(self) -> None:
        """
        A store that fails before it has begun is a failed write like another.
        """

        class Broken(MemoryStore):
            def write(
                self, kept: Iterable[Lease], dropped: Iterable[Place]
            ) -> Deferred[None]:
                raise OSError("gone")

        behind = WriteBehind(Broken(), self.clock)
        behind.keep(WEB)
        behind.flush()
        self.assertIn("gone", str(behind.trouble))
        self.successResultOf(behind.close())
