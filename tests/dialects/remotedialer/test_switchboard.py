"""
Tests for L{tunnelkit.dialects.remotedialer.switchboard} and C{dialling}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import (
    HostnameAddress,
    IPv4Address,
    IPv6Address,
    UNIXAddress,
)
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from zope.interface.verify import verifyObject

from tests.dialects.remotedialer.case import TARGET, LineCase
from tests.network import Speaker
from tunnelkit.dialects.native.dialled import NativeClient
from tunnelkit.dialects.remotedialer.dialling import GRACE, NotDialled, addressOf
from tunnelkit.dialects.remotedialer.line import Line
from tunnelkit.wire.remotedialer.messages import Connect, Data, Error


class Ear:
    """
    Hears of sessions.
    """

    def __init__(self) -> None:
        self.heard: list[str] = []

    def added(self, line: Line | NativeClient) -> None:
        """
        One came.
        """
        self.heard.append(f"+{line.key}")

    def removed(self, line: Line | NativeClient) -> None:
        """
        One went.
        """
        self.heard.append(f"-{line.key}")


class DialTests(LineCase):
    """
    What can be dialled, and when a connection is one.
    """

    def connect(
        self, key: str = "foo", target: str = TARGET, grace: float | None = None
    ) -> tuple[Speaker, Deferred[Any]]:
        """
        Dial.
        """
        speaker = Speaker()
        endpoint = self.switchboard.dialer(key, target, grace)
        verifyObject(IStreamClientEndpoint, endpoint)
        return speaker, endpoint.connect(Factory.forProtocol(lambda: speaker))

    def test_refused(self) -> None:
        """
        What the client cannot reach is no connection: the text is the client's.
        """
        self.come()
        _, connected = self.connect(target="tcp/127.0.0.1:1")
        self.network.settle()
        error = self.failureResultOf(connected, NotDialled).value
        self.assertIn("127.0.0.1:1 refused the connection", str(error))

    def test_grace(self) -> None:
        """
        Where nothing comes back it is one after a moment, or at once where one says so.
        """
        self.stock()
        _, connected = self.connect()
        self.network.settle()
        self.assertNoResult(connected)
        self.network.elapse(GRACE[0])
        self.successResultOf(connected)
        _, connected = self.connect(grace=0.0)
        self.network.settle()
        self.successResultOf(connected)

    def test_firstBytes(self) -> None:
        """
        With the first bytes it is one, and they are not lost.
        """
        stock = self.stock()
        speaker, connected = self.connect()
        self.network.settle()
        stock.tell(Data(2, b"220 hello"))
        self.network.settle()
        self.assertIs(self.successResultOf(connected), speaker)
        self.assertEqual(speaker.heard, b"220 hello")

    def test_cancelled(self) -> None:
        """
        Who gives up has the client give up, too.
        """
        stock = self.stock()
        _, connected = self.connect()
        connected.cancel()
        self.network.settle()
        self.failureResultOf(connected, CancelledError)
        self.assertEqual(stock.took()[1:], [Error(2, "the dial was given up")])
        self.assertEqual(self.welcomed[0].ends, {})

    def test_nobody(self) -> None:
        """
        Without a client, or with a target that is none or too long, it fails at once.
        """
        self.stock()
        for key, target, why in (
            ("baz", TARGET, "no client with this key"),
            ("foo", "127.0.0.1:80", "not NETWORK/ADDRESS"),
            ("foo", "tcp/" + "x" * 300, "304 bytes"),
        ):
            _, connected = self.connect(key, target)
            error = self.failureResultOf(connected, NotDialled).value
            self.assertIn(why, str(error))

    def test_unwanted(self) -> None:
        """
        Where the factory makes nothing the connection is closed.
        """
        self.stock()

        class Nothing(Factory):
            def buildProtocol(self, address: Any) -> None:
                return None

        connected = self.switchboard.dialer("foo", TARGET).connect(Nothing())
        self.network.elapse(1.0)
        self.failureResultOf(connected, NotDialled)
        self.assertEqual(self.welcomed[0].ends, {})

    def test_brokenFactory(self) -> None:
        """
        The same where it fails; who dialled hears of it.
        """
        self.stock()

        class Broken(Factory):
            def buildProtocol(self, address: Any) -> None:
                raise RuntimeError("a bug")

        connected = self.switchboard.dialer("foo", TARGET).connect(Broken())
        self.network.elapse(1.0)
        self.failureResultOf(connected, RuntimeError)
        self.assertEqual(self.welcomed[0].ends, {})

    def test_far(self) -> None:
        """
        A client that is far away has the time that its refusal needs.
        """
        stock = self.stock()
        heartbeat: Any = self.welcomed[0].heartbeat
        heartbeat.roundTrip = 0.3
        _, connected = self.connect()
        self.network.elapse(0.5)
        stock.tell(Error(2, "refused there"))
        self.network.settle()
        self.failureResultOf(connected, NotDialled)

    def test_failsAtOnce(self) -> None:
        """
        A protocol that fails as it is connected loses its connection, and no other.
        """

        class Failing(Protocol):
            def connectionMade(self) -> None:
                raise RuntimeError("a bug")

        stock = self.stock()
        endpoint = self.switchboard.dialer("foo", TARGET)
        connected = endpoint.connect(Factory.forProtocol(Failing))
        self.network.settle()
        stock.tell(Data(2, b"220 hello"))
        self.network.settle()
        self.successResultOf(connected)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertFalse(self.welcomed[0].over)
        self.assertEqual(self.welcomed[0].ends, {})

    def test_atOnce(self) -> None:
        """
        Who hears that a client has come may dial through it there and then.
        """

        class Eager(Ear):
            def added(this, line: Line | NativeClient) -> None:
                self.connect()

        self.switchboard.listen(Eager())
        stock = self.stock()
        self.assertEqual(stock.said, [Connect(2, "tcp", TARGET[4:])])
        self.network.elapse(1.0)

    def test_newest(self) -> None:
        """
        A client that has come back is dialled by its newest session; when that ends, by
        the one before.
        """
        old, new = self.stock(), self.stock()
        self.connect()
        self.network.settle()
        self.network.elapse(1.0)
        self.assertEqual((len(old.took()), len(new.took())), (0, 1))
        new.wire.abortConnection()
        self.network.settle()
        self.connect()
        self.network.settle()
        self.assertEqual(len(old.took()), 1)
        self.network.elapse(1.0)

    def test_address(self) -> None:
        """
        The protocol knows what was dialled.
        """
        self.assertEqual(
            addressOf("tcp/127.0.0.1:80"), IPv4Address("TCP", "127.0.0.1", 80)
        )
        self.assertEqual(addressOf("tcp/[::1]:80"), IPv6Address("TCP", "::1", 80))
        self.assertEqual(addressOf("tcp/web:80"), HostnameAddress(b"web", 80))
        self.assertEqual(addressOf("unix//run/app"), UNIXAddress(b"/run/app"))
        self.assertEqual(addressOf("tcp/odd"), HostnameAddress(b"odd", 0))


class ListenerTests(LineCase):
    """
    A program can know who is there.
    """

    def test_told(self) -> None:
        """
        It is told of those who are here, who come, and who go, until it wants no more.
        """
        self.stock()
        ear = Ear()
        self.switchboard.listen(ear)
        other = self.stock("bar")
        self.assertEqual(self.switchboard.listClients(), ["foo", "bar"])
        other.wire.abortConnection()
        self.network.settle()
        self.assertEqual(ear.heard, ["+foo", "+bar", "-bar"])
        self.assertEqual(
            (self.switchboard.hasSession("foo"), self.switchboard.hasSession("bar")),
            (True, False),
        )
        self.switchboard.forget(ear)
        self.stock("bar")
        self.assertEqual(len(ear.heard), 3)

    def test_broken(self) -> None:
        """
        A bug of its own harms nobody else.
        """
        ear: Any = Ear()
        ear.added = None
        self.switchboard.listen(Ear())
        self.switchboard._listeners.insert(0, ear)
        self.stock()
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
        self.assertTrue(self.switchboard.hasSession("foo"))
