"""
Tests for L{tunnelkit.admin.status} and L{tunnelkit.admin.tunnels}.
"""

from __future__ import annotations

from dataclasses import replace

from tests.admin.asking import (
    EMPTY,
    SESSION,
    STATUS,
    TROUBLED,
    TUNNEL,
    AskingCase,
)


class StatusTests(AskingCase):
    """
    A program reads how the server does.
    """

    def test_status(self) -> None:
        """
        All about the server and its sessions is there, under names that stay.
        """
        seen = self.ask("/api/v1/status")
        self.assertEqual(seen.header("content-type"), "application/json; charset=utf-8")
        self.assertEqual(
            seen.json(),
            {
                "program": "tunnelkit 26.11.0",
                "started": 1_793_880_000.0,
                "draining": False,
                "healthy": True,
                "troubles": [],
                "openings": 5,
                "counts": {"logins": 31, "logins_failed": 4},
                "tunnels": 1,
                "streams": 3,
                "received": 1536,
                "sent": 5_368_709_120,
                "sessions": [
                    {
                        "session": "9f3a21c0",
                        "user": "default",
                        "client": "garage",
                        "peer": "203.0.113.24:51822",
                        "program": "tunnelkit 26.11.0",
                        "since": 1_794_218_583.0,
                        "round_trip": 0.0213,
                        "idle": 6,
                        "busy": 3,
                        "waiting": 2,
                        "strays": 0,
                    }
                ],
            },
        )

    def test_sums(self) -> None:
        """
        Streams and bytes are those of all tunnels.
        """
        self.source.now = replace(STATUS, tunnels=(TUNNEL, TUNNEL))
        told = self.ask("/api/v1/status").json()
        self.assertEqual(
            (told["tunnels"], told["streams"], told["received"], told["sent"]),
            (2, 6, 3072, 10_737_418_240),
        )

    def test_withdrawn(self) -> None:
        """
        Tunnels that are withdrawn are not open; their visitors count all the same.
        """
        withdrawn = replace(TUNNEL, withdrawn=True)
        self.source.now = replace(STATUS, tunnels=(TUNNEL, withdrawn))
        told = self.ask("/api/v1/status").json()
        self.assertEqual((told["tunnels"], told["streams"]), (1, 6))

    def test_troubles(self) -> None:
        """
        What is wrong with a server, and that it is stopping, is told here too.
        """
        self.source.now = replace(TROUBLED, draining=True)
        told = self.ask("/api/v1/status").json()
        self.assertEqual(told["troubles"], ["the lease store is full", "the sky falls"])
        self.assertEqual((told["healthy"], told["draining"]), (False, True))

    def test_noRoundTripYet(self) -> None:
        """
        A client that has just come has no round trip rather than a wrong one.
        """
        session = replace(SESSION, roundTrip=None)
        self.source.now = replace(STATUS, sessions=(session,))
        (told,) = self.ask("/api/v1/status").json()["sessions"]
        self.assertIsNone(told["round_trip"])

    def test_live(self) -> None:
        """
        Who asks again gets the numbers of that moment.
        """
        self.assertEqual(self.ask("/api/v1/status").json()["received"], 1536)
        self.source.now = replace(STATUS, tunnels=(replace(TUNNEL, received=1537),))
        self.assertEqual(self.ask("/api/v1/status").json()["received"], 1537)


class TunnelsTests(AskingCase):
    """
    A program reads what is published.
    """

    def test_tunnels(self) -> None:
        """
        All about a tunnel is there, its public address first of all.
        """
        self.assertEqual(
            self.ask("/api/v1/tunnels").json(),
            {
                "tunnels": [
                    {
                        "name": "web",
                        "kind": "tcp",
                        "address": "tcp://vps.example.org:20411",
                        "user": "default",
                        "client": "garage",
                        "session": "9f3a21c0",
                        "streams": 3,
                        "visitors": 18234,
                        "failed": 7,
                        "received": 1536,
                        "sent": 5_368_709_120,
                        "withdrawn": False,
                        "compress": "",
                        "received_packed": 1536,
                        "sent_packed": 5_368_709_120,
                        "datagrams_received": 0,
                        "datagrams_sent": 0,
                        "drops": {"late": 2},
                    }
                ]
            },
        )

    def test_none(self) -> None:
        """
        Where nothing is published the list is empty.
        """
        self.source.now = EMPTY
        self.assertEqual(self.ask("/api/v1/tunnels").json(), {"tunnels": []})

    def test_live(self) -> None:
        """
        Bytes grow while a stream runs.
        """
        self.ask("/api/v1/tunnels")
        self.source.now = replace(STATUS, tunnels=(replace(TUNNEL, sent=99),))
        (told,) = self.ask("/api/v1/tunnels").json()["tunnels"]
        self.assertEqual(told["sent"], 99)
