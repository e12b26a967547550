"""
Tests for L{tunnelkit.wire.pipe.codec}.
"""

from __future__ import annotations

import contextlib
import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.golden.recorded import names, streams
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.pipe.codec import (
    FROM_CLIENT,
    FROM_SERVER,
    LONGEST,
    PacketDecoder,
    encode,
)
from tunnelkit.wire.pipe.packets import (
    Cancel,
    Datagram,
    Exchange,
    Forward,
    Forwarded,
    FromClient,
    FromServer,
    Heartbeat,
    Login,
    Packet,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
NUMBERS = st.integers(-(1 << 63), (1 << 63) - 1)
EXCHANGES = st.builds(Exchange, TEXT, TEXT)
ADDRESSES = st.builds(
    HostPort,
    st.sampled_from(["127.0.0.1", "::1", "fe80::1%eth0"]),
    st.integers(0, 65535),
)
DATAGRAMS = st.builds(Datagram, st.binary(max_size=200), st.none() | ADDRESSES)
OF_CLIENTS: st.SearchStrategy[FromClient] = st.one_of(
    st.builds(Login, TEXT, NUMBERS, TEXT.filter(bool)),
    st.builds(Forward, NUMBERS, TEXT, TEXT, TEXT),
    st.builds(Cancel, TEXT, NUMBERS),
    EXCHANGES,
    DATAGRAMS,
)
OF_SERVERS: st.SearchStrategy[FromServer] = st.one_of(
    st.just(Heartbeat()),
    st.builds(Forwarded, st.booleans(), TEXT),
    EXCHANGES,
    DATAGRAMS,
)


def raw(number: int, payload: bytes) -> bytes:
    """
    Make a packet of anything.
    """
    return bytes([number]) + len(payload).to_bytes(2, "big") + payload


def pieces(stream: bytes, step: int) -> list[bytes]:
    """
    Cut a stream.
    """
    return [stream[at : at + step] for at in range(0, len(stream), step)]


def fromClient(stream: bytes) -> list[FromClient]:
    """
    Read what a client sent, up to where raw bytes follow.
    """
    decoder, found = PacketDecoder(FROM_CLIENT), list[FromClient]()
    for packet in decoder.feed(stream):
        found.append(packet)
        if isinstance(packet, Exchange) and packet.kind == "tcp":
            break
    return found


class GoldenTests(SynchronousTestCase):
    """
    What the real programs said is understood, and said in the same bytes.
    """

    def test_clients(self) -> None:
        """
        A real client's packets are read, whatever follows them, and ours are the same.
        """
        for name in names("pipe"):
            for (connection, sender), data in streams("pipe", name).items():
                if sender == "c2s":
                    packets = fromClient(data)
                    self.assertIsInstance(packets[0], Login)
                    self.assertGreater(len(packets), 1, (name, connection))
                    said = b"".join(map(encode, packets))
                    self.assertEqual(said, data[: len(said)], (name, connection))

    def test_servers(self) -> None:
        """
        A real server's packets are read, and ours are the same.
        """
        seen = set[type]()
        for name in names("pipe"):
            for (_, sender), data in streams("pipe", name).items():
                # What is none of its packets are a visitor's raw bytes.
                if sender == "s2c" and data[0] < 8:
                    packets = list(PacketDecoder(FROM_SERVER).feed(data))
                    seen.update(map(type, packets))
                    self.assertEqual(b"".join(map(encode, packets)), data, name)
        self.assertEqual(seen, {Heartbeat, Forwarded, Exchange, Datagram})

    def test_everySplit(self) -> None:
        """
        It is understood wherever the network cuts it, also within a length, where the
        program itself goes wrong.
        """
        data = streams("pipe", "udp")[1, "s2c"]
        expected = list(PacketDecoder(FROM_SERVER).feed(data))
        for cut in range(len(data) + 1):
            decoder = PacketDecoder(FROM_SERVER)
            got = [*decoder.feed(data[:cut]), *decoder.feed(data[cut:])]
            self.assertEqual(got, expected, f"cut at {cut}")

    def test_rawBytesFollow(self) -> None:
        """
        A service's first bytes, sent right behind the Exchange, are not lost.
        """
        stream = encode(Login("x", 1)) + encode(Exchange("0123abcd", "tcp")) + b"\1hi"
        for cut in range(len(stream) + 1):
            decoder, behind, got = PacketDecoder(FROM_CLIENT), b"", list[Packet]()
            for piece in (stream[:cut], stream[cut:]):
                if got and isinstance(got[-1], Exchange):
                    behind += piece
                    continue
                for packet in decoder.feed(piece):
                    got.append(packet)
                    if isinstance(packet, Exchange):
                        behind = decoder.rest()
                        break
            self.assertEqual((len(got), behind), (2, b"\1hi"), f"cut at {cut}")


class PacketDecoderTests(SynchronousTestCase):
    """
    What one side says the other hears, and nothing else.
    """

    @given(st.lists(OF_CLIENTS, max_size=5), st.integers(1, 90))
    def test_anyFromClient(self, packets: list[FromClient], step: int) -> None:
        """
        Whatever a client of ours says, our server hears that.
        """
        decoder = PacketDecoder(FROM_CLIENT)
        stream = b"".join(map(encode, packets))
        got = [p for piece in pieces(stream, step) for p in decoder.feed(piece)]
        self.assertEqual(got, packets)

    @given(st.lists(OF_SERVERS, max_size=5), st.integers(1, 90))
    def test_anyFromServer(self, packets: list[FromServer], step: int) -> None:
        """
        Whatever our server says, a client of ours hears that.
        """
        decoder = PacketDecoder(FROM_SERVER)
        stream = b"".join(map(encode, packets))
        got = [p for piece in pieces(stream, step) for p in decoder.feed(piece)]
        self.assertEqual(got, packets)

    @given(st.integers(1, 7), st.binary(max_size=60), st.binary(max_size=99))
    def test_anyBytes(self, number: int, payload: bytes, noise: bytes) -> None:
        """
        A stranger's bytes are packets or a L{WireError}, nothing else.
        """
        for stream in (noise, raw(number, payload), raw(number, b'{"a":' + payload)):
            with contextlib.suppress(WireError):
                list(PacketDecoder(FROM_CLIENT).feed(stream))
            with contextlib.suppress(WireError):
                list(PacketDecoder(FROM_SERVER).feed(stream))

    def test_likeGo(self) -> None:
        """
        Names in other letters, unknown and missing fields and C{null} are read as the
        program reads them, and gnar's name of the version is known.
        """
        for body, packet in (
            (
                '{"TOKEN":"t","Version":"v0.0.1-abc","x":[1]}',
                Login("t", 0, "v0.0.1-abc"),
            ),
            ('{"token":null,"timestamp":null}', Login("", 0, "")),
            ("{}", Login("", 0, "")),
            ('{"token":"a","Token":"b"}', Login("b", 0, "")),
        ):
            got = list(PacketDecoder(FROM_CLIENT).feed(raw(1, body.encode())))
            self.assertEqual(got, [packet])

    def test_malformed(self) -> None:
        """
        The log says what was wrong with a packet.
        """
        for stream, words in (
            (raw(1, b"{"), "a Login is not JSON"),
            (raw(1, b"\xff\xfe"), "a Login is not JSON"),
            (raw(5, b"[" * 4000), "a ForwardCancel is not JSON"),
            (raw(1, b"[]"), "a Login is not a JSON object"),
            (raw(1, b'{"token":1}'), "a Login has a token that is not a text"),
            (raw(1, b'{"token":"\\ud800"}'), "a token that is not a text"),
            (raw(1, b'{"timestamp":"1"}'), "a timestamp that is not a whole number"),
            (raw(1, b'{"timestamp":true}'), "a timestamp that is not a whole number"),
            (raw(1, b'{"timestamp":1.5}'), "a timestamp that is not a whole number"),
            (raw(3, b'{"remote_port":' + b"9" * 30 + b"}"), "not a whole number"),
            (raw(3, b'{"remote_port":' + b"9" * 4050 + b"}"), "not a whole number"),
            (raw(7, b'{"payload":"a"}'), "a payload that is not base64"),
            (raw(7, b'{"payload":"\xc3\xa4"}'), "a payload that is not base64"),
            (raw(7, b'{"addr":1}'), "a UDPDatagram has a addr that is not an object"),
            (raw(7, b'{"addr":{"IP":4}}'), "the addr of a UDPDatagram has a ip that"),
            (raw(2, b"{}"), "a packet of type 2, which this side never sends"),
            (raw(0, b""), "a packet of type 0"),
            (b"\xff\x00", ""),
        ):
            decoder = PacketDecoder(FROM_CLIENT)
            if words:
                error = self.assertRaises(WireError, list, decoder.feed(stream))
                self.assertIn(words, str(error))
                self.assertEqual(decoder.rest(), b"")
            else:
                self.assertEqual(list(decoder.feed(stream)), [])

    def test_otherSide(self) -> None:
        """
        A client is not taken in by a server that logs in at it.
        """
        stream = encode(Login("t", 1))
        self.assertRaises(WireError, list, PacketDecoder(FROM_SERVER).feed(stream))

    def test_lengthIsCheckedFirst(self) -> None:
        """
        A stranger has us keep no more than a login is long.
        """
        header = b"\x01\x04\x01"
        self.assertEqual(list(PacketDecoder(FROM_CLIENT).feed(b"\x01\x04\x00{")), [])
        error = self.assertRaises(
            WireError, list, PacketDecoder(FROM_CLIENT).feed(header)
        )
        self.assertIn("a Login of 1025 bytes, at most 1024 may be", str(error))

    def test_packetsBeforeTheBrokenOne(self) -> None:
        """
        What came before a broken packet is not lost.
        """
        packets = PacketDecoder(FROM_CLIENT).feed(encode(Cancel("a", 1)) + raw(9, b""))
        self.assertEqual(next(packets), Cancel("a", 1))
        self.assertRaises(WireError, next, packets)


class EncodeTests(SynchronousTestCase):
    """
    The bytes are those that the programs send.
    """

    def test_bytesOnTheWire(self) -> None:
        """
        The examples of the protocol's description come out.
        """
        self.assertEqual(encode(Heartbeat()), bytes.fromhex("0200027b7d"))
        self.assertEqual(
            encode(Exchange("0123abcd", "tcp")),
            b'\x06\x00\x29{"conn_id":"0123abcd","proxy_type":"tcp"}',
        )

    def test_escapes(self) -> None:
        """
        What Go escapes beyond need is escaped, and what it does not is not.
        """
        said = encode(Cancel('<&>"\\\u2028\u00e9\n\x01\x7f', 1))
        self.assertIn(
            b'"\\u003c\\u0026\\u003e\\"\\\\\\u2028\xc3\xa9\\n\\u0001\x7f"', said
        )
        self.assertEqual(json.loads(said[3:])["proxy_name"][:3], "<&>")

    def test_datagrams(self) -> None:
        """
        A datagram crosses up to some 48 KiB, and one that is longer is refused before
        it is sent.
        """
        most = (LONGEST - len('{"payload":"","addr":null}')) // 4 * 3
        (got,) = PacketDecoder(FROM_SERVER).feed(encode(Datagram(bytes(most))))
        self.assertEqual(got, Datagram(bytes(most)))
        error = self.assertRaises(ValueError, encode, Datagram(bytes(most + 1)))
        self.assertIn("do not fit in a packet", str(error))
