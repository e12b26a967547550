"""
Tests for L{tunnelkit.wire.pipe.login}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.golden.recorded import meta, names, streams
from tunnelkit.wire.pipe.codec import FROM_CLIENT, PacketDecoder
from tunnelkit.wire.pipe.login import isFresh, isGenuine, login, token
from tunnelkit.wire.pipe.packets import Login

NOW = 1700000000


class LoginTests(SynchronousTestCase):
    """
    Who knows the secret gets in, and nobody else.
    """

    def test_values(self) -> None:
        """
        Tokens are those of the real programs.
        """
        self.assertEqual(token("abc", NOW), "22bd6333f840eeeee03ad14f75fd96ac")
        self.assertEqual(token("", NOW), "24920decf83f6960b80f737a28eeafc1")

    def test_golden(self) -> None:
        """
        Each login that was recorded is genuine with its client's secret, and ours would
        be the same.
        """
        for name in names("pipe"):
            secret = meta("pipe", name)["client_token"]
            for (_, sender), data in streams("pipe", name).items():
                if sender == "c2s":
                    said = next(PacketDecoder(FROM_CLIENT).feed(data))
                    assert isinstance(said, Login)
                    self.assertTrue(isGenuine(said, secret))
                    self.assertEqual(login(secret, said.timestamp + 0.9), said)

    def test_wrong(self) -> None:
        """
        Another secret, another time, other letters or an empty secret do not get in.
        """
        said = login("abc", NOW)
        self.assertFalse(isGenuine(said, "abd"))
        self.assertFalse(isGenuine(Login(said.token, NOW + 1), "abc"))
        self.assertFalse(isGenuine(Login(said.token.upper(), NOW), "abc"))
        self.assertFalse(isGenuine(Login("\u00e9", NOW), "abc"))
        self.assertFalse(isGenuine(login("", NOW), ""))

    def test_fresh(self) -> None:
        """
        A login that somebody read off the wire is of use for ten minutes, and where the
        operator says so for less or for ever.
        """
        said = login("abc", NOW)
        for now, skew, fresh in (
            (NOW + 600, 600, True),
            (NOW - 600, 600, True),
            (NOW + 601, 600, False),
            (NOW - 601, 600, False),
            (NOW + 31, 30, False),
            (NOW + 10**9, 0, True),
        ):
            self.assertIs(isFresh(said, now, skew), fresh, (now, skew))
        self.assertFalse(isFresh(Login("", 1 << 62), NOW))
        self.assertFalse(isFresh(said, NOW + 601))
