"""
Tests of compressed tunnels between real programs.
"""

from __future__ import annotations

import json
import socket

from tests.stage.case import HOST, FunctionalCase
from tests.stage.services import saying, sink, source
from tests.stage.sockets import Ending, noise, sha256
from tests.wire.test_packing import skipUnable

TEXT = noise(200_000).hex().encode()
"""Half of it is air: each byte has four bits' worth."""

WITHOUT = """\
import sys
sys.modules["compression.zstd"] = sys.modules["backports.zstd"] = None
"""

HTTP = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(TEXT)


def answered(connection: socket.socket) -> None:
    """
    Read the request only when it has been answered, and end.
    """
    connection.recv(65536)


class CompressionTests(FunctionalCase):
    """
    What goes between client and server is smaller, and else as it was.
    """

    async def compress(self, kind: str) -> None:
        """
        Fetch a page and send a file, through a tunnel compressed so; see what the
        admin rooms say of it.
        """
        server = self.server(admin=True)
        web, take = self.service(saying(HTTP + TEXT, answered)), self.service(sink)
        client = self.client(
            server,
            f"{web.tunnel}:name=web:compress={kind}",
            f"{take.tunnel}:name=file:compress={kind}",
        )
        host, port = await client.leads("web")
        url = f"http://{host}:{port}/page"
        for _ in range(3):
            got = await self.output("curl", "-sSf", url)
            self.assertEqual(sha256(got.encode()), sha256(TEXT))
        answer = await self.visit(await client.leads("file"), TEXT)
        self.assertEqual(answer.ending, Ending.END)
        self.assertEqual(answer.digest, sha256(sha256(TEXT).encode()))

        token = (server.state / "admin.token").read_text().strip()
        head = f"Authorization: Bearer {token}"
        rooms = f"http://{HOST}:{server.admin}"
        told = await self.output("curl", "-sSf", "-H", head, f"{rooms}/api/v1/tunnels")
        tunnels = {each["name"]: each for each in json.loads(told)["tunnels"]}
        down, up = tunnels["web"], tunnels["file"]
        self.assertEqual((down["compress"], down["failed"]), (kind, 0))
        self.assertGreater(down["sent"], 3 * len(TEXT))
        self.assertLess(down["sent_packed"], 0.7 * down["sent"])
        self.assertEqual(up["received"], len(TEXT))
        self.assertLess(up["received_packed"], 0.7 * up["received"])
        metrics = await self.output("curl", "-sSf", "-H", head, f"{rooms}/metrics")
        self.assertRegex(
            metrics, r'tunnelkit_tunnel_compression_ratio\{.*"file".*\} 1\.[5-9]'
        )

    async def test_deflate(self) -> None:
        """
        By deflate, which all have.
        """
        await self.compress("deflate")

    async def test_zstd(self) -> None:
        """
        By Zstandard, where it is installed.
        """
        skipUnable("zstd")
        await self.compress("zstd")

    async def test_clientKilled(self) -> None:
        """
        When the client is killed (-9) in the middle of a download, the visitor sees a
        reset and never an end.
        """
        service = self.service(source)
        _, client = self.pair(f"{service.tunnel}:compress=deflate")
        visitor = await self.visitor(await client.leads())
        await visitor.read(1_000_000)
        await client.kill()
        self.assertEqual((await visitor.rest()).ending, Ending.RESET)


class LackingTests(FunctionalCase):
    """
    A program without Zstandard says so, and what to do.
    """

    async def test_server(self) -> None:
        """
        Where the server has none the client ends with that, and with deflate it works.
        """
        skipUnable("zstd")
        server = self.server(environment=self.prepared(WITHOUT))
        tunnel = self.service(sink).tunnel
        sentence = await self.client(server, f"{tunnel}:compress=zstd").gaveUp()
        self.assertIn("this server has no library for zstd: install", sentence)
        client = self.client(server, f"{tunnel}:compress=deflate", name="other")
        answer = await self.visit(await client.leads(), TEXT)
        self.assertEqual(answer.digest, sha256(sha256(TEXT).encode()))

    async def test_client(self) -> None:
        """
        Where the client has none it does not even start.
        """
        server = self.server()
        client = self.client(
            server, "tcp:8000:compress=zstd", environment=self.prepared(WITHOUT)
        )
        await client.says("this Python has no library for it: install tunnelkit.zstd")
        self.assertEqual(await client.exited(), 1)
