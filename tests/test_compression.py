"""
Tests of compressed tunnels, from C{--tunnel} to what visitors and services see, with a
whole server and client.
"""

from __future__ import annotations

from typing import Any

from tests.whole import WholeCase
from tests.wire.test_packing import skipUnable
from tunnelkit.relay.wrapping import packed
from tunnelkit.status import TunnelStatus
from tunnelkit.tunnels.tcp import PublicTCP
from tunnelkit.wire import packing

DEFLATE = "tcp:8000:port=9000:name=web:compress=deflate"
ZSTD = "tcp:8000:port=9000:name=web:compress=zstd"
TEXT = b"the same words again and again, " * 200


class Rubbish:
    """
    Packs so that nobody can unpack it.
    """

    def pack(self, data: bytes) -> bytes:
        """
        Leave bytes as they are.
        """
        return data

    def end(self) -> bytes:
        """
        Leave the end away.
        """
        return b""


class CompressedTests(WholeCase):
    """
    Nobody at the two ends notices that a tunnel is compressed.
    """

    def setUp(self) -> None:
        """
        Start a server.
        """
        super().setUp()
        self.serve()

    @property
    def status(self) -> TunnelStatus:
        """
        What the server says of its only tunnel.
        """
        (tunnel,) = self.server.status().tunnels
        return tunnel

    def test_served(self) -> None:
        """
        Visitor after visitor is served, over one work connection, by either kind; what
        crossed the tunnel can be seen.
        """
        for description in (DEFLATE, ZSTD):
            if description is ZSTD and not packing.isAble("zstd"):
                continue
            client = self.publish(description)
            for _ in range(3):
                self.assertServed()
            status = self.status
            self.assertEqual(status.compress, description.rpartition("=")[2])
            self.assertEqual((status.received, status.sent), (18, 18))
            self.assertTrue(status.receivedPacked > 0 and status.sentPacked > 0)
            self.assertEqual(status.failed, 0)
            self.stop(client)

    def test_smaller(self) -> None:
        """
        Text is a tenth of itself, or less, between the two sides; the admin rooms have
        the figures while the stream runs.
        """
        self.publish(DEFLATE)
        visitor = self.visit()
        visitor.say(TEXT)
        self.network.settle()
        service = self.services[-1]
        self.assertEqual(service.heard, TEXT)
        service.say(TEXT)
        self.network.settle()
        self.assertEqual(visitor.heard, TEXT)
        status = self.status
        for plain, crossed in (
            (status.received, status.receivedPacked),
            (status.sent, status.sentPacked),
        ):
            self.assertEqual(plain, len(TEXT))
            self.assertTrue(0 < crossed < len(TEXT) / 10)

    def test_proxy(self) -> None:
        """
        A service that wants to know its visitors reads the header before their words.
        """
        self.publish(f"{DEFLATE}:proxy=v1")
        self.visit().say(b"hello?")
        self.network.settle()
        heard = self.services[-1].heard
        self.assertTrue(heard.startswith(b"PROXY TCP4 "), heard)
        self.assertTrue(heard.endswith(b"\r\nhello?"), heard)

    def test_rubbish(self) -> None:
        """
        A visitor whose words do not arrive as they were sent is reset, with a word on
        whose fault it is; the work connection serves the next one.
        """
        self.publish(DEFLATE)
        patch = self.patch(packed, "PACKERS", {"deflate": Rubbish})
        visitor = self.visit()
        visitor.say(b"hello?")
        self.network.settle()
        self.assertEqual((visitor.heard, visitor.ended), (b"", "reset"))
        lines = self.log.lines("info", "warn")
        said = [line for line in lines if "are reset" in line]
        self.assertEqual(len(said), 1, lines)
        self.assertIn("the server sent bytes that are no deflate (", said[0])
        patch.restore()
        self.assertServed()
        self.assertEqual(self.status.failed, 1)

    def test_truncated(self) -> None:
        """
        An answer that ends before its compressed form does is no answer that ended.
        """
        self.publish(DEFLATE)
        visitor = self.visit()
        visitor.say(b"hello?")
        self.network.settle()
        service = self.services[-1]
        service.say(b"half of the ans")
        self.network.settle()
        self.patch(packing.Deflater, "end", lambda packer: b"")
        service.wire.loseWriteConnection()
        self.network.settle()
        self.assertEqual((visitor.heard, visitor.ended), (b"half of the ans", "reset"))


class RefusedTests(WholeCase):
    """
    A side that cannot compress so says it in words, and serves nobody uncompressed.
    """

    def refusal(self, description: str, lacking: bool = False) -> str:
        """
        Start a client that gives up.

        @param lacking: whether there is no zstd from then on.
        """
        self.serve()
        client = self.client(description)
        if lacking:
            self.patch(packing, "library", lambda: None)
        client.startService()
        self.network.settle()
        (failure,) = self.failures
        self.assertEqual(self.server.status().tunnels, ())
        self.stop(client)
        return failure

    def test_serverLacksZstd(self) -> None:
        """
        The client's user reads what to do on the server.
        """
        skipUnable("zstd")
        self.assertIn(
            "this server has no library for zstd: install tunnelkit[zstd] there, or ask"
            " for compress=deflate",
            self.refusal(ZSTD, lacking=True),
        )

    def test_oldServer(self) -> None:
        """
        A server from before there was compression, which takes no notice of it.
        """
        nothing: Any = ""
        self.patch(PublicTCP, "compress", nothing)
        self.assertIn(
            "the server knows nothing of compression: have it updated",
            self.refusal(DEFLATE),
        )
