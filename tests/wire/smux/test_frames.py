"""
Tests for L{tunnelkit.wire.smux.frames}.
"""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.golden.recorded import names, streams
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.smux.frames import Command, Frame, FrameDecoder, encode

U32 = st.integers(0, 2**32 - 1)
FRAMES = st.one_of(
    st.builds(Frame, st.sampled_from([Command.SYN, Command.FIN, Command.NOP]), U32),
    st.builds(Frame, st.just(Command.PSH), U32, st.binary(max_size=300)),
)


class FrameDecoderTests(SynchronousTestCase):
    """
    What a connection carries comes out the other end.
    """

    def test_golden(self) -> None:
        """
        All frames of the real programs are read, and ours are the same.
        """
        seen = set[Command]()
        for name in names("mgrok"):
            for (connection, sender), data in streams("mgrok", name).items():
                if connection == 2:
                    frames = list(FrameDecoder().feed(data))
                    again = b"".join(map(encode, frames))
                    # The recording of the long answer was cut within a frame.
                    cut = len(again) if (name, sender) == ("big", "c2s") else len(data)
                    self.assertEqual(again, data[:cut], (name, sender))
                    seen.update(frame.command for frame in frames)
        self.assertEqual(seen, set(Command))

    def test_everySplit(self) -> None:
        """
        Frames come out the same wherever the stream was cut: one PSH is one message.
        """
        data = streams("mgrok", "session")[2, "s2c"]
        expected = list(FrameDecoder().feed(data))
        for cut in range(len(data) + 1):
            decoder = FrameDecoder()
            got = [*decoder.feed(data[:cut]), *decoder.feed(data[cut:])]
            self.assertEqual(got, expected, f"cut at {cut}")

    @given(st.lists(FRAMES, max_size=6), st.integers(1, 9))
    def test_anyFrames(self, frames: list[Frame], step: int) -> None:
        """
        Whatever one side sends, the other gets that.
        """
        decoder, data = FrameDecoder(), b"".join(map(encode, frames))
        got = [
            frame
            for at in range(0, len(data), step)
            for frame in decoder.feed(data[at : at + step])
        ]
        self.assertEqual(got, frames)

    @given(st.binary(max_size=99), st.binary(max_size=60))
    def test_anyBytes(self, noise: bytes, behind: bytes) -> None:
        """
        A stranger's bytes are frames or a L{WireError}, nothing else.
        """
        for data in (noise, b"\1\2" + noise, b"\1\0\0\0\3\0\0\0" + behind):
            with contextlib.suppress(WireError):
                list(FrameDecoder().feed(data))

    def test_malformed(self) -> None:
        """
        The log says what a peer spoke in place of smux 1, such as TLS.
        """
        for data, words in (
            (b"\x16\x03\x01\x02\x00\x01\x00\x01", "smux of version 22"),
            (b"\x02\x00\x00\x00\x03\x00\x00\x00", "smux of version 2, where version 1"),
            (b"\x01\x04\x08\x00\x03\x00\x00\x00", "smux has no command 4 in version 1"),
        ):
            error = self.assertRaises(WireError, list, FrameDecoder().feed(data))
            self.assertIn(words, str(error))

    def test_framesBeforeTheBrokenOne(self) -> None:
        """
        What came before a broken frame is not lost.
        """
        frames = FrameDecoder().feed(encode(Frame(Command.NOP)) + bytes(8))
        self.assertEqual(next(frames), Frame(Command.NOP))
        self.assertRaises(WireError, next, frames)


class EncodeTests(SynchronousTestCase):
    """
    What the other side could not read is refused where it is made.
    """

    def test_bytesOnTheWire(self) -> None:
        """
        The examples of the protocol's description come out.
        """
        for frame, text in (
            (Frame(Command.SYN, 3), "0100000003000000"),
            (Frame(Command.NOP), "0103000000000000"),
            (Frame(Command.PSH, 3, b"hi"), "01020200030000006869"),
        ):
            self.assertEqual(encode(frame).hex(), text)

    def test_tooLong(self) -> None:
        """
        A frame that would put the other side out of step is our own mistake.
        """
        encode(Frame(Command.PSH, 1, bytes(65535)))
        for frame in (Frame(Command.PSH, 1, bytes(65536)), Frame(Command.FIN, 1, b"x")):
            self.assertRaises(ValueError, encode, frame)
