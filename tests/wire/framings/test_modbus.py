"""
Tests of L{tunnelkit.wire.framings.modbus}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.sharing.world import SharingCase
from tests.wire.framings.decoding import answered, asked, splits
from tunnelkit.wire.framings.contract import (
    Local,
    Refusal,
    Reply,
    Request,
    Stray,
    Trouble,
)
from tunnelkit.wire.framings.modbus import Modbus, makeModbus
from tunnelkit.wire.native.frames import WireError

READ = bytes.fromhex("0001 0000 0006 11 03 006b 0003")
WRITE = bytes.fromhex("0001 0000 0006 11 06 0001 0003")


def told(transaction: int, rest: str) -> bytes:
    """
    Give a frame.

    @param rest: unit, function and data, hexadecimal.
    """
    body = bytes.fromhex(rest)
    return (
        transaction.to_bytes(2, "big") + b"\0\0" + len(body).to_bytes(2, "big") + body
    )


class RequestTests(SynchronousTestCase):
    """
    What a client says.
    """

    def test_everySplit(self) -> None:
        """
        Requests come out whole wherever they were cut; what only reads may be asked
        twice, what writes may not.
        """
        expected = [Request(data=READ, repeatable=True), Request(data=WRITE)]
        for pieces in splits(READ + WRITE + READ[:9]):
            decoder = Modbus().requests(False)
            self.assertEqual(asked(decoder, *pieces), expected)
            self.assertEqual(decoder.partial, 9)

    def test_writes(self) -> None:
        """
        No function that changes anything is asked twice: neither known ones nor those
        of somebody's own, nor what is tunneled to a bus, which may be anything but for
        what a device is.
        """
        reads = {1, 2, 3, 4, 7, 11, 12, 17, 20, 24}
        for function in range(256):
            (request,) = asked(Modbus().requests(False), told(1, f"11 {function:02x}"))
            assert isinstance(request, Request)
            self.assertEqual(request.repeatable, function in reads, function)
        for rest, repeatable in (("2b 0e 01 00", True), ("2b 0d 00", False)):
            (request,) = asked(Modbus().requests(False), told(1, f"11 {rest}"))
            assert isinstance(request, Request)
            self.assertEqual(request.repeatable, repeatable)

    def test_lengths(self) -> None:
        """
        Lengths of 2 to 254 pass, and no others.
        """
        for length in (2, 254):
            frame = READ[:4] + length.to_bytes(2, "big") + b"\xf7\3" + bytes(length - 2)
            (request,) = asked(Modbus().requests(False), frame)
            self.assertEqual(request, Request(data=frame, repeatable=True))
        for length in (0, 1, 255, 65535):
            header = READ[:4] + length.to_bytes(2, "big")
            found = asked(Modbus().requests(False), header)
            reason = f"the length {length} is not from 2 to 254"
            self.assertEqual(found, [Refusal(reason)])

    def test_protocol(self) -> None:
        """
        Another protocol is refused, and named, as soon as it is seen.
        """
        found = asked(Modbus().requests(False), READ[:2] + b"\0\7")
        reason = "the protocol 0007 is not Modbus, which is 0000"
        self.assertEqual(found, [Refusal(reason)])


class ReplyTests(SynchronousTestCase):
    """
    What the device says.
    """

    def test_transactions(self) -> None:
        """
        All clients begin at 1; the device sees different numbers, and each client gets
        its own back, exceptions too.
        """
        decoder = Modbus().replies(False)
        seen = set()
        for rest in ("11 03 02 002a", "11 83 02"):
            sent = decoder.send(Request(data=READ))
            self.assertEqual(sent[2:], READ[2:])
            ours = int.from_bytes(sent[:2], "big")
            seen.add(ours)
            reply = Reply(data=told(1, rest))
            self.assertEqual(answered(decoder, told(ours, rest)), [reply])
        self.assertEqual(len(seen), 2)

    def test_everySplit(self) -> None:
        """
        Replies come out whole wherever they were cut.
        """
        for pieces in splits(told(1, "11 03 02 002a")):
            decoder = Modbus().replies(False)
            decoder.send(Request(data=b"\xab\xcd" + READ[2:]))
            reply = Reply(data=told(0xABCD, "11 03 02 002a"))
            self.assertEqual(answered(decoder, *pieces), [reply])
            self.assertFalse(decoder.begun)

    def test_stray(self) -> None:
        """
        A reply to another transaction is nobody's, and does no harm to the one that
        is waited for; the same reply once more is nobody's, either.
        """
        decoder = Modbus().replies(False)
        decoder.send(Request(data=READ))
        stray, right = told(77, "11 03 00"), told(1, "11 03 00")
        found = answered(decoder, stray, right, right)
        self.assertEqual(found[1], Reply(data=right))
        for event, number in ((found[0], 77), (found[2], 1)):
            reason = f"a reply to {number}, which nobody waits for"
            self.assertEqual(event, Stray(reason))

    def test_early(self) -> None:
        """
        With C{--pipeline} a device may answer in any order: each client gets its own
        reply, and a second one to the same request is nobody's.
        """
        decoder = Modbus().replies(False)
        clients = [told(7, f"{unit:02x} 03 0000 0001") for unit in (1, 2, 3)]
        sent = [decoder.send(Request(data=each))[:2] for each in clients]
        replies = [told(7, f"{unit:02x} 03 02 0001") for unit in (1, 2, 3)]
        said = [ours + reply[2:] for ours, reply in zip(sent, replies, strict=True)]
        found = answered(decoder, said[2], said[2], said[1])
        self.assertEqual(found, [Stray("a reply to 3, which nobody waits for")])
        found = answered(decoder, said[0])
        self.assertEqual(found, [Reply(data=each) for each in replies])

    def test_wraps(self) -> None:
        """
        After 65,536 requests numbers begin again.
        """
        decoder = Modbus().replies(False)
        for _ in range(65536):
            sent = decoder.send(Request(data=READ))
            answered(decoder, sent[:2] + told(0, "11 03 00")[2:])
        self.assertEqual(decoder.send(Request(data=READ))[:2], b"\0\1")

    @given(st.binary(max_size=600), st.integers(0, 600))
    def test_anything(self, data: bytes, cut: int) -> None:
        """
        Whatever a device says, it is a reply, a stray, or a fault of the protocol.
        """
        decoder = Modbus().replies(False)
        decoder.send(Request(data=READ))
        try:
            found = answered(decoder, data[:cut], data[cut:])
        except WireError:
            return
        self.assertLessEqual(sum(isinstance(each, Reply) for each in found), 1)


class TroubleTests(SynchronousTestCase):
    """
    What a client hears where the device does not answer.
    """

    def test_exceptions(self) -> None:
        """
        It gets an exception with its own transaction, unit and function, as from a
        gateway, and is closed.
        """
        codes = {
            Trouble.DOWN: "0a",
            Trouble.BUSY: "06",
            Trouble.LATE: "0b",
            Trouble.BROKEN: "0b",
            Trouble.STOPPING: "0a",
            Trouble.SLOW: "06",
        }
        self.assertEqual({*codes}, {*Trouble})
        for trouble, code in codes.items():
            found = Modbus().trouble(trouble, Request(data=READ))
            self.assertEqual(found, Local(told(1, f"11 83 {code}"), close=True))
            self.assertEqual(Modbus().trouble(trouble, None), Local(b"", close=True))


class SharingTests(SharingCase):
    """
    Clients of one device, through the core.
    """

    def test_ended(self) -> None:
        """
        Where the device ends what reads is asked once more; what writes is not, and its
        client is told so.
        """
        world = self.world(Modbus(), caution=0)
        client = world.client(READ)
        world.target().end()
        target = world.target()
        ours = target.got
        self.assertEqual(ours[2:], READ[2:])
        target.say(ours[:2] + told(0, "11 03 02 002a")[2:])
        self.assertEqual(client.got, told(1, "11 03 02 002a"))
        client.say(WRITE)
        target.end()
        self.assertEqual((client.got, world.dials), (told(1, "11 86 0b"), []))
        self.assertTrue(client.wire.ended)

    def test_late(self) -> None:
        """
        A late reply never reaches another client, though all use the same transaction,
        and strays are counted.
        """
        world = self.world(Modbus(), replyTimeout=5, caution=0)
        one, two = world.client(READ), world.client(READ)
        late = world.target()
        world.advance(6)
        self.assertEqual((one.got, late.wire.over), (told(1, "11 83 0b"), "reset"))
        target = world.target()
        ours = target.got[:2]
        target.say(told(77, "11 03 00") + ours + told(0, "11 03 00")[2:])
        self.assertEqual(two.got, told(1, "11 03 00"))
        self.assertEqual(world.pool.tally.strays, 1)


class MakeTests(SynchronousTestCase):
    """
    C{--protocol modbus-tcp}.
    """

    def test_options(self) -> None:
        """
        It takes none, and says so.
        """
        self.assertIsInstance(makeModbus([], {}), Modbus)
        for arguments, options in ((["x"], {}), ([], {"unit": "1"})):
            with self.assertRaises(ValueError):
                makeModbus(arguments, options)
