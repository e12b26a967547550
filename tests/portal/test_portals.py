"""
Tests of near and far portals together, over a network in memory.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.portal.net import Machine, NetCase, Talker, at
from tunnelkit.failures import StartFailed
from tunnelkit.portal.far import FarPortal
from tunnelkit.portal.near import NearPortal
from tunnelkit.portal.portals import STRANGERS

PORTAL = at("192.0.2.2", 7000)
LISTEN = ("192.0.2.1", 4000)
NEAR = ("192.0.2.1", 6000)


class PortalsCase(NetCase):
    """
    A test with a machine on each side, and a service on the far one.
    """

    def setUp(self) -> None:
        """
        Make them.
        """
        super().setUp()
        self.here = Machine(self.net, "192.0.2.1")
        self.there = Machine(self.net, "192.0.2.2")
        self.service = Talker(self.there, 9999, answers=True)

    def far(self, **given: Any) -> FarPortal:
        """
        Start a far portal.
        """
        given = {"serve": at("192.0.2.2", 9999), "bind": at("", 7000), **given}
        portal = FarPortal(self.settings(**given), self.net.around(self.there))
        return self.running(portal)  # type: ignore[no-any-return]

    def near(self, **given: Any) -> NearPortal:
        """
        Start a near portal.
        """
        given = {"leads": ((at(*LISTEN), PORTAL),), "bind": at("", 6000), **given}
        portal = NearPortal(self.settings(**given), self.net.around(self.here))
        return self.running(portal)  # type: ignore[no-any-return]


class NativeTests(PortalsCase):
    """
    Two portals of ours with one secret.
    """

    def test_thereAndBack(self) -> None:
        """
        A datagram reaches the service, and its answer the sender, from the first on,
        empty ones too.
        """
        self.far()
        self.near()
        sender = Talker(self.here)
        for datagram in (b"hello", b"", b"again"):
            sender.say(datagram, LISTEN)
            self.net.run(0.3)
        self.assertEqual(self.service.heard, [b"hello", b"", b"again"])
        self.assertEqual(sender.heard, [b"HELLO", b"", b"AGAIN"])
        self.assertEqual({source for _, source in sender.got}, {LISTEN})

    def test_manySenders(self) -> None:
        """
        A thousand senders each get their own answers, over one path.
        """
        self.far()
        self.near()
        senders = [Talker(self.here) for _ in range(1000)]
        for number, sender in enumerate(senders):
            sender.say(b"n%d" % number, LISTEN)
            if not number % 16:
                self.net.run(0.2)
        self.net.run(0.3)
        for number, sender in enumerate(senders):
            self.assertEqual(sender.heard, [b"N%d" % number])
        self.assertEqual(len({source for _, source in self.service.got}), 1000)
        between = {
            (source, to)
            for source, to, _ in self.net.seen
            if PORTAL.host in (source[0], to[0]) and LISTEN[0] in (source[0], to[0])
        }
        self.assertEqual(
            between,
            {
                (("192.0.2.1", 6000), ("192.0.2.2", 7000)),
                (("192.0.2.2", 7000), ("192.0.2.1", 6000)),
            },
        )

    def test_nothingReadable(self) -> None:
        """
        What senders say cannot be read between the portals.
        """
        self.far()
        self.near()
        Talker(self.here).say(b"confidential", LISTEN)
        self.net.run(0.5)
        crossing = [p for source, to, p in self.net.seen if source[0] != to[0]]
        self.assertGreater(len(crossing), 3)
        self.assertFalse([p for p in crossing if b"confid" in p.lower()])

    def test_otherSecret(self) -> None:
        """
        A near portal with another secret gets nothing, not even an answer.
        """
        far = self.far(secret=b"another secret, quite as long...")
        self.near()
        Talker(self.here).say(b"hello", LISTEN)
        self.net.run(3)
        self.assertEqual(self.service.got, [])
        self.assertEqual([p for p in self.net.seen if p[0] == ("192.0.2.2", 7000)], [])
        self.assertGreater(far.counts[STRANGERS], 3)
        self.assertEqual(far.peers, 0)

    def test_strangers(self) -> None:
        """
        Packets of each length from a stranger get no reply and make no flow, and
        whoever is at work notices nothing.
        """
        far, near = self.far(), self.near()
        sender, stranger = Talker(self.here), Talker(self.here)
        sender.say(b"before", LISTEN)
        self.net.run(0.5)
        for portal in (("192.0.2.2", 7000), ("192.0.2.1", 6000)):
            for first in (b"", b"\x81", b"\x82", b"\x83", b"\0", b"\1"):
                for length in [*range(21), 57, 77, 100, 1500]:
                    stranger.say((first + self.net.random(length))[:length], portal)
        self.net.run(1)
        sender.say(b"after", LISTEN)
        self.net.run(0.5)
        self.assertEqual(sender.heard, [b"BEFORE", b"AFTER"])
        self.assertEqual(stranger.got, [])
        self.assertEqual((far.peers, len(far.exits)), (1, 1))
        self.assertGreater(far.counts[STRANGERS], 100)
        self.assertGreater(near.counts[STRANGERS], 100)

    @settings(max_examples=60)
    @given(st.lists(st.tuples(st.booleans(), st.binary(max_size=90)), max_size=12))
    def test_anything(self, packets: list[tuple[bool, bytes]]) -> None:
        """
        Whatever comes, in whatever order, a flow goes on and nothing is logged as a
        bug.
        """
        if not self.net.seen:
            self.far()
            self.near()
            self.sender, self.stranger = Talker(self.here), Talker(self.here)
            self.net.run(1)
        for toFar, packet in packets:
            self.stranger.say(packet, ("192.0.2.2", 7000) if toFar else NEAR)
        before = len(self.sender.got)
        self.sender.say(b"hello", LISTEN)
        self.net.run(0.1)
        self.assertEqual(self.sender.heard[before:], [b"HELLO"])
        self.assertEqual(self.stranger.got, [])

    def test_replays(self) -> None:
        """
        All that was ever said between two portals, said again by somebody else, does
        nothing and is answered with nothing.
        """
        self.far()
        self.near()
        sender, stranger = Talker(self.here), Talker(self.there)
        sender.say(b"once", LISTEN)
        self.net.run(0.5)
        for source, to, packet in list(self.net.seen):
            if source[0] != to[0]:
                stranger.say(packet, to)
        self.net.run(0.5)
        self.assertEqual(self.service.heard, [b"once"])
        self.assertEqual(sender.heard, [b"ONCE"])
        self.assertEqual(stranger.got, [])

    def test_keysChange(self) -> None:
        """
        Keys change every two minutes, and not a datagram is lost at that.
        """
        self.far()
        self.near()
        sender = Talker(self.here)
        for number in range(400):
            sender.say(b"%d" % number, LISTEN)
            self.net.run(1)
        expected = [b"%d" % number for number in range(400)]
        self.assertEqual(self.service.heard, expected)
        self.assertEqual(sender.heard, expected)
        openings = [p for _, _, p in self.net.seen if p[:1] == b"\x81"]
        self.assertGreater(len(openings), 3)
        self.assertLess(len(openings), 10)

    def test_roaming(self) -> None:
        """
        When the near portal's address changes on the way, as behind a NAT that was
        restarted, answers follow at once.
        """
        self.far()
        self.near()
        sender = Talker(self.here)
        sender.say(b"one", LISTEN)
        self.net.run(0.5)
        moved = Machine(self.net, "192.0.2.77")
        moved.ports = self.here.ports
        for port in self.here.ports.values():
            port.machine = moved
        sender.say(b"two", LISTEN)
        self.net.run(0.5)
        self.assertEqual(sender.heard, [b"ONE", b"TWO"])

    def test_farRestarts(self) -> None:
        """
        When the far portal was restarted, datagrams get through again within seconds.
        """
        far = self.far()
        self.near()
        sender = Talker(self.here)
        sender.say(b"one", LISTEN)
        self.net.run(0.5)
        far.stopService()
        self.far()
        for _ in range(25):
            sender.say(b"two", LISTEN)
            self.net.run(1)
        self.assertEqual(sender.heard[0], b"ONE")
        self.assertIn(b"TWO", sender.heard)

    def test_farComesLater(self) -> None:
        """
        A near portal may start first.
        """
        self.near()
        self.net.run(60)
        self.far()
        self.net.run(9)
        sender = Talker(self.here)
        sender.say(b"hello", LISTEN)
        self.net.run(0.2)
        self.assertEqual(sender.heard, [b"HELLO"])

    def test_idle(self) -> None:
        """
        A flow that was silent for 90 seconds is gone on both sides, and made anew, with
        another port at the service, when its sender speaks again.
        """
        far, near = self.far(), self.near()
        sender = Talker(self.here)
        (route,) = near.routes()
        sender.say(b"one", LISTEN)
        self.net.run(89)
        self.assertEqual((len(far.exits), len(route.passage)), (1, 1))
        self.net.run(2)
        self.assertEqual((len(far.exits), len(route.passage)), (0, 0))
        sender.say(b"two", LISTEN)
        self.net.run(0.3)
        self.assertEqual(sender.heard, [b"ONE", b"TWO"])
        self.assertEqual(len({source for _, source in self.service.got}), 2)

    def test_fewPackets(self) -> None:
        """
        An idle path is kept open with few packets, and is still there after an hour.
        """
        self.far()
        self.near()
        self.net.run(600)
        begun = len(self.net.seen)
        self.net.run(600)
        self.assertLess(len(self.net.seen) - begun, 40)
        sender = Talker(self.here)
        sender.say(b"hello", LISTEN)
        self.net.run(0.1)
        self.assertEqual(sender.heard, [b"HELLO"])

    def test_longest(self) -> None:
        """
        Datagrams come whole or not at all: the longest that fits, and not one longer,
        which is counted, in either direction.
        """
        far, near = self.far(), self.near()
        sender = Talker(self.here)
        longest = near.settings.longest
        self.assertEqual(longest, 65474)
        for length in (1500, longest, longest + 1):
            sender.say(bytes(length), LISTEN)
            self.net.run(0.3)
        self.assertEqual([len(each) for each in sender.heard], [1500, longest])
        self.assertEqual(near.counts["too long"], 1)
        self.service.say(bytes(longest + 1), self.service.got[0][1])
        self.net.run(0.3)
        self.assertEqual(far.counts["too long"], 1)

    def test_onlyTheService(self) -> None:
        """
        What a stranger sends to a socket of a flow does not reach the sender.
        """
        self.far()
        self.near()
        sender = Talker(self.here)
        sender.say(b"one", LISTEN)
        self.net.run(0.5)
        Talker(self.there).say(b"spoofed", self.service.got[0][1])
        self.net.run(0.5)
        self.assertEqual(sender.heard, [b"ONE"])

    def test_byName(self) -> None:
        """
        Hosts may be names, and are looked up again when the far portal is lost.
        """
        self.net.names["portal.example"] = [("192.0.2.2", 0)]
        self.net.names["service.example"] = [("192.0.2.2", 0)]
        self.far(serve=at("service.example", 9999))
        self.near(leads=((at(*LISTEN), at("portal.example", 7000)),))
        sender = Talker(self.here)
        sender.say(b"hello", LISTEN)
        self.net.run(0.5)
        self.assertEqual(sender.heard, [b"HELLO"])

    def test_portInUse(self) -> None:
        """
        A port that is taken ends the start with a sentence that names the option.
        """
        Talker(self.here, 6000)
        settings = self.settings(bind=at("", 6000))
        portal = NearPortal(settings, self.net.around(self.here))
        error = self.assertRaises(StartFailed, portal.startService)
        self.assertIn("--bind: UDP *:6000 cannot be had", str(error))
        Talker(self.here, 4000)
        settings = self.settings(leads=((at(*LISTEN), PORTAL),))
        portal = NearPortal(settings, self.net.around(self.here))
        self.addCleanup(portal.stopService)
        error = self.assertRaises(StartFailed, portal.startService)
        self.assertIn("--listen: UDP 192.0.2.1:4000 cannot be had", str(error))
