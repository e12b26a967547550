"""
Tests of what is left of visitors who are gone, however they went: nothing.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.threads import deferToThread

from tests.functional.case import HOST
from tests.functional.crowd import Echo, queue
from tests.functional.services import (
    Service,
    Talk,
    halving,
    resetting,
    saying,
    sink,
    source,
)
from tests.functional.sockets import (
    Address,
    Ending,
    Received,
    connected,
    freePort,
    receive,
    receiveExactly,
    reset,
)
from tests.functional.watch import MARK, WatchedCase

EACH = 100
WAITING = 60
"""Visitors who wait at once: few, as the wait of none may last 10 s."""


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


class EndingTests(WatchedCase):
    """
    Visitors end in every way there is.
    """

    async def test_everyWay(self) -> None:
        """
        Where the visitor ends, or the service, by an end, by a reset, early or late,
        or where there is no service at all: both see the end that it was, and the
        programs keep neither an open file nor lose a work connection by it.
        """
        services: dict[str, Service] = {}
        tunnels = []
        for number, (name, way) in enumerate(WAYS.items()):
            tunnel = f"tcp:{freePort()}"
            if way.talk is not None:
                services[name] = self.service(way.talk)
                tunnel = services[name].tunnel
            tunnels.append(f"{tunnel}:name=n{number}")
        watched = await self.watched(*tunnels)
        addresses = [await watched.client.leads(f"n{n}") for n in range(len(WAYS))]
        files = await watched.files()
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

        await queue(EACH * len(ways), visit)
        for name, service in services.items():
            seen = Counter([ending(await service.outcome()) for _ in range(EACH)])
            self.assertEqual(seen, {WAYS[name].leaves: EACH}, name)
        await watched.back(files)
        self.assertLess((await watched.figures()).opened, 128)

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
