"""
Tests for L{tunnelkit.tunnels.local}.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectingCancelledError
from twisted.python.failure import Failure

from tests.fakes import FakeEnd, FakeRelay, FakeWork, TimedCase
from tests.logs import Log
from tunnelkit.interfaces import Outcome, Undialled
from tunnelkit.relay.wrapping.packed import Packed
from tunnelkit.tunnels import detail
from tunnelkit.tunnels.local import LocalTCP
from tunnelkit.tunnels.spec import Limits, TunnelSpec
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.native.messages import Start

LOCAL = HostPort("127.0.0.1", 8000)
START = Start(7, "web", "tcp", "192.0.2.9:6000", "198.51.100.1:9000")
DOWN = Undialled(ResetCode.REFUSED, "the local service 127.0.0.1:8000 refused")


class LocalTests(TimedCase):
    """
    Each visitor gets a connection to the local service.
    """

    def setUp(self) -> None:
        """
        Publish a service.
        """
        super().setUp()
        self.patch(detail, "shown", True)
        self.log = Log(self)
        self.relay = FakeRelay()
        self.local = self.published()
        self.addCleanup(lambda: self.local.cut("the test is over"))

    def published(
        self,
        proxy: int = 0,
        limits: Limits = Limits(),  # noqa: B008
        compress: str = "",
    ) -> LocalTCP:
        """
        Publish a service.
        """
        spec = TunnelSpec(
            kind="tcp",
            local=LOCAL,
            name="web",
            proxy=proxy,
            limits=limits,
            compress=compress,
        )
        return LocalTCP(spec, self.relay, self.clock)

    def start(self, start: Start = START) -> FakeWork:
        """
        Have a visitor come.
        """
        work = FakeWork()
        self.local.started(work, start)
        return work

    def warnings(self) -> list[str]:
        """
        Give what the log warns of.
        """
        return self.log.lines("warn", "error")

    def test_limits(self) -> None:
        """
        All visitors of a tunnel share its limit, and each direction has its own;
        without one there is nothing in between.
        """
        self.local = self.published(limits=Limits(inward=1000, outward=5000, burst=700))
        for _ in range(2):
            self.start()
            self.relay.dials.pop()[1].callback(FakeEnd())
        (inward, outward), second = (join.buckets for join in self.relay.joins)
        self.assertEqual(second, (inward, outward))
        assert inward is not None and outward is not None
        self.assertEqual((inward.take(10**6), outward.take(10**6)), (700, 700))
        self.clock.advance(0.1)
        self.assertEqual((inward.take(10**6), outward.take(10**6)), (100, 500))
        self.local = self.published()
        self.start()
        self.relay.dials.pop()[1].callback(FakeEnd())
        self.assertEqual(self.relay.joins[-1].buckets, (None, None))

    def test_compressed(self) -> None:
        """
        What goes between the two sides is compressed where that was asked for, and
        what goes between client and service never.
        """
        self.local = self.published(compress="deflate")
        work, service = self.start(replace(START, compress="deflate")), FakeEnd()
        self.relay.dials[-1][1].callback(service)
        (join,) = self.relay.joins
        self.assertIsInstance(join.one, Packed)
        self.assertIs(join.other, service)
        join.one.abort()
        self.assertTrue(work.aborted)
        join.end()

    def test_compressedOtherwise(self) -> None:
        """
        A visitor whose bytes do not come as they should is turned away, not served
        rubbish; that is logged.
        """
        reason = "the server does not compress as it was asked to"
        for asked, told in (("", "deflate"), ("deflate", ""), ("deflate", "zstd")):
            self.local = self.published(compress=asked)
            work = self.start(replace(START, compress=told))
            self.assertEqual(work.refused, [(ResetCode.DENIED, reason)])
            self.assertEqual(self.local.streams, 0)
            self.local.cut("the test is over")
        self.assertEqual(self.relay.dials, [])
        self.assertEqual(self.warnings(), [f"visitors of web are reset: {reason}"] * 3)

    def test_served(self) -> None:
        """
        The service is dialled, and joined to the visitor.
        """
        work = self.start()
        ((address, dialled),) = self.relay.dials
        self.assertEqual(address, LOCAL)
        self.assertEqual(self.local.streams, 1)
        service = FakeEnd()
        dialled.callback(service)
        (join,) = self.relay.joins
        self.assertEqual((join.one, join.other, join.opening), (work, service, b""))
        self.assertEqual(self.local.streams, 1)
        join.end()
        self.assertEqual(self.local.streams, 0)

    def test_servedAtOnce(self) -> None:
        """
        Where the service is connected to at once, the visitor is with it at once.
        """
        service = FakeEnd()
        self.patch(self.relay, "dial", lambda address, timeout: service)
        work = self.start()
        (join,) = self.relay.joins
        self.assertEqual((join.one, join.other), (work, service))
        self.assertEqual(self.local.streams, 1)
        join.end(Outcome())
        self.assertEqual(self.local.streams, 0)

    def test_proxy(self) -> None:
        """
        A service that wants to know its visitors gets a PROXY header before their
        first byte.
        """
        for version, header in (
            (1, b"PROXY TCP4 192.0.2.9 198.51.100.1 6000 9000\r\n"),
            (2, b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"),
        ):
            self.local = self.published(version)
            self.start()
            self.relay.dials[-1][1].callback(FakeEnd())
            opening = self.relay.joins[-1].opening
            self.assertTrue(opening.startswith(header), opening)
            self.relay.joins[-1].end()

    def test_proxyUnknown(self) -> None:
        """
        Where the visitor came through a UNIX socket, the header says that it does not
        tell.
        """
        self.local = self.published(1)
        self.start(Start(1, "web", "tcp", "unix:/run/x", "unix:/run/x"))
        self.relay.dials[-1][1].callback(FakeEnd())
        self.assertEqual(self.relay.joins[-1].opening, b"PROXY UNKNOWN\r\n")
        self.relay.joins[-1].end()

    def test_down(self) -> None:
        """
        While the service is down each visitor is reset with the reason, the log says
        it once, and it works again when the service does.
        """
        for _ in range(20):
            work = self.start()
            self.relay.dials[-1][1].errback(Failure(DOWN))
            self.assertEqual(work.refused, [(ResetCode.REFUSED, DOWN.reason)])
        self.assertEqual(self.warnings(), [f"visitors of web are reset: {DOWN.reason}"])
        self.start()
        self.relay.dials[-1][1].callback(FakeEnd())
        self.assertEqual(len(self.relay.joins), 1)

    def test_outcome(self) -> None:
        """
        How a single stream ended is no news but to whoever debugs.
        """
        self.start()
        self.relay.dials[-1][1].callback(FakeEnd())
        self.relay.joins[0].end(Outcome(ResetCode.PEER, "the visitor\n went"))
        self.assertEqual(self.warnings(), [])
        self.assertIn("the visitor? went", self.log.lines("debug")[-1])

    def test_detail(self) -> None:
        """
        Who debugs sees each stream begin and end, well or not, and with how much.
        """
        self.start()
        self.relay.dials[-1][1].callback(FakeEnd())
        self.relay.joins[0].forth, self.relay.joins[0].back = 85, 201
        self.relay.joins[0].end()
        self.start()
        self.relay.dials[-1][1].errback(Failure(DOWN))
        begins = "stream 7 of 192.0.2.9:6000 at web begins"
        ends = "stream 7 of 192.0.2.9:6000 at web ends"
        self.assertEqual(
            self.log.lines("debug"),
            [
                begins,
                f"{ends}: well, 85 bytes from the visitor, 201 to the visitor",
                begins,
                f"{ends}: {DOWN.reason}, 0 bytes from the visitor, 0 to the visitor",
            ],
        )

    def test_cut(self) -> None:
        """
        A client that stops resets its streams, and dials no further for those who
        wait.
        """
        dialling, running = self.start(), self.start()
        self.relay.dials[1][1].callback(FakeEnd())
        self.local.cut("the client is stopping")
        stopping = (ResetCode.STOPPING, "the client is stopping")
        self.assertEqual(dialling.refused, [stopping])
        self.assertEqual(self.relay.joins[0].outcome, Outcome(*stopping))
        self.assertEqual(self.local.streams, 0)
        self.assertEqual(running.refused, [])
        self.assertQuiet()

    def test_cutWhileConnecting(self) -> None:
        """
        An endpoint has a word of its own for being given up; it is no bug.
        """
        work = self.start()
        address = IPv4Address("TCP", "127.0.0.1", 8000)
        self.relay.dials[0][1].errback(Failure(ConnectingCancelledError(address)))
        self.assertEqual(work.refused[0][0], ResetCode.STOPPING)

    def test_bugAtDialling(self) -> None:
        """
        A bug is in the log with its traceback, and the visitor is reset.
        """
        work = self.start()
        self.relay.dials[0][1].errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(work.refused[0][0], ResetCode.INTERNAL)

    def test_bugAtJoining(self) -> None:
        """
        A bug behind the dialling leaves no connection to the service behind.
        """
        self.relay.bug = ZeroDivisionError()
        work, service = self.start(), FakeEnd()
        self.relay.dials[0][1].callback(service)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertTrue(service.aborted)
        self.assertEqual(work.refused[0][0], ResetCode.INTERNAL)
        self.assertEqual(self.local.streams, 0)
