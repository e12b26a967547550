"""
Tests for L{tunnelkit.wire.native.frames}.
"""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.wire.native.frames import (
    Data,
    Datagram,
    Done,
    End,
    Frame,
    FrameDecoder,
    Message,
    Reset,
    WireError,
    encode,
)

EXAMPLES: list[Frame] = [
    Message({"type": "start", "stream": 7, "tunnel": "web"}),
    Data(b"GET / HTTP/1.1\r\n\r\n"),
    Datagram(1, b""),
    Reset(7, 2, "local service refused"),
    End(),
    Done(7),
]

U32 = st.integers(0, 2**32 - 1)
FRAMES = st.one_of(
    st.builds(Data, st.binary(min_size=1, max_size=300)),
    st.just(End()),
    st.builds(Message, st.fixed_dictionaries({"type": st.text(max_size=20)})),
    st.builds(Reset, U32, st.integers(0, 65535), st.text(max_size=50)),
    st.builds(Datagram, U32, st.binary(max_size=300)),
    st.builds(Done, U32),
)


def joined(frames: list[Frame]) -> list[Frame]:
    """
    Put neighbouring DATA together, as where it is cut means nothing.
    """
    out: list[Frame] = []
    for frame in frames:
        last = out[-1] if out else None
        if isinstance(frame, Data) and isinstance(last, Data):
            out[-1] = Data(last.payload + frame.payload)
        else:
            out.append(frame)
    return out


class FrameDecoderTests(SynchronousTestCase):
    """
    What a connection carries comes out the other end.
    """

    def test_everySplit(self) -> None:
        """
        Frames come out the same wherever the stream was cut.
        """
        stream = b"".join(map(encode, EXAMPLES))
        for cut in range(len(stream) + 1):
            decoder = FrameDecoder()
            frames = [*decoder.feed(stream[:cut]), *decoder.feed(stream[cut:])]
            self.assertEqual(joined(frames), EXAMPLES, f"cut at {cut}")

    @given(st.lists(FRAMES), st.integers(1, 7))
    def test_anyFrames(self, frames: list[Frame], step: int) -> None:
        """
        Whatever frames one side sends, the other gets those.
        """
        stream = b"".join(map(encode, frames))
        decoder = FrameDecoder()
        got = [
            frame
            for at in range(0, len(stream), step)
            for frame in decoder.feed(stream[at : at + step])
        ]
        self.assertEqual(joined(got), joined(frames))

    @given(st.binary(max_size=200))
    def test_anyBytes(self, noise: bytes) -> None:
        """
        A stranger's bytes are frames or a L{WireError}, nothing else.
        """
        with contextlib.suppress(WireError):
            list(FrameDecoder().feed(noise))

    def test_longDataIsNotGathered(self) -> None:
        """
        A DATA frame of 16 MiB comes out piece by piece.
        """
        decoder = FrameDecoder()
        header = b"\x00\xff\xff\xff"
        self.assertEqual(list(decoder.feed(header + b"abc")), [Data(b"abc")])
        self.assertEqual(list(decoder.feed(b"def")), [Data(b"def")])

    def test_lengthIsCheckedFirst(self) -> None:
        """
        A MESSAGE that announces more than 64 KiB is refused by its header alone.
        """
        decoder = FrameDecoder()
        error = self.assertRaises(WireError, list, decoder.feed(b"\x01\x01\x00\x01"))
        self.assertIn("a MESSAGE of 65537 bytes", str(error))

    def test_unknownType(self) -> None:
        """
        A frame of a type that does not exist is refused by name.
        """
        error = self.assertRaises(
            WireError, list, FrameDecoder().feed(b"\x1f\x00\x00\x00")
        )
        self.assertIn("unknown frame type 31", str(error))

    def test_notJSON(self) -> None:
        """
        Nesting without end, other encodings and C{NaN} are refused like any other
        message that is not JSON.
        """
        for body in (b"[" * 60_000, '{"type": "x"}'.encode("utf-16"), b'{"type": NaN}'):
            stream = (1 << 24 | len(body)).to_bytes(4, "big") + body
            error = self.assertRaises(WireError, list, FrameDecoder().feed(stream))
            self.assertIn("not JSON", str(error))

    def test_framesBeforeTheBrokenOne(self) -> None:
        """
        What came before a broken frame is not lost.
        """
        frames = FrameDecoder().feed(encode(Done(1)) + b"\x01\x00\x00\x02[]")
        self.assertEqual(next(frames), Done(1))
        self.assertRaises(WireError, next, frames)

    def test_rest(self) -> None:
        """
        What has been read beyond the last frame is handed on, once.
        """
        decoder = FrameDecoder()
        list(decoder.feed(encode(End()) + b"\x00\x00"))
        self.assertEqual(decoder.rest(), b"\x00\x00")
        self.assertEqual(decoder.rest(), b"")


class EncodeTests(SynchronousTestCase):
    """
    What is too long is refused where it is made.
    """

    def test_tooLong(self) -> None:
        """
        A payload that the other side would refuse is our own mistake.
        """
        self.assertRaises(ValueError, encode, Data(bytes(1 << 24)))
        self.assertRaises(ValueError, encode, Message({"type": "x" * 65536}))
        self.assertRaises(ValueError, encode, Datagram(1, bytes(65509)))

    def test_longReason(self) -> None:
        """
        A reset is sent however long its reason is.
        """
        (frame,) = FrameDecoder().feed(encode(Reset(1, 2, "x" * 5000)))
        self.assertEqual(frame, Reset(1, 2, "x" * 1024))

    def test_bytesOnTheWire(self) -> None:
        """
        The bytes are those of the protocol's page.
        """
        self.assertEqual(encode(Data(b"hi")), b"\x00\x00\x00\x02hi")
        self.assertEqual(encode(End()), b"\x00\x00\x00\x00")
        self.assertEqual(encode(Done(258)), b"\x04\x00\x00\x04\x00\x00\x01\x02")
