"""
Tests for L{tunnelkit.tunnels.udp} and L{tunnelkit.tunnels.localudp}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from tests.carrier.test_fleet import Visitor
from tests.fakes import FakeCarrier, FakeRelay, FakeWork, TimedCase, session, worksOf
from tests.logs import Log
from tunnelkit.control.session import STREAMS
from tunnelkit.state.lease import Lease
from tunnelkit.tunnels.bursts import QUIET
from tunnelkit.tunnels.kinds import PARSERS
from tunnelkit.tunnels.localudp import LocalUDP
from tunnelkit.tunnels.spec import parseTunnel
from tunnelkit.tunnels.udp import PublicUDP
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.native.messages import Flow as Announced
from tunnelkit.wire.native.messages import Start


class PublicUDPTests(TimedCase):
    """
    What a server lets visitors of a UDP tunnel do.
    """

    def setUp(self) -> None:
        """
        Publish a tunnel.
        """
        super().setUp()
        self.log = Log(self)
        self.relay = FakeRelay()
        self.relay.clock = self.clock
        self.allowed = True
        self.session, self.channel = session(
            self.clock, allowed=lambda user: self.allowed
        )
        for _ in range(4):
            worksOf(self.session).add(FakeWork())
        self.freed: list[Deferred[object]] = []
        self.tunnel = self.publish("dns", 5300)
        self.addCleanup(self.over)

    def over(self) -> None:
        """
        End the session.
        """
        self.session.end("", "over")
        self.clock.advance(2)

    def publish(self, name: str, port: int) -> PublicUDP:
        """
        Publish a tunnel.
        """
        tunnel = PublicUDP(
            self.session,
            name,
            Lease("udp", port, "ann", "laptop", name, 0.0),
            f"udp://vps.example.org:{port}",
            self.relay,
            self.clock,
            lambda tunnel, free: self.freed.append(free),
        )
        tunnel.listen("192.0.2.1")
        self.session.tunnels[name] = tunnel
        return tunnel

    def come(self, number: int = 1, port: int = 5300) -> bool:
        """
        Have a visitor come.

        @return: whether it may.
        """
        listening = self.relay.flowPorts[port]
        flow = Visitor(0, number, listening.flows)
        allowed = listening.asked(flow)
        if allowed:
            listening.flows.add(flow)
            flow.say(b"hello")
        return allowed

    def test_listen(self) -> None:
        """
        It listens where it is told to, and has carriers at once.
        """
        listening = self.relay.flowPorts[5300]
        self.assertEqual(listening.address, HostPort("192.0.2.1", 5300))
        self.assertEqual(len(self.relay.carriers), 4)

    def test_status(self) -> None:
        """
        The admin rooms see flows and datagrams, and what the system dropped.
        """
        self.come(1)
        self.come(2)
        listening = self.relay.flowPorts[5300]
        listening.flows.tally.came = 7
        listening.flows.tally.drop("late", 3)
        status = self.tunnel.status()
        self.assertEqual((status.kind, status.streams, status.visitors), ("udp", 2, 2))
        self.assertEqual((status.datagrams, dict(status.drops)["late"]), ((7, 0), 3))
        self.assertEqual(listening.looked, 1)
        self.assertEqual(self.session.streams, 2)

    def test_revoked(self) -> None:
        """
        The user is looked up at each new flow; one who was revoked gets none, which is
        counted and said once.
        """
        self.assertTrue(self.come(1))
        self.allowed = False
        self.assertFalse(self.come(2))
        self.assertFalse(self.come(3))
        status = self.tunnel.status()
        self.assertEqual((status.streams, status.visitors, status.failed), (1, 3, 2))
        (line,) = [line for line in self.log.lines("info") if "dropped" in line]
        self.assertIn("the token was revoked", line)

    def test_bound(self) -> None:
        """
        Flows are among the streams of a session, which have a bound.
        """
        self.session.streams = STREAMS
        self.assertFalse(self.come())
        self.session.streams = 0

    def test_withdraw(self) -> None:
        """
        A tunnel that is withdrawn ends its flows, frees its port, and leaves others
        alone; with the last one the carriers go.
        """
        self.publish("other", 5301)
        self.come(1)
        self.come(1, 5301)
        self.session.withdraw("dns")
        self.assertEqual((len(self.freed), [*self.relay.flowPorts]), (1, [5301]))
        self.assertEqual((self.session.streams, self.session.leaving), (1, {}))
        ends = [each.frames[-1] for each in self.relay.carriers if each.frames]
        self.assertTrue(any(b"the tunnel was withdrawn" in end for end in ends), ends)
        self.assertEqual({each.ended for each in self.relay.carriers}, {""})
        self.session.withdraw("other")
        self.assertEqual({each.ended for each in self.relay.carriers}, {"closed"})

    def test_session(self) -> None:
        """
        With the session all is over, at once.
        """
        self.come()
        self.session.end("", "the client has gone")
        self.assertEqual((self.relay.flowPorts, self.session.streams), ({}, 0))


class LocalUDPTests(TimedCase):
    """
    What a client does with visitors of a UDP tunnel.
    """

    def setUp(self) -> None:
        """
        Have a local service.
        """
        super().setUp()
        self.log = Log(self)
        self.relay = FakeRelay()
        spec = parseTunnel("udp:10.0.0.5:53:name=dns", PARSERS)
        self.local = LocalUDP(spec, self.relay, self.clock)
        self.addCleanup(self.local.cut, "over")
        owner: Any = None
        self.carrier = FakeCarrier(self.clock, owner, b"")

    def test_land(self) -> None:
        """
        Each flow is dialled by itself, where its user said.
        """
        flow = Announced(7, "dns", "192.0.2.7:1", "192.0.2.1:53")
        self.assertEqual(self.local.land(flow, self.carrier), "")
        ((address, number, _),) = self.relay.flowDials
        self.assertEqual((address, number), (HostPort("10.0.0.5", 53), 7))
        self.assertEqual(self.local.streams, 0)

    def test_packed(self) -> None:
        """
        One that is compressed otherwise than was asked for is refused.
        """
        flow = Announced(7, "dns", "", "", compress="zstd")
        self.assertIn("does not compress", self.local.land(flow, self.carrier))
        self.assertEqual(self.relay.flowDials, [])

    def test_failed(self) -> None:
        """
        What goes wrong at the service is said once, and how often it came again.
        """
        self.local.land(Announced(7, "dns", "", ""), self.carrier)
        ((_, _, failed),) = self.relay.flowDials
        for _ in range(3):
            failed("the local service 10.0.0.5:53 refused datagrams")
        self.clock.advance(QUIET)
        one, other = self.log.lines("warn")
        self.assertIn("datagrams of dns are dropped: the local service", one)
        self.assertIn("2 times more", other)

    def test_stream(self) -> None:
        """
        There are no streams of this kind.
        """
        work = FakeWork()
        self.local.started(work, Start(1, "dns", "udp", "", ""))
        self.assertEqual(work.refused[0][0], ResetCode.DENIED)
