"""
Tests for L{tunnelkit.dialects.native.dialled}, C{dialling} and C{dials}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from zope.interface.verify import verifyObject

from tests.endpoints.case import Program
from tests.network import Speaker
from tests.whole import SERVICE, WholeCase
from tunnelkit.client import Client
from tunnelkit.dialects.allowed import parseAllow
from tunnelkit.dialects.native.dialled import ClientName, NativeClient
from tunnelkit.dialects.remotedialer.dialling import NotDialled
from tunnelkit.dialects.remotedialer.line import Line
from tunnelkit.state.userfile import revokeUser

LAPTOP = ClientName("default", "laptop")
TARGET = f"tcp/127.0.0.1:{SERVICE}"


class Ear:
    """
    Hears of sessions.
    """

    def __init__(self) -> None:
        self.heard: list[str] = []

    def added(self, client: Line | NativeClient) -> None:
        """
        One came.
        """
        self.heard.append(f"+{client.key}")

    def removed(self, client: Line | NativeClient) -> None:
        """
        One went.
        """
        self.heard.append(f"-{client.key}")


class NativeCase(WholeCase):
    """
    A server, and a client that lets it dial the service.
    """

    def setUp(self) -> None:
        """
        Start both.
        """
        super().setUp()
        self.serve()
        self.mine = self.begin(TARGET)

    def begin(self, *allow: str, **changes: Any) -> Client:
        """
        Start a client.
        """
        patterns = tuple(parseAllow(text) for text in allow)
        client = self.client("tcp:8000:name=web", allow=patterns, **changes)
        client.startService()
        self.network.settle()
        return client

    def dial(
        self,
        target: str = TARGET,
        name: ClientName = LAPTOP,
        factory: Any = None,
        grace: float | None = None,
    ) -> Deferred[Any]:
        """
        Dial through a client.
        """
        endpoint: Any = self.server.dialers().dialer(name, target, grace)
        dialled: Deferred[Any] = endpoint.connect(
            factory or Factory.forProtocol(Speaker)
        )
        self.network.settle()
        return dialled

    def dialled(self, **named: Any) -> Any:
        """
        Dial, and be connected.
        """
        dialled = self.dial(**named)
        self.network.elapse(1)
        return self.successResultOf(dialled)

    def refusal(self, *args: Any, **named: Any) -> str:
        """
        Dial, and be refused.

        @return: why.
        """
        dialled = self.dial(*args, **named)
        return str(self.failureResultOf(dialled, NotDialled).value)


class DialTests(NativeCase):
    """
    A program at the server is connected to what a client lets it dial.
    """

    def test_dials(self) -> None:
        """
        Both sides speak, half-closes go through, and the work connection serves again.
        """
        endpoint = self.server.dialers().dialer(LAPTOP, TARGET, None)
        verifyObject(IStreamClientEndpoint, endpoint)
        for number in range(3):
            mine = self.dialled()
            service = self.services[number]
            there = IPv4Address("TCP", "127.0.0.1", SERVICE)
            self.assertEqual(mine.transport.getPeer(), there)
            mine.transport.write(b"question")
            mine.transport.loseWriteConnection()
            self.network.settle()
            self.assertEqual((service.heard, service.ended), (b"question", "end"))
            service.say(b"answer")
            service.wire.loseConnection()
            self.network.settle()
            self.assertEqual((mine.heard, mine.ended), (b"answer", "end"))
        (session,) = self.server._sessions
        self.assertEqual((session.streams, session.pool.counts[1]), (0, 0))
        self.assertEqual(self.mine.streams, 0)

    def test_speaksFirst(self) -> None:
        """
        A service that speaks at once is connected at once, and nothing of it is lost.
        """
        dialled = self.dial(grace=1000.0)
        self.assertNoResult(dialled)
        self.services[0].say(b"welcome")
        self.network.settle()
        mine = self.successResultOf(dialled)
        self.assertEqual(mine.heard, b"welcome")
        self.services[0].say(b" back")
        self.network.settle()
        self.assertEqual(mine.heard, b"welcome back")
        mine.transport.abortConnection()
        self.network.settle()
        self.assertEqual(self.services[0].ended, "reset")

    def test_endsFirst(self) -> None:
        """
        One that ends without a word is a connection that has ended.
        """
        dialled = self.dial(grace=1000.0)
        self.services[0].wire.loseWriteConnection()
        self.network.settle()
        mine = self.successResultOf(dialled)
        self.assertEqual((mine.heard, mine.ended), (b"", "end"))
        mine.transport.loseConnection()
        self.network.settle()

    def test_allowed(self) -> None:
        """
        What a client does not allow is not dialled, whatever the server asks; both
        sides say so.
        """
        why = "the server may not dial tcp/127.0.0.1:22: --allow tcp/127.0.0.1:22 would"
        self.assertIn(why, self.refusal("tcp/127.0.0.1:22"))
        self.assertIn(why, self.log.lines("warn")[-1])
        self.assertIn("--allow unix/run/app.sock", self.refusal("unix/run/app.sock"))
        self.assertEqual(self.services, [])
        (session,) = self.server._sessions
        self.assertEqual((session.streams, session.pool.counts[1]), (0, 0))
        self.dialled().transport.abortConnection()

    def test_nothingAllowed(self) -> None:
        """
        A client that was told nothing allows nothing, and says what it lacks.
        """
        self.begin(name="other")
        why = self.refusal(name=ClientName("default", "other"))
        self.assertEqual(
            why, "the client lets nothing be dialled: start it with --allow"
        )

    def test_onlyAllow(self) -> None:
        """
        A client that publishes nothing can be dialled through all the same.
        """
        self.stop(self.mine)
        client = self.client("tcp:8000:name=web", allow=(parseAllow(TARGET),))
        client.tunnels = ()
        client.startService()
        self.network.settle()
        self.dialled().transport.abortConnection()
        self.network.settle()

    def test_refused(self) -> None:
        """
        A service that is not there is an error, with the reason.
        """
        self.stop(self.mine)
        self.begin("tcp/127.0.0.1:*")
        words = self.refusal("tcp/127.0.0.1:81")
        self.assertIn("the local service 127.0.0.1:81 refused the connection", words)

    def test_nobody(self) -> None:
        """
        So is a client that is not there, and a target that is none.
        """
        nobody = ClientName("default", "nobody")
        words = self.refusal(name=nobody)
        self.assertEqual(words, "no client default/nobody is connected")
        self.assertIn("cannot be dialled: ", self.refusal("sctp/127.0.0.1:80"))
        self.assertIn("cannot be dialled: ", self.refusal("127.0.0.1"))

    def test_unsayable(self) -> None:
        """
        One that no client could be asked for is an error, too, and costs no stream and
        no work connection.
        """
        (session,) = self.server._sessions
        before = session.works.counts if session.works is not None else None
        self.assertIn("at most", self.refusal(f"unix/{'a' * 100_000}"))
        self.assertIn("UTF-8", self.refusal("unix/run/\udcff"))
        assert session.works is not None
        self.assertEqual((session.streams, session.works.counts), (0, before))

    def test_revoked(self) -> None:
        """
        Through the client of a user who was revoked nothing is dialled.
        """
        (session,) = self.server._sessions
        session.allowed = lambda: False  # type: ignore[assignment]
        self.assertIn("revoked", self.refusal())
        revokeUser(self.state / "users.toml", "default")
        self.server.reload()
        self.assertIn("no client", self.refusal())

    def test_cancel(self) -> None:
        """
        Who gives up has the service left alone.
        """
        dialled = self.dial(grace=1000.0)
        dialled.cancel()
        self.network.settle()
        self.failureResultOf(dialled, CancelledError)
        self.assertEqual(self.services[0].ended, "reset")
        self.dialled().transport.abortConnection()

    def test_unwanted(self) -> None:
        """
        A factory may refuse, or fail.
        """
        factory = Program()
        factory.refusing = True
        dialled = self.dial(factory=factory)
        self.network.elapse(1)
        self.failureResultOf(dialled, NotDialled)
        self.assertEqual(self.services[0].ended, "reset")

    def test_lost(self) -> None:
        """
        A client that is gone is a lost connection.
        """
        mine = self.dialled()
        self.stop(self.mine)
        self.assertEqual(mine.ended, "reset")
        self.assertIn("no client", self.refusal())

    def test_bounds(self) -> None:
        """
        A client has no more streams than it may have.
        """
        (session,) = self.server._sessions
        session.streams = 65536
        self.assertIn("too many streams", self.refusal())
        session.streams = 0


class NameTests(NativeCase):
    """
    Clients are told apart.
    """

    def test_names(self) -> None:
        """
        Who is there can be asked, and listened to.
        """
        board = self.server.dialers()
        self.assertTrue(board.hasSession(LAPTOP))
        self.assertEqual(board.listClients(), [LAPTOP])
        ear = Ear()
        board.listen(ear)
        other = self.begin(name="other")
        self.stop(other)
        self.stop(self.mine)
        heard = ["+default/laptop", "+default/other", "-default/other"]
        self.assertEqual(ear.heard, [*heard, "-default/laptop"])
        self.assertFalse(board.hasSession(LAPTOP))
        self.assertEqual(board.listClients(), [])

    def test_noText(self) -> None:
        """
        No text names such a client, so no id of remotedialer's can be taken for one,
        nor the reverse.
        """
        board = self.server.dialers()
        self.assertFalse(board.hasSession(str(LAPTOP)))
        endpoint: Any = board.dialer(str(LAPTOP), TARGET, None)
        dialled = endpoint.connect(Factory.forProtocol(Speaker))
        words = str(self.failureResultOf(dialled, NotDialled).value)
        self.assertEqual(words, "no client with this key is connected")

    def test_newest(self) -> None:
        """
        Of two sessions of one name the newest is dialled through: the older one may be
        dead.
        """
        self.begin(TARGET)
        self.assertEqual(len([*self.server._sessions]), 2)
        self.dialled().transport.abortConnection()
        self.network.settle()
        self.assertEqual(self.server.dialers().listClients(), [LAPTOP])

    def test_late(self) -> None:
        """
        A server where nobody asks keeps no book of this.
        """
        self.assertEqual(self.server._sessions.watchers, [])
        self.server.dialers()
        self.assertEqual(len(self.server._sessions.watchers), 1)
