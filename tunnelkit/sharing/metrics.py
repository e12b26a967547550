# -*- test-case-name: tests.sharing.test_metrics -*-
"""
Metrics: what C{/metrics} of a share tells Prometheus.  This is loaded when somebody
asks first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tunnelkit.sharing.pool import Pool
from tunnelkit.sharing.tally import BUCKETS, ShareTally, Times

COUNTERS: Final = (
    ("clients", "clients", "Clients that came."),
    ("clients_turned_away", "turnedAway", "Clients closed as there were too many."),
    ("clients_refused", "refused", "Clients whose bytes could not be served."),
    ("clients_stalled", "stalled", "Clients cut as they did not read."),
    ("requests", "requests", "Requests of clients."),
    ("local_answers", "local", "Answers that needed no target."),
    ("retries", "retries", "Requests that were sent once more."),
    ("wait_timeouts", "waitTimeouts", "Requests that waited too long."),
    ("reply_timeouts", "replyTimeouts", "Requests not answered in time."),
    ("queue_full", "full", "Requests refused as too many waited."),
    ("broken_requests", "broken", "Requests whose connection ended under them."),
    ("replies_thrown_away", "thrownAway", "Replies whose client had gone."),
    ("stray_replies", "strays", "Replies that nobody waited for, dropped."),
    ("target_connects", "connects", "Connections made to the target."),
    ("target_connects_failed", "failedConnects", "Attempts at one that failed."),
    ("target_out_of_step", "unsolicited", "Connections dropped as out of step."),
)
"""Name, where it is in L{ShareTally}, and meaning."""


def makeExposition(pool: Pool) -> Callable[[], bytes]:
    """
    Give what makes the text for Prometheus, anew each time that it is called.
    """
    registry = CollectorRegistry()
    registry.register(ShareCollector(pool))
    return lambda: generate_latest(registry)


class ShareCollector(Collector):
    """
    Makes metrics of a share, anew each time that it is asked.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def collect(self) -> Iterator[Metric]:
        """
        Give all metrics.
        """
        pool = self._pool
        yield _gauge("clients_connected", "Clients that are here.", len(pool.clients))
        yield _gauge("queue", "Requests that wait for their turn.", pool.waiting.count)
        lines = [line for line in pool.lines if not line.closed]
        yield _gauge("target_connections", "Connections to the target.", len(lines))
        flying = sum(len(line.flying) for line in lines)
        yield _gauge("requests_under_way", "Requests that the target has.", flying)
        yield from _counters(pool.tally)
        yield _histogram("wait", "How long requests wait.", pool.tally.wait)
        yield _histogram("service", "How long the target takes.", pool.tally.service)


def _gauge(name: str, meaning: str, value: int) -> Metric:
    return GaugeMetricFamily(f"tunnelkit_share_{name}", meaning, value=value)


def _counters(tally: ShareTally) -> Iterator[Metric]:
    for name, attribute, meaning in COUNTERS:
        value = getattr(tally, attribute)
        yield CounterMetricFamily(f"tunnelkit_share_{name}", meaning, value=value)


def _histogram(name: str, meaning: str, times: Times) -> Metric:
    counts = [*accumulate(times.counts)]
    edges = [*map(str, BUCKETS), "+Inf"]
    return HistogramMetricFamily(
        f"tunnelkit_share_{name}_seconds",
        meaning,
        buckets=[*zip(edges, counts, strict=True)],
        sum_value=times.total,
    )
