# -*- test-case-name: tests.commands.test_demo -*-
"""
A demonstration on one machine: a server, a client, and a small web service that they
publish; C{python -m tunnelkit.commands.demo}.

Server and client are the real commands.  All of it listens on this machine alone, on
ports that are free, with a state folder of its own that goes away at the end.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn

import treq
from twisted.internet.defer import (
    CancelledError,
    Deferred,
    TimeoutError,
    maybeDeferred,
)
from twisted.internet.error import ConnectError, ProcessExitedAlready
from twisted.internet.interfaces import IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import LoopingCall, deferLater, react
from twisted.python.failure import Failure
from twisted.web.client import Agent, ResponseFailed
from twisted.web.http import OK
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from tunnelkit.commands.options.flags import TOKEN_VARIABLE
from tunnelkit.commands.process import takeSignal

PATIENCE: Final = 60.0
"""How many seconds it may take until the first visitor is answered."""

_HOST: Final = "127.0.0.1"
_LOOK: Final = 0.2
"""Seconds between two looks at whether something answers yet."""
_PARENT: Final = 1.0
"""Seconds between two looks at whether the parent process is there."""
_PARTING: Final = 5.0
"""How many seconds a child may take to end before it is killed."""

_PAGE: Final = b"""\
<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>tunnelkit</title></head>
<body>
<h1>It works.</h1>
<p>You asked a tunnel server for this page. It asked a client, over TLS, and the client
asked a web service that only its own machine can reach.</p>
</body>
</html>
"""

_SHOWN: Final = """
A web service that only this machine can reach is published now. Try it:

    curl {url}

The server's admin page is {admin}
(any user name, and as password what is in {token}).
Ctrl-C ends the demo and leaves nothing behind.
"""


class Page(Resource):
    """
    The local service: one page, whatever is asked for.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        """
        Greet a visitor.
        """
        request.setHeader(b"content-type", b"text/html; charset=utf-8")
        return _PAGE


class Child(ProcessProtocol):
    """
    A command that runs beside this one.  What it says comes out behind its name.
    """

    transport: IProcessTransport

    def __init__(
        self,
        name: str,
        say: Callable[[str], None],
        ended: Callable[[Child, str], None],
    ) -> None:
        """
        @param ended: told when the child is gone, and how it ended.
        """
        self.name = name
        self._say = say
        self._ended = ended
        self._unfinished = b""

    def outReceived(self, data: bytes) -> None:
        """
        Say what the child says, by lines.
        """
        *lines, self._unfinished = (self._unfinished + data).split(b"\n")
        for line in lines:
            self._say(f"{self.name} | {line.decode(errors='replace')}")

    errReceived = outReceived

    def processEnded(self, reason: Failure) -> None:
        """
        The child is gone.
        """
        self._ended(self, reason.getErrorMessage())

    def signal(self, name: str) -> None:
        """
        Send a signal; nothing happens where the child has ended.
        """
        with contextlib.suppress(ProcessExitedAlready):
            self.transport.signalProcess(name)


class Demo:
    """
    One demonstration.
    """

    def __init__(
        self,
        reactor: Any,
        state: Path,
        say: Callable[[str], None],
        parent: Callable[[], int] = os.getppid,
    ) -> None:
        """
        @param state: where the server's state folder is to be.
        @param say: shows a line to the user.
        @param parent: gives the number of this process's parent.
        """
        self._reactor = reactor
        self._state = state
        self._say = say
        self._parent = parent
        self._agent = Agent(reactor)
        self._children: list[Child] = []
        self._over: Deferred[str] = Deferred()

    async def run(self) -> str:
        """
        Show it until it is over.

        @return: why it is over, or nothing where the user wants that.
        """
        service = self._reactor.listenTCP(0, Site(Page()), interface=_HOST)
        shown = Deferred.fromCoroutine(self._show(service.getHost().port))
        shown.addTimeout(PATIENCE, self._reactor).addErrback(self._ebShow)
        parents = LoopingCall(self._lookForParent, self._parent())
        parents.clock = self._reactor
        parents.start(_PARENT, now=False).addErrback(self._ebShow)
        try:
            return await self._over
        finally:
            parents.stop()
            shown.cancel()
            await self._endChildren()
            await maybeDeferred(service.stopListening)

    def end(self, reason: str = "") -> None:
        """
        End it, unless it is ending.

        @param reason: what went wrong, if it did.
        """
        if not self._over.called:
            self._over.callback(reason)

    async def _show(self, service: int) -> None:
        server, admin, public = freePorts(3)
        token = self._state / "default.token"
        self._start(
            "server",
            *("--port", f"tcp:{server}:interface={_HOST}", "--bind", _HOST),
            *("--admin", str(admin), "--ports", str(public)),
            *("--state", str(self._state)),
        )
        await self._answer(f"http://{_HOST}:{admin}/healthz")
        self._start(
            "client",
            *("--server", f"{_HOST}:{server}", "--token-file", str(token)),
            *("--tunnel", f"tcp:{service}:port={public}"),
        )
        await self._answer(f"http://{_HOST}:{public}/")
        self._say(
            _SHOWN.format(
                url=f"http://{_HOST}:{public}/",
                admin=f"http://{_HOST}:{admin}/",
                token=self._state / "admin.token",
            )
        )

    def _start(self, command: str, *options: str) -> None:
        self._say(f"$ {shlex.join(['tunnelkit', command, *options])}")
        child = Child(command, self._say, self._ended)
        words = [sys.executable, "-m", "tunnelkit.commands.console", command, *options]
        self._reactor.spawnProcess(child, sys.executable, words, env=_environment())
        self._children.append(child)

    async def _answer(self, url: str) -> None:
        """
        Wait until there is an answer.
        """
        while True:
            with contextlib.suppress(ConnectError, ResponseFailed):
                response = await treq.get(url, agent=self._agent)
                await treq.content(response)
                if response.code == OK:
                    return
            await self._pause()

    def _ended(self, child: Child, how: str) -> None:
        self._children.remove(child)
        self.end(f"the {child.name} is gone: {how}")

    def _lookForParent(self, parent: int) -> None:
        if self._parent() != parent:
            self.end("the process that started the demo is gone")

    def _ebShow(self, failure: Failure) -> None:
        if failure.check(TimeoutError):
            self.end(f"no visitor was answered within {PATIENCE:.0f} seconds")
        elif not failure.check(CancelledError):
            self.end(failure.getErrorMessage())

    async def _endChildren(self) -> None:
        for child in self._children:
            child.signal("TERM")
        until = self._reactor.seconds() + _PARTING
        while self._children:
            await self._pause()
            if self._reactor.seconds() > until:
                for child in self._children:
                    child.signal("KILL")

    async def _pause(self) -> None:
        await deferLater(self._reactor, _LOOK)


def freePorts(count: int) -> list[int]:
    """
    Find ports on which nobody listens.
    """
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in found:
            one.bind((_HOST, 0))
        return [one.getsockname()[1] for one in found]


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}


async def _run(reactor: Any) -> None:
    folder = tempfile.mkdtemp(prefix="tunnelkit-demo-")
    demo = Demo(reactor, Path(folder, "state"), lambda line: print(line, flush=True))

    def takeSignals() -> None:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            if (number := getattr(signal, name, None)) is not None:
                takeSignal(number, lambda *_: reactor.callFromThread(demo.end))

    reactor.callWhenRunning(takeSignals)
    try:
        reason = await demo.run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if reason:
        raise SystemExit(f"tunnelkit demo: {reason}")


def main() -> NoReturn:
    """
    Run the demonstration, and exit.
    """
    react(lambda reactor: Deferred.fromCoroutine(_run(reactor)))


if __name__ == "__main__":
    main()
