"""
Tests for L{tunnelkit.relay.fast.loop}.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from tests.relay.fast.case import ABLE, LoopCase
from tests.relay.memory import Heard
from tunnelkit.relay.streams.join import Join

if ABLE:
    from tunnelkit.relay.fast.loop import (
        AWAY,
        BITE,
        BUDGET,
        HANGUP,
        IN,
        OUT,
        SHARED,
        SHARED_BITE,
        STAYS,
        WAIT,
        Loop,
    )


class Watcher:
    """
    Something that is watched.

    @ivar events: what happened.
    @ivar fd: where, or -1 where it is watched no more.
    @ivar failures: how often it was told of a bug.
    @ivar call: what it does then.
    """

    def __init__(self, call: Callable[[], object] = lambda: None) -> None:
        self.events: list[int] = []
        self.fd = -1
        self.failures = 0
        self.call = call

    def happened(self, event: int) -> None:
        """
        Remember that.
        """
        self.events.append(event)
        self.call()

    def failed(self) -> None:
        """
        Remember that.
        """
        self.failures += 1


class LoopTests(LoopCase):
    """
    Tests for L{Loop}.
    """

    def setUp(self) -> None:
        """
        Make a loop with a time of its own.
        """
        super().setUp()
        self.time = 0.0
        self.own = Loop(self.reactor, self.now)  # type: ignore[arg-type]

    def now(self) -> float:
        """
        Tell the time, which goes by as one asks.
        """
        self.time += BUDGET / 10
        return self.time

    def watched(
        self, call: Callable[[], object] = lambda: None, events: int | None = None
    ) -> tuple[Watcher, socket.socket]:
        """
        Watch one end of a connection.

        @return: the other end beside.
        """
        one, other = socket.socketpair()
        watcher = Watcher(call)
        self.own.watch(one.fileno(), watcher, IN if events is None else events)

        watcher.fd = one.fileno()
        for each in (one, other):
            self.addCleanup(each.close)
        self.addCleanup(self.forget, watcher)
        return watcher, other

    def forget(self, watcher: Watcher) -> None:
        """
        Watch it no more.
        """
        if watcher.fd != -1:
            self.own.forget(watcher.fd)
            watcher.fd = -1

    def test_quiet(self) -> None:
        """
        A loop in which nothing is watched is no reader and has no descriptor.
        """
        self.assertEqual((self.own.fileno(), [*self.reactor.readers]), (-1, []))
        watcher, _ = self.watched()
        self.assertEqual([*self.reactor.readers], [self.own])
        self.forget(watcher)
        self.assertEqual((self.own.fileno(), [*self.reactor.readers]), (-1, []))
        self.assertEqual(len(self.own), 0)

    def test_shared(self) -> None:
        """
        Bulk is moved in large bites while it is alone, and in small ones while others
        speak and a moment longer; whenever it was moved others get the processor.
        """
        yields: list[None] = []
        self.patch(os, "sched_yield", lambda: yields.append(None))
        bulk, source = self.watched(lambda: self.own.bulky.add(bulk.fd))
        heard: list[bytes] = []
        one, person = socket.socketpair()
        self.addCleanup(one.close)
        self.addCleanup(person.close)
        other = Watcher(lambda: heard.append(one.recv(1)))
        source.send(b"x")
        self.own.doRead()
        self.assertEqual(self.own.bite, BITE)
        self.assertTrue(yields)
        self.own.watch(one.fileno(), other, IN)
        self.addCleanup(self.own.forget, one.fileno())
        person.send(b"x")
        self.own.doRead()
        self.assertEqual(heard, [b"x"])
        self.assertEqual(self.own.bite, SHARED_BITE)
        self.own.doRead()
        self.assertEqual(self.own.bite, SHARED_BITE)
        self.time += SHARED
        self.own.doRead()
        self.assertEqual(self.own.bite, BITE)

    def test_hog(self) -> None:
        """
        A program that keeps the processor as long as it can is not left it after each
        piece of bulk: that would hardly move.
        """
        yields: list[float] = []

        def leave() -> None:
            yields.append(self.time)
            self.time += 2 * AWAY

        self.patch(os, "sched_yield", leave)
        bulk, source = self.watched(lambda: self.own.bulky.add(bulk.fd))
        source.send(b"x")
        self.own.doRead()
        self.own.doRead()
        self.assertEqual(len(yields), 1)
        self.time = yields[0] + 2 * AWAY * STAYS
        self.own.doRead()
        self.assertEqual(len(yields), 2)

    def test_severalBulks(self) -> None:
        """
        Several who move bulk are not others to each other, however long they do.
        """

        def move(fd: int) -> None:
            self.own.bulky.add(fd)

        for _ in range(3):
            bulk, source = self.watched()
            bulk.call = partial(move, bulk.fd)
            source.send(b"x")
        while self.time < 3 * SHARED:
            self.own.doRead()
            self.assertEqual(self.own.bite, BITE)

    def test_told(self) -> None:
        """
        Who is watched hears of what happens, and of what it asks for alone.
        """
        watcher, other = self.watched()
        silent, silentOther = self.watched(events=0)
        other.send(b"x")
        silentOther.send(b"x")
        self.reactor.turn()
        self.assertEqual(set(watcher.events), {IN})
        self.assertEqual(silent.events, [])
        self.own.change(silent.fd, IN | OUT)
        self.reactor.turn()
        self.assertEqual(set(silent.events), {IN | OUT})
        silentOther.close()
        silent.events.clear()
        self.reactor.turn()
        self.assertTrue(silent.events[-1] & HANGUP)

    def test_budget(self) -> None:
        """
        A stream that always has more does not keep the reactor from its turn.
        """
        watcher, other = self.watched()
        other.send(b"never read")
        self.reactor.turn()
        self.assertLessEqual(len(watcher.events), 12)
        self.assertGreater(len(watcher.events), 1)

    def test_bug(self) -> None:
        """
        A bug at one connection is logged and ends it; the others go on.
        """
        bad, badOther = self.watched(lambda: 1 / 0)
        good, goodOther = self.watched()
        goodOther.send(b"x")
        badOther.send(b"x")
        self.reactor.turn()
        self.assertEqual((bool(bad.failures), good.failures), (True, 0))
        self.assertTrue(good.events)
        self.assertEqual(
            len(self.flushLoggedErrors(ZeroDivisionError)), len(bad.events)
        )

    def test_bugAtTheEnd(self) -> None:
        """
        Another one while that connection is ended is logged, too.
        """

        def failed() -> None:
            raise LookupError

        bad, other = self.watched(lambda: 1 / 0)
        bad.failed = failed  # type: ignore[method-assign]
        other.send(b"x")
        self.reactor.turn()
        self.assertTrue(self.flushLoggedErrors(ZeroDivisionError))
        self.assertTrue(self.flushLoggedErrors(LookupError))

    def test_closedMeanwhile(self) -> None:
        """
        A connection that is closed while another one is served hears no more, and a
        loop may end in the midst of its turn, and begin again.
        """
        told: list[Watcher] = []

        def closeBoth() -> None:
            told.append(one if one.events else other)
            for each in (one, other):
                self.forget(each)

        one, oneOther = self.watched(closeBoth)
        other, otherOther = self.watched(closeBoth)
        oneOther.send(b"x")
        otherOther.send(b"x")
        self.reactor.turn()
        self.assertEqual(len(told), 1)
        self.assertEqual(self.own.fileno(), -1)
        again, againOther = self.watched()
        againOther.send(b"x")
        self.reactor.turn()
        self.assertTrue(again.events)

    def test_waiting(self) -> None:
        """
        Where answers come at once the loop waits a moment for them, and not where
        somebody else needs the reactor.
        """
        waits: list[float] = []
        make = select.epoll
        self.patch(select, "epoll", lambda: _Polled(make(), waits))
        _, other = self.watched()
        other.send(b"x")
        self.own.doRead()
        self.assertEqual(waits[0], 0)
        self.assertLessEqual(max(waits), WAIT)
        # The reactor was round in no time.
        waits.clear()
        self.own.doRead()
        self.assertEqual(waits[0], 0)
        waits.clear()
        self.own.others = 1
        self.own.doRead()
        self.assertEqual(set(waits), {0})

    def test_named(self) -> None:
        """
        A bug in the reactor's log names who it was, and its end is survived.
        """
        self.assertEqual(self.own.logPrefix(), "relay")
        self.own.connectionLost(None)  # type: ignore[arg-type]


class _Polled:
    """
    An epoll that says how long it was to wait.
    """

    def __init__(self, epoll: Any, waits: list[float]) -> None:
        self._epoll = epoll
        self._waits = waits

    def poll(self, timeout: float, most: int) -> Any:
        """
        Remember, and look.
        """
        self._waits.append(timeout)
        return self._epoll.poll(0, most)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._epoll, name)


class BugTests(LoopCase):
    """
    Bugs of ours at connections of the fast path.
    """

    def test_visitor(self) -> None:
        """
        A bug at what a visitor says resets that visitor; the next one is served.
        """
        bad, badPeer = self.raw()
        good, goodPeer = self.raw()
        heards = [Heard(), Heard()]
        for end, heard in zip((bad, good), heards, strict=True):
            end.attach(heard).resumeReading()

        def received(data: bytes) -> None:
            raise ZeroDivisionError

        heards[0].received = received  # type: ignore[method-assign]
        badPeer.send(b"x")
        goodPeer.send(b"good")
        self.until(lambda: heards[1].told)
        self.assertEqual(heards[1].told, [b"good"])
        self.assertEqual(badPeer.ends(), "reset")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(goodPeer.ending, "")

    def test_work(self) -> None:
        """
        A bug at what a work connection brings resets it and its stream alone.
        """
        visitor, person = self.raw()
        work, peer, owner = self.work()
        work.begin()
        joined = self.joined(visitor, work)

        def put(start: int, stop: int) -> None:
            raise ZeroDivisionError

        class Broken:
            takesPipes = False

        broken: Any = Broken()
        broken.put = put
        work.attach(cast(Join, joined.join).other, broken)
        peer.send(b"\0\0\0\1x")
        self.until(lambda: owner.losses)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual((peer.ends(), person.ends()), ("reset", "reset"))
        self.assertIsNotNone(joined.outcome)
