"""
Tests for L{tunnelkit.dialects.remotedialer.abroad.client}, at a server of our own.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from tests.dialects.remotedialer.case import TARGET
from tests.network import Speaker
from tests.whole import PORT, WholeCase
from tunnelkit.commands.client import Options
from tunnelkit.dialects.abroad import AbroadSettings, Place
from tunnelkit.dialects.doorway import DELAY
from tunnelkit.dialects.remotedialer.abroad.client import REMOTEDIALER
from tunnelkit.dialects.remotedialer.abroad.place import parsePlace
from tunnelkit.dialects.remotedialer.dialling import NotDialled
from tunnelkit.dialects.remotedialer.spec import RemoteDialerSpec
from tunnelkit.wire.address import HostPort

PLAIN = Place(HostPort("127.0.0.1", PORT), False, "/connect")


class ClientTests(WholeCase):
    """
    A client of ours, and a program that dials through it.
    """

    def setUp(self) -> None:
        """
        Start the server.
        """
        super().setUp()
        self.serve(dialects=(RemoteDialerSpec(("foo",)),))

    def come(self, **changes: Any) -> Any:
        """
        Start a client.
        """
        changes = {"name": "foo", "allow": (TARGET,), "place": PLAIN, **changes}
        client = self.abroad(REMOTEDIALER, **changes)
        client.startService()
        self.network.settle()
        return client

    def dial(self, target: str = TARGET) -> tuple[Speaker, Deferred[Any]]:
        """
        Dial.
        """
        speaker = Speaker()
        endpoint = self.server.dialers().dialer("foo", target)
        connected = endpoint.connect(Factory.forProtocol(lambda: speaker))
        self.network.elapse(0.1)
        return speaker, connected

    def assertDialled(self) -> tuple[Speaker, Speaker]:
        """
        Dial, and have an answer.
        """
        visitor, connected = self.dial()
        self.successResultOf(connected)
        visitor.say(b"hello?")
        self.network.settle()
        service = self.services[-1]
        self.assertEqual(service.heard, b"hello?")
        service.say(b"hello!")
        self.network.settle()
        self.assertEqual(visitor.heard, b"hello!")
        return visitor, service

    def test_dialled(self) -> None:
        """
        What it allows can be dialled through it, and nothing else.
        """
        self.come()
        self.assertDialled()
        _, connected = self.dial("tcp/127.0.0.1:22")
        error = self.failureResultOf(connected, NotDialled).value
        self.assertEqual(str(error), "connect not allowed")
        self.assertIn("which may dial tcp/127.0.0.1:8000", self.said("info"))
        self.assertNotIn("foo", self.said("info", "warn", "debug"))
        self.assertIn("who reads the wire has this client's id", self.said("warn"))

    def said(self, *levels: str) -> str:
        """
        Give the log.
        """
        return "\n".join(self.log.lines(*levels))

    def test_serverGone(self) -> None:
        """
        When the server is killed what it dialled is reset, and the client comes back as
        soon as there is one again.
        """
        self.come()
        visitor, service = self.assertDialled()
        self.stop(self.server)
        self.network.settle()
        self.assertEqual((visitor.ended, service.ended), ("reset", "reset"))
        self.assertIn("the session with 127.0.0.1:8910 is over", self.said("warn"))
        self.network.elapse(2.0)
        self.serve(dialects=(RemoteDialerSpec(("foo",)),))
        self.network.elapse(1.0)
        self.assertDialled()

    def test_clientStops(self) -> None:
        """
        When the client stops both sides are reset, and the server knows at once.
        """
        client = self.come()
        visitor, service = self.assertDialled()
        self.stop(client)
        self.assertEqual((visitor.ended, service.ended), ("reset", "reset"))
        self.assertEqual(self.server.dialers().listClients(), [])

    def test_drained(self) -> None:
        """
        A client that stops gives what is under way time, and lets nothing new in.
        """
        client = self.come()
        visitor, service = self.assertDialled()
        drained = Deferred.fromCoroutine(client.drain(10.0))
        self.network.elapse(1.0)
        _, connected = self.dial()
        error = self.failureResultOf(connected, NotDialled).value
        self.assertEqual(str(error), "the client is stopping")
        self.assertNoResult(drained)
        service.say(b" bye")
        service.wire.loseConnection()
        self.network.elapse(1.0)
        self.successResultOf(drained)
        self.assertEqual((visitor.heard, visitor.ended), (b"hello! bye", "end"))

    def test_unknown(self) -> None:
        """
        A client whose id the server does not know ends, and says what to look at.
        """
        self.come(name="swordfish")
        self.network.elapse(DELAY)
        (reason,) = self.failures
        self.assertIn("the answer is 401: failed authentication", reason)
        self.assertIn("--name is to be an id that the server knows", reason)
        self.assertNotIn("swordfish", reason)

    def test_elsewhere(self) -> None:
        """
        So does one whose server has no such page.
        """
        self.come(place=Place(PLAIN.server, False, "/elsewhere"))
        (reason,) = self.failures
        self.assertIn("the answer is 404", reason)
        self.assertIn("check the address of --server", reason)

    def test_full(self) -> None:
        """
        A server that has no room now is asked again.
        """
        self.server._sessions.close()
        self.come()
        self.assertEqual(self.failures, [])
        self.assertIn("the answer is 503: the server is stopping", self.said("warn"))

    def test_frozen(self) -> None:
        """
        A server that is frozen is left after a minute.
        """
        client = self.come()
        _, service = self.assertDialled()
        client.line.connection.transport.far.frozen = True
        self.network.elapse(70.0)
        self.assertEqual(service.ended, "reset")
        self.assertIn("nothing was heard", self.said("warn"))


class PlaceTests(SynchronousTestCase):
    """
    Where the server is.
    """

    def test_good(self) -> None:
        """
        An address of a WebSocket, of which most can be left out.
        """
        for text, place in (
            ("ws://a:81/b?c=d", Place(HostPort("a", 81), False, "/b?c=d")),
            ("wss://a", Place(HostPort("a", 443), True, "/connect")),
            ("ws://[::1]/", Place(HostPort("::1", 80), False, "/connect")),
            ("a:8910", Place(HostPort("a", 8910), True, "/connect")),
        ):
            self.assertEqual(parsePlace(text), place)

    def test_wrong(self) -> None:
        """
        What is none is refused, with what to write.
        """
        for text, why in (
            ("http://a", "write wss://HOST/connect"),
            ("ws://a:x", "is not a port"),
            ("ws://me:secret@a", "more than host"),
            ("ws://a/b c", "write it with %"),
            ("ws://", "names no host"),
        ):
            error = self.assertRaises(ValueError, parsePlace, text)
            self.assertIn(why, str(error), text)

    def test_options(self) -> None:
        """
        The command line says the same, and what is lacking is told.
        """
        flags = ["--dialect=remotedialer", "--server=ws://a/x", "--name=foo"]
        options = Options({}, lambda: "laptop")
        options.parseOptions([*flags, "--allow=tcp/*:80", "--allow=unix/run/app"])
        assert options.abroad is not None
        self.assertEqual(options.abroad.place, Place(HostPort("a", 80), False, "/x"))
        self.assertEqual(options.abroad.allow, ("tcp/*:80", "unix/run/app"))
        for given, why in (
            (flags, "--allow is missing"),
            ([*flags[:2], "--allow=tcp/*:80"], "--name is missing"),
            ([*flags, "--allow=tcp/*"], "--allow: 'tcp/*' has no port"),
            ([*flags, "--allow=tcp/*:80", "--token-file=x"], "makes no sense"),
            (
                [*flags, "--allow=tcp/*:80", f"--fingerprint={'ab' * 32}"],
                "without TLS there is none",
            ),
        ):
            options = Options({}, lambda: "laptop")
            error = self.assertRaises(UsageError, options.parseOptions, given)
            self.assertIn(why, str(error))

    def test_settings(self) -> None:
        """
        What may be dialled, and the id, are checked before the start.
        """
        for changes, why in (
            ({"allow": ("127.0.0.1:80",)}, "--allow: '127.0.0.1:80'"),
            ({"allow": ("tcp/*:*",), "name": "a b"}, "--name is the client's id"),
        ):
            named: Any = {"name": "foo", **changes}
            settings = AbroadSettings(dialect=REMOTEDIALER, place=PLAIN, **named)
            error = self.assertRaises(ValueError, REMOTEDIALER.check, settings)
            self.assertIn(why, str(error))
