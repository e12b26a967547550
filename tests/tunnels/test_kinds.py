"""
Tests for L{tunnelkit.tunnels.kinds}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.tunnels.kinds import LOCAL, PARSERS, PUBLIC


class KindsTests(SynchronousTestCase):
    """
    A kind of tunnel is whole, or not there at all.
    """

    def test_whole(self) -> None:
        """
        What can be asked for can be published by a server and served by a client.
        """
        self.assertEqual({*PARSERS}, {"tcp", "udp", "private", "private-udp"})
        self.assertEqual({*LOCAL}, {*PARSERS})
        self.assertEqual({*PUBLIC}, {*PARSERS})
