# -*- test-case-name: tests.state.test_files -*-
"""
Files that more than one process reads and writes: replaced whole, edited under a
lock, looked at for changes.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import IO, TypeAlias

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

Stamp: TypeAlias = tuple[int, ...] | str
"""What is different when a file may be: of a file that is there its times, size and
place, of another one why not."""


def stamp(path: Path) -> Stamp:
    """
    Give what tells a file from what it was before.
    """
    try:
        status = path.stat()
    except OSError as e:
        return str(e)
    return (
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_size,
        status.st_ino,
        status.st_dev,
    )


class Changes:
    """
    Tells whether files have changed since it was last asked.

    @ivar stamps: what the files were when it was.
    """

    def __init__(self, *paths: Path) -> None:
        self._paths = paths
        self._settled = False
        self.stamps: tuple[Stamp, ...] = ()

    def seen(self) -> bool:
        """
        Look at the files.

        A change is reported at this look and at the next: file systems count time
        in steps of some milliseconds, and a second change within the same one could
        not be seen.
        """
        before, self.stamps = self.stamps, tuple(map(stamp, self._paths))
        settled, self._settled = self._settled, self.stamps == before
        return not (settled and self._settled)


def replaceFile(path: Path, data: bytes) -> None:
    """
    Give a file new contents, for its owner's eyes alone.  Who reads it, or comes
    after a crash, finds the old or the new ones, never a part.

    Two must not do this to one file at once: the caller holds a L{Lock}.

    @raise OSError: it could not be done; the old contents stand.
    """
    path = path.resolve()
    # Always the same name, so that crashes leave no more than one behind.
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.unlink(missing_ok=True)
    try:
        _writeNew(unfinished, data, path)
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    _syncFolder(path.parent)


def _writeNew(path: Path, data: bytes, like: Path) -> None:
    with open(_openPrivate(path, os.O_WRONLY | os.O_EXCL, like), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _openPrivate(path: Path, flags: int, like: Path) -> int:
    """
    Open a file, made with mode 0600 where it is not there.  What root makes in
    another user's folder becomes that user's, whose server could not use it
    otherwise.

    @param like: the file whose owner it gets, or the folder's where it is missing.
    """
    nofollow = getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, flags | os.O_CREAT | nofollow, 0o600)
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        owner = (like if like.exists() else like.parent).stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return descriptor


def _syncFolder(folder: Path) -> None:
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Lock:
    """
    A lock that one process holds at a time, and that ends with its process however
    that ends.  Where the system has no C{fcntl} it is always given.

    As a context it waits for the lock.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None

    def take(self, wait: bool) -> bool:
        """
        Take the lock, and write this process's number into its file.

        @param wait: whether to wait for another process to release it.
        @return: whether this process holds it now.
        @raise OSError: there can be no lock in this folder.
        """
        descriptor = _openPrivate(self._path, os.O_RDWR, self._path.parent)
        file = open(descriptor, "r+b")  # noqa: SIM115
        try:
            if not _flock(file, wait):
                file.close()
                return False
            file.truncate()
            file.write(b"%d\n" % os.getpid())
            file.flush()
        except BaseException:
            file.close()
            raise
        self._file = file
        return True

    def release(self) -> None:
        """
        Release the lock; nothing happens where it is not held.
        """
        file, self._file = self._file, None
        if file is not None:
            file.close()

    @property
    def held(self) -> bool:
        """
        Whether this object holds the lock.
        """
        return self._file is not None

    def holder(self) -> str:
        """
        Give the number of the process that took the lock last, or C{unknown}.
        """
        with contextlib.suppress(OSError):
            number = self._path.read_bytes()[:20].strip()
            if number.isdigit():
                return number.decode()
        return "unknown"

    def __enter__(self) -> None:
        self.take(wait=True)

    def __exit__(self, *exc: object) -> None:
        self.release()


def _flock(file: IO[bytes], wait: bool) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
