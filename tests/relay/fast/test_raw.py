"""
Tests for L{tunnelkit.relay.fast.raw}, and for what all fast ends share.
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any, cast

from zope.interface.verify import verifyObject

from tests.relay.fast.case import (
    ABLE,
    Gathering,
    GatheringPipes,
    Joined,
    LoopCase,
    MiB,
    Peer,
)
from tests.relay.memory import Heard, ScriptedEnd
from tests.stage.sockets import noise
from tunnelkit.interfaces import IEnd, Outcome
from tunnelkit.relay.bucket import Bucket
from tunnelkit.relay.streams.join import Join
from tunnelkit.wire.codes import ResetCode

if ABLE:
    from tunnelkit.relay.fast.buffer import HEAD, SMALL, VIEW
    from tunnelkit.relay.fast.loop import IN
    from tunnelkit.relay.fast.pipes import SIZE
    from tunnelkit.relay.fast.raw import RawSocket


class RawTests(LoopCase):
    """
    One end, and a join that remembers.
    """

    def heard(self, end: RawSocket) -> Heard:
        """
        Listen to an end as a join does.
        """
        heard = Heard()
        end.attach(heard).resumeReading()
        return heard

    def test_contract(self) -> None:
        """
        An end says who is at the other side, and what address they came to.
        """
        end, peer = self.raw()
        verifyObject(IEnd, end)
        self.assertEqual(end.peer, "192.0.2.7:5000")
        host, port = peer.sock.getpeername()
        self.assertEqual(end.local, f"{host}:{port}")
        end.abort()
        self.assertEqual((end.local, end.unsent()), ("", 0))
        nobody = RawSocket(self.loop, socket.socket())
        self.assertEqual(nobody.peer, "nobody")
        nobody.abort()

    def test_nothingBefore(self) -> None:
        """
        Nothing is read of a visitor who waits, and the loop does not know him.
        """
        end, peer = self.raw()
        peer.send(b"hello")
        self.assertEqual(len(self.loop), 0)
        heard = self.heard(end)
        self.until(lambda: heard.told)
        self.assertEqual((heard.told, end.peer), ([b"hello"], "192.0.2.7:5000"))

    def test_speaksFirst(self) -> None:
        """
        What a visitor said while he was accepted is there at once.
        """
        end, peer = self.raw(first=True)
        peer.send(b"hello")
        self.assertEqual(self.heard(end).told, [b"hello"])

    def test_goneBefore(self) -> None:
        """
        A join with one who has gone hears so at once, and once.
        """
        end, _ = self.raw()
        end.abort()
        end.abort()
        heard = self.heard(end)
        self.assertEqual(heard.told, [(ResetCode.PEER, f"{end.peer} is gone")])
        end.write(b"nobody reads that")
        end.finish()
        end.release()

    def test_reset(self) -> None:
        """
        A reset of theirs is told from an end, whether we read or not.
        """
        for reading in (True, False):
            end, peer = self.raw()
            heard = self.heard(end)
            self.turn()
            if not reading:
                end.pauseReading()
            peer.reset()
            self.until(lambda heard=heard: heard.told)
            reason = f"{end.peer} reset the connection"
            self.assertEqual(heard.told, [(ResetCode.PEER, reason)])

    def test_end(self) -> None:
        """
        Their end is passed on behind their last bytes; ours goes as an end, and the
        connection is closed as one.
        """
        end, peer = self.raw()
        heard = self.heard(end)
        peer.send(b"last")
        peer.end()
        self.until(lambda: "finished" in heard.told)
        self.assertEqual(heard.told, [b"last", "finished"])
        end.write(b"answer")
        self.assertTrue(end.finish())
        end.release()
        self.assertEqual((peer.ends(), peer.got), ("end", b"answer"))

    def test_ourEndFirst(self) -> None:
        """
        After our end they may go on for as long as they like.
        """
        end, peer = self.raw()
        heard = self.heard(end)
        self.assertTrue(end.finish())
        self.assertEqual((peer.ends(), heard.told), ("end", []))
        peer.send(b"still here")
        peer.end()
        self.until(lambda: "finished" in heard.told)
        self.assertEqual(heard.told, [b"still here", "finished"])

    def test_ourReset(self) -> None:
        """
        A stream that failed is a reset outside, never an end.
        """
        end, peer = self.raw()
        heard = self.heard(end)
        end.write(b"half")
        end.reset(ResetCode.LOST, "lost")
        self.assertEqual((peer.ends(), heard.told), ("reset", []))

    def test_bitByBit(self) -> None:
        """
        One that reads slowly gets all, in order, and is not said to be ready before
        the kernel has it; the end follows the last byte.
        """
        end, peer = self.raw(8192)
        heard = self.heard(end)
        data = noise(MiB)
        end.write(data[:-10])
        end.write(data[-10:-5])
        end.write(data[-5:])
        self.assertFalse(end.finish())
        self.assertEqual(heard.told, ["blocked"])
        self.assertGreater(end.unsent(), 0)
        self.assertEqual(peer.reads(len(data)), data)
        self.assertEqual(peer.ends(), "end")
        self.assertEqual(heard.told, ["blocked", "delivered"])

    def test_lastEndWhileFull(self) -> None:
        """
        One that has ended, and reads slowly, gets all before it is closed: its release
        is the last end only where nothing waits for it.
        """
        for size in (10, MiB):
            end, peer = self.raw(8192)
            far, join = ScriptedEnd(delivers=False), Join(self.reactor)
            join.start(far, end, b"")
            peer.end()
            self.until(lambda far=far: "finish" in far.did)
            far.hears.received(noise(size))
            far.hears.finished()
            self.assertEqual("release" in far.did, size == 10)
            self.assertEqual(peer.reads(size), noise(size))
            self.assertEqual(peer.ends(), "end")
            self.assertEqual(self.successResultOf(join.ended), Outcome())

    def test_resetWhileFull(self) -> None:
        """
        One that resets while bytes wait for it takes nothing else along.
        """
        end, peer = self.raw(8192)
        heard = self.heard(end)
        end.write(bytes(MiB))
        end.pauseReading()
        peer.reset()
        self.until(lambda: len(heard.told) > 1)
        self.assertEqual(heard.told[0], "blocked")
        self.assertEqual(heard.told[1][0], ResetCode.PEER)
        end.write(b"nobody reads that")

    def test_staleEvents(self) -> None:
        """
        An event that was meant for another connection with the same descriptor does
        nothing, whatever it says.
        """
        for event in range(1, 1 << 14):
            if event & ~0x201D:  # EPOLLIN, OUT, ERR, HUP, RDHUP
                continue
            end, peer = self.raw()
            heard = self.heard(end)
            end.happened(event)
            self.assertEqual(heard.told, [])
            peer.send(b"x")
            self.until(lambda heard=heard: heard.told)
            self.assertEqual(heard.told, [b"x"])
            end.abort()
            end.happened(event)
            self.assertEqual(heard.told, [b"x"])

    def test_noBusyLoop(self) -> None:
        """
        Who has ended, hung up or sent something while nobody reads wakes us once or
        twice, not for ever.
        """
        for what in ("bytes", "end", "hang up"):
            end, peer = self.raw()
            heard = self.heard(end)
            self.turn()
            end.pauseReading()
            if what == "bytes":
                peer.pour(b"x")
            else:
                if what == "hang up":
                    end.finish()
                peer.sock.shutdown(socket.SHUT_WR)
            turns = 0
            while self.reactor.turn(0.02) and turns < 20:
                turns += 1
            self.assertLess(turns, 5, what)
            end.resumeReading()
            wanted = b"x" if what == "bytes" else "finished"
            self.until(lambda heard=heard, wanted=wanted: wanted in heard.told)
            end.abort()


class PassingTests(LoopCase):
    """
    Two visitors' connections joined with each other: bytes as they come.
    """

    def joinedPair(self, buffer: int = 0) -> tuple[Joined, Peer, Peer]:
        """
        Join two.
        """
        one, onePeer = self.raw()
        other, otherPeer = self.raw(buffer)
        return self.joined(one, other), onePeer, otherPeer

    def pump(self, source: Peer, sink: Peer, data: bytes) -> None:
        """
        Send all that, while the other side reads.
        """
        before = len(sink.got)
        source.pour(data, sink)
        sink.reads(before + len(data))
        self.assertEqual(sink.got[before:], data)

    def test_bulk(self) -> None:
        """
        A large upload and a large download come out as they went in, and both are
        counted to the byte; no pipe is left over.
        """
        joined, one, other = self.joinedPair(65536)
        up, down = noise(3 * MiB + 1), noise(2 * MiB + 3)
        self.pump(one, other, up)
        self.pump(other, one, down)
        self.assertEqual((joined.join.forth, joined.join.back), (len(up), len(down)))
        one.end()
        other.end()
        self.until(lambda: joined.outcome)
        self.assertEqual((one.ends(), other.ends()), ("end", "end"))
        self.assertEqual((len(self.loop), self.loop.pipes.open), (0, 0))

    def test_bulkWithoutPipes(self) -> None:
        """
        The same where the kernel gives no pipe: it is copied.
        """
        self.patch(self.loop.pipes, "take", lambda: None)
        joined, one, other = self.joinedPair(65536)
        self.pump(one, other, noise(3 * MiB + 1))
        other.reset()
        self.assertEqual(one.ends(), "reset")
        self.until(lambda: joined.outcome)

    def test_backpressure(self) -> None:
        """
        A sender whose reader stops is stopped by the kernel, and what waits here is
        bounded; it all comes when the reader goes on.
        """
        joined, one, other = self.joinedPair(8192)
        piece = noise(65536)
        sent = one.fill(piece)
        # That is what three kernels' buffers hold, two sockets' and a pipe's.
        self.assertLess(sent, 16 * MiB)
        self.assertLess(joined.join.forth, sent + 1)
        expected = (piece * (sent // 65536 + 1))[:sent]
        self.assertEqual(other.reads(sent), expected)

    def test_oneBite(self) -> None:
        """
        However much one has sent already, no more of it than a pipe holds is passed on
        before others have their turn.
        """
        one, person = self.raw()
        other, _ = self.raw()
        joined = self.joined(one, other)
        with contextlib.suppress(BlockingIOError):
            while True:
                person.sock.send(bytes(65536))
        for _ in range(3):
            before = joined.join.forth
            one.happened(IN)
            self.assertLessEqual(joined.join.forth - before, SIZE)
        self.assertGreater(joined.join.forth, 0)

    def test_lastBytesOfMuch(self) -> None:
        """
        The end of a large upload comes behind its last byte, also where the reader
        is slow.
        """
        for size in (SMALL - 1, SMALL, SMALL + 1, 2 * SMALL, 20 * SMALL):
            joined, one, other = self.joinedPair(8192)
            data = noise(size)
            one.pour(data)
            one.end()
            self.assertEqual(other.reads(size), data)
            self.assertEqual(other.ends(), "end")
            other.end()
            self.assertEqual(one.ends(), "end")
            self.until(lambda joined=joined: joined.outcome)
            self.assertEqual(joined.code, ResetCode.ENDED)

    def test_limitedBulk(self) -> None:
        """
        Bulk with a limit goes through pipes as well, as far as the limit goes and not
        a byte further, and is counted to the byte.
        """
        one, person = self.raw()
        other, there = self.raw()
        bucket = Bucket(self.reactor, 10 * MiB, burst=MiB)
        join = self.relay.join(one, other, b"", bucket, None)
        piece, most = noise(65536), MiB

        def passed() -> bool:
            person.fill(piece)
            there.take()
            return len(there.got) >= most

        for _ in range(4):
            self.until(passed)
            passed()
            self.assertEqual((len(there.got), join.forth), (most, most))
            self.reactor.advance(0.05)
            most += MiB // 2
        self.assertGreater(self.loop.pipes.open, 0)
        join.abort(ResetCode.STOPPING, "")

    def test_resetInBulk(self) -> None:
        """
        A reset on either side in the midst of bulk is a reset on the other, and
        leaves neither a descriptor nor a pipe.
        """
        for first in (0, 1):
            joined, *peers = self.joinedPair(8192)
            peers[0].fill(bytes(65536))
            peers[first].reset()
            self.assertEqual(peers[1 - first].ends(), "reset")
            self.until(lambda joined=joined: joined.outcome)
            self.assertEqual(self.loop.pipes.open, 0)

    def test_manyEndings(self) -> None:
        """
        After many streams that ended in every way no descriptor and no pipe is left.
        """
        for number in range(120):
            joined, one, other = self.joinedPair()
            one.pour(noise(number * 500))
            self.turn()
            match number % 5:
                case 0:
                    one.reset()
                case 1:
                    other.reset()
                case 2:
                    joined.join.abort(ResetCode.STOPPING, "enough")
                case 3:
                    one.end()
                    other.end()
                case 4:
                    other.end()
                    self.turn()
                    one.sock.close()
            self.until(lambda joined=joined: joined.outcome)
            one.sock.close()
            other.sock.close()
            self.assertEqual((len(self.loop), self.loop.pipes.open), (0, 0))


class SinkTests(LoopCase):
    """
    What an end gives to a sink of each kind.
    """

    def sunk(self, sink: Any) -> Peer:
        """
        Let an end read into a sink.
        """
        end, peer = self.raw()
        joined = self.joined(end, sink)
        end.attach(cast(Join, joined.join).one, sink)
        self.addCleanup(joined.join.abort, ResetCode.STOPPING, "")
        return peer

    def test_kinds(self) -> None:
        """
        Bulk comes whole to one that takes pipes and to one that does not.
        """
        for sink in (Gathering(), GatheringPipes(self.loop.pipes)):
            peer = self.sunk(sink)
            data = noise(MiB)
            peer.pour(data)
            self.until(lambda sink=sink: sink.did and len(sink.did[0]) == MiB)
            self.assertEqual(sink.did, [data])
            peer.end()
            self.until(lambda sink=sink: len(sink.did) > 1)
            self.assertEqual(sink.did[1], "finish")

    def test_behindAPipe(self) -> None:
        """
        Bytes that are written while a pipe waits come behind those in it.
        """
        end, peer = self.raw(8192)
        heard = Heard()
        end.attach(heard)
        first, piped, last = noise(100_000, 1), noise(50_000, 2), noise(50_000, 3)
        end.write(first)
        self.assertEqual(heard.told, ["blocked"])
        pipe = self.loop.pipes.take()
        assert pipe is not None
        self.assertEqual(os.write(pipe.into, piped), len(piped))
        end.putPipe(pipe, len(piped))
        end.write(last[:7])
        end.write(last[7:])
        self.assertFalse(end.finish())
        self.assertEqual(peer.reads(200_000), first + piped + last)
        self.assertEqual(peer.ends(), "end")
        self.assertEqual(heard.told, ["blocked", "delivered"])

    def test_buffer(self) -> None:
        """
        A part of the buffer arrives as it stands there.
        """
        end, peer = self.raw()
        end.attach(Heard())
        VIEW[HEAD : HEAD + 5] = b"bytes"
        end.put(HEAD, HEAD + 5)
        self.assertEqual(peer.reads(5), b"bytes")
