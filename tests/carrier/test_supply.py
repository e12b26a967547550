"""
Tests for L{tunnelkit.carrier.supply}.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.fakes import FakeWork
from tests.logs import Log
from tunnelkit.carrier.route import Unreached
from tunnelkit.carrier.supply import AT_ONCE, MOST, Supply
from tunnelkit.interfaces import IWorkEnd, IWorkOwner
from tunnelkit.wire.native.messages import Start

START = Start(1, "web", "tcp", "192.0.2.9:6000", "198.51.100.1:9000")
DOWN = Unreached("vps:8910 cannot be reached")


class SupplyTests(SynchronousTestCase):
    """
    A client opens the work connections that its server wants.
    """

    def setUp(self) -> None:
        """
        Make a supply, and look into the log.
        """
        self.log = Log(self)
        self.opening: list[Deferred[IWorkEnd]] = []
        self.cancelled = 0
        self.owners: list[IWorkOwner] = []
        self.starts: list[tuple[IWorkEnd, Start]] = []
        self.supply = Supply(self.open, lambda w, s: self.starts.append((w, s)))

    def open(self, owner: IWorkOwner) -> Deferred[IWorkEnd]:
        """
        Begin to open a work connection.
        """
        self.owners.append(owner)
        opening: Deferred[IWorkEnd] = Deferred(self.cancel)
        self.opening.append(opening)
        return opening

    def cancel(self, opening: Deferred[IWorkEnd]) -> None:
        """
        Count those that are given up.
        """
        self.cancelled += 1

    def take(self, count: int) -> list[Deferred[IWorkEnd]]:
        """
        Give the oldest that are in opening.
        """
        taken, self.opening = self.opening[:count], self.opening[count:]
        return taken

    def succeed(self, count: int) -> list[FakeWork]:
        """
        Have so many come.
        """
        works = [FakeWork() for _ in range(count)]
        for work in works:
            self.take(1)[0].callback(work)
        return works

    def refuse(self, count: int = 1) -> None:
        """
        Have so many not come.
        """
        for _ in range(count):
            self.take(1)[0].errback(Failure(DOWN))

    def test_wanted(self) -> None:
        """
        As many are opened as are wanted.
        """
        self.supply.want(3)
        self.assertEqual(len(self.opening), 3)
        self.assertEqual(self.owners, [self.supply] * 3)

    def test_someAtATime(self) -> None:
        """
        However many are wanted, 32 are in opening at one time; the others follow.
        """
        self.supply.want(50)
        self.supply.want(50)
        self.assertEqual(len(self.opening), AT_ONCE)
        self.succeed(60)
        self.assertEqual(len(self.opening), AT_ONCE)
        self.succeed(40)
        self.assertEqual(self.opening, [])

    def test_tooMany(self) -> None:
        """
        A server that wants more than anybody could use gets 65536 and no more.
        """
        self.supply.want(2**63 - 1)
        self.supply.want(2**63 - 1)
        total = 0
        while self.opening:
            total += len(self.succeed(len(self.opening)))
        self.assertEqual(total, MOST)

    def test_lost(self) -> None:
        """
        One that is lost makes room, and is not opened again unless it is wanted.
        """
        self.supply.want(1)
        (work,) = self.succeed(1)
        self.supply.lost(work, "closed")
        self.assertEqual(self.opening, [])
        self.supply.stop()
        self.assertFalse(work.aborted)

    def test_stream(self) -> None:
        """
        A visitor on one of them reaches the client.
        """
        self.supply.want(1)
        (work,) = self.succeed(1)
        self.supply.started(work, START)
        self.supply.idle(work)
        self.assertEqual(self.starts, [(work, START)])

    def test_oneFails(self) -> None:
        """
        One that fails is not the end of a burst: the others are opened all the same.
        """
        self.supply.want(AT_ONCE + 5)
        self.refuse()
        self.succeed(AT_ONCE)
        self.assertEqual(len(self.opening), 4)

    def test_manyFail(self) -> None:
        """
        Where one after the other fails, no more are tried than are under way, and
        that is said once.
        """
        self.supply.want(1000)
        self.refuse(AT_ONCE + 1)
        self.assertEqual(self.opening, [])
        self.assertEqual(
            self.log.lines("warn"),
            ["no work connection to the server: vps:8910 cannot be reached"],
        )

    def test_saidOnceABurst(self) -> None:
        """
        The next trouble, after it worked again, is said again.
        """
        self.supply.want(1)
        self.refuse()
        self.supply.want(1)
        self.refuse()
        self.assertEqual(len(self.log.lines("warn")), 1)
        self.supply.want(1)
        self.succeed(1)
        self.supply.want(1)
        self.refuse()
        self.assertEqual(len(self.log.lines("warn")), 2)

    def test_bug(self) -> None:
        """
        A bug of ours is in the log with its traceback.
        """
        self.supply.want(1)
        self.take(1)[0].errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_stop(self) -> None:
        """
        When the control channel has ended, those in opening are given up without a
        word, those that are there are reset, and none is opened any more.
        """
        self.supply.want(40)
        works = self.succeed(2)
        self.supply.stop()
        self.assertEqual(self.cancelled, AT_ONCE)
        self.assertTrue(all(work.aborted for work in works))
        self.supply.want(3)
        self.assertEqual(len(self.opening), AT_ONCE)
        self.assertEqual(self.log.lines("warn"), [])

    def test_retired(self) -> None:
        """
        A client that stops closes its work connections well, once, and waits until
        all are gone: what was sent on them has been read then.
        """
        self.supply.want(3)
        works = self.succeed(2)
        self.assertFalse(self.supply.retired())
        self.assertEqual(self.cancelled, 1)
        self.assertTrue(all(work.closed and not work.aborted for work in works))
        works[0].closed = False
        self.supply.lost(works[1], "closed")
        self.assertFalse(self.supply.retired())
        self.assertFalse(works[0].closed)
        self.supply.lost(works[0], "closed")
        self.assertTrue(self.supply.retired())
        self.supply.want(3)
        self.assertEqual(len(self.owners), 3)

    def test_cameBehindTheStop(self) -> None:
        """
        One that could not be given up is reset when it comes.
        """
        opening: Deferred[IWorkEnd] = Deferred(lambda d: d.callback(late))
        late = FakeWork()
        supply = Supply(lambda owner: opening, lambda work, start: None)
        supply.want(1)
        supply.stop()
        self.assertTrue(late.aborted)
