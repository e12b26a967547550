"""
A test of visitors who do not read for a minute, and then do.
"""

from __future__ import annotations

import socket

from twisted.internet.defer import gatherResults
from twisted.internet.task import deferLater

from tests.stage.case import FunctionalCase
from tests.stage.programs import reactor, stuck
from tests.stage.services import Visitor, metered
from tests.stage.sockets import Ending, Meter, noise, sha256

MINUTE = 60.0
LARGE = 40_000_000
"""More than is on its way at any time, in bytes."""


class MinuteTests(FunctionalCase):
    """
    Both paths at the same time: a minute is long.
    """

    timeout = 180.0
    data = noise(LARGE)

    async def stalled(self, *options: str) -> Visitor:
        """
        Start programs, and have a visitor come who does not read, and has said all
        that he has to say.
        """
        meter = Meter()

        def say(connection: socket.socket) -> object:
            connection.settimeout(None)
            return metered(self.data, meter)(connection)

        service = self.service(say)
        _, client = self.pair(service.tunnel, server=options, client=options)
        visitor = await self.visitor(await client.leads(), 65536)
        visitor.finish()
        await stuck(lambda: meter.count, "the service")
        self.assertLess(meter.count, LARGE)
        return visitor

    async def test_minute(self) -> None:
        """
        A visitor who does not read for a minute gets all when he reads on, and the end
        behind it.
        """
        visitors = [await self.stalled(), await self.stalled("--insecure")]
        self.reactor = "poll"  # type: ignore[misc]
        visitors += [await self.stalled(), await self.stalled("--insecure")]
        await deferLater(reactor, MINUTE)
        for got in await gatherResults([visitor.rest() for visitor in visitors]):
            self.assertEqual((got.ending, got.digest), (Ending.END, sha256(self.data)))
