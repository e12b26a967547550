"""
Tests for L{tunnelkit.control.wordless}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.control.wordless import Wordless


class WordlessTests(SynchronousTestCase):
    """
    A server says to a client what that has no words for.
    """

    def test_nothing(self) -> None:
        """
        Nothing happens, and nobody waits for an answer.
        """
        channel = Wordless()
        channel.want(3)
        channel.drain(10.0)
        self.successResultOf(channel.vouch(("sha256:00",)))
