"""
Tests for L{tests.bench.results}.
"""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from tests.bench.figures import FIGURES, HAPROXY, PLAIN
from tests.bench.results import Results
from tests.bench.sample import sample


class ResultsTests(SynchronousTestCase):
    """
    Rounds come to one figure, and to a ratio.
    """

    def test_median(self) -> None:
        """
        One round that something else disturbed does not change the figure.
        """
        self.assertEqual(sample().value("requests", HAPROXY), 30_000)

    def test_roundWithout(self) -> None:
        """
        A round that went wrong is left out, and is seen to be.
        """
        results = sample()
        self.assertEqual(results.made("roundtrip", PLAIN), [200, None, 208])
        self.assertEqual(results.value("roundtrip", PLAIN), 204)

    def test_ratio(self) -> None:
        """
        The ratio is that of the two figures that stand in the table.
        """
        results = sample()
        self.assertEqual(results.ratio("requests", PLAIN), 1.4)
        self.assertEqual(results.ratio("requests", HAPROXY), 1.0)

    def test_noRatio(self) -> None:
        """
        Without a figure on either side there is none.
        """
        results = sample()
        self.assertIsNone(results.ratio("idle-server", PLAIN))
        self.assertIsNone(results.ratio("roundtrip", "direct"))
        results.add(0, HAPROXY, {"idle-server": 0.0})
        self.assertIsNone(results.ratio("idle-server", PLAIN))

    def test_spread(self) -> None:
        """
        Figures whose rounds lie far apart are pointed out.
        """
        results = sample()
        self.assertAlmostEqual(results.spread("roundtrip", HAPROXY) or 0, 2 / 101)
        self.assertFalse(results.doubtful("roundtrip", HAPROXY))
        self.assertTrue(results.doubtful("requests", HAPROXY))
        self.assertFalse(results.doubtful("cpu", HAPROXY))

    def test_shown(self) -> None:
        """
        A figure that nobody asked for does not take a row.
        """
        self.assertEqual(
            [figure.key for figure in sample().shown()],
            ["requests", "roundtrip", "idle-server"],
        )

    def test_reached(self) -> None:
        """
        A target holds for the way that it was set for.
        """
        results, figures = sample(), {figure.key: figure for figure in FIGURES}
        self.assertIs(results.reached(figures["requests"], PLAIN), True)
        self.assertIs(results.reached(figures["roundtrip"], PLAIN), False)
        self.assertIs(results.reached(figures["idle-server"], PLAIN), True)
        self.assertIsNone(results.reached(figures["requests"], "direct"))

    def test_json(self) -> None:
        """
        Everything that was measured can be read by a program, each round by itself.
        """
        document = json.loads(sample().written(machine={"cores": 2}))
        self.assertEqual(document["machine"], {"cores": 2})
        self.assertEqual(document["rounds"], 3)
        self.assertEqual(document["ways"]["haproxy"], "HAProxy")
        self.assertEqual(len(document["faults"]), 1)
        figure = document["figures"]["requests"]
        self.assertEqual((figure["unit"], figure["better"]), ("/s", "more"))
        self.assertEqual(
            figure["ways"]["plain"],
            {
                "rounds": [30_000, 50_000, 42_000],
                "median": 42_000,
                "spread": 20_000 / 42_000,
                "to haproxy": 1.4,
                "target": "≥ 1 x",
                "reached": True,
            },
        )
        roundtrip = document["figures"]["roundtrip"]["ways"]
        self.assertEqual(roundtrip["plain"]["rounds"], [200, None, 208])
        self.assertNotIn("direct", roundtrip)

    def test_nothing(self) -> None:
        """
        A run of which nothing came is written all the same.
        """
        self.assertEqual(json.loads(Results([], 3).written())["figures"], {})
