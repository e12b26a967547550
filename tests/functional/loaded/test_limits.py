"""
Tests of programs that may open few files: who finds no room is turned away, or waits,
and all goes on as before when there is room again.
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Final

from twisted.internet.threads import deferToThread

from tests.stage.case import ClientProgram, FunctionalCase
from tests.stage.crowd import Echo
from tests.stage.programs import LIMIT, reactor
from tests.stage.sockets import Address, Ending, connected, receiveExactly
from tests.stage.watch import MARK

FILES: Final = 100
SERVED: Final = 25
"""So many visitors a program serves with so few files: each has two."""
CROWD: Final = 80
"""So many more it cannot even accept."""
HARDLY: Final = ["/bin/sh", "-c", f'ulimit -n {FILES}; exec "$@"', "sh"]

if TYPE_CHECKING:
    _Case = FunctionalCase
else:
    _Case = object


class FewFilesMixin(_Case):
    """
    Many visitors come, and leave again: the cases, for each path.
    """

    def come(self, address: Address, count: int) -> list[socket.socket]:
        """
        Have visitors come, who say something; some may be turned away at once.
        """
        crowd = []
        for _ in range(count):
            with contextlib.suppress(ConnectionError):
                crowd.append(visitor := connected(address))
                self.addCleanup(visitor.close)
                visitor.sendall(MARK)
        return crowd

    def serve(self, address: Address) -> list[socket.socket]:
        """
        Have as many come as there is room for, one after the other.
        """
        crowd = []
        for _ in range(SERVED):
            crowd += self.come(address, 1)
            self.assertEqual(receiveExactly(crowd[-1], len(MARK)), MARK)
        return crowd

    def ask(self, crowd: list[socket.socket]) -> None:
        """
        Have all of them ask once more.
        """
        for visitor in crowd:
            visitor.sendall(MARK)
            self.assertEqual(receiveExactly(visitor, len(MARK)), MARK)

    async def crowded(self, client: ClientProgram) -> None:
        """
        Fill a program up, see that it serves whom it has, and empty it again.
        """
        address = await client.leads()
        crowd = await deferToThread(self.serve, address)
        tooMany = await deferToThread(self.come, address, CROWD)
        for _ in range(5):
            await deferToThread(self.ask, crowd)
        self.assertLess(self.echo.most, FILES / 2)
        for visitor in crowd + tooMany:
            visitor.close()
        begun = reactor.seconds()
        while not await self.served(address):
            self.assertLess(reactor.seconds() - begun, LIMIT, "nobody is served again")

    async def served(self, address: Address) -> bool:
        """
        Try whether a visitor is served.
        """
        try:
            got = await self.visit(address, b"hello")
        except ConnectionError:
            return False
        return (got.ending, got.first) == (Ending.END, b"hello")

    def begin(self) -> None:
        """
        Start the echo.
        """
        self.echo = Echo()
        self.addCleanup(self.echo.stop)

    async def test_server(self) -> None:
        """
        A server that may open no more files says that it cannot accept visitors, serves
        those whom it has, and takes others when these have left.
        """
        self.begin()
        server = self.server(wrap=HARDLY)
        client = self.client(server, self.echo.tunnel)
        await self.crowded(client)
        self.assertNotEqual(server.said("Too many open|EMFILE"), [])

    async def test_client(self) -> None:
        """
        A client that may open no more files has visitors turned away, serves those
        whom it has, and takes others when these have left.
        """
        self.begin()
        client = self.client(self.server(), self.echo.tunnel, wrap=HARDLY)
        await self.crowded(client)
        self.assertNotEqual(client.said("Too many open|EMFILE"), [])


class FewFilesTests(FewFilesMixin, FunctionalCase):
    """
    The fast path.
    """


class PortableFewFilesTests(FewFilesMixin, FunctionalCase):
    """
    The portable path.
    """

    reactor = "poll"
