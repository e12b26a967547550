"""
Tests of who is not let in, and of servers that are none: what their users are told,
and what the program does about it.
"""

from __future__ import annotations

import json
import socket

from tests.stage.authority import Authority, secured
from tests.stage.case import HOST, FunctionalCase, ServerProgram
from tests.stage.programs import reactor
from tests.stage.services import Talk, saying
from tests.stage.sockets import PIECE, Ending, connected
from tunnelkit.wire.token import Token

BANNER = b"SSH-2.0-OpenSSH_9.2p1\r\n"
ANSWER = b"HTTP/1.1 400 Bad Request\r\n\r\n"

WRONG = str(Token.new("default", lambda count: b"\x5a" * count))


class UserTests(FunctionalCase):
    """
    Who may log in changes, or never could.
    """

    async def test_wrongToken(self) -> None:
        """
        A wrong token at the very first login ends the client with one sentence, and
        so does a user who is not known, with the same words.
        """
        server = self.server()
        await server.listens()
        sentences = set()
        for user in ("default", "nobody"):
            token = WRONG.replace("default", user)
            client = self.client(
                server, "tcp:8000", token=self.file(f"{user}.token", token)
            )
            sentences.add(await client.gaveUp())
            self.assertNotIn(token.rpartition("_")[2], client.output)
        self.assertEqual(len(sentences), 1)
        self.assertRegex(sentences.pop(), "token")

    async def failures(self, server: ServerProgram, least: int) -> float:
        """
        Wait until so many more logins have failed.

        @return: seconds that it took.
        """
        begun = reactor.seconds()
        first = await self.failedLogins(server)
        while await self.failedLogins(server) < first + least:
            pass
        return reactor.seconds() - begun

    async def failedLogins(self, server: ServerProgram) -> int:
        """
        Ask the server how many logins have failed.
        """
        token = (server.state / "admin.token").read_text().strip()
        told = await self.output(
            *("curl", "-sSf", f"http://{HOST}:{server.admin}/api/v1/status"),
            *("-H", f"Authorization: Bearer {token}"),
        )
        count: int = json.loads(told)["counts"]["logins_failed"]
        return count

    async def test_revoked(self) -> None:
        """
        A user who is disabled in C{users.toml} is thrown out within a second or so:
        visitors are reset and the port is closed.  The client keeps trying, not in
        haste, and is served again on its port when the user is allowed again.
        """
        server = self.server(admin=True)
        client = self.client(server, self.service().tunnel)
        address = await client.leads()
        visitor = await self.visitor(address)
        await visitor.send(b"hello")
        self.assertEqual(await visitor.read(5), b"hello")

        users = server.state / "users.toml"
        before, mark = users.read_text(), client.mark()
        users.write_text(
            before.replace("[users.default]", "[users.default]\ndisabled = true")
        )
        self.assertEqual((await visitor.rest()).ending, Ending.RESET)
        await client.says("revoked; trying again", mark)
        self.assertRaises(ConnectionRefusedError, connected, address)
        # Five tries at 0.1 s or more each: a hot loop makes them in a moment.
        self.assertGreater(await self.failures(server, 5), 0.4)

        mark = client.mark()
        users.write_text(before)
        self.assertEqual(await client.leads(since=mark), address)
        got = await self.visit(address, b"hello")
        self.assertEqual((got.ending, got.first), (Ending.END, b"hello"))

    async def test_otherState(self) -> None:
        """
        Where the server comes back with other users, a client that was logged in
        before waits for that to be mended, and says why.
        """
        server, client = self.pair(self.service().tunnel)
        await client.leads()
        await server.kill()
        mark = client.mark()
        other = self.server(port=server.port)
        await client.says("does not accept this token.*; trying again", mark)
        await other.kill()
        mark = client.mark()
        self.server(port=server.port, state=server.state)
        await client.leads(since=mark)


class StrangerTests(FunctionalCase):
    """
    What a client was pointed at is not a tunnelkit server.
    """

    async def told(self, talk: Talk, *options: str) -> str:
        """
        Point a client at a service.

        @param talk: what the service does.
        @return: the sentence with which the client ended.
        """
        service = self.service(talk)
        client = self.client(
            self.stranger(), "tcp:8000", to=f"{HOST}:{service.port}", options=options
        )
        return await client.gaveUp()

    def stranger(self) -> ServerProgram:
        """
        Give a server that never runs: its token is well formed.
        """
        server = ServerProgram("nobody")
        server.state = self.state()
        return server

    async def test_ssh(self) -> None:
        """
        Pointed at an ssh server, with TLS or without, the client ends and says what
        came in place of a tunnelkit server's answer.
        """
        for options in ([], ["--insecure"]):
            sentence = await self.told(saying(BANNER), *options)
            self.assertIn("no tunnelkit server", sentence)
            self.assertIn("SSH-2.0-OpenSSH_9.2p1", sentence)

    async def test_plainWeb(self) -> None:
        """
        The same of a web server without TLS.
        """

        def answer(connection: socket.socket) -> None:
            connection.recv(PIECE)
            connection.sendall(ANSWER)

        sentence = await self.told(answer)
        self.assertIn("no tunnelkit server", sentence)
        self.assertIn("HTTP/1.1 400 Bad Request", sentence)

    async def test_web(self) -> None:
        """
        The same of a web server with TLS.
        """
        issued = Authority().issue([HOST])

        def answer(connection: socket.socket) -> None:
            with secured(issued, self.folder, connection) as inside:
                inside.recv(PIECE)
                inside.sendall(ANSWER)

        sentence = await self.told(answer)
        self.assertIn("no tunnelkit server", sentence)
        self.assertIn("HTTP/1.1 400 Bad Request", sentence)

    async def test_insecure(self) -> None:
        """
        A client with C{--insecure} ends with a sentence where the server was not told
        the same.
        """
        server = self.server()
        await server.listens()
        client = self.client(server, "tcp:8000", options=["--insecure"])
        self.assertIn("--insecure", await client.gaveUp())
