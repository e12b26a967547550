"""
Tests for L{tunnelkit.tunnels.tcp}.
"""

from __future__ import annotations

import errno
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError

from tests.fakes import (
    FakeChannel,
    FakeEnd,
    FakeJoin,
    FakeRelay,
    FakeWork,
    TimedCase,
    messages,
    session,
    worksOf,
)
from tests.logs import Log
from tests.relay.memory import Heard, ScriptedEnd
from tunnelkit.control.session import STREAMS
from tunnelkit.interfaces import Outcome
from tunnelkit.relay.wrapping.packed import Packed
from tunnelkit.state.lease import Lease
from tunnelkit.status import TunnelStatus
from tunnelkit.tunnels import detail
from tunnelkit.tunnels.tcp import WAITING, PublicTCP
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.native.codec import fromServer
from tunnelkit.wire.native.frames import FrameDecoder, Message
from tunnelkit.wire.native.messages import Start
from tunnelkit.wire.packing import Deflater

PORT = 9000
LEASE = Lease("tcp", PORT, "ann", "laptop", "web", 1000.0)


class PublicCase(TimedCase):
    """
    A tunnel on the server, listening.
    """

    def setUp(self) -> None:
        """
        Publish.
        """
        super().setUp()
        self.patch(detail, "shown", True)
        self.log = Log(self)
        self.relay = FakeRelay()
        self.allowed = {"ann"}
        self.room = True
        self.session, self.channel = session(
            self.clock,
            allowed=lambda user: user in self.allowed,
            room=lambda user: self.room,
        )
        self.withdrawals: list[tuple[PublicTCP, Deferred[object]]] = []
        self.tunnel = PublicTCP(
            self.session,
            "web",
            LEASE,
            "tcp://vps.example.org:9000",
            self.relay,
            self.clock,
            lambda tunnel, free: self.withdrawals.append((tunnel, free)),
        )
        self.tunnel.listen("")
        self.session.tunnels["web"] = self.tunnel
        self.ports = count(6000)
        self.addCleanup(self.session.end, "", "the session has ended")

    def visit(self) -> FakeEnd:
        """
        Have a visitor come.
        """
        visitor = FakeEnd(f"192.0.2.9:{next(self.ports)}")
        self.relay.ports[PORT].arrived(visitor)
        return visitor

    def add(self) -> FakeWork:
        """
        Have the client open a work connection.
        """
        work = FakeWork()
        worksOf(self.session).add(work)
        return work

    def serve(self) -> FakeJoin:
        """
        Have a visitor come who is served at once.
        """
        self.add()
        self.visit()
        return self.relay.joins[-1]

    def said(self) -> list[str]:
        """
        Give what the log says to whoever does not debug.
        """
        return self.log.lines("info", "warn", "error")


class ServingTests(PublicCase):
    """
    A visitor reaches the client.
    """

    def test_served(self) -> None:
        """
        A visitor is joined to a work connection, behind the message that tells the
        client who it is and what it came to.
        """
        work, visitor = self.add(), self.visit()
        (join,) = self.relay.joins
        self.assertEqual((join.one, join.other), (visitor, work))
        self.assertEqual(
            [*messages(join.opening)],
            [
                {
                    "type": "start",
                    "stream": 1,
                    "tunnel": "web",
                    "kind": "tcp",
                    "visitor": "192.0.2.9:6000",
                    "address": "198.51.100.1:9000",
                }
            ],
        )

    def test_nextStream(self) -> None:
        """
        The next visitor on the same work connection is another stream.
        """
        join = self.serve()
        join.end()
        assert isinstance(join.other, FakeWork)
        worksOf(self.session).idle(join.other)
        self.visit()
        (start,) = messages(self.relay.joins[-1].opening)
        self.assertEqual(start["stream"], 2)

    def test_waits(self) -> None:
        """
        A visitor who finds no work connection waits for one.
        """
        visitor = self.visit()
        self.assertEqual(self.relay.joins, [])
        self.assertEqual(self.tunnel.streams, 1)
        self.add()
        self.assertIs(self.relay.joins[0].one, visitor)
        self.assertFalse(visitor.aborted)

    def test_waitsInVain(self) -> None:
        """
        A visitor for whom none comes in ten seconds is reset, and the log says why.
        """
        visitor = self.visit()
        self.clock.advance(10)
        self.assertTrue(visitor.aborted)
        self.assertEqual(
            self.said(),
            ["visitors of web are reset: the client opened no work connection in 10 s"],
        )
        self.assertEqual((self.tunnel.streams, self.session.streams), (0, 0))

    def test_expired(self) -> None:
        """
        Nobody is served for a user who may not publish any more, not even before the
        session is ended for it.
        """
        work = self.add()
        self.allowed.clear()
        visitor = self.visit()
        self.assertTrue(visitor.aborted)
        self.assertEqual((work.number, self.session.streams), (0, 0))
        self.assertEqual(
            self.said(),
            ["visitors of web are reset: the token was revoked, or has expired"],
        )

    def test_bind(self) -> None:
        """
        It listens where the server was told to.
        """
        self.assertEqual(self.relay.ports[PORT].address, HostPort("", PORT))

    def test_cannotListen(self) -> None:
        """
        Where the port cannot be had, that is the caller's to tell.
        """
        self.relay.taken[PORT] = OSError(errno.EADDRINUSE, "Address already in use")
        self.assertRaises(CannotListenError, self.tunnel.listen, "")

    def test_bug(self) -> None:
        """
        A bug at one visitor costs that visitor and its work connection, and nothing
        is counted for ever.
        """
        self.relay.bug = ZeroDivisionError()
        work, visitor = self.add(), self.visit()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertTrue(work.aborted)
        self.assertTrue(visitor.aborted)
        self.assertEqual((self.tunnel.streams, self.session.streams), (0, 0))
        self.relay.bug = None
        self.serve().end()


class BoundTests(PublicCase):
    """
    Visitors are many, but not without end.
    """

    def test_waiting(self) -> None:
        """
        4096 visitors wait, the next is reset; those who wait are not harmed.
        """
        visitors = [self.visit() for _ in range(WAITING)]
        last = self.visit()
        self.assertTrue(last.aborted)
        self.assertFalse(any(visitor.aborted for visitor in visitors))
        self.assertEqual(
            self.said(), ["visitors of web are reset: too many visitors at once"]
        )
        status = self.tunnel.status()
        self.assertEqual((status.visitors, status.failed), (WAITING + 1, 1))

    def test_streams(self) -> None:
        """
        A session has 65536 streams at most, over all its tunnels.
        """
        self.session.streams = STREAMS - 1
        self.serve()
        self.add()
        self.assertTrue(self.visit().aborted)
        self.relay.joins[0].end()
        self.assertFalse(self.visit().aborted)


class EndingTests(PublicCase):
    """
    Streams end, and tunnels do.
    """

    def test_ended(self) -> None:
        """
        A stream that ended well is no news.
        """
        join = self.serve()
        self.assertEqual((self.tunnel.streams, self.session.streams), (1, 1))
        join.end()
        self.assertEqual((self.tunnel.streams, self.session.streams), (0, 0))
        self.assertEqual(self.said(), [])
        self.assertEqual(self.tunnel.status().failed, 0)

    def test_serviceIsDown(self) -> None:
        """
        That the local service refuses everybody is said once.
        """
        reason = "the local service 127.0.0.1:8000 refused the connection"
        for _ in range(50):
            self.serve().end(Outcome(ResetCode.REFUSED, reason))
        self.assertEqual(self.said(), [f"visitors of web are reset: {reason}"])
        self.assertEqual(self.tunnel.status().failed, 50)

    def test_flood(self) -> None:
        """
        A client that resets its visitors for ever new reasons does not fill the log.
        """
        self.room = False
        self.serve().end(Outcome(ResetCode.REFUSED, "a reason"))
        self.assertEqual(self.said(), [])

    def test_reset(self) -> None:
        """
        That a visitor or the service reset its stream is its own doing: not in the
        log, but counted.
        """
        self.serve().end(Outcome(ResetCode.PEER, "192.0.2.9:6000 reset it"))
        self.assertEqual(self.said(), [])
        self.assertEqual(self.tunnel.status().failed, 1)

    def test_reasonFromTheClient(self) -> None:
        """
        A reason that the client gives does no harm to the log.
        """
        self.serve().end(Outcome(ResetCode.REFUSED, "no\n\x1b[2J"))
        lines = self.log.lines("debug", "info")
        self.assertTrue(lines)
        self.assertTrue(all(line.isprintable() for line in lines))

    def test_detail(self) -> None:
        """
        Who debugs sees each stream begin and end, with how much went each way.
        """
        join = self.serve()
        join.forth, join.back = 85, 201
        join.end()
        self.serve().end(Outcome(ResetCode.PEER, "192.0.2.9:6001 reset it"))
        first, second = "stream 1 of 192.0.2.9:6000", "stream 1 of 192.0.2.9:6001"
        ends = f"{second} at web ends: 192.0.2.9:6001 reset it"
        self.assertEqual(
            self.log.lines("debug"),
            [
                f"{first} at web begins",
                f"{first} at web ends: well, 85 bytes from the visitor, 201 to the"
                " visitor",
                f"{second} at web begins",
                f"{ends}, 0 bytes from the visitor, 0 to the visitor",
            ],
        )

    def test_withdraw(self) -> None:
        """
        A tunnel that is withdrawn takes no more visitors, and streams under way go
        on.
        """
        join = self.serve()
        self.tunnel.withdraw()
        ((tunnel, free),) = self.withdrawals
        self.assertIs(tunnel, self.tunnel)
        self.successResultOf(free)
        self.assertEqual(self.relay.ports, {})
        self.assertIsNone(join.outcome)
        self.tunnel.withdraw()
        self.assertEqual(len(self.withdrawals), 1)

    def test_withdrawnIsShown(self) -> None:
        """
        A tunnel that was withdrawn is to be seen, with its bytes, until its last
        visitor has gone, also where that one only waits.
        """
        join, _ = self.serve(), self.visit()
        self.assertFalse(self.tunnel.status().withdrawn)
        self.assertTrue(self.session.withdraw("web"))
        self.assertFalse(self.session.withdraw("web"))
        self.assertEqual([*self.session.leaving], [self.tunnel])
        self.assertTrue(self.tunnel.status().withdrawn)
        join.end()
        self.assertEqual([*self.session.leaving], [self.tunnel])
        self.clock.advance(10)
        self.assertEqual(self.tunnel.streams, 0)
        self.assertEqual([*self.session.leaving], [])

    def test_withdrawnAndEmpty(self) -> None:
        """
        One without visitors is gone at once.
        """
        self.session.withdraw("web")
        self.assertEqual([*self.session.leaving], [])

    def test_withdrawnInTrouble(self) -> None:
        """
        What was wrong with its visitors is all said when the last one has gone, and
        nothing is left for the reactor to do.
        """
        joins = [self.serve() for _ in range(3)]
        self.session.withdraw("web")
        for join in joins:
            join.end(Outcome(ResetCode.TIMEOUT, "half-open and idle"))
        self.assertEqual(
            self.said(),
            [
                "visitors of web are reset: half-open and idle",
                "visitors of web are reset: half-open and idle (2 times more)",
            ],
        )
        self.session.end("", "lost")
        self.assertQuiet()

    def test_withdrawnAndCut(self) -> None:
        """
        The end of the session resets the visitors of withdrawn tunnels, too, and says
        to them why.
        """
        join, waiting = self.serve(), self.visit()
        self.session.withdraw("web")
        self.session.end("", "the token was revoked")
        reason = "the token was revoked"
        self.assertEqual(join.outcome, Outcome(ResetCode.WITHDRAWN, reason))
        self.assertTrue(waiting.aborted)
        self.assertEqual([*self.session.leaving], [])
        self.assertQuiet()

    def test_cut(self) -> None:
        """
        Streams of a session that has ended are reset, and so are those who wait;
        that is one line in the log, which is the session's.
        """
        join, waiting = self.serve(), self.visit()
        self.session.end("", "the control channel is gone")
        reason = "the control channel is gone"
        self.assertEqual(join.outcome, Outcome(ResetCode.WITHDRAWN, reason))
        self.assertTrue(waiting.aborted)
        self.assertEqual((self.tunnel.streams, self.session.streams), (0, 0))
        self.assertEqual(self.said(), [])
        self.assertQuiet()


class CompressedTests(PublicCase):
    """
    A tunnel whose visitors' bytes are compressed.
    """

    def test_compressed(self) -> None:
        """
        The client is told of each visitor that it is so, and what crosses the tunnel
        counts beside what visitors see.
        """
        self.tunnel = PublicTCP(
            self.session,
            "web",
            LEASE,
            "tcp://vps.example.org:9000",
            self.relay,
            self.clock,
            lambda tunnel, free: None,
            "deflate",
        )
        self.relay.ports.clear()
        self.tunnel.listen("")
        join = self.serve()
        (frame,) = FrameDecoder().feed(join.opening)
        assert isinstance(frame, Message)
        start = fromServer(frame)
        assert isinstance(start, Start)
        self.assertEqual((start.stream, start.compress), (1, "deflate"))
        self.assertIsInstance(join.other, Packed)
        work: Any = ScriptedEnd(delivers=False)
        packed = self.tunnel._packing.end(work)  # type: ignore[union-attr]
        stream = packed.attach(Heard())
        stream.write(bytes(1000))
        packed.received(Deflater().pack(b"abc"))
        join.forth, join.back = 1000, 3
        status = self.tunnel.status()
        self.assertEqual(status.compress, "deflate")
        self.assertEqual((status.received, status.sent), (1000, 3))
        self.assertTrue(0 < status.receivedPacked < 50)
        self.assertEqual(status.sentPacked, packed.count)
        stream.reset(ResetCode.STOPPING, "")


class StatusTests(PublicCase):
    """
    The admin rooms show what goes on.
    """

    def test_live(self) -> None:
        """
        Bytes count while they flow, and after that.
        """
        first, second = self.serve(), self.serve()
        first.forth, first.back = 10, 200
        second.forth, second.back = 3, 4
        self.visit()
        expected = TunnelStatus(
            name="web",
            kind="tcp",
            address="tcp://vps.example.org:9000",
            user="ann",
            client="laptop",
            session=self.session.shown,
            streams=3,
            visitors=3,
            failed=0,
            received=13,
            sent=204,
            receivedPacked=13,
            sentPacked=204,
        )
        self.assertEqual(self.tunnel.status(), expected)
        first.end()
        status = self.tunnel.status()
        self.assertEqual((status.streams, status.received, status.sent), (2, 13, 204))

    def test_channel(self) -> None:
        """
        A visitor costs no message on the control channel while connections are there.
        """
        for _ in range(5):
            self.add()
        self.visit()
        self.clock.advance(0)
        assert isinstance(self.channel, FakeChannel)
        self.assertEqual(self.channel.messages, [])
