"""
Tests for L{tunnelkit.commands.options.saying}.
"""

from __future__ import annotations

import contextlib
import io
import os

from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.commands import share
from tunnelkit.commands.options.flags import CommandOptions
from tunnelkit.commands.options.saying import say


class SayTests(SynchronousTestCase):
    """
    What is shown is read to its end, or not.
    """

    def test_read(self) -> None:
        """
        It is shown.
        """
        with contextlib.redirect_stdout(io.StringIO()) as out:
            say("one\ntwo")
        self.assertEqual(out.getvalue(), "one\ntwo\n")

    def test_notRead(self) -> None:
        """
        C{--help | head}, and the same of C{--version} and C{--list}, is no traceback,
        neither at once nor at the end of the process.
        """
        options = share.Options({})
        for show in (options.opt_help, options.opt_version, options.opt_list):
            reading, writing = os.pipe()
            os.close(reading)
            with (
                os.fdopen(writing, "w") as unread,
                contextlib.redirect_stdout(unread),
            ):
                ended = self.assertRaises(SystemExit, show)
            self.assertEqual(ended.code, 0)

    def test_help(self) -> None:
        """
        C{-h} is C{--help}.
        """
        with contextlib.redirect_stdout(io.StringIO()) as out:
            self.assertRaises(SystemExit, CommandOptions().parseOptions, ["-h"])
        self.assertIn("--version", out.getvalue())
