"""
Case: a server in memory, and a program that listens and dials through it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from tests.network import Plain
from tests.whole import ADDRESS, WholeCase
from tunnelkit.endpoints import shared
from tunnelkit.server import Server


class Program(Factory):
    """
    A program's factory, which remembers what it was asked for.

    @ivar visitors: its protocols.
    @ivar started: how often it was started, less how often it was stopped.
    """

    noisy = False

    def __init__(self) -> None:
        self.visitors: list[Plain] = []
        self.started = 0
        self.refusing = False

    def startFactory(self) -> None:
        """
        Count.
        """
        self.started += 1

    def stopFactory(self) -> None:
        """
        Count.
        """
        self.started -= 1

    def buildProtocol(self, address: Any) -> Any:
        """
        Have one more visitor.
        """
        if self.refusing:
            return None
        visitor = Plain()
        self.visitors.append(visitor)
        return visitor


class EndpointCase(WholeCase):
    """
    A server, and a program in the same network.

    @ivar ports: what the program listens on.
    """

    def setUp(self) -> None:
        """
        Start the server.
        """
        super().setUp()
        self.ports: list[IListeningPort] = []
        self.pendings: list[Deferred[Any]] = []
        self.serve()
        self.tokenFile = Path(self.state) / "default.token"

    def assertNothingLeft(self) -> None:
        """
        Nor is a connection of the program's left.
        """
        for pending in self.pendings:
            pending.cancel()
        for port in self.ports:
            port.stopListening()
        self.network.elapse(1)
        super().assertNothingLeft()
        self.assertEqual(shared._here.get(self.network, {}), {})

    def described(self, *options: str, server: object = ADDRESS) -> str:
        """
        Describe a tunnel.
        """
        login = f"tokenFile={self.tokenFile}", "client=embedded"
        return ":".join((f"tunnel:{server}", *login, *options))

    def endpoint(self, *options: str, server: object = ADDRESS) -> Any:
        """
        Give an endpoint to listen on.
        """
        return serverFromString(self.network, self.described(*options, server=server))

    def dialling(self, name: str, *options: str, server: object = ADDRESS) -> Any:
        """
        Give an endpoint to connect to.
        """
        described = self.described(f"to={name}", *options, server=server)
        return clientFromString(self.network, described)

    def begin(
        self, *options: str, program: Program | None = None, server: object = ADDRESS
    ) -> tuple[Program, list[Any]]:
        """
        Begin to listen.

        @return: the program, and what became of it.
        """
        program = program or Program()
        self.pending: Deferred[IListeningPort]
        self.pending = self.endpoint(*options, server=server).listen(program)
        became: list[Any] = []

        def listening(port: IListeningPort) -> None:
            self.ports.append(port)
            became.append(port)

        def failed(failure: Failure) -> None:
            became.append(failure.value)

        self.pending.addCallbacks(listening, failed)
        self.pendings.append(self.pending)
        self.network.settle()
        return program, became

    def listening(
        self, *options: str, program: Program | None = None
    ) -> tuple[Program, Any]:
        """
        Listen.
        """
        program, became = self.begin(*options, program=program)
        (port,) = became
        return program, port

    def kill(self, server: Server) -> None:
        """
        Have a server go as if its process had been killed.
        """
        self.stop(server)
        self.network.settle()
