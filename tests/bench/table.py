# -*- test-case-name: tests.bench.test_table -*-
"""
The table: results for the terminal, and for the documentation.
"""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Sequence
from typing import Final, TypeAlias

from tests.bench.figures import HAPROXY, Figure
from tests.bench.results import DOUBTFUL, Results

Rows: TypeAlias = Sequence[Sequence[str]]

NOTE: Final = (
    "x is a multiple of HAProxy's figure in the same run. ~ stands where rounds lie "
    f"more than {DOUBTFUL:.0%} of their median apart."
)
"""What the signs in the table mean."""


def number(value: float) -> str:
    """
    Give a number with as many digits as are worth reading.
    """
    if value >= 10_000:
        return f"{round(value, -1 if value < 100_000 else -2):,.0f}".replace(",", " ")
    if value >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def multiple(ratio: float) -> str:
    """
    Give a ratio.
    """
    if ratio >= 10:
        return f"{ratio:.0f} x"
    return f"{ratio:.2f} x" if ratio >= 0.1 else f"{ratio:.1g} x"


def header(results: Results) -> list[str]:
    """
    Give the first row.
    """
    return ["figure", *(way.name for way in results.ways)]


def rows(results: Results) -> Rows:
    """
    Give the others: a row for each figure, a cell for each way.
    """
    return [
        [
            f"{figure.name}, {figure.unit}",
            *(_cell(results, figure, way.key) for way in results.ways),
        ]
        for figure in results.shown()
    ]


def _cell(results: Results, figure: Figure, way: str) -> str:
    value = results.value(figure.key, way)
    if value is None:
        return "-"
    text = "~" * results.doubtful(figure.key, way) + number(value)
    ratio = results.ratio(figure.key, way)
    if ratio is not None and figure.compared and way != HAPROXY:
        text += f" ({multiple(ratio)})"
    if promise := figure.promise(way):
        reached = results.reached(figure, way)
        text += f"; {promise}: {_VERDICTS[reached]}"
    return text


_VERDICTS: Final = {True: "yes", False: "NO", None: "not known"}


def terminal(results: Results) -> str:
    """
    Give the table as lines of text.
    """
    lines = [header(results), *rows(results)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    ruled = [lines[0], ["-" * width for width in widths], *lines[1:]]
    told = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in ruled]
    return "\n".join([*told, "", NOTE, *results.faults])


def rst(results: Results, caption: str) -> str:
    """
    Give the table as a piece of a page of the documentation.

    @param caption: what stands above it: machine and date.
    """
    text = io.StringIO()
    # Quoted throughout, as some cells begin with what reStructuredText would read.
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows(rows(results))
    names = io.StringIO()
    csv.writer(names, quoting=csv.QUOTE_ALL, lineterminator="").writerow(
        header(results)
    )
    lines = [
        ".. Written by python -m tests.bench --rst: do not edit.",
        "",
        *textwrap.wrap(caption, 92),
        "",
        ".. csv-table::",
        f"   :header: {names.getvalue()}",
        "",
        *(f"   {line}" for line in text.getvalue().splitlines()),
        "",
        *textwrap.wrap(NOTE, 92),
    ]
    return "\n".join(lines) + "\n"
