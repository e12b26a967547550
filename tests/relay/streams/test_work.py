"""
Tests for L{tunnelkit.relay.streams.work} and L{tunnelkit.relay.streams.workstream}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.relay.memory import START, Heard, Owner, framesIn, rawEnd, workEnd
from tunnelkit.interfaces import IWorkEnd, Outcome
from tunnelkit.relay.connection import BUFFER
from tunnelkit.relay.streams.join import IDLE, Join
from tunnelkit.relay.streams.stream import Stream
from tunnelkit.relay.streams.work import CLOSING
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.native.codec import said
from tunnelkit.wire.native.frames import (
    LONGEST,
    Data,
    Datagram,
    Done,
    End,
    Frame,
    Message,
    Reset,
    encode,
)
from tunnelkit.wire.native.messages import Bye, Ping, Start

REFUSED = Reset(1, ResetCode.REFUSED, "refused")


def start(number: int) -> bytes:
    """
    Give the bytes that start a stream.
    """
    return said(Start(number, START.tunnel, START.kind, START.visitor, START.address))


def bytesOf(frame: Frame | bytes) -> bytes:
    """
    Give the bytes of what a test wrote either way.
    """
    return frame if isinstance(frame, bytes) else encode(frame)


class WorkCase(SynchronousTestCase):
    """
    One side of a work connection; what the other side says is the test's to say.

    @cvar client: which side it is.
    """

    client: bool

    def setUp(self) -> None:
        """
        Make it.
        """
        self.clock = Clock()
        self.work, self.transport, self.owner = workEnd(self.client, self.clock)
        self.addCleanup(
            lambda: self.assertEqual(self.clock.getDelayedCalls(), [], "left over")
        )

    def peer(self, *frames: Frame | bytes) -> list[Frame]:
        """
        Let the peer say something.

        @return: what this side says to that.
        """
        for frame in frames:
            self.transport.peerSends(bytesOf(frame))
        self.transport.settle()
        return self.said()

    def said(self) -> list[Frame]:
        """
        Give what this side said since it was asked last.
        """
        self.transport.settle()
        return framesIn(self.transport.take())

    def joined(self) -> tuple[Stream, Heard]:
        """
        Begin a stream, and listen to it as a join does.
        """
        if self.client:
            self.peer(start(1))
        else:
            self.work.begin()
        heard = Heard()
        stream = self.work.attach(heard)
        stream.resumeReading()
        return stream, heard

    def assertBroken(self, reason: str) -> None:
        """
        The peer broke the protocol, and only this connection knows.
        """
        (lost,) = self.owner.losses
        self.assertIn("broke the protocol", lost)
        self.assertIn(reason, lost)
        self.transport.settle()
        self.assertTrue(self.transport.wasReset)
        self.assertEqual(self.flushLoggedErrors(), [])


class ServerTests(WorkCase):
    """
    The server's side: it begins streams, and the client says when they are done.
    """

    client = False

    def test_contract(self) -> None:
        """
        What holds work connections finds what it needs.
        """
        verifyObject(IWorkEnd, self.work)
        self.assertEqual(self.work.peer, "192.0.2.7:6000")

    def test_streamAfterStream(self) -> None:
        """
        One connection serves one visitor after the other.
        """
        for number in (1, 2, 3):
            self.assertEqual(self.work.begin(), number)
            heard = Heard()
            stream = self.work.attach(heard)
            stream.resumeReading()
            stream.write(b"question")
            stream.finish()
            self.assertEqual(self.said(), [Data(b"question"), End()])
            self.peer(Data(b"answer"), End())
            stream.release()
            self.assertEqual(self.owner.idles, number - 1)
            self.assertEqual(self.peer(Done(number)), [])
            self.assertEqual(heard.told, [b"answer", "finished"])
            self.assertEqual(self.owner.idles, number)
        self.assertEqual(self.owner.losses, [])

    def test_numbersWrap(self) -> None:
        """
        A connection that has carried four thousand million streams carries more.
        """
        self.work._number = 2**32 - 2
        numbers = []
        for _ in range(3):
            numbers.append(self.work.begin())
            self.work.refuse(ResetCode.BUSY, "no")
            self.peer(End(), Done(numbers[-1]))
        self.assertEqual(numbers, [2**32 - 1, 1, 2])

    def test_oneAtATime(self) -> None:
        """
        To give a busy connection to a visitor is a bug, and found at once: it would
        mix up two visitors.
        """
        self.work.begin()
        self.assertRaises(AssertionError, self.work.begin)
        self.work.abort()

    def test_joinedWithoutAStream(self) -> None:
        """
        So is to join one that nobody began.
        """
        self.assertRaises(AssertionError, self.work.attach, Heard())

    def test_doneIsTheEnd(self) -> None:
        """
        A client whose service has the visitor's end says so and its own end at once.
        """
        stream, heard = self.joined()
        stream.finish()
        self.peer(Data(b"bye"), Done(1))
        self.assertEqual(heard.told, [b"bye", "finished"])
        self.assertEqual(self.owner.idles, 1)

    def test_releaseIsTheEnd(self) -> None:
        """
        A visitor that ends last ends its stream by that.
        """
        stream, _ = self.joined()
        self.peer(End())
        stream.release()
        self.assertEqual(self.said(), [End()])
        self.peer(Done(1))
        self.assertEqual(self.owner.idles, 1)

    def test_doneBeforeTheVisitorHasAll(self) -> None:
        """
        A visitor that reads its last bytes slowly does not hold the connection up,
        nor does its late reset touch the next stream.
        """
        stream, _ = self.joined()
        stream.finish()
        self.peer(End(), Done(1))
        self.assertEqual(self.owner.idles, 1)
        self.said()
        self.work.begin()
        heard = Heard()
        following = self.work.attach(heard)
        following.resumeReading()
        stream.pauseReading()
        self.peer(Data(b"next"))
        self.assertEqual(heard.told, [b"next"])
        following.pauseReading()
        stream.resumeReading()
        self.assertFalse(self.transport.reading)
        stream.write(b"late")
        stream.reset(ResetCode.PEER, "late")
        stream.release()
        self.assertEqual(self.said(), [])

    def test_resetIsAnswered(self) -> None:
        """
        A client that fails a stream learns that nothing more of it will come.
        """
        stream, heard = self.joined()
        answers = self.peer(REFUSED)
        self.assertEqual(answers, [Reset(1, ResetCode.PEER, "answer to a reset")])
        self.assertEqual(heard.told, [(ResetCode.REFUSED, "refused")])
        stream.reset(ResetCode.REFUSED, "refused")
        stream.write(b"more")
        stream.release()
        self.assertEqual(self.peer(Done(1)), [])
        self.assertEqual(self.owner.idles, 1)

    def test_resetBehindTheEnd(self) -> None:
        """
        A service that breaks down after all was said still fails its stream.
        """
        stream, heard = self.joined()
        stream.finish()
        self.said()
        self.assertEqual(self.peer(End(), REFUSED), [])
        self.assertEqual(heard.told, ["finished", (ResetCode.REFUSED, "refused")])
        stream.reset(ResetCode.REFUSED, "refused")
        stream.release()
        self.assertEqual(self.said(), [])
        self.peer(Done(1))
        self.assertEqual(self.owner.idles, 1)

    def test_unknownCode(self) -> None:
        """
        A code that a later version made is a failure like any other.
        """
        stream, heard = self.joined()
        self.peer(Reset(1, 999, "new"))
        self.assertEqual(heard.told, [(ResetCode.PEER, "new")])
        stream.release()
        self.peer(Done(1))

    def test_whatComesAfterOurReset(self) -> None:
        """
        What a client sends before it hears of a reset goes nowhere.
        """
        stream, heard = self.joined()
        stream.reset(ResetCode.PEER, "gone")
        stream.release()
        self.assertEqual(self.said(), [Reset(1, ResetCode.PEER, "gone")])
        self.assertEqual(self.peer(Data(b"more"), Data(b"more"), End(), Done(1)), [])
        self.assertEqual(heard.told, [])
        self.assertEqual(self.owner.idles, 1)

    def test_resetAfterOurEnd(self) -> None:
        """
        A visitor that breaks off its download has its service told.
        """
        stream, _ = self.joined()
        stream.finish()
        stream.reset(ResetCode.PEER, "gone")
        stream.release()
        self.assertEqual(self.said(), [End(), Reset(1, ResetCode.PEER, "gone")])
        self.peer(Reset(1, ResetCode.PEER, "answer"), Done(1))
        self.assertEqual(self.owner.idles, 1)

    def test_olderStreams(self) -> None:
        """
        What is late, of a stream that is over, touches no other.
        """
        stream, heard = self.joined()
        self.assertEqual(self.peer(Reset(7, 1, "late"), Done(7)), [])
        self.assertEqual(heard.told, [])
        stream.finish()
        self.peer(Done(1))
        self.assertEqual(self.owner.idles, 1)
        self.assertEqual(self.peer(Reset(1, 1, "late"), Done(1)), [])
        self.assertEqual((self.owner.idles, self.owner.losses), (1, []))

    def test_refuse(self) -> None:
        """
        A stream that was begun can be given up in place of joining it.
        """
        self.work.begin()
        self.work.refuse(ResetCode.BUSY, "too many")
        self.work.refuse(ResetCode.BUSY, "nothing happens")
        self.assertEqual(self.said(), [Reset(1, ResetCode.BUSY, "too many")])
        self.peer(Reset(1, 1, "answer"), Done(1))
        self.assertEqual(self.owner.idles, 1)

    def test_doneTooLate(self) -> None:
        """
        A client that does not say when a stream is over loses that connection.
        """
        stream, _ = self.joined()
        stream.finish()
        self.peer(End())
        stream.release()
        self.clock.advance(IDLE - 1)
        self.assertEqual(self.owner.losses, [])
        self.clock.advance(1)
        self.assertEqual(self.owner.losses, ["stream 1 was not done in time"])
        self.transport.settle()
        self.assertTrue(self.transport.wasReset)

    def test_beginOnALostConnection(self) -> None:
        """
        A visitor whose connection is lost in the last moment is reset.
        """
        self.work.abort()
        self.work.begin()
        heard = Heard()
        self.work.attach(heard).resumeReading()
        ((code, reason),) = heard.told
        self.assertEqual(code, ResetCode.LOST)
        self.assertIn("aborted here", reason)
        self.work.refuse(ResetCode.BUSY, "nothing happens")

    def test_close(self) -> None:
        """
        An idle connection that is not needed closes well, once the peer has read all
        and closes it, too: a client that stops waits for that.
        """
        self.work.close()
        self.transport.settle()
        self.assertTrue(self.transport.ended)
        self.assertEqual(self.owner.losses, [])
        self.transport.peerEnds()
        self.transport.settle()
        self.assertFalse(self.transport.wasReset)
        self.assertEqual(self.owner.losses, ["closed"])

    def test_closeWhileFull(self) -> None:
        """
        The same where the peer reads slowly.
        """
        self.transport.room = 0
        self.work.write(bytes(BUFFER + 1))
        self.work.close()
        self.transport.settle()
        self.assertEqual(self.owner.losses, [])
        self.transport.room = None
        self.transport.settle()
        self.assertEqual(len(self.transport.take()), BUFFER + 1)
        self.assertTrue(self.transport.ended)
        self.transport.peerEnds()
        self.transport.settle()
        self.assertEqual(self.owner.losses, ["closed"])

    def test_closeWithADeadline(self) -> None:
        """
        A peer that does not take part in closing is cut.
        """
        self.transport.room = 0
        self.transport.write(b"unread")
        self.work.close()
        self.transport.settle()
        self.assertEqual(self.owner.losses, [])
        self.clock.advance(CLOSING)
        self.assertEqual(self.owner.losses, ["it did not close in time"])
        self.transport.settle()
        self.assertTrue(self.transport.wasReset)
        self.work.close()
        self.work.abort()
        self.assertEqual(len(self.owner.losses), 1)

    def test_longData(self) -> None:
        """
        However much is read at once, it fits the frames.
        """
        stream, _ = self.joined()
        data = bytes(range(256)) * (LONGEST // 256 + 2)
        stream.write(data)
        frames = self.said()
        payload = b"".join(f.payload for f in frames if isinstance(f, Data))
        self.assertEqual(len(payload), len(data))
        self.assertEqual(payload, data)
        self.work.abort()

    def test_mistakes(self) -> None:
        """
        A client that breaks the protocol loses this connection, with a reason; its
        visitor is reset.
        """
        for frames, reason in (
            ((Done(1),), "DONE of a stream that has not ended"),
            ((End(), End()), "behind the end"),
            ((End(), Data(b"x")), "behind the end"),
            ((start(2),), "a message on a work connection"),
            ((said(Ping(1)),), "a message on a work connection"),
            ((Datagram(1, b""),), "DATAGRAM"),
            ((b"\x1f\x00\x00\x00",), "unknown frame type 31"),
            ((b"\x02\x00\x00\x01x",), "a RESET of 1 bytes"),
            ((b"\x01\x00\x00\x02[]",), "not an object"),
        ):
            self.setUp()
            _, heard = self.joined()
            self.peer(*frames)
            self.assertBroken(reason)
            code, told = heard.told[-1]
            self.assertEqual(code, ResetCode.LOST)
            self.assertIn(reason, told)

    def test_mistakesWhileIdle(self) -> None:
        """
        The same where no visitor is there.
        """
        for frame, reason in (
            (Data(b"x"), "idle"),
            (End(), "idle"),
            (Message({"type": "start"}), "a message"),
        ):
            self.setUp()
            self.peer(frame)
            self.assertBroken(reason)

    def test_resetsWhileIdle(self) -> None:
        """
        A reset that crossed the end of its stream does no harm.
        """
        self.peer(Reset(1, 1, "late"), Done(1))
        self.assertEqual(self.owner.losses, [])

    def test_nothingAfterAMistake(self) -> None:
        """
        What stands behind a mistake is not looked at.
        """
        _, heard = self.joined()
        self.peer(Data(b"good"), Datagram(1, b""), Data(b"bad"))
        self.assertEqual(heard.told[0], b"good")
        self.assertEqual(len(heard.told), 2)

    def test_nothingAfterAnAbort(self) -> None:
        """
        What was read already when a connection was aborted goes nowhere.
        """
        _, heard = self.joined()
        receive = heard.received

        def received(data: bytes) -> None:
            receive(data)
            self.work.abort()

        heard.received = received  # type: ignore[method-assign]
        self.peer(Data(b"one"), Data(b"two"))
        self.work.dataReceived(encode(Data(b"three")))
        told = "the work connection was lost: aborted here"
        self.assertEqual(heard.told, [b"one", (ResetCode.LOST, told)])

    def test_abortAtTheEnd(self) -> None:
        """
        A connection that is aborted because its last stream is done is not called
        idle after that, and the stream ended well.
        """
        stream, heard = self.joined()
        stream.finish()
        heard.finished = self.work.abort  # type: ignore[method-assign]
        self.peer(Done(1))
        self.assertEqual((self.owner.idles, heard.told), (0, []))
        self.assertEqual(self.owner.losses, ["aborted here"])

    def test_lostWhileBusy(self) -> None:
        """
        A stream whose connection ends is reset: half a file never looks whole.
        """
        for how in ("peerEnds", "peerResets"):
            self.setUp()
            stream, heard = self.joined()
            self.peer(Data(b"half"))
            getattr(self.transport, how)()
            self.transport.settle()
            self.assertEqual(heard.told[0], b"half")
            self.assertEqual(heard.told[1][0], ResetCode.LOST)
            self.assertEqual(len(self.owner.losses), 1)
            stream.write(b"more")
            stream.finish()
            stream.reset(ResetCode.LOST, "")
            stream.release()
            stream.pauseReading()
            stream.resumeReading()
            self.assertEqual(len(heard.told), 2)
            self.assertEqual(self.transport.take(), b"")

    def test_abort(self) -> None:
        """
        A session that ends cuts its connections, and so its visitors.
        """
        _, heard = self.joined()
        self.work.abort()
        self.work.abort()
        self.assertEqual(self.owner.losses, ["aborted here"])
        self.assertEqual(heard.told[0][0], ResetCode.LOST)
        self.transport.settle()
        self.assertTrue(self.transport.wasReset)
        self.assertEqual(self.owner.losses, ["aborted here"])

    def test_bug(self) -> None:
        """
        A bug of ours ends one connection, and its traceback is in the log.
        """
        _, heard = self.joined()
        heard.received = lambda data: 1 / 0  # type: ignore[method-assign,assignment]
        self.peer(Data(b"x"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.owner.losses, ["a bug"])

    def test_full(self) -> None:
        """
        A client that does not read holds up its visitor, and knows when to go on.
        """
        stream, heard = self.joined()
        self.transport.room = 0
        stream.write(bytes(BUFFER + 1))
        self.assertEqual(heard.told, ["blocked"])
        self.transport.room = None
        self.transport.settle()
        self.assertEqual(heard.told, ["blocked", "ready"])
        self.work.abort()

    def test_fullBeforeTheJoin(self) -> None:
        """
        A visitor that comes to a connection that is still full waits.
        """
        self.transport.room = 0
        self.work.write(bytes(BUFFER + 1))
        self.work.begin()
        heard = Heard()
        self.work.attach(heard)
        self.assertEqual(heard.told, ["blocked"])
        self.transport.room = None
        self.transport.settle()
        self.assertEqual(heard.told, ["blocked", "ready"])

    def test_closedByThePeerWhileFull(self) -> None:
        """
        A client that ends its TLS while we cannot write gets nothing more, so the
        visitor is reset.
        """
        stream, heard = self.joined()
        self.transport.room = 0
        stream.write(bytes(BUFFER + 1))
        self.transport.loseConnection()  # what TLS does at the peer's close_notify
        self.transport.room = None
        self.transport.settle()
        self.assertEqual(self.owner.losses, ["closed by the peer"])
        self.assertEqual(heard.told[-1][0], ResetCode.LOST)
        self.assertTrue(self.transport.lost)


class ClientTests(WorkCase):
    """
    The client's side: it is told of streams, and says when they are delivered.
    """

    client = True

    def test_closeBehindAVisitor(self) -> None:
        """
        A connection whose stream is not done, as a visitor has not ended who needs
        nothing more, closes when it is: closed at once, it would cut his last bytes.
        """
        self.peer(start(1))
        stream = self.work.attach(Heard())
        stream.resumeReading()
        stream.write(b"all of it")
        stream.finish()
        stream.release()
        self.work.close()
        self.assertEqual(self.said(), [Data(b"all of it"), End()])
        self.assertFalse(self.transport.ended)
        self.assertEqual(self.peer(Data(b"in vain"), End()), [Done(1)])
        self.assertTrue(self.transport.ended)
        self.transport.peerEnds()
        self.transport.settle()
        self.assertEqual(self.owner.losses, ["closed"])

    def test_streamAfterStream(self) -> None:
        """
        One connection brings one visitor after the other.
        """
        for number in (1, 2, 7):
            self.peer(start(number), Data(b"question"), End())
            heard = Heard()
            stream = self.work.attach(heard)
            self.assertEqual(heard.told, [])
            stream.resumeReading()
            self.assertEqual(heard.told, [b"question", "finished"])
            stream.write(b"answer")
            stream.finish()
            stream.release()
            self.assertEqual(self.said(), [Data(b"answer"), End(), Done(number)])
        self.assertEqual([s.stream for s in self.owner.starts], [1, 2, 7])
        self.assertEqual((self.owner.idles, self.owner.losses), (3, []))

    def test_askedWithoutReading(self) -> None:
        """
        A server that asks for stream after stream and reads none of the answers is
        cut off, before they fill the memory.
        """
        self.transport.room = 0
        self.owner.started = lambda work, start: work.refuse(  # type: ignore[method-assign]
            ResetCode.DENIED, "n" * 100
        )
        for number in range(1, BUFFER):
            self.peer(start(number), Reset(number, 1, "answer"))
            if self.owner.losses:
                break
        self.assertLess(number * 100, 2 * BUFFER)
        self.assertBroken("who has not read of the last one")

    def test_startSaysWho(self) -> None:
        """
        The client knows the visitor, and to what address it came.
        """
        self.peer(start(1))
        self.assertEqual(self.owner.starts, [START])
        self.work.abort()

    def test_doneSaysTheEnd(self) -> None:
        """
        Where the visitor ended first, the service's end and that all is delivered
        are one frame.
        """
        stream, _ = self.joined()
        self.peer(End())
        stream.release()
        self.assertEqual(self.said(), [Done(1)])

    def test_nothingIsGatheredWhileDialling(self) -> None:
        """
        A visitor that sends a lot waits while its service is dialled, then all of it
        comes in order.
        """
        self.transport.cut = 1000
        self.peer(start(1), *[Data(bytes([n]) * 5000) for n in range(200)], End())
        self.assertFalse(self.transport.reading)
        heard = Heard()
        stream = self.work.attach(heard)
        self.assertEqual(heard.told, [])
        stream.resumeReading()
        self.assertLessEqual(len(heard.told[0]), BUFFER)
        self.transport.settle()
        expected = b"".join(bytes([n]) * 5000 for n in range(200))
        self.assertEqual(heard.told, [expected, "finished"])
        self.work.abort()

    def test_orderWhereTheServiceIsFull(self) -> None:
        """
        Bytes that came before the join stay before those that came after, also where
        the join does not read at once.
        """
        self.peer(start(1), Data(b"first "))
        heard = Heard()
        stream = self.work.attach(heard)
        self.work.dataReceived(encode(Data(b"second")))
        stream.resumeReading()
        self.assertEqual(heard.told, [b"first second"])
        self.work.abort()

    def test_refuse(self) -> None:
        """
        A service that is down fails the visitor, and the connection goes on.
        """
        self.peer(start(1), Data(b"hello"))
        self.work.refuse(ResetCode.REFUSED, "refused")
        self.assertEqual(self.said(), [REFUSED])
        answer = Reset(1, ResetCode.PEER, "answer")
        self.assertEqual(self.peer(Data(b"more"), answer), [Done(1)])
        self.assertEqual(self.owner.idles, 1)
        self.assertEqual(self.peer(start(2)), [])
        self.assertEqual(len(self.owner.starts), 2)

    def test_refuseBehindTheEnd(self) -> None:
        """
        The same where the visitor has said everything.
        """
        self.peer(start(1), Data(b"hello"), End())
        self.work.refuse(ResetCode.REFUSED, "refused")
        self.assertEqual(self.said(), [REFUSED, Done(1)])
        self.assertEqual(self.owner.idles, 1)

    def test_resetWhileDialling(self) -> None:
        """
        A visitor that is gone before its service is reached: the server hears at
        once that nothing will come, and the service sees a reset.
        """
        self.transport.cut = 10
        answers = self.peer(start(1) + encode(Reset(1, ResetCode.PEER, "gone")))
        self.assertEqual(answers, [Reset(1, ResetCode.PEER, "answer to a reset")])
        heard = Heard()
        stream = self.work.attach(heard)
        self.assertEqual(heard.told, [])
        stream.resumeReading()
        self.assertEqual(heard.told, [(ResetCode.PEER, "gone")])
        stream.reset(ResetCode.PEER, "gone")
        stream.release()
        self.assertEqual(self.said(), [Done(1)])

    def test_refusedAfterAResetWhileDialling(self) -> None:
        """
        The same where the service cannot be reached either.
        """
        self.peer(start(1) + encode(Reset(1, ResetCode.PEER, "gone")))
        self.work.refuse(ResetCode.REFUSED, "refused")
        self.assertEqual(self.said(), [Done(1)])
        self.assertEqual(self.owner.idles, 1)

    def test_lostWhileDialling(self) -> None:
        """
        A connection that is lost while the service is dialled resets the service,
        whose answer would reach nobody.
        """
        self.peer(start(1), Data(b"hello"))
        self.work.abort()
        service, transport = rawEnd()
        join = Join(self.clock)
        join.start(self.work, service, b"")
        transport.settle()
        self.assertEqual(self.successResultOf(join.ended).code, ResetCode.LOST)
        self.assertTrue(transport.wasReset)
        self.assertEqual(transport.take(), b"")

    def test_lostAndRefused(self) -> None:
        """
        The same where the service cannot be reached: nothing happens.
        """
        self.peer(start(1))
        self.work.abort()
        self.work.refuse(ResetCode.REFUSED, "refused")
        self.assertEqual(self.said(), [])
        self.assertEqual(self.owner.losses, ["aborted here"])

    def test_mistakesWhileDialling(self) -> None:
        """
        A server that breaks the protocol while the service is dialled is found out
        at once, not in the middle of the join.
        """
        mistakes: list[tuple[list[Frame | bytes], str]] = [
            ([End(), Data(b"x")], "behind the end"),
            ([Done(1)], "DONE from the server"),
            ([start(2)], "before the last one was done"),
        ]
        for frames, reason in mistakes:
            self.setUp()
            self.peer(start(1) + b"".join(map(bytesOf, frames)))
            self.assertBroken(reason)
            heard = Heard()
            self.work.attach(heard).resumeReading()
            self.assertEqual(heard.told[0][0], ResetCode.LOST)

    def test_mistakes(self) -> None:
        """
        A server that breaks the protocol loses this connection, with a reason.
        """
        for frames, reason in (
            ((Done(1),), "DONE from the server"),
            ((start(2),), "before the last one was done"),
            ((End(), Data(b"x")), "behind the end"),
            ((End(), End()), "behind the end"),
            ((Datagram(1, b"x"),), "DATAGRAM"),
            ((b"\x1f\x00\x00\x00",), "unknown frame type 31"),
            ((said(Bye("", "")),), "a bye message on a work connection"),
            ((Message({"type": "dance"}),), "dance"),
        ):
            self.setUp()
            self.joined()
            self.peer(*frames)
            self.assertBroken(reason)

    def test_mistakesWhileIdle(self) -> None:
        """
        The same where no stream is there.
        """
        for frame, reason in (
            (Data(b"x"), "idle"),
            (End(), "idle"),
            (Done(1), "DONE from the server"),
            (start(0), "0 is no stream number"),
            (start(2**32), f"{2**32} is no stream number"),
            (Message({"type": "start", "stream": 1}), "start"),
        ):
            self.setUp()
            self.peer(frame)
            self.assertBroken(reason)
            self.assertEqual(self.owner.starts, [])

    def test_lateReset(self) -> None:
        """
        A reset that crossed our DONE does no harm.
        """
        stream, _ = self.joined()
        self.peer(End())
        stream.release()
        self.peer(Reset(1, 1, "late"))
        self.assertEqual(self.owner.losses, [])
        self.peer(start(2))
        self.peer(Reset(1, 1, "very late"))
        self.assertEqual(self.owner.losses, [])
        self.work.refuse(ResetCode.REFUSED, "")
        self.work.abort()

    def test_serverNeverEnds(self) -> None:
        """
        A server that does not answer a reset loses that connection.
        """
        self.peer(start(1))
        self.work.refuse(ResetCode.REFUSED, "refused")
        self.clock.advance(IDLE)
        self.assertEqual(self.owner.losses, ["stream 1 was not done in time"])

    def test_readsOnAfterTheJoin(self) -> None:
        """
        A connection whose service was full when it failed serves the next visitor.
        """
        stream, _ = self.joined()
        stream.pauseReading()
        stream.reset(ResetCode.PEER, "the service reset")
        stream.release()
        self.assertEqual(self.peer(Data(b"x"), End())[-1], Done(1))
        self.assertEqual(self.owner.idles, 1)

    def test_readsOnAfterTheEnd(self) -> None:
        """
        The same where the visitor had ended.
        """
        stream, _ = self.joined()
        self.peer(End())
        stream.pauseReading()
        stream.reset(ResetCode.PEER, "the service reset")
        stream.release()
        self.peer(start(2))
        self.assertEqual(len(self.owner.starts), 2)
        self.work.abort()

    def test_closeBehindAStream(self) -> None:
        """
        A client that stops gives the server time to read why its last streams fail,
        but not for ever.
        """
        self.peer(start(1))
        self.work.refuse(ResetCode.STOPPING, "stopping")
        self.work.close()
        self.assertTrue(self.transport.reading)
        self.assertEqual(self.said(), [Reset(1, ResetCode.STOPPING, "stopping")])
        self.peer(Reset(1, ResetCode.PEER, "answer"))
        self.assertEqual(self.owner.idles, 0)
        self.clock.advance(CLOSING - 1)
        self.work.close()
        self.clock.advance(1)
        self.assertEqual(self.owner.losses, ["it did not close in time"])

    def test_startWhileClosing(self) -> None:
        """
        No service is dialled for a visitor who comes while the client stops.
        """
        self.work.close()
        self.peer(start(1))
        self.assertEqual(self.owner.starts, [])
        self.transport.peerEnds()
        self.transport.settle()
        self.assertEqual(self.owner.losses, ["closed"])

    def test_closeWhileNotReading(self) -> None:
        """
        The peer's end is seen where the last stream was not read from.
        """
        stream, _ = self.joined()
        stream.pauseReading()
        self.work.close()
        self.transport.peerEnds()
        self.transport.settle()
        self.assertEqual(self.owner.losses, ["closed"])

    def test_bugInTheOwner(self) -> None:
        """
        A bug in who dials services costs that visitor alone.
        """
        owner = Owner()
        owner.started = lambda work, start: 1 / 0  # type: ignore[method-assign,assignment]
        self.work._owner = owner
        self.peer(start(1))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(owner.losses, ["a bug"])


class EarlyAnswerTests(SynchronousTestCase):
    """
    A service that answers early and stops reading.
    """

    def setUp(self) -> None:
        """
        Make both sides of a work connection, a visitor and a service.
        """
        self.clock = Clock()
        self.server, self.near, self.pool = workEnd(False, self.clock)
        self.client, self.far, self.supply = workEnd(True, self.clock)

    def serve(self) -> None:
        """
        Let one visitor come.
        """
        visitor, self.visitor = rawEnd()
        service, self.service = rawEnd()
        self.outcomes: list[Outcome] = []
        for join, one, other, opening in (
            (
                Join(self.clock),
                visitor,
                self.server,
                start(self.server.begin()),
            ),
            (Join(self.clock), self.client, service, b""),
        ):
            join.start(one, other, opening)
            join.ended.addCallback(self.outcomes.append)
            self.turn()

    def turn(self) -> None:
        """
        Let everything happen that can.
        """
        happened = True
        while happened:
            self.far.peerSends(self.near.take())
            self.near.peerSends(self.far.take())
            transports = (self.near, self.far, self.visitor, self.service)
            happened = any([t.turn() for t in transports]) or bool(
                self.near.sent or self.far.sent
            )

    def test_nextVisitors(self) -> None:
        """
        The stream ends at the idle limit, reset on both sides, and a hundred further
        visitors are served over the same connection.
        """
        self.visitor = self.service = rawEnd()[1]
        self.serve()
        self.service.room = 0
        self.near.room = self.far.room = None
        self.visitor.peerSends(bytes(100 * BUFFER))
        self.service.peerSends(b"too large")
        self.service.peerEnds()
        self.turn()
        self.assertEqual(self.visitor.take(), b"too large")
        self.assertTrue(self.visitor.ended)
        self.clock.pump([IDLE, IDLE])
        self.turn()
        codes = [outcome.code for outcome in self.outcomes]
        self.assertEqual(codes, [ResetCode.IDLE, ResetCode.IDLE])
        self.assertTrue(self.visitor.wasReset)
        self.assertTrue(self.service.wasReset)
        self.assertEqual((self.pool.idles, self.supply.idles), (1, 1))
        for number in range(100):
            self.serve()
            self.visitor.peerSends(b"question %d" % number)
            self.visitor.peerEnds()
            self.service.peerSends(b"answer %d" % number)
            self.service.peerEnds()
            self.turn()
            self.assertEqual(self.service.take(), b"question %d" % number)
            self.assertEqual(self.visitor.take(), b"answer %d" % number)
            self.assertEqual(self.outcomes, [Outcome(), Outcome()])
        self.assertEqual((self.pool.idles, self.supply.idles), (101, 101))
        self.assertEqual(self.pool.losses + self.supply.losses, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])
