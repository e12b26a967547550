"""
Tests of what visitors notice of each other, however many they are: nothing.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SkipTest

from tests.stage.crowd import Echo, queue
from tests.stage.sockets import (
    Address,
    Ending,
    Received,
    connected,
    receive,
    receiveExactly,
)
from tests.stage.watch import MARK, MIB, WatchedCase, mib

CROWD = 2_000
QUEUE = 10_000


def request(number: int) -> bytes:
    """
    Make what one visitor says.
    """
    return MARK + b"%d" % number


def ask(address: Address, number: int) -> Received:
    """
    Be a visitor of an echo: say something and the end, and read to the end.
    """
    with connected(address) as connection:
        connection.sendall(request(number))
        connection.shutdown(socket.SHUT_WR)
        return receive(connection)


class CrowdCase(WatchedCase):
    """
    Published echoes, and many who come to one.
    """

    def echo(self) -> Echo:
        """
        Start an echo for very many.
        """
        echo = Echo()
        self.addCleanup(echo.stop)
        return echo

    def needBacklog(self, count: int) -> None:
        """
        Skip the test where the system lets fewer visitors wait than come.
        """
        most = Path("/proc/sys/net/core/somaxconn")
        if most.exists() and int(most.read_text()) < count:
            raise SkipTest(f"{most} lets fewer than {count} visitors wait")

    def come(self, address: Address, crowd: list[socket.socket], count: int) -> None:
        """
        Have some more come.
        """
        for _ in range(count):
            crowd.append(connected(address))

    def crowd(self) -> list[socket.socket]:
        """
        Make a crowd of nobody; who is in it when the test ends leaves then.
        """
        crowd: list[socket.socket] = []
        self.addCleanup(lambda: [*map(socket.socket.close, crowd)])
        return crowd

    def askAll(self, crowd: list[socket.socket]) -> None:
        """
        Have all of them say something, and only then hear the answers.
        """
        for number, visitor in enumerate(crowd):
            visitor.sendall(request(number))
        for number, visitor in enumerate(crowd):
            expected = request(number)
            self.assertEqual(receiveExactly(visitor, len(expected)), expected)

    def endAll(self, crowd: list[socket.socket]) -> None:
        """
        Have all of them end, and only then read to the end.
        """
        for visitor in crowd:
            visitor.shutdown(socket.SHUT_WR)
        for visitor in crowd:
            self.assertEqual(receive(visitor).ending, Ending.END)
            visitor.close()


if TYPE_CHECKING:
    _Case = CrowdCase
else:
    _Case = object


class AtOnceMixin(_Case):
    """
    Very many visitors at the same time: the case, over TLS or not.

    @cvar options: of both programs.
    @cvar group: how many come at once; nobody leaves before all are there.
    """

    options: ClassVar[tuple[str, ...]] = ()
    group: ClassVar[int]

    async def test_thousands(self) -> None:
        """
        2,000 visitors are connected at the same time, many of whom come while the
        server is busy with something else, and all are answered.
        """
        # Each has two ends in either program, and in this one.
        self.needFiles(2 * CROWD + 500)
        self.needBacklog(self.group)
        echo = self.echo()
        watched = await self.watched(
            echo.tunnel, server=self.options, client=self.options
        )
        files = await watched.files()
        crowd = self.crowd()
        while len(crowd) < CROWD:
            # Frozen it accepts nobody: they are where its backlog lets them wait.
            watched.server.signal("STOP")
            try:
                await deferToThread(self.come, watched.address, crowd, self.group)
            finally:
                watched.server.signal("CONT")
            await deferToThread(self.askAll, crowd)
        self.assertEqual(echo.most, CROWD)
        self.assertEqual((await watched.figures()).streams, CROWD)
        await deferToThread(self.endAll, crowd)
        await watched.back(files)


class TLSAtOnceTests(AtOnceMixin, CrowdCase):
    """
    Over TLS they come in groups: each of them costs a handshake, for which a busy
    machine may not have the time in the 10 s that a visitor waits.
    """

    group = CROWD // 4


class PlainAtOnceTests(AtOnceMixin, CrowdCase):
    """
    Over plain TCP they come all at once.
    """

    options = ("--insecure",)
    group = CROWD


class QueueTests(CrowdCase):
    """
    Very many visitors after each other.
    """

    async def test_thousands(self) -> None:
        """
        10,000 visitors, 32 at a time, are all answered over a few dozens of work
        connections, and neither files nor memory of the two programs grow.
        """
        echo = self.echo()
        watched = await self.watched(echo.tunnel)

        def visit(number: int) -> None:
            got = ask(watched.address, number)
            self.assertEqual((got.ending, got.first), (Ending.END, request(number)))

        await queue(QUEUE // 5, visit)
        files, memory = await watched.files(), watched.memory()
        await queue(QUEUE, visit)
        await watched.back(files)
        grown = [now - then for now, then in zip(watched.memory(), memory, strict=True)]
        self.measured(f"{QUEUE} visitors: grown by {mib(grown[0])} and {mib(grown[1])}")
        self.assertLess(max(grown), 4 * MIB)
        self.assertEqual(echo.visitors, QUEUE + QUEUE // 5)
        opened = (await watched.figures()).opened
        self.measured(f"{opened} work connections")
        self.assertLess(opened, 128)
