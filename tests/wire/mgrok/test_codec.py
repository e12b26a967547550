"""
Tests for L{tunnelkit.wire.mgrok.codec}.
"""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.golden.recorded import meta, names, streams
from tunnelkit.wire.mgrok.codec import (
    DatagramDecoder,
    HeadDecoder,
    encode,
    encodeDatagram,
    parseControl,
    parseHandshake,
)
from tunnelkit.wire.mgrok.messages import (
    Handshake,
    Heartbeat,
    NewStream,
    Register,
    isGenuine,
)
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.smux.frames import Command, FrameDecoder

PORTS = st.integers(0, 65535)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
REGISTERS = st.builds(Register, st.sampled_from(["tcp", "udp"]), PORTS, PORTS, NAMES)


def pushed(name: str, sender: str) -> dict[int, list[bytes]]:
    """
    Give the PSH frames of each stream of a recorded conversation.
    """
    found: dict[int, list[bytes]] = {}
    for frame in FrameDecoder().feed(streams("mgrok", name)[2, sender]):
        if frame.command == Command.PSH:
            found.setdefault(frame.stream, []).append(frame.payload)
    return found


class GoldenTests(SynchronousTestCase):
    """
    What the real programs said is understood, and said in the same bytes.
    """

    def test_control(self) -> None:
        """
        Each handshake and each Register of a real client is read, and ours are the
        same.
        """
        for name in names("mgrok"):
            first, *others = pushed(name, "c2s")[3]
            handshake = parseHandshake(first)
            self.assertEqual(encode(handshake), first)
            said = meta("mgrok", name)
            right = said["client_token"] == said["server_token"]
            self.assertEqual(isGenuine(handshake, said["server_token"]), right)
            wanted = {
                Register(p["type"], p["remote_port"], p["local_port"], p["name"])
                for p in said["proxies"]
            }
            self.assertEqual(set(map(parseControl, others)), wanted, name)
            self.assertEqual([encode(parseControl(each)) for each in others], others)

    def test_streams(self) -> None:
        """
        The beginning of each stream of a real server is read, and ours are the same.
        """
        found = 0
        for name in ("big", "closes", "port_busy", "session"):
            for stream, (first, *_) in pushed(name, "s2c").items():
                head = HeadDecoder().feed(first)
                assert head is not None
                self.assertEqual(head.stream, stream)
                self.assertEqual(encode(head), first)
                found += 1
        self.assertEqual(found, 9)

    def test_datagrams(self) -> None:
        """
        Datagrams, also empty ones, are read both ways, and ours are cut into the same
        frames.
        """
        for sender, begin in (("s2c", 1), ("c2s", 0)):
            found = list[bytes]()
            for stream in (4, 6, 8):
                frames = pushed("session", sender)[stream][begin:]
                (payload,) = DatagramDecoder().feed(b"".join(frames))
                self.assertEqual(list(encodeDatagram(payload)), frames)
                found.append(payload)
            self.assertEqual(found, [b"datagram", b"second", b""])


class ControlTests(SynchronousTestCase):
    """
    One PSH of the control stream is one message, or is refused by name.
    """

    def test_bytesOnTheWire(self) -> None:
        """
        The examples of the protocol's description come out.
        """
        for message, text in (
            (Handshake(b"abc"), "4752543101616263"),
            (Register("tcp", 8000, 8080, "web"), "01011f401f90776562"),
            (NewStream(2, 8000, "web"), "02000000021f4003776562"),
            (Heartbeat(), "05"),
        ):
            self.assertEqual(encode(message).hex(), text)

    @given(REGISTERS)
    def test_anyRegister(self, register: Register) -> None:
        """
        Whatever a client of ours asks for, our server hears that.
        """
        self.assertEqual(parseControl(encode(register)), register)

    @given(st.binary(min_size=1, max_size=1019))
    def test_anyToken(self, token: bytes) -> None:
        """
        Any secret can be used that the program can use.
        """
        self.assertEqual(parseHandshake(encode(Handshake(token))), Handshake(token))

    def test_heartbeat(self) -> None:
        """
        A heartbeat is known by its one byte.
        """
        self.assertEqual(parseControl(b"\x05"), Heartbeat())

    @given(st.binary(max_size=60))
    def test_anyBytes(self, noise: bytes) -> None:
        """
        A stranger's bytes are a message or a L{WireError}, nothing else.
        """
        for data in (noise, b"GRT1" + noise, b"\1\1" + noise, b"\2\0\0\0\2" + noise):
            for read in (parseHandshake, parseControl, HeadDecoder().feed):
                with contextlib.suppress(WireError):
                    read(data)

    def test_handshakes(self) -> None:
        """
        The log says why a handshake was refused.
        """
        for data, words in (
            (b"", "a handshake of no bytes"),
            (b"GRT", "does not begin with GRT1"),
            (b"GRT1", "does not begin with GRT1"),
            (b"GRT2\x01abc", "does not begin with GRT1"),
            (b"GRT1\x02abc", "by method 2"),
            (b"GRT1\x01", "without a token"),
            (b"GRT1\x01" + bytes(1020), "a handshake of 1025 bytes"),
        ):
            error = self.assertRaises(WireError, parseHandshake, data)
            self.assertIn(words, str(error))

    def test_controls(self) -> None:
        """
        The log says why a message was refused.
        """
        for data, words in (
            (b"", "a message of no bytes"),
            (b"\x03\x00", "a message of type 3"),
            (b"\x05\x05", "a message of type 5"),
            (b"\x01\x01\x00\x01\x00", "a Register of 5 bytes is cut off"),
            (b"\x01\x03\x00\x01\x00\x01a", "a Register of kind 3"),
            (b"\x01\x01\x00\x01\x00\x01\xff", "a name that is not UTF-8"),
            (b"\x01\x01\x00\x01\x00\x01" + b"a" * 256, "with a name of 256 bytes"),
            (b"\x01" + bytes(1024), "a message of 1025 bytes"),
        ):
            error = self.assertRaises(WireError, parseControl, data)
            self.assertIn(words, str(error))

    def test_tooLong(self) -> None:
        """
        What the program would cut or read wrong is refused where it is made.
        """
        encode(Register("tcp", 1, 1, "x" * 255))
        for message in (
            Handshake(bytes(1020)),
            Register("tcp", 1, 1, "x" * 256),
            Register("tcp", 65536, 1, ""),
            Register("sctp", 1, 1, ""),
            NewStream(2, 1, "\u00e9" * 128),
            NewStream(2, -1, ""),
        ):
            self.assertRaises(ValueError, encode, message)


class HeadDecoderTests(SynchronousTestCase):
    """
    A stream says what it is for before it carries anything.
    """

    def test_everySplit(self) -> None:
        """
        It does so wherever it is cut, and a visitor's first bytes are not lost.
        """
        for name in ("", "web", "x" * 255):
            data = encode(NewStream(2, 8000, name)) + b"GET /"
            for cut in range(len(data) + 1):
                decoder, rest = HeadDecoder(), data[cut:]
                head = decoder.feed(data[:cut])
                if head is None:
                    head, rest = decoder.feed(rest), b""
                self.assertEqual(head, NewStream(2, 8000, name), f"cut at {cut}")
                self.assertEqual(decoder.rest() + rest, b"GET /")

    def test_malformed(self) -> None:
        """
        A stream that begins with something else is refused at its first byte.
        """
        error = self.assertRaises(WireError, HeadDecoder().feed, b"\x03")
        self.assertIn("begins with a message of type 3", str(error))
        data = b"\x02\0\0\0\2\0\1\1\xff"
        self.assertRaises(WireError, HeadDecoder().feed, data)


class DatagramDecoderTests(SynchronousTestCase):
    """
    Datagrams keep their edges on a stream.
    """

    @given(st.lists(st.binary(max_size=40), max_size=6), st.integers(1, 9))
    def test_anyDatagrams(self, payloads: list[bytes], step: int) -> None:
        """
        Whatever is sent comes out as it was, wherever it was cut.
        """
        data = b"".join(part for each in payloads for part in encodeDatagram(each))
        decoder = DatagramDecoder()
        got = [
            payload
            for at in range(0, len(data), step)
            for payload in decoder.feed(data[at : at + step])
        ]
        self.assertEqual(got, payloads)

    def test_longest(self) -> None:
        """
        Datagrams of any size cross that there are.
        """
        data = b"".join(encodeDatagram(bytes(65535)))
        self.assertEqual(list(DatagramDecoder().feed(data)), [bytes(65535)])
        self.assertRaises(ValueError, encodeDatagram, bytes(65536))
