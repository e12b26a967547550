"""
Tests for L{tunnelkit.admin.metrics} and L{tunnelkit.admin.collector}.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.admin.asking import (
    DATAGRAMS,
    EMPTY,
    SESSION,
    STATUS,
    TROUBLED,
    TUNNEL,
    AskingCase,
    FakeSource,
)
from tunnelkit.admin.collector import StatusCollector

Values = dict[tuple[str, str], float]


def parsed(text: bytes) -> Values:
    """
    Read metrics as Prometheus does: values by name and labels.
    """
    return {
        (sample.name, ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))): (
            sample.value
        )
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


WEB = "kind=tcp,tunnel=web,user=default"


class MetricsTests(AskingCase):
    """
    Prometheus reads the server's numbers.
    """

    def values(self) -> Values:
        """
        Ask and parse.
        """
        return parsed(self.ask("/metrics").body)

    def test_loadedLate(self) -> None:
        """
        A server of which nobody asks for metrics does without the memory for them.
        """
        loaded = "import sys, tunnelkit.commands.server; print(*sys.modules)"
        modules = subprocess.check_output([sys.executable, "-c", loaded], text=True)
        self.assertIn("tunnelkit.admin.metrics", modules.split())
        self.assertNotIn("prometheus_client", modules.split())

    def test_kind(self) -> None:
        """
        Prometheus recognises the text.
        """
        self.assertEqual(
            self.ask("/metrics").header("content-type"),
            "text/plain; version=0.0.4; charset=utf-8",
        )

    def test_all(self) -> None:
        """
        Every number is there, under names that stay.
        """
        self.assertEqual(
            self.values(),
            {
                ("tunnelkit_server_info", "program=tunnelkit 26.11.0"): 1,
                ("tunnelkit_start_time_seconds", ""): 1_793_880_000,
                ("tunnelkit_healthy", ""): 1,
                ("tunnelkit_troubles", ""): 0,
                ("tunnelkit_draining", ""): 0,
                ("tunnelkit_openings", ""): 5,
                ("tunnelkit_logins_total", ""): 31,
                ("tunnelkit_logins_failed_total", ""): 4,
                ("tunnelkit_sessions", "user=default"): 1,
                ("tunnelkit_work_connections_idle", "user=default"): 6,
                ("tunnelkit_work_connections_busy", "user=default"): 3,
                ("tunnelkit_stray_datagrams", "user=default"): 0,
                ("tunnelkit_visitors_waiting", "user=default"): 2,
                ("tunnelkit_slowest_round_trip_seconds", "user=default"): 0.0213,
                ("tunnelkit_tunnels", ""): 1,
                ("tunnelkit_tunnels_unlisted", ""): 0,
                ("tunnelkit_tunnel_streams", WEB): 3,
                ("tunnelkit_tunnel_visitors_total", WEB): 18234,
                ("tunnelkit_tunnel_visitors_failed_total", WEB): 7,
                ("tunnelkit_tunnel_received_bytes_total", WEB): 1536,
                ("tunnelkit_tunnel_sent_bytes_total", WEB): 5_368_709_120,
                ("tunnelkit_tunnel_received_packed_bytes_total", WEB): 1536,
                ("tunnelkit_tunnel_sent_packed_bytes_total", WEB): 5_368_709_120,
                ("tunnelkit_tunnel_received_datagrams_total", WEB): 0,
                ("tunnelkit_tunnel_sent_datagrams_total", WEB): 0,
                ("tunnelkit_tunnel_dropped_datagrams_total", f"cause=late,{WEB}"): 2,
                ("tunnelkit_tunnel_compression_ratio", WEB): 1,
            },
        )

    def test_compressed(self) -> None:
        """
        What compression gains is a number of its own, over all tunnels of a series; 1
        before there is anything to compress.
        """
        packed = replace(
            TUNNEL,
            received=1000,
            sent=5000,
            compress="zstd",
            receivedPacked=500,
            sentPacked=700,
        )
        plain = replace(packed, received=0, sent=800, receivedPacked=0, sentPacked=800)
        ratio = "tunnelkit_tunnel_compression_ratio", WEB
        for tunnels, expected in (((packed,), 5), ((packed, plain), 3.4)):
            self.source.now = replace(STATUS, tunnels=tunnels)
            self.assertEqual(self.values()[ratio], expected)
        nothing = replace(plain, sent=0, sentPacked=0)
        self.source.now = replace(STATUS, tunnels=(nothing,))
        self.assertEqual(self.values()[ratio], 1)

    def test_datagrams(self) -> None:
        """
        Datagrams and those that were dropped, by cause, are numbers of their own, over
        all tunnels of a series.
        """
        self.source.now = replace(STATUS, tunnels=(DATAGRAMS, DATAGRAMS))
        values = self.values()
        dns = "kind=udp,tunnel=dns,user=default"
        for name, labels, value in (
            ("tunnelkit_tunnel_received_datagrams_total", dns, 48),
            ("tunnelkit_tunnel_sent_datagrams_total", dns, 46),
            ("tunnelkit_tunnel_dropped_datagrams_total", f"cause=queue,{dns}", 8),
            ("tunnelkit_tunnel_dropped_datagrams_total", f"cause=kernel,{dns}", 0),
        ):
            self.assertEqual(values[name, labels], value)

    def test_trouble(self) -> None:
        """
        An alert can be made of a server in trouble, and of one that is stopping.
        """
        self.source.now = replace(TROUBLED, draining=True)
        values = self.values()
        self.assertEqual(values["tunnelkit_healthy", ""], 0)
        self.assertEqual(values["tunnelkit_troubles", ""], 2)
        self.assertEqual(values["tunnelkit_draining", ""], 1)

    def test_empty(self) -> None:
        """
        A server that nobody uses has metrics, too.
        """
        self.source.now = EMPTY
        values = self.values()
        self.assertEqual(values["tunnelkit_tunnels", ""], 0)
        self.assertEqual(values["tunnelkit_logins_total", ""], 31)

    def test_users(self) -> None:
        """
        The sessions of a user are put together, each user's by themselves.
        """
        slow = replace(SESSION, session="2", roundTrip=0.5, idle=1)
        new = replace(SESSION, session="3", user="build", roundTrip=None)
        self.source.now = replace(STATUS, sessions=(SESSION, new, slow))
        values = self.values()
        self.assertEqual(values["tunnelkit_sessions", "user=default"], 2)
        self.assertEqual(values["tunnelkit_work_connections_idle", "user=default"], 7)
        rtt = "tunnelkit_slowest_round_trip_seconds"
        self.assertEqual(values[rtt, "user=default"], 0.5)
        self.assertEqual(values[rtt, "user=build"], 0)

    def test_sameNames(self) -> None:
        """
        Two clients of one user with a tunnel of the same name give one series, their
        sum: Prometheus refuses a page on which one stands twice.
        """
        other = replace(TUNNEL, session="2", client="attic", received=4)
        self.source.now = replace(STATUS, tunnels=(TUNNEL, other))
        text = self.ask("/metrics").body
        self.assertEqual(text.count(b"tunnelkit_tunnel_received_bytes_total{"), 1)
        values = parsed(text)
        self.assertEqual(values["tunnelkit_tunnel_received_bytes_total", WEB], 1540)
        self.assertEqual(values["tunnelkit_tunnels", ""], 2)

    def test_withdrawn(self) -> None:
        """
        One that is withdrawn and still has visitors counts in its series, and not
        among those that are open.
        """
        other = replace(TUNNEL, withdrawn=True, received=4)
        self.source.now = replace(STATUS, tunnels=(TUNNEL, other))
        values = self.values()
        self.assertEqual(values["tunnelkit_tunnel_received_bytes_total", WEB], 1540)
        self.assertEqual(values["tunnelkit_tunnels", ""], 1)

    def test_noSessions(self) -> None:
        """
        A client that comes back again and again makes no series again and again.
        """
        text = self.ask("/metrics").body
        for changing in (SESSION.session, SESSION.peer, SESSION.client):
            self.assertNotIn(changing.encode(), text)

    def test_live(self) -> None:
        """
        Each scrape gets the numbers of its moment.
        """
        self.values()
        self.source.now = replace(STATUS, tunnels=(replace(TUNNEL, sent=7),))
        self.assertEqual(self.values()["tunnelkit_tunnel_sent_bytes_total", WEB], 7)

    def test_hostileNames(self) -> None:
        """
        No name that a client chooses breaks the page or forges a metric.
        """
        name = 'x"} 1\ntunnelkit_healthy 0\n\\\r\x00\u2028\ud800'
        tunnel = replace(TUNNEL, name=name, user=name, kind=name)
        session = replace(SESSION, user=name)
        self.source.now = replace(
            STATUS, program=name, sessions=(session,), tunnels=(tunnel,)
        )
        values = self.values()
        self.assertEqual(values["tunnelkit_healthy", ""], 1)
        self.assertEqual(len(values), 27)

    def test_longNames(self) -> None:
        """
        A name of thousands of letters is cut in a label.
        """
        tunnel = replace(TUNNEL, name="x" * 4096)
        self.source.now = replace(STATUS, tunnels=(tunnel,))
        self.assertNotIn(b"x" * 200, self.ask("/metrics").body)


class StatusCollectorTests(AskingCase):
    """
    A scrape has a bound.
    """

    def test_most(self) -> None:
        """
        Beyond so many tunnels the others have no series, and their number is told.
        """
        tunnels = tuple(
            replace(TUNNEL, name=name) for name in ("d", "a", "c", "b", "a")
        )
        registry = CollectorRegistry()
        source = FakeSource(replace(STATUS, tunnels=tunnels))
        registry.register(StatusCollector(source, most=2))
        values = parsed(generate_latest(registry))
        series = "tunnelkit_tunnel_streams"
        named = {labels for name, labels in values if name == series}
        self.assertEqual(
            named, {f"kind=tcp,tunnel={name},user=default" for name in "ab"}
        )
        self.assertEqual(values["tunnelkit_tunnels", ""], 5)
        self.assertEqual(values["tunnelkit_tunnels_unlisted", ""], 2)
