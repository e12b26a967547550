"""
Tests for L{tunnelkit.tunnels.wanted}.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from tests.fakes import TimedCase
from tests.logs import Log
from tunnelkit.control.session import Refusal
from tunnelkit.tunnels.spec import TunnelSpec
from tunnelkit.tunnels.wanted import AGAIN, Wanted
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.native.messages import Closed, Open, Opened

SPEC = TunnelSpec(kind="tcp", local=HostPort("127.0.0.1", 8000), name="web", port=9000)
ADDRESS = "tcp://vps.example.org:9000"
BUSY = Refusal("port-live", "port 9000 is published by another", retry=True)
DENIED = Refusal("port-denied", "port 9000 is not for clients", retry=False)


class Channel:
    """
    A control channel that a test answers for.
    """

    def __init__(self) -> None:
        self.requests: list[Open] = []
        self.answers: list[Deferred[Opened]] = []
        self.closes: list[str] = []

    def open(self, request: Callable[[int], Open]) -> Deferred[Opened]:
        """
        Ask for a tunnel.
        """
        self.requests.append(request(len(self.requests) + 1))
        self.answers.append(Deferred())
        return self.answers[-1]

    def close(self, tunnel: str) -> Deferred[Closed]:
        """
        Withdraw a tunnel.
        """
        self.closes.append(tunnel)
        return Deferred()

    def accept(self, compress: str = "") -> None:
        """
        Answer the last request.
        """
        opened = Opened(len(self.requests), "web", ADDRESS, compress)
        self.answers[-1].callback(opened)

    def refuse(self, refusal: Refusal) -> None:
        """
        Refuse the last request.
        """
        self.answers[-1].errback(Failure(refusal))


class WantedTests(TimedCase):
    """
    A tunnel is asked for until it is there.
    """

    def setUp(self) -> None:
        """
        Want a tunnel, and log in.
        """
        super().setUp()
        self.log = Log(self)
        self.changes = 0
        self.chance = 0.5
        self.wanted = Wanted(SPEC, self.clock, lambda: self.chance, self.count)
        self.channel = Channel()
        self.wanted.ask(self.channel)
        self.addCleanup(self.wanted.forget)

    def count(self) -> None:
        """
        Count the answers.
        """
        self.changes += 1

    def warnings(self) -> list[str]:
        """
        Give what the log warns of.
        """
        return self.log.lines("warn", "error")

    def test_asks(self) -> None:
        """
        It is asked for as the user described it.
        """
        self.assertEqual(self.channel.requests, [Open(1, "web", "tcp", 9000, True)])

    def test_noLease(self) -> None:
        """
        A tunnel that leaves no lease behind says so.
        """
        passing = Wanted(SPEC, self.clock, lambda: 0.5, self.count, lease=False)
        passing.ask(self.channel)
        self.assertEqual(self.channel.requests[-1].lease, False)

    def test_opened(self) -> None:
        """
        The log shows its public address and where that leads.
        """
        self.channel.accept()
        self.assertEqual((self.wanted.address, self.changes), (ADDRESS, 1))
        self.assertEqual(
            self.log.lines("info"), [f"{ADDRESS} leads to 127.0.0.1:8000 (web)"]
        )
        self.assertQuiet()

    def test_refusedForAWhile(self) -> None:
        """
        Refused for a while, it is asked for again after 5 to 15 s, until it is there;
        the reason is said once.
        """
        for chance, wait in ((0.0, AGAIN[0]), (0.5, 10.0), (1.0, AGAIN[1])):
            self.chance = chance
            asked = len(self.channel.requests)
            self.channel.refuse(BUSY)
            self.clock.advance(wait - 0.1)
            self.assertEqual(len(self.channel.requests), asked)
            self.clock.advance(0.1)
            self.assertEqual(len(self.channel.requests), asked + 1)
        self.assertEqual((self.wanted.refused, self.changes), ("", 3))
        self.assertEqual(
            self.warnings(),
            ["tunnel web is refused: port 9000 is published by another (trying again)"],
        )
        self.channel.accept()
        self.assertEqual(self.wanted.address, ADDRESS)

    def test_anotherReason(self) -> None:
        """
        Another reason is news, and so is the same one after it worked.
        """
        taken = Refusal("port-taken", "in use", True)
        for refusal in (BUSY, taken):
            self.channel.refuse(refusal)
            self.clock.advance(15)
        self.channel.accept()
        self.wanted.ask(self.channel)
        self.channel.refuse(taken)
        self.assertEqual(len(self.warnings()), 3)

    def test_refusedForGood(self) -> None:
        """
        Refused for good, it is not asked for again on this connection; the next login
        may be with a server that was told otherwise.
        """
        self.channel.refuse(DENIED)
        self.clock.advance(100)
        self.assertEqual(len(self.channel.requests), 1)
        self.assertEqual(self.wanted.refused, DENIED.reason)
        self.assertEqual(
            self.warnings(),
            ["tunnel web is refused: port 9000 is not for clients (not tried again)"],
        )
        self.wanted.ask(self.channel)
        self.assertEqual((len(self.channel.requests), self.wanted.refused), (2, ""))

    def test_refusedAfterItWasOpen(self) -> None:
        """
        What was open once is asked for again, whatever the server says.
        """
        self.channel.accept()
        self.wanted.forget()
        self.wanted.ask(self.channel)
        self.channel.refuse(DENIED)
        self.assertEqual(self.wanted.refused, "")
        self.clock.advance(15)
        self.assertEqual(len(self.channel.requests), 3)

    def test_forget(self) -> None:
        """
        When the connection is gone, it has no address, and is not asked for before
        the next login.
        """
        self.channel.accept()
        self.wanted.forget()
        self.assertEqual(self.wanted.address, "")
        self.wanted.ask(self.channel)
        self.channel.refuse(BUSY)
        self.wanted.forget()
        self.assertQuiet()

    def test_lateAnswer(self) -> None:
        """
        An answer from a connection that is gone changes nothing, nor does a refusal.
        """
        late = self.channel.answers[-1]
        self.wanted.forget()
        late.callback(Opened(1, "web", ADDRESS))
        self.assertEqual((self.wanted.address, self.changes), ("", 0))
        self.wanted.ask(self.channel)
        refused = self.channel.answers[-1]
        self.wanted.ask(Channel())
        refused.errback(Failure(DENIED))
        self.assertEqual((self.wanted.refused, self.changes), ("", 0))

    def test_closed(self) -> None:
        """
        A tunnel that the server has closed is asked for again.
        """
        self.channel.accept()
        self.wanted.closed(Closed("web", code="withdrawn", reason="it is gone"))
        self.assertEqual((self.wanted.address, self.changes), ("", 2))
        self.assertEqual(
            self.warnings(), ["tunnel web is refused: it is gone (trying again)"]
        )
        self.clock.advance(10)
        self.assertEqual(len(self.channel.requests), 2)

    def test_closedBeforeItWasOpen(self) -> None:
        """
        A tunnel that is not open cannot be closed: it is not asked for twice.
        """
        self.wanted.closed(Closed("web"))
        self.channel.refuse(BUSY)
        self.wanted.closed(Closed("web"))
        self.clock.advance(15)
        self.assertEqual(len(self.channel.requests), 2)

    def test_askedAgainMeanwhile(self) -> None:
        """
        A login asks once, also where the tunnel was about to be asked for.
        """
        self.channel.refuse(BUSY)
        self.wanted.ask(self.channel)
        self.clock.advance(100)
        self.assertEqual(len(self.channel.requests), 2)

    def test_bug(self) -> None:
        """
        A bug is in the log with its traceback.
        """
        self.channel.answers[-1].errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_anyPort(self) -> None:
        """
        A tunnel without a port asks for any.
        """
        spec = replace(SPEC, port=0)
        Wanted(spec, self.clock, lambda: 0.5, self.count).ask(self.channel)
        self.assertEqual(self.channel.requests[-1].port, 0)


class CompressedTests(TimedCase):
    """
    A tunnel that is to be compressed is so, or is not open.
    """

    def setUp(self) -> None:
        """
        Want it, and log in.
        """
        super().setUp()
        self.log = Log(self)
        spec = replace(SPEC, compress="deflate")
        self.wanted = Wanted(spec, self.clock, lambda: 0.5, lambda: None)
        self.channel = Channel()
        self.wanted.ask(self.channel)
        self.addCleanup(self.wanted.forget)

    def test_asked(self) -> None:
        """
        The server is asked for it, and does as it is asked.
        """
        self.assertEqual(self.channel.requests[-1].compress, "deflate")
        self.channel.accept("deflate")
        self.assertEqual(self.wanted.address, ADDRESS)

    def test_oldServer(self) -> None:
        """
        A server that has not even seen that it was asked is told to close the tunnel
        again, and the user what to do.
        """
        self.channel.accept()
        self.assertEqual((self.wanted.address, self.channel.closes), ("", ["web"]))
        self.assertEqual(
            self.wanted.refused,
            "the server knows nothing of compression: have it updated, or leave "
            "compress= away",
        )
