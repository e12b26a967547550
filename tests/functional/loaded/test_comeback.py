"""
Tests of what happens after something was gone: whoever comes back finds its place, and
nobody fights for it.
"""

from __future__ import annotations

from tests.stage.case import HOST, ClientProgram, FunctionalCase, ServerProgram
from tests.stage.ports import freePort
from tests.stage.programs import reactor, together
from tests.stage.services import Service, saying
from tests.stage.sockets import Address, Ending

SOON = 3.0
"""
Seconds that a successor may take to be served: far more than it needs, and far less
than the 12 s after which a silent client is given up.
"""


class ComebackCase(FunctionalCase):
    """
    A published echo.
    """

    async def assertServed(self, address: Address, said: bytes = b"hello") -> None:
        """
        Check that a visitor who says hello gets an answer.
        """
        got = await self.visit(address, b"hello")
        self.assertEqual((got.ending, got.first), (Ending.END, said))


class ServerComebackTests(ComebackCase):
    """
    The server was gone for a while.
    """

    async def again(self, signal: str) -> None:
        """
        End a server, start it again, and see its client come back by itself.
        """
        server, client = self.pair(self.service().tunnel)
        address = await client.leads()
        await self.assertServed(address)
        await server.keeps()
        mark = client.mark()
        server.signal(signal)
        await server.exited()
        await client.says("trying again", mark)
        server = self.server(port=server.port, state=server.state)
        await server.listens()
        begun = reactor.seconds()
        self.assertEqual(await client.leads(since=mark), address)
        # The client asks every 0.4 s or sooner, unless this machine is so busy that
        # the server took more than 5 s to start.
        self.assertLess(reactor.seconds() - begun, 2 * SOON)
        await self.assertServed(address)

    async def test_killed(self) -> None:
        """
        A server that was killed (-9) and is started again serves its clients on the
        ports that they had, soon.
        """
        await self.again("KILL")

    async def test_stopped(self) -> None:
        """
        So does one that was stopped well.
        """
        await self.again("TERM")


class ClientComebackTests(ComebackCase):
    """
    The client was gone for a while.
    """

    async def test_again(self) -> None:
        """
        A client that was stopped, and one that was killed (-9), is served on the same
        public port when it is started again, though it asks for none.
        """
        service = self.service()
        server, client = self.pair(service.tunnel)
        address = await client.leads()
        self.assertEqual(await client.stop(), 0)
        client = self.client(server, service.tunnel)
        self.assertEqual(await client.leads(), address)
        await client.kill()
        client = self.client(server, service.tunnel)
        self.assertEqual(await client.leads(), address)
        await self.assertServed(address)

    async def test_bothGone(self) -> None:
        """
        Also where the server was away in between: the port is written down.
        """
        service = self.service()
        server, client = self.pair(service.tunnel)
        address = await client.leads()
        self.assertEqual(await client.stop(), 0)
        self.assertEqual(await server.stop(), 0)
        server = self.server(port=server.port, state=server.state)
        # Who has no lease is given another port, also if it comes first.
        other = self.client(server, service.tunnel, name="other")
        self.assertNotEqual(await other.leads(), address)
        client = self.client(server, service.tunnel)
        self.assertEqual(await client.leads(), address)
        await self.assertServed(address)


class SuccessorTests(ComebackCase):
    """
    A client comes whose predecessor is gone, though the server cannot know.
    """

    async def succeeded(
        self, server: ServerProgram, service: Service, address: Address, how: str
    ) -> ClientProgram:
        """
        Start a successor, and see that it is served soon.

        @param how: what became of the predecessor, for the measured time.
        """
        successor = self.client(server, service.tunnel)
        await successor.says("logged in")
        begun = reactor.seconds()
        self.assertEqual(await successor.leads(), address)
        await self.assertServed(address)
        took = reactor.seconds() - begun
        self.measured(f"successor of a {how} client served after", took)
        self.assertLess(took, SOON)
        return successor

    def measured(self, what: str, seconds: float) -> None:
        """
        Print a time, for who wants to know it.
        """
        print(f"[{what} {seconds:.2f} s] ", end="", flush=True)

    async def test_cutOff(self) -> None:
        """
        A client whose network is gone without a word is succeeded at once by one of
        the same name.
        """
        service = self.service()
        server = self.server()
        cable = self.cable((HOST, server.port))
        client = self.client(server, service.tunnel, to=f"{HOST}:{cable.port}")
        address = await client.leads()
        await self.assertServed(address)
        cable.die()
        await self.succeeded(server, service, address, "cut off")

    async def test_frozen(self) -> None:
        """
        A client that is frozen is succeeded at once, and when it goes on it does not
        fight for the port: its successor's visitors notice nothing.
        """
        service = self.service()
        server, frozen = self.pair(service.tunnel)
        address = await frozen.leads()
        frozen.signal("STOP")
        successor = await self.succeeded(server, service, address, "frozen")
        mark = frozen.mark()
        visitor = await self.visitor(address)
        await visitor.send(b"before")
        self.assertEqual(await visitor.read(6), b"before")
        frozen.signal("CONT")
        # It hears that it was displaced, and stays away for 15 s.
        await frozen.says("taken over", mark)
        await visitor.send(b"behind")
        self.assertEqual(await visitor.read(6), b"behind")
        await self.assertServed(address)
        self.assertEqual(successor.said("trying again"), [])
        self.assertEqual(frozen.said("logged in", mark), [])


class LongTests(ComebackCase):
    """
    What takes its time, all at once.
    """

    async def test_patience(self) -> None:
        """
        Whoever is frozen for long is given up, and whoever waits for a port gets it.
        """
        await together(self.frozenForLong(), self.contested())

    async def frozenForLong(self) -> None:
        """
        A client whose server is frozen, and a server whose client is, give the other
        up after 12 s: visitors and services are reset.  When the frozen ones go on,
        all is as before, on the same ports.
        """
        services = [self.service(), self.service()]
        (frozen, left), (other, lost) = (self.pair(s.tunnel) for s in services)
        addresses = [await left.leads(), await lost.leads()]
        visitors = [await self.visitor(address) for address in addresses]
        for visitor in visitors:
            await visitor.send(b"hello")
            self.assertEqual(await visitor.read(5), b"hello")
        frozen.signal("STOP")
        lost.signal("STOP")
        marks = [left.mark(), lost.mark()]
        await left.says("nothing was heard.*; trying again", limit=30)
        await other.says("session .* has ended", limit=30)
        self.assertEqual(await services[0].outcome(), Ending.RESET)
        self.assertEqual((await visitors[1].rest()).ending, Ending.RESET)
        frozen.signal("CONT")
        lost.signal("CONT")
        self.assertEqual((await visitors[0].rest()).ending, Ending.RESET)
        self.assertEqual(await services[1].outcome(), Ending.RESET)
        for client, mark, address in zip((left, lost), marks, addresses, strict=True):
            self.assertEqual(await client.leads(since=mark), address)
            await self.assertServed(address)

    async def contested(self) -> None:
        """
        Who asks for a port that a live client publishes is told which client that is,
        from where, and what to do, and the first one's visitors notice nothing; who
        asks for a port that another program of the server's machine has is told that.
        When the ports are free the second client gets both by itself; its other
        tunnels run meanwhile.
        """
        port, squatter = freePort(), self.service()
        one, two = self.service(saying(b"one")), self.service(saying(b"two"))
        server, first = self.pair(f"{one.tunnel}:port={port}", client=["--name=alpha"])
        address = await first.leads()
        self.assertEqual(address, (HOST, port))
        visitor = await self.visitor(address)
        self.assertEqual(await visitor.read(3), b"one")
        second = self.client(
            server,
            f"{two.tunnel}:port={port}:name=contested",
            f"{two.tunnel}:port={squatter.port}:name=taken",
            f"{two.tunnel}:name=free",
            name="beta",
        )
        await self.assertServed(await second.leads("free"), b"two")
        told = (await second.says("tunnel contested is refused: ")).string
        self.assertRegex(told, rf"port {port} is published by alpha from {HOST}")
        self.assertIn("stop that client, or give this one another port", told)
        await second.says(rf"tunnel taken is refused: .*port {squatter.port}")
        visitor.finish()
        self.assertEqual((await visitor.rest()).ending, Ending.END)
        await self.assertServed(address, b"one")

        self.assertEqual(await first.stop(), 0)
        squatter.stop()
        # Asked for again every 5 to 15 s.
        self.assertEqual(await second.leads("contested", limit=30), address)
        await second.leads("taken", limit=30)
        await self.assertServed(address, b"two")
        await self.assertServed((HOST, squatter.port), b"two")


class ContestTests(ComebackCase):
    """
    Two clients live at the same time.
    """

    async def test_differentServices(self) -> None:
        """
        Two clients of one host, and so of one name, that publish different services
        just work, each on a port of its own.
        """
        one, two = self.service(saying(b"one")), self.service(saying(b"two"))
        server, first = self.pair(one.tunnel)
        second = self.client(server, two.tunnel)
        firstAddress, secondAddress = await first.leads(), await second.leads()
        self.assertNotEqual(firstAddress, secondAddress)
        await self.assertServed(firstAddress, b"one")
        await self.assertServed(secondAddress, b"two")
