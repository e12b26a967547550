"""
Tests that docs/sharing.rst says of HTTP what the code does.
"""

from __future__ import annotations

from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from tests.wire.framings.http1.traffic import message, onlyRequest
from tests.wire.test_protocoldocs import DOCS, rows
from tunnelkit.wire.framings.http1.answers import PHRASES
from tunnelkit.wire.framings.http1.framing import RANGES, makeHTTP1

PAGE: Final = (DOCS / "sharing.rst").read_text(encoding="utf-8")


class DocsTests(SynchronousTestCase):
    """
    The page's tables.
    """

    def test_statuses(self) -> None:
        """
        Each status that a client can get from us is there, and no other.
        """
        table = [int(status) for status, _ in rows("table-http1-statuses", PAGE)]
        self.assertEqual(table, sorted(PHRASES))

    def test_options(self) -> None:
        """
        Each option is there, with its default.
        """
        table = {name: usual for name, usual, _ in rows("table-http1-options", PAGE)}
        self.assertEqual(
            onlyRequest(b"GET / HTTP/1.0\r\n\r\n").data,
            message(b"GET / HTTP/1.1", b"Host: " + table.pop("host").encode()),
        )
        limits = makeHTTP1([], {}).limits
        self.assertEqual(table, {name: str(getattr(limits, name)) for name in RANGES})
