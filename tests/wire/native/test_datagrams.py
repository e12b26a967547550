"""
Tests for L{tunnelkit.wire.native.datagrams}.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.wire.native.codec import said
from tunnelkit.wire.native.datagrams import (
    LARGEST,
    DatagramDecoder,
    Run,
    flowOf,
    framed,
)
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
from tunnelkit.wire.native.messages import Flow, FlowEnd

Heard: TypeAlias = list[Frame]

ANNOUNCED = Message({"type": "flow", "id": 1, "tunnel": "dns", "visitor": ""})
EXAMPLES: Heard = [
    ANNOUNCED,
    Datagram(1, b"one"),
    Datagram(1, b"two"),
    Datagram(2, b"two"),
    Datagram(2, b"longer"),
    Datagram(1, b""),
    Datagram(1, b""),
    Message({"type": "flow-end", "id": 2}),
    Datagram(1, b"last"),
    Reset(7, 9, "over"),
]

FLOWS = st.sampled_from([1, 2, 2**32 - 1])
FRAMES = st.one_of(
    st.builds(Datagram, FLOWS, st.sampled_from([b"", b"abc", b"xyz", b"longer"])),
    st.builds(Datagram, FLOWS, st.binary(max_size=300)),
    st.builds(Message, st.fixed_dictionaries({"type": st.text(max_size=20)})),
    st.builds(Reset, FLOWS, st.integers(0, 65535), st.text(max_size=50)),
)


class Taking:
    """
    Takes the datagrams of one flow.

    @ivar runs: how many came at once, each time.
    """

    def __init__(self, flow: int, heard: Heard) -> None:
        self.runs: list[int] = []
        self._flow = flow
        self._heard = heard

    def take(self, run: Run) -> None:
        """
        Take them.
        """
        self.runs.append(len(run))
        self._heard.extend(Datagram(self._flow, bytes(each)) for each in run)


def decoding(*flows: int) -> tuple[DatagramDecoder, Heard, dict[int, Taking]]:
    """
    Make a decoder, what it tells, and the takers of these flows.
    """
    heard: Heard = []
    takers = {flow: Taking(flow, heard) for flow in flows}
    return DatagramDecoder(takers, heard.append), heard, takers


def written(frames: Sequence[Frame]) -> bytes:
    """
    Give the bytes of frames.
    """
    return b"".join(map(encode, frames))


class DatagramDecoderTests(SynchronousTestCase):
    """
    What one side puts on a carrier comes out at the other.
    """

    def test_everySplit(self) -> None:
        """
        Datagrams and messages come out, in their order, wherever the stream was cut.
        """
        stream = written(EXAMPLES)
        for cut in range(len(stream) + 1):
            decoder, heard, _ = decoding(1, 2)
            decoder.feed(stream[:cut])
            decoder.feed(stream[cut:])
            self.assertEqual(heard, EXAMPLES, f"cut at {cut}")
            self.assertEqual((decoder.rest, decoder.strays), (b"", 0))

    @given(st.lists(FRAMES), st.integers(1, 9))
    def test_anyFrames(self, frames: Heard, step: int) -> None:
        """
        Whatever one side sends, the other gets that, in any pieces.
        """
        stream = written(frames)
        decoder, heard, _ = decoding(1, 2, 2**32 - 1)
        for at in range(0, len(stream), step):
            decoder.feed(stream[at : at + step])
        self.assertEqual(heard, list(FrameDecoder().feed(stream)))

    @given(st.lists(FRAMES, max_size=3), st.binary(max_size=200))
    def test_anyBytes(self, frames: Heard, noise: bytes) -> None:
        """
        A stranger's bytes are frames or a L{WireError}, nothing else, and what came
        before them is not lost.
        """
        decoder, heard, _ = decoding(1, 2, 2**32 - 1)
        with contextlib.suppress(WireError):
            decoder.feed(written(frames) + noise)
        self.assertEqual(
            heard[: len(frames)], list(FrameDecoder().feed(written(frames)))
        )

    def test_runs(self) -> None:
        """
        Datagrams of one flow and size that follow each other come at once; another
        flow, another size, or a message ends that.
        """
        decoder, _, takers = decoding(1, 2)
        ones, end = [Datagram(1, b"abc")] * 3, Message({"type": "flow-end", "id": 9})
        decoder.feed(written([*ones, Datagram(2, b"abc"), *ones, end, *ones]))
        self.assertEqual((takers[1].runs, takers[2].runs), ([3, 3, 3], [1]))
        decoder.feed(written([*ones, Datagram(1, b"ab"), Datagram(1, b"")]))
        self.assertEqual(takers[1].runs[3:], [3, 1, 1])

    def test_inPlace(self) -> None:
        """
        What was read into a piece of memory comes out of it; only what is not whole
        is kept, to be put before what is read next.
        """
        decoder, heard, _ = decoding(1)
        stream = written([Datagram(1, b"abc"), Datagram(1, b"def")])
        place = memoryview(bytearray(64))
        place[:20] = stream[:20]
        decoder.read(place, 20)
        self.assertEqual((heard, decoder.rest), ([Datagram(1, b"abc")], stream[11:20]))
        place[: len(decoder.rest)] = decoder.rest
        place[9:11] = stream[20:]
        decoder.read(place, 11)
        self.assertEqual(heard[1:], [Datagram(1, b"def")])

    def test_strays(self) -> None:
        """
        Datagrams of a flow that nobody takes are counted and harm nothing.
        """
        decoder, heard, _ = decoding(2)
        frames = [Datagram(1, b"abc")] * 2 + [Datagram(2, b"abc")]
        decoder.feed(written(frames))
        self.assertEqual((heard, decoder.strays), (frames[2:], 2))

    def test_largest(self) -> None:
        """
        The largest datagram that there is passes, with a byte before it; what is longer
        is refused by the header alone.
        """
        decoder, heard, _ = decoding(1)
        frame = framed(1, bytes(LARGEST))
        decoder.feed(frame)
        self.assertEqual(heard, [Datagram(1, bytes(LARGEST))])
        header = (int.from_bytes(frame[:4], "big") + 2).to_bytes(4, "big")
        error = self.assertRaises(WireError, decoder.feed, header)
        self.assertIn("a DATAGRAM of 65513 bytes", str(error))

    def test_streams(self) -> None:
        """
        Frames of a stream do not stand on a carrier, and are named.
        """
        for frame, name in ((Data(b"x"), "DATA"), (End(), "DATA"), (Done(1), "DONE")):
            decoder, heard, _ = decoding(1)
            stream = written([Datagram(1, b"first"), frame, Datagram(1, b"last")])
            error = self.assertRaises(WireError, decoder.feed, stream)
            self.assertEqual(heard, [Datagram(1, b"first")])
            self.assertEqual(str(error), f"a {name} frame on a datagram carrier")

    def test_lengthIsCheckedFirst(self) -> None:
        """
        A message that is too long is refused before it is waited for.
        """
        decoder, _, _ = decoding()
        error = self.assertRaises(WireError, decoder.feed, b"\x01\x01\x00\x01")
        self.assertIn("a MESSAGE of 65537 bytes", str(error))

    def test_stop(self) -> None:
        """
        Nothing more is passed on when a message was the end of the carrier.
        """
        heard: Heard = []

        def told(frame: Frame) -> None:
            heard.append(frame)
            decoder.stop()

        decoder = DatagramDecoder({1: Taking(1, heard)}, told)
        decoder.feed(written([Reset(1, 1, ""), Datagram(1, b"late")]))
        decoder.feed(written([Datagram(1, b"later")]))
        self.assertEqual((heard, decoder.rest), ([Reset(1, 1, "")], b""))

    def test_goesOn(self) -> None:
        """
        What was read ahead of the decoder belongs before what it is fed.
        """
        heard: Heard = []
        stream = written([Datagram(1, b"abc")])
        decoder = DatagramDecoder({1: Taking(1, heard)}, heard.append, stream[:5])
        decoder.feed(stream[5:])
        self.assertEqual(heard, [Datagram(1, b"abc")])


class FramedTests(SynchronousTestCase):
    """
    Datagrams are framed as the protocol's page says.
    """

    def test_framed(self) -> None:
        """
        The quick way to a frame gives the same bytes as the other.
        """
        for flow, datagram in ((1, b""), (2**32 - 1, b"abc"), (7, bytes(LARGEST))):
            frame = framed(flow, datagram)
            self.assertEqual(frame, encode(Datagram(flow, datagram)))
            self.assertEqual(flowOf(frame), flow)

    def test_announced(self) -> None:
        """
        A flow is announced and ended by messages that come out between datagrams.
        """
        decoder, heard, _ = decoding(3)
        flow = Flow(3, "dns", "192.0.2.7:5300", "198.51.100.1:53")
        decoder.feed(said(flow) + framed(3, b"query") + said(FlowEnd(3, "idle")))
        kinds = [type(frame) for frame in heard]
        self.assertEqual(kinds, [Message, Datagram, Message])
