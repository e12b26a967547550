"""
Tests of L{tunnelkit.wire.framings.lengths}.
"""

from __future__ import annotations

from typing import Final

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.wire.framings.decoding import answered, asked, splits
from tunnelkit.wire.framings.contract import Refusal, Reply, Request
from tunnelkit.wire.framings.lengths import makeISO8583, makeLength, makeMPU
from tunnelkit.wire.framings.whole import Whole
from tunnelkit.wire.native.frames import WireError

FRAME: Final = bytes.fromhex("000430383030")
"""The example of the protocol: a body of four bytes."""


class ISO8583Tests(SynchronousTestCase):
    """
    A length of two bytes.
    """

    def test_everySplit(self) -> None:
        """
        Messages come out whole wherever they are cut, byte by byte too; what is half
        there is counted.
        """
        stream = FRAME + b"\0\0" + FRAME + b"\0\x04x"
        frames = [Request(data=each) for each in (FRAME, b"\0\0", FRAME)]
        for pieces in splits(stream):
            decoder = makeISO8583([], {}).requests(False)
            self.assertEqual(asked(decoder, *pieces), frames)
            self.assertEqual(decoder.partial, 3)

    def test_replies(self) -> None:
        """
        Replies as well; and a client gets none before it is whole.
        """
        for pieces in splits(FRAME):
            decoder = makeISO8583([], {}).replies(False)
            self.assertEqual(decoder.send(Request(data=b"x")), b"x")
            self.assertEqual(answered(decoder, *pieces), [Reply(data=FRAME)])

    def test_longest(self) -> None:
        """
        The longest message that there can be passes.
        """
        frame = b"\xff\xff" + bytes(0xFFFF)
        decoder = makeISO8583([], {}).requests(False)
        self.assertEqual(asked(decoder, frame), [Request(data=frame)])

    def test_given(self) -> None:
        """
        It takes no options: C{length} does.
        """
        for make in (makeISO8583, makeMPU):
            with self.assertRaises(ValueError):
                make(["2"], {})


class MPUTests(SynchronousTestCase):
    """
    A length of four digits.
    """

    def test_everySplit(self) -> None:
        """
        Messages come out whole wherever they are cut.
        """
        frame = bytes.fromhex("3030303430383030")
        for pieces in splits(frame + b"0000" + frame):
            decoder = makeMPU([], {}).requests(False)
            frames = [Request(data=each) for each in (frame, b"0000", frame)]
            self.assertEqual(asked(decoder, *pieces), frames)

    def test_strict(self) -> None:
        """
        Nothing but digits is a length, and the first other byte is refused: signs,
        spaces, letters and foreign digits.
        """
        for header in (b"-001", b"+123", b" 12", b"12a4", b"\xb2"):
            for pieces in splits(header):
                decoder = makeMPU([], {}).requests(False)
                (event,) = asked(decoder, *pieces)
                self.assertIsInstance(event, Refusal, header)

    def test_reason(self) -> None:
        """
        The log says which length it was.
        """
        (event,) = asked(makeMPU([], {}).requests(False), b"-001")
        self.assertEqual(event, Refusal("the length b'-001' is not 4 digits"))

    def test_reply(self) -> None:
        """
        Such a reply ends the target's connection.
        """
        decoder = makeMPU([], {}).replies(False)
        decoder.send(Request(data=b"0000"))
        decoder.feed(b"-001")
        self.assertRaises(WireError, decoder.next)


class LengthTests(SynchronousTestCase):
    """
    Lengths of any kind.
    """

    def frames(self, stream: bytes, *arguments: str, **options: str) -> list[bytes]:
        """
        Cut frames, one byte at a time.
        """
        decoder = makeLength([*arguments], options).requests(False)
        found = []
        for event in asked(decoder, *(bytes((byte,)) for byte in stream)):
            assert isinstance(event, Request), event
            found.append(event.data)
        return found

    def test_order(self) -> None:
        """
        The low byte may come first.
        """
        stream = b"\x01\0\0\0a" + b"\x02\0\0\0bc"
        self.assertEqual(self.frames(stream, "4", "little"), [stream[:5], stream[5:]])
        self.assertEqual(self.frames(b"\0\0\x01a", "3"), [b"\0\0\x01a"])

    def test_offset(self) -> None:
        """
        Something may stand before the length.
        """
        frames = [b"XX\0\x01a", b"YY\0\0"]
        self.assertEqual(self.frames(b"".join(frames), "2", "big", offset="2"), frames)

    def test_all(self) -> None:
        """
        The length may count all of the frame; less than its header is refused.
        """
        frames = [b"\0\x03a", b"\0\x02"]
        self.assertEqual(self.frames(b"".join(frames), "2", counts="all"), frames)
        decoder = makeLength(["2"], {"counts": "all"}).requests(False)
        reason = "the length 1 is less than that of its header"
        self.assertEqual(asked(decoder, b"\0\x01"), [Refusal(reason)])

    def test_longest(self) -> None:
        """
        A frame that is too long is refused at its header, before it is there.
        """
        decoder = makeLength(["4"], {}).requests(False)
        reason = "a frame of 65540 bytes, and 65536 is the most"
        self.assertEqual(asked(decoder, b"\0\x01\0\0"), [Refusal(reason)])
        decoder = makeLength(["4"], {"longest": "65540"}).requests(False)
        self.assertEqual(asked(decoder, b"\0\x01\0\0"), [])

    def test_repeat(self) -> None:
        """
        Requests are sent twice only where the user says that they may be.
        """
        for word, repeatable in (("yes", True), ("no", False)):
            decoder = makeLength(["1"], {"repeat": word}).requests(False)
            (event,) = asked(decoder, b"\0")
            self.assertEqual(event, Request(data=b"\0", repeatable=repeatable))

    def test_wrong(self) -> None:
        """
        What cannot be is told with what can.
        """
        for arguments, options, text in (
            ([], {}, "the size of the length is missing: write length:2:big"),
            (["0"], {}, "size=0: give a number from 1 to 8"),
            (["9"], {}, "size=9: give a number from 1 to 8"),
            (["2", "middle"], {}, "'middle' is neither big nor little"),
            (["2", "big", "x"], {}, "'x' is one argument too many"),
            (["2"], {"counts": "some"}, "counts=some: give body or all"),
            (["2"], {"offset": "-1"}, "offset=-1: give a number from 0 to 1024"),
        ):
            with self.assertRaises(ValueError) as caught:
                makeLength(arguments, options)
            self.assertEqual(str(caught.exception), text)

    @given(
        st.lists(st.binary(max_size=40), max_size=5),
        st.sampled_from(["1", "2", "4", "8"]),
        st.sampled_from(["big", "little"]),
        st.lists(st.integers(0, 200)),
    )
    def test_anything(
        self, bodies: list[bytes], size: str, order: str, cuts: list[int]
    ) -> None:
        """
        Whatever messages say, and however the network cuts them, they are the same.
        """
        orders = {"big": "big", "little": "little"}
        frames = [
            len(body).to_bytes(int(size), orders[order]) + body  # type: ignore[arg-type]
            for body in bodies
        ]
        stream = b"".join(frames)
        places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
        pieces = [
            stream[a:b] for a, b in zip(places, [*places[1:], len(stream)], strict=True)
        ]
        framing: Whole = makeLength([size, order], {})
        events = asked(framing.requests(False), *pieces)
        self.assertEqual(events, [Request(data=frame) for frame in frames])
