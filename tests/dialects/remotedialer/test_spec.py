"""
Tests for L{tunnelkit.dialects.remotedialer.spec}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.dialects.known import DIALECTS
from tunnelkit.dialects.remotedialer.admitted import userOf
from tunnelkit.dialects.remotedialer.spec import RemoteDialerSpec
from tunnelkit.dialects.spec import DialectSpec, parseDialect

FILES = {"ids": "# ours\nann\n\nbob\n"}


def parse(text: str) -> DialectSpec:
    """
    Read a description.
    """
    return parseDialect(text, DIALECTS, FILES.__getitem__)


class SpecTests(SynchronousTestCase):
    """
    What an operator can write.
    """

    def test_whole(self) -> None:
        """
        The ids stand there, or in a file, and each is a user.
        """
        spec = parse("remotedialer:ids=foo,bar:tls=required")
        self.assertEqual(spec, RemoteDialerSpec(("foo", "bar"), True))
        self.assertEqual(spec.users, {userOf("foo"), userOf("bar")})
        self.assertNotIn("plain", spec.warning)
        spec = parse("remotedialer:ids=foo,ann:idsFile=ids")
        self.assertEqual(spec, RemoteDialerSpec(("foo", "ann", "bob")))
        self.assertIn("tls=required", spec.warning)

    def test_secret(self) -> None:
        """
        No id shows where the description is shown.
        """
        self.assertNotIn("swordfish", repr(parse("remotedialer:ids=swordfish")))

    def test_wrong(self) -> None:
        """
        What cannot be is refused, without the ids in the text.
        """
        for text, why in (
            ("remotedialer", "it has no ids"),
            ("remotedialer:tls=required", "it has no ids"),
            ("remotedialer:ids=sesame,,b", "one of the ids is empty"),
            ("remotedialer:ids=sesame d", "other than printable ASCII"),
            ("remotedialer:ids=" + "sesame" * 50, "longer than 200"),
            ("remotedialer:ids=sesame:tls=no", "tls=: it is required"),
            ("remotedialer:token=sesame", "no ids"),
            ("remotedialer:ids=a:token=sesame", "no option 'token'"),
        ):
            error = self.assertRaises(ValueError, parse, text)
            self.assertIn(why, str(error))
            self.assertNotIn("sesame", str(error))
