"""
Case: servers, clients, services and visitors of one test, all gone when it ends.

A test starts what it needs and waits for what they say::

    service = self.service(echo)
    _, client = self.pair(service.tunnel)
    port = await client.leads()
    got = await visit(("127.0.0.1", port), b"hello")

Each test has a folder of its own with a short name, as UNIX sockets need it.  At the
end every program is killed and searched for tracebacks.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Final

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SkipTest, TestCase

from tests.stage.cable import Cable
from tests.stage.ports import freePort
from tests.stage.programs import (
    LIMIT,
    TWISTD,
    Program,
    Unfulfilled,
    until,
    variables,
)
from tests.stage.services import LOOPBACK, Service, Talk, Visitor, echo, visit
from tests.stage.sockets import Address, Received, connected
from tunnelkit.state.folder import StateFolder

HOST: Final = "127.0.0.1"
"""Where all listen, unless a test says otherwise."""

_HASTE: Final = "tcp:{port}:interface=" + HOST


class ServerProgram(Program):
    """
    C{twistd tunnelserver}.

    @ivar port: where clients connect, at L{HOST}.
    @ivar state: its state folder.
    @ivar admin: the port of its admin rooms, or 0.
    """

    port: int
    state: Path
    admin: int

    async def listens(self) -> None:
        """
        Wait until it can be connected to.
        """
        await self.says(r"listening on ")

    async def keeps(self, leases: int = 1) -> None:
        """
        Wait until so many leases are on disk: they are written behind, and what kills
        the server before that takes them along.
        """
        store = StateFolder(self.state).leasesFile
        journal = store.with_name(f"{store.name}-journal")

        def kept() -> bool:
            # SQLite has the file locked, and clears the journal's head at the end.
            underWay = journal.exists() and any(journal.read_bytes()[:8])
            return not underWay and store.read_bytes().count(b"default") >= leases

        await until(kept, f"{leases} leases are on disk")

    @property
    def token(self) -> Path:
        """
        The file of the token that clients need.
        """
        return self.state / "default.token"


class ClientProgram(Program):
    """
    C{twistd tunnelclient}.
    """

    async def leads(
        self, name: str = "", since: int = 0, limit: float = LIMIT
    ) -> tuple[str, int]:
        """
        Wait until a tunnel has a public address.

        @param name: the tunnel's name, where there are several.
        @param since: the first line of the output that counts.
        @return: where visitors find it.
        """
        behind = re.escape(f"({name})") if name else ""
        found = await self.says(
            rf"tcp://(\S+):(\d+) leads to \S+ {behind}", since, limit
        )
        return found[1].strip("[]"), int(found[2])

    async def gaveUp(self) -> str:
        """
        Wait until it has ended with status 1 and one sentence for its user.

        @return: the sentence.
        @raise Unfulfilled: it ended in another way.
        """
        status = await self.exited()
        # Lines of the log begin with the date.
        sentences = self.said(r"^(?!\d{4}-)")
        if status != 1 or len(sentences) != 1:
            raise Unfulfilled(
                f"{self.name} ended with {status} and {sentences}\n{self.output}"
            )
        return sentences[0]


class FunctionalCase(TestCase):
    """
    A test with real processes.

    @cvar reactor: which one programs run on; the default one where that is empty.
    @ivar folder: the test's own, empty at first; programs run there.
    """

    timeout = 90.0
    reactor: ClassVar[str] = ""

    def setUp(self) -> None:
        """
        Make the folder.
        """
        self.folder = Path(tempfile.mkdtemp(prefix="tk"))
        self._programs: list[Program] = []
        self.addCleanup(shutil.rmtree, self.folder)

    # Ours.

    def state(self) -> Path:
        """
        Make a state folder as the first start of a server does, so that the token is
        there before the server is.
        """
        state = Path(tempfile.mkdtemp("", "state", self.folder))
        folder = StateFolder(state)
        folder.prepare(os.urandom, datetime.now(UTC), ["localhost", HOST])
        folder.unlock()
        return state

    def server(
        self,
        *options: str | Path,
        port: int = 0,
        ports: Iterable[str] = (),
        state: Path | None = None,
        admin: bool = False,
        environment: Mapping[str, str] | None = None,
        descriptors: Mapping[int, int] | None = None,
        wrap: Iterable[str] = (),
    ) -> ServerProgram:
        """
        Start a server.

        @param port: where clients connect; 0 is any that is free.
        @param ports: descriptions for C{--port} in place of that.
        @param state: its state folder; None for a new one, as a first start has made
            it.
        @param admin: whether it has admin rooms.
        @param environment: variables beside the tests' own.
        @param descriptors: of this process, by the number that each gets in the
            server.
        @param wrap: a command that runs the server's, such as one that sets limits.
        """
        server = ServerProgram("server")
        server.port = port or freePort()
        server.state = self.state() if state is None else state
        server.admin = freePort() if admin else 0
        listening = [*ports] or [_HASTE.format(port=server.port)]
        self._begin(
            server,
            [
                *wrap,
                *self._twistd("tunnelserver"),
                *(f"--port={each}" for each in listening),
                f"--state={server.state}",
                f"--bind={HOST}",
                f"--admin={_HASTE.format(port=server.admin) if admin else 'off'}",
                *options,
            ],
            environment,
            descriptors,
        )
        return server

    def client(
        self,
        server: ServerProgram,
        *tunnels: str,
        options: Iterable[str | Path] = (),
        to: str = "",
        token: Path | None = None,
        name: str = "client",
        environment: Mapping[str, str] | None = None,
        wrap: Iterable[str] = (),
    ) -> ClientProgram:
        """
        Start a client.

        @param tunnels: descriptions for C{--tunnel}.
        @param to: what it is to take for the server, in place of its address.
        @param token: the file of its token; the server's where there is none.
        @param name: its C{--name}.
        """
        client = ClientProgram(name)
        self._begin(
            client,
            [
                *wrap,
                *self._twistd("tunnelclient"),
                f"--server={to or f'{HOST}:{server.port}'}",
                f"--token-file={token or server.token}",
                f"--name={name}",
                *(f"--tunnel={tunnel}" for tunnel in tunnels),
                *options,
            ],
            environment,
        )
        return client

    def pair(
        self,
        *tunnels: str,
        server: Iterable[str | Path] = (),
        client: Iterable[str | Path] = (),
    ) -> tuple[ServerProgram, ClientProgram]:
        """
        Start a server and a client at once: the client waits for the server.

        @param tunnels: descriptions for C{--tunnel}.
        @param server: options of the server.
        @param client: options of the client.
        """
        started = self.server(*server)
        return started, self.client(started, *tunnels, options=client)

    def twistd(
        self, command: str, *options: str | Path, program: Program | None = None
    ) -> Program:
        """
        Run a command of C{twistd} with exactly these options.

        @param program: what is to hold it; None for a new one.
        """
        program = program or Program(command)
        self._begin(program, [*self._twistd(command), *options])
        return program

    # Others'.

    def service(
        self, talk: Talk = echo, address: Address = LOOPBACK, buffer: int = 0
    ) -> Service:
        """
        Start a local service.

        @param talk: what it does with each connection.
        @param address: where it listens.
        @param buffer: how much the kernel may keep for each connection, in bytes; 0
            is for the kernel to say.
        """
        service = Service(talk, address, buffer)
        self.addCleanup(service.stop)
        return service

    def cable(self, to: Address) -> Cable:
        """
        Lay a cable that can be cut.
        """
        cable = Cable(to)
        self.addCleanup(cable.close)
        return cable

    async def visitor(self, address: Address, buffer: int = 0) -> Visitor:
        """
        Have a visitor come.

        @param buffer: how much the kernel may keep for him, in bytes; 0 is for the
            kernel to say.
        """
        visitor = await Visitor.come(address, buffer)
        self.addCleanup(visitor.close)
        return visitor

    def visit(self, address: Address, data: bytes) -> Deferred[Received]:
        """
        Have a visitor come who sends something and the end behind it, and reads to
        the end.
        """
        return visit(address, data)

    def program(
        self,
        command: str | Path,
        *arguments: str | Path,
        environment: Mapping[str, str] | None = None,
    ) -> Program:
        """
        Run another program.

        @raise SkipTest: it is not there.
        """
        path = found(command)
        program = Program(Path(path).name)
        self._begin(program, [path, *arguments], environment)
        return program

    async def output(self, command: str | Path, *arguments: str | Path) -> str:
        """
        Run a program to its end, which must be a good one.

        @return: what it wrote.
        """
        program = self.program(command, *arguments)
        status = await program.exited()
        if status != 0:
            raise self.failureException(
                f"{program.name} ended with {status}\n{program.output}"
            )
        return program.output

    async def accepts(self, address: Address) -> None:
        """
        Wait until a program listens that does not say when it does.
        """

        def accepts() -> bool:
            with contextlib.suppress(OSError):
                connected(address).close()
                return True
            return False

        await until(accepts, f"something listens at {address}")

    def file(self, name: str, content: str) -> Path:
        """
        Write a file for a program to read.
        """
        path = self.folder / name
        path.write_text(content)
        return path

    def prepared(self, code: str) -> dict[str, str]:
        """
        Have programs run something before all else.

        @param code: Python's.
        @return: the variables of those programs.
        """
        self.file("sitecustomize.py", code)
        path = os.pathsep.join([str(self.folder), variables()["PYTHONPATH"]])
        return {"PYTHONPATH": path}

    def _twistd(self, command: str) -> list[str | Path]:
        reactor = [f"--reactor={self.reactor}"] if self.reactor else []
        return [*TWISTD, *reactor, "--nodaemon", "--pidfile=", command]

    def _begin(
        self,
        program: Program,
        command: list[str | Path],
        environment: Mapping[str, str] | None = None,
        descriptors: Mapping[int, int] | None = None,
    ) -> None:
        self._programs.append(program)
        program.fellows = self._programs
        program.start(command, self.folder, environment, descriptors)
        self.addCleanup(program.dispose)


def found(command: str | Path) -> str:
    """
    Find a program.

    @raise SkipTest: it is not there.
    """
    path = shutil.which(command) or shutil.which(command, path="/usr/sbin:/sbin")
    if path is None:
        raise SkipTest(f"{command} is not installed")
    return path
