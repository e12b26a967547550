# -*- test-case-name: tests.state.test_store -*-
"""
Stores: where leases outlive the server.

L{SQLiteStore} keeps them in a file, L{MemoryStore} for as long as the program runs.
L{WriteBehind} stands before either, so that whoever changes a lease never waits for
a disk, and a disk that is full for a while loses nothing.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, TypeAlias

from twisted.internet.defer import Deferred, DeferredLock, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorThreads, IReactorTime
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from zope.interface import implementer

from tunnelkit.state.lease import ILeaseStore, Lease

Place: TypeAlias = tuple[str, int]
"""Space and port of a lease."""

Apart: TypeAlias = Callable[[Callable[[], None]], Deferred[None]]
"""Runs a call where it may block."""

_APPLICATION: Final = 0x546B4C73
"""Marks a database as ours: C{TkLs}."""
_VERSION: Final = 1
_SCHEMA: Final = (
    "CREATE TABLE lease (space TEXT NOT NULL, port INTEGER NOT NULL,"
    " user TEXT NOT NULL, client BLOB NOT NULL, tunnel BLOB NOT NULL,"
    " used REAL NOT NULL, PRIMARY KEY (space, port)) WITHOUT ROWID",
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {_VERSION}",
)
_KEEP: Final = "INSERT OR REPLACE INTO lease VALUES (?, ?, ?, ?, ?, ?)"
_DROP: Final = "DELETE FROM lease WHERE space = ? AND port = ?"
_READ: Final = "SELECT space, port, user, client, tunnel, used FROM lease"

_FIRST_WAIT: Final = 1.0
_LONGEST_WAIT: Final = 60.0
"""Seconds between two tries of a write that fails."""


def inThread(reactor: IReactorThreads) -> Apart:
    """
    Give what runs calls in a thread of the reactor's pool and brings their results
    back to the reactor's own.  There is no thread before the first call.
    """
    return lambda call: deferToThreadPool(reactor, reactor.getThreadPool(), call)


@implementer(ILeaseStore)
class MemoryStore:
    """
    A store that lasts as long as the program: for tests, and for who embeds a server
    and has no disk.
    """

    def __init__(self, leases: Iterable[Lease] = ()) -> None:
        self._leases = {(lease.space, lease.port): lease for lease in leases}

    def load(self) -> list[Lease]:
        """
        Give all leases.
        """
        return list(self._leases.values())

    def write(self, kept: Iterable[Lease], dropped: Iterable[Place]) -> Deferred[None]:
        """
        Keep and drop leases.
        """
        for place in dropped:
            self._leases.pop(place, None)
        self._leases.update(((lease.space, lease.port), lease) for lease in kept)
        return succeed(None)

    def close(self) -> Deferred[None]:
        """
        Do nothing: the leases stay for who has this store.
        """
        return succeed(None)


@implementer(ILeaseStore)
class SQLiteStore:
    """
    A store in one SQLite file.

    Each write is one transaction, on disk when it is reported, so that neither
    C{kill -9} nor a power cut leaves a part of one.  The file is locked from L{load}
    to L{close}: two servers that share it would each give away the other's ports.

    It uses a rollback journal, not a write-ahead log: writes are few and nobody waits
    for them, and that way the store is one file, on any file system.
    """

    def __init__(self, path: Path, apart: Apart, patience: float = 1.0) -> None:
        """
        Touch nothing yet: no file and no thread before L{load}.

        @param path: the file; made, for its owner alone, where it is missing.
        @param apart: runs each write outside of the reactor's thread, and its
            Deferred fires in it: L{inThread} makes one.
        @param patience: how long L{load} waits for another program to let go of the
            file, in seconds.
        """
        self._path = path
        self._apart = apart
        self._patience = patience
        self._connection: sqlite3.Connection | None = None
        # One write at a time, whatever apart does with several.
        self._turn = DeferredLock()

    def load(self) -> list[Lease]:
        """
        Open the file and give all leases.

        @raise OSError: the file cannot be used, is not a lease store, is damaged, or
            another server uses it; the text names it and says what to do.  It is
            left as it is.
        """
        try:
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            self._connection = sqlite3.connect(
                self._path,
                timeout=self._patience,
                isolation_level=None,
                # Here, then in whichever thread writes, never in two at once.
                check_same_thread=False,
            )
            return _begin(self._connection, self._path)
        except (OSError, sqlite3.Error, ValueError) as e:
            self._disconnect()
            raise OSError(f"{self._path} {_explained(e)}") from e

    def write(self, kept: Iterable[Lease], dropped: Iterable[Place]) -> Deferred[None]:
        """
        Keep and drop leases, in one transaction.

        @return: fires when that is on disk; fails with C{OSError}, whose text names
            the file, and then nothing of it is.
        """
        rows, places = [_row(lease) for lease in kept], list(dropped)
        return self._turn.run(self._apart, lambda: self._transact(rows, places))

    def close(self) -> Deferred[None]:
        """
        Finish what is being written and let go of the file.
        """
        if self._connection is None:
            return succeed(None)
        return self._turn.run(self._apart, self._disconnect)

    def _transact(self, rows: list[tuple[Any, ...]], places: list[Place]) -> None:
        connection = self._connection
        if connection is None:
            raise OSError(f"{self._path} is not open")
        try:
            with connection:
                connection.execute("BEGIN")
                connection.executemany(_DROP, places)
                connection.executemany(_KEEP, rows)
        except sqlite3.Error as e:
            raise OSError(f"{self._path} cannot be written ({e})") from e

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _begin(connection: sqlite3.Connection, path: Path) -> list[Lease]:
    """
    Lock a database, make a store of leases of it where it is empty, and read it.

    @raise ValueError: it is something else, or damaged.
    """
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA synchronous = FULL")
    with connection:
        connection.execute("BEGIN EXCLUSIVE")
        # SQLite takes what is missing of the last page for zeros.
        if path.stat().st_size % _number(connection, "PRAGMA page_size"):
            raise ValueError("its end is missing")
        if not _number(connection, "PRAGMA schema_version"):
            for statement in _SCHEMA:
                connection.execute(statement)
        _check(connection)
        return [_lease(row) for row in connection.execute(_READ)]


def _check(connection: sqlite3.Connection) -> None:
    if _number(connection, "PRAGMA application_id") != _APPLICATION:
        raise ValueError("it is another program's database")
    version = _number(connection, "PRAGMA user_version")
    if version != _VERSION:
        raise ValueError(f"its version is {version}, this program knows {_VERSION}")
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise ValueError(verdict)


def _number(connection: sqlite3.Connection, question: str) -> int:
    (number,) = connection.execute(question).fetchone()
    return int(number)


def _row(lease: Lease) -> tuple[Any, ...]:
    # Names come from JSON, which can hold halves of surrogate pairs.  SQLite takes
    # those as bytes alone, and one such name must not keep all others unwritten.
    client = lease.client.encode(errors="surrogatepass")
    tunnel = lease.tunnel.encode(errors="surrogatepass")
    return lease.space, lease.port, lease.user, client, tunnel, lease.used


def _lease(row: tuple[Any, ...]) -> Lease:
    match row:
        case (str(), int(), str(), bytes(), bytes(), float()):
            space, port, user, client, tunnel, used = row
            return Lease(
                space,
                port,
                user,
                client.decode(errors="surrogatepass"),
                tunnel.decode(errors="surrogatepass"),
                used,
            )
    raise ValueError("a row is not a lease")


def _explained(error: Exception) -> str:
    """
    Say why a file cannot be used, and what to do.
    """
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_BUSY:
        return (
            "is in use by another program, perhaps a second server: stop that, or"
            " give this one a state folder of its own"
        )
    if isinstance(error, OSError):
        return f"cannot be opened: {error.strerror}"
    # 0: what was read is not what this module writes.
    if code in (0, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return (
            f"cannot be used as a store of leases ({error}): move it away to begin a"
            " new one, in which no port is remembered"
        )
    return f"cannot be opened ({error}): mend that, or choose another state folder"


class WriteBehind:
    """
    Changes on their way to a store: one write at a time, and what changes meanwhile
    goes into the next, however much that is.  A write that fails is tried again, with
    backoff, together with what has changed since.

    @ivar trouble: why leases are not being written, in a sentence, or None.
    """

    _log = Logger()

    def __init__(self, store: ILeaseStore, clock: IReactorTime) -> None:
        self.trouble: str | None = None
        self._store = store
        self._clock = clock
        self._changes: dict[Place, Lease | None] = {}
        self._turn = DeferredLock()
        self._wait = _FIRST_WAIT
        self._retry: IDelayedCall | None = None
        self._closed = False

    def keep(self, lease: Lease) -> None:
        """
        Have a lease written at the next L{flush}.
        """
        self._change((lease.space, lease.port), lease)

    def drop(self, space: str, port: int) -> None:
        """
        Have a lease dropped at the next L{flush}.
        """
        self._change((space, port), None)

    def flush(self) -> None:
        """
        Begin to write what has changed, unless that is under way, waits for the next
        try, or this is closed.
        """
        if not (self._turn.locked or self._retry or self._closed):
            self._write()

    def close(self) -> Deferred[None]:
        """
        Write what has changed, with one try, and let go of the store.

        What changes after that is not written; closing again only waits.

        @return: fires when that is done, or has failed, which the log then says.
        """
        if self._closed:
            return self._turn.run(succeed, None)
        self._closed = True
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._write()
        return self._turn.run(self._store.close)

    def _change(self, place: Place, lease: Lease | None) -> None:
        if not self._closed:
            self._changes[place] = lease

    def _write(self) -> Deferred[None]:
        # Never fails: what a store raises ends in _failed.
        return self._turn.run(lambda: Deferred.fromCoroutine(self._writeAll()))

    async def _writeAll(self) -> None:
        while self._changes:
            batch, self._changes = self._changes, {}
            kept = [lease for lease in batch.values() if lease is not None]
            dropped = [place for place, lease in batch.items() if lease is None]
            try:
                await self._store.write(kept, dropped)
            except Exception as e:
                self._changes = {**batch, **self._changes}
                self._failed(e)
                return
            self._succeeded()

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, OSError):
            self._log.failure("a bug in the store of leases")
        if self.trouble is None or self._closed:
            self._log.error(
                "{count} changes to leases are not written: {reason}",
                count=len(self._changes),
                reason=str(error),
            )
        self.trouble = f"leases are kept in memory alone: {error}"
        if not self._closed:
            self._retry = self._clock.callLater(self._wait, self._again)
            self._wait = min(2 * self._wait, _LONGEST_WAIT)

    def _again(self) -> None:
        self._retry = None
        self._write()

    def _succeeded(self) -> None:
        if self.trouble is not None:
            self._log.info("leases are written again")
        self.trouble = None
        self._wait = _FIRST_WAIT
