"""
Tests for L{tunnelkit.admin.healthz}.
"""

from __future__ import annotations

from tests.admin.asking import STATUS, TROUBLED, AskingCase


class HealthzTests(AskingCase):
    """
    Whatever watches over the server learns how it does.
    """

    def test_healthy(self) -> None:
        """
        A server in good health says so, and no more.
        """
        seen = self.ask("/healthz", headers={})
        self.assertEqual((seen.code, seen.json()), (200, {"healthy": True}))
        self.assertEqual(seen.header("content-type"), "application/json; charset=utf-8")

    def test_troubled(self) -> None:
        """
        A server in trouble is taken out of service, and says why.
        """
        self.source.now = TROUBLED
        seen = self.ask("/healthz", headers={})
        self.assertEqual(seen.code, 503)
        self.assertEqual(
            seen.json(),
            {
                "healthy": False,
                "troubles": ["the lease store is full", "the sky falls"],
            },
        )

    def test_well(self) -> None:
        """
        When the trouble is over, the next check says so.
        """
        self.source.now = TROUBLED
        self.assertEqual(self.ask("/healthz").code, 503)
        self.source.now = STATUS
        self.assertEqual(self.ask("/healthz").code, 200)
