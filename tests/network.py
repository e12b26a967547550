"""
A network in memory: a reactor whose TCP connects what is in this process.  Nothing
moves by itself; C{settle} moves bytes and C{elapse} time.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import (
    CannotListenError,
    ConnectionDone,
    ConnectionRefusedError,
    TimeoutError,
)
from twisted.internet.interfaces import (
    IConnector,
    IHalfCloseableProtocol,
    IListeningPort,
    IOpenSSLClientConnectionCreator,
)
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.mail import Box, opened
from tests.relay.memory import MemoryTransport
from tunnelkit.relay.endpoints import IPortableReactor, One
from tunnelkit.relay.secure import ClientTLS

BUFFER: Final = 65536
"""How much the kernel takes for a peer that does not read."""


class Wire(MemoryTransport):
    """
    One end of a connection.

    @ivar far: the other end.
    @ivar frozen: whether the program at this end is stopped, as by SIGSTOP.
    """

    far: Wire

    def __init__(self, protocol: Any, here: IPv4Address, there: IPv4Address) -> None:
        self.frozen = False
        self._here = here
        self._there = there
        self._told = False
        super().__init__(protocol)

    def getHost(self) -> IPv4Address:
        """
        Give this end's address.
        """
        return self._here

    def getPeer(self) -> IPv4Address:
        """
        Give the other end's address.
        """
        return self._there

    def move(self) -> bool:
        """
        Do a turn of the reactor, and bring what was sent to the other end.

        @return: whether anything happened.
        """
        if self.frozen:
            return False
        self.room = max(0, BUFFER - len(self.far._incoming))
        moved = self.turn()
        data = self.take()
        if data and self.far.lost:
            self.peerResets()
        elif data:
            self.far.peerSends(data)
        if not self._told and (self.ended or self.wasReset):
            self._told = moved = True
            (self.far.peerResets if self.wasReset else self.far.peerEnds)()
        return moved or bool(data)


@implementer(IListeningPort)
class Port:
    """
    A port that is listened on.
    """

    def __init__(
        self, network: Network, number: int, factory: Any, interface: str = ""
    ) -> None:
        self.network = network
        self.number = number
        self.factory = factory
        self.interface = interface

    def startListening(self) -> None:
        """
        Do nothing: it does already.
        """

    def stopListening(self) -> Deferred[None]:
        """
        Accept nothing more; the port is free in the next turn.
        """
        stopped: Deferred[None] = Deferred()
        self.network.callLater(0, self._free, stopped)
        self.network.accepting.pop(self.number, None)
        return stopped

    def getHost(self) -> IPv4Address:
        """
        Give its address.
        """
        return IPv4Address("TCP", "127.0.0.1", self.number)

    def _free(self, stopped: Deferred[None]) -> None:
        self.network.ports.pop(self.number, None)
        self.factory.doStop()
        stopped.callback(None)


@implementer(IConnector)
class Connector:
    """
    A connection on its way.
    """

    def __init__(self, network: Network, port: int, factory: Any) -> None:
        self._network = network
        self._port = port
        self._factory = factory
        self._call = network.callLater(0, self._go)

    def wait(self, timeout: float) -> None:
        """
        Get no answer.
        """
        self._call.cancel()
        self._call = self._network.callLater(timeout, self._fail, TimeoutError())

    def stopConnecting(self) -> None:
        """
        Give up.
        """
        self._call.cancel()

    def disconnect(self) -> None:
        """
        Give up.
        """
        self.stopConnecting()

    def connect(self) -> None:
        """
        Do nothing: it does already.
        """

    def getDestination(self) -> IPv4Address:
        """
        Give where it goes.
        """
        return IPv4Address("TCP", "127.0.0.1", self._port)

    def _go(self) -> None:
        listening = self._network.accepting.get(self._port)
        protocol = listening and self._factory.buildProtocol(self.getDestination())
        if listening is None or protocol is None:
            self._fail(ConnectionRefusedError())
        else:
            self._network.join(protocol, listening)

    def _fail(self, why: Exception) -> None:
        self._factory.clientConnectionFailed(self, Failure(why))


@implementer(IPortableReactor)
class Network(Clock):
    """
    The reactor.

    @ivar ports: those that are not free.
    @ivar accepting: those that are listened on.
    @ivar taken: error numbers of ports that cannot be had.
    @ivar foreign: addresses that are not this machine's.
    @ivar silent: ports whose host does not answer.
    @ivar wires: both ends of all connections, in the order in which they were made.
    @ivar boxes: ports of UDP.
    @ivar caller: the host that connections come from.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ports: dict[int, Port] = {}
        self.accepting: dict[int, Port] = {}
        self.taken: dict[int, int] = {}
        self.foreign: set[str] = set()
        self.silent: set[int] = set()
        self.wires: list[Wire] = []
        self.boxes: dict[int, Box] = {}
        self.caller = "192.0.2.7"
        self._next = 40_000

    # What a reactor can.

    def listenTCP(
        self, port: int, factory: Any, backlog: int = 50, interface: str = ""
    ) -> Port:
        """
        Listen.
        """
        number = port or self._number()
        reason = self.taken.get(number, errno.EADDRINUSE if number in self.ports else 0)
        if interface in self.foreign:
            reason = errno.EADDRNOTAVAIL
        if reason:
            why = OSError(reason, os.strerror(reason))
            raise CannotListenError(interface, number, why)
        self.ports[number] = self.accepting[number] = Port(
            self, number, factory, interface
        )
        factory.doStart()
        return self.ports[number]

    def listenUDP(
        self,
        port: int,
        protocol: Any,
        interface: str = "",
        maxPacketSize: int = 8192,
    ) -> Box:
        """
        Listen for datagrams.
        """
        return opened(self, port, protocol, interface)

    def listenUNIX(self, address: str, factory: Any, *args: Any, **named: Any) -> Any:
        """
        Have no UNIX sockets.
        """
        raise NotImplementedError

    connectUNIX = listenUNIX

    def listenSSL(
        self, port: int, factory: Any, contextFactory: Any, *args: Any, **named: Any
    ) -> Port:
        """
        Listen, with a TLS of Twisted's.
        """
        secured = TLSMemoryBIOFactory(contextFactory, False, factory, self)
        return self.listenTCP(port, secured)

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: Any,
        timeout: float = 30,
        bindAddress: Any = None,
    ) -> Connector:
        """
        Connect.
        """
        connector = Connector(self, port, factory)
        factory.doStart()
        factory.startedConnecting(connector)
        if port in self.silent:
            connector.wait(timeout)
        return connector

    def getThreadPool(self) -> Network:
        """
        Give what runs calls in threads.
        """
        return self

    def callInThreadWithCallback(
        self, result: Callable[[bool, Any], None], call: Callable[..., Any], *args: Any
    ) -> None:
        """
        Run a call now, as if in a thread.
        """
        try:
            answer = call(*args)
        except Exception:
            result(False, Failure())
        else:
            result(True, answer)

    def callFromThread(self, call: Callable[..., Any], *args: Any) -> None:
        """
        Run a call in the next turn.
        """
        self.callLater(0, call, *args)

    # What a test does.

    def connect(self, port: int, protocol: Protocol) -> Protocol:
        """
        Connect from outside.

        @raise KeyError: nobody listens.
        """
        self.join(protocol, self.accepting[port])
        return protocol

    def join(self, protocol: Any, port: Port) -> None:
        """
        Connect a protocol with a port.
        """
        there = IPv4Address("TCP", "127.0.0.1", port.number)
        here = IPv4Address("TCP", self.caller, self._number())
        accepted = port.factory.buildProtocol(here)
        if accepted is None:
            accepted = _Unwanted()
        one, other = Wire.__new__(Wire), Wire.__new__(Wire)
        one.far, other.far = other, one
        self.wires += [one, other]
        # The order of a real reactor: the one who connects hears of it first.
        one.__init__(protocol, here, there)  # type: ignore[misc]
        other.__init__(accepted, there, here)  # type: ignore[misc]

    def settle(self) -> None:
        """
        Let everything happen that takes no time.
        """
        for _ in range(20_000):
            self.advance(0)
            moved = [wire.move() for wire in [*self.wires]]
            if not any(moved) and not self._due():
                self.wires = [w for w in self.wires if not (w.lost and w.far.lost)]
                return
        raise AssertionError("it does not come to rest")

    def elapse(self, seconds: float) -> None:
        """
        Let time pass, and all happen that happens in it.
        """
        until = self.seconds() + seconds
        self.settle()
        while self.calls and self.calls[0].getTime() <= until:
            self.advance(max(0.0, self.calls[0].getTime() - self.seconds()))
            self.settle()
        self.advance(max(0.0, until - self.seconds()))
        self.settle()

    def _due(self) -> bool:
        return bool(self.calls) and self.calls[0].getTime() <= self.seconds()

    def _number(self) -> int:
        self._next += 1
        return self._next


class _Unwanted(Protocol):
    """
    Closes: the factory made no protocol.
    """

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.loseConnection()


class Plain(Protocol):
    """
    A visitor, a local service or a stranger that closes when the other side does.

    @ivar heard: what came.
    @ivar ended: C{end} where the other side closed, C{reset} where it reset, else
        empty.
    """

    def __init__(self) -> None:
        self.heard = b""
        self.ended = ""
        self.wire: Any = None

    def connectionMade(self) -> None:
        """
        It is connected.
        """
        self.wire = self.transport

    def say(self, data: bytes) -> None:
        """
        Send bytes.
        """
        self.wire.write(data)

    def dataReceived(self, data: bytes) -> None:
        """
        Remember what came.
        """
        self.heard += data

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """
        Remember how it ended.
        """
        self.ended = "end" if reason.check(ConnectionDone) else "reset"

    def take(self) -> bytes:
        """
        Give what came, and forget it.
        """
        heard, self.heard = self.heard, b""
        return heard


@implementer(IHalfCloseableProtocol)
class Speaker(Plain):
    """
    The same, but one that can go on when the other side has ended its direction.
    """

    def readConnectionLost(self) -> None:
        """
        The other side has no more to say.
        """
        self.ended = "end"

    def writeConnectionLost(self) -> None:
        """
        All is said.
        """


def accepting(network: Network, port: int) -> list[Speaker]:
    """
    Run a service in memory.

    @return: those who came, more and more.
    """
    came: list[Speaker] = []

    class Service(One):
        def __init__(self) -> None:
            pass

        def buildProtocol(self, address: Any) -> Speaker:
            came.append(Speaker())
            return came[-1]

    network.listenTCP(port, Service())
    return came


def secured(
    network: Network,
    protocol: Protocol,
    creator: IOpenSSLClientConnectionCreator | None = None,
) -> Any:
    """
    Put a client's protocol under TLS.

    @return: what is to be connected.
    """
    creator = creator or ClientTLS("localhost", verify=False)
    factory = TLSMemoryBIOFactory(creator, True, One(protocol), network)
    return factory.buildProtocol(None)
