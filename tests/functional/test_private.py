"""
Private tunnels between real processes: nobody but another client of the server can
reach the service, and for that one everything is as at a public tunnel.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any, Final

from tests.functional.case import HOST, ClientProgram, FunctionalCase, ServerProgram
from tests.functional.services import (
    Service,
    acknowledging,
    halving,
    resetting,
    sink,
    source,
)
from tests.functional.sockets import Address, Ending, freePort

BULK: Final = os.urandom(1 << 20) * 4


class PrivateCase(FunctionalCase):
    """
    A server, a client that publishes a service, and one that visits it.
    """

    def private(self, service: Service, *options: str) -> str:
        """
        Describe a private tunnel to a service.
        """
        return ":".join([f"private:{HOST}:{service.port}:name=svc", *options])

    async def visited(
        self, service: Service, *options: str
    ) -> tuple[ServerProgram, ClientProgram, ClientProgram, Address]:
        """
        Start all three.

        @return: them, and where visitors come to.
        """
        server = self.server()
        await server.listens()
        near = self.client(server, self.private(service, *options), name="near")
        await near.says(r"private://svc leads to ")
        door = freePort()
        far = self.client(server, options=[f"--visit=svc:{door}"], name="far")
        await far.says("logged in to ")
        return server, near, far, (HOST, door)


class VisitTests(PrivateCase):
    """
    What is true of public tunnels is of private ones.
    """

    async def test_answered(self) -> None:
        """
        Visitors come one after the other and at once, whole and in order, and their
        half-close is no end of the answer.
        """
        service = self.service(sink)
        *_, door = await self.visited(service)
        digest = hashlib.sha256(BULK).hexdigest()
        visits = [self.visit(door, BULK) for _ in range(4)]
        for visit in visits:
            received = await visit
            self.assertEqual(received.ending, Ending.END)
            self.assertEqual(received.first, digest.encode())

    async def test_serviceEnds(self) -> None:
        """
        A service that has said all can still be spoken to.
        """
        service = self.service(halving(b"all"))
        *_, door = await self.visited(service)
        visitor = await self.visitor(door)
        self.assertEqual((await visitor.rest()).first, b"all")
        await visitor.send(b"more")
        visitor.finish()
        outcome: Any = await service.outcome()
        self.assertEqual((outcome.first, outcome.ending), (b"more", Ending.END))

    async def test_serviceResets(self) -> None:
        """
        A reset of the service's is one for the visitor.
        """
        *_, door = await self.visited(self.service(resetting))
        visitor = await self.visitor(door)
        await visitor.send(b"x")
        self.assertEqual((await visitor.rest()).ending, Ending.RESET)

    async def test_killed(self) -> None:
        """
        Where the client that publishes is killed in the middle of a download the
        visitor sees a reset, and no end.
        """
        _, near, _, door = await self.visited(self.service(source))
        visitor = await self.visitor(door)
        await visitor.read(1 << 20)
        await near.kill()
        self.assertEqual((await visitor.rest()).ending, Ending.RESET)

    async def test_visitingKilled(self) -> None:
        """
        Where the client that visits is killed in the middle of an upload the service
        sees a reset, and no end.
        """
        service = self.service(acknowledging(1 << 20))
        _, _, far, door = await self.visited(service)
        visitor = await self.visitor(door)
        flooding = visitor.flood()
        await visitor.read(1)
        await far.kill()
        outcome: Any = await service.outcome()
        self.assertEqual(outcome.ending, Ending.RESET)
        await flooding


class PortableVisitTests(VisitTests):
    """
    So it is where Twisted moves the bytes.
    """

    reactor = "poll"
