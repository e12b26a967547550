"""
Tests for L{tunnelkit.dialects.mgrok.spec}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.dialects.known import DIALECTS
from tunnelkit.dialects.mgrok.spec import MgrokSpec
from tunnelkit.dialects.spec import DialectSpec, parseDialect


def parsed(text: str) -> DialectSpec:
    """
    Read a description.
    """
    return parseDialect(text, DIALECTS, lambda name: "from a file\n")


class ParseTests(SynchronousTestCase):
    """
    What an operator writes behind C{--dialect mgrok:}.
    """

    def test_options(self) -> None:
        """
        It has a secret, and may be kept to TLS.
        """
        self.assertEqual(parsed("mgrok:token=sesame"), MgrokSpec("sesame"))
        self.assertEqual(
            parsed("mgrok:tokenFile=x:tls=required"), MgrokSpec("from a file", True)
        )

    def test_noSecret(self) -> None:
        """
        Without a secret it is not spoken: a stock server without one lets nobody in.
        """
        error = self.assertRaises(ValueError, parsed, "mgrok:token=")
        self.assertIn("dialect mgrok: it has no secret", str(error))

    def test_warning(self) -> None:
        """
        What is said about it at the start tells plain from TLS, and not the secret.
        """
        plain, secure = MgrokSpec("sesame"), MgrokSpec("sesame", True)
        self.assertIn("also without TLS", plain.warning)
        self.assertIn("in TLS alone", secure.warning)
        self.assertNotIn("sesame", f"{plain} {plain.warning} {secure.warning}")
