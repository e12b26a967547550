"""
Private tunnels between real processes: nobody but another client of the server can
reach the service, and for that one everything is as at a public tunnel.
"""

from __future__ import annotations

import hashlib
import os
import pwd
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final

from twisted.trial.unittest import SkipTest

from tests.functional.case import (
    HOST,
    ClientProgram,
    FunctionalCase,
    ServerProgram,
    found,
)
from tests.functional.services import (
    Service,
    acknowledging,
    halving,
    resetting,
    sink,
    source,
)
from tests.functional.sockets import Address, Ending, freePort
from tunnelkit.wire.endkey import newEndKey

BULK: Final = os.urandom(1 << 20) * 4


class PrivateCase(FunctionalCase):
    """
    A server, a client that publishes services, and one that visits them.

    @cvar sealed: whether the two clients have a key.
    """

    sealed: ClassVar[bool] = False

    async def visited(
        self, *services: Service, users: str = ""
    ) -> tuple[ServerProgram, ClientProgram, ClientProgram, list[Address]]:
        """
        Start all three.

        @return: them, and where visitors come to, for each of the services.
        """
        key = ""
        if self.sealed:
            file = self.folder / "end.key"
            file.write_bytes(newEndKey(datetime.now(UTC)).pem)
            key = f":keyFile={file}"
        server = self.server()
        await server.listens()
        doors = [freePort() for _ in services]
        near = self.client(
            server,
            *(f"private:{HOST}:{s.port}:name=svc{s.port}{key}" for s in services),
            name="near",
        )
        far = self.client(
            server,
            options=[
                f"--visit=svc{service.port}:{door}{key}"
                for service, door in zip(services, doors, strict=True)
            ],
            name="far",
        )
        for service in services:
            await near.says(rf"private://svc{service.port} leads to ")
        await far.says("logged in to ")
        return server, near, far, [(HOST, door) for door in doors]


class VisitTests(PrivateCase):
    """
    What is true of public tunnels is of private ones.
    """

    async def test_endings(self) -> None:
        """
        Visitors come at once, whole and in order; a half-close, on either side, is no
        end of the answer; a reset is one.
        """
        taking, halfway = self.service(sink), self.service(halving(b"all"))
        failing = self.service(resetting)
        *_, doors = await self.visited(taking, halfway, failing)
        digest = hashlib.sha256(BULK).hexdigest().encode()
        for visit in [self.visit(doors[0], BULK) for _ in range(4)]:
            received = await visit
            self.assertEqual((received.ending, received.first), (Ending.END, digest))
        visitor = await self.visitor(doors[1])
        self.assertEqual((await visitor.rest()).first, b"all")
        await visitor.send(b"more")
        visitor.finish()
        outcome: Any = await halfway.outcome()
        self.assertEqual((outcome.first, outcome.ending), (b"more", Ending.END))
        visitor = await self.visitor(doors[2])
        await visitor.send(b"x")
        self.assertEqual((await visitor.rest()).ending, Ending.RESET)

    async def test_killed(self) -> None:
        """
        Where the client that publishes is killed in the middle of a download the
        visitor sees a reset, and no end.
        """
        _, near, _, (door,) = await self.visited(self.service(source))
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
        _, _, far, (door,) = await self.visited(service)
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


class SealedVisitTests(VisitTests):
    """
    So it is where the two clients encrypt from end to end.
    """

    sealed = True


class ProgramTests(PrivateCase):
    """
    Programs that people use come through.
    """

    async def test_ssh(self) -> None:
        """
        ssh logs in through a visit, with the host key of the service, and its command
        runs there.
        """
        keygen, sshd = found("ssh-keygen"), found("sshd")
        if os.geteuid() == 0:
            try:
                pwd.getpwnam("sshd")
            except KeyError:
                raise SkipTest("root's sshd wants a user sshd") from None
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        host, own = self.folder / "host", self.folder / "own"
        for key in (host, own):
            await self.output(keygen, "-q", "-t", "ed25519", "-N", "", "-f", key)
        port = freePort()
        config = self.file(
            "sshd_config",
            f"ListenAddress {HOST}:{port}\nHostKey {host}\nPidFile none\n"
            f"AuthorizedKeysFile {own}.pub\nStrictModes no\nUsePAM no\n"
            "PasswordAuthentication no\nPermitRootLogin yes\n",
        )
        daemon = self.program(sshd, "-D", "-e", "-f", config)
        await daemon.says("Server listening")
        server = self.server()
        await server.listens()
        door = freePort()
        near = self.client(server, f"private:{HOST}:{port}:name=ssh", name="near")
        await near.says("private://ssh leads to ")
        far = self.client(server, options=[f"--visit=ssh:{door}"], name="far")
        await far.says("logged in to ")
        public = host.with_suffix(".pub").read_text().split()[:2]
        known = self.file("known", f"[{HOST}]:{door} {' '.join(public)}\n")
        told = await self.output(
            "ssh",
            *("-F", "none", "-i", own, "-p", str(door)),
            *("-o", f"UserKnownHostsFile={known}", "-o", "BatchMode=yes"),
            *("-o", "StrictHostKeyChecking=yes", HOST, "echo it is $((6 * 7))"),
        )
        self.assertIn("it is 42", told)
