"""
Tests of how programs start that cannot start, and of what their logs show.
"""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from signal import SIGTERM

from tests.stage.case import HOST, FunctionalCase
from tests.stage.ended import CONSOLE, Ended, ended
from tests.stage.ports import freePort
from tests.stage.programs import TWISTD, until
from tunnelkit.wire.token import Token

WRONG = Token("default", "wrongwrongwrongwrong12345678")


class StartupCase(FunctionalCase):
    """
    Commands that end.
    """

    async def run_(self, *command: str | Path) -> Ended:
        """
        Run a command in the test's folder to its end.
        """
        return await ended(self.folder, *command)

    def taken(self) -> int:
        """
        Have a port taken by another program.
        """
        listening = socket.create_server((HOST, 0))
        self.addCleanup(listening.close)
        port: int = listening.getsockname()[1]
        return port

    def files(self) -> set[str]:
        """
        Give the names of what is in the test's folder.
        """
        return {path.name for path in self.folder.iterdir()}

    def server_(self, port: int) -> list[str]:
        """
        Give options of a server for this port.
        """
        return [
            f"--port=tcp:{port}:interface={HOST}",
            "--admin=off",
            f"--state={self.folder / 'state'}",
        ]

    def assertSentence(self, text: str, words: str) -> None:
        """
        A text is one sentence that has these words, and nothing else.
        """
        self.assertEqual(text.count("\n"), 1, text)
        self.assertIn(words, text)
        self.assertNotIn("Traceback", text)


class FailedStartTests(StartupCase):
    """
    What cannot start says why in one sentence, fails, and leaves nothing in the way of
    the next start.
    """

    async def test_foreground(self) -> None:
        """
        C{twistd -n} with a port that is taken: the sentence is on standard error, and
        in the log.
        """
        port = self.taken()
        done = await self.run_(*TWISTD, "-n", "tunnelserver", *self.server_(port))
        self.assertEqual(done.returncode, 1)
        self.assertSentence(done.stderr, f"{port}")
        self.assertIn(done.stderr.strip(), done.stdout)
        self.assertNotIn("Traceback", done.stdout)
        self.assertEqual(self.files(), {"state"})

    async def test_daemon(self) -> None:
        """
        The same as a daemon: the terminal gets the whole sentence before its prompt
        comes back.
        """
        port = self.taken()
        done = await self.run_(*TWISTD, "tunnelserver", *self.server_(port))
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        first = done.stderr.splitlines(keepends=True)[0]
        self.assertSentence(first, f"{port}")
        self.assertNotIn("Traceback", done.stderr)
        log = (self.folder / "twistd.log").read_text()
        self.assertIn(first.strip(), log)
        self.assertNotIn("Traceback", log)
        self.assertEqual(self.files(), {"state", "twistd.log"})

    async def test_console(self) -> None:
        """
        The same with C{tunnelkit server}.
        """
        port = self.taken()
        done = await self.run_(*CONSOLE, "server", *self.server_(port))
        self.assertEqual(done.returncode, 1)
        self.assertSentence(done.stderr, f"{port}")
        self.assertEqual(self.files(), {"state"})

    async def test_logFile(self) -> None:
        """
        With a log file the sentence is there, and on the terminal.
        """
        port = self.taken()
        done = await self.run_(
            *(*TWISTD, "-n", "--logfile=x.log", "tunnelserver"), *self.server_(port)
        )
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertSentence(done.stderr, f"{port}")
        self.assertIn(done.stderr.strip(), (self.folder / "x.log").read_text())

    async def test_again(self) -> None:
        """
        Once the port is free, the same command starts.
        """
        listening = socket.create_server((HOST, 0))
        options = self.server_(listening.getsockname()[1])
        done = await self.run_(*TWISTD, "-n", "tunnelserver", *options)
        self.assertEqual(done.returncode, 1)
        listening.close()
        server = self.twistd("tunnelserver", *options)
        await server.says("listening on")

    async def test_stateInUse(self) -> None:
        """
        A second server on one state folder is told who has it.
        """
        server = self.server()
        await server.listens()
        done = await self.run_(
            *(*CONSOLE, "server", "--port", f"{freePort()}", "--admin", "off"),
            *("--state", server.state),
        )
        self.assertEqual(done.returncode, 1)
        self.assertSentence(done.stderr, f"{server.state}")

    async def test_badCertificate(self) -> None:
        """
        A certificate that is none is named.
        """
        path = self.file("c.pem", "no certificate")
        done = await self.run_(
            *(*TWISTD, "-n", "tunnelserver", *self.server_(freePort())),
            *("--certificate", path, "--key", path),
        )
        self.assertEqual(done.returncode, 1)
        self.assertSentence(done.stderr, str(path))


class BadOptionTests(StartupCase):
    """
    What is wrong with the options is said before anything starts.
    """

    async def test_twistd(self) -> None:
        """
        C{twistd} shows the help and what is wrong, in the foreground and as a daemon.
        """
        for flags in (["-n"], []):
            done = await self.run_(*TWISTD, *flags, "tunnelserver", "--port", "tpc:1")
            self.assertEqual(done.returncode, 1)
            last = done.stdout.splitlines()[-1]
            self.assertIn("--port: 'tpc:1' is not an endpoint description", last)
            self.assertNotIn("Traceback", done.stdout + done.stderr)
            self.assertEqual(self.files(), set())

    async def test_console(self) -> None:
        """
        C{tunnelkit} says it in two lines.
        """
        done = await self.run_(*CONSOLE, "client", "--server", "vps:0")
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertEqual(done.stderr.count("\n"), 2)
        self.assertIn("tunnelkit client: --server: '0' is not a port", done.stderr)


class FailedLaterTests(StartupCase):
    """
    What fails for good once it runs says why in one sentence, and fails.
    """

    def client_(self, port: int) -> list[str | Path]:
        """
        Give options of a client with a wrong token.
        """
        token = self.file("wrong.token", f"{WRONG}\n")
        token.chmod(0o600)
        return [
            f"--server={HOST}:{port}",
            f"--token-file={token}",
            "--tunnel=tcp:1",
        ]

    async def test_foreground(self) -> None:
        """
        A wrong token ends C{twistd -n} and C{tunnelkit} with status 1.
        """
        server = self.server()
        await server.listens()
        for command in ([*TWISTD, "-n", "tunnelclient"], [*CONSOLE, "client"]):
            done = await self.run_(*command, *self.client_(server.port))
            self.assertEqual(done.returncode, 1)
            self.assertSentence(done.stderr, "token")
            self.assertIn(done.stderr.strip(), done.stdout)
            self.assertNotIn("Traceback", done.stdout)
            self.assertNotIn(WRONG.secret, done.stdout + done.stderr)
            self.assertEqual(self.files(), {server.state.name, "wrong.token"})

    async def test_warned(self) -> None:
        """
        Who gives the token on the command line is told that others can read it there.
        """
        server = self.server()
        await server.listens()
        done = await self.run_(
            *(*CONSOLE, "client", f"--server={HOST}:{server.port}", "--tunnel=tcp:1"),
            f"--token={WRONG}",
        )
        self.assertEqual(done.returncode, 1)
        self.assertIn("better use --token-file", done.stdout)
        self.assertNotIn(WRONG.secret, done.stdout + done.stderr)

    async def test_daemon(self) -> None:
        """
        A daemon that has started and then fails says so in its log, and takes its pid
        file away.
        """
        server = self.server()
        await server.listens()
        done = await self.run_(*TWISTD, "tunnelclient", *self.client_(server.port))
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        pid = self.folder / "twistd.pid"
        await until(lambda: not pid.exists(), "the pid file is gone")
        log = (self.folder / "twistd.log").read_text()
        self.assertIn("#critical] ", log)
        self.assertNotIn("Traceback", log)


class DaemonTests(StartupCase):
    """
    A daemon lets go of its terminal, and ends as well as in the foreground.
    """

    async def test_lives(self) -> None:
        """
        It starts without a word, in another folder than its own, and SIGTERM ends it.
        """
        run = self.folder / "run"
        run.mkdir()
        done = await self.run_(
            *(*TWISTD, "--rundir=run", "tunnelserver", "--state=state"),
            *(f"--port=tcp:{freePort()}:interface={HOST}", "--admin=off"),
        )
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        pid = self.folder / "twistd.pid"
        number = int(pid.read_text())
        try:
            log = self.folder / "twistd.log"
            await until(lambda: "listening on" in log.read_text(), "it listens")
            self.assertTrue((self.folder / "state" / "default.token").exists())
        finally:
            os.kill(number, SIGTERM)
        await until(lambda: not pid.exists(), "the pid file is gone")
        self.assertNotIn("Traceback", log.read_text())


class LogLevelTests(StartupCase):
    """
    C{--log-level} holds for all that a program logs, Twisted's own lines included.
    """

    async def levels(self, *command: str | Path) -> set[str]:
        """
        Give the levels of a program's lines, from its start to its end.
        """
        server = self.program(*command)
        await self.accepts((HOST, self.port))
        self.assertEqual(await server.stop(), 0)
        return set(re.findall(r"#(\w+)\] ", server.output))

    async def test_levels(self) -> None:
        """
        A level shows itself and what is more important, under C{twistd} and
        C{tunnelkit}.
        """
        for command in ([*TWISTD, "-n", "tunnelserver"], [*CONSOLE, "server"]):
            for level, expected in (("info", {"info"}), ("warn", set())):
                self.port = freePort()
                found = await self.levels(
                    *(*command, *self.server_(self.port), "--log-level", level)
                )
                self.assertEqual(found, expected, (command, level))

    async def test_debug(self) -> None:
        """
        Debug names what happens on the wire, and never the token.
        """
        server = self.server("--log-level=debug")
        client = self.client(
            server, self.service().tunnel, options=["--log-level=debug"]
        )
        await client.leads()
        token = Token.parse(server.token.read_text())
        for program in (server, client):
            self.assertEqual(await program.stop(), 0)
            self.assertTrue(program.said("#debug] "), program.output)
            self.assertFalse(program.said(token.secret), program.output)
