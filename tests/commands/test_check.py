"""
Tests for L{tunnelkit.commands.check}.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.checking import Report, Step
from tunnelkit.commands import client
from tunnelkit.commands.check import Options, described
from tunnelkit.settings import ClientSettings
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.token import Token

TOKEN = Token("alice", "abcdefgh12345678")
ENVIRON = {"TUNNELKIT_TOKEN": str(TOKEN)}


class OptionsTests(SynchronousTestCase):
    """
    C{tunnelkit check} logs in as a client does.
    """

    def test_settings(self) -> None:
        """
        It takes what a client's login needs, and no tunnels.
        """
        options = Options(ENVIRON)
        options.parseOptions(["--server", "vps:1", "--verify"])
        self.assertEqual(
            options.settings,
            ClientSettings(
                server=HostPort("vps", 1),
                token=TOKEN,
                name="check",
                tunnels=(),
                verify=True,
                grace=0.0,
            ),
        )
        self.assertRaises(UsageError, Options(ENVIRON).parseOptions, ["--tunnel", "x"])

    def test_missing(self) -> None:
        """
        What is missing is asked for.
        """
        for arguments, environ, words in (
            ([], ENVIRON, "--server is missing"),
            (["--server", "vps"], {}, "the token is missing"),
        ):
            options = Options(environ)
            error = self.assertRaises(UsageError, options.parseOptions, arguments)
            self.assertIn(words, str(error))

    def test_clientsFile(self) -> None:
        """
        A client's file serves, with all that a client's can have.
        """
        path = Path(self.mktemp())
        path.write_text(
            f'server = "vps"\ntoken = "{TOKEN}"\ntunnel = ["tcp:8000"]\nname = "x"\n'
            'grace = 1\nlog-level = "debug"'
        )
        self.assertLessEqual(set(client.Options.fileKeys), set(Options.fileKeys))
        options = Options({})
        options.parseOptions(["--config", str(path)])
        self.assertEqual(options.settings.server, HostPort("vps", 8910))
        self.assertEqual(options.logLevel, "debug")

    def test_quiet(self) -> None:
        """
        The report is not lost among the lines of a log.
        """
        options = Options(ENVIRON)
        options.parseOptions(["--server", "vps"])
        self.assertEqual(options.logLevel, "error")
        self.assertIn("[default: error]", str(options))


COMMAND = (sys.executable, "-m", "tunnelkit.commands.console", "check")


class LogTests(SynchronousTestCase):
    """
    The log of a check is on standard error, and as long as the user wants it.
    """

    def told(self, *options: str) -> str:
        """
        Check a server that is not there, with a token on the command line, and give
        what was written to standard error.
        """
        with socket.create_server(("127.0.0.1", 0)) as trial:
            server = f"127.0.0.1:{trial.getsockname()[1]}"
        token = str(Token("default", "a2" * 16))
        done = subprocess.run(
            [*COMMAND, "--server", server, "--token", token, *options],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        self.assertEqual(done.returncode, 1, done.stderr)
        return done.stderr

    def test_level(self) -> None:
        """
        That others can read the token is said to who asks for warnings.
        """
        self.assertIn("every user of this machine", self.told("--log-level", "warn"))

    def test_quiet(self) -> None:
        """
        By default there is the report alone.
        """
        self.assertNotIn("every user", self.told())


class DescribedTests(SynchronousTestCase):
    """
    A report is read at a glance.
    """

    def test_good(self) -> None:
        """
        Each step has its time.
        """
        report = Report(
            (
                Step("server", "vps:8910 is reached", 0.0123),
                Step("round trip", "1.50 ms in the middle of 9", 1.5),
            )
        )
        self.assertEqual(
            [*described(report)],
            [
                "   12.3 ms  server      vps:8910 is reached",
                " 1500.0 ms  round trip  1.50 ms in the middle of 9",
                "It works.",
            ],
        )

    def test_bad(self) -> None:
        """
        A step that failed says why, and the last line that it did.
        """
        report = Report(
            (Step("server", "is reached", 0.1), Step("tunnel", "no such user", None))
        )
        self.assertEqual(
            [*described(report)],
            [
                "  100.0 ms  server  is reached",
                "    failed  tunnel  no such user",
                "It does not work.",
            ],
        )
