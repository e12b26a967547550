"""
Tests of what visitors and local services notice when something in between is killed,
cut or stopped: a reset where anything was lost, and never what looks like a clean end.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, ClassVar

from twisted.internet.defer import Deferred

from tests.stage.case import HOST, ClientProgram, FunctionalCase, ServerProgram
from tests.stage.programs import Program, stuck, until
from tests.stage.services import (
    Service,
    Visitor,
    acknowledging,
    gated,
    hesitating,
    metered,
    source,
)
from tests.stage.sockets import (
    Ending,
    Meter,
    Received,
    connected,
    noise,
    sha256,
)

if TYPE_CHECKING:
    _Case = FunctionalCase
else:
    _Case = object

ENOUGH = 1_000_000
"""How many bytes show that a transfer is under way."""


class Transfers:
    """
    A download and an upload under way, neither of which ends by itself.
    """

    def __init__(self, case: FunctionalCase) -> None:
        self._case = case
        self._down = case.service(source)
        self._up = case.service(acknowledging(ENOUGH))
        self.tunnels = f"{self._down.tunnel}:name=down", f"{self._up.tunnel}:name=up"

    async def begin(self, client: ClientProgram) -> None:
        """
        Have two visitors come, and wait until they are busy.
        """
        self._downloader = await self._case.visitor(await client.leads("down"))
        self._uploader = await self._case.visitor(await client.leads("up"))
        self._flood: Deferred[Ending] = self._uploader.flood()
        await self._downloader.read(ENOUGH)
        await self._uploader.read(1)

    async def endings(self) -> dict[str, object]:
        """
        Wait for the four ends.

        @return: what each saw.
        """
        taken = await self._up.outcome()
        return {
            "downloading visitor": (await self._downloader.rest()).ending,
            "downloaded service": await self._down.outcome(),
            "uploading visitor": await self._flood,
            "uploaded service": taken.ending if isinstance(taken, Received) else taken,
        }


ALL_RESET = {
    "downloading visitor": Ending.RESET,
    "downloaded service": Ending.RESET,
    "uploading visitor": Ending.RESET,
    "uploaded service": Ending.RESET,
}


class KillMixin(_Case):
    """
    One of the programs is killed (-9) in the middle of a download and an upload: the
    cases.

    @cvar options: of both programs.
    """

    options: ClassVar[tuple[str, ...]] = ()

    async def transfers(self) -> tuple[ServerProgram, ClientProgram, Transfers]:
        """
        Begin them.
        """
        transfers = Transfers(self)
        server, client = self.pair(
            *transfers.tunnels, server=self.options, client=self.options
        )
        await transfers.begin(client)
        return server, client, transfers

    async def test_client(self) -> None:
        """
        When the client is killed, both visitors and both services see a reset.
        """
        _, client, transfers = await self.transfers()
        await client.kill()
        self.assertEqual(await transfers.endings(), ALL_RESET)

    async def test_server(self) -> None:
        """
        When the server is killed, both visitors and both services see a reset.
        """
        server, _, transfers = await self.transfers()
        await server.kill()
        self.assertEqual(await transfers.endings(), ALL_RESET)


class TLSKillTests(KillMixin, FunctionalCase):
    """
    Kills over TLS.
    """


class PlainKillTests(KillMixin, FunctionalCase):
    """
    Kills over plain TCP, where the kernel ends a dead program's connections as well
    as any.
    """

    options = ("--insecure",)


class CableTests(FunctionalCase):
    """
    A connection between client and server is cut, and both programs live.
    """

    async def transfers(self) -> tuple[ClientProgram, Transfers]:
        """
        Begin transfers over a cable, and an echo beside them.
        """
        transfers = Transfers(self)
        server = self.server()
        self.wire = self.cable((HOST, server.port))
        client = self.client(
            server,
            *transfers.tunnels,
            f"{self.service().tunnel}:name=echo",
            to=f"{HOST}:{self.wire.port}",
        )
        await transfers.begin(client)
        return client, transfers

    async def echoes(self, visitor: Visitor) -> None:
        """
        Try an echo.
        """
        await visitor.send(b"hello")
        self.assertEqual(await visitor.read(5), b"hello")

    async def test_workConnections(self) -> None:
        """
        When the work connection of a visitor is lost he is reset, and so is his
        service, also where it ends without a reset; all others go on, and new ones
        come.
        """
        client, transfers = await self.transfers()
        other = await self.visitor(await client.leads("echo"))
        await self.echoes(other)
        # The two that carry the transfers carry most.
        strands = sorted(self.wire.strands, key=lambda strand: strand.count)
        strands[-1].cut()
        strands[-2].end()
        self.assertEqual(await transfers.endings(), ALL_RESET)
        await self.echoes(other)
        await self.echoes(await self.visitor(await client.leads("echo")))

    async def test_controlChannel(self) -> None:
        """
        When the control channel is lost its visitors are reset, and the client is
        back at once, on the same public port.
        """
        client, transfers = await self.transfers()
        before, mark = await client.leads("echo"), client.mark()
        self.wire.strands[0].cut()
        self.assertEqual(await transfers.endings(), ALL_RESET)
        self.assertEqual(await client.leads("echo", mark), before)
        await self.echoes(await self.visitor(before))


class LastBytesMixin(_Case):
    """
    One of the programs is asked to stop while bytes are on their way: the cases.

    @cvar options: of both programs.
    @ivar echo: where visitors find an echo that is published, too.
    """

    options: ClassVar[tuple[str, ...]] = ()

    async def one(
        self, service: Service, grace: float
    ) -> tuple[Program, tuple[str, int]]:
        """
        Publish a service.

        @param grace: the C{--grace} of both programs.
        @return: the program to stop, and where visitors find the service.
        """
        options = [f"--grace={grace}", *self.options]
        both = self.pair(
            f"{service.tunnel}:name=it",
            f"{self.service().tunnel}:name=echo",
            server=options,
            client=options,
        )
        self.echo = await both[1].leads("echo")
        return self.stopped(*both), await both[1].leads("it")

    def stopped(self, server: ServerProgram, client: ClientProgram) -> Program:
        """
        Say which of the two it is.
        """
        raise NotImplementedError

    async def withdrawn(self) -> None:
        """
        Wait until no visitor is taken any more.
        """

        def refused() -> bool:
            try:
                connected(self.echo).close()
            except ConnectionRefusedError:
                return True
            except ConnectionResetError:
                return False  # it stood in line when the port was closed
            return False

        await until(refused, "visitors are refused")

    async def test_lastBytes(self) -> None:
        """
        After SIGTERM a slow visitor gets also those bytes that his service has long
        got rid of, and that are somewhere on their way.
        """
        data, meter = noise(4_000_000), Meter()
        service = self.service(metered(data, meter))
        program, address = await self.one(service, grace=60)
        # So little waits with the visitor that much waits between the programs.
        visitor = await self.visitor(address, buffer=4096)
        visitor.finish()
        await stuck(lambda: meter.count, "the service")
        program.signal("TERM")
        await program.says("stopping: ")
        await self.withdrawn()
        got = await visitor.rest()
        self.assertEqual((got.ending, got.digest), (Ending.END, sha256(data)))
        self.assertEqual(await program.exited(), 0)

    async def test_slowUpload(self) -> None:
        """
        After SIGTERM a slow service gets to the end of what its visitor has said
        already, all of it.
        """
        data, gate = noise(4_000_000), threading.Event()
        service = self.service(hesitating(gate), buffer=4096)
        program, address = await self.one(service, grace=60)
        visitor = await self.visitor(address)
        self.assertEqual((await visitor.rest()).ending, Ending.END)
        sending = visitor.send(data).addCallback(lambda _: visitor.finish())
        await stuck(lambda: visitor.sent.count, "the visitor")
        program.signal("TERM")
        await program.says("stopping: ")
        await self.withdrawn()
        gate.set()
        await sending
        taken = await service.outcome()
        assert isinstance(taken, Received)
        self.assertEqual((taken.ending, taken.digest), (Ending.END, sha256(data)))
        self.assertEqual(await program.exited(), 0)


class StopMixin(LastBytesMixin):
    """
    The same, and all else of stopping.
    """

    async def test_finishes(self) -> None:
        """
        After SIGTERM no more visitors are taken, one who is there gets all of his
        download though it was not finished, and the program exits 0 as soon as that
        is done.
        """
        first, last, gate = noise(ENOUGH), noise(ENOUGH, 2), threading.Event()
        service = self.service(gated(first, gate, last))
        program, address = await self.one(service, grace=60)
        visitor = await self.visitor(address)
        self.assertEqual(await visitor.read(len(first)), first)
        program.signal("TERM")
        await program.says("stopping: streams have 60 seconds")
        await self.withdrawn()
        gate.set()
        self.assertEqual(await visitor.read(len(last)), last)
        visitor.finish()
        self.assertEqual((await visitor.rest()).ending, Ending.END)
        taken = await service.outcome()
        assert isinstance(taken, Received)
        self.assertEqual(taken.ending, Ending.END)
        self.assertEqual(await program.exited(), 0)

    async def test_slowDownload(self) -> None:
        """
        After SIGTERM a slow visitor gets to the end of what his service has said
        already, all of it.
        """
        data, meter = noise(20_000_000), Meter()
        service = self.service(metered(data, meter))
        program, address = await self.one(service, grace=60)
        visitor = await self.visitor(address)
        visitor.finish()
        await stuck(lambda: meter.count, "the service")
        program.signal("TERM")
        await program.says("stopping: ")
        got = await visitor.rest()
        self.assertEqual((got.ending, got.digest), (Ending.END, sha256(data)))
        self.assertEqual(await program.exited(), 0)

    async def test_graceOver(self) -> None:
        """
        A download that takes longer than C{--grace} is reset, and the program exits 0
        all the same.
        """
        service = self.service(source)
        program, address = await self.one(service, grace=0.3)
        visitor = await self.visitor(address)
        await visitor.read(ENOUGH)
        program.signal("TERM")
        self.assertEqual((await visitor.rest()).ending, Ending.RESET)
        self.assertEqual(await service.outcome(), Ending.RESET)
        self.assertEqual(await program.exited(), 0)

    async def test_secondSignal(self) -> None:
        """
        Ctrl-C drains as well, and a second one cuts at once; the program exits 0.
        """
        service = self.service(source)
        program, address = await self.one(service, grace=60)
        visitor = await self.visitor(address)
        await visitor.read(ENOUGH)
        program.signal("INT")
        await program.says("stopping: ")
        await visitor.read(ENOUGH)
        program.signal("INT")
        self.assertEqual((await visitor.rest()).ending, Ending.RESET)
        self.assertEqual(await service.outcome(), Ending.RESET)
        self.assertEqual(await program.exited(), 0)


class ClientStopTests(StopMixin, FunctionalCase):
    """
    The client is asked to stop.
    """

    def stopped(self, server: ServerProgram, client: ClientProgram) -> Program:
        """
        Give the client.
        """
        return client


class ServerStopTests(StopMixin, FunctionalCase):
    """
    The server is asked to stop.
    """

    def stopped(self, server: ServerProgram, client: ClientProgram) -> Program:
        """
        Give the server.
        """
        return server


class PlainClientStopTests(LastBytesMixin, FunctionalCase):
    """
    The client is asked to stop, over plain TCP, where nothing says that all is read
    but its end.
    """

    options = ("--insecure",)

    def stopped(self, server: ServerProgram, client: ClientProgram) -> Program:
        """
        Give the client.
        """
        return client


class PlainServerStopTests(LastBytesMixin, FunctionalCase):
    """
    The same of the server.
    """

    options = ("--insecure",)

    def stopped(self, server: ServerProgram, client: ClientProgram) -> Program:
        """
        Give the server.
        """
        return server
