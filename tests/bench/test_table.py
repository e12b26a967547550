"""
Tests for L{tests.bench.table}.
"""

from __future__ import annotations

import csv
import re

from twisted.trial.unittest import SynchronousTestCase

from tests.bench.results import Results
from tests.bench.sample import sample
from tests.bench.table import multiple, number, rst, terminal


class NumberTests(SynchronousTestCase):
    """
    Numbers have the digits that are worth reading.
    """

    def test_number(self) -> None:
        """
        Large numbers are in groups of three, small ones have three digits.
        """
        for value, told in (
            (114_063, "114 100"),
            (38_145, "38 140"),
            (9_999, "9 999"),
            (133.4, "133"),
            (99.96, "100"),
            (14.31, "14.3"),
            (0.9, "0.9"),
            (0.0369, "0.0369"),
            (0, "0"),
        ):
            self.assertEqual(number(value), told)

    def test_multiple(self) -> None:
        """
        A ratio has two digits behind the point, a large one none, a tiny one more.
        """
        self.assertEqual(
            [*map(multiple, (0.444, 1, 12.4, 0.0043))],
            ["0.44 x", "1.00 x", "12 x", "0.004 x"],
        )


class TerminalTests(SynchronousTestCase):
    """
    The table on the terminal.
    """

    def test_cells(self) -> None:
        """
        Each way has its figure, ours the ratio and what is to be reached beside it.
        """
        lines = terminal(sample()).splitlines()
        self.assertEqual(
            [re.split(" {2,}", line) for line in (lines[0], *lines[2:5])],
            [
                ["figure", "direct", "HAProxy", "ours"],
                [
                    "keep-alive requests, /s",
                    "~110 000 (3.67 x)",
                    "~30 000",
                    "~42 000 (1.40 x); ≥ 1 x: yes",
                ],
                [
                    "round trip of 64 bytes, p50, us",
                    "-",
                    "101",
                    "204 (2.02 x); ≤ 1.3 x: NO",
                ],
                ["idle server, MiB", "-", "-", "60; ≤ 64 MiB: yes"],
            ],
        )

    def test_columns(self) -> None:
        """
        Cells stand below each other.
        """
        lines = terminal(sample()).splitlines()[:5]
        self.assertEqual(len({line.rindex("  ") for line in lines[:2]}), 1)
        column = lines[0].index("HAProxy")
        self.assertEqual({line[column - 1] for line in lines}, {" "})

    def test_faults(self) -> None:
        """
        What went wrong stands below, and not only far above.
        """
        self.assertIn("a visitor's connection ended", terminal(sample()))

    def test_noHAProxy(self) -> None:
        """
        Without HAProxy's figure it is said that a target is not known to be reached.
        """
        results = sample()
        alone = Results([results.ways[2]], 1)
        alone.add(0, "plain", {"requests": 5.0})
        self.assertIn("5; ≥ 1 x: not known", terminal(alone))


class DocumentTests(SynchronousTestCase):
    """
    The table in the documentation.
    """

    def test_cells(self) -> None:
        """
        Each cell of the terminal's is there, whatever signs are in it.
        """
        text = rst(sample(), "Measured on a machine.")
        self.assertIn("Measured on a machine.", text)
        _, _, table = text.partition(".. csv-table::\n   :header: ")
        header, _, rest = table.partition("\n\n")
        cells, _, _ = rest.partition("\n\n")
        self.assertEqual(
            [*csv.reader([header])], [["figure", "direct", "HAProxy", "ours"]]
        )
        lines = cells.splitlines()
        self.assertEqual({line[:4] for line in lines}, {'   "'})
        rows = [*csv.reader(line.strip() for line in lines)]
        self.assertEqual([len(row) for row in rows], [4, 4, 4])
        self.assertEqual(rows[0][3], "~42 000 (1.40 x); ≥ 1 x: yes")
