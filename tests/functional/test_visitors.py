"""
Tests of what visitors and local services notice of a tunnel between them while all
goes well: nothing.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, ClassVar

from tests.stage.case import HOST, ClientProgram, FunctionalCase
from tests.stage.ports import freePort
from tests.stage.programs import stuck
from tests.stage.services import (
    LOOPBACK,
    Service,
    Talk,
    deaf,
    halving,
    hesitating,
    metered,
    resetting,
    saying,
    sink,
)
from tests.stage.sockets import Address, Ending, Meter, Received, noise, sha256

if TYPE_CHECKING:
    _Case = FunctionalCase
else:
    _Case = object

BANNER = b"SSH-2.0-tunnelkit_test\r\n"

NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {host}:{port}{options};
        root {folder};
        location /who {{ return 200 "$proxy_protocol_addr $connection_requests\\n"; }}
    }}
}}
"""


class RealProgramTests(FunctionalCase):
    """
    Programs that know nothing of tunnels work through one.
    """

    async def nginx(self, options: str = "") -> int:
        """
        Start nginx on the test's folder.

        @param options: more for its C{listen}.
        @return: its port.
        """
        port = freePort()
        text = NGINX.format(folder=self.folder, host=HOST, port=port, options=options)
        self.program("nginx", "-c", self.file("nginx.conf", text))
        await self.accepts((HOST, port))
        return port

    async def test_curl(self) -> None:
        """
        A web page is as it is at home, and one connection serves several requests.
        """
        page = noise(300_000).hex()
        self.file("page", page)
        _, client = self.pair(f"tcp:{await self.nginx()}")
        host, port = await client.leads()
        url = f"http://{host}:{port}"
        got = await self.output("curl", "-sSf", f"{url}/page", f"{url}/who")
        body, who = got[: len(page)], got[len(page) :]
        self.assertEqual(body, page)
        self.assertEqual(who.split(), ["2"])

    async def test_proxyHeader(self) -> None:
        """
        A web server that wants to know who its visitors are is told, in either
        version of the PROXY header.
        """
        port = await self.nginx(" proxy_protocol")
        _, client = self.pair(
            f"tcp:{port}:proxy=v1:name=one", f"tcp:{port}:proxy=v2:name=two"
        )
        for name in ("one", "two"):
            host, public = await client.leads(name)
            who = await self.output("curl", "-sSf", f"http://{host}:{public}/who")
            self.assertEqual(who.split(), [HOST, "1"])

    async def test_iperf(self) -> None:
        """
        A speed test runs through the tunnel in both directions, with its control
        connection and its data connections side by side.
        """
        port = freePort()
        listening = self.program(
            "iperf3", "--forceflush", "-s", "-B", HOST, "-p", str(port)
        )
        _, client = self.pair(f"tcp:{port}")
        host, public = await client.leads()
        await listening.says("Server listening")
        for direction in ([], ["--reverse"]):
            told = await self.output(
                *("iperf3", "--json", "--time=1", "--parallel=2"),
                *("--client", host, "--port", str(public), *direction),
            )
            end = json.loads(told)["end"]
            self.assertGreater(end["sum_received"]["bytes"], 1_000_000, told)


class ServiceTests(FunctionalCase):
    """
    Whatever a local service is, it can be published.
    """

    async def test_speaksFirst(self) -> None:
        """
        A visitor who waits for the service's first words gets them.
        """
        service = self.service(saying(BANNER))
        _, client = self.pair(service.tunnel)
        visitor = await self.visitor(await client.leads())
        self.assertEqual(await visitor.read(len(BANNER)), BANNER)

    async def test_several(self) -> None:
        """
        One client publishes a service on IPv4, one on IPv6 and one on a UNIX socket;
        each visitor gets the one he came to.
        """
        services = [
            self.service(saying(b"four"), (HOST, 0)),
            self.service(saying(b"six"), ("::1", 0)),
            self.service(saying(b"unix"), str(self.folder / "app.sock")),
        ]
        _, client = self.pair(
            *(f"{each.tunnel}:name=n{n}" for n, each in enumerate(services))
        )
        for n, said in enumerate((b"four", b"six", b"unix")):
            got = await self.visit(await client.leads(f"n{n}"), b"")
            self.assertEqual((got.ending, got.first), (Ending.END, said))

    async def test_proxyHeaderBytes(self) -> None:
        """
        A service that was promised a PROXY header gets the visitor's own address and
        port in it, before the visitor's first byte.
        """
        service = self.service(sink)
        _, client = self.pair(f"{service.tunnel}:proxy=v1")
        visitor = await self.visitor(address := await client.leads())
        source: int = visitor.socket.getsockname()[1]
        await visitor.send(b"hello")
        visitor.finish()
        await visitor.rest()
        header = f"PROXY TCP4 {HOST} {HOST} {source} {address[1]}\r\n".encode()
        taken = await service.outcome()
        assert isinstance(taken, Received)
        self.assertEqual(taken.first, header + b"hello")

    async def test_down(self) -> None:
        """
        While the service is down visitors are reset, the log says why once, and when
        it is up it works again by itself.
        """
        port = freePort()
        server, client = self.pair(f"tcp:{port}", server=["--log-level=debug"])
        address = await client.leads()
        for _ in range(3):
            got = await self.visit(address, b"hello")
            self.assertEqual(got.ending, Ending.RESET)
        await client.says(rf"are reset: the local service {HOST}:{port} refused")
        await server.says(rf"are reset: the local service {HOST}:{port} refused")
        self.assertEqual(len(client.said("are reset")), 1)
        self.assertEqual(len(server.said("are reset")), 1)
        self.service(address=(HOST, port))
        got = await self.visit(address, b"hello")
        self.assertEqual((got.ending, got.first), (Ending.END, b"hello"))


class FirstStartTests(FunctionalCase):
    """
    A server that was never started before.
    """

    async def test_command(self) -> None:
        """
        The log of the first start has the command for the client; with the token's
        file copied it works as it stands, and the log never has the token.
        """
        state = self.folder / "made" / "by" / "itself"
        server = self.server("--hostname=localhost", state=state)
        told = await server.says(r"twistd -n (tunnelclient --server localhost.*)$")
        token = (state / "default.token").read_text()
        self.file("default.token", token).chmod(0o600)
        service = self.service()
        # But for the service, which is not on port 8000 here.
        command, *options = told[1].replace("tcp:8000", service.tunnel).split()
        client = ClientProgram("client")
        self.twistd(command, *options, program=client)
        host, port = await client.leads()
        self.assertEqual(host, "localhost")
        got = await self.visit((HOST, port), b"hello")
        self.assertEqual((got.ending, got.first), (Ending.END, b"hello"))
        secret = token.strip().rpartition("_")[2]
        self.assertNotIn(secret, server.output + client.output)
        # A second start says nothing of that.
        await server.stop()
        server = self.server(port=server.port, state=state)
        await server.listens()
        self.assertEqual(server.said("first start|tunnelclient"), [])


class ConfigTests(FunctionalCase):
    """
    All that flags say can stand in a file.
    """

    async def test_bothSides(self) -> None:
        """
        A server and a client that were told everything in TOML files work together,
        on the port and under the names that stand there.
        """
        service = self.service()
        state, port, public = self.state(), freePort(), freePort()
        configs = {
            "server": (
                f'port = "tcp:{port}:interface={HOST}"\n'
                f'state = "{state.name}"\nbind = "{HOST}"\nadmin = "off"\n'
                f'ports = "{public}"\nhostname = "localhost"\n'
            ),
            "client": (
                f'server = "{HOST}:{port}"\nname = "home"\n'
                f'token-file = "{state}/default.token"\n'
                f'tunnel = ["{service.tunnel}:port={public}:name=web"]\n'
            ),
        }
        for side, text in configs.items():
            self.file(f"{side}.toml", text)
        server = self.twistd("tunnelserver", "--config=server.toml")
        client = self.twistd("tunnelclient", "--config=client.toml")
        await client.says(rf"tcp://localhost:{public} leads to .* \(web\)")
        await server.says("home of default logged in")
        got = await self.visit((HOST, public), b"hello")
        self.assertEqual((got.ending, got.first), (Ending.END, b"hello"))


class HalfCloseMixin(_Case):
    """
    What either side ends the other may go on with: the cases, for whatever carries
    the stream.

    @cvar options: of both programs.
    @cvar unix: whether the service is a UNIX socket.
    """

    options: ClassVar[tuple[str, ...]] = ()
    unix: ClassVar[bool] = False

    async def published(self, talk: Talk) -> tuple[Service, Address]:
        """
        Publish a service.

        @return: it, and where visitors find it.
        """
        address = str(self.folder / "app.sock") if self.unix else LOOPBACK
        service = self.service(talk, address)
        _, client = self.pair(service.tunnel, server=self.options, client=self.options)
        return service, await client.leads()

    async def test_visitorEndsFirst(self) -> None:
        """
        A visitor who ends his request still gets the whole answer.
        """
        data = noise(2_000_000)
        _, address = await self.published(sink)
        got = await self.visit(address, data)
        self.assertEqual(got.ending, Ending.END)
        self.assertEqual(got.first.decode(), sha256(data))

    async def test_serviceEndsFirst(self) -> None:
        """
        A service that has ended its answer still gets all that the visitor sends.
        """
        data = noise(2_000_000)
        service, address = await self.published(halving(b"enough"))
        visitor = await self.visitor(address)
        got = await visitor.rest()
        self.assertEqual((got.ending, got.first), (Ending.END, b"enough"))
        await visitor.send(data)
        visitor.finish()
        taken = await service.outcome()
        assert isinstance(taken, Received)
        self.assertEqual((taken.ending, taken.digest), (Ending.END, sha256(data)))


class ResetMixin(HalfCloseMixin):
    """
    The same, and resets, which a UNIX socket does not have.
    """

    async def test_serviceResets(self) -> None:
        """
        Where the service resets the connection the visitor sees a reset, not the end
        of a whole answer.
        """
        _, address = await self.published(resetting)
        visitor = await self.visitor(address)
        await visitor.send(b"hello")
        self.assertEqual((await visitor.rest()).ending, Ending.RESET)

    async def test_visitorResets(self) -> None:
        """
        Where the visitor resets the connection the service sees a reset, not the end
        of a whole request.
        """
        service, address = await self.published(saying(b"hello"))
        visitor = await self.visitor(address)
        await visitor.read(5)
        visitor.reset()
        taken = await service.outcome()
        assert isinstance(taken, Received)
        self.assertEqual(taken.ending, Ending.RESET)


class TLSHalfCloseTests(ResetMixin, FunctionalCase):
    """
    Ends and resets over TLS, which by itself knows neither half-close nor reset.
    """


class PlainHalfCloseTests(ResetMixin, FunctionalCase):
    """
    Ends and resets where both sides were told to speak plain TCP.
    """

    options = ("--insecure",)


class UNIXHalfCloseTests(HalfCloseMixin, FunctionalCase):
    """
    Ends of a service on a UNIX socket.
    """

    unix = True


class StallTests(FunctionalCase):
    """
    Who is slow costs nobody but himself.
    """

    async def test_stalledVisitor(self) -> None:
        """
        A visitor who does not read while the tunnel is full, and others come and go,
        may read on later and gets all of it.
        """
        data, meter = noise(30_000_000), Meter()
        service = self.service(metered(data, meter))
        other = self.service()
        _, client = self.pair(f"{service.tunnel}:name=big", f"{other.tunnel}:name=echo")
        stalled = await self.visitor(await client.leads("big"))
        await stuck(lambda: meter.count, "the service")
        got = await self.visit(await client.leads("echo"), b"hello")
        self.assertEqual((got.ending, got.first), (Ending.END, b"hello"))
        got = await stalled.rest()
        self.assertEqual((got.ending, got.digest), (Ending.END, sha256(data)))

    async def test_stalledService(self) -> None:
        """
        A service that does not read while a visitor sends may read on later and gets
        all of it.
        """
        data, gate = noise(30_000_000), threading.Event()
        service = self.service(deaf(gate))
        _, client = self.pair(service.tunnel)
        visitor = await self.visitor(await client.leads())
        sending = visitor.send(data)
        await stuck(lambda: visitor.sent.count, "the visitor")
        gate.set()
        await sending
        visitor.finish()
        taken = await service.outcome()
        assert isinstance(taken, Received)
        self.assertEqual((taken.ending, taken.digest), (Ending.END, sha256(data)))

    async def test_answersEarly(self) -> None:
        """
        A service that answers and ends before it has read the request, and then reads
        no more, holds up that visitor alone: he gets the answer, and a hundred others
        are served after him, over a handful of work connections.
        """
        gate = threading.Event()
        early = self.service(hesitating(gate, b"too long"), buffer=4096)
        server = self.server(admin=True)
        client = self.client(
            server, f"{early.tunnel}:name=early", f"{self.service().tunnel}:name=echo"
        )
        visitor = await self.visitor(await client.leads("early"))
        sending = visitor.send(noise(1_000_000))
        got = await visitor.rest()
        self.assertEqual((got.ending, got.first), (Ending.END, b"too long"))
        await sending
        visitor.finish()
        address = await client.leads("echo")
        for _ in range(100):
            got = await self.visit(address, b"hello")
            self.assertEqual((got.ending, got.first), (Ending.END, b"hello"))
        token = (server.state / "admin.token").read_text().strip()
        told = await self.output(
            *("curl", "-sSf", f"http://{HOST}:{server.admin}/api/v1/status"),
            *("-H", f"Authorization: Bearer {token}"),
        )
        self.assertLess(json.loads(told)["counts"]["work_connections"], 8)
        gate.set()
        taken = await early.outcome()
        assert isinstance(taken, Received)
        self.assertEqual((taken.ending, taken.count), (Ending.END, 1_000_000))
