"""
Tests for L{tunnelkit.wire.pipe.packets}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.wire.pipe.packets import Forward, flaw


class FlawTests(SynchronousTestCase):
    """
    What nobody can be granted is refused with a reason.
    """

    def test_good(self) -> None:
        """
        All ports may be asked for, also 65535, and 0 for any.
        """
        for port in (0, 1, 65535):
            self.assertIsNone(flaw(Forward(port, "web", "a-1", "udp")))

    def test_flaws(self) -> None:
        """
        The log says why a client was refused.
        """
        for request, words in (
            (Forward(1, "", "", ""), "no kind ''"),
            (Forward(1, "", "", "sctp"), "no kind 'sctp'"),
            (Forward(-1, "", "", "tcp"), "-1 is not a port"),
            (Forward(65536, "", "", "tcp"), "65536 is not a port"),
            (Forward(1, "x" * 256, "", "tcp"), "more than 255 bytes"),
            (Forward(1, "", "a.b", "tcp"), "'a.b' cannot be a subdomain"),
            (Forward(1, "", "-a", "tcp"), "'-a' cannot be a subdomain"),
            (Forward(1, "", "\u00e9", "tcp"), "cannot be a subdomain"),
            (Forward(1, "", "a" * 64, "tcp"), "cannot be a subdomain"),
        ):
            self.assertIn(words, str(flaw(request)))
