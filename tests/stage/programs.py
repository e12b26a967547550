"""
Programs: real processes, what they say line by line, and how they end.

What a program writes is kept, and goes to trial's log (C{_trial_temp/test.log}) too,
each line behind the program's name.  Nothing here sleeps: a test waits for a line, for
the end of a process, or with L{until} for what no program says.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from signal import Signals
from typing import TYPE_CHECKING, Any, Final

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IProcessTransport, IReactorProcess, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

if TYPE_CHECKING:

    class _Reactor(IReactorProcess, IReactorTime):
        pass

    reactor: _Reactor
else:
    reactor = installed

LIMIT: Final = 20.0
"""Seconds that anything may take; on a busy machine, too."""
TOP: Final = Path(__file__).parent.parent.parent
"""The folder of the checkout: programs of ours run from there, not installed."""
TWISTD: Final = (
    sys.executable,
    "-c",
    "from twisted.scripts.twistd import run; run()",
)
"""The command C{twistd}, of the Python that runs the tests."""

_LOOK: Final = 0.02
_STILL: Final = 0.4
_TOLD: Final = 30
_FAULT: Final = re.compile(r"Traceback \(most recent|Unhandled |\ba bug\b")


class Unfulfilled(AssertionError):
    """
    What a test waited for did not come.
    """


async def until(
    condition: Callable[[], bool], what: str, limit: float = LIMIT
) -> float:
    """
    Look again and again whether a condition has come true, where there is nothing
    that says so.

    @param what: the condition in words, for who reads of its failing.
    @param limit: seconds that it may take.
    @return: seconds that it took.
    @raise Unfulfilled: it did not come true.
    """
    begun = reactor.seconds()
    while not condition():
        if reactor.seconds() - begun > limit:
            raise Unfulfilled(f"not in {limit:.0f} s: {what}")
        pause: Deferred[None] = Deferred()
        reactor.callLater(_LOOK, pause.callback, None)
        await pause
    return reactor.seconds() - begun


async def stuck(count: Callable[[], int], what: str, limit: float = LIMIT) -> int:
    """
    Wait until something that counts up has begun to, and stands still.

    @param count: gives the count.
    @param what: what is counted, for who reads of its failing.
    @param limit: seconds that it may take.
    @return: the count.
    """
    last, since = 0, reactor.seconds()

    def still() -> bool:
        nonlocal last, since
        if count() != last:
            last, since = count(), reactor.seconds()
        return last > 0 and reactor.seconds() - since >= _STILL

    await until(still, f"{what} stands still", limit)
    return last


async def together(*things: Coroutine[Deferred[Any], Any, object]) -> None:
    """
    Do several things at the same time, and wait for all of them.
    """
    done = DeferredList(
        [Deferred.fromCoroutine(thing) for thing in things], consumeErrors=True
    )
    for good, result in await done:
        if not good:
            assert isinstance(result, Failure), "what a failing thing gives"
            result.raiseException()


class _Awaiting:
    """
    Who waits for a line, and how far they have looked.
    """

    def __init__(self, pattern: str, since: int) -> None:
        self.found: Deferred[re.Match[str]] = Deferred()
        self._pattern = re.compile(pattern)
        self._at = since

    def look(self, lines: Sequence[str]) -> bool:
        """
        Look at the lines that were not there last time.

        @return: whether the one that is waited for is among them.
        """
        while self._at < len(lines):
            match = self._pattern.search(lines[self._at])
            self._at += 1
            if match is not None:
                self.found.callback(match)
                return True
        return False


class Program(ProcessProtocol):
    """
    A process of another program.

    @ivar name: what it is called in messages.
    @ivar lines: what it has written so far, on both streams, without line ends.
    @ivar status: its exit status, less than 0 for a signal; None while it runs.
    @ivar fellows: the programs of the same test, whose last words are told with its
        own where something fails.
    """

    _log = Logger()
    transport: IProcessTransport

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: list[str] = []
        self.status: int | None = None
        self.fellows: Sequence[Program] = ()
        self._begun: dict[int, bytes] = {}
        self._awaiting: list[_Awaiting] = []
        self._ended: list[Deferred[int]] = []

    def start(
        self,
        arguments: Sequence[str | Path],
        folder: Path,
        environment: Mapping[str, str] | None = None,
        descriptors: Mapping[int, int] | None = None,
    ) -> None:
        """
        Run it.

        @param arguments: the command, the program included.
        @param folder: where it runs.
        @param environment: variables beside the tests' own.
        @param descriptors: of this process, by the number that each gets in the
            other, beside its three streams.
        """
        command = [os.fspath(argument) for argument in arguments]
        files: dict[int, int | str] = {0: "w", 1: "r", 2: "r", **(descriptors or {})}
        reactor.spawnProcess(
            self,
            command[0],
            command,
            {**variables(), **(environment or {})},
            str(folder),
            childFDs=files,
        )

    # What a test asks.

    def mark(self) -> int:
        """
        Give the place in its output that has been reached, for the C{since} of
        L{says}.
        """
        return len(self.lines)

    async def says(
        self, pattern: str, since: int = 0, limit: float = LIMIT
    ) -> re.Match[str]:
        """
        Wait for a line.

        @param pattern: a regular expression, searched for in each line.
        @param since: the first line that counts, from L{mark}.
        @param limit: seconds that it may take.
        @raise Unfulfilled: it did not come, or the program ended without it; the text
            has all that the program said.
        """
        awaiting = _Awaiting(pattern, since)
        if not awaiting.look(self.lines):
            if self.status is not None:
                raise self._unfulfilled(f"{pattern!r} was never said")
            self._awaiting.append(awaiting)
            awaiting.found.addTimeout(limit, reactor, self._late(f"said {pattern!r}"))
        return await awaiting.found

    def said(self, pattern: str, since: int = 0) -> list[str]:
        """
        Give the lines so far in which a regular expression is found.
        """
        return [line for line in self.lines[since:] if re.search(pattern, line)]

    async def exited(self, limit: float = LIMIT) -> int:
        """
        Wait for its end.

        @param limit: seconds that it may take.
        @return: its exit status, less than 0 for a signal.
        @raise Unfulfilled: it did not end.
        """
        if self.status is not None:
            return self.status
        ended: Deferred[int] = Deferred()
        self._ended.append(ended)
        ended.addTimeout(limit, reactor, self._late("exited"))
        return await ended

    @property
    def output(self) -> str:
        """
        All that it has written, as one text.
        """
        return "\n".join(self.lines)

    # What a test does.

    def signal(self, name: str) -> None:
        """
        Send it a signal: C{TERM}, C{KILL}, C{STOP}, C{CONT} ...
        """
        self.transport.signalProcess(Signals[f"SIG{name}"])

    async def kill(self) -> None:
        """
        Kill it (-9), and wait until it is gone.
        """
        self.signal("KILL")
        await self.exited()

    async def stop(self, limit: float = LIMIT) -> int:
        """
        Ask it to end (SIGTERM), and wait until it has.

        @return: its exit status.
        """
        self.signal("TERM")
        return await self.exited(limit)

    async def dispose(self) -> None:
        """
        Kill it, if it still runs, and look through what it said.

        @raise Unfulfilled: there is a traceback, or it speaks of a bug.
        """
        if self.status is None:
            # A stopped process is killed all the same.
            for name in ("KILL", "CONT"):
                self._trySignal(name)
            await self.exited()
        if any(map(_FAULT.search, self.lines)):
            raise self._unfulfilled("it has a bug")

    def _trySignal(self, name: str) -> None:
        with contextlib.suppress(ProcessExitedAlready):
            self.signal(name)

    # What the process does.

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """
        It wrote something.
        """
        *lines, rest = (self._begun.get(childFD, b"") + data).split(b"\n")
        self._begun[childFD] = rest
        for line in lines:
            self._heard(line)

    def processEnded(self, reason: Failure) -> None:
        """
        It is gone, and its streams are closed.
        """
        for rest in filter(None, self._begun.values()):
            self._heard(rest)
        error = reason.value
        number = getattr(error, "signal", None)
        status = -number if number else getattr(error, "exitCode", None) or 0
        self.status = status
        awaiting, self._awaiting = self._awaiting, []
        for each in awaiting:
            if not each.found.called:
                each.found.errback(self._unfulfilled("it ended without saying so"))
        ended, self._ended = self._ended, []
        for deferred in ended:
            if not deferred.called:
                deferred.callback(status)

    def _heard(self, data: bytes) -> None:
        line = data.decode(errors="replace").rstrip("\r")
        self.lines.append(line)
        self._log.info("{name}: {line}", name=self.name, line=line)
        self._awaiting = [
            each
            for each in self._awaiting
            if not (each.found.called or each.look(self.lines))
        ]

    def _late(self, what: str) -> Callable[[object, float], None]:
        def late(result: object, seconds: float) -> None:
            raise self._unfulfilled(f"it has not {what} in {seconds:.0f} s")

        return late

    def _unfulfilled(self, what: str) -> Unfulfilled:
        others = (each for each in self.fellows if each is not self)
        told = [f"{self.name}: {what}", self._told(), *(o._told(_TOLD) for o in others)]
        return Unfulfilled("\n".join(told))

    def _told(self, most: int = 0) -> str:
        state = "runs" if self.status is None else f"ended with {self.status}"
        return "\n".join([f"--- {self.name}, which {state}:", *self.lines[-most:]])


def variables() -> dict[str, str]:
    """
    Give what programs of ours run with: our checkout, and nobody's token.
    """
    kept = {n: v for n, v in os.environ.items() if not n.startswith("TUNNELKIT_")}
    path = os.environ.get("PYTHONPATH")
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join([str(TOP), *([path] if path else [])]),
        "PYTHONUNBUFFERED": "1",
    }
