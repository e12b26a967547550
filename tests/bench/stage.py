"""
The stage: programs that are started here, and are gone when it is left, however it is.

All calls block: a reactor in this process would take from the time of what is measured.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final

from tests.stage.programs import variables
from tests.stage.sockets import Address, connected

LIMIT: Final = 30.0
"""Seconds that a start may take."""

_LOOK: Final = 0.002
_PARTING: Final = 3.0
_TOLD: Final = 20
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PLACES: Final = "/usr/local/sbin:/usr/sbin:/sbin"


class Broken(Exception):
    """
    Something cannot be measured.  The text says what and why.
    """


class Interrupted(BaseException):
    """
    Somebody wants this to end.

    @ivar status: the exit status that says so.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.status = 128 + number


class Interruptions:
    """
    Signals that end a program, in place of which L{Interrupted} is raised; but not
    while something is done that must not be cut short, and once: who is impatient
    does not keep us from stopping what we have started.
    """

    def __init__(self) -> None:
        self._held = 0
        self._came = 0
        self._raised = False

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """
        Take the signals, for a while.
        """
        before = {each: signal.signal(each, self._take) for each in _SIGNALS}
        try:
            yield
        finally:
            for number, disposition in before.items():
                signal.signal(number, disposition)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """
        Do something to its end, and be interrupted after that.
        """
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
        if self._came and not self._held:
            self._raise(self._came)

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self._held:
            self._came = number
        else:
            self._raise(number)

    def _raise(self, number: int) -> None:
        self._came = 0
        if not self._raised:
            self._raised = True
            raise Interrupted(number)


class Process:
    """
    A process of another program.

    @ivar name: what it is called in messages.
    @ivar begun: when it was started, of C{time.monotonic}.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        folder: Path,
        written: Path,
        environment: Mapping[str, str],
    ) -> None:
        """
        @param folder: where it runs.
        @param written: the file that gets what it writes.
        @param environment: its environment.
        """
        self.name = name
        self._written = written
        with written.open("wb") as output:
            self.begun = time.monotonic()
            # In a session of its own, so that Ctrl-C is for us alone.
            self._process = subprocess.Popen(
                [os.fspath(each) for each in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=environment,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """
        Its process id.
        """
        return self._process.pid

    @property
    def status(self) -> int | None:
        """
        Its exit status; None while it runs.
        """
        return self._process.poll()

    @property
    def output(self) -> str:
        """
        All that it has written.
        """
        return self._written.read_text(errors="replace")

    def until(self, condition: Callable[[], bool], what: str) -> float:
        """
        Wait for something that this process brings about.

        @param what: the condition in words.
        @return: seconds since it was started.
        @raise Broken: it ended before, or the time is up.
        """
        while not condition():
            if self.status is not None:
                raise self._broken(f"ended with {self.status} before {what}")
            if time.monotonic() - self.begun > LIMIT:
                raise self._broken(f"not in {LIMIT:.0f} s: {what}")
            time.sleep(_LOOK)
        return time.monotonic() - self.begun

    def listens(self, port: int, address: str = "127.0.0.1") -> float:
        """
        Wait until a port of it accepts connections.

        @return: seconds since it was started.
        """
        what = f"port {port} accepts connections"
        return self.until(lambda: _accepts((address, port)), what)

    def running(self) -> int:
        """
        Give its process id.

        @raise Broken: it has ended.
        """
        if self.status is not None:
            raise self._broken(f"has ended with {self.status}")
        return self.pid

    def exited(self, limit: float) -> int:
        """
        Wait for its end.

        @raise Broken: it does not end in time.
        """
        try:
            return self._process.wait(limit)
        except subprocess.TimeoutExpired:
            raise self._broken(f"has not ended in {limit:.0f} s") from None

    def ask(self) -> None:
        """
        Ask it to end.
        """
        if self.status is None:
            self._process.terminate()

    def stop(self) -> None:
        """
        Ask it to end, and where it does not, kill it and what it started.
        """
        self.ask()
        try:
            self._process.wait(_PARTING)
        except subprocess.TimeoutExpired:
            # It is not waited for yet, so the number is its own still.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_PARTING)

    def _broken(self, what: str) -> Broken:
        last = self.output.splitlines()[-_TOLD:]
        return Broken("\n".join([f"{self.name} {what}", *(f"    {n}" for n in last)]))


class Stage:
    """
    A folder with processes in it.  When it is left they are stopped, the last one
    first, and the folder is removed.

    @ivar folder: the folder.
    """

    folder: Path

    def __init__(self) -> None:
        self.interruptions = Interruptions()
        self._processes: list[Process] = []
        self._count = 0
        self._left = contextlib.ExitStack()

    def __enter__(self) -> Stage:
        """
        Make the folder, and take the signals.
        """
        self._left.enter_context(self.interruptions.taken())
        with self.interruptions.held():
            self.folder = Path(tempfile.mkdtemp(prefix="tkbench"))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """
        End everything.
        """
        # The folder goes before the signals come back.
        with self._left, self.interruptions.held():
            self.stop(*self._processes)
            shutil.rmtree(self.folder, ignore_errors=True)

    def start(
        self, name: str, *command: str | Path, tokens: Mapping[str, str] | None = None
    ) -> Process:
        """
        Start a program.

        @param tokens: variables beside our own.
        @raise Broken: it cannot be started.
        """
        with self.interruptions.held():
            self._count += 1
            try:
                process = Process(
                    name,
                    command,
                    self.folder,
                    self.folder / f"{self._count}.log",
                    {**variables(), **(tokens or {})},
                )
            except OSError as e:
                raise Broken(f"{name} cannot be started: {e}") from e
            self._processes.append(process)
        return process

    def stop(self, *processes: Process) -> None:
        """
        Stop some of them, the last one first.
        """
        for process in reversed(processes):
            process.ask()
        for process in reversed(processes):
            process.stop()
        gone = {*processes}
        self._processes = [each for each in self._processes if each not in gone]

    def file(self, name: str, content: str) -> Path:
        """
        Write a file for a program to read.
        """
        path = self.folder / name
        path.write_text(content)
        return path

    def folderIn(self) -> Path:
        """
        Make a new folder in this one.
        """
        return Path(tempfile.mkdtemp("", "sub", self.folder))


def found(command: str) -> str | None:
    """
    Find a program; None where it is not there.
    """
    return shutil.which(command) or shutil.which(command, path=_PLACES)


def _accepts(address: Address) -> bool:
    with contextlib.suppress(OSError):
        connected(address).close()
        return True
    return False
