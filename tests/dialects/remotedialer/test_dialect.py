"""
Tests for L{tunnelkit.dialects.remotedialer.dialect} on a server's port.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory

from tests.dialects.remotedialer.case import TARGET, Stock
from tests.network import Speaker, secured
from tests.whole import PORT, WholeCase
from tunnelkit.dialects.doorway import DELAY, PATIENCE
from tunnelkit.dialects.remotedialer.admitted import userOf
from tunnelkit.dialects.remotedialer.dialect import MOST_OF_ONE
from tunnelkit.dialects.remotedialer.spec import RemoteDialerSpec
from tunnelkit.dialects.remotedialer.switchboard import Switchboard
from tunnelkit.tunnels.published import PROBE
from tunnelkit.wire.remotedialer.login import shown
from tunnelkit.wire.remotedialer.messages import (
    SILENCE,
    AddClient,
    Connect,
    Data,
    Error,
)

REQUEST = b"GET /connect HTTP/1.1\r\nHost: x\r\n"


class DialectCase(WholeCase):
    """
    A server that speaks remotedialer.
    """

    def setUp(self) -> None:
        """
        Start it.
        """
        super().setUp()
        self.serveIt()

    def serveIt(self, **changes: Any) -> None:
        """
        Start it.
        """
        spec = RemoteDialerSpec(changes.pop("ids", ("foo", "bar")), **changes)
        self.serve(dialects=(spec,))

    @property
    def switchboard(self) -> Switchboard:
        """
        Who is there.
        """
        return self.server.dialers()

    def stock(self, key: str = "foo") -> Stock:
        """
        Have a stock client come.
        """
        stock = Stock()
        self.network.connect(PORT, stock)
        stock.ask(key)
        self.network.settle()
        return stock

    def dial(self, key: str = "foo") -> Speaker:
        """
        Dial through a client.
        """
        speaker = Speaker()
        endpoint = self.switchboard.dialer(key, TARGET, 0.0)
        connected = endpoint.connect(Factory.forProtocol(lambda: speaker))
        self.network.settle()
        self.successResultOf(connected)
        return speaker


class LoginTests(DialectCase):
    """
    Who may come in.
    """

    def test_plain(self) -> None:
        """
        A known client comes in, and what is dialled through it crosses.
        """
        stock = self.stock()
        visitor = self.dial()
        self.assertEqual(stock.took(), [Connect(2, "tcp", "127.0.0.1:8000")])
        stock.tell(Data(2, b"hello"))
        self.network.settle()
        self.assertEqual(visitor.heard, b"hello")

    def test_tls(self) -> None:
        """
        It may come inside TLS, and where the operator wants that it must.
        """
        self.stop(self.server)
        self.serveIt(tlsRequired=True)
        stock = Stock()
        self.network.connect(PORT, secured(self.network, stock))
        self.network.settle()
        stock.ask()
        self.network.settle()
        self.dial()
        self.assertEqual(len(stock.took()), 1)
        plain = self.stock()
        self.assertEqual((plain.heard, plain.ended), (b"", "end"))

    def test_unknown(self) -> None:
        """
        An unknown id is answered as the program does, but not at once; it is counted,
        and stands in no log.
        """
        stock = self.stock("wrong-secret")
        self.assertEqual(stock.heard, b"")
        self.network.elapse(DELAY)
        self.assertEqual(stock.status, 401)
        self.assertTrue(stock.heard.endswith(b"\r\n\r\nfailed authentication"))
        self.assertEqual(stock.ended, "end")
        said = "\n".join(self.log.lines("info", "warn", "debug"))
        self.assertIn("remotedialer login from 192.0.2.7: an unknown id", said)
        self.assertNotIn("wrong-secret", said)
        self.assertEqual(dict(self.server.status().counts)["logins_failed"], 1)

    def test_announces(self) -> None:
        """
        A client that says what only peers may say is not heard: it does not become
        another one.
        """
        stock = self.stock()
        stock.tell(AddClient("bar", 1), AddClient("baz", 1))
        self.network.settle()
        board = self.switchboard
        known = [board.hasSession(key) for key in ("foo", "bar", "baz")]
        self.assertEqual((known, stock.ended), ([True, False, False], ""))

    def test_leaves(self) -> None:
        """
        Who does not wait for that leaves nothing behind.
        """
        self.stock("wrong").wire.abortConnection()
        self.network.elapse(2 * DELAY)
        self.assertEqual(self.server.status().openings, 0)

    def say(self, data: bytes) -> Speaker:
        """
        Say something to the port.
        """
        guest = Speaker()
        self.network.connect(PORT, guest)
        guest.say(data)
        self.network.settle()
        return guest

    def test_others(self) -> None:
        """
        There is no other page, nothing takes a body, and who asks slowly, or badly, is
        sent away.
        """
        guest = self.say(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertIn(b" 404 ", guest.heard)
        self.assertEqual(guest.ended, "end")
        guest = self.say(REQUEST + b"Content-Length: 9\r\n\r\n")
        self.assertIn(b" 413 ", guest.heard)
        self.assertEqual(guest.ended, "end")
        guest = self.say(REQUEST + b"X-Tunnel-ID: foo\r\n\r\n")
        self.assertIn(b" 400 ", guest.heard)
        slow = self.say(REQUEST)
        bad = self.say(b"GET \0\r\n\r\n")
        self.network.elapse(PATIENCE)
        self.assertEqual(slow.ended, "reset")
        self.assertNotEqual(bad.ended, "")
        self.assertEqual(self.server.status().openings, 0)

    @given(st.binary(max_size=200))
    def test_fuzzed(self, junk: bytes) -> None:
        """
        Whatever a stranger asks for, in whatever way, breaks nothing.
        """
        for head in (b"GET ", REQUEST, REQUEST + b"X-Tunnel-ID: foo\r\n"):
            self.say(head + junk).wire.abortConnection()
            self.network.settle()
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertEqual(self.server.status().openings, 0)

    def test_off(self) -> None:
        """
        A server on which it is not switched on does not know it.
        """
        self.stop(self.server)
        self.serve()
        stock = self.stock()
        self.assertEqual((stock.heard, stock.ended), (b"", "end"))

    def test_warned(self) -> None:
        """
        The log says once what its login is worth, and shows no id.
        """
        (line,) = [each for each in self.log.lines("warn") if "remotedialer" in each]
        self.assertIn("id is its only secret", line)
        self.assertNotIn("foo", line)


class SessionTests(DialectCase):
    """
    A client is a session like any other.
    """

    def test_shown(self) -> None:
        """
        The admin rooms show it, without its id.
        """
        self.stock()
        self.dial()
        (session,) = self.server.status().sessions
        self.assertEqual((session.user, session.client), (userOf("foo"), shown("foo")))
        self.assertEqual((session.peer[:9], session.busy), ("192.0.2.7", 1))
        self.assertTrue(session.program.startswith("remotedialer"))
        self.assertEqual(dict(self.server.status().counts)["logins"], 1)
        said = "\n".join(self.log.lines("info", "warn", "debug"))
        self.assertIn(shown("foo"), said)
        self.assertNotIn("foo", said)

    def test_gone(self) -> None:
        """
        When it goes, its session is over, and so is what crosses it.
        """
        stock = self.stock()
        visitor = self.dial()
        stock.wire.loseConnection()
        self.network.settle()
        self.assertEqual((visitor.ended, self.server.status().sessions), ("reset", ()))

    def test_silent(self) -> None:
        """
        A stock client that pings is kept; one that is frozen is gone within a minute.
        """
        stock = self.stock()
        for _ in range(20):
            self.network.elapse(5.0)
            stock.socket.ping()
        self.assertEqual(len(self.server.status().sessions), 1)
        (session,) = self.server.status().sessions
        self.assertEqual(session.roundTrip, 0.0)
        stock.wire.frozen = True
        self.network.elapse(SILENCE + 5.0)
        self.assertEqual(self.server.status().sessions, ())

    def test_comesBack(self) -> None:
        """
        A client that comes back is dialled at once, though its old self is frozen; that
        one is gone in a moment.  Two that live stay.
        """
        old = self.stock()
        old.wire.frozen = True
        new = self.stock()
        self.dial()
        self.assertEqual(len(new.took()), 1)
        self.network.elapse(PROBE[0])
        self.assertEqual(len(self.server.status().sessions), 1)
        self.stock()
        self.network.elapse(PROBE[1])
        self.assertEqual(len(self.server.status().sessions), 2)

    def test_revoked(self) -> None:
        """
        Its session can be ended.
        """
        stock = self.stock()
        other = self.stock("bar")
        self.server._sessions.revoke(userOf("foo"))
        self.network.settle()
        self.assertNotEqual(stock.ended, "")
        self.assertEqual(other.ended, "")
        self.assertEqual(self.switchboard.listClients(), ["bar"])

    def test_drained(self) -> None:
        """
        A server that stops gives what crosses it time to end.
        """
        stock = self.stock()
        visitor = self.dial()
        drained = Deferred.fromCoroutine(self.server.drain(10.0))
        self.network.elapse(1.0)
        self.assertNoResult(drained)
        stock.tell(Data(2, b"the rest"), Error(2, "EOF"))
        self.network.elapse(1.0)
        self.successResultOf(drained)
        self.assertEqual((visitor.heard, visitor.ended), (b"the rest", "end"))
        late = self.stock()
        self.assertEqual(late.status, 503)

    def test_bounded(self) -> None:
        """
        One client has a bounded number of sessions.
        """
        for _ in range(MOST_OF_ONE):
            self.stock()
        self.assertEqual(self.stock().status, 503)
        self.assertEqual(self.stock("bar").status, 0)
