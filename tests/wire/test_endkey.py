"""
Tests for L{tunnelkit.wire.endkey}.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.wire.certificate import selfSigned
from tunnelkit.wire.endkey import newEndKey, parseEndKey

NOW: Final = datetime(2027, 1, 1, tzinfo=UTC)


class EndKeyTests(SynchronousTestCase):
    """
    What two clients share is one text, and it is told from anything else.
    """

    def test_again(self) -> None:
        """
        What was written is read.
        """
        key = newEndKey(NOW)
        self.assertEqual(parseEndKey(key.pem), key)
        self.assertEqual(parseEndKey(key.pem).secret, key.secret)

    def test_new(self) -> None:
        """
        Each is another.
        """
        self.assertNotEqual(newEndKey(NOW).secret, newEndKey(NOW).secret)

    def test_secret(self) -> None:
        """
        It is not shown by accident.
        """
        self.assertNotIn("PRIVATE", repr(newEndKey(NOW)))

    def test_wrong(self) -> None:
        """
        Half a file, another one, and a key of another kind are no such key.
        """
        pem = newEndKey(NOW).pem
        other = newEndKey(NOW).pem
        half = pem.index(b"-----BEGIN CERTIFICATE")
        key = rsa.generate_private_key(65537, 2048).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        pair = selfSigned(["x"], NOW, key)
        for text in (
            b"",
            b"tk1_default_secret",
            pem[:half],
            pem[half:],
            pem[:half] + other[other.index(b"-----BEGIN CERTIFICATE") :],
            pair.key + pair.chain,
        ):
            error = self.assertRaises(ValueError, parseEndKey, text)
            self.assertIn("which tunnelkit key new makes", str(error))
