"""
Tests of mgrok between real programs: ours with each other, and with the program's own,
where the folder that TUNNELKIT_PEERS names has them.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from twisted.internet.threads import deferToThread

from tests.stage.case import HOST, ClientProgram, FunctionalCase, ServerProgram
from tests.stage.datagrams import Answering, udp
from tests.stage.peers import peer
from tests.stage.ports import freePort
from tests.stage.programs import Program
from tests.stage.services import Talk, echo, halving, source
from tests.stage.sockets import Ending, connected, noise, sha256

TOKEN = "0123"
"""A secret that most readers of YAML take for a number."""
MUCH = noise(8 << 20)

YAML = """\
enable_tls: false
tls_cert_file: "~/none"
tls_key_file: "~/none"
auth_token: {token}
"""


def asked(port: int, *datagrams: bytes) -> list[bytes]:
    """
    Send datagrams to a public port, one after the other.

    @return: what is answered.
    """
    with udp() as sock:
        found = []
        for datagram in datagrams:
            sock.sendto(datagram, (HOST, port))
            found.append(sock.recv(65535))
        return found


class MgrokCase(FunctionalCase):
    """
    A server that speaks mgrok, and a client.
    """

    def speaking(self, *options: str) -> ServerProgram:
        """
        Start a server of ours, with a file of the program's.
        """
        config = self.file("server.yaml", YAML.format(token=TOKEN))
        return self.server(f"--mgrok-config={config}", *options)

    def calling(
        self, port: int, *tunnels: str, options: tuple[str, ...] = ("--insecure",)
    ) -> ClientProgram:
        """
        Start a client of ours.
        """
        client = ClientProgram("client")
        secret = self.file("secret", TOKEN)
        self.twistd(
            "tunnelclient",
            "--dialect=mgrok",
            f"--server={HOST}:{port}",
            f"--token-file={secret}",
            *(f"--tunnel={tunnel}" for tunnel in tunnels),
            *options,
            program=client,
        )
        return client

    async def published(
        self, talk: Talk = echo, options: tuple[str, ...] = ("--insecure",)
    ) -> tuple[ServerProgram, ClientProgram, int]:
        """
        Publish a service, ours with ours.

        @return: both, and the public port.
        """
        public = freePort()
        server = self.speaking()
        await server.listens()
        service = self.service(talk)
        client = self.calling(
            server.port, f"{service.tunnel}:port={public}:name=web", options=options
        )
        await client.says(r"logged in to ")
        await server.says(r"tcp://\S+ is \S+'s web")
        return server, client, public


class OwnTests(MgrokCase):
    """
    Both sides are ours.
    """

    async def test_echo(self) -> None:
        """
        A visitor who sends much, and then the end, gets all of it back.
        """
        _, _, public = await self.published(halving(MUCH))
        got = await self.visit((HOST, public), b"please")
        self.assertEqual((got.digest == sha256(MUCH), got.ending), (True, Ending.END))

    async def test_killed(self) -> None:
        """
        When the client is killed in the midst of a download the visitor sees a reset,
        and its successor has the port at once.
        """
        server, client, public = await self.published(source)
        visitor = await self.visitor((HOST, public))
        await visitor.read(100_000)
        rest = visitor.rest()
        await client.kill()
        self.assertEqual((await rest).ending, Ending.RESET)
        service = self.service(halving(b"again"))
        successor = self.calling(
            server.port, f"{service.tunnel}:port={public}:name=web"
        )
        await successor.says(r"logged in to ")
        got = await self.visit((HOST, public), b"")
        self.assertEqual(got.first, b"again")

    async def test_frozen(self) -> None:
        """
        So has the successor of one that is frozen.
        """
        server, client, public = await self.published()
        client.signal("STOP")
        service = self.service(halving(b"again"))
        successor = self.calling(
            server.port, f"{service.tunnel}:port={public}:name=web"
        )
        await successor.says(r"logged in to ")
        await server.says(r"does not answer: 127\.0\.0\.1 takes over")
        await server.says(r"tcp://\S+ is \S+'s web", server.mark())
        got = await self.visit((HOST, public), b"")
        self.assertEqual(got.first, b"again")

    async def test_datagrams(self) -> None:
        """
        Datagrams are answered, large and empty ones too.
        """
        public = freePort()
        server = self.speaking()
        await server.listens()
        answering = Answering(bytes.upper)
        self.addCleanup(answering.stop)
        client = self.calling(
            server.port, f"udp:{answering.port}:port={public}:name=dns"
        )
        await client.says(r"logged in to ")
        await server.says(r"udp://\S+ is \S+'s dns")
        found = await deferToThread(asked, public, b"abc", b"", b"x" * 60_000)
        self.assertEqual(found, [b"ABC", b"", b"X" * 60_000])

    async def test_tls(self) -> None:
        """
        It is spoken inside TLS, to the certificate that the user names; one that does
        not trust it goes away, which is no trouble and in no log.
        """
        public = freePort()
        server = self.speaking()
        await server.listens()
        line = await server.says(r"certificate's fingerprint: sha256:(\w+)")
        await deferToThread(self.distrust, server.port)
        service = self.service(halving(MUCH))
        client = self.calling(
            server.port,
            f"{service.tunnel}:port={public}:name=web",
            options=(f"--fingerprint={line[1]}",),
        )
        await client.says(r"logged in to ")
        await server.says(r"tcp://\S+ is \S+'s web")
        got = await self.visit((HOST, public), b"please")
        self.assertEqual((got.digest == sha256(MUCH), got.ending), (True, Ending.END))
        self.assertNotIn("alert", server.output)

    def distrust(self, port: int) -> None:
        """
        Come as a stock client does.
        """
        context = ssl.create_default_context()
        with connected((HOST, port)) as sock:
            self.assertRaises(
                ssl.SSLCertVerificationError,
                context.wrap_socket,
                sock,
                server_hostname="localhost",
            )

    async def test_wrongToken(self) -> None:
        """
        A client with another secret ends, and says why.
        """
        server = self.speaking()
        await server.listens()
        client = ClientProgram("client")
        self.twistd(
            "tunnelclient",
            "--dialect=mgrok",
            f"--server={HOST}:{server.port}",
            f"--token-file={self.file('other', 'other')}",
            "--tunnel=tcp:8000:port=9000",
            "--insecure",
            program=client,
        )
        self.assertIn("the token is another one there", await client.gaveUp())


class StockCase(MgrokCase):
    """
    The program's own server or client.
    """

    def peer(self, name: str, *arguments: str | Path) -> Program:
        """
        Run it.

        @raise SkipTest: it is not there.
        """
        return self.program(peer(name), *arguments)

    def clientFile(self, port: int, *proxies: tuple[str, str, int, int]) -> Path:
        """
        Write a client's file.

        @param proxies: name, kind, local port, public port.
        """
        lines = [f'server: "{HOST}:{port}"', f'token: "{TOKEN}"', "proxies:"]
        for name, kind, local, public in proxies:
            lines += [
                f"  {name}:",
                f"    type: {kind}",
                f"    local_port: {local}",
                f"    remote_port: {public}",
            ]
        return self.file("client.yaml", "\n".join(lines) + "\n")


class StockClientTests(StockCase):
    """
    The program's client at our server.
    """

    async def connected(self, talk: Talk) -> tuple[Program, int]:
        """
        Publish a service.
        """
        public = freePort()
        server = self.speaking()
        await server.listens()
        service = self.service(talk)
        config = self.clientFile(server.port, ("web", "tcp", service.port, public))
        client = self.peer("mgrok-client", "-config", config)
        await server.says(r"tcp://\S+ is \S+'s web")
        return client, public

    async def test_served(self) -> None:
        """
        It comes back in plain, has its tunnel, and a visitor gets all of an answer.
        """
        _, public = await self.connected(halving(MUCH))
        got = await self.visit((HOST, public), b"please")
        self.assertEqual((got.digest == sha256(MUCH), got.ending), (True, Ending.END))

    async def test_killed(self) -> None:
        """
        When it is killed in the midst of a download the visitor sees a reset.
        """
        client, public = await self.connected(source)
        visitor = await self.visitor((HOST, public))
        await visitor.read(100_000)
        rest = visitor.rest()
        await client.kill()
        self.assertEqual((await rest).ending, Ending.RESET)

    async def test_datagrams(self) -> None:
        """
        Datagrams are answered.
        """
        public = freePort()
        server = self.speaking()
        await server.listens()
        answering = Answering(bytes.upper)
        self.addCleanup(answering.stop)
        config = self.clientFile(server.port, ("dns", "udp", answering.port, public))
        self.peer("mgrok-client", "-config", config)
        await server.says(r"udp://\S+ is \S+'s dns")
        found = await deferToThread(asked, public, b"abc", b"", b"x" * 1400)
        self.assertEqual(found, [b"ABC", b"", b"X" * 1400])


class StockServerTests(StockCase):
    """
    Our client at the program's server.
    """

    async def serving(self, *tunnels: str) -> ClientProgram:
        """
        Start both.
        """
        port = freePort()
        config = self.file("server.yaml", YAML.format(token=f'"{TOKEN}"'))
        self.peer("mgrok-server", "-port", str(port), "-config", config)
        await self.accepts((HOST, port))
        client = self.calling(port, *tunnels)
        await client.says(r"logged in to ")
        return client

    async def test_served(self) -> None:
        """
        A visitor gets all of an answer, and the end behind it.
        """
        public = freePort()
        service = self.service(halving(MUCH))
        await self.serving(f"{service.tunnel}:port={public}:name=web")
        await self.accepts((HOST, public))
        visitor = await self.visitor((HOST, public))
        await visitor.send(b"please")
        self.assertTrue((await visitor.rest()).digest == sha256(MUCH))

    async def test_datagrams(self) -> None:
        """
        Datagrams are answered.
        """
        public = freePort()
        answering = Answering(bytes.upper)
        self.addCleanup(answering.stop)
        await self.serving(f"udp:{answering.port}:port={public}:name=dns")
        found = await deferToThread(asked, public, b"abc", b"x" * 1400)
        self.assertEqual(found, [b"ABC", b"X" * 1400])
