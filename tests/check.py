# -*- test-case-name: tests.test_check -*-
"""
All that must be right, in a row: lint, types, tests, docs.  C{make test} is this.

    python -m tests.check [lint] [types] [tests] [docs]

Every step runs, also after one that failed, so that one run tells everything.  The last
line is C{N passed, N failed}: each test of trial's counts as one, each other step too.
"""

from __future__ import annotations

import io
import os
import re
import select
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

TESTS: Final = Path(__file__).parent
FUNCTIONAL: Final = "tests.functional"

ALONE: Final = f"{FUNCTIONAL}.loaded"
"""
Tests that load the machine or measure what it does, and have it to themselves.
"""


@dataclass(frozen=True, slots=True)
class Tally:
    """
    How many tests ended how.
    """

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
        )

    def __str__(self) -> str:
        line = f"{self.passed} passed, {self.failed} failed"
        return f"{line}, {self.skipped} skipped" if self.skipped else line


_FAILED: Final = Tally(failed=1)
_SUMMARY: Final = re.compile(r"(PASSED|FAILED)(?: \((\w+=\d+(?:, \w+=\d+)*)\))?\s*")
_COUNTS: Final[Mapping[str, Callable[[int], Tally]]] = {
    "successes": lambda n: Tally(passed=n),
    "failures": lambda n: Tally(failed=n),
    "errors": lambda n: Tally(failed=n),
    "unexpectedSuccesses": lambda n: Tally(failed=n),
    "skips": lambda n: Tally(skipped=n),
    "expectedFailures": lambda n: Tally(skipped=n),
}


def tallyOfTrial(lines: Iterable[str], status: int) -> Tally:
    """
    Count what trial ran, by the last summary among the lines it wrote.

    @param status: trial's exit status.
    @return: at least one failure where no test ran, where trial did not come to its
        summary, or where it says that it failed and not by which test.
    """
    tally = Tally()
    for line in lines:
        if summary := _SUMMARY.fullmatch(line):
            tally = _counted(summary[2] or "")
    good = status == 0 and tally != Tally()
    return tally if good or tally.failed else tally + _FAILED


def _counted(counts: str) -> Tally:
    tally = Tally()
    for count in filter(None, counts.split(", ")):
        name, _, number = count.partition("=")
        tally += _COUNTS[name](int(number))
    return tally


def commands(*lines: str) -> Tally:
    """
    Run modules of Python, all of them, as one test.

    @param lines: what stands after C{python -m}.
    """
    states = [subprocess.call([sys.executable, "-m", *line.split()]) for line in lines]
    return _FAILED if any(states) else Tally(passed=1)


def trial() -> Tally:
    """
    Run all tests: those in memory, which take one core for minutes, beside those with
    real programs, and then those that load the machine.
    """
    with ThreadPoolExecutor(2) as lanes:
        whole = lanes.submit(_trial, inMemory(), sys.stdout.buffer)
        parts = lanes.map(_trialAside, inProcesses())
        tally = sum(parts, whole.result())
    return tally + _trial([ALONE], sys.stdout.buffer)


def inMemory() -> list[str]:
    """
    Name the tests that start no program of ours, or next to none.
    """
    named = [each.parent.name for each in TESTS.glob("*/__init__.py")]
    named += [each.stem for each in TESTS.glob("test_*.py")]
    return sorted(f"tests.{name}" for name in named if name != "functional")


def inProcesses() -> list[str]:
    """
    Name the tests with real programs that mind no company.
    """
    modules = TESTS.glob("functional/test_*.py")
    return sorted(f"{FUNCTIONAL}.{each.stem}" for each in modules)


def _trial(names: Iterable[str], to: BinaryIO) -> Tally:
    command = [sys.executable, "-um", "twisted.trial", "--rterrors", *names]
    output, status = shown(command, to)
    return tallyOfTrial(output.splitlines(), status)


def _trialAside(name: str) -> Tally:
    tally = _trial([name], output := io.BytesIO())
    sys.stdout.buffer.write(output.getvalue())
    return tally


def shown(command: list[str], to: BinaryIO) -> tuple[str, int]:
    """
    Run a program, and pass on what it writes while it runs, in whole lines.

    @return: what it wrote, and its exit status.
    """
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    output = line = b""
    for data in _written(process):
        output += data
        lines, end, line = (line + data).rpartition(b"\n")
        to.write(lines + end)
        to.flush()
    to.write(line)
    to.flush()
    return output.decode(errors="replace"), process.returncode


def _written(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    # Up to the end of the process, not of its output: a child that it left behind may
    # hold that for ever.
    assert process.stdout is not None
    with process.stdout as output:
        while True:
            ended = process.poll() is not None
            if select.select([output], [], [], 0 if ended else 0.2)[0]:
                if not (data := os.read(output.fileno(), 65536)):
                    break
                yield data
            elif ended:
                break
    process.wait()


STEPS: Final[Mapping[str, Callable[[], Tally]]] = {
    "lint": lambda: commands(
        "ruff check --output-format=concise .", "ruff format --check ."
    ),
    "types": lambda: commands("mypy"),
    "tests": trial,
    # All pages anew: one that is not read again is not warned about again.
    "docs": lambda: commands(
        "sphinx --fail-on-warning --fresh-env --write-all --quiet docs build/docs"
    ),
}


def main(names: Iterable[str]) -> int:
    """
    Run steps, tell which of them failed, and close with the tally.

    @param names: of the steps; none for all.
    @return: the exit status.
    """
    total, bad = Tally(), []
    for name in names or STEPS:
        print(f"--- {name}", flush=True)
        tally = STEPS[name]()
        total += tally
        bad += [name] if tally.failed else []
    print("--- failed: " + ", ".join(bad) if bad else "--- all is well")
    print(total)
    return 1 if bad else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
