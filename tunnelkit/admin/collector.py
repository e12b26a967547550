# -*- test-case-name: tests.admin.test_metrics -*-
"""
Collector: what C{/metrics} tells, made of a server's status.

Labels are users, tunnels' names and kinds, never sessions: a client that comes back
goes on with the series that it had.  Tunnels that share all three are added up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tunnelkit.admin.figures import words
from tunnelkit.status import IStatusSource, ServerStatus, SessionStatus, TunnelStatus

_Item = TypeVar("_Item")


def makeExposition(source: IStatusSource) -> Callable[[], bytes]:
    """
    Give what makes the text for Prometheus, anew each time that it is called.
    """
    registry = CollectorRegistry()
    registry.register(StatusCollector(source))
    return lambda: generate_latest(registry)


class StatusCollector(Collector):
    """
    Makes metrics of the status of a server, anew each time that it is asked.
    """

    def __init__(self, source: IStatusSource, most: int = 1000) -> None:
        """
        @param most: for how many tunnels there are series; how many were left out is
            a metric itself.
        """
        self._source = source
        self._most = most

    def collect(self) -> Iterator[Metric]:
        """
        Give all metrics.
        """
        status = self._source.status()
        yield from _server(status)
        yield from _counts(status.counts)
        yield from _sessions(status.sessions)
        yield from _tunnels(status.tunnels, self._most)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"tunnelkit_{name}", meaning, value=value)


def _server(status: ServerStatus) -> Iterator[Metric]:
    yield InfoMetricFamily(
        "tunnelkit_server", "The program.", value={"program": words(status.program)}
    )
    yield _gauge(
        "start_time_seconds", "When it started, seconds since 1970.", status.started
    )
    yield _gauge(
        "healthy", "1 where nothing is wrong with it.", float(not status.troubles)
    )
    yield _gauge("troubles", "How many things are wrong.", len(status.troubles))
    yield _gauge("draining", "1 where it is stopping.", float(status.draining))
    yield _gauge("openings", "Connections not logged in yet.", status.openings)
    yield _gauge("tunnels", "Tunnels that are open.", status.open)


def _counts(counts: Iterable[tuple[str, int]]) -> Iterator[Metric]:
    for name, count in counts:
        meaning = f"{name.replace('_', ' ').capitalize()} since the start."
        yield CounterMetricFamily(f"tunnelkit_{name}", meaning, value=count)


def _sessions(sessions: Iterable[SessionStatus]) -> Iterator[Metric]:
    users = _Series(("user",), sessions, lambda s: (words(s.user),))
    yield users.gauge("sessions", "Clients logged in.", lambda s: 1)
    yield users.gauge(
        "work_connections_idle",
        "Work connections that wait for a visitor.",
        lambda s: s.idle,
    )
    yield users.gauge(
        "work_connections_busy",
        "Work connections that carry a stream.",
        lambda s: s.busy,
    )
    yield users.gauge(
        "visitors_waiting",
        "Visitors that wait for a work connection.",
        lambda s: s.waiting,
    )
    yield users.gauge(
        "stray_datagrams",
        "Datagrams from clients whose flows were over, or elsewhere.",
        lambda s: s.strays,
    )
    yield users.gauge(
        "slowest_round_trip_seconds",
        "The longest round trip to a client; 0 before the first answer to a ping.",
        lambda s: s.roundTrip or 0.0,
        max,
    )


def _tunnels(tunnels: tuple[TunnelStatus, ...], most: int) -> Iterator[Metric]:
    series = _Series(
        ("user", "tunnel", "kind"),
        tunnels,
        lambda t: (words(t.user), words(t.name), words(t.kind)),
        most,
    )
    yield _gauge(
        "tunnels_unlisted",
        "Tunnels without series of their own, as there are too many.",
        series.unlisted,
    )
    yield series.gauge("tunnel_streams", "Streams that run now.", lambda t: t.streams)
    yield series.counter("tunnel_visitors", "Visitors that came.", lambda t: t.visitors)
    yield series.counter(
        "tunnel_visitors_failed",
        "Visitors that were refused or reset.",
        lambda t: t.failed,
    )
    yield series.counter(
        "tunnel_received_bytes", "Bytes from visitors.", lambda t: t.received
    )
    yield series.counter("tunnel_sent_bytes", "Bytes to visitors.", lambda t: t.sent)
    yield series.counter(
        "tunnel_received_packed_bytes",
        "Bytes from visitors as they crossed the tunnel, compressed or not.",
        lambda t: t.receivedPacked,
    )
    yield series.counter(
        "tunnel_sent_packed_bytes",
        "Bytes to visitors as they crossed the tunnel, compressed or not.",
        lambda t: t.sentPacked,
    )
    yield series.ratio(
        "tunnel_compression_ratio",
        "Visitors' bytes for each byte in the tunnel; 1 where nothing is compressed.",
        lambda t: t.received + t.sent,
        lambda t: t.receivedPacked + t.sentPacked,
    )
    yield from _datagrams(series)


def _datagrams(series: _Series[TunnelStatus]) -> Iterator[Metric]:
    yield series.counter(
        "tunnel_received_datagrams",
        "Datagrams from visitors.",
        lambda t: t.datagrams[0],
    )
    yield series.counter(
        "tunnel_sent_datagrams", "Datagrams to visitors.", lambda t: t.datagrams[1]
    )
    yield series.each(
        "tunnel_dropped_datagrams",
        "Datagrams that the server dropped, by cause.",
        "cause",
        lambda t: t.drops,
    )


class _Series(Generic[_Item]):
    """
    Items put together by their labels, in the order of those.

    @ivar unlisted: how many items have no series.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        items: Iterable[_Item],
        labels: Callable[[_Item], tuple[str, ...]],
        most: int | None = None,
    ) -> None:
        """
        @param names: the labels' names.
        @param labels: gives the labels' values for an item.
        @param most: the most series of one metric.
        """
        groups: dict[tuple[str, ...], list[_Item]] = {}
        for item in items:
            groups.setdefault(labels(item), []).append(item)
        ordered = sorted(groups.items(), key=lambda group: group[0])
        self._names = names
        self._groups = ordered[:most]
        self.unlisted = sum(len(group) for _, group in ordered[len(self._groups) :])

    def gauge(
        self,
        name: str,
        meaning: str,
        measure: Callable[[_Item], float],
        together: Callable[[Iterable[float]], float] = sum,
    ) -> Metric:
        """
        Give a metric that goes up and down.
        """
        family = GaugeMetricFamily(f"tunnelkit_{name}", meaning, labels=self._names)
        for labels, group in self._groups:
            family.add_metric(labels, together(map(measure, group)))
        return family

    def ratio(
        self,
        name: str,
        meaning: str,
        measure: Callable[[_Item], float],
        other: Callable[[_Item], float],
    ) -> Metric:
        """
        Give a metric that is one sum in another; 1 before there is anything.
        """
        family = GaugeMetricFamily(f"tunnelkit_{name}", meaning, labels=self._names)
        for labels, group in self._groups:
            below = sum(map(other, group))
            family.add_metric(labels, sum(map(measure, group)) / below if below else 1)
        return family

    def each(
        self,
        name: str,
        meaning: str,
        label: str,
        measure: Callable[[_Item], Iterable[tuple[str, float]]],
    ) -> Metric:
        """
        Give a metric that only grows, with one label more.
        """
        names = *self._names, label
        family = CounterMetricFamily(f"tunnelkit_{name}", meaning, labels=names)
        for labels, group in self._groups:
            sums: dict[str, float] = {}
            for item in group:
                for value, count in measure(item):
                    sums[value] = sums.get(value, 0) + count
            for value, total in sums.items():
                family.add_metric((*labels, value), total)
        return family

    def counter(
        self, name: str, meaning: str, measure: Callable[[_Item], float]
    ) -> Metric:
        """
        Give a metric that only grows.
        """
        family = CounterMetricFamily(f"tunnelkit_{name}", meaning, labels=self._names)
        for labels, group in self._groups:
            family.add_metric(labels, sum(map(measure, group)))
        return family
