"""
Tests for L{tests.bench.figures}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.bench.figures import FIGURES, KEYS, PLAIN, TLS, Figure, Target


class FigureTests(SynchronousTestCase):
    """
    A figure knows whether it is good enough.
    """

    def test_moreIsBetter(self) -> None:
        """
        What is to be many is reached at the bound and above it.
        """
        figure = Figure("f", "figure", "/s", True, True, {PLAIN: Target(1.5)})
        for ratio, reached in ((1.49, False), (1.5, True), (9.0, True)):
            self.assertIs(figure.reached(PLAIN, 1.0, ratio), reached)
        self.assertEqual(figure.promise(PLAIN), "≥ 1.5 x")

    def test_lessIsBetter(self) -> None:
        """
        What is to be little is reached at the bound and below it.
        """
        figure = Figure("f", "figure", "us", False, True, {PLAIN: Target(1.3)})
        for ratio, reached in ((1.31, False), (1.3, True), (0.1, True)):
            self.assertIs(figure.reached(PLAIN, 1.0, ratio), reached)
        self.assertEqual(figure.promise(PLAIN), "≤ 1.3 x")

    def test_inTheUnit(self) -> None:
        """
        Where a target is no ratio, HAProxy's figure does not count.
        """
        figure = Figure("f", "figure", "KiB", False, True, {TLS: Target(32, False)})
        self.assertIs(figure.reached(TLS, 31.0, 10.0), True)
        self.assertIs(figure.reached(TLS, 33.0, 0.1), False)
        self.assertEqual(figure.promise(TLS), "≤ 32 KiB")

    def test_nothingPromised(self) -> None:
        """
        What is told and no more is neither reached nor missed.
        """
        figure = Figure("f", "figure", "s", False)
        self.assertIsNone(figure.reached(PLAIN, 1.0, 1.0))
        self.assertEqual(figure.promise(PLAIN), "")

    def test_notKnown(self) -> None:
        """
        Without a figure of HAProxy's, or of our own, nothing is said to be reached.
        """
        targets = {PLAIN: Target(1.0), TLS: Target(1.0, False)}
        figure = Figure("f", "figure", "/s", True, True, targets)
        self.assertIsNone(figure.reached(PLAIN, 5.0, None))
        self.assertIsNone(figure.reached(TLS, None, 5.0))


class PromisedTests(SynchronousTestCase):
    """
    The targets are those that tunnelkit is to reach.
    """

    def test_targets(self) -> None:
        """
        Each one stands with the figure that it is about.
        """
        found = {
            figure.key: (figure.promise(PLAIN), figure.promise(TLS))
            for figure in FIGURES
            if figure.targets
        }
        self.assertEqual(
            found,
            {
                "requests": ("≥ 1 x", "≥ 0.65 x"),
                "connections": ("≥ 1 x", "≥ 0.75 x"),
                "bulk-up": ("≥ 1.5 x", "≥ 0.65 x"),
                "bulk-down": ("≥ 1.5 x", "≥ 0.65 x"),
                "bulk-8": ("≥ 1.5 x", "≥ 0.65 x"),
                "roundtrip": ("≤ 1.3 x", "≤ 1.8 x"),
                "cpu": ("≤ 0.6 x", ""),
                "visitor-server": ("≤ 2 KiB", "≤ 32 KiB"),
                "visitor-client": ("≤ 2 KiB", "≤ 32 KiB"),
                "idle-server": ("≤ 64 MiB", "≤ 64 MiB"),
                "idle-client": ("≤ 58 MiB", "≤ 58 MiB"),
                "beside": ("≤ 1.5 x", ""),
            },
        )

    def test_keys(self) -> None:
        """
        Each figure can be asked for by itself.
        """
        self.assertEqual(len({*KEYS}), len(FIGURES))
