"""
Measures: what is done to a way to get figures of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from tests.bench.loads import (
    Transfer,
    requests,
    transfer,
    transferred,
    transferring,
)
from tests.bench.services import Ports
from tests.bench.stage import Broken, Stage
from tests.bench.visitors import Waiting, come, exchange, quantile, roundTrips, stalled
from tests.bench.ways import Open, Way

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB

_FAILING: Final = 0.001
_AHEAD: Final = 0.7
_PACED: Final = 0.8
_STILL: Final = 64 * KIB
_LOOK: Final = 0.3
_LOOKS: Final = 20


@dataclass(frozen=True, slots=True)
class Load:
    """
    What a measure gets.

    @ivar seconds: how long each load lasts.
    @ivar visitors: how many visitors wait.
    """

    stage: Stage
    services: Ports
    seconds: float
    visitors: int


Made: TypeAlias = Mapping[str, float]
"""What a way made, by the figures' keys."""


@dataclass(frozen=True, slots=True)
class Measure:
    """
    A measure.

    @ivar figures: what it gives at most.
    @ivar take: takes it of a way that is open.
    """

    figures: Collection[str]
    take: Callable[[Load, Open], Made]


@dataclass(frozen=True, slots=True)
class Fresh:
    """
    The measure of a way that is not open: of its start, and of its memory, which
    what a process did before would spoil.

    @ivar figures: what it gives at most.
    """

    figures: Collection[str] = (
        "visitor-server",
        "visitor-client",
        "idle-server",
        "idle-client",
        "start-server",
        "start-client",
    )

    def take(self, load: Load, way: Way, wanted: Collection[str]) -> Made:
        """
        Take it.

        @param wanted: the figures that somebody wants.
        """
        opened = way.open(load.stage, load.services)
        try:
            made = {f"start-{side}": took for side, took in opened.starts.items()}
            check(opened)
            before = settled(opened)
            made |= {f"idle-{side}": size / MIB for side, size in before.items()}
            if {"visitor-server", "visitor-client"} & {*wanted} and before:
                with Waiting(opened.ports.echo, load.visitors):
                    after = settled(opened)
                for side, size in after.items():
                    grown = size - before[side]
                    made[f"visitor-{side}"] = grown / KIB / load.visitors
            return made
        finally:
            opened.close()


def check(opened: Open) -> None:
    """
    See whether visitors are served at all.

    @raise Broken: they are not.
    """
    try:
        with come(opened.ports.echo) as connection:
            exchange(connection, bytes(64))
    except OSError as e:
        raise Broken(f"a visitor is not served: {e}") from e


def settled(opened: Open) -> Mapping[str, int]:
    """
    Give the memory of each side when it has stopped to change.
    """
    sizes = opened.resident()
    for _ in range(_LOOKS):
        time.sleep(_LOOK)
        before, sizes = sizes, opened.resident()
        if all(abs(sizes[side] - before[side]) < _STILL for side in sizes):
            break
    return sizes


def keptAlive(load: Load, opened: Open) -> Made:
    """
    Many requests on each of a few connections.
    """
    return _asked(load, opened, "requests", close=False)


def broughtAnew(load: Load, opened: Open) -> Made:
    """
    A connection for each request.
    """
    return _asked(load, opened, "connections", close=True)


def _asked(load: Load, opened: Open, key: str, *, close: bool) -> Made:
    before = opened.seconds()
    made = requests(load.stage, opened.ports.web, load.seconds, close)
    if not made.count or made.failed > _FAILING * made.count:
        raise Broken(f"{made.failed} requests failed, and {made.count} did not")
    if not opened.sides:
        return {key: made.rate}
    took = opened.seconds() - before
    return {key: made.rate, f"{key}-cpu": took * 1e6 / made.count}


def bulk(load: Load, opened: Open) -> Made:
    """
    One stream, in each direction, and the processor time that it takes.
    """
    made: dict[str, float] = {}
    before, count = opened.seconds(), 0
    for key, down in (("bulk-up", False), ("bulk-down", True)):
        done = transfer(load.stage, opened.ports.bulk, load.seconds, down=down)
        made[key] = _gigabits(done)
        count += done.count
    if opened.sides:
        made["cpu"] = (opened.seconds() - before) / (count / GIB)
    return made


def eight(load: Load, opened: Open) -> Made:
    """
    Eight streams at once.
    """
    done = transfer(load.stage, opened.ports.bulk, load.seconds, streams=8)
    return {"bulk-8": _gigabits(done)}


def alone(load: Load, opened: Open) -> Made:
    """
    Round trips with nothing else going on.
    """
    return {"roundtrip": quantile(roundTrips(opened.ports.echo, load.seconds), 0.5)}


def beside(load: Load, opened: Open) -> Made:
    """
    Round trips beside a stream that takes all that it gets, and beside a visitor who
    never reads what a service sends him without end.
    """
    slow, bulk = _beside(load, opened, "")
    return {"beside": slow, "beside-bulk": bulk}


def besideSome(load: Load, opened: Open) -> Made:
    """
    The same beside a stream that leaves the processors time, as much for each way.
    """
    slow, bulk = _beside(load, opened, "1G")
    if bulk < _PACED:
        raise Broken(f"the stream that is to make 1 Gbit/s made {bulk:.2f}")
    return {"beside-1": slow}


def _beside(load: Load, opened: Open, rate: str) -> tuple[float, float]:
    lasting = load.seconds + 2 * _AHEAD
    with stalled(opened.ports.source):
        bulk = opened.ports.bulk
        process = transferring(load.stage, bulk, lasting, rate=rate)
        try:
            time.sleep(_AHEAD)
            taken = roundTrips(opened.ports.echo, load.seconds)
            done = transferred(load.stage, process, lasting)
        finally:
            load.stage.stop(process)
    return quantile(taken, 0.99), _gigabits(done)


def _gigabits(done: Transfer) -> float:
    if not done.count:
        raise Broken("nothing was transferred")
    return done.rate / 1e9


MEASURES: Final = (
    Measure(("requests", "requests-cpu"), keptAlive),
    Measure(("connections", "connections-cpu"), broughtAnew),
    Measure(("bulk-up", "bulk-down", "cpu"), bulk),
    Measure(("bulk-8",), eight),
    Measure(("roundtrip",), alone),
    Measure(("beside", "beside-bulk"), beside),
    Measure(("beside-1",), besideSome),
)
"""Those of ways that are open, in the order in which they are taken."""
FRESH: Final = Fresh()
