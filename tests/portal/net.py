"""
A network in memory: machines, NATs of each kind in front of them, and time that passes
when a test says so.  Packets take 10 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any, Final

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tunnelkit.portal.addresses.sockets import Address
from tunnelkit.portal.settings import PortalSettings, Surroundings
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.portal.stun import parseAnswer, request

TAKES: Final = 0.01
SECRET: Final = b"a secret that both portals know."

Filter = Callable[[Address, Address, bytes], bool]


@implementer(IListeningPort)
class FakePort:
    """
    A bound UDP socket, and its transport.
    """

    def __init__(
        self, machine: Machine, protocol: DatagramProtocol, at: Address
    ) -> None:
        self.machine = machine
        self.protocol = protocol
        self.at = at
        self.peer: Address | None = None
        self.socket = self
        self.fails: OSError | None = None

    def setsockopt(self, level: int, option: int, value: int) -> None:
        """
        Take an option.
        """

    def startListening(self) -> None:
        """
        It does already.
        """

    def getHost(self) -> IPv4Address:
        """
        Give where it is bound.
        """
        return IPv4Address("UDP", *self.at)

    def connect(self, host: str, port: int) -> None:
        """
        Take packets from one address alone.
        """
        if host not in self.machine.net.hosts:
            raise OSError(101, "Network is unreachable")
        self.peer = host, port

    def send(self, datagram: bytes) -> None:
        """
        Send to where it is connected.
        """
        assert self.peer is not None
        self.write(datagram, self.peer)

    def sendto(self, datagram: bytes, addr: Address) -> None:
        """
        Send.
        """
        self.write(datagram, addr)

    def write(self, datagram: bytes, addr: Address) -> None:
        """
        Send.
        """
        if self.fails is not None:
            raise self.fails
        host, port = addr
        self.machine.send(self.at[1], (host.removeprefix("::ffff:"), port), datagram)

    def stopListening(self) -> Deferred[None]:
        """
        Close.
        """
        self.machine.ports.pop(self.at[1], None)
        return succeed(None)


class Machine:
    """
    A machine with one address.

    @ivar ports: its sockets by their port.
    """

    def __init__(self, net: Net, host: str, nat: Nat | None = None) -> None:
        self.net = net
        self.host = host
        self.nat = nat
        self.ports: dict[int, FakePort] = {}
        self._free = count(40000)
        net.hosts[host] = self
        if nat is not None:
            nat.inside[host] = self

    def listen(
        self,
        port: int,
        protocol: DatagramProtocol,
        interface: str = "",
        maxPacketSize: int = 8192,
    ) -> IListeningPort:
        """
        Bind a socket.
        """
        assert maxPacketSize == 65535, "datagrams would be cut"
        if port in self.ports:
            raise CannotListenError(interface, port, OSError("Address already in use"))
        port = port or next(self._free)
        made = FakePort(self, protocol, (self.host, port))
        self.ports[port] = made
        protocol.transport = made  # type: ignore[assignment]
        protocol.startProtocol()
        return made

    def send(self, port: int, to: Address, datagram: bytes) -> None:
        """
        Send a packet from one of its ports.
        """
        source = self.host, port
        if self.nat is not None and to[0] not in self.nat.inside:
            source = self.nat.outward(source, to)
        self.net.carry(source, to, datagram)

    def take(self, source: Address, port: int, datagram: bytes) -> None:
        """
        Take a packet.
        """
        bound = self.ports.get(port)
        if bound is not None and bound.peer in (None, source):
            bound.protocol.datagramReceived(datagram, source)


@dataclass
class _Mapping:
    inside: Address
    allowed: set[Address] = field(default_factory=set)
    used: float = 0.0


class Nat:
    """
    A NAT.

    @ivar symmetric: whether each peer sees another port.
    @ivar cone: whether everybody may send to a port that is mapped.
    @ivar forgets: after so many seconds a mapping is gone that was not used.
    """

    def __init__(self, net: Net, host: str, kind: str, forgets: float = 120.0) -> None:
        """
        @param kind: C{cone}, C{restricted} or C{symmetric}.
        """
        self.symmetric = kind == "symmetric"
        self.cone = kind == "cone"
        self.forgets = forgets
        self.inside: dict[str, Machine] = {}
        self._net = net
        self._host = host
        self._byInside: dict[Any, int] = {}
        self._mappings: dict[int, _Mapping] = {}
        self._free = count(50000)
        net.hosts[host] = self

    def outward(self, source: Address, to: Address) -> Address:
        """
        Let a packet out.
        """
        now = self._net.clock.seconds()
        key = (source, to) if self.symmetric else source
        port = self._byInside.get(key)
        if port is None or now - self._mappings[port].used > self.forgets:
            port = self._byInside[key] = next(self._free)
            self._mappings[port] = _Mapping(source)
        mapping = self._mappings[port]
        mapping.used = now
        mapping.allowed.add(to)
        return self._host, port

    def take(self, source: Address, port: int, datagram: bytes) -> None:
        """
        Let a packet in, or not.
        """
        mapping = self._mappings.get(port)
        if mapping is None:
            return
        if self._net.clock.seconds() - mapping.used > self.forgets:
            return
        if self.cone or source in mapping.allowed:
            host, inner = mapping.inside
            self.inside[host].take(source, inner, datagram)


class Net:
    """
    What lies between.

    @ivar seen: all packets: source as the network has it, target, and what is in them.
    @ivar lets: tells whether a packet gets through.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.hosts: dict[str, Machine | Nat] = {}
        self.names: dict[str, Sequence[Address]] = {}
        self.seen: list[tuple[Address, Address, bytes]] = []
        self.lets: Filter = lambda source, to, packet: True
        self._random = Random(1)

    def carry(self, source: Address, to: Address, packet: bytes) -> None:
        """
        Carry a packet.
        """
        self.seen.append((source, to, packet))
        if to[0] in self.hosts and self.lets(source, to, packet):
            host, port = to
            self.clock.callLater(TAKES, self.hosts[host].take, source, port, packet)

    def run(self, seconds: float) -> None:
        """
        Let time pass.
        """
        self.clock.pump([TAKES] * round(seconds / TAKES))

    def random(self, length: int) -> bytes:
        """
        Give bytes that are the same in each run.
        """
        return self._random.randbytes(length)

    def resolve(self, host: str, port: int) -> Deferred[Sequence[Address]]:
        """
        Look a name up.
        """
        if host in self.names:
            return succeed([(each[0], port) for each in self.names[host]])
        return fail(OSError("no such host"))

    def around(self, machine: Machine, **others: Any) -> Surroundings:
        """
        Give what a portal on a machine works with.
        """
        return Surroundings(
            clock=self.clock,
            now=lambda: 1e9 + self.clock.seconds(),
            random=self.random,
            listen=machine.listen,
            resolve=self.resolve,
            **others,
        )


class Talker(DatagramProtocol):
    """
    A local sender, or a service that answers all with the same in capitals.

    @ivar got: what came, and from where.
    """

    def __init__(self, machine: Machine, port: int = 0, answers: bool = False) -> None:
        self.got: list[tuple[bytes, Address]] = []
        self._answers = answers
        self.port = machine.listen(port, self, maxPacketSize=65535)

    def datagramReceived(self, datagram: bytes, addr: Address) -> None:
        """
        Note it, and answer.
        """
        self.got.append((datagram, addr))
        if self._answers:
            self.say(datagram.upper(), addr)

    def say(self, datagram: bytes, to: Address) -> None:
        """
        Send something.
        """
        assert self.transport is not None
        self.transport.write(datagram, to)

    @property
    def heard(self) -> list[bytes]:
        """
        What came.
        """
        return [datagram for datagram, _ in self.got]


class StunServer(DatagramProtocol):
    """
    Says where a request came from.

    @ivar spoils: changes an answer before it is sent.
    """

    def __init__(self, machine: Machine, port: int = 3478) -> None:
        self.spoils: Callable[[bytes], bytes] = lambda answer: answer
        self.asked: list[bytes] = []
        machine.listen(port, self, maxPacketSize=65535)

    def datagramReceived(self, datagram: bytes, addr: Address) -> None:
        """
        Answer a request.
        """
        assert datagram == request(datagram[8:20]), datagram
        self.asked.append(datagram)
        assert self.transport is not None
        self.transport.write(self.spoils(stunAnswer(datagram[8:20], addr)), addr)


def stunAnswer(transaction: bytes, seen: Address) -> bytes:
    """
    Give the answer to a request that came from an IPv4 address.
    """
    port = seen[1] ^ 0x2112
    raw = bytes(map(int, seen[0].split(".")))
    host = bytes(a ^ b for a, b in zip(raw, b"\x21\x12\xa4\x42", strict=True))
    head = bytes.fromhex("0101000c2112a442") + transaction
    packet = head + bytes.fromhex("002000080001") + port.to_bytes(2, "big") + host
    assert parseAnswer(packet).port == seen[1]
    return packet


class NetCase(SynchronousTestCase):
    """
    A test with such a network, at the end of which nobody waits for its time.
    """

    def setUp(self) -> None:
        """
        Lay the network.
        """
        self.net = Net()
        self.clock = self.net.clock
        self.addCleanup(self._checkQuiet)

    def _checkQuiet(self) -> None:
        self.net.run(1.0)  # What is still on its way arrives.
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def settings(self, **given: Any) -> PortalSettings:
        """
        Make settings with the secret of all.
        """
        return PortalSettings(**{"secret": SECRET, **given})

    def running(self, portal: Any) -> Any:
        """
        Start a portal, and stop it when the test is over.
        """
        portal.startService()
        self.addCleanup(portal.stopService)
        return portal


def at(host: str, port: int) -> HostPort:
    """
    Give an address as settings have it.
    """
    return HostPort(host, port)
