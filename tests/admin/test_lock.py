"""
Tests for L{tunnelkit.admin.lock}.
"""

from __future__ import annotations

from base64 import b64encode

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.admin.lock import Lock

TOKEN = "ta1_dhzj3rmb7kq2"


def basic(credentials: str) -> bytes:
    """
    Give the header that a browser makes of C{user:password}.
    """
    return b"Basic " + b64encode(credentials.encode())


class LockTests(SynchronousTestCase):
    """
    The rooms open for those who know the token, and for nobody else.
    """

    def setUp(self) -> None:
        """
        Make a lock.
        """
        self.lock = Lock(TOKEN)

    def test_bearer(self) -> None:
        """
        A program gets in with the token, however it writes the scheme's name.
        """
        for scheme in ("Bearer", "bearer", "BEARER"):
            self.assertTrue(self.lock.opens(f"{scheme} {TOKEN}".encode()), scheme)
        self.assertTrue(self.lock.opens(f"Bearer   {TOKEN} ".encode()))

    def test_basic(self) -> None:
        """
        A person gets in through a browser with the token as the password, whatever
        the user name.
        """
        for user in ("admin", "", "j\N{LATIN SMALL LETTER O WITH DIAERESIS}rg"):
            self.assertTrue(self.lock.opens(basic(f"{user}:{TOKEN}")), user)

    def test_colonInToken(self) -> None:
        """
        A token with a colon in it works in a browser, too.
        """
        self.assertTrue(Lock("a:b:c").opens(basic("admin:a:b:c")))

    def test_wrong(self) -> None:
        """
        Nobody gets in with another token, a part of it, more than it, or none.
        """
        for given_ in (
            None,
            b"",
            b"Bearer",
            b"Bearer ",
            TOKEN.encode(),
            b"Bearer " + TOKEN[:-1].encode(),
            b"Bearer " + TOKEN.encode() + b"x",
            b"Bearer " + TOKEN.upper().encode(),
            b"Digest " + TOKEN.encode(),
            b"Basic",
            b"Basic " + TOKEN.encode(),
            basic(TOKEN),
            basic(f"{TOKEN}:"),
            basic("admin:"),
            basic(f"admin:{TOKEN}x"),
            basic(f"admin:{TOKEN}")[:-1],
            basic(f"admin:{TOKEN}").replace(b"Basic ", b"Basic !"),
        ):
            self.assertFalse(self.lock.opens(given_), given_)

    @given(st.sampled_from([b"", b"Bearer ", b"Basic "]), st.binary(max_size=60))
    def test_anyHeader(self, scheme: bytes, noise: bytes) -> None:
        """
        Whatever a stranger sends is answered, and lets nobody in.
        """
        self.assertFalse(self.lock.opens(scheme + noise))

    def test_spaceAround(self) -> None:
        """
        The end of the line in the token's file is no part of the token.
        """
        self.assertTrue(Lock(f"{TOKEN}\n").opens(f"Bearer {TOKEN}".encode()))

    def test_emptyToken(self) -> None:
        """
        An empty token file does not open the rooms to everybody.
        """
        for token in ("", " \n"):
            error = self.assertRaises(ValueError, Lock, token)
            self.assertIn("the admin token is empty", str(error))
