"""
Tests of what is left of visitors who are gone, however they went: nothing.
"""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from twisted.internet.threads import deferToThread

from tests.stage.case import HOST
from tests.stage.crowd import Echo, queue
from tests.stage.ports import freePort
from tests.stage.programs import LIMIT
from tests.stage.services import (
    Service,
    Talk,
    halving,
    resetting,
    saying,
    sink,
    source,
)
from tests.stage.sockets import (
    Address,
    Ending,
    Received,
    connected,
    flood,
    receive,
    receiveExactly,
    reset,
)
from tests.stage.watch import LOUD, MARK, Watched, WatchedCase

WAITING = 60
"""Visitors who wait at once: few, as the wait of none may last 10 s."""

IMPATIENT = """\
from tunnelkit.relay.streams import join

join.IDLE = 5.0
"""
"""Has streams end soon that are half-open and show no life."""


# How visitors end.


def endsFirst(visitor: socket.socket) -> Ending:
    """
    Say something and the end, and read to the end.
    """
    visitor.sendall(MARK)
    visitor.shutdown(socket.SHUT_WR)
    return receive(visitor).ending


def endsLast(visitor: socket.socket) -> Ending:
    """
    Read to the end, and close.
    """
    return receive(visitor).ending


def asks(visitor: socket.socket) -> Ending:
    """
    Say something, and read to the end.
    """
    try:
        visitor.sendall(MARK)
    except ConnectionError:
        # The reset was there already.  The kernel tells it once: a read would now look
        # like an end.
        return Ending.RESET
    return receive(visitor).ending


def resets(visitor: socket.socket) -> None:
    """
    Hear the first word, and reset the connection.
    """
    receiveExactly(visitor, 1)
    reset(visitor)


def hangsUp(visitor: socket.socket) -> None:
    """
    Hear the first word, and close while there is more to read.
    """
    receiveExactly(visitor, 1)


def looksIn(visitor: socket.socket) -> None:
    """
    Come, and go at once.
    """


def silent(gate: threading.Event) -> Talk:
    """
    Make a service that does nothing before the test opens the gate, and then finds
    out: who has been told of an end reads of no reset any more, but cannot write.
    """

    def wait(connection: socket.socket) -> Ending:
        if not gate.wait(2 * LIMIT):
            raise TimeoutError("the gate stayed shut")
        return flood(connection)

    return wait


@dataclass(frozen=True, slots=True)
class Way:
    """
    A way to end.

    @ivar talk: what the service does; None where there is none.
    @ivar visit: what the visitor does, who closes behind it.
    @ivar sees: the end that the visitor sees, if he looks.
    @ivar leaves: the end that the service sees.
    """

    talk: Talk | None
    visit: Callable[[socket.socket], Ending | None]
    sees: Ending | None
    leaves: Ending


WAYS = {
    "the visitor ends": Way(sink, endsFirst, Ending.END, Ending.END),
    "the service ends": Way(halving(MARK), endsLast, Ending.END, Ending.END),
    "the visitor resets": Way(saying(MARK), resets, None, Ending.RESET),
    "the service resets": Way(resetting, asks, Ending.RESET, Ending.RESET),
    "the visitor hangs up": Way(source, hangsUp, None, Ending.RESET),
    "the visitor looks in": Way(receive, looksIn, None, Ending.END),
    "the service is down": Way(None, asks, Ending.RESET, Ending.RESET),
}


def ending(outcome: object) -> object:
    """
    Give the end that a service saw.
    """
    return outcome.ending if isinstance(outcome, Received) else outcome


if TYPE_CHECKING:
    _Case = WatchedCase
else:
    _Case = object


class EndingMixin(_Case):
    """
    Streams end in every way there is: the cases, for each path.

    @cvar options: of both programs.
    @cvar each: how many end in each of the ways in which those who talk end them.
    @cvar cut: how many end by a time limit, by the client's end, and by the server's.
    @cvar spare: how many work connections may be closed: some came too late to be of
        use, or no recent peak needed them.
    @ivar both: the programs, of which some are killed and started again.
    """

    timeout = 300.0
    options: ClassVar[tuple[str, ...]] = ()
    each: ClassVar[int] = 1_300
    cut: ClassVar[int] = 300
    spare: ClassVar[int] = 128
    both: Watched

    async def publish(self) -> None:
        """
        Publish a service for each way to end, one that does nothing, and an echo.
        """
        self.services: dict[str, Service] = {}
        self.gate = threading.Event()
        self.addCleanup(self.gate.set)
        tunnels = []
        for number, (name, way) in enumerate(WAYS.items()):
            tunnel = f"tcp:{freePort()}"
            if way.talk is not None:
                self.services[name] = self.service(way.talk)
                tunnel = self.services[name].tunnel
            tunnels.append(f"{tunnel}:name=n{number}")
        self.deaf, echo = self.service(silent(self.gate)), Echo()
        self.addCleanup(echo.stop)
        self.tunnels = (
            *tunnels,
            f"{self.deaf.tunnel}:name=deaf",
            f"{echo.tunnel}:name=echo",
        )
        self.impatient = self.prepared(IMPATIENT)
        self.both = await self.watched(
            *self.tunnels,
            server=self.options,
            client=self.options,
            environment=self.impatient,
        )

    async def endEach(self) -> None:
        """
        End streams in all those ways in which visitors and services do.
        """
        leads = self.both.client.leads
        addresses = [await leads(f"n{n}") for n in range(len(WAYS))]
        ways = [*zip(WAYS.items(), addresses, strict=True)]

        def visit(number: int) -> None:
            (name, way), address = ways[number % len(ways)]
            try:
                with connected(address) as visitor:
                    seen = way.visit(visitor)
            except ConnectionResetError:
                # It came so soon that it looked as if he had never been connected.
                seen = Ending.RESET
            self.assertEqual(seen, way.sees, name)

        await queue(self.each * len(ways), visit)
        for name, service in self.services.items():
            seen = Counter([ending(await service.outcome()) for _ in range(self.each)])
            self.assertEqual(seen, {WAYS[name].leaves: self.each}, name)

    async def crowd(self, name: str) -> list[socket.socket]:
        """
        Have visitors come to a tunnel, who say something.
        """
        address = await self.both.client.leads(name)
        crowd: list[socket.socket] = []
        self.addCleanup(lambda: [*map(socket.socket.close, crowd)])

        def come() -> None:
            for _ in range(self.cut):
                crowd.append(visitor := connected(address))
                visitor.sendall(MARK)

        await deferToThread(come)
        return crowd

    async def assertReset(self, crowd: list[socket.socket]) -> None:
        """
        All of them see a reset.
        """

        def hear() -> Counter[Ending]:
            return Counter(receive(visitor).ending for visitor in crowd)

        self.assertEqual(await deferToThread(hear), {Ending.RESET: self.cut})

    async def answered(self, crowd: list[socket.socket]) -> None:
        """
        Wait until all of them have heard the echo.
        """

        def hear() -> None:
            for visitor in crowd:
                self.assertEqual(receiveExactly(visitor, len(MARK)), MARK)

        await deferToThread(hear)

    async def timeOut(self) -> None:
        """
        Have streams end by their time limit: the visitors have ended, and the service
        does nothing.
        """
        crowd = await self.crowd("deaf")
        for visitor in crowd:
            visitor.shutdown(socket.SHUT_WR)
        await self.assertReset(crowd)
        self.gate.set()
        seen = Counter([ending(await self.deaf.outcome()) for _ in range(self.cut)])
        self.assertEqual(seen, {Ending.RESET: self.cut})

    async def killClient(self) -> None:
        """
        Have streams end by the client's end, and start another one.
        """
        crowd = await self.crowd("echo")
        await self.answered(crowd)
        await self.both.client.kill()
        await self.assertReset(crowd)
        client = self.client(
            self.both.server,
            *self.tunnels,
            options=[*LOUD, *self.options],
            environment=self.impatient,
        )
        self.look(client)
        self.both.client = client
        await self.both.published()

    async def killServer(self) -> None:
        """
        Have streams end by the server's end, and start another one.
        """
        crowd = await self.crowd("echo")
        await self.answered(crowd)
        old, mark = self.both.server, self.both.client.mark()
        await old.kill()
        await self.assertReset(crowd)
        server = self.server(
            *LOUD,
            *self.options,
            port=old.port,
            state=old.state,
            admin=True,
            environment=self.impatient,
        )
        self.look(server)
        self.both.server = server
        await self.both.client.leads("echo", mark)

    async def test_everyWay(self) -> None:
        """
        Where the visitor ends, or the service, by an end, by a reset, early or late,
        where there is no service at all, where nothing comes for too long, and where
        the client or the server is killed: both see the end that it was, and thousands
        of such streams leave behind neither an open file nor a pipe, and cost no work
        connection.
        """
        await self.publish()
        watched = self.both
        files = await watched.files()
        for some in (self.endEach, self.timeOut):
            await some()
            await watched.back(files)
            told = await watched.figures()
            self.assertLess(told.opened - told.works, self.spare)
        for kill in (self.killClient, self.killServer):
            await kill()
            await watched.back(files)

    async def test_whileWaiting(self) -> None:
        """
        Visitors who go, or are cut off, while they wait for a client that is busy are
        forgotten, and those who stay are answered.
        """
        echo = Echo()
        self.addCleanup(echo.stop)
        watched = await self.watched(echo.tunnel)
        files = await watched.files()

        def come(address: Address) -> list[socket.socket]:
            came = []
            for _ in range(WAITING):
                came.append(visitor := connected(address))
                self.addCleanup(visitor.close)
                visitor.sendall(MARK)
            return came

        def go(crowd: list[socket.socket]) -> None:
            for number, visitor in enumerate(crowd):
                if number % 3 == 0:
                    reset(visitor)
                elif number % 3 == 1:
                    visitor.close()

        def stay(crowd: list[socket.socket]) -> None:
            for visitor in crowd[2::3]:
                visitor.shutdown(socket.SHUT_WR)
                got = receive(visitor)
                self.assertEqual((got.ending, got.first), (Ending.END, MARK))

        watched.client.signal("STOP")
        try:
            crowd = await deferToThread(come, watched.address)
            await watched.shows(lambda told: told.streams == WAITING, "all are there")
            await deferToThread(go, crowd)
        finally:
            watched.client.signal("CONT")
        await deferToThread(stay, crowd)
        await watched.back(files)
        got = await self.visit((HOST, watched.address[1]), MARK)
        self.assertEqual((got.ending, got.first), (Ending.END, MARK))


class EndingTests(EndingMixin, WatchedCase):
    """
    Ten thousand streams on the fast path, over plain TCP, where there are pipes.
    """

    options = ("--insecure",)
    # Where a visitor hangs up in the midst of much, what is still on its way to him
    # goes through first, and meanwhile others are opened for who comes.
    spare = 1_000


class TLSEndingTests(EndingMixin, WatchedCase):
    """
    Two thousand on the fast path over TLS, where only what carries them is another.
    """

    each = 260
    cut = 60


class PortableEndingTests(EndingMixin, WatchedCase):
    """
    Ten thousand on the portable path, over TLS.
    """

    reactor = "poll"
