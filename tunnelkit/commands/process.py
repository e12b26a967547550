# -*- test-case-name: tests.commands.test_process -*-
"""
The process that a service runs in: its log, its limits, and how it ends.

By itself C{twistd} ends with a traceback where a service cannot start, with status 0
where one fails later, and with the signal's number, all streams cut, where it is told
to stop.  A service of L{inProcess} ends with one sentence and status 1, and drains
before it stops with status 0: in the foreground, as a daemon, and under C{tunnelkit}.
"""

from __future__ import annotations

import atexit
import gc
import os
import re
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import FrameType, TracebackType
from typing import Any, Final, Protocol, TextIO, TypeAlias

from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorCore, IReactorFromThreads, IReactorTime
from twisted.logger import (
    FilteringLogObserver,
    ILogFilterPredicate,
    ILogObserver,
    LogBeginner,
    LogEvent,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    PredicateResult,
    globalLogBeginner,
)
from zope.interface import provider

from tunnelkit.commands.options.flags import ConfiguredOptions
from tunnelkit.failures import StartFailed
from tunnelkit.tunnels import detail

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

_log: Final = Logger()

_SOCKETS: Final = re.compile(r"Socket starting on \d+|\(UDP Port \d+ Closed\)")
_HTTP: Final = "twisted.web.client._HTTP11ClientFactory"

Calling: TypeAlias = Callable[[int, FrameType | None], None]
"""What a signal can call."""

Hook: TypeAlias = Callable[
    [type[BaseException], BaseException, TracebackType | None], object
]
"""What Python calls for an exception that nobody caught."""


class Half(Protocol):
    """
    A server or a client, as its process sees it: a service that can let its streams
    end before it stops.
    """

    def setServiceParent(self, parent: Any) -> Any:
        """
        Start and stop with another service.
        """

    def drain(self, grace: float) -> Awaitable[None]:
        """
        Take nothing new, and give what is under way C{grace} seconds to end.
        """


Making: TypeAlias = Callable[[Callable[[str], None]], Half]
"""Makes a half.  What it is given it calls, with one sentence, when something fails
that no waiting can mend."""


class IProcessReactor(IReactorCore, IReactorTime, IReactorFromThreads):
    """
    What a process needs of a reactor.
    """


def theReactor() -> Any:
    """
    Give the reactor of this process: asked for as late as can be, as options of
    C{twistd} choose which one it is.
    """
    from twisted.internet import reactor

    return reactor


def inProcess(
    make: Making,
    options: ConfiguredOptions,
    grace: float,
    reactor: IProcessReactor,
    reload: Callable[[], None] | None = None,
) -> IService:
    """
    Make the service of a process: once in it, and before its log begins.

    @param options: those of the command.
    @param grace: how many seconds streams may go on when the process is to stop.
    @param reload: called at SIGHUP, which is else like SIGTERM.
    """
    limitLog(options.logLevel)
    for warning in options.warnings:
        _log.warn("{sentence}", sentence=warning)
    running = Running(make, grace, reactor, voice(options.parent), reload)
    sys.excepthook = withoutFailures(sys.excepthook)
    atexit.register(running.leave)
    # Not before the signals are taken, which is done when the reactor runs.
    reactor.callWhenRunning(lambda: reactor.callLater(0, collectSeldom))
    return running


def takeSignal(number: int, call: Calling) -> None:
    """
    Have a signal call a function, unless the process was started with that signal
    ignored, as C{nohup} does.
    """
    if signal.getsignal(number) is not signal.SIG_IGN:
        signal.signal(number, call)


class Running(MultiService):
    """
    The service of a process, from its start to its end.
    """

    def __init__(
        self,
        make: Making,
        grace: float,
        reactor: IProcessReactor,
        voice: Voice,
        reload: Callable[[], None] | None = None,
        take: Callable[[int, Calling], None] = takeSignal,
    ) -> None:
        super().__init__()
        self._grace = grace
        self._reactor = reactor
        self._voice = voice
        self._reload = reload
        self._take = take
        self._asked = False
        self._stopping = False
        self._status = 0
        self._half = make(self.failed)
        self._half.setServiceParent(self)

    def startService(self) -> None:
        """
        Start, in the process that stays: C{twistd} has forked by now.

        @raise StartFailed: it cannot be; that has been said.
        """
        raiseFileLimit()
        # Once more when the reactor runs, as Twisted takes them when it begins to.
        self._takeSignals()
        self._reactor.callWhenRunning(self._takeSignals)
        try:
            super().startService()
        except StartFailed as e:
            self._voice.say(str(e))
            raise
        self._voice.started()

    def failed(self, sentence: str) -> None:
        """
        End the process with status 1, unless it is ending.
        """
        if not (self._asked or self._stopping):
            self._status = 1
            self._voice.say(sentence)
            self._stop()

    def leave(self, leave: Callable[[int], object] = os._exit) -> None:
        """
        End the process with the status that C{twistd} does not give it; the last thing
        in it.
        """
        if self._status:
            for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
                if stream is not None:
                    stream.flush()
            leave(self._status)

    def _takeSignals(self) -> None:
        for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
            self._takeNamed(name, self._askedToStop)
        self._takeNamed("SIGHUP", self._hungUp)

    def _takeNamed(self, name: str, call: Callable[[], None]) -> None:
        number = getattr(signal, name, None)
        if number is not None:
            self._take(number, lambda *_: self._reactor.callFromThread(call))

    def _askedToStop(self) -> None:
        if self._asked:
            self._stop()
            return
        self._asked = True
        _log.info(
            "stopping: streams have {grace:g} seconds to end, another signal cuts them",
            grace=self._grace,
        )
        drained = Deferred.fromCoroutine(self._drain())
        drained.addErrback(lambda failure: _log.failure("a bug at draining", failure))
        drained.addCallback(lambda _: self._stop())

    async def _drain(self) -> None:
        await self._half.drain(self._grace)

    def _hungUp(self) -> None:
        if self._reload is None:
            self._askedToStop()
            return
        _log.info("SIGHUP: reading files again")
        try:
            self._reload()
        except Exception:
            _log.failure("reading files again failed")

    def _stop(self) -> None:
        if not self._stopping:
            self._stopping = True
            self._reactor.callWhenRunning(self._reactor.stop)


class Voice:
    """
    Says why a process ends: where its user looks, and in its log, but once where
    those are the same.
    """

    def __init__(
        self, terminal: TextIO | None, logged: bool = True, daemon: bool = False
    ) -> None:
        """
        @param terminal: where the user looks, as long as anybody does.
        @param logged: whether the log is elsewhere.
        @param daemon: whether the process leaves the terminal once it has started,
            which is closed then.
        """
        self._terminal = terminal
        self._logged = logged
        self._daemon = daemon

    def say(self, sentence: str) -> None:
        """
        Say one sentence.
        """
        if self._logged or self._terminal is None:
            _log.critical("{sentence}", sentence=sentence)
        if self._terminal is not None:
            print(sentence, file=self._terminal, flush=True)

    def started(self) -> None:
        """
        The process has started.
        """
        if self._daemon and self._terminal is not None:
            self._terminal.close()
            self._terminal = None


def voice(runner: Mapping[str, Any] | None) -> Voice:
    """
    Make the voice of this process.

    @param runner: the options of C{twistd}, or what else runs the service.
    """
    given = runner or {}
    if not given.get("nodaemon", True):
        # The daemon's own streams are /dev/null: twistd's parent process says what
        # went wrong, in its first 60 characters.
        return Voice(os.fdopen(os.dup(2), "w"), daemon=True)
    toFile = given.get("logfile") not in (None, "", "-") or given.get("syslog")
    return Voice(sys.stderr, logged=bool(toFile) or not _samePlace())


def _samePlace() -> bool:
    """
    Tell whether standard output, where the log is, and standard error are one file.
    """
    try:
        return os.path.sameopenfile(1, 2)
    except OSError:
        return False


def withoutFailures(hook: Hook) -> Hook:
    """
    Make an excepthook that prints nothing for a L{StartFailed}, which has been said.

    @param hook: what prints all else.
    """

    def quiet(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if not isinstance(error, StartFailed):
            hook(kind, error, trace)

    return quiet


@provider(ILogFilterPredicate)
def _withoutSockets(event: LogEvent) -> Any:
    """
    Keep from the log what Twisted says of each UDP socket and each connection of an
    HTTP client, at its begin and its end: a flow is one, and there are thousands.
    """
    told = _SOCKETS.fullmatch(str(event.get("log_text", "")))
    if told or event.get("log_namespace") == _HTTP:
        return PredicateResult.no
    return PredicateResult.maybe


def limitLog(level: str, beginner: LogBeginner = globalLogBeginner) -> None:
    """
    Keep from the log what is less important than a level, wherever it is logged and
    whatever kind of log begins.  It is not for the log's own observer, which C{twistd}
    makes in a way that depends on several of its options.

    @param level: the name of the level.
    """
    detail.shown = level == LogLevel.debug.name
    begin = beginner.beginLoggingTo
    predicate = LogLevelFilterPredicate(LogLevel.levelWithName(level))

    def beginLimited(
        observers: Iterable[ILogObserver], *args: Any, **options: Any
    ) -> None:
        predicates = [predicate, _withoutSockets]
        limited = [FilteringLogObserver(each, predicates) for each in observers]
        begin(limited, *args, **options)

    beginner.beginLoggingTo = beginLimited  # type: ignore[method-assign]


COLLECTED: Final = 20_000
"""Objects that are made, beyond those that are gone, between two looks for cycles."""


def collectSeldom() -> None:
    """
    Keep the garbage collector off what is there from the start, which is nearly all
    there is, and have it look at the rest seldom: a visitor leaves few cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECTED, 10, 10)


def raiseFileLimit() -> None:
    """
    Allow this process as many open files as it may have: each visitor is one.
    """
    if resource is None:
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (OSError, ValueError) as e:
        # macOS gives a limit that it does not grant.
        _log.debug("the limit on open files stays: {error}", error=e)
