"""
Tests of ten thousand visitors who are there and do nothing, and of a thousand who come
at once to a client that has hardly begun.
"""

from __future__ import annotations

import socket
import sys
from time import monotonic
from typing import TYPE_CHECKING, ClassVar, Final

from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SkipTest

from tests.functional.loaded.test_crowds import CrowdCase, request
from tests.stage.case import HOST
from tests.stage.crowd import AT_ONCE, queue
from tests.stage.ports import freePort
from tests.stage.programs import reactor
from tests.stage.sockets import Address, connected, receiveExactly
from tests.stage.watch import Watched
from tunnelkit.carrier.pool import LEAST, MOST

IDLE: Final = 10_000
LEAST_IDLE: Final = 5_000
"""With fewer than that nothing would be shown."""
GROUP: Final = 250
"""So many come at once, of whom none may wait for 10 s on a busy machine."""
ROUNDS: Final = 300
"""How often each of those asks who are active."""
BURST: Final = 1_000
FEW: Final = 100

HASTY: Final = """\
from tunnelkit.carrier import pool

pool.SURPLUS = 1.0
"""
"""Has a server close work connections soon that nobody needed."""

_SPARE: Final = 300

if TYPE_CHECKING:
    _Case = CrowdCase
else:
    _Case = object


class IdleMixin(_Case):
    """
    Ten thousand, or as many as the system's limits allow: the case, for each path.
    They come over plain TCP, as twenty thousand handshakes show nothing else.
    """

    timeout = 300.0

    def room(self) -> int:
        """
        Say how many may be there: each has two ends in either program.
        """
        most = self.mostFiles()
        allowed = min(IDLE, (most - _SPARE) // 2)
        if allowed < LEAST_IDLE:
            raise SkipTest(f"{2 * IDLE} open files are needed, and {most} are allowed")
        self.needFiles(2 * allowed + _SPARE)
        return allowed

    async def distantEcho(self) -> str:
        """
        Start an echo in a program of its own, which has the descriptors for it.

        @return: what C{--tunnel} calls it.
        """
        port = freePort()
        module = "-m", "tests.bench.echo"
        self.program(sys.executable, *module, str(port), str(freePort()))
        await self.accepts((HOST, port))
        return f"tcp:{HOST}:{port}"

    async def askFast(self, address: Address) -> float:
        """
        Have 32 visitors ask as fast as they can.

        @return: how many answers there were in a second.
        """

        def active(number: int) -> None:
            with connected(address) as visitor:
                for each in range(ROUNDS):
                    expected = request(number * ROUNDS + each)
                    visitor.sendall(expected)
                    self.assertEqual(receiveExactly(visitor, len(expected)), expected)

        begun = reactor.seconds()
        await queue(AT_ONCE, active)
        return AT_ONCE * ROUNDS / (reactor.seconds() - begun)

    async def test_tenThousand(self) -> None:
        """
        While 10,000 visitors are there who say nothing, 32 others are answered as fast
        as they ask; nobody who was idle is lost, and all are answered when they speak.
        """
        count = self.room()
        options = ["--insecure"]
        watched = await self.watched(
            await self.distantEcho(), server=options, client=options
        )
        files = await watched.files()
        alone = await self.askFast(watched.address)
        crowd = self.crowd()
        while len(crowd) < count:
            here = len(crowd)
            group = min(GROUP, count - here)
            await deferToThread(self.come, watched.address, crowd, group)
            await deferToThread(self.askAll, crowd[here:])
        beside = await self.askFast(watched.address)
        self.measured(
            f"{count} idle visitors; {beside:.0f} answers a second to {AT_ONCE} "
            f"others, {alone:.0f} without them"
        )
        await watched.shows(lambda told: told.streams == count, "nobody is lost")
        await deferToThread(self.askAll, crowd)
        await deferToThread(self.endAll, crowd)
        await watched.back(files)
        self.assertLessEqual((await watched.figures()).works, MOST)


class FastIdleTests(IdleMixin, CrowdCase):
    """
    The fast path.
    """


class PortableIdleTests(IdleMixin, CrowdCase):
    """
    The portable path; with a reactor of which a turn does not cost more the more are
    idle, as one of C{poll}'s does.
    """

    reactor = "asyncio"


class BurstMixin(_Case):
    """
    Visitors who all come at once: the cases, for each path.

    @cvar options: of both programs.
    """

    options: ClassVar[tuple[str, ...]] = ()

    async def burst(self, watched: Watched, crowd: list[socket.socket]) -> list[float]:
        """
        Have visitors come and ask while the server is frozen; it finds them all at
        once.

        @return: when each had the answer, in seconds, the first one first.
        """

        def ask() -> None:
            self.come(watched.address, crowd, BURST)
            for number, visitor in enumerate(crowd):
                visitor.sendall(request(number))

        def hear() -> list[float]:
            heard = []
            for number, visitor in enumerate(crowd):
                expected = request(number)
                self.assertEqual(receiveExactly(visitor, len(expected)), expected)
                heard.append(monotonic())
            return heard

        watched.server.signal("STOP")
        try:
            await deferToThread(ask)
        finally:
            begun = monotonic()
            watched.server.signal("CONT")
        return sorted(each - begun for each in await deferToThread(hear))

    async def test_fresh(self) -> None:
        """
        1,000 visitors who come at once to a client that has two work connections are
        all answered, and none is refused.
        """
        self.needFiles(2 * BURST + _SPARE)
        self.needBacklog(BURST)
        echo = self.echo()
        watched = await self.watched(
            echo.tunnel, server=self.options, client=self.options
        )
        files, crowd = await watched.files(), self.crowd()
        before = (await watched.figures()).works
        heard = await self.burst(watched, crowd)
        told = await watched.figures()
        self.measured(
            f"{BURST} visitors at once, {before} work connections: half were answered "
            f"in {heard[BURST // 2]:.1f} s, the last in {heard[-1]:.1f} s, over "
            f"{told.opened} work connections"
        )
        self.assertEqual((echo.most, told.streams), (BURST, BURST))
        await deferToThread(self.endAll, crowd)
        await watched.back(files)
        self.assertLessEqual((await watched.figures()).works, MOST)

    async def test_unused(self) -> None:
        """
        Work connections that a hundred visitors needed are kept for the next ones, and
        closed when nobody has come for a while, all but two.
        """
        echo = self.echo()
        watched = await self.watched(
            echo.tunnel,
            server=self.options,
            client=self.options,
            environment=self.prepared(HASTY),
        )
        files, crowd = await watched.files(), self.crowd()
        await deferToThread(self.come, watched.address, crowd, FEW)
        await deferToThread(self.askAll, crowd)
        told = await watched.shows(lambda told: told.works >= FEW, "one for each")
        self.measured(f"{FEW} visitors: {told.works} work connections")
        await deferToThread(self.endAll, crowd)
        await watched.shows(
            lambda told: told.quiet and told.works == LEAST, "unused ones are closed"
        )
        await watched.back(files)


class TLSBurstTests(BurstMixin, CrowdCase):
    """
    The fast path, over TLS.
    """


class PortableBurstTests(BurstMixin, CrowdCase):
    """
    The portable path; over plain TCP, as a busy machine may not have the time for so
    many handshakes in the 10 s that a visitor waits.
    """

    reactor = "poll"
    options = ("--insecure",)
