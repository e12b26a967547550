"""
Tests for L{tunnelkit.commands.console}.
"""

from __future__ import annotations

import contextlib
import io
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tunnelkit import __version__
from tunnelkit.commands import check, client, console, server, tokens
from tunnelkit.commands.console import Options, main


class MainTests(SynchronousTestCase):
    """
    C{tunnelkit} does what it is told, and says in a line or two why it cannot.
    """

    def setUp(self) -> None:
        """
        Put something in the place of what would run.
        """
        self.ran: list[tuple[str, Any]] = []
        self.patch(console, "RUN", {name: self._runs(name) for name in console.RUN})

    def _runs(self, name: str) -> Any:
        def run(options: Any) -> int:
            self.ran.append((name, options))
            return 7

        return run

    def main(self, *arguments: str) -> tuple[object, str, str]:
        """
        Run the command.

        @return: exit status, standard output, standard error.
        """
        with (
            contextlib.redirect_stdout(io.StringIO()) as out,
            contextlib.redirect_stderr(io.StringIO()) as err,
        ):
            ended = self.assertRaises(SystemExit, main, arguments)
        return ended.code, out.getvalue(), err.getvalue()

    def test_runs(self) -> None:
        """
        Each command gets its options, and its status is the process's.
        """
        token = ("--token", "tk1_alice_abcdefgh12345678")
        for arguments, kind in (
            (("server", "--port", "9000"), server.Options),
            (("client", "--server", "x", *token, "--tunnel", "tcp:1"), client.Options),
            (("token", "list", "--state", "/x"), tokens.Options),
            (("check", "--server", "x", *token), check.Options),
        ):
            self.ran.clear()
            self.assertEqual(self.main(*arguments), (7, "", ""))
            ((name, options),) = self.ran
            self.assertEqual((name, type(options)), (arguments[0], kind))

    def test_sameOptions(self) -> None:
        """
        C{tunnelkit server} and C{tunnelkit client} take what the plugins take.
        """
        commands = {name: made for name, _, made, _ in Options.subCommands}
        self.assertIs(commands["server"], server.Options)
        self.assertIs(commands["client"], client.Options)

    def test_badOption(self) -> None:
        """
        A bad option is named in one line, behind the way to help.
        """
        for arguments, lines in (
            (
                ("server", "--port", "0"),
                [
                    "tunnelkit server --help shows what can be given.",
                    "tunnelkit server: --port: '0' is not a port: give a number from"
                    " 1 to 65535",
                ],
            ),
            (
                ("token", "revoke"),
                [
                    "tunnelkit token revoke --help shows what can be given.",
                    "tunnelkit token revoke: the user is missing",
                ],
            ),
        ):
            status, out, err = self.main(*arguments)
            self.assertEqual((status, out, err.splitlines()), (2, "", lines))
        self.assertEqual(self.ran, [])

    def test_noCommand(self) -> None:
        """
        Who gives no command, or one that is not there, is shown those that are.
        """
        for arguments, last in (
            ((), "tunnelkit: a command is missing"),
            (("serve",), "tunnelkit: Unknown command: serve"),
            (("token",), "tunnelkit token: a command is missing: new, list or revoke"),
        ):
            status, out, err = self.main(*arguments)
            self.assertEqual((status, out), (2, ""))
            self.assertIn("Commands:", err)
            self.assertEqual(err.splitlines()[-1], last)

    def test_help(self) -> None:
        """
        The help names each command, and says what tunnelkit is.
        """
        status, out, _ = self.main("--help")
        self.assertEqual(status, 0)
        for word in ("server", "client", "token", "check", "reverse tunnel"):
            self.assertIn(word, out)
        self.assertTrue(out.startswith("Usage: tunnelkit"))

    def test_usage(self) -> None:
        """
        The first line of a command's help can be typed as it stands there.
        """
        for words, line in (
            (("token",), "Usage: tunnelkit token"),
            (("token", "new"), "Usage: tunnelkit token new [USER] [options]"),
            (("token", "list"), "Usage: tunnelkit token list [options]"),
            (("token", "revoke"), "Usage: tunnelkit token revoke USER [options]"),
        ):
            _, out, _ = self.main(*words, "--help")
            self.assertEqual(out.splitlines()[0], line)

    def test_version(self) -> None:
        """
        Each command's version is tunnelkit's.
        """
        for words in ((), ("server",), ("token",), ("token", "new")):
            status, out, _ = self.main(*words, "--version")
            self.assertEqual((status, out), (0, f"tunnelkit {__version__}\n"))
