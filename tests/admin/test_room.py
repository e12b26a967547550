"""
Tests for L{tunnelkit.admin.room}.
"""

from __future__ import annotations

from tests.admin.asking import AskingCase
from tunnelkit.admin.room import Answer, Room, asJSON


class RoomTests(AskingCase):
    """
    A room answers whatever happens in it.
    """

    def test_shows(self) -> None:
        """
        Who asks gets what the room shows, as what it is.
        """
        root = Room(lambda: Answer(b"hello", b"text/plain"))
        root.putChild(b"", root)
        self.root = root
        seen = self.ask("/")
        self.assertEqual((seen.code, seen.body), (200, b"hello"))
        self.assertEqual(seen.header("content-type"), "text/plain")

    def test_bug(self) -> None:
        """
        A bug gives the asker a sentence without a word of what went wrong, and the
        operator a traceback in the log.
        """
        self.source.now = None
        seen = self.ask("/api/v1/status")
        self.assertEqual(seen.code, 500)
        self.assertEqual(
            seen.json(), {"error": "this room failed; the server's log has more"}
        )
        self.assertNotIn(b"secret", seen.body)
        (logged,) = self.flushLoggedErrors(RuntimeError)
        self.assertIn("a bug in the server", logged.getErrorMessage())

    def test_afterABug(self) -> None:
        """
        A room that failed works again when the bug is gone.
        """
        now, self.source.now = self.source.now, None
        self.assertEqual(self.ask("/healthz").code, 500)
        self.flushLoggedErrors(RuntimeError)
        self.source.now = now
        self.assertEqual(self.ask("/healthz").code, 200)

    def test_bugOnHEAD(self) -> None:
        """
        A bug is told to who asks with HEAD by its code.
        """
        self.source.now = None
        seen = self.ask("/metrics", "HEAD")
        self.assertEqual((seen.code, seen.body), (500, b""))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class AsJSONTests(AskingCase):
    """
    JSON that any program can read.
    """

    def test_strangeText(self) -> None:
        """
        A name that is not even text, half of a surrogate pair, breaks nothing.
        """
        self.assertEqual(asJSON({"name": "\ud800"}).body, b'{"name":"\\ud800"}\n')

    def test_noNumber(self) -> None:
        """
        What JSON has no word for is our mistake, and not written.
        """
        self.assertRaises(ValueError, asJSON, float("nan"))
