"""
Tests for L{tunnelkit.dialects.pipe.client} at a server of ours.
"""

from __future__ import annotations

from typing import Any

from tests.dialects.pipe.case import TOKEN, PipeCase
from tunnelkit.dialects.pipe.client import PIPE


class OwnCase(PipeCase):
    """
    Our client of pipe's at our server that speaks it.
    """

    def forwarded(self, *tunnels: str, **changes: Any) -> Any:
        """
        Start a client, and wait until its forwards are open.
        """
        client = self.abroad(PIPE, *tunnels, token=TOKEN, **changes)
        client.startService()
        self.network.settle()
        return client


class OwnTests(OwnCase):
    """
    Both sides are ours.
    """

    def test_served(self) -> None:
        """
        A visitor of the forward's port is served, and both may end when they like.
        """
        client = self.forwarded()
        self.assertEqual(client.tunnels[0].address, "tcp://127.0.0.1:9000")
        self.assertServed()
        self.assertServed()
