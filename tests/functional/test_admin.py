"""
Tests of the admin rooms of a server that serves visitors, as curl sees them.
"""

from __future__ import annotations

import json
import threading
from typing import Any

from tests.stage.case import HOST, FunctionalCase, ServerProgram
from tests.stage.programs import LIMIT, reactor
from tests.stage.services import gated, source
from tests.stage.sockets import Ending, noise

ENOUGH = 500_000


class AdminTests(FunctionalCase):
    """
    Who has the token sees what goes on.
    """

    async def get(self, server: ServerProgram, path: str, token: str = "") -> str:
        """
        Ask for a page.

        @return: what came, and the HTTP status behind it.
        """
        return await self.output(
            *("curl", "-sS", "-w", "%{http_code}"),
            *(["-H", f"Authorization: Bearer {token}"] if token else []),
            f"http://{HOST}:{server.admin}{path}",
        )

    async def test_door(self) -> None:
        """
        Without the token there is C{/healthz} and nothing else; with it there is the
        page, what it loads, and all other rooms.
        """
        server = self.server(admin=True)
        await server.listens()
        token = (server.state / "admin.token").read_text().strip()
        self.assertTrue((await self.get(server, "/healthz")).endswith("200"))
        for path in ("/", "/api/v1/status", "/api/v1/tunnels", "/metrics"):
            without = await self.get(server, path)
            self.assertTrue(without.endswith("401"), f"{path}: {without}")
            wrong = await self.get(server, path, "x" * len(token))
            self.assertTrue(wrong.endswith("401"), f"{path}: {wrong}")
            good = await self.get(server, path, token)
            self.assertTrue(good.endswith("200"), f"{path}: {good}")

    async def test_liveNumbers(self) -> None:
        """
        While a download runs, the tunnel's stream and bytes are in C{/api/v1/tunnels}
        and grow, the client is in C{/api/v1/status} with its round trip, and
        C{/metrics} has the same in Prometheus's words.
        """
        server = self.server(admin=True)
        client = self.client(server, f"{self.service(source).tunnel}:name=down")
        address = await client.leads()
        visitor = await self.visitor(address)
        await visitor.read(ENOUGH)
        token = (server.state / "admin.token").read_text().strip()

        async def tunnel() -> Any:
            told = await self.get(server, "/api/v1/tunnels", token)
            (only,) = json.loads(told[:-3])["tunnels"]
            return only

        before = await tunnel()
        self.assertEqual(before["name"], "down")
        self.assertEqual(before["address"], f"tcp://{HOST}:{address[1]}")
        self.assertEqual((before["streams"], before["visitors"]), (1, 1))
        self.assertGreaterEqual(before["sent"], ENOUGH)
        await visitor.read(50 * ENOUGH)
        self.assertGreater((await tunnel())["sent"], before["sent"])

        status = json.loads((await self.get(server, "/api/v1/status", token))[:-3])
        (session,) = status["sessions"]
        self.assertEqual((session["client"], session["user"]), ("client", "default"))
        self.assertLess(session["round_trip"], LIMIT)
        self.assertEqual((session["busy"], status["streams"]), (1, 1))
        metrics = await self.get(server, "/metrics", token)
        self.assertRegex(
            metrics, r'(?m)^tunnelkit_tunnel_streams\{.*tunnel="down".*\} 1\.0$'
        )

        visitor.reset()
        begun = reactor.seconds()
        while (after := await tunnel())["streams"]:
            self.assertLess(reactor.seconds() - begun, LIMIT, "the stream stays")
        self.assertEqual((after["visitors"], after["failed"]), (1, 1))

    async def test_toTheByte(self) -> None:
        """
        While a stream is open, the tunnel's bytes are to the last one those that the
        visitor has sent and heard, and they stay so when it has ended.
        """
        forth, back, gate = noise(54_321), noise(1_234_567), threading.Event()
        service = self.service(gated(back, gate, b"bye"))
        server = self.server(admin=True)
        client = self.client(server, service.tunnel)
        visitor = await self.visitor(await client.leads())
        await visitor.send(forth)
        self.assertEqual(await visitor.read(len(back)), back)
        await self.counted(server, 1, len(forth), len(back))
        gate.set()
        self.assertEqual(await visitor.read(3), b"bye")
        visitor.finish()
        self.assertEqual((await visitor.rest()).ending, Ending.END)
        await self.counted(server, 0, len(forth), len(back) + 3)

    async def counted(
        self, server: ServerProgram, streams: int, received: int, sent: int
    ) -> None:
        """
        Wait until the admin rooms tell of so many streams and bytes of the only tunnel.
        """
        token = (server.state / "admin.token").read_text().strip()
        begun = reactor.seconds()
        while True:
            told = await self.get(server, "/api/v1/tunnels", token)
            (only,) = json.loads(told[:-3])["tunnels"]
            now = only["streams"], only["received"], only["sent"]
            if now == (streams, received, sent):
                return
            self.assertLess(reactor.seconds() - begun, LIMIT, now)
