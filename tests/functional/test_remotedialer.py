"""
Tests of remotedialer with real processes: a file server that is dialled through a
client, as curl sees it, and the program itself where there is one.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SkipTest

from tests.stage.case import HOST, FunctionalCase, ServerProgram
from tests.stage.ports import freePort
from tests.stage.programs import Program

ID = "swordfish-7"
SIZE = 20_000_000


class FileServerCase(FunctionalCase):
    """
    A file server, and what is dialled through a client.
    """

    async def files(self) -> int:
        """
        Start a file server with one large file.

        @return: its port.
        """
        folder = self.folder / "files"
        folder.mkdir()
        (folder / "large").write_bytes(os.urandom(SIZE))
        (folder / "small").write_text("hello\n")
        port = freePort()
        self.twistd("web", f"--listen=tcp:{port}:interface={HOST}", f"--path={folder}")
        await self.accepts((HOST, port))
        return port

    def dialer(self, *options: str) -> ServerProgram:
        """
        Start a server that speaks remotedialer.
        """
        return self.server(f"--dialect=remotedialer:ids={ID}", *options, admin=True)

    def client(self, server: str, *options: str | Path) -> Program:  # type: ignore[override]
        """
        Start a client of ours.
        """
        return self.twistd(
            "tunnelclient",
            "--dialect=remotedialer",
            f"--server={server}",
            f"--name={ID}",
            *options,
        )

    def room(self, server: ServerProgram, port: int, file: str) -> str:
        """
        Give the address of a file in the server's room.
        """
        where = f"http://{HOST}:{server.admin}/client/{ID}/http/{HOST}:{port}"
        return f"{where}/{file}"

    async def fetch(self, server: ServerProgram, port: int, file: str) -> bytes:
        """
        Get a file through the client.
        """
        token = (server.state / "admin.token").read_text().strip()
        into = self.folder / "fetched"
        await self.output(
            *("curl", "-sS", "--fail", "-o", into),
            *("-H", f"Authorization: Bearer {token}"),
            self.room(server, port, file),
        )
        return into.read_bytes()


class OursTests(FileServerCase):
    """
    Our client at our server.
    """

    async def test_files(self) -> None:
        """
        Files come whole, large ones as well, plain and inside TLS; the log shows no id.
        """
        port = await self.files()
        server = self.dialer()
        await server.listens()
        certificate = server.state / "certificate.pem"
        for address, options in (
            (f"ws://{HOST}:{server.port}/connect", ()),
            (f"wss://{HOST}:{server.port}/connect", (f"--ca={certificate}",)),
        ):
            client = self.client(address, f"--allow=tcp/{HOST}:{port}", *options)
            await client.says(f"which may dial tcp/{HOST}:{port}")
            large = await self.fetch(server, port, "large")
            expected = (self.folder / "files" / "large").read_bytes()
            self.assertTrue(large == expected)
            self.assertEqual(await self.fetch(server, port, "small"), b"hello\n")
            client.signal("INT")
            self.assertEqual(await client.exited(), 0)
            self.assertNotIn(ID, client.output)
        self.assertNotIn(ID, server.output)

    async def test_serverKilled(self) -> None:
        """
        When the server is killed and started again, the client is there again by
        itself.
        """
        port = await self.files()
        server = self.dialer()
        await server.listens()
        client = self.client(
            f"ws://{HOST}:{server.port}/connect", f"--allow=tcp/{HOST}:{port}"
        )
        await client.says("connected to")
        mark = client.mark()
        server.signal("KILL")
        await server.exited()
        again = self.server(
            f"--dialect=remotedialer:ids={ID}",
            admin=True,
            port=server.port,
            state=server.state,
        )
        await again.listens()
        await client.says("connected to", mark)
        self.assertEqual(await self.fetch(again, port, "small"), b"hello\n")

    async def test_clientFrozen(self) -> None:
        """
        While a client is frozen its successor is dialled, at once.
        """
        port = await self.files()
        server = self.dialer()
        await server.listens()
        address = f"ws://{HOST}:{server.port}/connect"
        frozen = self.client(address, f"--allow=tcp/{HOST}:{port}")
        await frozen.says("connected to")
        frozen.signal("STOP")
        successor = self.client(address, f"--allow=tcp/{HOST}:{port}")
        await successor.says("connected to")
        self.assertEqual(await self.fetch(server, port, "small"), b"hello\n")
        await server.says("it does not answer, and its client has come back")
        frozen.signal("CONT")

    async def test_upload(self) -> None:
        """
        A body goes up as it comes, in chunks of no stated length.
        """
        service = self.service()
        server = self.dialer()
        await server.listens()
        client = self.client(
            f"ws://{HOST}:{server.port}/connect", f"--allow=tcp/{HOST}:{service.port}"
        )
        await client.says("connected to")
        token = (server.state / "admin.token").read_text().strip()
        # The service echoes the request, which is no answer.
        said = await self.output(
            *("curl", "-sS", "-T", self.file("body", "x" * 100_000)),
            *("-H", f"Authorization: Bearer {token}"),
            *("-H", "Transfer-Encoding: chunked", "-w", "%{http_code}"),
            self.room(server, service.port, "put"),
        )
        self.assertTrue(said.endswith("502"), said)
        self.assertIn("does not speak HTTP", said)


class PeersTests(FileServerCase):
    """
    Two servers of ours, one of which has the client.
    """

    def peer(self, name: str, other: str, port: int, where: str) -> ServerProgram:
        """
        Start one.

        @param other: its peer's name.
        @param where: how its peer is reached.
        """
        token = self.file(f"{name}.token", f"token-{name}\n")
        peers = self.file(f"{name}.peers", f"{other} token-{other} {where}\n")
        spec = f"ids={ID}:id={name}:tokenFile={token}:peersFile={peers}"
        return self.server(f"--dialect=remotedialer:{spec}", admin=True, port=port)

    async def test_peers(self) -> None:
        """
        A file is asked for at the server that has not the client: it comes, inside TLS
        between the servers, whose certificate is the one that was named.
        """
        port, ports = await self.files(), (freePort(), freePort())
        b = self.peer("b", "a", ports[1], f"ws://{HOST}:{ports[0]}/connect")
        pin = (await b.says(r"fingerprint: sha256:(\w+)"))[1]
        at = f"wss://{HOST}:{ports[1]}/connect fingerprint={pin}"
        a = self.peer("a", "b", ports[0], at)
        await a.says("connected to peer b")
        await b.says("connected to peer a")
        client = self.client(f"ws://{HOST}:{ports[0]}/connect", f"--allow=tcp/{HOST}:*")
        await client.says("connected to")
        large = await self.fetch(b, port, "large")
        self.assertTrue(large == (self.folder / "files" / "large").read_bytes())
        for said in (a.output, b.output):
            self.assertNotIn("token-", said)
            self.assertNotIn(ID, said)


class StockTests(FileServerCase):
    """
    The program itself, which the folder C{TUNNELKIT_PEERS} may hold.
    """

    def peer(self, name: str, *arguments: str) -> Program:
        """
        Run one of its programs.

        @raise SkipTest: it is not there.
        """
        folder = os.environ.get("TUNNELKIT_PEERS")
        if not folder:
            raise SkipTest("TUNNELKIT_PEERS names no folder with other programs")
        program = Path(folder).absolute() / f"remotedialer-{name}"
        return self.program(program, *arguments)

    async def test_stockClient(self) -> None:
        """
        A stock client serves files through our server.
        """
        server = self.dialer()
        await server.listens()
        address = f"ws://{HOST}:{server.port}/connect"
        self.peer("client", "-connect", address, "-id", ID)
        port = await self.files()
        await server.says("logged in")
        large = await self.fetch(server, port, "large")
        self.assertTrue(large == (self.folder / "files" / "large").read_bytes())

    async def test_stockServer(self) -> None:
        """
        Our client serves files through a stock server.
        """
        listen = freePort()
        self.peer("server", "-listen", f"{HOST}:{listen}")
        await self.accepts((HOST, listen))
        port = await self.files()
        client = self.client(
            f"ws://{HOST}:{listen}/connect", f"--allow=tcp/{HOST}:{port}"
        )
        await client.says("connected to")
        into = self.folder / "fetched"
        await self.output(
            *("curl", "-sS", "--fail", "-o", into),
            f"http://{HOST}:{listen}/client/{ID}/http/{HOST}:{port}/large",
        )
        expected = (self.folder / "files" / "large").read_bytes()
        self.assertTrue(into.read_bytes() == expected)
