# -*- test-case-name: tests.bench.test_results -*-
"""
Results: what each way made in each round, and what that comes to.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

from tests.bench.figures import FIGURES, HAPROXY, Figure

DOUBTFUL: Final = 0.15
"""Rounds that differ by more than this part of their median are pointed out."""


@dataclass(frozen=True, slots=True)
class Named:
    """
    A way, as results know it.

    @ivar key: what options and JSON call it.
    @ivar name: what people call it.
    """

    key: str
    name: str


@dataclass
class Results:
    """
    What came of a run.

    @ivar ways: in the order in which they are shown.
    @ivar rounds: how many rounds there are to be.
    @ivar faults: what went wrong, in words.
    """

    ways: Sequence[Named]
    rounds: int
    faults: list[str] = field(default_factory=list)
    _made: dict[tuple[str, str], list[float | None]] = field(default_factory=dict)

    def add(self, turn: int, way: str, made: Mapping[str, float]) -> None:
        """
        Note what a way made.

        @param turn: the round, from 0.
        @param made: by the figures' keys.
        """
        for key, value in made.items():
            values = self._made.setdefault((key, way), [None] * self.rounds)
            values[turn] = value

    def made(self, figure: str, way: str) -> list[float | None]:
        """
        Give the figures of all rounds; None for a round that has none.
        """
        return self._made.get((figure, way), [None] * self.rounds)

    def value(self, figure: str, way: str) -> float | None:
        """
        Give the median of the rounds.
        """
        made = self._known(figure, way)
        return median(made) if made else None

    def ratio(self, figure: str, way: str, to: str = HAPROXY) -> float | None:
        """
        Give a way's median as a multiple of HAProxy's.
        """
        value, other = self.value(figure, way), self.value(figure, to)
        return value / other if value is not None and other else None

    def spread(self, figure: str, way: str) -> float | None:
        """
        Give how far the rounds lie apart, as a part of their median.
        """
        made, value = self._known(figure, way), self.value(figure, way)
        return (max(made) - min(made)) / value if value else None

    def doubtful(self, figure: str, way: str) -> bool:
        """
        Say whether the rounds lie so far apart that the median is a rough one.
        """
        spread = self.spread(figure, way)
        return spread is not None and spread > DOUBTFUL

    def reached(self, figure: Figure, way: str) -> bool | None:
        """
        Say whether a way reaches what it is to; None where that cannot be said.
        """
        value, ratio = self.value(figure.key, way), self.ratio(figure.key, way)
        return figure.reached(way, value, ratio)

    def shown(self) -> list[Figure]:
        """
        Give the figures of which there is anything.
        """
        known = {figure for figure, _ in self._made}
        return [figure for figure in FIGURES if figure.key in known]

    def written(self, **about: object) -> str:
        """
        Give all of it as JSON.

        @param about: what else is to be in there: machine, options ...
        """
        document = {
            **about,
            "rounds": self.rounds,
            "ways": {way.key: way.name for way in self.ways},
            "figures": {figure.key: self._figure(figure) for figure in self.shown()},
            "faults": self.faults,
        }
        return json.dumps(document, indent=1, ensure_ascii=False) + "\n"

    def _figure(self, figure: Figure) -> Mapping[str, Any]:
        return {
            "name": figure.name,
            "unit": figure.unit,
            "better": "more" if figure.more else "less",
            "ways": dict(self._ways(figure)),
        }

    def _ways(self, figure: Figure) -> Iterable[tuple[str, Mapping[str, Any]]]:
        for way in self.ways:
            made = self.made(figure.key, way.key)
            if any(each is not None for each in made):
                yield (
                    way.key,
                    {
                        "rounds": made,
                        "median": self.value(figure.key, way.key),
                        "spread": self.spread(figure.key, way.key),
                        "to haproxy": self.ratio(figure.key, way.key),
                        "target": figure.promise(way.key) or None,
                        "reached": self.reached(figure, way.key),
                    },
                )

    def _known(self, figure: str, way: str) -> list[float]:
        return [each for each in self.made(figure, way) if each is not None]
