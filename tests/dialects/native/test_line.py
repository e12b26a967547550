"""
Tests for L{tunnelkit.dialects.native.line}.
"""

from __future__ import annotations

import hashlib
from typing import Any, cast

from twisted.internet.defer import Deferred, succeed

from tests.dialects.native.case import OTHER_PAIR, PAIR
from tests.fakes import FakeWork, TimedCase, messages
from tests.logs import Log
from tunnelkit.carrier.dock import Dock
from tunnelkit.carrier.route import Reached, Route, Unreached
from tunnelkit.control.login.proofs import workProof
from tunnelkit.dialects.native.caller import Parting
from tunnelkit.dialects.native.calling import CallingChannel
from tunnelkit.dialects.native.line import DISPLACED, Line
from tunnelkit.interfaces import IWorkEnd, IWorkOwner
from tunnelkit.relay.connection import Connection, Holder
from tunnelkit.relay.secure import Seen
from tunnelkit.tunnels.spec import TunnelSpec
from tunnelkit.tunnels.wanted import Wanted
from tunnelkit.wire import codes
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.native.login import Welcome
from tunnelkit.wire.native.messages import Closed, Drain, Open, Opened, Start

WELCOME = Welcome("v=x", "session1", "0123abcd", 5, 12, 100)
START = Start(1, "web", "tcp", "192.0.2.9:6000", "198.51.100.1:9000")


def reachedWith(certificate: bytes | None) -> Reached:
    """
    Reach a server that shows a certificate.
    """
    seen = None if certificate is None else Seen("TLSv1.3", certificate)
    return Reached(Connection(Holder()), seen)


class Channel:
    """
    A control channel that opens what it is asked for.
    """

    def __init__(self) -> None:
        self.closed: list[str] = []
        self.left: list[str] = []

    def open(self, request: Any) -> Deferred[Opened]:
        """
        Open a tunnel.
        """
        asked: Open = request(1)
        return succeed(Opened(1, asked.tunnel, "tcp://vps:9000"))

    def close(self, tunnel: str) -> Deferred[Closed]:
        """
        Close a tunnel, if the server answers.
        """
        self.closed.append(tunnel)
        return Deferred()

    def leave(self, reason: str) -> Deferred[None]:
        """
        Leave.
        """
        self.left.append(reason)
        return succeed(None)


class LineCase(TimedCase):
    """
    A line that has logged in, and the client that it belongs to.
    """

    def setUp(self) -> None:
        """
        Log in.
        """
        super().setUp()
        self.log = Log(self)
        self.loggedInWith: list[Line] = []
        self.starts: list[Start] = []
        self.opening: list[Deferred[IWorkEnd]] = []
        self.closings: list[Closed] = []
        self.aways: list[tuple[str, bool, float]] = []
        self.line = self.made(PAIR.der)
        self.line.loggedIn(WELCOME, True)
        self.route: Any = Route.__new__(Route)
        self.route.server = "vps:8910"

    def made(self, certificate: bytes | None) -> Line:
        """
        Reach the server.
        """
        line = Line(self, reachedWith(certificate))
        self.channel: Any = Channel()
        line.channel = cast(CallingChannel, self.channel)
        return line

    def opened(self, certificate: bytes | None) -> dict[str, Any]:
        """
        Open a work connection that shows a certificate, and give what it says.
        """
        words = self.line.workOpening(reachedWith(certificate), self.route)
        (message,) = messages(words)
        return message

    # What the line asks of its client.

    def loggedIn(self, line: Line) -> None:
        """
        It is in.
        """
        self.loggedInWith.append(line)

    def started(self, work: IWorkEnd, start: Start) -> None:
        """
        A visitor came.
        """
        self.starts.append(start)

    def dock(self) -> Dock | None:
        """
        Take no datagrams.
        """
        return None

    def openWork(self, line: Line, owner: IWorkOwner) -> Deferred[IWorkEnd]:
        """
        Open a work connection.
        """
        self.opening.append(Deferred())
        return self.opening[-1]

    def closed(self, closed: Closed) -> None:
        """
        A tunnel was withdrawn.
        """
        self.closings.append(closed)

    def away(self, reason: str, lasting: bool, wait: float = 0.0) -> None:
        """
        It is over.
        """
        self.aways.append((reason, lasting, wait))


class LoginTests(LineCase):
    """
    A line is one login.
    """

    def test_loggedIn(self) -> None:
        """
        The client hears of it.
        """
        self.assertEqual(self.loggedInWith, [self.line])

    def test_strangeKey(self) -> None:
        """
        A key that is none breaks the protocol.
        """
        line = self.made(PAIR.der)
        strange = Welcome("v=x", "session1", "not hexadecimal", 5, 12, 100)
        self.assertRaises(WireError, line.loggedIn, strange, True)
        self.assertEqual(self.loggedInWith, [self.line])

    def test_leave(self) -> None:
        """
        It says good-bye.
        """
        self.successResultOf(self.line.leave("the client is stopping"))
        self.assertEqual(self.channel.left, ["the client is stopping"])


class WorkTests(LineCase):
    """
    Work connections prove that they belong to the login.
    """

    def test_proof(self) -> None:
        """
        Each has the session's id, a serial of its own, and a proof that holds for the
        certificate that it shows.
        """
        key = bytes.fromhex(WELCOME.key)
        for serial in (1, 2, 3):
            self.assertEqual(
                self.opened(PAIR.der),
                {
                    "type": "work",
                    "session": "session1",
                    "serial": serial,
                    "proof": workProof(key, serial, PAIR.der),
                },
            )

    def test_unannounced(self) -> None:
        """
        One that shows a certificate that the control channel did not vouch for is not
        used: somebody is in between.
        """
        error = self.assertRaises(Unreached, self.opened, OTHER_PAIR.der)
        self.assertIn("vps:8910 shows a certificate", str(error))
        self.assertFalse(error.lasting)

    def test_announced(self) -> None:
        """
        One that was announced is; and the one that is announced no more is not.
        """
        hashes = [hashlib.sha256(p.der).hexdigest() for p in (PAIR, OTHER_PAIR)]
        self.line.vouched(tuple(hashes))
        self.opened(PAIR.der)
        self.opened(OTHER_PAIR.der)
        self.line.vouched((hashes[1],))
        self.opened(OTHER_PAIR.der)
        self.assertRaises(Unreached, self.opened, PAIR.der)

    def test_unbound(self) -> None:
        """
        Where the login was bound to nothing, neither is the proof, whatever is shown.
        """
        for certificate in (None, PAIR.der):
            self.line = self.made(None)
            self.line.loggedIn(WELCOME, False)
            proof = workProof(bytes.fromhex(WELCOME.key), 1, None)
            self.assertEqual(self.opened(certificate)["proof"], proof)

    def test_wanted(self) -> None:
        """
        As many are opened as the server wants, and visitors on them reach the client.
        """
        self.line.wanted(2)
        work = FakeWork()
        self.opening[0].callback(work)
        self.line._supply.started(work, START)
        self.assertEqual((len(self.opening), self.starts), (2, [START]))
        self.line.parted(Parting("", "over", True))
        self.assertTrue(work.aborted)


class WithdrawTests(LineCase):
    """
    A client that is about to stop withdraws its tunnels.
    """

    def test_withdraw(self) -> None:
        """
        Those that are open are closed, and none is asked for again.
        """
        wanted = [
            Wanted(
                TunnelSpec(kind="tcp", local=HostPort("127.0.0.1", 8000), name=name),
                self.clock,
                lambda: 0.5,
                lambda: None,
            )
            for name in ("open", "not-open")
        ]
        for one in wanted:
            one.ask(self.channel)
        wanted[1].closed(Closed("not-open"))
        self.line.withdraw(tuple(wanted))
        self.assertEqual(self.channel.closed, ["open"])
        self.assertEqual([one.address for one in wanted], ["", ""])
        self.assertQuiet()

    def test_drain(self) -> None:
        """
        That the server is about to stop is in the log.
        """
        self.line.drained(Drain(10))
        self.assertEqual(self.log.lines("info"), ["the server stops within 10 seconds"])

    def test_closed(self) -> None:
        """
        What the server withdraws is told to the client.
        """
        self.line.closed(Closed("web"))
        self.assertEqual(self.closings, [Closed("web")])


class PartingTests(LineCase):
    """
    When a line ends, the client hears whether to come back, and when.
    """

    def test_lost(self) -> None:
        """
        After a loss at once, and after a refusal not at all.
        """
        self.line.parted(Parting(codes.LOST, "lost", True))
        self.line.parted(Parting(codes.LOGIN, "wrong", False))
        self.assertEqual(self.aways, [("lost", False, 0.0), ("wrong", True, 0.0)])

    def test_displaced(self) -> None:
        """
        Who was displaced by another client waits for fifteen seconds, so that the two
        do not fight.
        """
        self.line.parted(Parting(codes.DISPLACED, "another has come", True))
        self.assertEqual(self.aways, [("another has come", False, DISPLACED)])
        self.assertEqual(DISPLACED, 15.0)
