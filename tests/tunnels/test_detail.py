"""
Tests for L{tunnelkit.tunnels.detail}.
"""

from __future__ import annotations

from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from tests.logs import Log
from tunnelkit.tunnels import detail
from tunnelkit.wire.native.messages import Start

START = Start(7, "web", "tcp", "192.0.2.9:6000", "198.51.100.1:9000")


class DetailTests(SynchronousTestCase):
    """
    Who debugs sees each stream; who does not pays nothing for that.
    """

    def setUp(self) -> None:
        """
        Look at the log.
        """
        self.log = Log(self)
        self.logger = Logger(namespace="tunnelkit.test")
        self.patch(detail, "shown", True)

    def lines(self) -> list[str]:
        """
        Give what is logged, and forget it.
        """
        lines = self.log.lines("debug")
        self.log.clear()
        return lines

    def test_begins(self) -> None:
        """
        A stream has its number, its visitor and its tunnel.
        """
        detail.begins(self.logger, START)
        self.assertEqual(self.lines(), ["stream 7 of 192.0.2.9:6000 at web begins"])

    def test_ends(self) -> None:
        """
        Its end has in addition how it ended, and how much went each way.
        """
        detail.ends(self.logger, START, "", 85, 201)
        detail.ends(self.logger, START, "the service\nis down")
        self.assertEqual(
            self.lines(),
            [
                "stream 7 of 192.0.2.9:6000 at web ends: well, 85 bytes from the"
                " visitor, 201 to the visitor",
                "stream 7 of 192.0.2.9:6000 at web ends: the service?is down, 0 bytes"
                " from the visitor, 0 to the visitor",
            ],
        )

    def test_hidden(self) -> None:
        """
        What nobody wants to see is not even made.
        """
        self.patch(detail, "shown", False)
        detail.begins(self.logger, START)
        detail.ends(self.logger, START, "")
        self.assertEqual(self.lines(), [])
