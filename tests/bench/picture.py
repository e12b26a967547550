# -*- test-case-name: tests.bench.test_picture -*-
"""
The picture: bars of how each way compares with HAProxy, as SVG.

It has a background of its own, so that it can be read on a dark page too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final
from xml.sax.saxutils import escape

from tests.bench.figures import HAPROXY, Figure
from tests.bench.results import Named, Results
from tests.bench.table import multiple

WIDTH: Final = 960
END: Final = 3.0
"""The ratio at which bars are cut off."""

_LEFT: Final = 250
_RIGHT: Final = 90
_TOP: Final = 84
_BAR: Final = 16
_GAP: Final = 18
_NUMBER: Final = 50
_FOOT: Final = 40
_COLOURS: Final = (
    "#1f6f8b",
    "#5c8a3a",
    "#a0522d",
    "#7a5c99",
    "#b8860b",
    "#3f5f7f",
    "#8b3a62",
)
_TEXT: Final = "#223"
_GREY: Final = "#667"


def compared(results: Results) -> tuple[list[Figure], list[Named]]:
    """
    Give what the picture shows: the figures that have a multiple of HAProxy's to
    reach, and the ways that are compared with it.
    """
    ways = [way for way in results.ways if way.key not in (HAPROXY, "direct")]
    figures = [
        figure
        for figure in results.shown()
        if any(target.relative for target in figure.targets.values())
        and any(results.ratio(figure.key, way.key) is not None for way in ways)
    ]
    return figures, ways


def picture(results: Results, caption: str) -> str:
    """
    Draw the picture.

    @param caption: what stands below: machine and date.
    """
    figures, ways = compared(results)
    group = _BAR * len(ways) + _GAP
    bottom = _TOP + group * len(figures)
    lines = [
        *_head(bottom + _FOOT, "Speed of tunnelkit, as a multiple of HAProxy's"),
        *_legend(ways),
        *_axis(bottom),
    ]
    for number, figure in enumerate(figures):
        lines += _bars(results, figure, ways, _TOP + number * group)
    lines += [_text(20, bottom + 26, caption, size=11, colour=_GREY), "</svg>"]
    return "\n".join(lines) + "\n"


def _head(height: int, title: str) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" font-family="Helvetica, Arial, sans-serif" '
        'font-size="13" role="img" aria-labelledby="title">'
    )
    yield f'  <title id="title">{escape(title)}</title>'
    yield f'  <rect width="{WIDTH}" height="{height}" rx="10" fill="#fbfaf7"/>'
    yield _text(20, 30, title, size=16, weight="bold")


def _legend(ways: Sequence[Named]) -> Iterator[str]:
    x = 20
    for number, way in enumerate(ways):
        yield _rect(x, 44, 12, 12, _colour(number))
        yield _text(x + 18, 55, way.name)
        x += 40 + 8 * len(way.name)
    yield _mark(x + 6, 43, 14)
    yield _text(x + 16, 55, "what is to be reached")


def _axis(bottom: int) -> Iterator[str]:
    for tick in range(int(END) + 1):
        x, haproxy = _x(tick), tick == 1
        style = (
            f'stroke="{_TEXT}"' if haproxy else 'stroke="#ccd" stroke-dasharray="2 3"'
        )
        yield f'  <path d="M{x:.1f} {_TOP - 4} V{bottom}" {style}/>'
        label = "HAProxy = 1" if haproxy else f"{tick}"
        yield _text(x, _TOP - 9, label, size=11, colour=_GREY, anchor="middle")


def _bars(
    results: Results, figure: Figure, ways: Sequence[Named], top: int
) -> Iterator[str]:
    middle = top + _BAR * len(ways) / 2
    yield _text(20, middle + 1, figure.name)
    better = "more is better" if figure.more else "less is better"
    yield _text(20, middle + 15, better, size=11, colour=_GREY)
    for number, way in enumerate(ways):
        y = top + number * _BAR
        ratio = results.ratio(figure.key, way.key)
        if ratio is None:
            continue
        end = _x(ratio)
        told = multiple(ratio) + (" \N{RIGHTWARDS ARROW}" if ratio > END else "")
        yield _rect(_LEFT, y + 1, end - _LEFT, _BAR - 2, _colour(number))
        target = figure.target(way.key)
        if target is not None and target.relative:
            x = _x(target.bound)
            yield _mark(x, y, _BAR)
            # The number stands behind a mark that it would hide.
            if 0 <= x - end < _NUMBER:
                end = x
        yield _text(end + 6, y + 12, told, size=11, halo=True)


def _x(ratio: float) -> float:
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * max(0.0, min(ratio, END)) / END


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]


def _rect(x: float, y: float, width: float, height: float, colour: str) -> str:
    return (
        f'  <rect x="{x}" y="{y}" width="{width:.1f}" height="{height}" '
        f'fill="{colour}"/>'
    )


def _mark(x: float, y: float, height: int) -> str:
    return f'  <path d="M{x:.1f} {y} v{height}" stroke="{_TEXT}" stroke-width="3"/>'


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: int = 13,
    colour: str = _TEXT,
    weight: str = "",
    anchor: str = "",
    halo: bool = False,
) -> str:
    more = f' font-weight="{weight}"' if weight else ""
    more += f' text-anchor="{anchor}"' if anchor else ""
    # Some numbers stand on a line of the axis.
    more += ' paint-order="stroke" stroke="#fbfaf7" stroke-width="4"' if halo else ""
    return (
        f'  <text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}"{more}>'
        f"{escape(text)}</text>"
    )
