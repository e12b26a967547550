"""
Tests for L{tunnelkit.relay.flows.sealed}.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from tests.fakes import TimedCase, random
from tunnelkit.relay.flows.flow import Flow
from tunnelkit.relay.flows.sealed import AGAIN, ASKED, HELD, SealedShape
from tunnelkit.relay.flows.table import FlowTable
from tunnelkit.relay.flows.tally import CORRUPT, LATE, QUEUE
from tunnelkit.wire.endkey import newEndKey
from tunnelkit.wire.native.datagrams import HEAD, Run
from tunnelkit.wire.portal.sealed import LONGEST

KEY: Final = newEndKey(datetime(2027, 1, 1, tzinfo=UTC))


class Side(Flow):
    """
    A flow at one client.

    @ivar crossing: what has left for the other client, oldest first.
    """

    __slots__ = ("crossing",)

    def __init__(self, table: FlowTable) -> None:
        super().__init__(7, 7, table)
        self.crossing: list[bytes] = []

    def ship(self, frame: bytes) -> None:
        """
        Keep what leaves.
        """
        self.crossing.append(frame[HEAD.size :])

    def deliver(self, run: Run) -> None:
        """
        Never used here.
        """

    def say(self, datagram: bytes) -> None:
        """
        Say something to the other client.
        """
        assert self.table.shape is not None
        crossing = self.table.shape.into(datagram, self)
        if crossing is not None:
            self.crossing.append(crossing)

    def hear(self, packet: bytes) -> bytes | None:
        """
        Take what crossed.
        """
        assert self.table.shape is not None
        return self.table.shape.out(packet, self)

    def dropped(self) -> dict[str, int]:
        """
        Say how many datagrams were dropped, by cause.
        """
        return {cause: count for cause, count in self.tally.drops.items() if count}


class SealedCase(TimedCase):
    """
    A flow between two clients of one key.
    """

    def setUp(self) -> None:
        """
        Make both sides.
        """
        super().setUp()
        self.near, self.far = self.side(True), self.side(False)

    def side(self, client: bool, tunnel: str = "dns") -> Side:
        """
        Make one side.
        """
        table = FlowTable(self.clock, lambda flow: None, tunnel)
        table.shape = SealedShape(table.tally, KEY, tunnel, client, self.clock, random)
        side = Side(table)
        table.add(side)
        self.addCleanup(table.clear, "over")
        return side

    def move(self, one: Side, other: Side) -> list[bytes]:
        """
        Bring all that one has said to the other.

        @return: the datagrams that came out there.
        """
        crossing, one.crossing = one.crossing, []
        heard = [other.hear(packet) for packet in crossing]
        return [datagram for datagram in heard if datagram is not None]

    def shake(self) -> None:
        """
        Have the first datagrams cross.
        """
        self.near.say(b"first")
        self.move(self.near, self.far)
        self.move(self.far, self.near)
        self.assertEqual(self.move(self.near, self.far), [b"first"])


class SealedTests(SealedCase):
    """
    Datagrams cross as they are, and nobody in between reads them.
    """

    def test_bothWays(self) -> None:
        """
        The first waits for the handshake and no longer; empty ones and the longest are
        datagrams as well.
        """
        self.shake()
        for datagram in (b"", b"x", bytes(LONGEST)):
            self.near.say(datagram)
            self.assertNotIn(b"first", b"".join(self.near.crossing))
            self.assertEqual(self.move(self.near, self.far), [datagram])
            self.far.say(datagram)
            self.assertEqual(self.move(self.far, self.near), [datagram])
        self.near.say(bytes(LONGEST + 1))
        self.assertEqual((self.near.crossing, self.near.dropped()), ([], {CORRUPT: 1}))

    def test_lost(self) -> None:
        """
        Where the question or the answer is lost it is asked again, and what waited
        arrives in order.
        """
        for word in (b"one", b"two"):
            self.near.say(word)
        self.near.crossing.clear()
        self.clock.advance(AGAIN)
        self.move(self.near, self.far)
        self.far.crossing.clear()
        self.clock.advance(AGAIN)
        self.move(self.near, self.far)
        self.move(self.far, self.near)
        self.assertEqual(self.move(self.near, self.far), [b"one", b"two"])
        self.assertEqual((self.near.dropped(), self.far.dropped()), ({}, {}))

    def test_unanswered(self) -> None:
        """
        What nobody answers is dropped, and the next datagram asks anew.
        """
        for _ in range(HELD + 2):
            self.near.say(b"x")
        for _ in range(ASKED):
            self.clock.advance(AGAIN)
        self.assertEqual(self.near.dropped(), {QUEUE: 2, LATE: HELD})
        self.assertEqual(len(self.near.crossing), ASKED)
        self.near.crossing.clear()
        self.shake()

    def test_speaksFirst(self) -> None:
        """
        A service cannot speak before its visitor has.
        """
        self.far.say(b"x")
        self.assertEqual((self.far.crossing, self.far.dropped()), ([], {QUEUE: 1}))


class HostileTests(SealedCase):
    """
    A server in between can drop, and nothing else.
    """

    def test_again(self) -> None:
        """
        What comes twice is heard once.
        """
        self.shake()
        self.near.say(b"pay")
        (packet,) = self.near.crossing
        self.assertEqual([self.far.hear(packet), self.far.hear(packet)], [b"pay", None])
        self.assertEqual(self.far.dropped(), {CORRUPT: 1})

    def test_changed(self) -> None:
        """
        What was changed anywhere is not heard.
        """
        self.shake()
        self.near.say(b"pay")
        (packet,) = self.near.crossing
        for at in range(len(packet)):
            changed = bytearray(packet)
            changed[at] ^= 1
            if at not in range(1, 5):  # the index, which is the receiver's own matter
                self.assertIsNone(self.far.hear(bytes(changed)), at)
        self.assertEqual(self.far.hear(packet), b"pay")

    def test_junk(self) -> None:
        """
        What is no packet is dropped, at either side and at any time.
        """
        junk = (b"", b"x", b"\x81", b"\x82" * 100, b"\x83" * 100, bytes(60))
        for _ in range(2):
            for side in (self.near, self.far):
                for packet in junk:
                    self.assertIsNone(side.hear(packet))
            self.shake()
            self.near.crossing.clear()
            self.near, self.far = self.side(True), self.side(False)

    def test_openedAgain(self) -> None:
        """
        An opening that is sent once more, when its keys are in use, changes nothing.
        """
        self.near.say(b"first")
        (opening,) = self.near.crossing
        self.move(self.near, self.far)
        self.move(self.far, self.near)
        self.move(self.near, self.far)
        self.far.hear(opening)
        self.assertEqual(self.far.crossing, [])
        self.near.say(b"second")
        self.assertEqual(self.move(self.near, self.far), [b"second"])

    def test_otherTunnel(self) -> None:
        """
        A flow that is brought to another tunnel of the same key is not answered.
        """
        other = self.side(False, "web")
        self.near.say(b"first")
        self.move(self.near, other)
        self.assertEqual((other.crossing, other.dropped()), ([], {CORRUPT: 1}))
