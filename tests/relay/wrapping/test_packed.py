"""
Tests for L{tunnelkit.relay.wrapping.packed}.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from typing import ClassVar, Final, cast

from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.relay import test_tunnel
from tests.relay.memory import MemoryTransport, ScriptedEnd, rawEnd, workEnd
from tests.stage.sockets import receive
from tests.wire.test_packing import MiB, packed, skipUnable, unpacked
from tunnelkit.interfaces import IEnd, Outcome
from tunnelkit.relay.connection import BUFFER
from tunnelkit.relay.streams.join import Join
from tunnelkit.relay.streams.stream import Attachable
from tunnelkit.relay.wrapping.packed import AT_ONCE, PIECE, Packing
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.native.frames import Data, Done, End, encode

TEXT: Final = b"the same words again and again, " * 40


class PackedCase(SynchronousTestCase):
    """
    A visitor's end and a work connection's, of which the test says what happens, and a
    join of the two in which streams are compressed.
    """

    kind: ClassVar[str] = "deflate"

    def setUp(self) -> None:
        """
        Join them.
        """
        skipUnable(self.kind)
        self.clock = Clock()
        self.packing = Packing(self.kind, "the client", self.clock)
        self.visitor = ScriptedEnd()
        self.work = ScriptedEnd(delivers=False)
        self.end = self.packing.end(cast(IEnd, self.work))
        self.join = Join(self.clock)
        self.outcomes: list[Outcome] = []
        self.join.ended.addCallback(self.outcomes.append)
        self.join.start(self.visitor, cast(Attachable, self.end), b"START")
        self.addCleanup(self.assertQuiet)

    def assertQuiet(self) -> None:
        """
        Nothing is left that would keep a reactor busy.
        """
        if not self.outcomes:
            self.join.abort(ResetCode.STOPPING, "")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def turn(self, times: int = 1) -> None:
        """
        Let the reactor turn: what is put off by a turn waits for the next one.
        """
        for _ in range(times):
            for call in [*self.clock.calls]:
                if call.getTime() <= self.clock.seconds():
                    self.clock.calls.remove(call)
                    call.called = 1
                    call.func(*call.args, **call.kw)

    @property
    def seen(self) -> bytes:
        """
        What the visitor got so far.
        """
        return b"".join(did for did in self.visitor.did if isinstance(did, bytes))

    @property
    def sent(self) -> bytes:
        """
        What went into the work connection so far.
        """
        return b"".join(did for did in self.work.did if isinstance(did, bytes))


class DeflateTests(PackedCase):
    """
    Visitors see what they would see without compression.
    """

    def test_contract(self) -> None:
        """
        It is an end like another.
        """
        verifyObject(IEnd, self.end)
        self.assertEqual((self.end.peer, self.end.local), ("a test", "here"))

    def test_opening(self) -> None:
        """
        What opens a stream is not compressed: the other side could not read it.
        """
        self.assertEqual(self.work.did, [("announce", b"START"), "resume"])

    def test_forth(self) -> None:
        """
        What visitors say goes out smaller, at once, and the end behind it.
        """
        self.visitor.hears.received(TEXT)
        self.assertTrue(0 < len(self.sent) < len(TEXT) / 10)
        self.assertEqual(unpacked(self.kind, self.sent), (TEXT, False))
        self.visitor.hears.finished()
        self.assertEqual(unpacked(self.kind, self.sent), (TEXT, True))
        self.assertEqual(self.work.did[-1], "finish")

    def test_back(self) -> None:
        """
        What comes from the service arrives as it was, and the end behind it.
        """
        self.work.hears.received(packed(self.kind, TEXT))
        self.assertEqual(self.seen, TEXT)
        self.work.hears.finished()
        self.assertEqual(self.visitor.did[-1], "finish")

    def test_eachDirection(self) -> None:
        """
        A visitor that has said all still gets the answer, which owes nothing to what
        was said in the other direction.
        """
        self.visitor.hears.received(TEXT)
        self.visitor.hears.finished()
        self.work.hears.received(packed(self.kind, TEXT))
        self.work.hears.finished()
        self.assertEqual(self.seen, TEXT)
        self.visitor.hears.delivered()
        self.assertEqual(self.outcomes, [Outcome()])

    def test_silent(self) -> None:
        """
        Who says nothing has that said, in a compressed stream of no bytes.
        """
        self.visitor.hears.finished()
        self.assertEqual(unpacked(self.kind, self.sent), (b"", True))

    def test_lastEnd(self) -> None:
        """
        Where the join leaves the last end to the work connection, the compressed
        stream ends all the same.
        """
        self.work.hears.received(packed(self.kind))
        self.work.hears.finished()
        self.visitor.hears.received(b"last words")
        self.visitor.hears.delivered()
        self.visitor.hears.finished()
        self.assertEqual(self.work.did[-1], "release")
        self.assertEqual(unpacked(self.kind, self.sent), (b"last words", True))
        self.assertEqual(self.outcomes, [Outcome()])

    def test_counts(self) -> None:
        """
        The admin page shows bytes as visitors see them, and what crossed the tunnel.
        """
        self.visitor.hears.received(TEXT)
        answer = packed(self.kind, TEXT)
        self.work.hears.received(answer[:-1])
        self.assertEqual((self.join.forth, self.join.back), (len(TEXT), len(TEXT)))
        self.assertEqual(self.packing.written, len(self.sent))
        self.assertEqual(self.packing.read, len(answer) - 1)

    def test_reset(self) -> None:
        """
        A reset passes through, in both directions, with nothing behind it.
        """
        self.work.hears.failed(ResetCode.REFUSED, "refused")
        self.assertEqual(
            self.outcomes, [Outcome(ResetCode.REFUSED, "refused")], self.work.did
        )
        self.assertEqual(self.visitor.did[-2:], [(2, "refused"), "release"])
        self.assertEqual(self.sent, b"")

    def test_visitorResets(self) -> None:
        """
        So does a visitor's; what comes for them is nobody's any more.
        """
        self.visitor.hears.received(TEXT)
        before = self.sent
        self.visitor.hears.failed(ResetCode.PEER, "gone")
        self.assertEqual(self.work.did[-2:], [(1, "gone"), "release"])
        self.work.hears.received(b"rubbish, even")
        self.work.hears.finished()
        self.assertEqual(self.sent, before)
        self.assertEqual(self.outcomes, [Outcome(ResetCode.PEER, "gone")])

    def test_backpressure(self) -> None:
        """
        A work connection that takes no more stops the visitor.
        """
        self.work.hears.blocked()
        self.assertEqual(self.visitor.did[-1], "pause")
        self.work.hears.ready()
        self.assertEqual(self.visitor.did[-1], "resume")

    def test_visitorPauses(self) -> None:
        """
        A visitor that reads no more gets no more, though the bytes are here; then it
        goes on, and the end comes behind them.
        """
        self.visitor.hears.blocked()
        self.work.hears.received(packed(self.kind, TEXT))
        self.work.hears.finished()
        self.assertEqual(self.seen, b"")
        self.visitor.hears.ready()
        self.assertEqual(self.seen, TEXT)
        self.assertEqual(self.visitor.did[-1], "finish")

    def test_resetOvertakes(self) -> None:
        """
        What waits for a visitor that does not read keeps no reset from them.
        """
        self.visitor.hears.blocked()
        self.work.hears.received(packed(self.kind, TEXT))
        self.work.hears.failed(ResetCode.LOST, "lost")
        self.assertEqual(self.outcomes, [Outcome(ResetCode.LOST, "lost")])
        self.assertEqual(self.seen, b"")


class BombTests(PackedCase):
    """
    A few bytes that unpack to very many fill no memory and delay nobody.
    """

    def setUp(self) -> None:
        """
        Make some.
        """
        super().setUp()
        self.bomb = packed(self.kind, bytes(16 * MiB))
        self.assertTrue(len(self.bomb) < BUFFER)

    def test_turns(self) -> None:
        """
        Others have their turn in between, and the work connection rests meanwhile.
        """
        self.work.hears.received(self.bomb)
        self.work.hears.finished()
        for turn in range(1, 16 * MiB // AT_ONCE + 1):
            self.assertEqual(len(self.seen), turn * AT_ONCE)
            self.assertEqual(self.work.did[-1], "pause")
            self.turn()
        self.assertEqual(self.visitor.did[-1], "finish")
        pieces = [len(did) for did in self.visitor.did if isinstance(did, bytes)]
        self.assertEqual(max(pieces), PIECE)

    def test_goesOn(self) -> None:
        """
        When all is passed on the work connection is read from again.
        """
        self.work.hears.received(self.bomb[:-1])
        self.turn(16 * MiB // AT_ONCE)
        self.assertEqual(len(self.seen), 16 * MiB)
        self.assertEqual(self.work.did[-1], "resume")

    def test_blocked(self) -> None:
        """
        A visitor that does not read costs one piece, however long that lasts.
        """

        class Full(ScriptedEnd):
            def write(self, data: bytes) -> None:
                super().write(data)
                self.hears.blocked()

        visitor, work = Full(), ScriptedEnd(delivers=False)
        join = Join(self.clock)
        end = self.packing.end(cast(IEnd, work))
        join.start(visitor, cast(Attachable, end), b"")
        work.hears.received(self.bomb)
        for number in range(1, 4):
            self.turn(10)
            got = [did for did in visitor.did if isinstance(did, bytes)]
            self.assertEqual([len(each) for each in got], [PIECE] * number)
            self.assertEqual(work.did[-1], "pause")
            visitor.hears.ready()
        join.abort(ResetCode.STOPPING, "")

    def test_resetBetween(self) -> None:
        """
        A visitor that goes in the midst of it is gone; nothing is unpacked for them.
        """
        self.work.hears.received(self.bomb)
        self.visitor.hears.failed(ResetCode.PEER, "gone")
        before = len(self.seen)
        self.turn(3)
        self.assertEqual(len(self.seen), before)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_pausedBetween(self) -> None:
        """
        Who reads no more while others have their turn gets nothing before they do.
        """
        self.work.hears.received(self.bomb)
        self.visitor.hears.blocked()
        self.turn(3)
        self.assertEqual(len(self.seen), AT_ONCE)
        self.visitor.hears.ready()
        self.assertEqual(len(self.seen), 2 * AT_ONCE)


class WrongTests(PackedCase):
    """
    What does not unpack is a reset, and says who sent it; never a clean end.
    """

    def assertFault(self, words: str) -> None:
        """
        The stream was reset on both sides, with these words.
        """
        (outcome,) = self.outcomes
        self.assertEqual(outcome.code, ResetCode.CORRUPT)
        self.assertIn(words, outcome.reason)
        self.assertTrue(outcome.reason.startswith("the client sent "), outcome.reason)
        for end in (self.visitor, self.work):
            self.assertEqual(end.did[-2:], [(12, outcome.reason), "release"])
            self.assertNotIn("finish", end.did)

    def test_garbage(self) -> None:
        """
        Bytes that were never compressed.
        """
        self.work.hears.received(b"HTTP/1.1 200 OK\r\n\r\n")
        self.assertFault(f"bytes that are no {self.kind} (")

    def test_garbageLater(self) -> None:
        """
        Bytes that are none behind some that were; those arrived.
        """
        self.work.hears.received(packed(self.kind, TEXT)[:-6])
        self.assertEqual(self.seen, TEXT)
        self.work.hears.received(b"\xff" * 40)
        self.assertFault("bytes ")

    def test_truncated(self) -> None:
        """
        An end before the compressed stream's own, wherever.
        """
        stream = packed(self.kind, TEXT)
        for cut in (0, 1, len(stream) // 2, len(stream) - 1):
            if cut:
                PackedCase.setUp(self)
                self.work.hears.received(stream[:cut])
            self.work.hears.finished()
            words = f"an end in the midst of its {self.kind}: some of it is lost"
            self.assertFault(words)

    def test_behindTheEnd(self) -> None:
        """
        Bytes behind the compressed stream's own end.
        """
        self.work.hears.received(packed(self.kind, TEXT) + b"!")
        self.assertFault(f"bytes behind the end of its {self.kind}")

    def test_whileBlocked(self) -> None:
        """
        A visitor that does not read is told when it does.
        """
        self.visitor.hears.blocked()
        self.work.hears.received(b"\xff" * 40)
        self.assertEqual(self.outcomes, [])
        self.visitor.hears.ready()
        self.assertFault(f"bytes that are no {self.kind} (")


class ZstdTests(DeflateTests):
    """
    The same with Zstandard.
    """

    kind = "zstd"


class ZstdBombTests(BombTests):
    """
    The same with Zstandard.
    """

    kind = "zstd"


class ZstdWrongTests(WrongTests):
    """
    The same with Zstandard.
    """

    kind = "zstd"


class DoneTests(SynchronousTestCase):
    """
    A work connection that is done before its visitor has read all serves the next one.
    """

    def setUp(self) -> None:
        """
        Join a visitor and a work connection of the server's.
        """
        self.clock = Clock()
        self.packing = Packing("deflate", "the client", self.clock)
        self.work, self.wire, self.owner = workEnd(client=False, clock=self.clock)

    def visit(self) -> tuple[Join, MemoryTransport]:
        """
        Have a visitor come.
        """
        visitor, transport = rawEnd()
        self.work.begin()
        join = Join(self.clock)
        join.start(visitor, cast(Attachable, self.packing.end(self.work)), b"")
        return join, transport

    def test_reused(self) -> None:
        """
        The slow visitor gets all, and the next one's bytes are their own.
        """
        said = b"".join(struct.pack("!I", number) for number in range(100_000))
        first, slow = self.visit()
        slow.room = 0
        slow.peerEnds()
        slow.settle()
        stream = packed("deflate", said)
        frames = encode(Data(stream)) + encode(Done(1))
        self.wire.peerSends(frames)
        while not self.owner.idles:
            slow.room = BUFFER
            slow.settle()
            self.wire.settle()
        second, quick = self.visit()
        self.wire.peerSends(encode(Data(packed("deflate", b"hello"))) + encode(End()))
        for _ in range(100):
            slow.room = BUFFER
            slow.settle()
            self.wire.settle()
            quick.settle()
            self.clock.advance(0)
        self.assertEqual(slow.take(), said)
        self.assertTrue(slow.ended)
        self.assertEqual(quick.take(), b"hello")
        self.assertEqual(self.successResultOf(first.ended), Outcome())
        second.abort(ResetCode.STOPPING, "")


class DeflateTunnelTests(test_tunnel.PlainTunnelTests):
    """
    All that holds for a tunnel holds for one that compresses.
    """

    compress = "deflate"

    async def test_counted(self) -> None:
        """
        What crosses the tunnel is less than what was said, and counted on both sides.
        """
        await self.open()
        visitor, service = await self.visit()
        data = TEXT * 1000
        sending = deferToThread(visitor.sendall, data)
        sending.addCallback(lambda _: visitor.shutdown(socket.SHUT_WR))
        self.assertEnded(await deferToThread(receive, service), data)
        await sending
        server, client = self.tunnel.server.packing, self.tunnel.client.packing
        assert server is not None and client is not None
        self.assertEqual(server.written, client.read)
        self.assertTrue(0 < server.written < len(data) / 20)

    async def test_neverReads(self) -> None:
        """
        A visitor that never reads stops the service: all between the two is buffers.
        """
        await self.open()
        visitor, service = await self.visit()
        service.settimeout(0.5)
        data, count = os.urandom(MiB), 0
        with contextlib.suppress(TimeoutError):
            while True:
                count += await deferToThread(service.send, data)
                self.assertTrue(count < 100 * MiB, "nothing stops it")
        visitor.close()


class FastDeflateTunnelTests(DeflateTunnelTests):
    """
    So does it where all else takes the fast path, under TLS.
    """

    secure = True
    path = "fast"
    skip = test_tunnel.FAST


class ZstdTunnelTests(DeflateTunnelTests):
    """
    And by Zstandard.
    """

    compress = "zstd"
    path = "fast"

    def setUp(self) -> None:
        """
        See whether that can be tried.
        """
        skipUnable(self.compress)
        super().setUp()
