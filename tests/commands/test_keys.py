"""
Tests for L{tunnelkit.commands.keys}.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.commands.keys import Options, run
from tunnelkit.wire.endkey import parseEndKey


class KeysTests(SynchronousTestCase):
    """
    C{tunnelkit key new} makes a key.
    """

    def setUp(self) -> None:
        """
        Make a folder for it.
        """
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "ssh.key"

    def run_(self, *arguments: str) -> tuple[int, str, str]:
        """
        Run the command.

        @return: its status, and what it wrote.
        """
        options = Options()
        options.parseOptions(arguments)
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = run(options)
        return status, out.getvalue(), err.getvalue()

    def test_new(self) -> None:
        """
        The file holds a key, for nobody else's eyes, and nothing of it is shown.
        """
        status, out, err = self.run_("new", str(self.path))
        self.assertEqual((status, err), (0, ""))
        self.assertIn(f"wrote {self.path.absolute()}", out)
        self.assertNotIn("BEGIN", out)
        parseEndKey(self.path.read_bytes())
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def test_there(self) -> None:
        """
        What is there already stays as it is.
        """
        self.path.write_text("mine")
        status, out, err = self.run_("new", str(self.path))
        self.assertEqual((status, out), (1, ""))
        self.assertIn("is there already, and is left as it is", err)
        self.assertEqual(self.path.read_text(), "mine")

    def test_unwritable(self) -> None:
        """
        Where it cannot be written that is said.
        """
        status, _, err = self.run_("new", str(self.folder / "no" / "ssh.key"))
        self.assertEqual(status, 1)
        self.assertIn("cannot be written: No such file or directory", err)

    def test_missing(self) -> None:
        """
        A command and a file are needed.
        """
        for arguments, words in (
            ((), "a command is missing: new"),
            (("new",), "the file is missing"),
            (("new", "a", "b"), "'b' belongs to no option"),
        ):
            error = self.assertRaises(UsageError, self.run_, *arguments)
            self.assertIn(words, str(error))
