"""
Tests for L{tunnelkit.relay.fast.work}, and of what L{tunnelkit.relay.fast.secure.work}
does likewise.
"""

from __future__ import annotations

import os
import socket
from types import SimpleNamespace
from typing import Any, Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.relay.fast.case import (
    ABLE,
    Gathering,
    GatheringPipes,
    LoopCase,
    MiB,
    Peer,
)
from tests.relay.memory import START, MemoryTransport, Owner, framesIn
from tests.relay.streams.test_work import start
from tests.stage.sockets import noise
from tunnelkit.interfaces import ICarrier, IWorkEnd, IWorkLink, IWorkOwner
from tunnelkit.relay.connection import RESETTING, Connection, Holder, linger
from tunnelkit.relay.portable.work import WorkEnd
from tunnelkit.relay.streams.join import Join
from tunnelkit.relay.streams.work import CLOSING, Work
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.native.frames import (
    HEADER,
    Data,
    Datagram,
    Done,
    End,
    Frame,
    Message,
    Reset,
    encode,
)

if ABLE:
    from tunnelkit.relay.fast.end import FastEnd
    from tunnelkit.relay.fast.loop import IN
    from tunnelkit.relay.fast.work import WorkSocket

_SIZES = st.sampled_from([1, 2, 3, 4, 7, 100, 4000, 16379, 16380, 16384, 40000])
_FRAMES = st.one_of(
    st.builds(lambda size, seed: Data(noise(size, seed)), _SIZES, st.integers(0, 9)),
    st.just(End()),
    st.builds(Reset, st.integers(0, 3), st.integers(0, 99), st.just("why")),
    st.builds(Done, st.integers(0, 3)),
)
_STARTS = st.builds(start, st.integers(1, 3))
_ODD = st.one_of(
    st.just(encode(Datagram(1, b"x"))),
    st.just(encode(Message({"type": "ping", "at": 1}))),
    st.just(b"\x09\0\0\1x"),
    st.just(encode(Message({"type": "nonsense"}))),
)
_STREAMS = st.lists(st.one_of(_FRAMES, _FRAMES, _FRAMES, _STARTS, _ODD), max_size=12)
_CUTS = st.lists(st.integers(1, 9000), min_size=1, max_size=6)


@implementer(IWorkOwner)
class Driven:
    """
    A work connection of which each stream is joined with an end that takes all, as a
    server or a client would.

    @ivar far: those ends, in order.
    @ivar owner: who hears what becomes of the connection.
    """

    def __init__(self, client: bool, answers: str) -> None:
        """
        @param answers: when the ends end: C{first}, C{behind} the peer's end, or
            C{never}.
        """
        self.far: list[Gathering] = []
        self.owner = Owner()
        self._client = client
        self._answers = answers
        self._work: Any

    def drive(self, work: Work, far: type[Gathering] | Any) -> None:
        """
        Take a work connection whose owner is L{owner}.

        @param far: makes the ends.
        """
        self._work = work
        self._make: Any = far
        if not self._client:
            self._join()

    def started(self, work: IWorkEnd, started: Any) -> None:
        """
        A stream was started.
        """
        self.owner.started(work, started)
        self._join()

    def idle(self, work: IWorkEnd) -> None:
        """
        A stream is over.
        """
        self.owner.idle(work)
        if not self._client:
            self._join()

    def given(self, work: IWorkEnd, carrier: ICarrier) -> None:
        """
        A work connection is a datagram carrier now.
        """
        raise AssertionError("nobody asked for that")

    def lost(self, work: IWorkLink, reason: str) -> None:
        """
        The connection is gone.
        """
        self.owner.lost(work, reason)

    def _join(self) -> None:
        work = self._work
        if not self._client:
            work.begin()
        far = self._make(self)
        self.far.append(far)
        join = Join(Clock())
        linked = (far,) if isinstance(work, FastEnd) else ()
        join.begin(far.attach(join.one), work.attach(join.other, *linked), b"")
        if self._answers == "first":
            far.hears.received(b"hello")
            far.hears.finished()

    def finished(self, far: Gathering) -> None:
        """
        The peer's direction ended.
        """
        if self._answers == "behind":
            far.hears.received(b"answer")
            far.hears.finished()

    def seen(self) -> Any:
        """
        Give all that was told to anybody.
        """
        dids = [far.did for far in self.far]
        owner = self.owner
        return dids, owner.starts, owner.idles, owner.losses


def answering(kind: Any, *given: Any) -> Any:
    """
    Make what makes ends that answer.

    @param kind: which ends.
    """

    class Answering(kind):
        def __init__(self, driven: Driven) -> None:
            super().__init__(*given)
            self._driven = driven

        def finish(self) -> bool:
            finished: bool = super().finish()
            self._driven.finished(self)
            return finished

    return Answering


def wired(frames: list[Frame | bytes]) -> bytes:
    """
    Give the bytes of what a test wrote either way.
    """
    return b"".join(f if isinstance(f, bytes) else encode(f) for f in frames)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """
    Cut bytes, again and again by the same lengths.
    """
    cut: list[bytes] = []
    at = 0
    while at < len(data):
        size = cuts[len(cut) % len(cuts)]
        cut.append(data[at : at + size])
        at += size
    return cut


class SameCase(LoopCase):
    """
    What comes on a work connection means the same as on the portable path, which
    reads it with the decoder.
    """

    secure = False

    def assertSame(self, client: bool, answers: str, data: list[bytes]) -> None:
        """
        Let a peer say the same to a fast work connection and to a portable one.
        """
        expected, said = self.portable(client, answers, data)
        for pipes in (False, True):
            if self.secure and pipes:
                continue
            driven = Driven(client, answers)
            work, peer, _ = self.work(client, secure=self.secure, owner=driven)
            pipe = answering(GatheringPipes, self.loop.pipes)
            driven.drive(work, pipe if pipes else answering(Gathering))
            for piece in data:
                if driven.owner.losses:
                    break
                self.give(peer, piece)
            peer.take()
            if not driven.owner.losses:
                self.assertEqual(framesIn(peer.got), framesIn(said))
            self.assertEqual(driven.seen(), expected)
            work.abort()
            peer.sock.close()

    def give(self, peer: Peer, piece: bytes) -> None:
        """
        Let the peer say something.
        """
        peer.send(piece)

    def portable(
        self, client: bool, answers: str, data: list[bytes]
    ) -> tuple[Any, bytes]:
        """
        Say it to the portable path.

        @return: what it told, and what it answered.
        """
        driven = Driven(client, answers)
        connection = Connection(Holder())
        transport = MemoryTransport(connection)
        work = WorkEnd(connection, driven, client, Clock())
        driven.drive(work, answering(Gathering))
        transport.settle()
        for piece in data:
            transport.peerSends(piece)
            transport.settle()
        return driven.seen(), transport.take()


_INHERITED: Final = [HealthCheck.differing_executors]
"""The tests are the same for plain and TLS, one after the other."""


class FramesTests(SameCase):
    """
    Frames in any order, cut anywhere.
    """

    @settings(max_examples=12, suppress_health_check=_INHERITED)
    @given(
        st.booleans(), st.sampled_from(["first", "behind", "never"]), _STREAMS, _CUTS
    )
    def test_anything(
        self, client: bool, answers: str, frames: list[Frame | bytes], cuts: list[int]
    ) -> None:
        """
        Whatever a peer says, and however it comes, the fast path understands what
        the portable one does.
        """
        self.assertSame(client, answers, pieces(wired(frames), cuts))

    @settings(max_examples=10, suppress_health_check=_INHERITED)
    @given(st.booleans(), st.sampled_from(["first", "behind"]), st.data(), _CUTS)
    def test_streams(
        self, client: bool, answers: str, drawn: Any, cuts: list[int]
    ) -> None:
        """
        The same for a peer that keeps to the rules, one stream after the other.
        """
        frames: list[Frame | bytes] = []
        for number in range(1, drawn.draw(st.integers(1, 4)) + 1):
            frames += [start(number)] if client else []
            sizes = drawn.draw(st.lists(_SIZES, max_size=4))
            frames += [Data(noise(size, number)) for size in sizes]
            well = drawn.draw(st.booleans())
            frames.append(End() if well else Reset(number, 1, "why"))
            frames += [] if client else [Done(number)]
        self.assertSame(client, answers, pieces(wired(frames), cuts))

    def test_everyCut(self) -> None:
        """
        A stream may be cut in two anywhere.
        """
        frames: list[Frame | bytes] = [Data(b"one"), Data(b"more"), End(), Done(1)]
        frames += [Data(b"next"), Reset(2, 1, "why"), Done(2)]
        data = wired(frames)
        for cut in range(len(data) + 1):
            self.assertSame(False, "behind", [data[:cut], data[cut:]])
        data = wired([start(1), Data(b"one"), End(), start(2), Reset(2, 1, "why")])
        for cut in range(0, len(data) + 1, 3):
            self.assertSame(True, "behind", [data[:cut], data[cut:]])


class WorkCase(LoopCase):
    """
    One side of a work connection, and a visitor or a local service.
    """

    secure = False

    def open(
        self, client: bool = False, buffer: int = 0
    ) -> tuple[WorkSocket, Peer, Owner]:
        """
        Make it.
        """
        return self.work(client, buffer, self.secure)

    def visited(self, buffer: int = 0, first: bytes = b"") -> Any:
        """
        Let a visitor come to the server's side.

        @return: the join, the visitor, who is at the other side of the work
            connection, and its owner.
        """
        work, peer, owner = self.open(buffer=buffer)
        visitor, person = self.raw(buffer, bool(first))
        if first:
            person.send(first)
        work.begin()
        joined = self.joined(visitor, work, start(1))
        return joined, person, peer, owner

    def transfer(self) -> None:
        """
        Send much both ways.
        """
        joined, person, peer, _ = self.visited(65536)
        peer.reads(len(start(1)))
        peer.got = b""
        up = noise(2 * MiB + 1)
        person.pour(up, peer)
        person.sock.shutdown(socket.SHUT_WR)
        peer.sees(lambda: peer.got.endswith(encode(End())))
        *datas, end = framesIn(peer.got)
        self.assertEqual(b"".join(each.payload for each in datas), up)  # type: ignore[union-attr]
        self.assertEqual(end, End())
        down = noise(2 * MiB + 3, 3)
        frames = HEADER.pack(MiB) + down[:MiB] + HEADER.pack(len(down) - MiB)
        peer.pour(peer.encrypted(frames + down[MiB:]), person)
        self.assertEqual(person.reads(len(down)), down)
        self.assertEqual((joined.join.forth, joined.join.back), (len(up), len(down)))
        peer.send(wired([End(), Done(1)]))
        self.assertEqual(person.ends(), "end")
        self.assertEqual(joined.code, ResetCode.ENDED)
        self.assertLessEqual(self.loop.pipes.open, 2)


class WorkTests(WorkCase):
    """
    A work connection, and what becomes of its streams.
    """

    def test_contract(self) -> None:
        """
        What holds work connections finds what it needs.
        """
        work, _, _ = self.open()
        verifyObject(IWorkEnd, work)
        self.assertEqual((work.peer, work.local), ("192.0.2.7:5000", ""))

    def test_there(self) -> None:
        """
        A visitor's question, his end, the answer and its end go through, and the
        connection is idle again.
        """
        joined, person, peer, owner = self.visited()
        person.send(b"question")
        person.end()
        peer.reads(len(wired([start(1), Data(b"question"), End()])))
        self.assertEqual(
            framesIn(peer.got)[1:],
            [Data(b"question"), End()],
        )
        peer.send(wired([Data(b"answer"), End(), Done(1)]))
        self.assertEqual((person.ends(), person.got), ("end", b"answer"))
        self.until(lambda: owner.idles)
        self.assertEqual((joined.code, owner.losses), (ResetCode.ENDED, []))
        self.assertEqual((joined.join.forth, joined.join.back), (8, 6))

    def test_countedLive(self) -> None:
        """
        What has gone through is counted while the stream runs, to the byte, whether
        it came as a frame by itself or not.
        """
        joined, person, peer, _ = self.visited()
        there = back = 0
        for size in (1, 100, 16_000, 16_384, 40_000):
            person.send(noise(size))
            there += size
            self.until(lambda there=there: joined.join.forth == there)
            peer.send(encode(Data(noise(size))))
            back += size
            self.assertEqual(len(person.reads(back)), back)
            self.assertEqual((joined.join.forth, joined.join.back), (there, back))
        joined.join.abort(ResetCode.STOPPING, "")

    def test_serviceEndsFirst(self) -> None:
        """
        A service that ends first hears the visitor to his end.
        """
        joined, person, peer, owner = self.visited()
        peer.send(wired([Data(b"banner"), End()]))
        self.assertEqual((person.ends(), person.got), ("end", b"banner"))
        person.send(b"still here")
        person.end()
        size = len(wired([start(1), Data(b"still here"), End()]))
        self.assertEqual(framesIn(peer.reads(size))[1:], [Data(b"still here"), End()])
        self.assertEqual(owner.idles, 0)
        peer.send(wired([Done(1)]))
        self.until(lambda: owner.idles)
        self.assertEqual(joined.code, ResetCode.ENDED)

    def test_speaksFirst(self) -> None:
        """
        What a visitor said already goes with the word that he is there, in one piece.
        """
        joined, _, peer, _ = self.visited(first=b"GET /")
        sizes: list[int] = []

        def came() -> bool:
            sizes.extend(filter(None, [len(peer.take())]))
            return bool(sizes)

        self.until(came)
        self.assertEqual(sizes, [len(start(1) + encode(Data(b"GET /")))])
        message, data = framesIn(peer.got)
        self.assertIsInstance(message, Message)
        self.assertEqual((data, joined.join.forth), (Data(b"GET /"), 5))

    def test_nextVisitorInTheMidst(self) -> None:
        """
        A visitor who takes a connection over while more that came behind DONE is to be
        read loses nothing, neither of what he says nor of what he hears.
        """
        _, person, peer, owner = self.visited()
        visitor, following = self.raw(first=True)
        said = noise(1000)
        following.send(said)

        def idle(work: IWorkEnd) -> None:
            work.begin()
            self.joined(visitor, work, start(2))

        owner.idle = idle
        person.end()
        peer.reads(len(wired([start(1), End()])))
        late, answer = Reset(1, 1, "late"), Data(b"answer")
        peer.send(wired([End(), Done(1), late, answer]))
        expected = wired([start(1), End(), start(2), Data(said)])
        self.assertEqual(peer.reads(len(expected)), expected)
        self.assertEqual(following.reads(len(b"answer")), b"answer")
        self.assertEqual(owner.losses, [])

    def test_nothingSaid(self) -> None:
        """
        One who waits for the service to speak is announced all the same.
        """
        _, _, peer, _ = self.visited()
        peer.reads(len(start(1)))
        self.assertEqual(len(framesIn(peer.got)), 1)

    def test_endWithTheLastBytes(self) -> None:
        """
        An end that is there with the last bytes leaves with them in one piece: the
        other side is woken once.
        """
        _, person, peer, _ = self.visited()
        peer.reads(len(start(1)))
        peer.got = b""
        person.sock.sendall(b"last")
        person.sock.shutdown(socket.SHUT_WR)
        pieces: list[bytes] = []

        def came() -> bool:
            pieces.extend(filter(None, [peer.take()]))
            return bool(pieces)

        self.until(came)
        self.assertEqual(
            [framesIn(piece) for piece in pieces], [[Data(b"last"), End()]]
        )

    def test_bulk(self) -> None:
        """
        A large upload and a large download come out as they went in, counted to the
        byte, however slowly either side reads.
        """
        self.transfer()

    def test_stalledVisitor(self) -> None:
        """
        A visitor who stalls holds up the service, costs a bounded heap, and gets all
        when he reads on; the end comes behind.
        """
        joined, person, peer, _ = self.visited(8192)
        sizes = (40_000, 16_380, 5, 300_000)
        data = [noise(size, size) for size in sizes]
        stream = wired([*map(Data, data), End()])
        peer.pour(peer.encrypted(stream), person)
        self.assertEqual(person.reads(sum(sizes)), b"".join(data))
        self.assertEqual(person.ends(), "end")
        self.assertEqual(joined.join.back, sum(sizes))

    def test_stalledPeer(self) -> None:
        """
        A client that reads nothing stops the visitor, and gets whole frames when it
        goes on, wherever they were held up.
        """
        joined, person, peer, _ = self.visited(8192)
        piece = noise(65536)
        sent = person.fill(piece)
        person.sock.shutdown(socket.SHUT_WR)
        self.assertGreater(sent, 0)
        peer.sees(lambda: peer.got.endswith(encode(End())))
        _, *datas, end = framesIn(peer.got)
        got = b"".join(each.payload for each in datas)  # type: ignore[union-attr]
        self.assertEqual(len(got), sent)
        self.assertEqual(got, (piece * (sent // len(piece) + 1))[:sent])
        self.assertEqual((end, joined.join.forth), (End(), sent))

    def test_visitorResets(self) -> None:
        """
        A visitor's reset is one for the service, also while neither side can be
        written to, and the connection serves on.
        """
        for full in (False, True):
            _, person, peer, owner = self.visited(8192)
            if full:
                person.fill(bytes(65536))
            person.reset()
            peer.sees(
                lambda peer=peer: any(isinstance(f, Reset) for f in framesIn(peer.got))
            )
            self.assertEqual(framesIn(peer.got)[-1].code, ResetCode.PEER)  # type: ignore[union-attr]
            self.assertEqual((owner.idles, owner.losses), (0, []))
            peer.send(wired([Reset(1, ResetCode.PEER, "answer"), Done(1)]))
            self.until(lambda owner=owner: owner.idles)

    def test_serviceResets(self) -> None:
        """
        A service's reset is one for the visitor, never an end.
        """
        joined, person, peer, owner = self.visited()
        peer.send(wired([Data(b"half"), Reset(1, ResetCode.PEER, "gone")]))
        self.assertEqual((person.ends(), joined.code), ("reset", ResetCode.PEER))
        peer.send(wired([Done(1)]))
        self.until(lambda: owner.idles)

    def test_lost(self) -> None:
        """
        A work connection that is lost resets its visitor: what looks like an end of
        the connection is none of the stream.
        """
        for how in ("end", "reset"):
            joined, person, peer, owner = self.visited()
            peer.send(HEADER.pack(1000) + b"half")
            person.reads(4)
            getattr(peer, how)()
            self.assertEqual(person.ends(), "reset")
            self.assertEqual(joined.code, ResetCode.LOST)
            self.assertEqual(len(owner.losses), 1)

    def test_lostWhileStalled(self) -> None:
        """
        The same while the visitor does not read: he sees a reset behind what came.
        """
        joined, person, peer, owner = self.visited(8192)
        peer.fill(peer.encrypted(encode(Data(bytes(8 * MiB)))))
        peer.reset()
        self.until(lambda: owner.losses)
        self.assertEqual((person.ends(), joined.code), ("reset", ResetCode.LOST))

    def test_early(self) -> None:
        """
        What was read before the connection was lent is not lost.
        """
        work, peer, owner = self.open(client=True)
        work.takeEarly(start(1) + encode(Data(b"ear")) + HEADER.pack(2))
        service, there = self.raw()
        self.joined(work, service)
        peer.send(b"ly" + encode(End()))
        self.assertEqual((there.ends(), there.got), ("end", b"early"))
        self.assertEqual(owner.starts[0].visitor, START.visitor)

    def test_client(self) -> None:
        """
        The client's side says DONE when the service has every byte, and takes the
        next stream.
        """
        work, peer, owner = self.open(client=True)
        for number in range(1, 4):
            peer.send(start(number) + encode(Data(b"question")))
            self.until(lambda number=number: len(owner.starts) == number)
            service, there = self.raw()
            joined = self.joined(work, service, b"PROXY ")
            self.assertEqual(there.reads(14), b"PROXY question")
            peer.send(encode(End()))
            there.send(b"answer")
            there.end()
            wanted = wired([Data(b"answer"), Done(number)])
            peer.reads(len(wanted))
            self.assertEqual(framesIn(peer.got), framesIn(wanted))
            peer.got = b""
            self.assertEqual((joined.code, owner.idles), (ResetCode.ENDED, number))
        self.assertEqual(owner.losses, [])

    def test_refused(self) -> None:
        """
        A client that cannot reach its service says so, and takes the next stream.
        """
        work, peer, owner = self.open(client=True)
        peer.send(start(1))
        work.refuse(ResetCode.REFUSED, "refused")
        wanted = Reset(1, ResetCode.REFUSED, "refused")
        peer.reads(len(encode(wanted)))
        self.assertEqual(framesIn(peer.got), [wanted])
        peer.send(encode(Reset(1, 1, "answer")))
        self.until(lambda: owner.idles)

    def test_askedWithoutReading(self) -> None:
        """
        A server that asks for stream after stream and reads none of the answers is
        cut off, before they fill the memory.
        """
        _, peer, owner = self.open(client=True, buffer=4096)
        owner.started = lambda work, start: work.refuse(  # type: ignore[method-assign]
            ResetCode.DENIED, "n" * 1000
        )
        for number in range(1, 4 * MiB // 1000):
            peer.send(wired([start(number), Reset(number, 1, "answer")]))
            if owner.losses:
                break
        self.assertIn("who has not read of the last one", owner.losses[0])

    def test_stalePeer(self) -> None:
        """
        An event that was meant for another connection with the same descriptor does
        nothing, whatever it says.
        """
        for event in range(1, 1 << 14):
            if event & ~0x201D:
                continue
            work, peer, owner = self.open(client=True)
            work.happened(event)
            peer.send(start(1))
            self.until(lambda owner=owner: owner.starts)
            work.happened(event)
            self.assertEqual(owner.losses, [])
            work.abort()
            work.happened(event)
            self.assertEqual(len(owner.losses), 1)

    def test_noBusyLoop(self) -> None:
        """
        A peer that hangs up while its stream is not read wakes us a few times, not
        for ever.
        """
        work, peer, _ = self.open(client=True)
        peer.send(start(1))
        peer.send(encode(Data(b"unread")))
        peer.end()
        turns = 0
        while self.reactor.turn(0.02) and turns < 20:
            turns += 1
        self.assertLess(turns, 5)
        work.abort()

    def test_closed(self) -> None:
        """
        A connection that is closed when it is idle ends well on both sides.
        """
        work, peer, owner = self.open()
        work.close()
        work.close()
        self.turn()
        self.assertEqual((owner.losses, peer.take()), ([], b""))
        self.close(peer)
        self.until(lambda: owner.losses)
        self.assertEqual(owner.losses, ["closed"])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_closedByThePeer(self) -> None:
        """
        A peer that closes an idle connection sees that end well, too.
        """
        _, peer, owner = self.open()
        peer.end()
        self.until(lambda: owner.losses)
        self.assertEqual((owner.losses, peer.ends()), (["closed"], "end"))

    def close(self, peer: Peer) -> None:
        """
        Have the peer see an end, and end as well.
        """
        self.assertEqual(peer.ends(), "end")
        peer.end()

    def test_closedInVain(self) -> None:
        """
        A peer that does not close is cut in time.
        """
        work, _, owner = self.open()
        work.close()
        self.reactor.advance(CLOSING)
        self.assertEqual(owner.losses, ["it did not close in time"])
        self.assertEqual(len(self.loop), 0)

    def test_bitByBit(self) -> None:
        """
        Frames come whole where the kernel takes them bit by bit.
        """
        for most in (1, 3, 4, 5, 1000):
            work, peer, _ = self.work(secure=self.secure, most=most)
            work.begin()
            visitor, person = self.raw()
            self.joined(visitor, work, start(1))
            said = b""
            for size in (1, 9, 700):
                said += noise(size)
                person.pour(noise(size))
                self.turn()
            person.end()
            peer.sees(lambda peer=peer: peer.got.endswith(encode(End())))
            _, *datas, _ = framesIn(peer.got)
            self.assertEqual(b"".join(each.payload for each in datas), said)  # type: ignore[union-attr]

    def test_aborted(self) -> None:
        """
        An abort is told once, with its stream.
        """
        joined, person, peer, owner = self.visited()
        joined.join.abort(ResetCode.STOPPING, "enough")
        self.assertEqual(person.ends(), "reset")
        self.assertEqual(joined.code, ResetCode.STOPPING)
        peer.sees(lambda: isinstance(framesIn(peer.got)[-1], Reset))
        self.assertEqual(owner.losses, [])

    def test_broken(self) -> None:
        """
        A peer that breaks the protocol in the midst of a stream is cut, and the
        visitor reset.
        """
        joined, person, peer, owner = self.visited()
        peer.send(encode(Data(b"half")) + b"\x77\0\0\0")
        self.until(lambda: owner.losses)
        self.assertIn("unknown frame type 119", owner.losses[0])
        self.assertEqual((person.ends(), peer.ends()), ("reset", "reset"))
        self.assertEqual(joined.code, ResetCode.LOST)

    def test_manyEndings(self) -> None:
        """
        After many streams that ended in every way no descriptor and no pipe is left
        over.
        """
        for number in range(60):
            joined, person, peer, owner = self.visited(65536)
            person.pour(noise(number * 1000), peer)
            self.turn()
            match number % 6:
                case 0:
                    person.reset()
                case 1:
                    peer.reset()
                case 2:
                    joined.join.abort(ResetCode.STOPPING, "enough")
                case 3:
                    peer.send(encode(Reset(1, 1, "why")))
                case 4:
                    person.end()
                    peer.send(wired([Data(bytes(number * 999 + 1)), End(), Done(1)]))
                    person.ends()
                case 5:
                    peer.send(b"\x77\0\0\0")
            self.until(lambda joined=joined: joined.outcome)
            person.sock.close()
            if not peer.ending and peer.sock.fileno() != -1:
                peer.reset()
            self.until(lambda owner=owner: owner.losses)
            self.assertEqual((len(self.loop), self.loop.pipes.open), (0, 0))


class PipeTests(WorkCase):
    """
    Bulk, which goes through pipes in plain alone.
    """

    def test_pipesRefused(self) -> None:
        """
        Bulk goes through where the kernel gives no pipes.
        """
        self.patch(self.loop.pipes, "take", lambda: None)
        self.transfer()

    def test_nothingInTheMidst(self) -> None:
        """
        Where nothing is there in the midst of bulk, after all, no pipe is lost.
        """
        visitor, person = self.raw()
        work, peer, _ = self.work(client=True)
        peer.send(start(1))
        self.joined(work, visitor)
        peer.send(HEADER.pack(MiB) + noise(100_000))
        for _ in range(5):
            work.happened(IN)
        self.assertEqual(person.reads(100_000), noise(100_000))
        self.assertEqual(self.loop.pipes.open, 1)

    def test_lostInTheMidst(self) -> None:
        """
        Where a peer ends or resets the connection in the midst of bulk its visitors
        see a reset, and no pipe is left.
        """
        for go in (Peer.end, Peer.reset):
            visitor, person = self.raw()
            work, peer, owner = self.work(client=True)
            peer.send(start(1))
            self.joined(work, visitor)
            peer.send(HEADER.pack(MiB) + noise(100_000))
            self.assertEqual(self.loop.pipes.open, 1)
            go(peer)
            self.until(lambda owner=owner: owner.losses)
            self.assertEqual(person.ends(), "reset")
            self.assertEqual(self.loop.pipes.open, 0)

    def test_lostBeforeBulk(self) -> None:
        """
        The same where bulk was to go to who is gone.
        """
        work, peer, owner = self.work()
        work.begin()
        far = Gathering()
        self.joined(far, work)
        linger(peer.sock, RESETTING)
        peer.sock.close()
        pipe = self.loop.pipes.take()
        assert pipe is not None
        os.write(pipe.into, b"bulk")
        work.putPipe(pipe, 4)
        self.assertEqual((len(owner.losses), self.loop.pipes.open), (1, 0))

    def test_donePrematurely(self) -> None:
        """
        A client that calls a stream done of which it has not read all leaves no pipe
        behind when its connection then carries datagrams.
        """
        _, person, peer, owner = self.visited(8192)
        owner.given = lambda work, carrier: None
        works: list[IWorkEnd] = []
        owner.idle = works.append
        person.fill(noise(65536))
        person.sock.shutdown(socket.SHUT_WR)
        self.until(lambda: self.loop.pipes.open)
        self.turn()
        peer.send(wired([Reset(1, ResetCode.PEER, "enough"), Done(1)]))
        self.until(lambda: works)
        (work,) = works
        work.begin()
        owning: Any = SimpleNamespace(lost=lambda carrier, reason: None)
        carrier = self.relay.carry(work, owning, b"")
        assert carrier is not None
        carrier.abort()
        self.assertEqual(self.loop.pipes.open, 0)

    def test_frameHeldUp(self) -> None:
        """
        A frame whose header the kernel took in part, with its payload in a pipe,
        comes whole, and with what was written behind it.
        """
        payload = noise(30_000)
        for most in range(1, 6):
            work, peer, _ = self.work(most=most)
            work.begin()
            far = Gathering()
            self.joined(far, work)
            pipe = self.loop.pipes.take()
            assert pipe is not None
            os.write(pipe.into, payload)
            work.putPipe(pipe, len(payload))
            far.hears.received(b"behind")
            wanted: list[Frame | bytes] = [Data(payload), Data(b"behind")]
            got = peer.reads(len(wired(wanted)))
            self.assertEqual(framesIn(got), wanted)
