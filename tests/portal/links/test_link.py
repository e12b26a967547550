"""
Tests for L{tunnelkit.portal.links.link}, L{tunnelkit.portal.links.peers},
L{tunnelkit.portal.links.rings} and L{tunnelkit.portal.links.pace}.
"""

from __future__ import annotations

from collections import Counter
from copy import copy
from struct import pack
from typing import Any

from tests.portal.net import SECRET, Machine, NetCase, Talker, at
from tunnelkit.portal.addresses.sockets import Address
from tunnelkit.portal.far import FarPortal
from tunnelkit.portal.links.link import ASKED, GUESSED, HELD, HELD_FOR, Link, Tie
from tunnelkit.portal.links.pace import FIRST, LEAST, LONGEST, Haste, Pace
from tunnelkit.portal.links.peers import MOST, REMEMBERED, SILENT, Peer, Peers
from tunnelkit.portal.links.rings import KEPT, OFFERED, RENEWED, WORN, Indexes
from tunnelkit.portal.near import NearPortal
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.portal.sealed import INSTANCE, Opened, makeNoise, opening

NOISE = makeNoise(SECRET, "")
FAR: Address = ("192.0.2.2", 7000)
RELAY: Address = ("203.0.113.9", 20417)
LISTEN: Address = ("192.0.2.1", 4000)


class PairCase(NetCase):
    """
    A test with a pair of portals.
    """

    def setUp(self) -> None:
        """
        Start them.
        """
        super().setUp()
        self.here = Machine(self.net, "192.0.2.1")
        self.there = Machine(self.net, "192.0.2.2")
        self.service = Talker(self.there, 9999, answers=True)
        settings = self.settings(serve=at("192.0.2.2", 9999), bind=at("", 7000))
        self.far = self.running(FarPortal(settings, self.net.around(self.there)))
        leads = ((at(*LISTEN), at(*FAR)),)
        settings = self.settings(leads=leads, bind=at("", 6000))
        self.near = self.running(NearPortal(settings, self.net.around(self.here)))
        self.net.run(0.5)
        self.sender = Talker(self.here)

    def say(self, times: int) -> int:
        """
        Say something each second.

        @return: how often that was answered.
        """
        before = len(self.sender.got)
        for _ in range(times):
            self.sender.say(b"hello", LISTEN)
            self.net.run(1)
        return len(self.sender.got) - before


class KeysTests(PairCase):
    """
    Keys are changed in time, or not used any more.
    """

    def openings(self) -> int:
        """
        Count the openings so far.
        """
        return len([p for _, _, p in self.net.seen if p[:1] == b"\x81"])

    def test_renewed(self) -> None:
        """
        Keys are changed after two minutes, by one opening.
        """
        begun = self.openings()
        self.say(int(RENEWED) - 3)
        self.assertEqual(self.openings(), begun)
        self.say(6)
        self.assertEqual(self.openings(), begun + 1)

    def test_worn(self) -> None:
        """
        Keys that cannot be changed are given up after three minutes; then the far
        portal is looked for, and found.
        """
        self.net.lets = lambda source, to, packet: packet[:1] not in (b"\x81", b"\x82")
        self.assertEqual(self.say(int(WORN) - 3), int(WORN) - 3)
        self.assertLess(self.say(10), 5)
        self.net.lets = lambda source, to, packet: True
        self.net.run(9)
        self.assertEqual(self.say(3), 3)

    def test_lostAnswer(self) -> None:
        """
        Where the answer to an opening is lost, the old keys go on, and a new opening
        is sent; not a datagram is lost.
        """
        left = [3]

        def lets(source: Address, to: Address, packet: bytes) -> bool:
            lost = packet[:1] == b"\x82" and left[0] > 0
            left[0] -= lost
            return not lost

        self.net.lets = lets
        self.assertEqual(self.say(140), 140)
        self.assertEqual(left, [0])

    def test_indexes(self) -> None:
        """
        Hours of changes leave nothing behind, on either side.
        """
        self.net.run(3600)
        self.assertLess(len(self.near._indexes._takers), 4)
        self.assertLess(len(self.far._peers._indexes._takers), 4)
        self.near.stopService()
        self.near.startService()
        self.assertLess(len(self.near._indexes._takers), 2)

    def test_late(self) -> None:
        """
        A packet sealed by the old keys is taken for some seconds after a change, and
        not for longer.
        """
        held: list[bytes] = []

        def lets(source: Address, to: Address, packet: bytes) -> bool:
            if to == FAR:
                held.append(packet)
            return to != FAR

        self.say(int(RENEWED) - 3)
        self.net.lets = lets
        for word in (b"late", b"too late"):
            self.sender.say(word, LISTEN)
        self.net.run(0.1)
        self.net.lets = lambda source, to, packet: True
        late, tooLate = held
        self.say(8)
        self.net.hosts[FAR[0]].take(("192.0.2.1", 6000), FAR[1], late)
        self.net.run(KEPT + 1)
        self.net.hosts[FAR[0]].take(("192.0.2.1", 6000), FAR[1], tooLate)
        self.net.run(1)
        self.assertIn(b"late", self.service.heard)
        self.assertNotIn(b"too late", self.service.heard)


class LinkCase(NetCase):
    """
    A test with a link to nobody.
    """

    def setUp(self) -> None:
        """
        Make it.
        """
        super().setUp()
        self.sent: list[tuple[bytes, Address]] = []
        self.counts: Counter[str] = Counter()
        self.indexes = Indexes(self.net.random)
        self.received: list[tuple[int, bytes]] = []
        tie = Tie(
            clock=self.clock,
            now=lambda: 1e9,
            random=self.net.random,
            send=lambda packet, address: not self.sent.append((packet, address)),  # type: ignore[func-returns-value]
            indexes=self.indexes,
            counts=self.counts,
        )
        self.link = Link(tie, NOISE, lambda *got: self.received.append(got))
        self.link.lead([FAR])
        self.link.start()
        self.addCleanup(self.link.stop)


class SeekingTests(LinkCase):
    """
    Who is not there is looked for with patience.
    """

    def test_patience(self) -> None:
        """
        At first there are ten tries in some seconds, after an hour one in eight
        seconds, and never more than a few that are still open.
        """
        self.net.run(6)
        self.assertIn(len(self.sent), range(8, 12))
        self.net.run(3600)
        self.sent.clear()
        self.net.run(80)
        self.assertIn(len(self.sent), range(9, 12))
        self.assertEqual(len(self.indexes._takers), ASKED)

    def test_manyAddresses(self) -> None:
        """
        A far portal with as many addresses as it may have, which is half a second away,
        is reached at each of them.
        """
        addresses = [("10.0.0.9", port) for port in range(1, 9)]
        for reached in (0, 7):
            self.link.stop()
            self.sent.clear()
            self.link.lead(addresses, [RELAY, RELAY])
            self.link.start()
            self.net.run(3)
            answers: list[bytes] = []
            peers = self.peers([], answers)
            openings = [p for p, address in self.sent if address == addresses[reached]]
            peers.opening(openings[-2], ("192.0.2.1", 6000))
            self.net.run(0.5)
            self.indexes.take(answers[0], addresses[reached])
            self.assertEqual(self.link.path, addresses[reached])
            peers.clear()

    def test_guesses(self) -> None:
        """
        Empty packets from the far portal's host, as its NAT may send them, are looked
        after, up to a bound; those from other hosts are not.
        """
        self.net.run(1)
        for port in range(1, 40):
            self.link.punched(("192.0.2.66", port))
            self.link.punched((FAR[0], port))
        targets = {address for _, address in self.sent}
        self.assertEqual(len(targets), 1 + GUESSED)
        self.assertEqual({host for host, _ in targets}, {FAR[0]})

    def test_held(self) -> None:
        """
        What is sent meanwhile waits for two seconds, and there is a bound.
        """
        taken = [self.link.send(1, b"%d" % number) for number in range(HELD + 10)]
        self.assertEqual(taken, [True] * HELD + [False] * 10)
        self.assertEqual(len(self.link._held), HELD)
        far: list[tuple[int, bytes]] = []
        sealers: list[bytes] = []
        peers = self.peers(far, sealers)
        self.net.run(HELD_FOR / 2)
        peers.opening(self.sent[-1][0], ("192.0.2.1", 6000))
        self.indexes.take(sealers[0], FAR)
        for packet, _ in self.sent[-HELD:]:
            peers.indexes.take(packet, ("192.0.2.1", 6000))
        self.assertEqual([data for _, data in far], [b"%d" % n for n in range(10, 26)])
        peers.clear()

    def peers(self, arrived: list[Any], sent: list[bytes]) -> Peers:
        """
        Make a far side.
        """
        return Peers(
            [NOISE],
            self.clock,
            self.net.random,
            lambda packet, address: not sent.append(packet),  # type: ignore[func-returns-value]
            Indexes(self.net.random),
            lambda peer, flow, data: arrived.append((flow, data)),
            lambda peer: None,
        )


class PeersTests(NetCase):
    """
    A far portal keeps to its bounds, whoever comes.
    """

    def setUp(self) -> None:
        """
        Make one.
        """
        super().setUp()
        self.answers: list[bytes] = []
        self.gone: list[Peer] = []
        self.peers = Peers(
            [makeNoise(SECRET, "home"), NOISE],
            self.clock,
            self.net.random,
            lambda packet, address: not self.answers.append(packet),  # type: ignore[func-returns-value]
            Indexes(self.net.random),
            lambda peer, flow, data: None,
            self.gone.append,
        )
        self.addCleanup(self.peers.clear)

    def open(self, instance: int = 1, time: int = 1, name: str = "") -> bytes:
        """
        Have somebody send an opening.
        """
        opened = Opened(instance.to_bytes(INSTANCE, "big"), time, 5)
        packet, _ = opening(makeNoise(SECRET, name), self.net.random, opened)
        self.peers.opening(packet, ("192.0.2.1", 6000))
        return packet

    def test_names(self) -> None:
        """
        It may be called by its name, or by its address without a name, and not by
        another name.
        """
        self.open(1, name="home")
        self.open(2)
        self.assertRaises(WireError, self.open, 3, name="away")
        self.assertEqual(len(self.answers), 2)

    def test_replayed(self) -> None:
        """
        An opening that has come before, or is older than another, is not answered.
        """
        packet = self.open(time=7)
        source = ("192.0.2.66", 6000)
        self.assertRaises(WireError, self.peers.opening, packet, source)
        self.assertRaises(WireError, self.open, 1, 7)
        self.assertRaises(WireError, self.open, 1, 6)
        self.open(1, 8)
        self.assertEqual(len(self.answers), 2)

    def test_worthlessKey(self) -> None:
        """
        An opening with which no key can be agreed on is refused, and leaves nothing.
        """
        opened = Opened(bytes(INSTANCE), 1, 5)
        state = copy(NOISE._begun)
        payload = opened.instance + pack("!QI", opened.time, opened.index)
        packet = b"\x81" + state.mixPublic(bytes(32)) + state.seal(payload)
        source = ("192.0.2.1", 6000)
        self.assertRaises(WireError, self.peers.opening, packet, source)
        self.assertEqual(self.peers.indexes._takers, {})

    def test_bounded(self) -> None:
        """
        With too many near portals the one leaves that was silent for longest, and what
        is remembered of them is bounded too.
        """
        for instance in range(REMEMBERED + 10):
            self.open(instance)
        self.assertEqual(len(self.peers), MOST)
        self.assertEqual(len(self.gone), REMEMBERED + 10 - MOST)
        self.assertEqual(len(self.peers._times), REMEMBERED)
        self.assertEqual(len(self.peers.indexes._takers), MOST)

    def test_offered(self) -> None:
        """
        Who asks for keys again and again and uses none has a bound.
        """
        for time in range(1, 100):
            self.open(1, time)
        self.assertEqual(len(self.peers.indexes._takers), OFFERED)

    def test_silent(self) -> None:
        """
        A near portal that is silent for long is forgotten.
        """
        self.open()
        self.clock.advance(SILENT)
        self.assertEqual((len(self.peers), len(self.gone)), (0, 1))
        self.assertEqual(self.peers.indexes._takers, {})


class PaceTests(NetCase):
    """
    Pings come as seldom as a NAT allows.
    """

    def test_longer(self) -> None:
        """
        Silences get longer while they are outlived, up to what every NAT should allow.
        """
        pace = Pace()
        self.assertEqual(pace.silence, FIRST)
        for _ in range(20):
            pace.held()
        self.assertEqual(pace.silence, LONGEST)

    def test_broke(self) -> None:
        """
        After one that was too long they stay well below it, and above a least one.
        """
        pace = Pace()
        pace.held()
        pace.held()
        tooLong = pace.silence
        pace.broke()
        self.assertLess(pace.silence, tooLong / 1.5)
        for _ in range(20):
            pace.held()
        self.assertLess(pace.silence, tooLong / 1.5)
        for _ in range(20):
            pace.broke()
        self.assertEqual(pace.silence, LEAST)

    def test_haste(self) -> None:
        """
        Tries come quickly at first, then each second, then every eight seconds.
        """
        haste = Haste()
        waits = [haste.delay() for _ in range(30)]
        self.assertEqual(waits[:5], [0.1, 0.2, 0.4, 0.8, 1.0])
        self.assertEqual(waits[10], 1.0)
        self.assertEqual(waits[-1], 8.0)
        haste.reset()
        self.assertEqual(haste.delay(), 0.1)
