"""
Tests of L{tunnelkit.wire.framings.modbus}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.wire.framings.decoding import answered, asked, splits
from tunnelkit.wire.framings.contract import (
    Local,
    Refusal,
    Reply,
    Request,
    Stray,
    Trouble,
)
from tunnelkit.wire.framings.modbus import EXCEPTIONS, READS, Modbus, makeModbus
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
        No function that changes anything is among those that may be asked twice.
        """
        self.assertFalse(READS & {5, 6, 8, 15, 16, 21, 22, 23})

    def test_lengths(self) -> None:
        """
        Lengths of 2 to 254 pass, and no others.
        """
        for length in (2, 254):
            frame = (
                READ[:4] + length.to_bytes(2, "big") + b"\x11\x03" + bytes(length - 2)
            )
            (request,) = asked(Modbus().requests(False), frame)
            self.assertEqual(request, Request(data=frame, repeatable=True))
        for length in (0, 1, 255, 65535):
            found = asked(
                Modbus().requests(False), READ[:4] + length.to_bytes(2, "big")
            )
            reason = f"the length is {length}, and must be 2 to 254"
            self.assertEqual(found, [Refusal(reason)])

    def test_protocol(self) -> None:
        """
        Another protocol is refused, and named.
        """
        found = asked(Modbus().requests(False), READ[:2] + b"\0\7" + READ[4:])
        self.assertEqual(found, [Refusal("the protocol is 7, and that of Modbus is 0")])


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
            reason = f"a reply to transaction {number}, for which nobody waits"
            self.assertEqual(event, Stray(reason))

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
        gateway, and its connection goes on.
        """
        for trouble, code in EXCEPTIONS.items():
            said = told(1, f"11 83 {code:02x}")
            found = Modbus().trouble(trouble, Request(data=READ))
            self.assertEqual(found, Local(said, close=trouble is Trouble.STOPPING))
        self.assertEqual(set(EXCEPTIONS), set(Trouble))
        self.assertEqual(Modbus().trouble(Trouble.DOWN, None), Local(b"", close=True))


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
