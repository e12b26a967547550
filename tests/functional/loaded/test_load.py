"""
Tests of what large transfers, and visitors and services who do not read, cost: time
for the first, and nobody but themselves for the others.
"""

from __future__ import annotations

import socket
import threading

from twisted.internet.defer import gatherResults
from twisted.internet.threads import deferToThread

from tests.stage.crowd import Echo, Exchange, queue
from tests.stage.programs import LIMIT, reactor, stuck
from tests.stage.sockets import (
    PIECE,
    Address,
    Ending,
    Meter,
    Received,
    connected,
    noise,
    receive,
)
from tests.stage.watch import MARK, WatchedCase

LARGE = 200_000_000


class TransferTests(WatchedCase):
    """
    Large transfers.
    """

    async def test_bothWays(self) -> None:
        """
        200 MB through TLS in each direction, at the same time and over one
        connection, come out at the other end as they went in.
        """

        def more(sent: int) -> bool:
            return sent < LARGE

        service = self.service(Exchange(more, 2).run)
        watched = await self.watched(service.tunnel)
        begun = reactor.seconds()

        def go() -> tuple[str, Received]:
            with connected(watched.address) as connection:
                return Exchange(more, 1).run(connection)

        sent, got = await deferToThread(go)
        taken = await service.outcome()
        assert isinstance(taken, tuple)
        served, heard = taken
        for digest, received in ((sent, heard), (served, got)):
            self.assertEqual(received.ending, Ending.END)
            self.assertGreaterEqual(received.count, LARGE)
            self.assertEqual(received.digest, digest)
        speed = 2 * got.count * 8 / 1e9 / (reactor.seconds() - begun)
        self.measured(f"{speed:.1f} Gbit/s, both directions together")


class StallCase(WatchedCase):
    """
    An echo beside a service that does something else.
    """

    def setUp(self) -> None:
        """
        Start the echo.
        """
        super().setUp()
        self.echo = Echo()
        self.addCleanup(self.echo.stop)

    async def others(self, address: Address, count: int) -> None:
        """
        Have other visitors come to the echo, who must all be answered.
        """

        def visit(number: int) -> None:
            with connected(address) as visitor:
                said = MARK + b"%d" % number
                visitor.sendall(said)
                visitor.shutdown(socket.SHUT_WR)
                got = receive(visitor)
                self.assertEqual((got.ending, got.first), (Ending.END, said))

        await queue(count, visit)


class StalledVisitorTests(StallCase):
    """
    Visitors who do not read, while a service sends to them without end.
    """

    def flooding(self, meter: Meter) -> str:
        """
        Start the service.

        @param meter: counts what it got rid of.
        @return: what C{--tunnel} calls it.
        """
        piece = MARK + noise(PIECE - len(MARK))

        def flood(connection: socket.socket) -> None:
            # Little waits with the kernel: what grows is what the programs keep.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIECE)
            connection.settimeout(None)
            while True:
                sent = connection.send(piece)
                meter.count += sent

        return self.service(flood).tunnel

    async def test_one(self) -> None:
        """
        While one visitor does not read, 500 others are answered.
        """
        meter = Meter()
        watched = await self.watched(
            f"{self.flooding(meter)}:name=flood", f"{self.echo.tunnel}:name=echo"
        )
        await self.visitor(await watched.client.leads("flood"))
        await stuck(lambda: meter.count, "the service")
        await self.others(await watched.client.leads("echo"), 500)


class DeafServiceTests(StallCase):
    """
    A service that has answered early and reads no more.
    """

    async def test_others(self) -> None:
        """
        Visitors whose service answered early and reads no more get their answer; 100
        others are answered meanwhile, and 100 when it is gone, over the work
        connections that were there.
        """
        gate = threading.Event()

        def answerEarly(connection: socket.socket) -> None:
            connection.recv(PIECE)
            connection.sendall(MARK)
            connection.shutdown(socket.SHUT_WR)
            if not gate.wait(LIMIT):
                raise TimeoutError("the gate stayed shut")

        service = self.service(answerEarly)
        watched = await self.watched(
            f"{service.tunnel}:name=deaf", f"{self.echo.tunnel}:name=echo"
        )
        address = await watched.client.leads("deaf")
        echo = await watched.client.leads("echo")
        await self.others(echo, 100)
        files, opened = await watched.files(), (await watched.figures()).opened

        visitors = [await self.visitor(address) for _ in range(8)]
        sending = [visitor.flood() for visitor in visitors]
        for visitor in visitors:
            got = await visitor.rest()
            self.assertEqual((got.ending, got.first), (Ending.END, MARK))
        await self.others(echo, 100)
        gate.set()
        self.assertEqual(await gatherResults(sending), [Ending.RESET] * len(visitors))
        await watched.back(files)
        await self.others(echo, 100)
        self.assertLess((await watched.figures()).opened - opened, 32)
