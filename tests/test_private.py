"""
Tests of private tunnels, from a visitor at one client to a service at another, through
a server, all in memory.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred

from tests.network import Speaker
from tests.relay.memory import MemoryTransport
from tests.whole import PORT, SERVICE, WholeCase
from tunnelkit.client import Client
from tunnelkit.state.userfile import addUser, revokeUser
from tunnelkit.state.verifier import Verifier
from tunnelkit.wire.endkey import newEndKey
from tunnelkit.wire.token import Token

DOOR: Final = 2222
SSH: Final = f"private:{SERVICE}:name=ssh"
BOB: Final = Token("bob", "b" * 32)


class PrivateCase(WholeCase):
    """
    A server, and clients of two users.
    """

    now = datetime(2027, 1, 1, tzinfo=UTC)

    def setUp(self) -> None:
        """
        Start a server that knows bob.
        """
        super().setUp()
        self.serve()

    def addBob(self) -> None:
        """
        Give bob a token.
        """
        verifier = Verifier.of(BOB.secret, lambda size: bytes(size))
        addUser(self.state / "users.toml", BOB.user, verifier)
        self.server.reload()

    def visitor(self, visit: str = f"ssh:{DOOR}", **changes: Any) -> Client:
        """
        Start a client that visits.
        """
        client = self.client(visits=(visit,), name="desk", **changes)
        client.startService()
        self.network.settle()
        return client

    def overhear(self) -> list[bytes]:
        """
        Serve in plain.

        @return: all that the server reads and writes from now on.
        """
        self.stop(self.server)
        self.serve(insecure=True)
        seen: list[bytes] = []
        write = MemoryTransport.write

        def spy(transport: Any, data: bytes) -> None:
            if PORT in (transport.getPeer().port, transport.getHost().port):
                seen.append(data)
            write(transport, data)

        self.patch(MemoryTransport, "write", spy)
        return seen


class VisitTests(PrivateCase):
    """
    A visitor at one client reaches the service of another.
    """

    def test_served(self) -> None:
        """
        He says something and is answered, each side ends when it likes, and the next
        one is served by the same connections.
        """
        self.publish(SSH)
        self.visitor()
        for _ in range(3):
            self.assertServed(DOOR)
        for session in self.server._sessions:
            _, busy, waiting = session.pool.counts
            self.assertEqual((busy, waiting), (0, 0))

    def test_nothingPublic(self) -> None:
        """
        The server listens on no port for it.
        """
        before = {*self.network.ports}
        self.publish(SSH)
        self.assertEqual({*self.network.ports}, before)

    def test_log(self) -> None:
        """
        Both clients' logs say what leads where.
        """
        self.publish(SSH)
        self.visitor()
        lines = self.log.lines("info")
        self.assertIn("private://ssh leads to 127.0.0.1:8000 (ssh)", lines)
        self.assertIn("127.0.0.1:2222 leads to the private tunnel ssh", lines)

    def test_proxy(self) -> None:
        """
        A service that expects a PROXY header hears from which client a visitor comes.
        """
        self.publish(f"{SSH}:proxy=v1")
        self.visitor()
        self.visit(DOOR).say(b"hello?")
        self.network.settle()
        header, said = self.services[-1].heard.split(b"\r\n")
        self.assertRegex(header, rb"^PROXY TCP4 192\.0\.2\.7 127\.0\.0\.1 \d+ 8000$")
        self.assertEqual(said, b"hello?")

    def test_away(self) -> None:
        """
        While the server is away visitors are reset, and the log says why.
        """
        self.publish(SSH)
        self.visitor()
        self.stop(self.server)
        self.assertUnserved(DOOR)
        self.assertIn(
            "visitors of ssh are reset: 127.0.0.1:8910 is away", self.log.lines("warn")
        )
        self.serve()
        self.network.elapse(20)
        self.assertServed(DOOR)

    def test_unpublished(self) -> None:
        """
        So they are while nobody publishes the tunnel; once somebody does they are
        served.
        """
        self.visitor()
        self.assertUnserved(DOOR)
        (line,) = self.log.lines("warn")
        self.assertIn("there is no private tunnel 'ssh' that user default may", line)
        self.publish(SSH)
        self.assertServed(DOOR)

    def test_denied(self) -> None:
        """
        Another user is refused in the same words, and the server's log tells.
        """
        self.addBob()
        self.publish(SSH)
        self.visitor(token=BOB)
        self.assertUnserved(DOOR)
        self.assertIn(
            "there is no private tunnel 'ssh' that user bob may visit",
            self.log.lines("warn")[-1],
        )
        self.assertIn(
            "desk of bob is refused at ssh: it is none of its visitors",
            self.log.lines("info"),
        )
        self.assertEqual(self.services, [])

    def test_admitted(self) -> None:
        """
        He is served where the tunnel names him, and its own user is not where it does
        not name that.
        """
        self.addBob()
        self.publish(f"{SSH}:visitors=bob")
        self.visitor(token=BOB)
        self.assertServed(DOOR)
        self.visitor("ssh:2223")
        self.assertUnserved(2223)

    def allow(self, *users: str) -> None:
        """
        Have the operator say who may visit.
        """
        path = self.state / "users.toml"
        text = path.read_text().partition("\n[private")[0]
        path.write_text(f"{text}\n[private.ssh]\nvisitors = {[*users]}\n")
        self.server.reload()

    def test_operator(self) -> None:
        """
        The operator lets somebody in without a word of the client that publishes, and
        keeps him out again: that is looked at at each visit.
        """
        self.addBob()
        self.publish(SSH)
        self.visitor(token=BOB)
        self.allow("bob")
        self.assertServed(DOOR)
        self.visitor("ssh:2223")
        self.assertUnserved(2223)
        self.allow("default")
        self.assertUnserved(DOOR)
        self.assertServed(2223)

    def test_both(self) -> None:
        """
        Where both say who may, that takes the word of both.
        """
        self.addBob()
        self.publish(f"{SSH}:visitors=bob")
        self.visitor(token=BOB)
        self.visitor("ssh:2223")
        self.allow("default", "bob")
        self.assertServed(DOOR)
        self.assertUnserved(2223)
        self.allow("default")
        self.assertUnserved(DOOR)
        self.assertUnserved(2223)


class SealedTests(PrivateCase):
    """
    Two clients with a key are alone with each other.
    """

    def setUp(self) -> None:
        """
        Make two keys.
        """
        super().setUp()
        folder = Path(self.mktemp())
        folder.mkdir()
        self.key, self.other = folder / "ssh.key", folder / "other.key"
        for path in (self.key, self.other):
            path.write_bytes(newEndKey(self.now).pem)

    def test_ciphertext(self) -> None:
        """
        What is said arrives, and not a word of it crosses the server, where all that
        the server reads and writes is looked at.
        """
        seen = self.overhear()
        self.publish(f"{SSH}:keyFile={self.key}", insecure=True)
        self.visitor(f"ssh:{DOOR}:keyFile={self.key}", insecure=True)
        self.assertServed(DOOR)
        crossed = b"".join(seen)
        self.assertIn(b'"private"', crossed)
        self.assertNotIn(b"hello?", crossed)
        self.assertNotIn(b"hello!", crossed)
        # Without a key they are there.
        self.publish(f"private:{SERVICE}:name=plain", insecure=True)
        self.visitor("plain:2223", insecure=True)
        self.assertServed(2223)
        self.assertIn(b"hello?", b"".join(seen))

    def test_oneSide(self) -> None:
        """
        Where only one side has a key visitors are reset, and the visiting client's log
        says what to do.
        """
        self.publish(f"{SSH}:keyFile={self.key}", "private:8000:name=plain")
        self.visitor()
        self.assertUnserved(DOOR)
        self.assertIn(
            "visitors of ssh are reset: tunnel ssh is encrypted from end to end: give"
            " its keyFile=FILE",
            self.log.lines("warn"),
        )
        self.visitor(f"plain:2223:keyFile={self.key}")
        self.assertUnserved(2223)
        self.assertIn(
            "visitors of plain are reset: tunnel plain is not encrypted from end to"
            " end: leave keyFile= out, or have the client that publishes it given the"
            " same one",
            self.log.lines("warn"),
        )

    def test_otherKey(self) -> None:
        """
        Two keys are a reset on both sides, and nothing reaches the service.
        """
        self.publish(f"{SSH}:keyFile={self.key}")
        self.visitor(f"ssh:{DOOR}:keyFile={self.other}")
        visitor = self.visit(DOOR)
        visitor.say(b"hello?")
        self.network.settle()
        self.assertEqual((visitor.heard, visitor.ended), (b"", "reset"))
        self.assertIn(
            "visitors of ssh are reset: the other client has another key than this one:"
            " give both one file",
            self.log.lines("warn"),
        )
        self.assertEqual(self.services[-1].heard, b"")


class EndingTests(PrivateCase):
    """
    What ends a session, a user, a server or a client ends streams as at public tunnels.
    """

    def visited(self, **changes: Any) -> tuple[Client, Client, Speaker]:
        """
        Have a visitor who has said something at the service.

        @return: the client that publishes, the one that visits, and him.
        """
        near = self.publish(SSH, **changes)
        desk = self.visitor(**changes)
        visitor = self.visit(DOOR)
        visitor.say(b"hello?")
        self.network.settle()
        self.assertEqual(self.services[-1].heard, b"hello?")
        return near, desk, visitor

    def assertReset(self, visitor: Speaker) -> None:
        """
        Both ends see a reset, and the server counts nobody any more.
        """
        self.network.settle()
        self.assertEqual((visitor.ended, self.services[-1].ended), ("reset", "reset"))
        self.assertEqual([s.streams for s in self.server._sessions if s.streams], [])

    def test_publishingStops(self) -> None:
        """
        A client that publishes and stops resets its visitors.
        """
        near, _, visitor = self.visited()
        self.stop(near)
        self.assertReset(visitor)

    def test_visitingStops(self) -> None:
        """
        A client that visits and stops resets its visitors, and their services.
        """
        _, desk, visitor = self.visited()
        self.stop(desk)
        self.assertReset(visitor)

    def test_serverStops(self) -> None:
        """
        So does a server.
        """
        _, _, visitor = self.visited()
        self.stop(self.server)
        self.assertReset(visitor)

    def test_revoked(self) -> None:
        """
        A visitor's stream ends when his user is revoked; the tunnel stays.
        """
        self.addBob()
        self.publish(f"{SSH}:visitors=bob+default")
        self.visitor(token=BOB)
        visitor = self.visit(DOOR)
        visitor.say(b"hello?")
        self.network.settle()
        revokeUser(self.state / "users.toml", "bob")
        self.server.reload()
        self.assertReset(visitor)
        self.assertUnserved(DOOR)
        self.visitor("ssh:2223")
        self.assertServed(2223)

    def test_displaced(self) -> None:
        """
        Where the client that publishes is frozen its successor takes the name over;
        the old visitors are reset, the new ones served.
        """
        _, _, visitor = self.visited()
        for wire in self.network.wires:
            if wire.getPeer().port == PORT:
                wire.frozen = True
                break
        self.client(SSH, name="next").startService()
        self.network.elapse(3)
        self.assertEqual(visitor.ended, "reset")
        self.assertServed(DOOR)

    def test_contested(self) -> None:
        """
        A live one keeps the name, and the other is told in words.
        """
        self.visited()
        self.client(SSH, name="next").startService()
        self.network.elapse(3)
        (line,) = (line for line in self.log.lines("warn") if "is refused" in line)
        self.assertIn("the name ssh is published by laptop from", line)

    def test_another(self) -> None:
        """
        Another user does not get the name.
        """
        self.addBob()
        self.publish(SSH)
        self.client(SSH, name="desk", token=BOB).startService()
        self.network.settle()
        (line,) = (line for line in self.log.lines("warn") if "is refused" in line)
        self.assertIn("the name ssh belongs to another user", line)

    def test_drained(self) -> None:
        """
        A client that visits and drains takes no more visitors, and those who are there
        go on to their end; so do those of a server.
        """
        _, desk, visitor = self.visited()
        draining = Deferred.fromCoroutine(desk.drain(10.0))
        self.network.elapse(1)
        self.assertNotIn(DOOR, self.network.accepting)
        self.services[-1].say(b"hello!")
        self.network.settle()
        self.assertEqual(visitor.heard, b"hello!")
        self.assertNoResult(draining)
        for one in (visitor, self.services[-1]):
            one.wire.loseConnection()
        self.network.elapse(1)
        self.successResultOf(draining)

    def test_serverDrains(self) -> None:
        """
        A server that drains brings nobody to a private tunnel any more.
        """
        _, _, visitor = self.visited()
        draining = Deferred.fromCoroutine(self.server.drain(10.0))
        self.assertUnserved(DOOR)
        self.assertIn("the server is stopping", self.log.lines("warn")[-1])
        self.services[-1].say(b"hello!")
        self.network.settle()
        self.assertEqual(visitor.heard, b"hello!")
        self.assertNoResult(draining)
        for one in (visitor, self.services[-1]):
            one.wire.loseConnection()
        self.network.elapse(1)
        self.successResultOf(draining)

    def test_counted(self) -> None:
        """
        The admin rooms show it as any tunnel, with its visitors and their bytes.
        """
        self.visited()
        self.services[-1].say(b"hi")
        self.network.settle()
        (tunnel,) = self.server.status().tunnels
        self.assertEqual(
            (tunnel.name, tunnel.kind, tunnel.address),
            ("ssh", "private", "private://ssh"),
        )
        self.assertEqual((tunnel.streams, tunnel.received, tunnel.sent), (1, 6, 2))
