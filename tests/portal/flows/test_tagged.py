"""
Tests of the compatible mode: near and far portal against conversations that udptun's
programs had, and with each other.
"""

from __future__ import annotations

from typing import Any

from tests.portal.net import Machine, NetCase, Talker, at
from tests.portal.recorded import datagrams
from tunnelkit.portal.far import FarPortal
from tunnelkit.portal.near import NearPortal
from tunnelkit.portal.portals import STRANGERS
from tunnelkit.wire.portal.tags import LONGEST

LISTEN = ("192.0.2.1", 21342)
NEAR = ("192.0.2.1", 6000)
FAR = ("192.0.2.2", 7000)


class TaggedCase(NetCase):
    """
    A test with two machines.
    """

    def setUp(self) -> None:
        """
        Make them.
        """
        super().setUp()
        self.here = Machine(self.net, "192.0.2.1")
        self.there = Machine(self.net, "192.0.2.2")

    def near(self, *leads: Any, **given: Any) -> NearPortal:
        """
        Start a near portal.
        """
        leads = leads or ((at(*LISTEN), at(*FAR)),)
        given = {"leads": leads, "bind": at("", 6000), "longest": 1498, **given}
        settings = self.settings(secret=None, **given)
        portal = NearPortal(settings, self.net.around(self.here))
        return self.running(portal)  # type: ignore[no-any-return]

    def far(self, **given: Any) -> FarPortal:
        """
        Start a far portal.
        """
        given = {"serve": at("192.0.2.2", 21341), "longest": 1498, **given}
        settings = self.settings(secret=None, bind=at("", 7000), **given)
        portal = FarPortal(settings, self.net.around(self.there))
        return self.running(portal)  # type: ignore[no-any-return]

    def crossed(self, source: tuple[str, int]) -> list[bytes]:
        """
        Give what went over the network from a portal to the other machine.
        """
        return [p for s, to, p in self.net.seen if s == source and to[0] != s[0]]


class RecordedTests(TaggedCase):
    """
    Either of our portals talks to a program that is not ours as its own fellow does.
    """

    def near_(self, name: str) -> tuple[NearPortal, list[bytes], list[bytes]]:
        """
        Have local senders do what they did, and the far side answer as it did.

        @return: our near portal, what it sent, and what was recorded.
        """
        portal = self.near()
        senders = {port: Talker(self.here, port) for port in (4660, 9029)}
        far = Talker(self.there, 7000)
        expected = []
        for each in datagrams(name):
            if (each.who, each.event) == ("user", "send"):
                senders[each.source].say(each.payload, LISTEN)
            elif each.who == "far":
                far.say(each.payload, NEAR)
            elif each.who == "near" and not each.forged:
                expected.append(each.payload)
            elif (each.who, each.event) == ("user", "recv"):
                self.net.run(0.05)
                self.assertIn(each.payload, senders[each.to].heard)
            self.net.run(0.05)
        return portal, self.crossed(NEAR), expected

    def far_(self, name: str) -> tuple[FarPortal, list[bytes], list[bytes]]:
        """
        Have the near side do what it did, and the service answer as it did.

        @return: our far portal, what it sent, and what was recorded.
        """
        portal = self.far()
        service = Talker(self.there, 21341)
        talkers: dict[int, Talker] = {}
        sockets: dict[int, Any] = {}
        expected = []
        for each in datagrams(name):
            if each.who == "near":
                talker = talkers.get(each.source) or Talker(self.here)
                talkers[each.source] = talker
                talker.say(each.payload, FAR)
                self.net.run(0.05)
            elif (each.who, each.event) == ("service", "recv"):
                self.assertEqual(service.got[-1][0], each.payload)
                sockets[each.source] = service.got[-1][1]
            elif each.who == "service":
                service.say(each.payload, sockets[each.to])
                self.net.run(0.05)
            elif each.who == "far" and not each.forged:
                expected.append(each.payload)
        return portal, self.crossed(FAR), expected

    def test_nearTags(self) -> None:
        """
        The near portal tags with the senders' ports, little-endian, keeps empty
        datagrams, and passes over an unknown tag and an empty packet.
        """
        portal, sent, expected = self.near_("tags")
        self.assertEqual(sent, expected)
        self.assertEqual(portal.counts["of an unknown flow"], 1)
        self.assertEqual(portal.counts["punches"], 1)

    def test_farTags(self) -> None:
        """
        The far portal answers with the tags that came, at once, and goes on after the
        packet of one byte that was the end of the other program.
        """
        portal, sent, expected = self.far_("tags")
        self.assertEqual(sent, expected)
        self.assertEqual(portal.counts[STRANGERS], 1)
        services = {source for _, source in self.there.ports[21341].protocol.got}  # type: ignore[attr-defined]
        self.assertEqual(len(services), 2)

    def test_nearTruncation(self) -> None:
        """
        What the other program would cut is dropped and counted; all else is the same.
        """
        senders = {port: Talker(self.here, port) for port in (4660, 9029)}
        portal = self.near()
        expected = []
        sends = [
            each
            for each in datagrams("truncation")
            if (each.who, each.event) == ("user", "send")
        ]
        for each in sends:
            senders[each.source].say(each.payload, LISTEN)
            self.net.run(0.05)
        for each in datagrams("truncation"):
            cut = each.payload[2:3] in (b"b", b"c")
            if each.who == "near" and not (cut and len(each.payload) == 1500):
                expected.append(each.payload)
        self.assertEqual(self.crossed(NEAR), expected)
        self.assertEqual(portal.counts["too long"], 2)

    def test_farTruncation(self) -> None:
        """
        An answer of 1498 bytes gets through, longer ones are dropped and counted.
        """
        portal = self.far()
        service = Talker(self.there, 21341)
        near = Talker(self.here)
        near.say(b"\x45\x23hello", FAR)
        self.net.run(0.1)
        for length in (0, 1, 1498, 1499, 1500):
            service.say(bytes(length), service.got[0][1])
        self.net.run(0.1)
        self.assertEqual([len(each) for each in near.heard], [2, 3, 1500])
        self.assertEqual(portal.counts["too long"], 2)


class TogetherTests(TaggedCase):
    """
    Two of ours in the compatible mode.
    """

    def setUp(self) -> None:
        """
        Start a service.
        """
        super().setUp()
        self.service = Talker(self.there, 21341, answers=True)

    def test_samePort(self) -> None:
        """
        Two senders with one port on two addresses are kept apart, and so are senders
        that come in by different ways to the same far portal.
        """
        self.far()
        other = at("192.0.2.1", 21343)
        self.near((at(*LISTEN), at(*FAR)), (other, at(*FAR)))
        second = Machine(self.net, "192.0.2.11")
        one, two = Talker(self.here, 4660), Talker(second, 4660)
        one.say(b"one", LISTEN)
        two.say(b"two", LISTEN)
        one.say(b"three", (other.host, other.port))
        self.net.run(0.2)
        self.assertEqual(one.got, [(b"ONE", LISTEN), (b"THREE", ("192.0.2.1", 21343))])
        self.assertEqual(two.heard, [b"TWO"])
        self.assertEqual(len({source for _, source in self.service.got}), 3)
        self.assertEqual(self.crossed(NEAR)[0], b"\x34\x12one")

    def test_longer(self) -> None:
        """
        Between two of ours longer datagrams may be allowed, up to what UDP carries.
        """
        self.far(longest=LONGEST)
        self.near(longest=LONGEST)
        sender = Talker(self.here)
        for length in (1499, 65505, 65506):
            sender.say(bytes(length), LISTEN)
            self.net.run(0.1)
        self.assertEqual([len(each) for each in sender.heard], [1499, 65505])

    def test_idle(self) -> None:
        """
        After 90 seconds a flow is gone, and its sender gets its own tag again.
        """
        far, near = self.far(), self.near()
        sender = Talker(self.here, 4660)
        sender.say(b"one", LISTEN)
        self.net.run(91)
        self.assertEqual(len(far.exits), 0)
        self.assertEqual([len(route.passage) for route in near.routes()], [0])
        sender.say(b"two", LISTEN)
        self.net.run(0.2)
        self.assertEqual(self.crossed(NEAR), [b"\x34\x12one", b"\x34\x12two"])
        self.assertEqual(sender.heard, [b"ONE", b"TWO"])

    def test_everyLength(self) -> None:
        """
        No packet, however short or strange, ends or disturbs anything.
        """
        far, _ = self.far(), self.near()
        stranger, sender = Talker(self.there), Talker(self.here)
        for length in range(21):
            stranger.say(self.net.random(length), NEAR)
            stranger.say(b"x"[:length], FAR)
        sender.say(b"fine", LISTEN)
        self.net.run(0.2)
        self.assertEqual(sender.heard, [b"FINE"])
        self.assertEqual(far.counts["punches"], 1)

    def test_onlyThePortal(self) -> None:
        """
        An answer from elsewhere than the far portal does not reach the sender.
        """
        near = self.near()
        sender, stranger = Talker(self.here, 4660), Talker(self.there)
        sender.say(b"one", LISTEN)
        self.net.run(0.1)
        stranger.say(b"\x34\x12spoofed", NEAR)
        self.net.run(0.1)
        self.assertEqual(sender.heard, [])
        self.assertEqual(near.counts[STRANGERS], 1)

    def test_bounded(self) -> None:
        """
        One address cannot have more than its share of flows.
        """
        far = self.far()
        near = Talker(self.here)
        for tag in range(4100):
            near.say(tag.to_bytes(2, "little") + b"x", FAR)
            if not tag % 64:
                self.net.run(0.03)
        self.net.run(0.1)
        self.assertEqual(len(far.exits), 4096)
        self.assertEqual(far.counts["flows beyond the bound"], 4)
        other = Talker(self.here)
        other.say(b"\1\1hello", FAR)
        self.net.run(0.1)
        self.assertEqual(other.heard, [b"\1\1HELLO"])
