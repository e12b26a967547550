"""
Tests for L{tunnelkit.dialects.pipe.spec}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.dialects.known import DIALECTS
from tunnelkit.dialects.pipe.spec import PipeSpec
from tunnelkit.dialects.spec import parseDialect


class PipeSpecTests(SynchronousTestCase):
    """
    An operator says how pipe is spoken.
    """

    def parsed(self, text: str) -> PipeSpec:
        """
        Read a description.
        """
        spec = parseDialect(text, DIALECTS, str)
        assert isinstance(spec, PipeSpec)
        return spec

    def refusal(self, text: str) -> str:
        """
        Give what is said of one that cannot be used.
        """
        return str(self.assertRaises(ValueError, self.parsed, text))

    def test_defaults(self) -> None:
        """
        A secret is enough.
        """
        spec = self.parsed("pipe:token=abc")
        self.assertEqual(spec, PipeSpec("abc", 600.0, False, "", spec.caddy))
        self.assertEqual(spec.name, "pipe")
        self.assertEqual(spec.users, {"pipe"})

    def test_secret(self) -> None:
        """
        There is no way round it, and nobody is shown it.
        """
        for text in ("pipe", "pipe:token=", "pipe:skew=0"):
            self.assertIn("it has no secret", self.refusal(text))
        self.assertNotIn("abc", repr(self.parsed("pipe:token=abc")))

    def test_skew(self) -> None:
        """
        A time is a number of seconds, at most a week.
        """
        self.assertEqual(self.parsed("pipe:token=abc:skew=60").skew, 60.0)
        for text in ("-1", "x", "1.5", "604801", ""):
            words = self.refusal(f"pipe:token=abc:skew={text}")
            self.assertIn("is not a number of seconds, 0 to 604800", words)

    def test_domain(self) -> None:
        """
        A domain is one that names can stand before.
        """
        for text in ("example.com", "EXAMPLE.com.", "a-b.xn--p1ai", "localhost"):
            spec = self.parsed(f"pipe:token=abc:domain={text}")
            self.assertEqual(spec.domain, text.lower().rstrip("."))
        for text in ("", ".", "a..b", "-a.com", "a_b.com", "a b.com", "x" * 64, "/"):
            words = self.refusal(f"pipe:token=abc:domain={text}")
            self.assertIn("is not a domain", words)

    def test_caddy(self) -> None:
        """
        Caddy's API is on this machine unless another is named.
        """
        spec = self.parsed("pipe:token=abc:domain=example.com")
        self.assertEqual(spec.caddy, "http://127.0.0.1:2019")
        for text in ("x", r"ftp\://host", r"http\://"):
            words = self.refusal(f"pipe:token=abc:domain=example.com:caddy={text}")
            self.assertIn("is not the address of an API", words)

    def test_warning(self) -> None:
        """
        The log says how long a login is of use to who reads it.
        """
        self.assertIn("for 600 seconds", self.parsed("pipe:token=abc").warning)
        forever = self.parsed("pipe:token=abc:skew=0").warning
        self.assertIn("for ever (skew=0)", forever)
