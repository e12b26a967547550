# -*- test-case-name: tests.commands.test_check -*-
"""
C{tunnelkit check}: goes through a server from end to end, and says what works.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import ClassVar, Final, NoReturn

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.logger import Logger, globalLogBeginner, textFileLogObserver
from twisted.python.usage import UsageError

from tunnelkit.checking import Report, Step, runCheck
from tunnelkit.commands.options.abroad import spokenBy
from tunnelkit.commands.options.login import ServerOptions
from tunnelkit.commands.process import limitLog
from tunnelkit.relay.endpoints import IPortableReactor
from tunnelkit.settings import ClientSettings

_log: Final = Logger()


class Options(ServerOptions):
    """
    What C{tunnelkit check} can be told: what a client is, but for the tunnels.  In a
    client's file those are passed over.

    @ivar settings: the same, checked and complete, once it is parsed.
    """

    settings: ClientSettings

    synopsis = "--server HOST[:PORT] --token-file FILE [options]"
    longdesc = (
        "Logs in, opens a tunnel to an echo of its own under a random name, goes"
        " through it from the outside, and closes it; no lease stays behind. The exit"
        " status is 0 where all of it works."
    )
    usualLevel: ClassVar = "error"

    def postOptions(self) -> None:
        """
        Check everything, and make the settings.
        """
        super().postOptions()
        if spokenBy(self) is not None:
            raise UsageError(
                "a dialect is to be spoken, and this checks servers of tunnelkit's own"
                " alone"
            )
        self.settings = self.makeSettings(name="check", tunnels=(), grace=0.0)


def run(options: Options) -> NoReturn:
    """
    Check a server, print what works, and exit.
    """
    limitLog(options.logLevel)
    for warning in options.warnings:
        _log.warn("{sentence}", sentence=warning)
    # Standard output is the report's.
    globalLogBeginner.beginLoggingTo(
        [textFileLogObserver(sys.stderr)], redirectStandardIO=False
    )
    react(lambda reactor: Deferred.fromCoroutine(_check(options.settings, reactor)))


async def _check(settings: ClientSettings, reactor: IPortableReactor) -> None:
    report = await runCheck(settings, reactor, os.urandom)
    print("\n".join(described(report)))
    if not report.good:
        raise SystemExit(1)


def described(report: Report) -> Iterator[str]:
    """
    Describe what was tried, a line each, and what that means.
    """
    width = max(len(step.name) for step in report.steps)
    for step in report.steps:
        yield f"{_taken(step):>10}  {step.name:{width}}  {step.words}"
    yield "It works." if report.good else "It does not work."


def _taken(step: Step) -> str:
    return "failed" if step.seconds is None else f"{step.seconds * 1000:.1f} ms"
