"""
Tests for L{tunnelkit.portal.flows.exits}, L{tunnelkit.portal.addresses.places},
L{tunnelkit.portal.addresses.sockets} and L{tunnelkit.portal.addresses.candidates}.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError
from twisted.trial.unittest import SynchronousTestCase

from tests.logs import Log
from tests.portal.net import Machine, NetCase, Talker, at
from tunnelkit.portal.addresses.candidates import MOST, Candidates
from tunnelkit.portal.addresses.places import PATIENCE, STALE, Place
from tunnelkit.portal.addresses.sockets import Address, Socket
from tunnelkit.portal.flows.exits import Exits
from tunnelkit.relay.asked import Source


class ExitsTests(NetCase):
    """
    Flows leave the far portal for the service, within bounds.
    """

    def setUp(self) -> None:
        """
        Make a service of which the name has two addresses.
        """
        super().setUp()
        self.machine = Machine(self.net, "192.0.2.2")
        self.service = Talker(self.machine, 9999, answers=True)
        self.net.names["service"] = [("192.0.2.2", 0)]
        self.counts: Counter[str] = Counter()
        self.replies: list[tuple[int, bytes]] = []

    def exits(self, **bounds: Any) -> Exits:
        """
        Make exits.
        """
        self.place = Place(at("service", 9999), self.net.resolve, self.clock)
        listen = bounds.pop("listen", self.machine.listen)
        exits = Exits(self.clock, listen, self.place, self.counts, **bounds)
        self.addCleanup(exits.clear)
        return exits

    def leave(self, exits: Exits, peer: str, flow: int) -> None:
        """
        Have a datagram leave.
        """
        reply = lambda flow, data: self.replies.append((flow, data))  # noqa: E731
        exits.leave(peer, flow, b"x", reply)
        self.net.run(0.05)

    def test_answers(self) -> None:
        """
        Each flow has a socket of its own, and gets its own answers.
        """
        exits = self.exits()
        for flow in (1, 2, 1):
            self.leave(exits, "a", flow)
        self.assertEqual(self.replies, [(1, b"X"), (2, b"X"), (1, b"X")])
        self.assertEqual(len({source for _, source in self.service.got}), 2)

    def test_bounds(self) -> None:
        """
        One near portal has a share; with too many flows in all the one leaves that was
        silent for longest, and its socket is closed.
        """
        exits = self.exits(most=3, ofOne=2)
        for peer, flow in (("a", 1), ("a", 2), ("a", 3), ("b", 1), ("c", 1)):
            self.leave(exits, peer, flow)
        self.assertEqual(self.counts["flows beyond the bound"], 1)
        self.assertEqual((len(exits), exits.peers), (3, 3))
        self.assertEqual(len(self.machine.ports), 1 + 3)
        exits.forget("a")
        self.assertEqual((len(exits), exits.peers), (2, 2))
        self.assertEqual(len(self.machine.ports), 1 + 2)

    def test_refused(self) -> None:
        """
        Where nobody is at one address of the service's name, the next one is tried, as
        with localhost; where there is one address alone, it is tried on.
        """
        exits = self.exits()
        self.net.names["service"] = [("192.0.2.3", 0), ("192.0.2.2", 0)]
        Machine(self.net, "192.0.2.3")
        self.leave(exits, "a", 1)
        (port,) = [
            port for number, port in self.machine.ports.items() if number != 9999
        ]
        port.protocol.connectionRefused()
        self.assertEqual((len(exits), self.counts["refused by the service"]), (0, 1))
        self.leave(exits, "a", 1)
        self.assertEqual(self.replies, [(1, b"X")])
        self.place.addresses = self.place.addresses[:1]
        (port,) = [
            port for number, port in self.machine.ports.items() if number != 9999
        ]
        port.protocol.connectionRefused()
        self.assertEqual(len(exits), 1)

    def refuse(self) -> None:
        """
        Have the one flow hear that nobody is there.
        """
        (port,) = [n for n in self.machine.ports if n != 9999]
        self.machine.ports[port].protocol.connectionRefused()

    def test_unfound(self) -> None:
        """
        A service whose name is not known, or to which no way leads, is counted.
        """
        self.net.names.clear()
        exits = self.exits()
        self.leave(exits, "a", 1)
        self.assertEqual(self.counts["service not found"], 1)
        self.net.names["service"] = [("192.0.2.99", 0)]
        self.clock.advance(STALE)
        self.leave(exits, "a", 1)
        self.leave(exits, "a", 1)
        self.assertGreater(self.counts["no way to the service"], 0)
        self.assertEqual((len(exits), len(self.machine.ports)), (0, 1))

    def test_noSocket(self) -> None:
        """
        Where no open files are left, the flow gets nothing, and the others go on.
        """

        def listen(*args: Any, **options: Any) -> Any:
            raise CannotListenError("", 0, OSError(24, "Too many open files"))

        exits = self.exits(listen=listen)
        self.leave(exits, "a", 1)
        self.assertEqual(self.counts["no socket left"], 1)
        self.assertEqual(len(exits), 0)


class PlaceTests(NetCase):
    """
    Names are looked up while nobody waits for that.
    """

    def setUp(self) -> None:
        """
        Count what is looked up.
        """
        super().setUp()
        self.asked: list[Deferred[Sequence[Address]]] = []
        self.log = Log(self)

    def place(self, host: str, *answers: Any) -> Place:
        """
        Make a place of which the host is looked up with these results.
        """
        left = list(answers)

        def resolve(host: str, port: int) -> Deferred[Sequence[Address]]:
            self.asked.append(left.pop(0) if left else Deferred())
            return self.asked[-1]

        return Place(at(host, 7), resolve, self.clock)

    def test_literal(self) -> None:
        """
        An address is not looked up.
        """
        self.assertEqual(self.place("192.0.2.1").first(), ("192.0.2.1", 7))
        self.assertEqual(self.place("2001:DB8::1").first(), ("2001:db8::1", 7))
        self.assertEqual(self.asked, [])

    def test_again(self) -> None:
        """
        A name is looked up once a minute at most, and only when it is needed.
        """
        place = self.place(
            "name", succeed([("192.0.2.1", 7)]), succeed([("192.0.2.2", 7)])
        )
        self.assertEqual(place.first(), ("192.0.2.1", 7))
        self.clock.advance(STALE - 1)
        self.assertEqual(place.first(), ("192.0.2.1", 7))
        self.clock.advance(1)
        self.assertEqual(place.first(), ("192.0.2.2", 7))
        self.assertEqual(len(self.asked), 2)

    def test_fails(self) -> None:
        """
        While a name is not found, the last address holds, and the log says so once.
        """
        error = fail(OSError("Name or service not known"))
        place = self.place("name", succeed([("192.0.2.1", 7)]), error, succeed([]))
        place.first()
        self.clock.advance(STALE)
        self.assertEqual(place.first(), ("192.0.2.1", 7))
        self.clock.advance(STALE)
        self.assertEqual(place.first(), ("192.0.2.1", 7))
        (line,) = self.log.lines("warn")
        self.assertIn("name is not found: Name or service not known", line)

    def test_hangs(self) -> None:
        """
        A look-up that hangs is given up, and made again; one under way at the end is
        left alone.
        """
        place = self.place("name")
        self.assertIsNone(place.first())
        self.clock.advance(PATIENCE)
        self.assertIsNone(place.first())
        self.assertEqual(len(self.asked), 2)
        self.log.clear()
        place.stop()
        self.assertEqual(self.log.lines("warn"), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class SocketTests(NetCase):
    """
    No datagram ends a socket.
    """

    def setUp(self) -> None:
        """
        Make one, on a machine of its own.
        """
        super().setUp()
        self.machine = Machine(self.net, "192.0.2.1")
        self.got: list[tuple[bytes, Address, Source]] = []
        self.socket = Socket(lambda *got: self.got.append(got))

    def test_mapped(self) -> None:
        """
        On a socket of both versions IPv4 addresses are shown and taken as such.
        """
        self.socket.open(self.machine.listen, "::", 7000)
        self.socket.datagramReceived(b"x", ("::ffff:192.0.2.1", 5))
        self.assertEqual(self.got, [(b"x", ("192.0.2.1", 5), ())])
        targets: list[Address] = []
        port = self.machine.ports[7000]
        self.patch(port, "sendto", lambda datagram, to: targets.append(to))
        for host in ("192.0.2.1", "2001:db8::1"):
            self.socket.write(b"y", (host, 5))
        self.assertEqual(targets, [("::ffff:192.0.2.1", 5), ("2001:db8::1", 5)])

    def test_unsent(self) -> None:
        """
        What cannot be sent is dropped, as the network would.
        """
        self.socket.open(self.machine.listen, "", 7000)
        port = self.machine.ports[7000]
        for error in (
            BlockingIOError(11, "full"),
            OSError(90, "Message too long"),
            OSError(101, "Network is unreachable"),
        ):
            port.fails = error
            self.assertFalse(self.socket.write(b"x", ("192.0.2.1", 5)))
        refused: list[None] = []
        self.socket.refused = lambda: refused.append(None)
        port.fails = ConnectionRefusedError(111, "Connection refused")
        self.assertFalse(self.socket.write(b"x", ("192.0.2.1", 5)))
        self.assertEqual(len(refused), 1)

    def test_bug(self) -> None:
        """
        A bug where a datagram is taken is in the log, and the next datagram comes.
        """

        def buggy(*args: Any) -> None:
            raise RuntimeError("a bug")

        Socket(buggy).datagramReceived(b"x", ("192.0.2.1", 5))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


_HOSTS = st.one_of(
    st.ip_addresses(v=4, network="10.0.0.0/8").map(str),
    st.ip_addresses(v=6, network="2001:db8::/32").map(str),
)
_ADDRESSES = st.lists(st.tuples(_HOSTS, st.integers(1, 65535)), max_size=4).map(tuple)


class CandidatesTests(SynchronousTestCase):
    """
    Addresses survive the rendezvous.
    """

    @given(_ADDRESSES, _ADDRESSES)
    def test_thereAndBack(
        self, direct: tuple[Address, ...], relays: tuple[Address, ...]
    ) -> None:
        """
        What is written is read as it was.
        """
        candidates = Candidates(direct, relays)
        if candidates:
            self.assertEqual(Candidates.parse(str(candidates)), candidates)
        else:
            self.assertRaises(ValueError, Candidates.parse, str(candidates))

    @given(st.text(max_size=40))
    def test_text(self, text: str) -> None:
        """
        Whatever is read, it is addresses or refused.
        """
        try:
            found = Candidates.parse(text)
        except ValueError:
            return
        self.assertEqual(Candidates.parse(str(found)), found)

    def test_many(self) -> None:
        """
        A portal with more addresses than fit tells the likeliest, and of relays all.
        """
        candidates = Candidates(tuple(("10.0.0.1", port) for port in range(1, 20)))
        self.assertEqual(len(Candidates.parse(str(candidates)).direct), MOST)
        relays = (("192.0.2.1", 1), ("192.0.2.1", 2))
        read = Candidates.parse(str(Candidates(candidates.direct, relays)))
        self.assertEqual(read, Candidates(candidates.direct[: MOST - 2], relays))
