"""
Tests for L{tunnelkit.wire.remotedialer.codec}.
"""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.golden.recorded import names
from tests.wire.remotedialer.replayed import replayed
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.remotedialer.codec import (
    LONGEST,
    LONGEST_SYNC,
    MessageDecoder,
    TooLong,
    decode,
    encode,
    encodeVarint,
)
from tunnelkit.wire.remotedialer.messages import (
    END,
    AddClient,
    Connect,
    Data,
    Error,
    Message,
    Pause,
    RemoveClient,
    Resume,
    Sync,
    Unknown,
)

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
KEYS = TEXT.filter(lambda text: "/" not in text)
MESSAGES: st.SearchStrategy[Message] = st.one_of(
    st.builds(Connect, INT64, KEYS, TEXT),
    st.builds(Data, INT64, st.binary(max_size=200)),
    st.builds(Error, INT64, TEXT),
    st.builds(Pause, INT64),
    st.builds(Resume, INT64),
    st.builds(Sync, st.frozensets(INT64, max_size=9)),
    st.builds(AddClient, KEYS, INT64),
    st.builds(RemoveClient, KEYS, INT64),
)


def fed(
    data: bytes, step: int, decoder: MessageDecoder | None = None
) -> list[Message | Unknown]:
    """
    Read one message that comes in pieces of some bytes, its Data joined.
    """
    decoder = decoder or MessageDecoder()
    got = list[Message | Unknown]()
    for at in range(0, max(len(data), 1), step):
        message = decoder.feed(data[at : at + step], at + step >= len(data))
        if message is None:
            continue
        if got and isinstance(message, Data) and isinstance(got[-1], Data):
            payload = got[-1].payload + message.payload
            got[-1] = Data(message.connection, payload, message.more)
        else:
            got.append(message)
    return got


class GoldenTests(SynchronousTestCase):
    """
    What the real programs said is understood, and said in the same bytes.
    """

    def test_all(self) -> None:
        """
        All messages that were recorded are read, and ours are the same.
        """
        seen = set[type]()
        for name in names("remotedialer"):
            for messages in replayed(name).values():
                for data in messages:
                    number, message = decode(data)
                    assert not isinstance(message, Unknown), name
                    self.assertEqual(encode(number, message), data, name)
                    self.assertEqual(fed(data, 7), [message])
                    seen.add(type(message))
        self.assertEqual(seen, {AddClient, Connect, Data, Error, RemoveClient, Sync})

    def test_sync(self) -> None:
        """
        A real client tells which connections it knows.
        """
        messages = [decode(each)[1] for each in replayed("sync")[1, "c2s"]]
        self.assertEqual(messages[-1], Sync(frozenset((2, 3))))

    def test_dialRefused(self) -> None:
        """
        A real client tells why it could not dial, and the end, and that what was sent
        meanwhile found nobody.
        """
        said = [decode(each)[1] for each in replayed("dial_refused")[1, "c2s"]]
        texts = {each.text for each in said if isinstance(each, Error)}
        refused = "dial tcp 127.0.0.1:21299: connect: connection refused"
        lost = "connection not found client/0/2"
        self.assertEqual(texts, {refused, END, lost})


class DecodeTests(SynchronousTestCase):
    """
    What one side says the other hears, and nothing else.
    """

    def test_bytesOnTheWire(self) -> None:
        """
        The examples of the protocol's description come out.
        """
        for number, message, text in (
            (1, Connect(2, "tcp", "127.0.0.1:80"), "020404b0ea01"),
            (0, Data(2, b""), "000402b0ea01"),
            (0, Error(2, END), "000406454f46"),
            (0, Sync(frozenset((5, 2))), "00001002000000000000000500000000000000"),
            (-1, Pause(1), "01020c"),
            (1 << 63, Resume(64), "ffffffffffffffffff0180010e"),
        ):
            self.assertTrue(encode(number, message).hex().startswith(text), text)

    def test_varints(self) -> None:
        """
        Numbers of all sizes cross, the largest and the smallest too.
        """
        for number, text in (
            (0, "00"),
            (1, "02"),
            (-1, "01"),
            (64, "8001"),
            (15000, "b0ea01"),
            ((1 << 63) - 1, "feffffffffffffffff01"),
            (-(1 << 63), "ffffffffffffffffff01"),
        ):
            self.assertEqual(encodeVarint(number).hex(), text)
        self.assertRaises(ValueError, encodeVarint, 1 << 63)

    @given(INT64, MESSAGES, st.integers(1, 30))
    def test_anyMessage(self, number: int, message: Message, step: int) -> None:
        """
        Whatever is said is heard, in whatever frames it comes.
        """
        data = encode(number, message)
        self.assertEqual(decode(data), (number, message))
        self.assertEqual(fed(data, step), [message])

    @given(st.binary(max_size=60))
    def test_anyBytes(self, noise: bytes) -> None:
        """
        A stranger's bytes are a message or a L{WireError}, nothing else.
        """
        for data in (noise, *(b"\0\0" + bytes([2 * n]) + noise for n in range(10))):
            for read in (decode, lambda each: fed(each, 3)):
                with contextlib.suppress(WireError):
                    read(data)

    def test_everySplit(self) -> None:
        """
        A message comes out the same wherever its frames are cut.
        """
        for message in (
            Connect(2, "tcp", "127.0.0.1:80"),
            Data(1 << 40, b"hello"),
            Error(-5, "no"),
        ):
            data = encode(-(1 << 60), message)
            for cut in range(len(data) + 1):
                decoder, got = MessageDecoder(), list[Message | Unknown]()
                for piece, last in ((data[:cut], False), (data[cut:], True)):
                    if (read := decoder.feed(piece, last)) is not None:
                        got.append(read)
                if isinstance(message, Data):
                    whole = b"".join(e.payload for e in got if isinstance(e, Data))
                    self.assertEqual(whole, message.payload, f"cut at {cut}")
                else:
                    self.assertEqual(got, [message], f"cut at {cut}")

    def test_unknown(self) -> None:
        """
        A message of a later version is passed over.
        """
        self.assertEqual(decode(b"\0\4\x12abc"), (0, Unknown(2, 9)))
        self.assertEqual(fed(b"\0\4\x00abc", 2), [Unknown(2, 0)])

    def test_malformed(self) -> None:
        """
        The log says what was wrong with a message.
        """
        for data, words in (
            (b"", "a message ends within its header"),
            (b"\x00\x04", "a message ends within its header"),
            (b"\x00\x04\x02\xb0\xea", "a message ends within its header"),
            (b"\x00\x04\x04\x00tcp", "a Connect without a slash"),
            (b"\x00\x04\x04\x00\xff/", "a Connect that is not UTF-8"),
            (b"\x00\x00\x08foo", "an AddClient that is not KEY/NUMBER"),
            (b"\x00\x00\x08foo/x", "an AddClient that is not KEY/NUMBER"),
            (b"\x00\x00\x0afoo/bar/1", "a RemoveClient that is not KEY/NUMBER"),
            (b"\x00\x00\x08foo/\xc2\xb2", "an AddClient that is not KEY/NUMBER"),
            (b"\x00\x00\x08foo/--1", "an AddClient that is not KEY/NUMBER"),
            (b"\x00\x00\x08foo/9999999999999999999", "of more than 64 bits"),
            (b"\x00\x00\x10" + bytes(9), "a SyncConnections of 9 bytes, not of 8"),
            (b"\xff" * 9 + b"\x02\0\0", "a number of more than 64 bits"),
            (b"\xff" * 12, "a number of more than 64 bits"),
        ):
            self.assertIn(words, str(self.assertRaises(WireError, decode, data)))
            self.assertIn(words, str(self.assertRaises(WireError, fed, data, 1)))


class MessageDecoderTests(SynchronousTestCase):
    """
    Nothing is kept that need not be, and what is kept is bounded.
    """

    def test_dataIsNotGathered(self) -> None:
        """
        Data comes out piece by piece, and it shows which piece is the last.
        """
        decoder, head = MessageDecoder(), encode(1, Data(2, b""))
        self.assertIsNone(decoder.feed(head[:2], False))
        self.assertIsNone(decoder.feed(head[2:], False))
        for _ in range(100):
            self.assertEqual(decoder.feed(b"abc", False), Data(2, b"abc", more=True))
        self.assertEqual(decoder.feed(b"", True), Data(2, b""))
        self.assertEqual(decoder.feed(encode(2, Pause(2)), True), Pause(2))

    def test_tooLong(self) -> None:
        """
        Who sends an endless message of another kind is told that it is too long.
        """
        for kind, most in ((4, LONGEST), (6, LONGEST), (16, LONGEST_SYNC)):
            decoder = MessageDecoder()
            decoder.feed(bytes([0, 2, kind, *([0] if kind == 4 else [])]), False)
            self.assertIsNone(decoder.feed(bytes(most), False))
            error = self.assertRaises(TooLong, decoder.feed, b"x", False)
            self.assertIn(f"of more than {most} bytes", str(error))

    def test_manyConnections(self) -> None:
        """
        A client with as many connections as a session may have can name them all.
        """
        sync = Sync(frozenset(range(65536)))
        self.assertEqual(fed(encode(0, sync), 4096), [sync])


class EncodeTests(SynchronousTestCase):
    """
    What the other side would cut is refused where it is made.
    """

    def test_tooLong(self) -> None:
        """
        Addresses and keys that would arrive cut, or as something else, are refused.
        """
        encode(0, Connect(1, "unix", "x" * 261))
        encode(0, AddClient("x" * 97, 12))
        for message in (
            Connect(1, "unix", "x" * 262),
            Connect(1, "tcp/", "x"),
            AddClient("x" * 98, 12),
            RemoveClient("a/b", 1),
            Pause(1 << 63),
        ):
            self.assertRaises(ValueError, encode, 0, message)

    def test_longError(self) -> None:
        """
        An error is told however long it is, and no letter is cut in two.
        """
        _, message = decode(encode(0, Error(1, "x" * 99 + "\u00e9\u00e9")))
        self.assertEqual(message, Error(1, "x" * 99))
        _, message = decode(encode(0, Error(1, "\ud800")))
        self.assertEqual(message, Error(1, "?"))
