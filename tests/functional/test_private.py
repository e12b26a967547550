"""
Private tunnels between real processes: nobody but another client of the server can
reach the service, and for that one everything is as at a public tunnel.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final

from twisted.trial.unittest import SkipTest

from tests.stage.case import (
    HOST,
    ClientProgram,
    FunctionalCase,
    ServerProgram,
    found,
)
from tests.stage.ports import freePort
from tests.stage.services import (
    Service,
    acknowledging,
    halving,
    resetting,
    sink,
    source,
)
from tests.stage.sockets import Address, Ending
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

    async def test_curl(self) -> None:
        """
        curl reaches a tunnel by SOCKS, by the name that it has there, with its key; and
        through a UNIX socket, which nobody else may use.
        """

        def answer(connection: socket.socket) -> None:
            while not connection.recv(65536).endswith(b"\r\n\r\n"):
                pass
            connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nit is I\n")
            connection.shutdown(socket.SHUT_WR)

        service = self.service(answer)
        key, door, path = self.folder / "key", freePort(), self.folder / "web.sock"
        key.write_bytes(newEndKey(datetime.now(UTC)).pem)
        server = self.server()
        await server.listens()
        near = self.client(
            server,
            f"private:{HOST}:{service.port}:name=web:keyFile={key}",
            name="near",
        )
        await near.says("private://web leads to ")
        config = self.file(
            "client.toml",
            f'visit = ["web:unix={path}:keyFile=key"]\nkey = "web=key"\n'
            f'socks = "{door}"\n',
        )
        far = self.client(server, options=[f"--config={config}"], name="far")
        await far.says("logged in to ")
        curl = ("curl", "-sS", "--max-time", "20")
        by = ("--socks5-hostname", f"{HOST}:{door}", "http://web.tunnel/")
        self.assertEqual(await self.output(*curl, *by), "it is I")
        by = ("--unix-socket", str(path), "http://web/")
        self.assertEqual(await self.output(*curl, *by), "it is I")
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        by = ("--socks5-hostname", f"{HOST}:{door}", "http://example.org/")
        refused = self.program(*curl, *by)
        self.assertEqual(await refused.exited(), 97)

    async def test_taken(self) -> None:
        """
        A port that is in use ends the client with a sentence that names it.
        """
        service = self.service()
        server = self.server()
        client = self.client(server, options=[f"--visit=svc:{service.port}"])
        self.assertIn(
            f"--visit svc: cannot listen on {HOST}:{service.port}: Address already in"
            " use, by ",
            await client.gaveUp(),
        )

    async def test_frozen(self) -> None:
        """
        Where the client that publishes stands still, the visitor waits with his
        stream; where it is taken for dead, because its successor asks, he is reset, and
        the next one is served.
        """
        service = self.service()
        server, near, _, (door,) = await self.visited(service)
        visitor = await self.visitor(door)
        await visitor.send(b"x")
        await visitor.read(1)
        near.signal("STOP")
        mark = server.mark()
        tunnel = f"private:{HOST}:{service.port}:name=svc{service.port}"
        successor = self.client(server, tunnel, name="next")
        await successor.says(r"private://svc\d+ leads to ")
        self.assertTrue(server.said("next takes over", mark))
        self.assertEqual((await visitor.rest()).ending, Ending.RESET)
        self.assertEqual((await self.visit(door, b"y")).first, b"y")

    async def test_dig(self) -> None:
        """
        dig asks a DNS server by private tunnels: one of datagrams, encrypted from end
        to end, and one of streams; so it does where Twisted moves the bytes.
        """
        dig, port = found("dig"), freePort()
        hosts = self.file("hosts", "192.0.2.80 printer.example\n")
        dns = self.twistd("dns", f"--port={port}", f"--hosts-file={hosts}")
        await dns.says("DNSDatagramProtocol starting")
        key = self.folder / "key"
        key.write_bytes(newEndKey(datetime.now(UTC)).pem)
        server = self.server()
        await server.listens()
        near = self.client(
            server,
            f"private-udp:{HOST}:{port}:name=dns:keyFile={key}",
            f"private:{HOST}:{port}:name=dnstcp",
            name="near",
        )
        await near.says(r"private-udp://dns leads to ")
        await near.says(r"private://dnstcp leads to ")
        for reactor in ("", "poll"):
            self.reactor = reactor  # type: ignore[misc]
            door, other = freePort(), freePort()
            far = self.client(
                server,
                options=[
                    f"--visit=dns:{door}:keyFile={key}",
                    f"--visit=dnstcp:{other}",
                ],
                name=f"far{reactor}",
            )
            await far.says("logged in to ")
            for at, transport in ((door, "+notcp"), (other, "+tcp")):
                told = await self.output(
                    dig,
                    *(f"@{HOST}", "-p", str(at), transport, "+short"),
                    *("+tries=3", "printer.example", "A"),
                )
                self.assertEqual(told.strip(), "192.0.2.80")
