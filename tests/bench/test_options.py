"""
Tests for L{tests.bench.options} and what the command does with them.
"""

from __future__ import annotations

import contextlib
import io
import shlex
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.bench import __main__ as command
from tests.bench.figures import KEYS, PLAIN, TLS
from tests.bench.machine import Machine
from tests.bench.neighbours import Noise
from tests.bench.options import parsed
from tests.bench.sample import sample
from tests.bench.ways import DESCRIPTION


class OptionsTests(SynchronousTestCase):
    """
    The command line.
    """

    def assertWrong(self, *arguments: str) -> str:
        """
        Give a command line that is refused.

        @return: what was said.
        """
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            error = self.assertRaises(SystemExit, parsed, arguments)
        self.assertEqual(error.code, 2)
        return said.getvalue()

    def test_defaults(self) -> None:
        """
        Without options everything is measured, and nothing is written.
        """
        options = parsed([])
        self.assertEqual(
            (options.rounds, options.seconds, options.visitors), (3, 3, 2000)
        )
        self.assertEqual((options.only, options.paths), (KEYS, (PLAIN, TLS)))
        self.assertEqual((options.tlsPort, [*options.peers]), ("", []))
        self.assertEqual((options.json, options.svg, options.rst), (None, None, None))

    def test_given(self) -> None:
        """
        Each option counts.
        """
        options = parsed(
            shlex.split(
                "--rounds 5 --seconds 2 --only cpu,bulk-8 --paths tls --visitors 500 "
                "--tls-port ssl:{port} --peers rathole ssh --json a --svg b --rst c"
            )
        )
        self.assertEqual(
            (options.rounds, options.seconds, options.visitors), (5, 2, 500)
        )
        self.assertEqual((options.only, options.paths), (("cpu", "bulk-8"), (TLS,)))
        self.assertEqual(options.tlsPort, "ssl:{port}")
        self.assertEqual(options.peers, ["rathole", "ssh"])
        self.assertEqual(
            [*map(str, (options.json, options.svg, options.rst))], [*"abc"]
        )

    def test_tlsPort(self) -> None:
        """
        The description over which Twisted does the TLS need not be written.
        """
        self.assertEqual(parsed(["--tls-port"]).tlsPort, DESCRIPTION)

    def test_peers(self) -> None:
        """
        The Makefile passes peers on as they were given to it: none, or several, with
        blanks or commas.
        """
        self.assertEqual(parsed(["--peers", "--rounds", "1"]).peers, [])
        for given in (["bore", "frp"], ["bore,frp"], ["bore frp"]):
            self.assertEqual(parsed(["--peers", *given]).peers, ["bore", "frp"])

    def test_wrong(self) -> None:
        """
        What is not known is named, with what is.
        """
        self.assertIn("ngrok is not among", self.assertWrong("--peers", "ngrok"))
        self.assertIn("requests,", self.assertWrong("--only", "speed"))
        self.assertIn("0 is less than 1", self.assertWrong("--rounds", "0"))
        self.assertIn("invalid number value: 'x'", self.assertWrong("--rounds", "x"))


class CommandTests(SynchronousTestCase):
    """
    The command, as far as it can be had without a run.
    """

    def test_missing(self) -> None:
        """
        Who lacks a program is told which, and what to install.
        """
        said = list[str]()
        self.patch(command, "missing", lambda: "wrk is missing (apt-get install wrk)")
        self.patch(command, "tell", said.append)
        self.assertEqual(command.main([]), 1)
        self.assertEqual(said, ["wrk is missing (apt-get install wrk)"])

    def test_write(self) -> None:
        """
        Those files are written that were asked for, and no others.
        """
        folder = Path(self.mktemp())
        options = parsed(
            ["--json", str(folder / "a" / "f.json"), "--rst", str(folder / "t.txt")]
        )
        machine = Machine(*("d", "c", 2, "m", "k", "p", "o", "h"), 0.0)
        command.write(options, machine, Noise(0.0, 0.0), sample())
        found = {
            str(path.relative_to(folder))
            for path in folder.rglob("*")
            if path.is_file()
        }
        self.assertEqual(found, {"a/f.json", "t.txt"})
