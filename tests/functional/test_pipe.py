"""
Tests of the dialect pipe between real programs.
"""

from __future__ import annotations

import socket
from pathlib import Path

from twisted.internet.threads import deferToThread

from tests.stage.case import HOST, ClientProgram, FunctionalCase, ServerProgram
from tests.stage.datagrams import Answering, udp
from tests.stage.peers import peer
from tests.stage.ports import freePort
from tests.stage.programs import Program, until
from tests.stage.services import halving, source
from tests.stage.sockets import Ending, connected, noise, receive

SECRET = "open sesame"


class PipeCase(FunctionalCase):
    """
    Servers and clients of pipe's.
    """

    def setUp(self) -> None:
        """
        Write the secret down.
        """
        super().setUp()
        self.secret = self.file("pipe.token", f"{SECRET}\n")
        self.secret.chmod(0o600)

    def serving(self, port: int = 0, state: Path | None = None) -> ServerProgram:
        """
        Start a server of ours.
        """
        dialect = f"--dialect=pipe:tokenFile={self.secret}"
        return self.server(dialect, port=port, state=state)

    def forwarding(self, server: int, *tunnels: str) -> ClientProgram:
        """
        Start a client of ours.
        """
        client = ClientProgram("client")
        self.twistd(
            "tunnelclient",
            "--dialect=pipe",
            f"--server={HOST}:{server}",
            f"--token-file={self.secret}",
            *(f"--tunnel={tunnel}" for tunnel in tunnels),
            program=client,
        )
        return client

    def answering(self) -> Answering:
        """
        Run a service of UDP that sends back what comes.
        """
        answering = Answering(bytes)
        self.addCleanup(answering.stop)
        return answering

    def asked(self, port: int, *words: bytes) -> list[bytes]:
        """
        Be a visitor of UDP who asks, and asks again where an answer is lost.
        """
        found = []
        with udp() as visitor:
            visitor.settimeout(1.0)
            for each in words:
                for _ in range(20):
                    visitor.sendto(each, (HOST, port))
                    try:
                        found.append(visitor.recv(65535))
                        break
                    except TimeoutError:
                        continue
        return found

    async def assertServed(self, port: int) -> None:
        """
        A visitor gets back what he sends, to the end.
        """
        data = noise(300_000)
        received = await self.visit((HOST, port), data)
        self.assertEqual((received.ending, received.count), (Ending.END, len(data)))

    def visiting(self, port: int) -> bool:
        """
        Tell whether a visitor is served.
        """
        try:
            with connected((HOST, port)) as visitor:
                visitor.sendall(b"hello?")
                return visitor.recv(6) == b"hello?"
        except OSError:
            return False

    def accepting(self, port: int) -> bool:
        """
        Tell whether something listens on a port.
        """
        with socket.socket() as trial:
            return trial.connect_ex((HOST, port)) == 0

    async def servedSoon(self, port: int) -> None:
        """
        Wait until a visitor is served.
        """
        while not await deferToThread(self.visiting, port):
            await until(lambda: True, "a moment")


class OwnTests(PipeCase):
    """
    Our client at our server.
    """

    async def test_streams(self) -> None:
        """
        A visitor gets his echo with both ends, and an answer behind the end of it.
        """
        service, other = self.service(), self.service(halving(b"all I have"))
        port, second = freePort(), freePort()
        server = self.serving()
        client = self.forwarding(
            server.port,
            f"{service.tunnel}:port={port}:name=echo",
            f"{other.tunnel}:port={second}:name=half",
        )
        await client.leads("echo")
        await client.leads("half")
        await self.assertServed(port)
        received = await self.visit((HOST, second), b"thanks")
        self.assertEqual((received.ending, received.first), (Ending.END, b"all I have"))

    async def test_datagrams(self) -> None:
        """
        Datagrams go there and back, the empty one and the greatest that fits included.
        """
        service, port = self.answering(), freePort()
        client = self.forwarding(
            self.serving().port, f"udp:{service.port}:port={port}:name=dns"
        )
        await client.says(r"udp://\S+ leads to ")
        words = (b"one", b"", b"x" * 1200, b"y" * 48000)
        self.assertEqual(await deferToThread(self.asked, port, *words), [*words])

    async def test_serverKilled(self) -> None:
        """
        The server is killed in the middle of a download: the visitor is reset.  When it
        is started again all is there within seconds.
        """
        loading, service = self.service(source), self.service()
        port, second = freePort(), freePort()
        server = self.serving()
        client = self.forwarding(
            server.port,
            f"{loading.tunnel}:port={port}:name=load",
            f"{service.tunnel}:port={second}:name=echo",
        )
        await client.leads("load")
        await client.leads("echo")
        visitor = await deferToThread(connected, (HOST, port))
        self.addCleanup(visitor.close)
        await deferToThread(visitor.recv, 65536)
        await server.kill()
        received = await deferToThread(receive, visitor)
        self.assertEqual(received.ending, Ending.RESET)
        self.serving(server.port, server.state)
        await self.servedSoon(second)

    async def test_clientKilled(self) -> None:
        """
        The client is killed in the middle of a download: the visitor is reset, and the
        next client has the same port at once.
        """
        loading, port = self.service(source), freePort()
        server = self.serving()
        tunnel = f"{loading.tunnel}:port={port}:name=load"
        client = self.forwarding(server.port, tunnel)
        await client.leads()
        visitor = await deferToThread(connected, (HOST, port))
        self.addCleanup(visitor.close)
        await deferToThread(visitor.recv, 65536)
        await client.kill()
        received = await deferToThread(receive, visitor)
        self.assertEqual(received.ending, Ending.RESET)
        successor = self.forwarding(server.port, tunnel)
        await successor.leads()

    async def test_clientFrozen(self) -> None:
        """
        So has the successor of one that is frozen, and that one learns of it when it
        goes on.
        """
        service, port = self.service(), freePort()
        server = self.serving()
        tunnel = f"{service.tunnel}:port={port}:name=echo"
        client = self.forwarding(server.port, tunnel)
        await client.leads()
        client.signal("STOP")
        successor = self.forwarding(server.port, tunnel)
        await successor.leads()
        await server.says(r"does not answer: 127\.0\.0\.1 takes over")
        await self.assertServed(port)
        client.signal("CONT")
        await client.says(r"is lost; trying again")
        await self.assertServed(port)

    async def test_stops(self) -> None:
        """
        A client that is told to stop lets its visitor finish, has its port freed
        before, and ends well.
        """
        service, port = self.service(), freePort()
        server = self.serving()
        client = self.forwarding(server.port, f"{service.tunnel}:port={port}:name=echo")
        await client.leads()
        visitor = await deferToThread(connected, (HOST, port))
        self.addCleanup(visitor.close)
        visitor.sendall(b"one")
        self.assertEqual(await deferToThread(visitor.recv, 3), b"one")
        client.signal("TERM")
        await until(lambda: not self.accepting(port), "nobody new is let in")
        visitor.sendall(b"two")
        self.assertEqual(await deferToThread(visitor.recv, 3), b"two")
        visitor.close()
        self.assertEqual(await client.exited(), 0)

    async def test_wrongToken(self) -> None:
        """
        With another secret the client ends, and says what may be wrong.
        """
        server = self.serving()
        await server.listens()
        self.secret.write_text("another\n")
        client = self.forwarding(server.port, f"tcp:1:port={freePort()}")
        self.assertIn("the token is another one there", await client.gaveUp())

    async def test_config(self) -> None:
        """
        The files of pipe's own programs are enough for both.
        """
        service, port, public = self.service(), freePort(), freePort()
        server = self.file(
            "ps.toml", f'port = {port}\nadmin-port = 0\ntoken = "{SECRET}"\n'
        )
        local = int(service.tunnel.rpartition(":")[2])
        client = self.file(
            "pc.toml",
            f'server-addr = "{HOST}:{port}"\ntoken = "{SECRET}"\n[[forwards]]\n'
            f'proxy-name = "web"\nremote-port = {public}\nlocal-port = {local}\n'
            'proxy-type = "tcp"\n',
        )
        self.twistd(
            "tunnelserver",
            f"--pipe-config={server}",
            f"--state={self.state()}",
            f"--bind={HOST}",
        )
        self.twistd("tunnelclient", f"--pipe-config={client}")
        await self.servedSoon(public)


class StockTests(PipeCase):
    """
    The programs of pipe itself, where they are.
    """

    def pipe(self, *arguments: str) -> Program:
        """
        Run it.

        @raise SkipTest: it is not there.
        """
        return self.program(peer("pipe"), *arguments)

    def stockClient(self, server: int, local: int, public: int, kind: str) -> Program:
        """
        Run its client.
        """
        return self.pipe(
            *("client", "-s", f"{HOST}:{server}", "-t", SECRET, "-n", kind, "-y", kind),
            *("-l", str(local), "-u", str(public)),
        )

    async def stockServer(self) -> int:
        """
        Run its server.

        @return: where it listens.
        """
        port = freePort()
        self.pipe("server", "-p", str(port), "-t", SECRET)
        await self.accepts((HOST, port))
        return port

    async def test_theirClient(self) -> None:
        """
        Its client forwards TCP through our server, and is followed by another on the
        same port when it was killed.
        """
        peer("pipe")
        service, public = self.service(), freePort()
        server = self.serving()
        await server.listens()
        local = int(service.tunnel.rpartition(":")[2])
        client = self.stockClient(server.port, local, public, "tcp")
        await self.servedSoon(public)
        await client.kill()
        self.stockClient(server.port, local, public, "tcp")
        await self.servedSoon(public)

    async def test_theirClientDatagrams(self) -> None:
        """
        Its client forwards UDP through our server.
        """
        peer("pipe")
        service, public = self.answering(), freePort()
        server = self.serving()
        await server.listens()
        self.stockClient(server.port, service.port, public, "udp")
        words = (b"one", b"two", b"x" * 1200)
        self.assertEqual(await deferToThread(self.asked, public, *words), [*words])

    async def test_theirServer(self) -> None:
        """
        Our client forwards TCP and UDP through its server.
        """
        peer("pipe")
        service, datagrams = self.service(), self.answering()
        public, second = freePort(), freePort()
        client = self.forwarding(
            await self.stockServer(),
            f"{service.tunnel}:port={public}:name=echo",
            f"udp:{datagrams.port}:port={second}:name=dns",
        )
        await client.says(r"udp://\S+ leads to ")
        await self.servedSoon(public)
        words = (b"one", b"two")
        self.assertEqual(await deferToThread(self.asked, second, *words), [*words])

    async def test_cancels(self) -> None:
        """
        When our client stops, its server has the port free again.
        """
        peer("pipe")
        service, public = self.service(), freePort()
        port = await self.stockServer()
        client = self.forwarding(port, f"{service.tunnel}:port={public}:name=echo")
        await self.servedSoon(public)
        client.signal("INT")
        self.assertEqual(await client.exited(), 0)
        await until(lambda: not self.accepting(public), "the port is free")
