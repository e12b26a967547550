"""
Tests of UDP tunnels between real programs.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable
from pathlib import Path
from resource import getpagesize
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from tests.stage.authority import Authority
from tests.stage.case import (
    HOST,
    ClientProgram,
    FunctionalCase,
    ServerProgram,
    found,
)
from tests.stage.datagrams import PIECE, Address, Answering, udp
from tests.stage.ports import freePort
from tests.stage.programs import reactor
from tests.stage.sockets import noise

SIZES = (0, 1, 1200, 1473, 8193, 65507)


def resident(pid: int | None) -> int:
    """
    Give how much memory a process has, in bytes.
    """
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * getpagesize()


def pause(seconds: float) -> Deferred[None]:
    """
    Wait.
    """
    waited: Deferred[None] = Deferred()
    reactor.callLater(seconds, waited.callback, None)
    return waited


class DatagramCase(FunctionalCase):
    """
    A test with a UDP tunnel.
    """

    def answering(
        self, answer: Callable[[bytes], bytes] = bytes, host: str = HOST
    ) -> Answering:
        """
        Run a service, by default one that sends back what comes.
        """
        service = Answering(answer, host)
        self.addCleanup(service.stop)
        return service

    def visiting(self, address: Address) -> socket.socket:
        """
        Have a visitor come.
        """
        visitor = udp(address[0])
        visitor.connect(address)
        self.addCleanup(visitor.close)
        return visitor

    def asks(self, visitor: socket.socket, *questions: bytes) -> Deferred[list[bytes]]:
        """
        Have a visitor ask, one question after the other, and hear the answers.
        """

        def ask() -> list[bytes]:
            answers = []
            for question in questions:
                visitor.send(question)
                answers.append(visitor.recv(PIECE))
            return answers

        return deferToThread(ask)

    async def shown(self, server: ServerProgram) -> Any:
        """
        Ask the admin rooms for the one tunnel.
        """
        token = (server.state / "admin.token").read_text().strip()
        told = await self.output(
            "curl",
            *("-sSf", "-H", f"Authorization: Bearer {token}"),
            f"http://{HOST}:{server.admin}/api/v1/tunnels",
        )
        (tunnel,) = json.loads(told)["tunnels"]
        return tunnel

    async def leads(self, client: ClientProgram, since: int = 0) -> Address:
        """
        Wait until the tunnel has a public address.
        """
        found = await client.says(r"udp://(\S+):(\d+) leads to ", since)
        return found[1].strip("[]"), int(found[2])


class DatagramTests(DatagramCase):
    """
    Datagrams cross, both ways, as they are.
    """

    async def test_sizes(self) -> None:
        """
        Datagrams of any size that there can be are answered, the empty one included.
        """
        service = self.answering()
        _, client = self.pair(f"udp:{service.port}")
        visitor = self.visiting(await self.leads(client))
        sent = [noise(size) for size in SIZES]
        self.assertEqual(await self.asks(visitor, *sent), sent)

    async def test_visitors(self) -> None:
        """
        Each visitor has a source port of its own at the service, and gets what is said
        there, answers and what nobody asked for.
        """
        service = self.answering()
        _, client = self.pair(f"udp:{service.port}")
        address = await self.leads(client)
        visitors = [self.visiting(address) for _ in range(5)]
        for number, visitor in enumerate(visitors):
            name = b"%d" % number
            self.assertEqual(await self.asks(visitor, name, name), [name, name])
        ports: dict[bytes, set[Address]] = {}
        for name, whose in service.asked:
            ports.setdefault(name, set()).add(whose)
        self.assertEqual([len(each) for each in ports.values()], [1] * 5)
        self.assertEqual(len(set.union(*ports.values())), 5)
        for number, visitor in enumerate(visitors):
            (whose,) = ports[b"%d" % number]
            service.say(b"news for %d" % number, whose)
            got = await deferToThread(visitor.recv, PIECE)
            self.assertEqual(got, b"news for %d" % number)

    async def test_order(self) -> None:
        """
        Within a flow the order stays, however many are on their way.
        """
        service = self.answering()
        _, client = self.pair(f"udp:{service.port}")
        visitor = self.visiting(await self.leads(client))
        await self.asks(visitor, b"first")
        sent = [b"%d" % number for number in range(100)]

        def flood() -> list[bytes]:
            for each in sent:
                visitor.send(each)
            return [visitor.recv(PIECE) for _ in sent]

        self.assertEqual(await deferToThread(flood), sent)

    async def test_plain(self) -> None:
        """
        So they do without TLS.
        """
        service = self.answering()
        _, client = self.pair(
            f"udp:{service.port}", server=["--insecure"], client=["--insecure"]
        )
        visitor = self.visiting(await self.leads(client))
        sent = [noise(size) for size in SIZES]
        self.assertEqual(await self.asks(visitor, *sent), sent)

    async def test_sixes(self) -> None:
        """
        So they do over IPv6, to a service on IPv6.
        """
        service = self.answering(host="::1")
        _, client = self.pair(f"udp:[::1]:{service.port}", server=["--bind-udp=::1"])
        _, port = await self.leads(client)
        visitor = self.visiting(("::1", port))
        sent = [noise(size) for size in SIZES]
        self.assertEqual(await self.asks(visitor, *sent), sent)

    async def test_asked(self) -> None:
        """
        A port on all addresses answers from the one that was asked.
        """
        service = self.answering()
        _, client = self.pair(f"udp:{service.port}", server=["--bind-udp=0.0.0.0"])
        _, port = await self.leads(client)
        for host in ("127.0.0.1", "127.0.0.2", "127.3.2.1"):
            # One that is connected hears from that address alone.
            visitor = self.visiting((host, port))
            self.assertEqual(await self.asks(visitor, b"hello"), [b"hello"])

    async def test_ports(self) -> None:
        """
        UDP and TCP may have the same public port, and each finds its own again.
        """
        service, echo = self.answering(), self.service()
        tunnels = f"udp:{service.port}:name=a", f"{echo.tunnel}:name=b"
        server = self.server("--ports=23000-23000")
        client = self.client(server, *tunnels)
        address = await self.leads(client)
        self.assertEqual(address, await client.leads("b"))
        self.assertEqual(address[1], 23000)
        visitor = self.visiting(address)
        self.assertEqual(await self.asks(visitor, b"hello"), [b"hello"])

    async def test_shown(self) -> None:
        """
        The admin rooms show flows, datagrams, and drops by cause.
        """
        service = self.answering()
        server = self.server(admin=True)
        client = self.client(server, f"udp:{service.port}:name=dns")
        address = await self.leads(client)
        for _ in range(2):
            await self.asks(self.visiting(address), b"one", b"three")
        tunnel = await self.shown(server)
        shown = {
            name: tunnel[name]
            for name in ("kind", "streams", "visitors", "received", "sent")
        }
        expected = dict(kind="udp", streams=2, visitors=2, received=16, sent=16)
        self.assertEqual(shown, expected)
        crossed = tunnel["datagrams_received"], tunnel["datagrams_sent"]
        self.assertEqual(crossed, (4, 4))
        self.assertEqual(set(tunnel["drops"].values()), {0})


HOSTS = "192.0.2.80 printer.example\n2001:db8::80 printer.example\n"


class ClientsTests(DatagramCase):
    """
    Programs that people use get through.
    """

    async def test_dig(self) -> None:
        """
        C{dig} asks a DNS server, over UDP and over TCP.
        """
        dig, port = found("dig"), freePort()
        hosts = self.file("hosts", HOSTS)
        dns = self.twistd("dns", f"--port={port}", f"--hosts-file={hosts}")
        await dns.says("DNSDatagramProtocol starting")
        server = self.server("--ports=23000-23000")
        client = self.client(server, f"udp:{port}:name=u", f"tcp:{port}:name=t")
        address = await self.leads(client)
        await client.leads("t")
        for transport in ("+notcp", "+tcp"):
            told = await self.output(
                dig,
                *(f"@{address[0]}", "-p", str(address[1]), transport, "+short"),
                *("+tries=3", "printer.example", "A"),
            )
            self.assertEqual(told.strip(), "192.0.2.80")

    async def test_iperf(self) -> None:
        """
        C{iperf3} sends 20 Mbit/s of datagrams, and misses next to none.
        """
        iperf, port = found("iperf3"), freePort()
        service = self.program(iperf, "-s", "-B", HOST, "-p", str(port))
        await self.accepts((HOST, port))
        server = self.server("--ports=23000-23000")
        client = self.client(server, f"udp:{port}:name=u", f"tcp:{port}:name=t")
        address = await self.leads(client)
        await client.leads("t")
        told = await self.output(
            iperf,
            *("-c", address[0], "-p", str(address[1]), "-u", "-b", "20M"),
            *("-l", "1200", "-t", "1", "--json"),
        )
        made = json.loads(told)["end"]["sum"]
        self.assertGreater(made["packets"], 1000, service.output)
        self.assertLess(made["lost_percent"], 2.0)
        self.assertEqual(made.get("out_of_order", 0), 0)

    async def test_quic(self) -> None:
        """
        A browser's newest protocol, QUIC, brings a page of a megabyte unharmed.
        """
        server, client = found("gtlsserver"), found("gtlsclient")
        port, page, got = freePort(), noise(1_000_000), self.folder / "got"
        chain, key = Authority().issue(["localhost"]).write(self.folder)
        (self.folder / "page").write_bytes(page)
        got.mkdir()
        service = self.program(
            server, "-q", "-d", str(self.folder), HOST, str(port), str(key), str(chain)
        )
        await service.says("Using document root")
        address = await self.leads(self.client(self.server(), f"udp:{port}"))
        await self.output(
            client,
            *("-q", "--exit-on-all-streams-close", f"--download={got}"),
            *(address[0], str(address[1]), "https://localhost/page"),
        )
        self.assertEqual((got / "page").read_bytes(), page)


class TroubleTests(DatagramCase):
    """
    What goes wrong does so for a while.
    """

    async def test_refused(self) -> None:
        """
        While the service is away its visitors get nothing, and when it is back they
        are answered; the client says so, and does not end.
        """
        service = self.answering()
        port = service.port
        _, client = self.pair(f"udp:{port}")
        visitor = self.visiting(await self.leads(client))
        await self.asks(visitor, b"hello")
        service.stop()
        visitor.send(b"anybody?")
        await client.says("the local service .* refused datagrams")
        again = Answering(bytes, port=port)
        self.addCleanup(again.stop)
        self.assertEqual(await self.asks(visitor, b"hello"), [b"hello"])

    async def test_clientKilled(self) -> None:
        """
        When the client is killed and started again the same visitor is served, on the
        same public port.
        """
        service = self.answering()
        server, client = self.pair(f"udp:{service.port}:name=dns")
        address = await self.leads(client)
        visitor = self.visiting(address)
        await self.asks(visitor, b"before")
        await client.kill()
        again = self.client(server, f"udp:{service.port}:name=dns")
        self.assertEqual(await self.leads(again), address)
        self.assertEqual(await self.asks(visitor, b"after"), [b"after"])

    async def test_serverKilled(self) -> None:
        """
        When the server is, too: the client comes back, and the visitor goes on.
        """
        service = self.answering()
        server, client = self.pair(f"udp:{service.port}:name=dns")
        address = await self.leads(client)
        visitor = self.visiting(address)
        await self.asks(visitor, b"before")
        await server.keeps()
        await server.kill()
        mark = client.mark()
        self.server(port=server.port, state=server.state)
        self.assertEqual(await self.leads(client, mark), address)
        self.assertEqual(await self.asks(visitor, b"after"), [b"after"])

    async def test_frozen(self) -> None:
        """
        While the client stands still the server drops what is old, and counts it; its
        memory does not grow, and what comes afterwards is answered.
        """
        service = self.answering()
        server = self.server(admin=True)
        client = self.client(server, f"udp:{service.port}:name=dns")
        visitor = self.visiting(await self.leads(client))
        await self.asks(visitor, b"before")
        client.signal("STOP")
        before = resident(server.transport.pid)
        flood = [noise(1200)] * 8
        for _ in range(500):
            for each in flood:
                visitor.send(each)
            await pause(0.002)
        self.assertLess(resident(server.transport.pid) - before, 4 << 20)
        drops = (await self.shown(server))["drops"]
        self.assertGreater(drops["late"] + drops["queue"], 1000)
        client.signal("CONT")
        visitor.settimeout(0.5)

        def goesOn() -> bool:
            visitor.send(b"after")
            with contextlib.suppress(TimeoutError):
                return visitor.recv(PIECE) == b"after"
            return False

        while not await deferToThread(goesOn):
            pass

    async def test_stopped(self) -> None:
        """
        Both programs end at once when they are told to, whatever flows there are.
        """
        service = self.answering()
        server, client = self.pair(f"udp:{service.port}")
        visitor = self.visiting(await self.leads(client))
        await self.asks(visitor, b"hello")
        self.assertEqual(await client.stop(limit=5.0), 0)
        self.assertEqual(await server.stop(limit=5.0), 0)

    async def test_otherReactor(self) -> None:
        """
        It works with a reactor that has no fast path, too.
        """
        self.reactor = "poll"  # type: ignore[misc]
        service = self.answering()
        _, client = self.pair(f"udp:{service.port}")
        address = await self.leads(client)
        sent = [noise(size) for size in SIZES]
        for _ in range(3):
            visitor = self.visiting(address)
            self.assertEqual(await self.asks(visitor, *sent), sent)
