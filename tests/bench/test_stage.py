"""
Tests for L{tests.bench.stage}, as far as they need no program.
"""

from __future__ import annotations

import signal
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.bench.stage import Broken, Interrupted, Interruptions, Stage


class InterruptionsTests(SynchronousTestCase):
    """
    Ctrl-C ends a run, and what was started is stopped before that.
    """

    def test_taken(self) -> None:
        """
        Each signal that ends programs ends the run, with the status that shells know.
        """
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with Interruptions().taken():
                error = self.assertRaises(Interrupted, signal.raise_signal, number)
            self.assertEqual(error.status, 128 + number)

    def test_held(self) -> None:
        """
        A second Ctrl-C does not keep the first from stopping all processes.
        """
        interruptions, done = Interruptions(), list[str]()

        def stop() -> None:
            with interruptions.held(), interruptions.held():
                signal.raise_signal(signal.SIGINT)
                done.append("stopped")

        with interruptions.taken():
            self.assertRaises(Interrupted, stop)
        self.assertEqual(done, ["stopped"])

    def test_impatient(self) -> None:
        """
        Nor does a second one that comes when the first has been heard.
        """
        with Interruptions().taken():
            self.assertRaises(Interrupted, signal.raise_signal, signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)

    def test_givenBack(self) -> None:
        """
        What signals did before they do again.
        """
        before = signal.getsignal(signal.SIGHUP)
        with Interruptions().taken():
            self.assertNotEqual(signal.getsignal(signal.SIGHUP), before)
        self.assertEqual(signal.getsignal(signal.SIGHUP), before)


class StageTests(SynchronousTestCase):
    """
    A run leaves nothing behind.
    """

    def test_folder(self) -> None:
        """
        Its folder is gone with all that is in it, also where the run fails.
        """
        stage = Stage()

        def fail() -> Path:
            with stage:
                (stage.folderIn() / "file").write_text("content")
                raise Broken("something")

        self.assertRaises(Broken, fail)
        self.assertFalse(stage.folder.exists())

    def test_cannotStart(self) -> None:
        """
        A program that cannot be run is named.
        """
        with Stage() as stage:
            error = self.assertRaises(
                Broken, stage.start, "wrk", stage.folder / "there is no such file"
            )
        self.assertIn("wrk cannot be started", str(error))
