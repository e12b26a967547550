"""
Tests for L{tunnelkit.dialects.mgrok.streams} and L{tunnelkit.dialects.mgrok.line}: what
becomes of visitors.
"""

from __future__ import annotations

from tests.dialects.mgrok.case import PUBLIC, MgrokCase, Stock
from tests.network import Speaker
from tunnelkit.dialects.mgrok.line import BUDGET, CROWDED, NEARLY, STALLED, TICK
from tunnelkit.dialects.mgrok.streams import PATIENCE, VOID
from tunnelkit.relay.streams.join import IDLE
from tunnelkit.wire.mgrok.messages import NewStream, Register
from tunnelkit.wire.smux.frames import HIGHEST


class EndTests(MgrokCase):
    """
    How a visitor's stream ends.
    """

    def test_head(self) -> None:
        """
        Each visitor has a stream of his own at once, which says what it is for.
        """
        client = self.register()
        for number in (2, 4, 6):
            _, stream = self.served(client)
            self.assertEqual(stream, number)
            self.assertEqual(
                client.content(stream), (NewStream(number, PUBLIC, "web"), b"")
            )

    def test_long(self) -> None:
        """
        The service ends first, behind an answer of more than a session's budget: the
        visitor has all of it, and the end.
        """
        client = self.register()
        visitor, stream = self.served(client)
        answer = bytes(range(251)) * 20_000
        client.smux.send(stream, answer)
        client.smux.finish(stream)
        self.network.settle()
        self.assertEqual((visitor.heard == answer, visitor.ended), (True, "end"))
        visitor.wire.loseConnection()
        self.network.settle()
        self.assertEqual(self.server.status().tunnels[0].streams, 0)

    def test_halfClose(self) -> None:
        """
        A visitor ends his question before the answer: with the program it would be
        lost, here it arrives, and the client is told of the end behind its own.
        """
        client = self.register()
        visitor, stream = self.served(client)
        visitor.say(b"question")
        visitor.wire.loseWriteConnection()
        self.network.settle()
        self.assertEqual(client.content(stream)[1], b"question")
        self.assertEqual(client.finished, [])
        client.smux.send(stream, b"answer")
        client.smux.finish(stream)
        self.network.settle()
        self.assertEqual((visitor.heard, visitor.ended), (b"answer", "end"))

    def test_idle(self) -> None:
        """
        A stream of which one half has ended does not last for ever.
        """
        client = self.register()
        visitor, stream = self.served(client)
        visitor.wire.loseWriteConnection()
        self.network.settle()
        for _ in range(int(2 * IDLE / 10) + 1):
            self.network.elapse(10)
            client.smux.nop()
        self.assertEqual(client.finished, [stream])
        self.assertEqual(visitor.ended, "reset")

    def test_visitorResets(self) -> None:
        """
        A visitor's reset closes his stream.
        """
        client = self.register()
        visitor, stream = self.served(client)
        visitor.wire.abortConnection()
        self.network.settle()
        self.assertEqual(client.finished, [stream])

    def test_speaksIntoTheVoid(self) -> None:
        """
        A visitor who does not hear that his service has ended, and goes on for long, is
        reset: else he would send into the void for ever, and not know.  One who ends
        soon has his answer whole.
        """
        client = self.register()
        visitor, stream = self.served(client)
        client.smux.send(stream, b"413 too large")
        client.smux.finish(stream)
        for _ in range(4):
            visitor.say(b"on and on")
            self.network.elapse(VOID / 4 - 0.1)
            client.smux.nop()
        (tunnel,) = self.server.status().tunnels
        self.assertEqual((visitor.heard, visitor.ended), (b"413 too large", "end"))
        self.assertEqual(tunnel.streams, 1)
        self.network.elapse(1.0)
        visitor.say(b"and on")
        self.network.settle()
        (tunnel,) = self.server.status().tunnels
        self.assertEqual(tunnel.streams, 0)
        self.assertTrue(visitor.wire.far.wasReset)

    def test_notServed(self) -> None:
        """
        A client that closes a stream at once, as nothing listens there, ends the
        visitor's connection.
        """
        client = self.register()
        visitor, stream = self.served(client)
        client.smux.finish(stream)
        self.network.settle()
        self.assertEqual((visitor.heard, visitor.ended), (b"", "end"))

    def test_usedUp(self) -> None:
        """
        When all numbers of streams are used up the connection is over, not deaf for
        ever: a client that comes back has new ones.
        """
        client = self.register()
        (line,) = {
            wire.far.protocol._holder
            for wire in self.network.wires
            if wire.protocol is client
        }
        line.smux._last = HIGHEST - 1
        visitor = self.visit()
        self.assertEqual(visitor.ended, "reset")
        self.assertNotEqual(client.ended, "")
        self.assertIn("all numbers of streams are used up", self.told())
        self.register()

    def test_strangeStream(self) -> None:
        """
        Bytes and ends of streams that there are not do no harm.
        """
        client = self.register()
        visitor, stream = self.served(client)
        visitor.wire.abortConnection()
        self.network.settle()
        client.smux._streams[stream] = client.smux._streams[client.control]
        client.smux.send(stream, b"late")
        client.smux.finish(stream)
        self.network.settle()
        self.assertEqual(client.ended, "")


class FullTests(MgrokCase):
    """
    Who does not take what comes does not fill our memory.
    """

    def slow(self, client: Stock) -> tuple[Speaker, int]:
        """
        Let a visitor come who does not read.
        """
        visitor, stream = self.served(client)
        visitor.wire.pauseProducing()
        return visitor, stream

    def test_slowVisitor(self) -> None:
        """
        A visitor who reads slowly gets all of it, however long; while he does not, the
        client's bytes stay where they are.
        """
        client = self.register()
        visitor, stream = self.slow(client)
        answer = bytes(range(251)) * 40_000
        client.smux.send(stream, answer)
        client.smux.finish(stream)
        self.network.settle()
        self.assertGreater(len(client.wire._waiting), BUDGET)
        while visitor.ended == "":
            visitor.wire.resumeProducing()
            visitor.wire.turn()
            visitor.wire.pauseProducing()
            self.network.elapse(STALLED / 50)
            client.smux.nop()
        self.assertTrue(visitor.heard == answer)

    def test_stalledVisitor(self) -> None:
        """
        One who reads nothing at all, while his answer keeps all others waiting, is
        reset after a moment; then the others go on.
        """
        client = self.register()
        stalled, much = self.slow(client)
        other, little = self.served(client)
        client.smux.send(much, bytes(BUDGET * 2))
        client.smux.send(little, b"hello")
        self.network.settle()
        self.assertEqual(other.heard, b"")
        self.network.elapse(STALLED)
        self.assertEqual(other.heard, b"hello")
        self.assertIn(much, client.finished)
        stalled.wire.resumeProducing()
        self.network.settle()
        self.assertEqual(stalled.ended, "reset")
        self.assertEqual((other.ended, client.ended), ("", ""))
        self.assertIn("more came than its other side takes", self.told())

    def test_manyStalled(self) -> None:
        """
        Of many of them together no more is kept than of one, and after a while all
        have gone whose answers keep others waiting.
        """
        client = self.register()
        for _ in range(40):
            _, stream = self.slow(client)
            client.smux.send(stream, bytes(1 << 19))
        self.network.settle()
        (line,) = {
            wire.far.protocol._holder
            for wire in self.network.wires
            if wire.protocol is client
        }
        self.assertLess(line.smux.unread, BUDGET)
        self.assertGreaterEqual(line.smux.unread, NEARLY)
        other, little = self.served(client)
        client.smux.send(little, b"hello")
        for _ in range(45):
            self.network.elapse(TICK)
            client.smux.nop()
        self.assertEqual((other.heard, other.ended), (b"hello", ""))
        self.assertLess(line.smux.unread, CROWDED)

    def test_pausedIsAlive(self) -> None:
        """
        A client that we do not listen to, as a visitor takes nothing, is not dead when
        another asks for its port.
        """
        client = self.register()
        _, stream = self.slow(client)
        client.smux.send(stream, bytes(BUDGET * 2))
        self.network.settle()
        self.come(Register("tcp", PUBLIC, 8000, "web"))
        self.assertIn("port 9000 is published by 192.0.2.7", self.told())
        client.wire.abortConnection()
        self.network.settle()

    def test_slowClient(self) -> None:
        """
        While the client takes no more its visitors are not read, and go on when it
        does.
        """
        client = self.register()
        visitors = [self.served(client) for _ in range(3)]
        client.wire.pauseProducing()
        question = bytes(range(251)) * 4000
        for visitor, _ in visitors:
            visitor.say(question)
        self.network.settle()
        self.assertLess(len(client.wire.far._waiting), 1 << 18)
        for visitor, _ in visitors:
            self.assertGreater(len(visitor.wire._waiting), 1 << 19)
        client.wire.resumeProducing()
        self.network.settle()
        for _, stream in visitors:
            self.assertTrue(client.content(stream)[1] == question)

    def test_turns(self) -> None:
        """
        A client that takes little at a time hears from each visitor in turn.
        """
        client = self.register()
        visitors = [self.served(client) for _ in range(3)]
        client.wire.pauseProducing()
        for visitor, _ in visitors:
            visitor.say(bytes(4 << 20))
        self.network.settle()
        for _ in range(40):
            client.wire.resumeProducing()
            client.wire.turn()
            client.wire.pauseProducing()
            self.network.settle()
        came = [len(client.content(stream)[1]) for _, stream in visitors]
        self.assertGreater(min(came), max(came) / 4, came)
        self.assertLess(max(came), 4 << 20, "that says nothing")
        client.wire.resumeProducing()
        self.network.settle()

    def test_goneWhileWaiting(self) -> None:
        """
        Of visitors who have gone before they took what came nothing is remembered.
        """
        client = self.register()
        for _ in range(5):
            visitor, stream = self.slow(client)
            client.smux.send(stream, bytes(1 << 18))
            self.network.settle()
            visitor.wire.abortConnection()
            self.network.settle()
        (line,) = {
            wire.far.protocol._holder
            for wire in self.network.wires
            if wire.protocol is client
        }
        self.assertEqual((line._since, line.smux.unread), ({}, 0))
        self.assertEqual(line.smux.streams, (client.control,))

    def test_waitingVisitor(self) -> None:
        """
        A visitor who comes then waits, and is served when the client takes more; if it
        does not, he is reset after a while.
        """
        client = self.register()
        visitor, _ = self.served(client)
        client.wire.pauseProducing()
        visitor.say(bytes(1 << 20))
        self.network.settle()
        patient = self.visit()
        self.network.elapse(PATIENCE / 2)
        (session,) = self.server.status().sessions
        self.assertEqual((session.waiting, patient.ended), (1, ""))
        client.wire.resumeProducing()
        self.network.settle()
        self.assertEqual(len(client.opened), 2)
        client.wire.pauseProducing()
        visitor.say(bytes(1 << 20))
        self.network.settle()
        late = self.visit()
        client.smux.nop()
        self.network.elapse(PATIENCE)
        self.assertEqual((late.ended, patient.ended), ("reset", ""))
        self.assertIn("the client took nothing for 10 seconds", self.told())
        client.wire.resumeProducing()
        self.network.settle()

    def test_waitingVisitorLost(self) -> None:
        """
        One who waits when the client goes is reset.
        """
        client = self.register()
        visitor, _ = self.served(client)
        client.wire.pauseProducing()
        visitor.say(bytes(1 << 20))
        self.network.settle()
        waiting = self.visit()
        client.wire.resumeProducing()
        client.wire.abortConnection()
        self.network.settle()
        self.assertEqual((visitor.ended, waiting.ended), ("reset", "reset"))
