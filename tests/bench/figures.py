# -*- test-case-name: tests.bench.test_figures -*-
"""
Figures: what is measured, which way is better, and what is to be reached.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

HAPROXY: Final = "haproxy"
"""The way that the others are compared with."""
PLAIN: Final = "plain"
TLS: Final = "tls"


@dataclass(frozen=True, slots=True)
class Target:
    """
    What a figure is to reach.

    @ivar bound: the least, or where less is better the most.
    @ivar relative: whether that is a multiple of HAProxy's figure, or in the unit.
    """

    bound: float
    relative: bool = True


@dataclass(frozen=True, slots=True)
class Figure:
    """
    Something that is measured.

    @ivar key: what C{--only} calls it.
    @ivar name: what people call it.
    @ivar more: whether more of it is better.
    @ivar compared: whether its ratio to HAProxy's says anything.
    @ivar targets: what is to be reached, by the key of the way; nothing where the
        figure is to be told and no more.
    """

    key: str
    name: str
    unit: str
    more: bool
    compared: bool = True
    targets: Mapping[str, Target] = field(default_factory=dict)

    def target(self, way: str) -> Target | None:
        """
        Give what a way is to reach.
        """
        return self.targets.get(way)

    def promise(self, way: str) -> str:
        """
        Give the same in signs; empty where there is none.
        """
        target = self.target(way)
        if target is None:
            return ""
        sign = (
            "\N{GREATER-THAN OR EQUAL TO}" if self.more else "\N{LESS-THAN OR EQUAL TO}"
        )
        unit = "x" if target.relative else self.unit
        return f"{sign} {target.bound:g} {unit}"

    def reached(
        self, way: str, value: float | None, ratio: float | None
    ) -> bool | None:
        """
        Say whether a way reaches what it is to.

        @param value: what it made; None where that is not known.
        @param ratio: to what HAProxy made.
        @return: None where nothing is to be reached, or it cannot be said.
        """
        target = self.target(way)
        if target is None:
            return None
        made = ratio if target.relative else value
        if made is None:
            return None
        return made >= target.bound if self.more else made <= target.bound


def _relative(plain: float, tls: float | None = None) -> Mapping[str, Target]:
    targets = {PLAIN: Target(plain)}
    return targets if tls is None else {**targets, TLS: Target(tls)}


def _absolute(plain: float, tls: float) -> Mapping[str, Target]:
    return {PLAIN: Target(plain, False), TLS: Target(tls, False)}


FIGURES: Final = (
    Figure("requests", "keep-alive requests", "/s", True, True, _relative(1.0, 0.65)),
    Figure("connections", "new connections", "/s", True, True, _relative(1.0, 0.75)),
    Figure(
        "bulk-up", "bulk, to the service", "Gbit/s", True, True, _relative(1.5, 0.65)
    ),
    Figure(
        "bulk-down", "bulk, to the visitor", "Gbit/s", True, True, _relative(1.5, 0.65)
    ),
    Figure("bulk-8", "bulk, 8 streams", "Gbit/s", True, True, _relative(1.5, 0.65)),
    Figure(
        "roundtrip",
        "round trip of 64 bytes, p50",
        "us",
        False,
        True,
        _relative(1.3, 1.8),
    ),
    Figure("cpu", "CPU, both processes", "s/GiB", False, True, _relative(0.6)),
    Figure("requests-cpu", "CPU of a keep-alive request", "us", False),
    Figure("connections-cpu", "CPU of a new connection", "us", False),
    Figure(
        "visitor-server",
        "memory per idle visitor, server",
        "KiB",
        False,
        True,
        _absolute(2, 32),
    ),
    Figure(
        "visitor-client",
        "memory per idle visitor, client",
        "KiB",
        False,
        True,
        _absolute(2, 32),
    ),
    Figure("idle-server", "idle server", "MiB", False, False, _absolute(64, 64)),
    Figure("idle-client", "idle client", "MiB", False, False, _absolute(58, 58)),
    Figure("beside", "round trip beside bulk, p99", "us", False, True, _relative(1.5)),
    Figure("beside-bulk", "that bulk", "Gbit/s", True),
    Figure("beside-1", "round trip beside 1 Gbit/s, p99", "us", False),
    Figure("start-server", "start of the server", "s", False, False),
    Figure("start-client", "start of the client", "s", False, False),
)
"""All of them, in the order in which they are shown."""

KEYS: Final = tuple(figure.key for figure in FIGURES)
