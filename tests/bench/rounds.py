# -*- test-case-name: tests.bench.test_rounds -*-
"""
Rounds: each measure of each way in turn, again and again, so that what else the
machine does meanwhile does not fall on one of them alone.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Sequence
from typing import Final, TypeVar

from tests.bench.figures import FIGURES
from tests.bench.measures import FRESH, MEASURES, Fresh, Load, Made, Measure, check
from tests.bench.results import Results
from tests.bench.services import Services
from tests.bench.stage import Broken
from tests.bench.table import number
from tests.bench.ways import Open, Way

T = TypeVar("T")

Saying = Callable[[str], None]

REST: Final = 0.2
"""Seconds between two measures, in which what has ended lets go of the processors."""


def order(ways: Sequence[T], turn: int) -> list[T]:
    """
    Give the order of a round: each begins with another way.

    @param turn: the round, from 0.
    """
    first = turn % len(ways) if ways else 0
    return [*ways[first:], *ways[:first]]


def tell(text: str) -> None:
    """
    Say how far it is, beside what the run is to write.
    """
    print(text, file=sys.stderr, flush=True)


class Run:
    """
    A run.

    @ivar results: what came of it so far.
    """

    def __init__(
        self,
        ways: Sequence[Way],
        rounds: int,
        wanted: Collection[str],
        load: Load,
        services: Services,
        say: Saying = tell,
        measures: Sequence[Measure] = MEASURES,
    ) -> None:
        """
        @param wanted: the keys of the figures that somebody wants.
        @param say: gets a line for each step.
        @param measures: those of ways that are open.
        """
        self.results = Results(ways, rounds)
        self._ways = {way.key: way for way in ways}
        self._wanted = {*wanted}
        self._load = load
        self._services = services
        self._say = say
        self._measures = [each for each in measures if self._wanted & {*each.figures}]
        self._open: dict[str, Open] = {}

    def go(self) -> Results:
        """
        Take all measures.
        """
        if self._measures:
            for way in self._ways.values():
                self._start(way)
        for turn in range(self.results.rounds):
            self._say(f"round {turn + 1} of {self.results.rounds}")
            for measure in self._measures:
                for key in order([*self._open], turn):
                    self._take(turn, key, self._taking(measure, key))
            if self._wanted & {*FRESH.figures}:
                for way in order([*self._ways.values()], turn):
                    self._take(turn, way.key, self._taking(FRESH, way.key))
        return self.results

    def _start(self, way: Way) -> None:
        try:
            opened = way.open(self._load.stage, self._load.services)
            check(opened)
        except (Broken, OSError) as e:
            self._fault(f"{way.name}: {e}")
        else:
            self._open[way.key] = opened

    def _taking(self, measure: Measure | Fresh, key: str) -> Callable[[], Made]:
        if isinstance(measure, Fresh):
            return lambda: measure.take(self._load, self._ways[key], self._wanted)
        return lambda: measure.take(self._load, self._open[key])

    def _take(self, turn: int, key: str, take: Callable[[], Made]) -> None:
        name = self._ways[key].name
        try:
            made = take()
        except (Broken, OSError) as e:
            self._fault(f"{name}, round {turn + 1}: {e}")
            self._services.renew()
            return
        kept = {key: value for key, value in made.items() if key in self._wanted}
        self.results.add(turn, key, kept)
        if kept:
            told = (
                f"{figure.name} {number(kept[figure.key])} {figure.unit}"
                for figure in FIGURES
                if figure.key in kept
            )
            self._say(f"  {name}: {', '.join(told)}")
        time.sleep(REST)

    def _fault(self, what: str) -> None:
        self.results.faults.append(what)
        self._say(what)
