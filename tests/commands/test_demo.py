"""
Tests for L{tunnelkit.commands.demo}.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

from treq.testing import StubTreq
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready, ProcessTerminated
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.commands.demo import Child, Demo, Page, freePorts


class FakeProcess:
    """
    A process that a test ends.

    @ivar signals: those that it got.
    """

    def __init__(self, child: Child, words: list[str], environ: dict[str, str]) -> None:
        self.child = child
        self.words = words
        self.environ = environ
        self.signals: list[str] = []
        self.ended = False

    def signalProcess(self, name: str) -> None:
        """
        Take a signal.
        """
        if self.ended:
            raise ProcessExitedAlready
        self.signals.append(name)

    def end(self, status: int = 0) -> None:
        """
        End.
        """
        self.ended = True
        self.child.processEnded(Failure(ProcessTerminated(status)))


class FakeReactor(MemoryReactorClock):
    """
    A reactor whose processes do nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.spawned: list[FakeProcess] = []

    def spawnProcess(
        self, child: Child, program: str, words: list[str], env: dict[str, str]
    ) -> None:
        """
        Make one.
        """
        process = FakeProcess(child, words, env)
        child.makeConnection(process)
        self.spawned.append(process)


class DemoCase(SynchronousTestCase):
    """
    A demonstration in memory.
    """

    def setUp(self) -> None:
        """
        Begin one.
        """
        self.reactor: Any = FakeReactor()
        self.said: list[str] = []
        self.parent = 7
        self.answers: list[tuple[str, Deferred[None]]] = []
        self.demo = Demo(
            self.reactor, Path("/x/state"), self.said.append, lambda: self.parent
        )
        self.patch(self.demo, "_answer", self._answer)
        self.over = Deferred.fromCoroutine(self.demo.run())
        self.addCleanup(self.endChildren)
        self.addCleanup(self.demo.end)

    def _answer(self, url: str) -> Deferred[None]:
        answer: Deferred[None] = Deferred()
        self.answers.append((url, answer))
        return answer

    def wait(self, seconds: float) -> None:
        """
        Let time pass.
        """
        self.reactor.pump([0.1] * round(seconds * 10))

    def answer(self) -> None:
        """
        Have what the demo waits for answer.
        """
        self.answers[-1][1].callback(None)

    def endChildren(self) -> None:
        """
        Have the children end, as they do when they are asked.
        """
        # The first that ends has the demo ask the others.
        for process in self.reactor.spawned:
            if not process.ended:
                process.end()
        self.wait(1)


class DemoTests(DemoCase):
    """
    C{make demo} shows a server and a client, and leaves nothing behind.
    """

    def option(self, command: int, name: str) -> str:
        """
        Give what an option of a command says.
        """
        words = self.reactor.spawned[command].words
        return str(words[words.index(name) + 1])

    def test_commands(self) -> None:
        """
        The commands that are shown are those that run.
        """
        self.answer()
        self.assertEqual(len(self.reactor.spawned), 2)
        for process, shown in zip(self.reactor.spawned, self.said, strict=True):
            start, rest = process.words[:3], process.words[3:]
            self.assertEqual(
                start, [sys.executable, "-m", "tunnelkit.commands.console"]
            )
            self.assertEqual(shown, f"$ tunnelkit {' '.join(rest)}")

    def test_order(self) -> None:
        """
        The client starts when the server is ready, and the user is called when the
        first visitor was answered.
        """
        self.assertEqual([p.words[3] for p in self.reactor.spawned], ["server"])
        admin = self.option(0, "--admin")
        self.assertEqual(self.answers[0][0], f"http://127.0.0.1:{admin}/healthz")
        self.answer()
        url = f"http://127.0.0.1:{self.option(0, '--ports')}/"
        self.assertEqual(self.answers[1][0], url)
        self.assertNotIn("curl", "".join(self.said))
        self.answer()
        self.assertIn(f"curl {url}\n", self.said[-1])
        self.assertIn(f"http://127.0.0.1:{admin}/", self.said[-1])
        self.assertIn("/x/state/admin.token", self.said[-1])

    def test_fits(self) -> None:
        """
        The client has the server's address and token, and publishes the web service.
        """
        self.answer()
        port = self.option(0, "--port")
        self.assertEqual(port, f"tcp:{port.split(':')[1]}:interface=127.0.0.1")
        self.assertEqual(self.option(1, "--server"), f"127.0.0.1:{port.split(':')[1]}")
        self.assertEqual(self.option(1, "--token-file"), "/x/state/default.token")
        self.assertEqual(
            self.option(1, "--tunnel"), f"tcp:0:port={self.option(0, '--ports')}"
        )

    def test_nobodysToken(self) -> None:
        """
        A token in the user's environment is not the demo's.
        """
        self.patch(os, "environ", {"TUNNELKIT_TOKEN": "x", "PATH": "/bin"})
        self.answer()
        self.assertEqual(self.reactor.spawned[1].environ, {"PATH": "/bin"})

    def test_ends(self) -> None:
        """
        Ctrl-C ends it well, once the children are gone.
        """
        self.answer()
        self.answer()
        self.demo.end()
        self.assertNoResult(self.over)
        self.assertEqual([p.signals for p in self.reactor.spawned], [["TERM"]] * 2)
        self.endChildren()
        self.assertEqual(self.successResultOf(self.over), "")
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_endsEarly(self) -> None:
        """
        The same before it is ready.
        """
        self.demo.end()
        self.demo.end()
        self.endChildren()
        self.assertEqual(self.successResultOf(self.over), "")
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_kills(self) -> None:
        """
        A child that does not end is killed.
        """
        self.demo.end()
        self.wait(4)
        (process,) = self.reactor.spawned
        self.assertEqual(process.signals, ["TERM"])
        self.wait(2)
        self.assertIn("KILL", process.signals)
        self.endChildren()
        self.successResultOf(self.over)

    def test_childEnds(self) -> None:
        """
        When a child is gone the demo is over, and says which and how.
        """
        self.answer()
        self.answer()
        server, client = self.reactor.spawned
        client.end(3)
        self.assertEqual((server.signals, client.signals), (["TERM"], []))
        self.endChildren()
        reason = self.successResultOf(self.over)
        self.assertIn("the client is gone", reason)
        self.assertIn("exit code 3", reason)

    def test_parentEnds(self) -> None:
        """
        When nobody is there to press Ctrl-C any more, the demo ends.
        """
        self.wait(3)
        self.assertNoResult(self.over)
        self.parent = 1
        self.wait(1)
        self.endChildren()
        self.assertEqual(
            self.successResultOf(self.over),
            "the process that started the demo is gone",
        )

    def test_patience(self) -> None:
        """
        A demo that does not come up says so, and ends.
        """
        self.wait(61)
        self.endChildren()
        self.assertEqual(
            self.successResultOf(self.over),
            "no visitor was answered within 60 seconds",
        )

    def test_bug(self) -> None:
        """
        What else goes wrong ends it, too.
        """
        self.answers[-1][1].errback(ZeroDivisionError("a bug"))
        self.endChildren()
        self.assertEqual(self.successResultOf(self.over), "a bug")


class ChildTests(SynchronousTestCase):
    """
    What children say can be told apart.
    """

    def test_lines(self) -> None:
        """
        Each line stands whole behind its child's name, wherever it was cut.
        """
        for cut in range(len(b"one\ntwo\xff\n")):
            said: list[str] = []
            child = Child("server", said.append, lambda *_: None)
            child.outReceived(b"one\ntwo\xff\n"[:cut])
            child.errReceived(b"one\ntwo\xff\n"[cut:])
            self.assertEqual(said, ["server | one", "server | two\ufffd"])

    def test_goneAlready(self) -> None:
        """
        A child that is gone takes no signal, and that is no error.
        """
        child = Child("server", lambda line: None, lambda *_: None)
        process = FakeProcess(child, [], {})
        child.makeConnection(process)
        process.end()
        child.signal("TERM")
        self.assertEqual(process.signals, [])


class PageTests(SynchronousTestCase):
    """
    The web service of the demo.
    """

    def test_page(self) -> None:
        """
        It greets whoever asks, for whatever.
        """
        for path in ("", "x/y"):
            client: Any = StubTreq(Page())
            asked = client.get(f"http://127.0.0.1/{path}")
            response = self.successResultOf(asked)
            text = self.successResultOf(response.text())
            self.assertEqual(response.code, 200)
            self.assertIn("It works.", text)


class FreePortsTests(SynchronousTestCase):
    """
    The demo disturbs nobody.
    """

    def test_free(self) -> None:
        """
        Each of its ports is another one that can be listened on.
        """
        ports = freePorts(5)
        self.assertEqual(len(set(ports)), 5)
        for port in ports:
            socket.create_server(("127.0.0.1", port)).close()
