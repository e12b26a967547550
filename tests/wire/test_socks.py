"""
Tests for L{tunnelkit.wire.socks}.
"""

from __future__ import annotations

from typing import Final

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.wire.socks import LONGEST, Dialogue, Reply, SocksError

HELLO: Final = b"\x05\x01\x00"
REQUEST: Final = b"\x05\x01\x00\x03\x0assh.tunnel\x00\x16"


class DialogueTests(SynchronousTestCase):
    """
    A client says what it wants, in whatever pieces that comes.
    """

    def refused(self, data: bytes) -> SocksError:
        """
        Give why a client is sent away.
        """
        error = self.assertRaises(SocksError, Dialogue().feed, data)
        assert isinstance(error, SocksError)
        return error

    def test_everySplit(self) -> None:
        """
        Wherever the bytes are cut, the name, the port and what is behind come out.
        """
        stream = HELLO + REQUEST + b"SSH-2.0"
        for cut in range(len(stream) + 1):
            dialogue = Dialogue()
            answer = dialogue.feed(stream[:cut]) + dialogue.feed(stream[cut:])
            self.assertEqual(answer, b"\x05\x00")
            self.assertEqual((dialogue.host, dialogue.port), ("ssh.tunnel", 22))
            self.assertEqual(dialogue.rest, b"SSH-2.0")

    def test_byByte(self) -> None:
        """
        So they do where each byte comes alone.
        """
        dialogue = Dialogue()
        answers = [dialogue.feed(bytes([byte])) for byte in HELLO + REQUEST]
        self.assertEqual(b"".join(answers), b"\x05\x00")
        self.assertEqual(dialogue.host, "ssh.tunnel")

    def test_methods(self) -> None:
        """
        A client that can log in, too, is not asked to; one that wants nothing else is
        told that there is no such thing.
        """
        self.assertEqual(Dialogue().feed(b"\x05\x02\x02\x00"), b"\x05\x00")
        self.assertEqual(self.refused(b"\x05\x01\x02").answer, b"\x05\xff")
        self.assertEqual(self.refused(b"\x05\x00").answer, b"\x05\xff")

    def test_old(self) -> None:
        """
        SOCKS 4 is refused in its own words.
        """
        error = self.refused(b"\x04\x01\x00\x16\x7f\x00\x00\x01\x00")
        self.assertEqual(error.answer, b"\x00\x5b\x00\x00\x00\x00\x00\x00")
        self.assertIn("SOCKS 5", str(error))

    def test_others(self) -> None:
        """
        What is no SOCKS gets no answer.
        """
        error = self.refused(b"GET / HTTP/1.1\r\n")
        self.assertEqual(error.answer, b"")

    def test_commands(self) -> None:
        """
        Only CONNECT is there.
        """
        for command in (0, 2, 3, 255):
            error = self.refused(HELLO + bytes([5, command, 0, 1]))
            self.assertEqual(error.answer, b"\x05\x00" + Reply.NO_COMMAND.message)

    def test_addresses(self) -> None:
        """
        Who asks for an address is told to leave names to us.
        """
        for kind, length in ((1, 4), (4, 16)):
            dialogue = Dialogue()
            dialogue.feed(HELLO + bytes([5, 1, 0, kind]) + bytes(length + 1))
            error = self.assertRaises(SocksError, dialogue.feed, b"\x16")
            assert isinstance(error, SocksError)
            self.assertEqual(error.answer, Reply.NOT_ALLOWED.message)
            self.assertIn("socks5h", str(error))
        error = self.refused(HELLO + bytes([5, 1, 0, 9, 9]))
        self.assertEqual(error.answer, b"\x05\x00" + Reply.NO_ADDRESS.message)

    def test_notFive(self) -> None:
        """
        A request of another version is refused.
        """
        error = self.refused(HELLO + b"\x04")
        self.assertEqual(error.answer, b"\x05\x00" + Reply.FAILED.message)

    def test_bound(self) -> None:
        """
        Nobody makes us keep more than is good.
        """
        dialogue = Dialogue()
        dialogue.feed(HELLO + REQUEST)
        dialogue.feed(bytes(LONGEST))
        self.assertRaises(SocksError, dialogue.feed, b"x")

    def test_replies(self) -> None:
        """
        A reply is as RFC 1928 has it.
        """
        self.assertEqual(Reply.SUCCEEDED.message.hex(), "05000001000000000000")
        self.assertEqual(Reply.NOT_ALLOWED.message.hex(), "05020001000000000000")

    @given(st.binary(max_size=600))
    def test_anything(self, data: bytes) -> None:
        """
        Whatever a stranger says, it is understood or refused, nothing else.
        """
        for start in (b"", HELLO, HELLO + b"\x05\x01\x00\x03"):
            try:
                Dialogue().feed(start + data)
            except SocksError as e:
                self.assertTrue(str(e))
