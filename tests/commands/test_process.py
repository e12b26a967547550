"""
Tests for L{tunnelkit.commands.process}.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import warnings
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.logger import (
    ILogObserver,
    LogBeginner,
    LogEvent,
    Logger,
    LogPublisher,
    formatEvent,
)
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tunnelkit.commands import process
from tunnelkit.commands.process import (
    Calling,
    Running,
    Voice,
    limitLog,
    raiseFileLimit,
    takeSignal,
    voice,
    withoutFailures,
)
from tunnelkit.failures import StartFailed
from tunnelkit.tunnels import detail


class FakeReactor:
    """
    A reactor that runs when a test says so.

    @ivar stops: how often it was stopped.
    """

    def __init__(self) -> None:
        self.stops = 0
        self._running = False
        self._waiting: list[Callable[[], object]] = []

    def callWhenRunning(self, call: Callable[[], object]) -> None:
        """
        Call now, or once it runs.
        """
        if self._running:
            call()
        else:
            self._waiting.append(call)

    def callFromThread(self, call: Callable[[], object]) -> None:
        """
        Call in the next turn, which is now, if there are turns yet.
        """
        self.callWhenRunning(call)

    def run(self) -> None:
        """
        Run, as far as the service notices.
        """
        self._running = True
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call()

    def stop(self) -> None:
        """
        Stop, as Twisted's does: once.
        """
        if not self._running:
            raise ReactorNotRunning
        self._running = False
        self.stops += 1


class FakeHalf(Service):
    """
    A server or a client.

    @ivar graces: how long streams had, for each time that it was drained.
    @ivar drained: fires when all streams have ended.
    @ivar reason: why it cannot start, if it cannot.
    """

    def __init__(self) -> None:
        self.graces: list[float] = []
        self.drained: Deferred[None] = Deferred()
        self.reason = ""

    def startService(self) -> None:
        """
        Start, or not.
        """
        if self.reason:
            raise StartFailed(self.reason)
        super().startService()

    async def drain(self, grace: float) -> None:
        """
        Wait for the test.
        """
        self.graces.append(grace)
        await self.drained


@implementer(ILogObserver)
class Lines(list[str]):
    """
    The lines of a log.
    """

    def __call__(self, event: LogEvent) -> None:
        self.append(formatEvent(event))


class LogCase(SynchronousTestCase):
    """
    A test that reads what the module logs.
    """

    def setUp(self) -> None:
        """
        Begin to listen.
        """
        self.log = Lines()
        self.patch(process, "_log", Logger(observer=self.log))


class RunningTests(LogCase):
    """
    A process starts once, drains when it is asked to stop, and says why it ends.
    """

    def setUp(self) -> None:
        """
        Make the service of a process.
        """
        super().setUp()
        self.reactor: Any = FakeReactor()
        self.half = FakeHalf()
        self.terminal = io.StringIO()
        self.signals: dict[int, Calling] = {}
        self.reloads = 0
        self.failed: Callable[[str], None] = lambda sentence: None
        self.patch(process, "raiseFileLimit", lambda: None)

    def running(self, reload: bool = True) -> Running:
        """
        Make the service.

        @param reload: whether it has files to read again.
        """

        def make(failed: Callable[[str], None]) -> FakeHalf:
            self.failed = failed
            return self.half

        return Running(
            make,
            7.0,
            self.reactor,
            Voice(self.terminal, logged=False),
            self._reload if reload else None,
            self.signals.__setitem__,
        )

    def _reload(self) -> None:
        self.reloads += 1

    def started(self, reload: bool = True) -> Running:
        """
        Make the service, start it and run the reactor.
        """
        running = self.running(reload)
        running.startService()
        self.reactor.run()
        return running

    def send(self, name: str) -> None:
        """
        Send the process a signal.
        """
        self.signals[getattr(signal, name)](getattr(signal, name), None)

    def status(self, running: Running) -> list[int]:
        """
        Give the exit status that the process gets; none is what C{twistd} gives.
        """
        found: list[int] = []
        running.leave(found.append)
        return found

    def test_starts(self) -> None:
        """
        The half runs as long as the process does.
        """
        running = self.started()
        self.assertTrue(self.half.running)
        self.successResultOf(running.stopService())
        self.assertFalse(self.half.running)
        self.assertEqual(self.status(running), [])

    def test_takesSignalsAgain(self) -> None:
        """
        Twisted's own signal functions, which it sets when it begins to run, are
        replaced, and not the reverse.
        """
        self.running().startService()
        self.signals.clear()
        self.reactor.run()
        self.assertIn(signal.SIGTERM, self.signals)

    def test_earlySignal(self) -> None:
        """
        Who asks a program to stop while it starts gets a good end, too.
        """
        running = self.running()
        running.startService()
        self.send("SIGTERM")
        self.assertEqual(self.half.graces, [])
        self.reactor.run()
        self.assertEqual(self.half.graces, [7.0])
        self.half.drained.callback(None)
        self.assertEqual((self.reactor.stops, self.status(running)), (1, []))

    def test_drains(self) -> None:
        """
        SIGTERM and Ctrl-C let streams end, for as long as --grace says, and then the
        process ends well.
        """
        for name in ("SIGTERM", "SIGINT"):
            self.setUp()
            running = self.started()
            self.send(name)
            self.assertEqual((self.half.graces, self.reactor.stops), ([7.0], 0))
            self.half.drained.callback(None)
            self.assertEqual((self.half.graces, self.reactor.stops), ([7.0], 1))
            self.assertEqual(self.status(running), [])
            self.assertIn("streams have 7 seconds to end", self.log[0])

    def test_secondSignalCuts(self) -> None:
        """
        A second signal, of either kind, ends the process at once, and a third is no
        more than that.
        """
        running = self.started()
        for name, stops in (("SIGTERM", 0), ("SIGINT", 1), ("SIGTERM", 1)):
            self.send(name)
            self.assertEqual(self.reactor.stops, stops)
        self.half.drained.callback(None)
        self.assertEqual(self.reactor.stops, 1)
        self.assertEqual((self.half.graces, self.status(running)), ([7.0], []))

    def test_drainingFails(self) -> None:
        """
        A bug at draining does not keep the process alive, and shows in the log.
        """
        self.started()
        self.send("SIGTERM")
        self.half.drained.errback(ZeroDivisionError())
        self.assertEqual(self.reactor.stops, 1)
        self.assertEqual(self.log[1:], ["a bug at draining"])

    def test_reloads(self) -> None:
        """
        SIGHUP has the server read its files again, and go on.
        """
        self.started()
        self.send("SIGHUP")
        self.send("SIGHUP")
        self.assertEqual((self.reloads, self.half.graces), (2, []))

    def test_reloadingFails(self) -> None:
        """
        A bug at reading files again ends nothing, and shows in the log.
        """
        running = self.running()
        running.startService()
        self.patch(running, "_reload", lambda: 1 / 0)
        self.reactor.run()
        self.send("SIGHUP")
        self.assertEqual(self.log[1:], ["reading files again failed"])
        self.assertEqual(self.reactor.stops, 0)

    def test_hangsUp(self) -> None:
        """
        A client has nothing to read again: when its terminal is closed it drains.
        """
        self.started(reload=False)
        self.send("SIGHUP")
        self.assertEqual(self.half.graces, [7.0])

    if not hasattr(signal, "SIGHUP"):
        for test in (test_reloads, test_reloadingFails, test_hangsUp):
            test.skip = "no SIGHUP here"  # type: ignore[attr-defined]

    def test_startFails(self) -> None:
        """
        What cannot start says why, in one sentence, to its user and to C{twistd}.
        """
        self.half.reason = "port 8910 is taken"
        self.assertRaises(StartFailed, self.running().startService)
        self.assertEqual(self.terminal.getvalue(), "port 8910 is taken\n")

    def test_failsLater(self) -> None:
        """
        What fails later says why, in one sentence, and ends the process with status
        1.
        """
        running = self.started()
        self.failed("the token is wrong")
        self.assertEqual(self.terminal.getvalue(), "the token is wrong\n")
        self.assertEqual((self.reactor.stops, self.status(running)), (1, [1]))

    def test_failsAtOnce(self) -> None:
        """
        The same before the reactor runs.
        """
        running = self.running()
        running.startService()
        self.failed("the token is wrong")
        self.assertEqual(self.reactor.stops, 0)
        self.reactor.run()
        self.assertEqual((self.reactor.stops, self.status(running)), (1, [1]))

    def test_failsTwice(self) -> None:
        """
        One reason is enough.
        """
        self.started()
        self.failed("the token is wrong")
        self.failed("the token is still wrong")
        self.assertEqual(self.terminal.getvalue(), "the token is wrong\n")

    def test_failsAtTheEnd(self) -> None:
        """
        Who asks a process to stop gets a good end, whatever the server says to it.
        """
        running = self.started()
        self.send("SIGTERM")
        self.failed("the server refuses every tunnel")
        self.assertEqual((self.terminal.getvalue(), self.status(running)), ("", []))


class VoiceTests(LogCase):
    """
    A sentence is said where it is looked for, and not twice in one place.
    """

    def test_places(self) -> None:
        """
        The log has it where the log is elsewhere.
        """
        for logged, lines in ((True, ["why"]), (False, [])):
            terminal = io.StringIO()
            Voice(terminal, logged).say("why")
            self.assertEqual((terminal.getvalue(), self.log), ("why\n", lines))
            self.log.clear()

    def test_noTerminal(self) -> None:
        """
        Without a terminal the log has it.
        """
        Voice(None, logged=False).say("why")
        self.assertEqual(self.log, ["why"])

    def test_daemon(self) -> None:
        """
        A daemon that cannot start says so to its terminal; one that has started lets
        go of it.
        """
        read, write = os.pipe()
        says = Voice(os.fdopen(write, "w"), daemon=True)
        says.say("why")
        says.started()
        says.say("later")
        with os.fdopen(read) as terminal:
            self.assertEqual(terminal.read(), "why\n")
        self.assertEqual(self.log, ["why", "later"])

    def test_foreground(self) -> None:
        """
        What stays in the foreground keeps its terminal.
        """
        terminal = io.StringIO()
        says = Voice(terminal, logged=False)
        says.started()
        says.say("why")
        self.assertEqual(terminal.getvalue(), "why\n")

    def test_braces(self) -> None:
        """
        A sentence with braces, from a stranger's server, is logged as it is.
        """
        Voice(None).say("it said {secret}")
        self.assertEqual(self.log, ["it said {secret}"])

    def said(self, runner: dict[str, Any] | None, same: bool) -> tuple[int, int]:
        """
        Say something in the voice of a process.

        @param runner: the options of C{twistd}.
        @param same: whether standard output and standard error are one place.
        @return: how often it was in the log, and on standard error.
        """
        self.log.clear()
        self.patch(process, "_samePlace", lambda: same)
        self.patch(sys, "stderr", terminal := io.StringIO())
        voice(runner).say("why")
        return len(self.log), terminal.getvalue().count("why\n")

    def test_runners(self) -> None:
        """
        Under C{tunnelkit} and C{twistd -n} a terminal shows it once; a log file has
        it, too.
        """
        foreground = {"nodaemon": 1, "logfile": None, "syslog": 0}
        for runner, same, places in (
            (None, True, (0, 1)),
            (None, False, (1, 1)),
            ({}, True, (0, 1)),
            (foreground, True, (0, 1)),
            (foreground, False, (1, 1)),
            ({**foreground, "logfile": "-"}, True, (0, 1)),
            ({**foreground, "logfile": "x.log"}, True, (1, 1)),
            ({**foreground, "syslog": 1}, True, (1, 1)),
        ):
            self.assertEqual(self.said(runner, same), places, (runner, same))

    def test_runsAsDaemon(self) -> None:
        """
        What twistd makes a daemon has its own way to the terminal, which the fork
        does not take away.
        """
        read, write = os.pipe()
        self.patch(os, "dup", lambda descriptor: {2: write}[descriptor])
        says = voice({"nodaemon": 0, "logfile": None, "syslog": 0})
        says.say("why")
        says.started()
        with os.fdopen(read) as terminal:
            self.assertEqual(terminal.read(), "why\n")
        self.assertEqual(self.log, ["why"])


class TakeSignalTests(SynchronousTestCase):
    """
    Signals of the process.
    """

    def setUp(self) -> None:
        """
        Leave SIGUSR2 as it was.
        """
        before = signal.getsignal(signal.SIGUSR2)
        self.addCleanup(signal.signal, signal.SIGUSR2, before)
        self.taken: list[int] = []

    def take(self) -> None:
        """
        Have SIGUSR2 call the test.
        """
        takeSignal(signal.SIGUSR2, lambda number, frame: self.taken.append(number))

    def test_takes(self) -> None:
        """
        A signal calls.
        """
        signal.signal(signal.SIGUSR2, signal.SIG_DFL)
        self.take()
        signal.raise_signal(signal.SIGUSR2)
        self.assertEqual(self.taken, [signal.SIGUSR2])

    def test_ignored(self) -> None:
        """
        What was started by C{nohup} goes on when its terminal is closed.
        """
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        self.take()
        signal.raise_signal(signal.SIGUSR2)
        self.assertEqual(self.taken, [])

    if not hasattr(signal, "SIGUSR2"):
        test_takes.skip = test_ignored.skip = "no SIGUSR2"  # type: ignore[attr-defined]


class HookTests(SynchronousTestCase):
    """
    What Python prints for an exception that nobody caught.
    """

    def test_sentences(self) -> None:
        """
        A failed start has been explained; a bug still gets its traceback.
        """
        seen: list[type[BaseException]] = []
        hook = withoutFailures(lambda kind, error, trace: seen.append(kind))
        for error in (StartFailed("x"), ValueError("y")):
            hook(type(error), error, None)
        self.assertEqual(seen, [ValueError])


class LimitLogTests(SynchronousTestCase):
    """
    C{--log-level} holds for the whole log, whoever begins it.
    """

    def setUp(self) -> None:
        """
        Have what is limited be as it was when the test is over.
        """
        self.patch(detail, "shown", True)

    def lines(self, level: str) -> list[str]:
        """
        Log on every level, before and after the log begins.
        """
        publisher = LogPublisher()
        stdio: Any = type("stdio", (), {"stdout": sys.stdout, "stderr": sys.stderr})
        beginner = LogBeginner(publisher, io.StringIO(), stdio, warnings)
        limitLog(level, beginner)
        log = Logger(observer=publisher)
        log.debug("early debug")
        log.error("early error")
        lines = Lines()
        # Twisted's runners give one by its place, and other things by name.
        beginner.beginLoggingTo([lines], redirectStandardIO=False)
        self.addCleanup(setattr, warnings, "showwarning", beginner._oldshowwarning)
        for name in ("debug", "info", "warn", "error", "critical"):
            getattr(log, name)(name)
        for text in ("Socket starting on 4001", "(UDP Port 4001 Closed)"):
            log.critical("{log_text}", log_text=text)
        Logger("twisted.web.client._HTTP11ClientFactory", observer=publisher).critical(
            "x"
        )
        return lines

    def test_levels(self) -> None:
        """
        A level shows itself and what is more important.
        """
        for level, lines in (
            (
                "debug",
                ["early debug", "early error", "debug", "info", "warn", "error"],
            ),
            ("info", ["early error", "info", "warn", "error"]),
            ("warn", ["early error", "warn", "error"]),
            ("error", ["early error", "error"]),
            ("critical", []),
        ):
            self.assertEqual(self.lines(level), [*lines, "critical"])

    def test_streams(self) -> None:
        """
        No stream costs the time of a line that the level would hide.
        """
        for level in ("info", "debug", "warn"):
            self.lines(level)
            self.assertEqual(detail.shown, level == "debug")


class RaiseFileLimitTests(LogCase):
    """
    Each visitor is an open file, of which a process may have few.
    """

    def test_raises(self) -> None:
        """
        As many are allowed as can be.
        """
        import resource

        which = resource.RLIMIT_NOFILE
        before = resource.getrlimit(which)
        self.addCleanup(resource.setrlimit, which, before)
        resource.setrlimit(which, (256, before[1]))
        raiseFileLimit()
        self.assertEqual(resource.getrlimit(which), (before[1], before[1]))

    if sys.platform == "win32":
        test_raises.skip = "no limits here"

    def test_refused(self) -> None:
        """
        A system that grants less than it says does not keep the program from running.
        """

        class Resource:
            RLIMIT_NOFILE = 7

            def getrlimit(self, which: int) -> tuple[int, int]:
                return 256, 1 << 40

            def setrlimit(self, which: int, limits: tuple[int, int]) -> None:
                raise ValueError("current limit exceeds maximum limit")

        self.patch(process, "resource", Resource())
        raiseFileLimit()
        self.assertIn("the limit on open files stays", self.log[0])

    def test_none(self) -> None:
        """
        Nor does one that has no limits.
        """
        self.patch(process, "resource", None)
        raiseFileLimit()
        self.assertEqual(self.log, [])


class SamePlaceTests(SynchronousTestCase):
    """
    Whether the log and standard error are one place.
    """

    def test_places(self) -> None:
        """
        One terminal, or one file, is one place.
        """
        (one, _), (other, _) = pipes = os.pipe(), os.pipe()
        for descriptor in (*pipes[0], *pipes[1]):
            self.addCleanup(os.close, descriptor)
        real = os.path.sameopenfile
        for second, same in ((one, True), (other, False)):
            numbers = {1: one, 2: second}
            self.patch(
                os.path, "sameopenfile", lambda a, b, n=numbers: real(n[a], n[b])
            )
            self.assertEqual(process._samePlace(), same)

    def test_closed(self) -> None:
        """
        Without one of them there are no two that could be the same.
        """

        def closed(one: int, other: int) -> bool:
            raise OSError("Bad file descriptor")

        self.patch(os.path, "sameopenfile", closed)
        self.assertFalse(process._samePlace())
