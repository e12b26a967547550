"""
Tests for L{tunnelkit.relay.wrapping.sealed}.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.relay.memory import ScriptedEnd
from tunnelkit.interfaces import IEnd, Outcome
from tunnelkit.relay.streams.join import Join
from tunnelkit.relay.streams.stream import Attachable
from tunnelkit.relay.wrapping.sealed import SHAKING
from tunnelkit.relay.wrapping.sealing import Sealing
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.endkey import newEndKey

NOW: Final = datetime(2027, 1, 1, tzinfo=UTC)
KEY: Final = newEndKey(NOW)
OTHER: Final = newEndKey(NOW)
TEXT: Final = b"nobody else is to read this"


class Side:
    """
    One client: a visitor's or a service's end, of which the test says what happens, and
    one of a stream, joined.

    @ivar wire: all that has left for the other client.
    """

    def __init__(self, clock: Clock, sealing: Sealing | None, client: bool) -> None:
        self.local = ScriptedEnd(delivers=False)
        self.work = ScriptedEnd(delivers=False)
        end: Any = self.work
        if sealing is not None:
            end = sealing.end(cast(IEnd, self.work), client)
        self.end = end
        self.join = Join(clock)
        self.outcomes: list[Outcome] = []
        self.join.ended.addCallback(self.outcomes.append)
        self.wire = b""
        self.told = 0

    def start(self) -> None:
        """
        Join.
        """
        self.join.start(self.local, cast(Attachable, self.end), b"")

    @property
    def heard(self) -> bytes:
        """
        What came to the visitor, or the service.
        """
        return b"".join(did for did in self.local.did if isinstance(did, bytes))

    @property
    def over(self) -> bool:
        """
        Whether the other side's end was passed on.
        """
        # Where both have ended the release says it.
        return "finish" in self.local.did or "release" in self.local.did


class SealedCase(SynchronousTestCase):
    """
    A visitor's client and that of a service, of one key.
    """

    def setUp(self) -> None:
        """
        Make both.
        """
        self.clock = Clock()
        self.visiting = Side(self.clock, Sealing(KEY, "ssh", self.clock), True)
        self.serving = Side(self.clock, Sealing(KEY, "ssh", self.clock), False)
        self.cut: list[int] = []
        self.addCleanup(self.assertQuiet)

    def assertQuiet(self) -> None:
        """
        Nothing is left that would keep a reactor busy.
        """
        for side in (self.visiting, self.serving):
            side.join.abort(ResetCode.STOPPING, "")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def start(self) -> None:
        """
        Begin, and let them shake hands.
        """
        self.visiting.start()
        self.serving.start()
        self.move()

    def move(self, piece: int = 1 << 20) -> None:
        """
        Be the server: bring what each says to the other, until nothing is said.
        """
        moved = True
        while moved:
            moved = False
            for one, other in (
                (self.visiting, self.serving),
                (self.serving, self.visiting),
            ):
                did, one.told = one.work.did[one.told :], len(one.work.did)
                for each in did:
                    moved = True
                    self.pass_(each, one, other, piece)

    def pass_(self, each: Any, one: Side, other: Side, piece: int) -> None:
        """
        Bring one thing to the other side.
        """
        if isinstance(each, bytes):
            one.wire += each
            for at in range(0, len(each), piece):
                if other.join.running:
                    other.work.hears.received(each[at : at + piece])
        elif each == "finish":
            other.work.hears.finished()
        elif isinstance(each, tuple) and other.join.running:
            other.work.hears.failed(*each)

    def failed(self, side: Side) -> str:
        """
        Give why a side's visitor, or service, was reset.
        """
        (outcome,) = side.outcomes
        self.assertEqual(outcome.code, ResetCode.SEALED)
        return outcome.reason


class SealedTests(SealedCase):
    """
    Visitors see what they would see without encryption, and the server sees nothing.
    """

    def test_contract(self) -> None:
        """
        It is an end like another.
        """
        verifyObject(IEnd, self.visiting.end)
        self.assertEqual(
            (self.visiting.end.peer, self.visiting.end.local), ("a test", "here")
        )

    def test_bothWays(self) -> None:
        """
        What is said arrives at once, and does not stand on the wire.
        """
        self.start()
        self.visiting.local.hears.received(TEXT)
        self.move()
        self.assertEqual(self.serving.heard, TEXT)
        self.serving.local.hears.received(TEXT[::-1])
        self.move()
        self.assertEqual(self.visiting.heard, TEXT[::-1])
        for side in (self.visiting, self.serving):
            for word in (TEXT, TEXT[::-1], b"nobody", b"read"):
                self.assertNotIn(word, side.wire)

    def test_large(self) -> None:
        """
        However much is said at once, all of it arrives.
        """
        self.start()
        for size in (16_384, 16_385, 65_536, 1 << 20):
            data = bytes(range(256)) * (size // 256 + 1)
            self.visiting.local.hears.received(data)
            self.move()
            self.assertEqual(self.serving.heard[-len(data) :], data)

    def test_waits(self) -> None:
        """
        Nobody is read from before the other client has proven its key.
        """
        self.visiting.start()
        self.assertNotIn("resume", self.visiting.local.did)
        self.serving.start()
        self.assertNotIn("resume", self.serving.local.did)
        self.move()
        for side in (self.visiting, self.serving):
            self.assertEqual(side.local.did, ["resume"])

    def test_halves(self) -> None:
        """
        Each direction ends by itself; what is said behind the end of the other one
        arrives.
        """
        for first, second in ((0, 1), (1, 0)):
            self.setUp()
            self.start()
            sides = (self.visiting, self.serving)
            one, other = sides[first], sides[second]
            one.local.hears.received(b"question")
            one.local.hears.finished()
            self.move()
            self.assertEqual((other.heard, other.over), (b"question", True))
            self.assertFalse(one.over)
            for _ in range(3):
                other.local.hears.received(b"answer")
                self.move()
            other.local.hears.finished()
            self.move()
            self.assertEqual((one.heard, one.over), (b"answer" * 3, True))
            outcomes = [outcome for side in sides for outcome in side.outcomes]
            self.assertEqual(outcomes, [Outcome()] * 2)

    def test_crossing(self) -> None:
        """
        Ends that cross, with bytes of both sides still on their way, lose nothing.
        """
        self.start()
        for side in (self.visiting, self.serving):
            side.local.hears.received(TEXT)
            side.local.hears.finished()
        self.move()
        for side in (self.visiting, self.serving):
            self.assertEqual((side.heard, side.over), (TEXT, True))
            self.assertEqual(side.outcomes, [Outcome()])

    def test_endFirst(self) -> None:
        """
        Who ends before the handshake is complete has that said behind it.
        """
        self.visiting.start()
        self.visiting.local.hears.finished()
        self.serving.start()
        self.move()
        self.assertTrue(self.serving.over)
        self.serving.local.hears.received(TEXT)
        self.serving.local.hears.finished()
        self.move()
        self.assertEqual(self.visiting.heard, TEXT)
        self.assertEqual(self.visiting.outcomes, [Outcome()])

    @given(
        st.lists(st.tuples(st.booleans(), st.binary(min_size=1, max_size=40_000))),
        st.integers(1, 3000),
    )
    @settings(max_examples=30, deadline=None)
    def test_anyCut(self, saying: list[tuple[bool, bytes]], piece: int) -> None:
        """
        Wherever the server cuts what it passes on, all arrives in order.
        """
        self.setUp()
        self.visiting.start()
        self.serving.start()
        self.move(piece)
        expected = {True: b"", False: b""}
        for forth, data in saying:
            (self.visiting if forth else self.serving).local.hears.received(data)
            expected[forth] += data
            self.move(piece)
        self.assertEqual(self.serving.heard, expected[True])
        self.assertEqual(self.visiting.heard, expected[False])
        self.visiting.join.abort(ResetCode.STOPPING, "")
        self.serving.join.abort(ResetCode.STOPPING, "")


class PressureTests(SealedCase):
    """
    Nothing gathers where somebody does not read.
    """

    def test_blocked(self) -> None:
        """
        While the server takes no more the visitor is not read from.
        """
        self.start()
        self.visiting.work.hears.blocked()
        self.assertEqual(self.visiting.local.did[-1], "pause")
        self.visiting.work.hears.ready()
        self.assertEqual(self.visiting.local.did[-1], "resume")

    def test_blockedFirst(self) -> None:
        """
        So it is where that was so before the handshake was complete.
        """
        self.visiting.start()
        self.visiting.work.hears.blocked()
        self.serving.start()
        self.move()
        self.assertNotIn("resume", self.visiting.local.did)
        self.visiting.work.hears.ready()
        self.assertEqual(self.visiting.local.did[-1], "resume")

    def test_paused(self) -> None:
        """
        While the visitor takes no more the stream is not read from; what has come is
        passed on once he does.
        """
        self.start()
        self.visiting.local.hears.blocked()
        self.assertEqual(self.visiting.work.did[-1], "pause")
        self.serving.local.hears.received(TEXT)
        self.serving.local.hears.finished()
        self.move()
        self.assertEqual((self.visiting.heard, self.visiting.over), (b"", False))
        self.visiting.local.hears.ready()
        self.assertEqual((self.visiting.heard, self.visiting.over), (TEXT, True))


class DistrustTests(SealedCase):
    """
    Who is not the other end gets nothing, and is not believed.
    """

    def test_otherKey(self) -> None:
        """
        Two keys are a reset on both sides, in words, and no byte passes.
        """
        for mine, other in ((KEY, OTHER), (OTHER, KEY)):
            self.setUp()
            self.visiting = Side(self.clock, Sealing(mine, "ssh", self.clock), True)
            self.serving = Side(self.clock, Sealing(other, "ssh", self.clock), False)
            self.start()
            self.visiting.local.hears.received(TEXT)
            self.move()
            self.assertIn("has another key than this one", self.failed(self.visiting))
            self.assertIn("has another key than this one", self.failed(self.serving))
            self.assertEqual((self.visiting.heard, self.serving.heard), (b"", b""))

    def test_otherTunnel(self) -> None:
        """
        The server cannot bring a visitor to another tunnel of the same key.
        """
        self.serving = Side(self.clock, Sealing(KEY, "db", self.clock), False)
        self.start()
        self.assertIn("speaks of another tunnel", self.failed(self.visiting))
        self.assertIn("speaks of another tunnel", self.failed(self.serving))

    def test_plain(self) -> None:
        """
        Where the other side does not encrypt, whatever the server says, it is reset.
        """
        self.visiting = Side(self.clock, None, True)
        self.start()
        self.visiting.local.hears.received(b"SSH-2.0-OpenSSH\r\n")
        self.move()
        self.assertIn("does not encrypt as this one does", self.failed(self.serving))
        self.assertEqual(self.serving.heard, b"")

    def test_truncated(self) -> None:
        """
        A stream that the server ends is a reset, not an end: what was lost may be the
        most of it.
        """
        self.start()
        self.serving.local.hears.received(TEXT)
        self.move()
        self.visiting.work.hears.finished()
        self.assertNotIn("finish", self.visiting.local.did)
        self.assertIn("some of it is lost", self.failed(self.visiting))

    def test_truncatedFirst(self) -> None:
        """
        So is one that ends before the handshake is complete.
        """
        self.visiting.start()
        self.visiting.work.hears.finished()
        self.assertIn("some of it is lost", self.failed(self.visiting))

    def test_changed(self) -> None:
        """
        A byte that the server has changed is a reset.
        """
        self.start()
        self.serving.local.hears.received(TEXT)
        (data,) = self.serving.work.did[self.serving.told :]
        assert isinstance(data, bytes)
        changed = data[:-1] + bytes([data[-1] ^ 1])
        self.visiting.work.hears.received(changed)
        self.assertIn("some of it is lost", self.failed(self.visiting))
        self.assertEqual(self.visiting.heard, b"")

    def test_silent(self) -> None:
        """
        A server that says nothing is not waited for without end.
        """
        self.visiting.start()
        self.clock.advance(SHAKING)
        self.assertIn("did not answer within 10 seconds", self.failed(self.visiting))

    def test_longName(self) -> None:
        """
        A name that does not fit is our own mistake.
        """
        self.assertRaises(AssertionError, Sealing, KEY, "x" * 238, self.clock)
        Sealing(KEY, "x" * 237, self.clock)

    def test_reset(self) -> None:
        """
        A reset of either side is one for the other.
        """
        self.start()
        self.visiting.local.hears.failed(ResetCode.PEER, "the visitor left")
        self.move()
        (outcome,) = self.serving.outcomes
        self.assertEqual(outcome, Outcome(ResetCode.PEER, "the visitor left"))
