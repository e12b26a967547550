"""
Tests of L{tunnelkit.sharing.metrics} and L{tunnelkit.sharing.tally}.
"""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Final

from tests.sharing.world import SharingCase
from tunnelkit.sharing.metrics import COUNTERS, makeExposition
from tunnelkit.sharing.tally import ShareTally, Times

PAGE: Final = Path(__file__).parent.parent.parent / "docs" / "sharing.rst"


class MetricsTests(SharingCase):
    """
    What an operator sees on a dashboard.
    """

    def test_numbers(self) -> None:
        """
        Clients, requests and the queue are shown, and how long things took.
        """
        world = self.world()
        expose = makeExposition(world.pool)
        client = world.client(b"one\ntwo\nthree\n")
        target = world.target()
        world.advance(0.2)
        target.say(b"1\n")
        shown = dict(
            line.rsplit(" ", 1)
            for line in expose().decode().splitlines()
            if not line.startswith("#")
        )
        for name, value in (
            ("clients_connected", "1.0"),
            ("queue", "1.0"),
            ("requests_under_way", "1.0"),
            ("target_connections", "1.0"),
            ("requests_total", "3.0"),
            ("target_connects_total", "1.0"),
            ("service_seconds_count", "1.0"),
            ('service_seconds_bucket{le="0.1"}', "0.0"),
            ('service_seconds_bucket{le="0.25"}', "1.0"),
            ("service_seconds_sum", "0.2"),
            ("wait_seconds_count", "2.0"),
        ):
            self.assertEqual(shown[f"tunnelkit_share_{name}"], value, name)
        client.leave()

    def test_sentAgain(self) -> None:
        """
        A request counts as sent again when it is, not when it is to be; and what it
        waited is counted from when it waited again.
        """
        world = self.world(timeout=3)
        clients = world.client(b"get 1\n"), world.client(b"get 2\n")
        target = world.target()
        world.advance(2)
        target.end()
        tally = world.pool.tally
        self.assertEqual(tally.retries, 0)
        world.advance(2.5)
        self.assertEqual(clients[1].got, b"DOWN\n")
        world.target()
        self.assertEqual((tally.retries, tally.broken, tally.requests), (1, 0, 2))
        self.assertEqual(tally.wait.total, 2.5)

    def test_all(self) -> None:
        """
        Whatever is counted is shown.
        """
        counted = {each.name for each in fields(ShareTally)} - {"wait", "service"}
        self.assertEqual({attribute for _, attribute, _ in COUNTERS}, counted)

    def test_documented(self) -> None:
        """
        docs/sharing.rst lists each metric, and no other.
        """
        world = self.world()
        text = makeExposition(world.pool)().decode()
        names = {*re.findall(r"^# TYPE (\w+) (?:counter|gauge|histogram)", text, re.M)}
        names = {name for name in names if not name.endswith("_created")}
        _, _, table = PAGE.read_text().partition(".. csv-table:: Metrics of a share\n")
        listed = set(re.findall(r"^   ``(\w+)``", table.split("\n\n")[1], re.M))
        self.assertEqual(listed, names)

    def test_times(self) -> None:
        """
        What takes longer than all buckets is counted, too.
        """
        times = Times()
        times.add(0.0005)
        times.add(1000.0)
        self.assertEqual((times.counts[0], times.counts[-1]), (1, 1))
