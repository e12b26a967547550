"""
Tests for L{tunnelkit.wire.portal.sealed}.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.portal.sealed import (
    ANSWER,
    DATA,
    FLOWS,
    INSTANCE,
    LONGEST,
    OPENING,
    Opened,
    Sealer,
    answer,
    derived,
    indexOf,
    makeNoise,
    opening,
    readAnswer,
    readOpening,
)

TOP = Path(__file__).parents[3]
SECRET = b"a shared secret that nobody knows"
NOISE = makeNoise(SECRET, "home")
OPENED = Opened(b"i" * INSTANCE, 2**63, 7)


def sealers() -> tuple[Sealer, Sealer]:
    """
    Make the two ends of a finished handshake.
    """
    packet, initiator = opening(NOISE, os.urandom, OPENED)
    opened, responder = readOpening(NOISE, packet)
    answered, keys = answer(responder, os.urandom, opened.index, 9)
    index, own = readAnswer(initiator, answered)
    return Sealer(own, index), Sealer(keys, opened.index)


class HandshakeTests(SynchronousTestCase):
    """
    Two portals with one secret agree on keys, and a stranger learns nothing.
    """

    def test_thereAndBack(self) -> None:
        """
        The opening and the answer carry what each end has to know of the other.
        """
        packet, initiator = opening(NOISE, os.urandom, OPENED)
        self.assertEqual(packet[0], OPENING)
        opened, responder = readOpening(NOISE, packet)
        self.assertEqual(opened, OPENED)
        answered, _ = answer(responder, os.urandom, 7, 9)
        self.assertEqual((answered[0], indexOf(answered)), (ANSWER, 7))
        self.assertEqual(readAnswer(initiator, answered)[0], 9)
        self.assertLess(len(answered), len(packet), "nobody is worth spoofing")

    def test_names(self) -> None:
        """
        With another secret, or for a portal of another name, an opening is worthless.
        """
        packet, _ = opening(NOISE, os.urandom, OPENED)
        for noise in (makeNoise(SECRET, "away"), makeNoise(SECRET + b".", "home")):
            self.assertRaises(WireError, readOpening, noise, packet)
        self.assertNotEqual(derived(SECRET, "a", "b"), derived(SECRET, "c", "b"))

    def test_everyLength(self) -> None:
        """
        Packets of each length, made up or cut off, are refused.
        """
        packet, initiator = opening(NOISE, os.urandom, OPENED)
        _, responder = readOpening(NOISE, packet)
        answered, _ = answer(responder, os.urandom, 7, 9)
        for length in range(len(packet)):
            for wrong in (packet[:length], os.urandom(length)):
                self.assertRaises(WireError, readOpening, NOISE, wrong)
        for length in range(len(answered)):
            self.assertRaises(WireError, readAnswer, initiator, answered[:length])

    def test_otherContents(self) -> None:
        """
        Who knows the secret and says something else is refused.
        """
        begun = NOISE.initiate(os.urandom, b"hello")
        packet = bytes([OPENING]) + begun.message
        self.assertRaises(WireError, readOpening, NOISE, packet)
        message, _ = NOISE.respond(begun.message).answer(os.urandom, b"hello")
        self.assertRaises(WireError, readAnswer, begun, b"\x82\0\0\0\0" + message)

    def test_index(self) -> None:
        """
        Packets too short for an index have none.
        """
        for length in range(5):
            self.assertRaises(WireError, indexOf, bytes(length))


class DataTests(SynchronousTestCase):
    """
    Datagrams come out as they went in, once, and unread by others.
    """

    @given(st.integers(0, FLOWS - 1), st.binary(max_size=200))
    def test_thereAndBack(self, flow: int, datagram: bytes) -> None:
        """
        Flow and datagram survive, empty datagrams too, in both directions.
        """
        for near, far in (sealers(), sealers()[::-1]):
            packet = near.seal(flow, datagram)
            self.assertEqual(packet[0], DATA)
            self.assertEqual(far.unseal(packet), (flow, datagram, True))

    def test_longest(self) -> None:
        """
        The longest datagram fills the longest packet that UDP carries.
        """
        near, far = sealers()
        packet = near.seal(1, bytes(LONGEST))
        self.assertEqual(len(packet), 65507)
        self.assertEqual(len(far.unseal(packet)[1]), LONGEST)

    def test_index(self) -> None:
        """
        Each end gets the index that it chose.
        """
        near, far = sealers()
        self.assertEqual(indexOf(near.seal(1, b"")), 9)
        self.assertEqual(indexOf(far.seal(1, b"")), 7)

    def test_replayed(self) -> None:
        """
        A packet that was recorded and is sent again does nothing.
        """
        near, far = sealers()
        packets = [near.seal(1, b"%d" % n) for n in range(3)]
        self.assertEqual(far.unseal(packets[2]), (1, b"2", True))
        self.assertEqual(far.unseal(packets[0]), (1, b"0", False))
        for packet in (packets[0], packets[2]):
            self.assertRaises(WireError, far.unseal, packet)
        self.assertEqual(far.unseal(packets[1])[1], b"1")

    def test_spoiled(self) -> None:
        """
        A packet of which a byte was changed, or that is cut off or made up, does
        nothing, and the right one still gets through.
        """
        near, far = sealers()
        packet = near.seal(1, b"datagram")
        # Its index is authenticated too, so nobody can have it read by other keys.
        for at in range(len(packet)):
            wrong = bytearray(packet)
            wrong[at] ^= 1
            self.assertRaises(WireError, far.unseal, bytes(wrong))
        for length in range(len(packet)):
            self.assertRaises(WireError, far.unseal, packet[:length])
            self.assertRaises(WireError, far.unseal, os.urandom(length))
        self.assertEqual(far.unseal(packet)[1], b"datagram")

    def test_reflected(self) -> None:
        """
        A packet that is sent back to where it came from does nothing.
        """
        near, _ = sealers()
        self.assertRaises(WireError, near.unseal, near.seal(1, b"x"))


class DocumentedTests(SynchronousTestCase):
    """
    Who writes a portal in another language has an example to compare with.
    """

    def test_example(self) -> None:
        """
        The example in docs/portals.rst is what the code makes of the same secrets.
        """
        page = (TOP / "docs" / "portals.rst").read_text(encoding="utf-8")
        example = page.partition("   :name: portal-example\n")[2]
        told = dict(re.findall(r"^   ([a-z][a-z ]+?)  +(\S+)$", example, re.MULTILINE))
        noise = makeNoise(told["secret"].encode(), told["name"])
        self.assertEqual(
            derived(told["secret"].encode(), "packets", told["name"]).hex(),
            told["handshake secret"],
        )
        opened = Opened(bytes.fromhex(told["instance"]), int(told["time"]), 1)
        packet, initiator = opening(
            noise, lambda count: bytes.fromhex(told["near private key"]), opened
        )
        self.assertEqual(packet.hex(), told["opening"])
        _, responder = readOpening(noise, packet)
        packet, keys = answer(
            responder, lambda count: bytes.fromhex(told["far private key"]), 1, 2
        )
        self.assertEqual(packet.hex(), told["answer"])
        index, own = readAnswer(initiator, packet)
        self.assertEqual(
            Sealer(own, index).seal(3, b"hello").hex(), told["data from near"]
        )
        self.assertEqual(Sealer(keys, 1).seal(3, b"HELLO").hex(), told["data from far"])
