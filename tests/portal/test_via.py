"""
Tests for L{tunnelkit.portal.via}: over the network in memory, with a client that a test
speaks for.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed

from tests.logs import Log
from tests.portal.net import SECRET, at
from tests.portal.test_meeting import RELAY, MeetingCase, Relay
from tunnelkit.portal.addresses.candidates import Candidates
from tunnelkit.portal.far import FarPortal
from tunnelkit.portal.via import Via, inner, tunnelOf
from tunnelkit.tunnels.spec import TunnelSpec

OPENED = f"udp://{RELAY[0]}:{RELAY[1]}"


class FakeTunnel:
    """
    A tunnel, which is open where it has an address.
    """

    address = ""


class FakeClient:
    """
    A client of one tunnel.

    @ivar ends: fires when it has stopped.
    """

    def __init__(self, spec: TunnelSpec, changed: Callable[[], None]) -> None:
        self.spec = spec
        self.tunnels = [FakeTunnel()]
        self.running = False
        self.ends: Deferred[None] = succeed(None)
        self._changed = changed

    def startService(self) -> None:
        """
        Begin.
        """
        self.running = True

    def stopService(self) -> Deferred[None]:
        """
        End, which loses the tunnel.
        """
        self.running = False
        self.say("")
        return self.ends

    def say(self, address: str) -> None:
        """
        Have the tunnel at another address, or at none.
        """
        self.tunnels[0].address = address
        self._changed()


class ViaTests(MeetingCase):
    """
    A tunnel that is open is a relay.
    """

    def setUp(self) -> None:
        """
        Lay a network where no direct path works.
        """
        super().setUp()
        self.log = Log(self)
        self.lay("symmetric", "symmetric")
        self.made: list[FakeClient] = []

    def via(self, portal: FarPortal) -> FakeClient:
        """
        Start what makes a tunnel for a portal.
        """

        def make(spec: TunnelSpec, changed: Callable[[], None]) -> FakeClient:
            self.made.append(FakeClient(spec, changed))
            return self.made[-1]

        self.begun = Via(portal, make)
        self.running(self.begun)
        return self.made[-1]

    def told(self) -> Candidates:
        """
        Give what the rendezvous tells of the portal.
        """
        found = Deferred.fromCoroutine(self.rendezvous(SECRET).find("home"))
        return self.successResultOf(found)

    def test_tunnel(self) -> None:
        """
        The tunnel leads to the portal's own socket, by a name that is the same at each
        start, and another one for another portal.
        """
        client = self.via(self.far())
        self.assertTrue(client.running)
        expected = TunnelSpec(
            kind="udp", local=at("10.0.2.2", 7000), name="portal-home"
        )
        self.assertEqual(client.spec, expected)
        long = "x" * 250
        for host, name in (("h.example", "portal-h.example:1"), (long, "portal-xxx")):
            settings = self.settings(serve=at(host, 1))
            portal = FarPortal(settings, self.net.around(self.there))
            self.running(portal)
            self.assertTrue(tunnelOf(portal).name.startswith(name))

    def test_port(self) -> None:
        """
        The server is asked for the public port that was chosen.
        """
        client = self.via(self.far(viaPort=7001))
        self.assertEqual(client.spec.port, 7001)

    def test_inner(self) -> None:
        """
        A socket on all addresses is reached on this machine's own.
        """
        for host, expected in (
            ("::", "127.0.0.1"),
            ("0.0.0.0", "127.0.0.1"),
            ("::1", "::1"),
            ("192.0.2.1", "192.0.2.1"),
        ):
            self.assertEqual(inner(at(host, 7000)), at(expected, 7000))

    def test_told(self) -> None:
        """
        Its public address is told at the rendezvous at once, anew when it is another,
        and not any more when the tunnel is closed or the server lost.
        """
        client = self.via(self.far())
        self.net.run(2)
        self.assertEqual(self.told().relays, ())
        direct = self.told().direct
        for address, relays in (
            (OPENED, (RELAY,)),
            ("udp://203.0.113.9:20418", (("203.0.113.9", 20418),)),
            ("udp://[2001:db8::9]:20418", (("2001:db8::9", 20418),)),
            ("", ()),
            (OPENED, (RELAY,)),
        ):
            client.say(address)
            self.net.run(1.1)
            self.assertEqual(self.told(), Candidates(direct, relays))
        self.assertIn(
            "near portals that find no direct path come through the tunnel at UDP"
            " 203.0.113.9:20417",
            self.log.lines("info"),
        )
        (line,) = self.log.lines("warn")[-1:]
        self.assertIn("the tunnel at UDP [2001:db8::9]:20418 is gone", line)

    def test_name(self) -> None:
        """
        A server that is known by its name is looked up, and told as soon as it is
        found: an address of each family, as nobody knows what a near portal has.
        """
        client = self.via(self.far())
        client.say("udp://vps.example:20417")
        self.net.run(3)
        self.assertEqual(self.told().relays, ())
        six = ("2001:db8::9", 20417)
        self.net.names["vps.example"] = [six, RELAY, ("203.0.113.10", 20417)]
        self.net.run(6)
        self.assertEqual(self.told().relays, (six, RELAY))

    def test_both(self) -> None:
        """
        A relay that was given stays beside the tunnel, and when that is gone.
        """
        given = ("203.0.113.8", 9)
        client = self.via(self.far(relay=at(*given)))
        client.say(OPENED)
        self.net.run(2)
        self.assertEqual(self.told().relays, (given, RELAY))
        client.say("")
        self.net.run(2)
        self.assertEqual(self.told().relays, (given,))

    def test_unusable(self) -> None:
        """
        An address that is none is passed over, and said, whatever stands in it.
        """
        client = self.via(self.far())
        client.say("udp://no\nwhere")
        self.net.run(2)
        self.assertEqual(self.told().relays, ())
        (line,) = [each for each in self.log.lines("warn") if "tunnel" in each]
        self.assertTrue(
            line.startswith("the tunnel's public address cannot be used: "), line
        )
        self.assertNotIn("\n", line)

    def test_withoutRendezvous(self) -> None:
        """
        Without a rendezvous the log says what near portals connect to.
        """
        settings = self.settings(serve=at("10.0.2.2", 9999), bind=at("", 7000))
        portal = self.running(FarPortal(settings, self.net.around(self.there)))
        self.via(portal).say(OPENED)
        self.assertIn(
            "near portals get here with --connect 203.0.113.9:20417",
            self.log.lines("info"),
        )

    def test_stop(self) -> None:
        """
        A portal that ends waits until the server was told, and tells nobody else that
        its tunnel is gone.
        """
        client = self.via(self.far())
        client.say(OPENED)
        client.ends = Deferred()
        self.log.clear()
        stopped = self.begun.stopService()
        assert stopped is not None
        self.assertNoResult(stopped)
        client.ends.callback(None)
        self.successResultOf(stopped)
        self.assertEqual((client.running, self.log.lines("warn")), (False, []))

    def test_thereAndBack(self) -> None:
        """
        Portals behind two symmetric NATs reach each other through the tunnel, and no
        portal loses the other when the server keeps its flows no longer.
        """
        relay = Relay(self)
        self.via(self.far()).say(OPENED)
        portal = self.near(punching=5.0)
        self.net.run(8)
        self.assertEqual(len(self.talk(5)), 5)
        (route,) = portal.routes()
        self.assertTrue(route.way.relayed)
        relay._inside.clear()  # The next packet comes to the portal from another port.
        self.assertEqual(len(self.talk(5)), 5)
        self.assertEqual(len(relay._inside), 1)

    def test_comesLater(self) -> None:
        """
        A near portal that has found no path takes the tunnel when there is one, and
        one that has lost the tunnel takes the next.
        """
        Relay(self)
        client = self.via(self.far())
        portal = self.near(punching=5.0)
        self.net.run(20)
        self.assertEqual(self.talk(3), [])
        client.say(OPENED)
        self.net.run(8)
        self.assertEqual(len(self.talk(3)), 3)
        machine = self.net.hosts.pop(RELAY[0])
        client.say("")
        self.talk(40)
        (route,) = portal.routes()
        self.assertIsNone(route.way.path)
        self.net.hosts[RELAY[0]] = machine
        client.say(OPENED)
        self.net.run(8)
        self.assertEqual(len(self.talk(3)), 3)

    def test_gone(self) -> None:
        """
        A direct path is taken when there is one, though the tunnel was withdrawn for a
        moment: its address, where the far portal is still heard, is not a direct one.
        """
        self.lay("", "")
        Relay(self)
        ends = {self.here.host, self.there.host}
        self.net.lets = lambda source, to, packet: {source[0], to[0]} != ends
        client = self.via(self.far())
        client.say(OPENED)
        portal = self.near(punching=5.0)
        self.net.run(8)
        (route,) = portal.routes()
        self.assertTrue(route.way.relayed)
        client.say("")
        self.net.run(40)
        self.assertTrue(route.way.relayed)
        client.say(OPENED)
        self.net.lets = lambda source, to, packet: True
        self.assertEqual(len(self.talk(60)), 60)
        self.assertFalse(route.way.relayed)
        self.assertEqual(route.way.path, (self.there.host, 7000))
