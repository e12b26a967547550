"""
Tests for L{tunnelkit.dialects.remotedialer.locals}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint

from tests.dialects.remotedialer.case import SERVICE, LineCase
from tunnelkit.dialects.allowed import parseAllow
from tunnelkit.dialects.remotedialer.dialling import NotDialled
from tunnelkit.dialects.remotedialer.locals import REFUSALS, byEndpoint, patterned
from tunnelkit.wire.address import SocketPath
from tunnelkit.wire.remotedialer.messages import NOT_ALLOWED, Connect, Error

NOBODY: Any = None
"""What makes protocols for connections that never are."""


class LocalTests(LineCase):
    """
    A client dials what it was told to allow.
    """

    def test_denied(self) -> None:
        """
        What was not allowed is refused in the program's words; the log says, once, how
        it could be allowed, and the session goes on.
        """
        self.come(authorise=patterned([parseAllow(f"tcp/127.0.0.1:{SERVICE}")]))
        for _ in range(2):
            endpoint = self.switchboard.dialer("foo", "tcp/127.0.0.2:8000")
            connected = endpoint.connect(NOBODY)
            self.network.settle()
            error = self.failureResultOf(connected, NotDialled).value
            self.assertEqual(str(error), NOT_ALLOWED)
        (line,) = self.log.lines("warn")
        self.assertIn("--allow tcp/127.0.0.2:8000 would let it", line)
        self.assertEqual(self.services, [])
        self.dial(target=f"tcp/127.0.0.1:{SERVICE}")

    def test_deniedByTurns(self) -> None:
        """
        Nor does the log fill up where the server asks for ever other things: from some
        number on only those that were named are known.
        """
        self.come(authorise=patterned([]))
        for _ in range(2):
            for port in range(1, 2 * REFUSALS):
                endpoint = self.switchboard.dialer("foo", f"tcp/127.0.0.1:{port}")
                connected = endpoint.connect(NOBODY)
                self.network.settle()
                self.failureResultOf(connected, NotDialled)
        self.assertEqual(len(self.log.lines("warn")), REFUSALS)

    def test_unix(self) -> None:
        """
        UNIX sockets are dialled as TCP is, with or without the slash before the path,
        and no others than those that were allowed.
        """
        dialled: list[object] = []

        def dial(address: object, timeout: float) -> Deferred[Any]:
            dialled.append(address)
            return Deferred()

        self.patch(self.relay, "dial", dial)
        self.come(authorise=patterned([parseAllow("unix/run/app.sock")]))
        for target in ("unix/run/app.sock", "unix//run/app.sock", "unix/run/other"):
            self.switchboard.dialer("foo", target).connect(NOBODY).addErrback(str)
            self.network.settle()
        self.assertEqual(dialled, [SocketPath("/run/app.sock")] * 2)

    def test_brokenAuthoriser(self) -> None:
        """
        An authoriser with a bug allows nothing.
        """

        def authorise(network: str, address: str) -> bool:
            raise RuntimeError("a bug")

        self.come(authorise=authorise)
        connected = self.switchboard.dialer("foo", "tcp/web:80").connect(NOBODY)
        self.network.settle()
        self.failureResultOf(connected, NotDialled)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_ownDialler(self) -> None:
        """
        A program dials in its own way, and what it sees is what was asked for.
        """
        asked: list[tuple[str, str]] = []

        def endpoint(network: str, address: str) -> Any:
            asked.append((network, address))
            reactor: Any = self.network
            return TCP4ClientEndpoint(reactor, "127.0.0.1", SERVICE)

        self.come(dial=byEndpoint(endpoint))
        visitor, service = self.dial(target="weather/tomorrow")
        self.assertEqual(asked, [("weather", "tomorrow")])
        visitor.say(b"rain?")
        self.network.settle()
        self.assertEqual(service.heard, b"rain?")

    def test_brokenDialler(self) -> None:
        """
        Where that has a bug, that connection fails and no other.
        """

        def dial(network: str, address: str) -> Any:
            raise RuntimeError("a bug")

        self.come(dial=dial)
        connected = self.switchboard.dialer("foo", "tcp/web:80").connect(NOBODY)
        self.network.settle()
        self.failureResultOf(connected, NotDialled)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertTrue(self.switchboard.hasSession("foo"))

    def test_givenUp(self) -> None:
        """
        Who dials and gives up has the service dialled no longer.
        """
        cancelled: list[object] = []
        self.come(dial=lambda network, address: Deferred(cancelled.append))
        connected = self.switchboard.dialer("foo", "tcp/web:80").connect(NOBODY)
        self.network.settle()
        connected.cancel()
        self.failureResultOf(connected, CancelledError)
        self.network.settle()
        self.assertEqual(len(cancelled), 1)

    def test_tooLate(self) -> None:
        """
        A service that does not answer is given up.
        """
        self.network.silent.add(SERVICE)
        _, stock = self.stockServer()
        stock.tell(Connect(2, "tcp", f"127.0.0.1:{SERVICE}"))
        self.network.elapse(11.0)
        (error,) = stock.took()
        assert isinstance(error, Error)
        self.assertIn("did not answer within 10 seconds", error.text)

    def test_udp(self) -> None:
        """
        UDP is refused by name: its datagrams would run together.
        """
        _, stock = self.stockServer()
        stock.tell(Connect(2, "udp", "127.0.0.1:53"))
        self.network.settle()
        (error,) = stock.took()
        self.assertEqual(error, Error(2, "udp is not carried here, only tcp and unix"))

    def test_cut(self) -> None:
        """
        A client that stops resets what it serves.
        """
        self.come()
        visitor, service = self.dial()
        self.locals[0].cut("the client is stopping")
        self.network.settle()
        self.assertEqual((visitor.ended, service.ended), ("reset", "reset"))
