"""
Tests for L{tests.check}.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
import unittest
from collections.abc import Callable, Iterator
from itertools import chain

from twisted.trial.runner import TestLoader
from twisted.trial.unittest import SynchronousTestCase

from tests import check
from tests.check import Tally, tallyOfTrial


class TallyOfTrialTests(SynchronousTestCase):
    """
    What trial says is counted, and nothing is taken for success that is none.
    """

    def test_passed(self) -> None:
        """
        Tests that passed and tests that were skipped are told apart.
        """
        lines = ["Ran 9 tests in 0.1s", "", "PASSED (skips=2, successes=7)"]
        self.assertEqual(tallyOfTrial(lines, 0), Tally(passed=7, skipped=2))

    def test_failed(self) -> None:
        """
        Errors and unexpected successes are failures like any other.
        """
        summary = (
            "FAILED (skips=1, expectedFailures=2, failures=3, errors=4, "
            "unexpectedSuccesses=5, successes=6)"
        )
        self.assertEqual(
            tallyOfTrial([summary], 1), Tally(passed=6, failed=12, skipped=3)
        )

    def test_noTests(self) -> None:
        """
        A run without any test failed, though trial calls it passed.
        """
        self.assertEqual(tallyOfTrial(["PASSED"], 0), Tally(failed=1))

    def test_noSummary(self) -> None:
        """
        A run that died half-way failed.
        """
        self.assertEqual(tallyOfTrial(["tests.test_x ... [OK]"], -9), Tally(failed=1))

    def test_statusDisagrees(self) -> None:
        """
        A run failed where its exit status says so, whatever its summary says.
        """
        self.assertEqual(
            tallyOfTrial(["PASSED (successes=3)"], 1), Tally(passed=3, failed=1)
        )

    def test_lastSummaryCounts(self) -> None:
        """
        What looks like a summary in the output of a test is not the run's.
        """
        lines = [
            "PASSED (successes=500)",
            "a test PASSED (successes=1)",
            "FAILED (failures=1)",
            "PASSED (of sorts)",
        ]
        self.assertEqual(tallyOfTrial(lines, 1), Tally(failed=1))


def testsOf(name: str) -> Iterator[str]:
    """
    Name the tests that trial runs when it is told to run C{name}.
    """
    suites = [TestLoader().loadByName(name, recurse=True)]
    while suites:
        for one in suites.pop():
            if isinstance(one, unittest.TestSuite):
                suites.append(one)
            else:
                yield one.id()


class PartsTests(SynchronousTestCase):
    """
    The suite is run in parts.
    """

    def test_everyTest(self) -> None:
        """
        Each test runs, and none twice.
        """
        names = [*check.inMemory(), *check.inProcesses(), check.ALONE]
        ran = sorted(chain.from_iterable(map(testsOf, names)))
        self.assertEqual(ran, sorted(testsOf("tests")))


class StepTests(SynchronousTestCase):
    """
    All steps run, and the last line is their sum.
    """

    def outcome(self, *steps: tuple[str, Callable[[], Tally]]) -> tuple[int, list[str]]:
        """
        Run these steps in place of the real ones.

        @return: exit status and lines of output.
        """
        self.patch(check, "STEPS", dict(steps))
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            status = check.main([])
        return status, output.getvalue().splitlines()

    def test_allGood(self) -> None:
        """
        Where nothing failed the status is 0, and skipped tests are told.
        """
        status, lines = self.outcome(
            ("lint", lambda: Tally(1)), ("tests", lambda: Tally(7, skipped=1))
        )
        self.assertEqual((status, lines[-1]), (0, "8 passed, 0 failed, 1 skipped"))

    def test_oneBad(self) -> None:
        """
        What comes after a step that failed runs all the same, and the step is named.
        """
        status, lines = self.outcome(
            ("lint", lambda: Tally(failed=1)), ("tests", lambda: Tally(7))
        )
        self.assertEqual(status, 1)
        self.assertEqual(lines[-2:], ["--- failed: lint", "7 passed, 1 failed"])

    def test_commands(self) -> None:
        """
        A step of several programs runs them all, and fails where one of them does.
        """
        ran = []

        def call(command: list[str]) -> int:
            ran.append(command[2:])
            return 1 if "bad" in command else 0

        self.patch(subprocess, "call", call)
        self.assertEqual(check.commands("bad --flag", "good"), Tally(failed=1))
        self.assertEqual(ran, [["bad", "--flag"], ["good"]])
        self.assertEqual(check.commands("good"), Tally(passed=1))


class ShownTests(SynchronousTestCase):
    """
    A program's output is passed on and kept.
    """

    def test_output(self) -> None:
        """
        All that the program writes is shown, and its exit status is told.
        """
        program = "import sys; print('x' * 200_000, flush=True); sys.exit(3)"
        to = io.BytesIO()
        output, status = check.shown([sys.executable, "-c", program], to)
        self.assertEqual((len(output), status), (200_001, 3))
        self.assertEqual(to.getvalue(), output.encode())

    def test_childLeftBehind(self) -> None:
        """
        A process that a test forgot does not hold up the end of the run.
        """
        program = (
            "import subprocess, sys\n"
            "wait = 'from signal import alarm, pause; alarm(60); pause()'\n"
            "print(subprocess.Popen([sys.executable, '-c', wait]).pid)"
        )
        began = time.monotonic()
        output, status = check.shown([sys.executable, "-c", program], io.BytesIO())
        os.kill(int(output), signal.SIGKILL)
        self.assertEqual(status, 0)
        self.assertLess(time.monotonic() - began, 30)
