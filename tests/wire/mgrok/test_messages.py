"""
Tests for L{tunnelkit.wire.mgrok.messages}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.wire.mgrok.messages import Handshake, isGenuine


class HandshakeTests(SynchronousTestCase):
    """
    Who knows the secret gets in, and nobody else.
    """

    def test_isGenuine(self) -> None:
        """
        Another secret, a longer one or an empty one does not get in.
        """
        for said, secret, genuine in (
            (b"secret", "secret", True),
            ("\u00e9".encode(), "\u00e9", True),
            (b"secres", "secret", False),
            (b"secret\x01\x01\x1f\x40", "secret", False),
            (b"\xff", "secret", False),
            (b"", "", False),
            (b"", "secret", False),
        ):
            self.assertIs(isGenuine(Handshake(said), secret), genuine)

    def test_hidden(self) -> None:
        """
        The secret does not get into a log.
        """
        self.assertNotIn("secret", repr(Handshake(b"secret")))
