"""
A sample: results of a run that there never was, for tests of what is made of results.
"""

from __future__ import annotations

from tests.bench.figures import HAPROXY, PLAIN
from tests.bench.results import Named, Results


def sample() -> Results:
    """
    Give results of three rounds, of which one went wrong for one way.
    """
    ways = [Named("direct", "direct"), Named(HAPROXY, "HAProxy"), Named(PLAIN, "ours")]
    results = Results(ways, 3)
    for turn, (direct, haproxy, ours) in enumerate(
        (
            (100_000, 40_000, 30_000),
            (120_000, 20_000, 50_000),
            (110_000, 30_000, 42_000),
        )
    ):
        results.add(turn, "direct", {"requests": direct})
        results.add(turn, HAPROXY, {"requests": haproxy, "roundtrip": 100 + turn})
        results.add(turn, PLAIN, {"requests": ours, "idle-server": 60.0})
        if turn != 1:
            results.add(turn, PLAIN, {"roundtrip": 200 + 4 * turn})
    results.faults.append("ours, round 2: a visitor's connection ended")
    return results
