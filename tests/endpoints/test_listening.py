"""
Tests for L{tunnelkit.endpoints.listening} and L{tunnelkit.endpoints.program}.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from zope.interface.verify import verifyObject

from tests.endpoints.case import EndpointCase, Program
from tests.whole import PUBLIC
from tunnelkit.endpoints import shared
from tunnelkit.endpoints.addresses import addressOf
from tunnelkit.endpoints.listening import (
    Event,
    Lost,
    NotPublished,
    Opened,
    Refused,
    TunnelServerEndpoint,
)
from tunnelkit.state.userfile import addUser
from tunnelkit.state.verifier import Verifier
from tunnelkit.wire.ports import PortSet
from tunnelkit.wire.token import Token


class ListeningTests(EndpointCase):
    """
    A program that listens through a tunnel is served as one that listens by itself.
    """

    def test_listens(self) -> None:
        """
        C{getHost} is the public address; who comes there is with the program, under his
        own address, and hears it.
        """
        verifyObject(IStreamServerEndpoint, self.endpoint("name=site"))
        program, port = self.listening("name=site", "port=9000")
        verifyObject(IListeningPort, port)
        self.assertEqual(port.getHost(), IPv4Address("TCP", "vps.example.org", 9000))
        visitor = self.visit()
        visitor.say(b"hello?")
        self.network.settle()
        (mine,) = program.visitors
        transport: Any = mine.transport
        self.assertEqual(mine.heard, b"hello?")
        self.assertEqual(transport.getPeer(), visitor.wire.getHost())
        self.assertEqual(transport.getHost(), IPv4Address("TCP", "127.0.0.1", PUBLIC))
        transport.write(b"hello!")
        transport.loseConnection()
        self.network.settle()
        self.assertEqual((visitor.heard, visitor.ended), (b"hello!", "end"))
        visitor.wire.loseConnection()
        self.network.settle()
        lines = self.log.lines("info")
        self.assertIn(
            "tcp://vps.example.org:9000 leads to this program (Program) (site)", lines
        )

    def test_factory(self) -> None:
        """
        The factory is told when it starts and stops, as those of a site want that open
        a log then.
        """
        program, port = self.listening("name=site")
        self.assertEqual(program.started, 1)
        stopped = port.stopListening()
        self.network.elapse(1)
        self.successResultOf(stopped)
        self.assertEqual(program.started, 0)

    def test_factoryFails(self) -> None:
        """
        One that cannot start, as a site whose log cannot be opened, publishes nothing.
        """
        program = Program()

        def broken() -> None:
            raise OSError("no log")

        program.startFactory = broken  # type: ignore[method-assign]
        _, (error,) = self.begin("name=site", "port=9000", program=program)
        self.assertIsInstance(error, OSError)
        self.network.elapse(1)
        self.assertNotIn(PUBLIC, self.network.ports)
        self.assertEqual(shared._here.get(self.network, {}), {})

    def test_refuses(self) -> None:
        """
        A factory may refuse a visitor, who is reset.
        """
        program, _ = self.listening("name=site", "port=9000")
        program.refusing = True
        self.assertUnserved()
        (line,) = self.log.lines("warn")
        self.assertIn("the program takes no visitors now", line)

    def test_bug(self) -> None:
        """
        A factory that fails resets its visitor, and the log has the bug.
        """

        def broken(address: object) -> None:
            raise RuntimeError("a bug")

        program, _ = self.listening("name=site", "port=9000")
        program.buildProtocol = broken  # type: ignore[method-assign]
        self.assertUnserved()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_stops(self) -> None:
        """
        Who stops listening withdraws the tunnel; visitors who are there go on, and the
        connection to the server is kept for them alone.
        """
        program, port = self.listening("name=site", "port=9000")
        visitor = self.visit()
        visitor.say(b"one")
        self.network.settle()
        stopped = port.stopListening()
        self.network.settle()
        self.successResultOf(stopped)
        self.assertNotIn(PUBLIC, self.network.ports)
        visitor.say(b", two")
        self.network.settle()
        self.assertEqual(program.visitors[0].heard, b"one, two")
        self.assertEqual(len([*self.server._sessions]), 1)
        visitor.wire.loseConnection()
        self.network.elapse(1)
        self.assertEqual([*self.server._sessions], [])

    def test_stopsBehindTheLast(self) -> None:
        """
        A visitor who has been answered, and not read all of it yet, gets all of it and
        a clean end though the program stops listening at once; and that waits for him
        for a moment only.
        """
        program, port = self.listening("name=site", "port=9000")
        visitor = self.visit()
        visitor.wire.frozen = True
        transport: Any = program.visitors[0].transport
        transport.write(bytes(50_000))
        transport.loseConnection()
        self.network.settle()
        stopped = port.stopListening()
        self.network.elapse(1)
        self.assertNoResult(stopped)
        self.network.elapse(2)
        self.successResultOf(stopped)
        visitor.wire.frozen = False
        self.network.elapse(1)
        self.assertEqual((len(visitor.heard), visitor.ended), (50_000, "end"))
        visitor.wire.loseConnection()
        self.network.elapse(1)
        self.assertEqual([*self.server._sessions], [])

    def test_stopsTwice(self) -> None:
        """
        To stop again is no error, and takes as long as the first time.
        """
        _, port = self.listening("name=site")
        first, second = port.stopListening(), port.stopListening()
        self.assertNoResult(second)
        self.network.elapse(1)
        self.successResultOf(first)
        self.successResultOf(second)
        self.successResultOf(port.stopListening())

    def test_startsAgain(self) -> None:
        """
        A port that was stopped can listen again.
        """
        _, port = self.listening("name=site", "port=9000")
        port.stopListening()
        self.network.elapse(1)
        self.assertNotIn(PUBLIC, self.network.ports)
        port.startListening()
        port.startListening()
        self.network.settle()
        self.assertIn(PUBLIC, self.network.ports)

    def test_shares(self) -> None:
        """
        Endpoints of one program share the connection to the server; one of another
        client's name has its own.
        """
        self.listening("name=one", "port=9000")
        self.listening("name=two", "port=9001")
        self.assertEqual(len([*self.server._sessions]), 1)
        described = f"tunnel:127.0.0.1:8910:tokenFile={self.tokenFile}:client=other"
        other = serverFromString(self.network, f"{described}:name=three")
        other.listen(Program()).addCallback(self.ports.append)
        self.network.settle()
        self.assertEqual(len([*self.server._sessions]), 2)

    def test_twice(self) -> None:
        """
        Two endpoints cannot have a tunnel of one name: which would visitors be for?
        """
        self.listening("name=site")
        other, (error,) = self.begin("name=site")
        self.assertIsInstance(error, NotPublished)
        self.assertEqual(other.started, 0)
        self.assertIn("two endpoints publish a tunnel called 'site'", str(error))

    def test_limited(self) -> None:
        """
        A limit holds for a program as for a service.
        """
        program, _ = self.listening("name=site", "port=9000", "limit-in=1000B/s")
        visitor = self.visit()
        visitor.say(bytes(1000))
        self.network.settle()
        self.assertLess(len(program.visitors[0].heard), 1000)
        self.network.elapse(2)
        self.assertEqual(len(program.visitors[0].heard), 1000)
        visitor.wire.loseConnection()
        self.network.settle()

    def test_compressed(self) -> None:
        """
        So does compression.
        """
        program, _ = self.listening("name=site", "port=9000", "compress=deflate")
        visitor = self.visit()
        visitor.say(b"hello")
        self.network.settle()
        self.assertEqual(program.visitors[0].heard, b"hello")
        visitor.wire.loseConnection()
        self.network.settle()


class PendingTests(EndpointCase):
    """
    A server that is not there, or refuses, is waited for.
    """

    def test_away(self) -> None:
        """
        C{listen} waits for a server that is away, and the log says so; a program that
        has nothing else to do goes on.
        """
        self.stop(self.server)
        _, became = self.begin("name=site", "port=9000")
        self.network.elapse(60)
        self.assertEqual(became, [])
        (line,) = self.log.lines("warn")
        self.assertIn("127.0.0.1:8910 cannot be reached: ", line)
        self.assertIn("check host and port of the description, and that", line)
        self.serve()
        self.network.elapse(16)
        self.assertEqual(len(became), 1)

    def test_token(self) -> None:
        """
        So it does for a token that the server does not know yet.
        """
        token = Token.new("bob", lambda count: bytes(range(count)))
        self.tokenFile = Path(self.mktemp())
        self.tokenFile.write_text(str(token))
        _, became = self.begin("name=site")
        self.network.elapse(20)
        self.assertEqual(became, [])
        (line,) = [line for line in self.log.lines("warn") if "; trying" in line]
        self.assertIn("does not accept this token", line)
        rights = Verifier.of(token.secret, lambda count: bytes(count))
        addUser(self.state / "users.toml", "bob", rights)
        self.network.elapse(20)
        self.assertEqual(len(became), 1)

    def test_refused(self) -> None:
        """
        And for a port that the server refuses, which is tried again.
        """
        self.stop(self.server)
        self.serve(allowed=PortSet.parse("9001-9005"))
        _, became = self.begin("name=site", "port=9000")
        self.network.elapse(20)
        self.assertEqual(became, [])
        (line,) = [line for line in self.log.lines("warn") if "refused" in line]
        self.assertIn("tunnel site is refused: ", line)
        self.assertIn("trying again", line)

    def test_wait(self) -> None:
        """
        With C{wait} it fails after so long, and says why; nothing goes on then.
        """
        self.stop(self.server)
        program, became = self.begin("name=site", "wait=5")
        self.network.elapse(4)
        self.assertEqual(became, [])
        self.network.elapse(2)
        (error,) = became
        self.assertIsInstance(error, NotPublished)
        self.assertIn("tunnel site was not open within 5 seconds: ", str(error))
        self.assertIn("cannot be reached", str(error))
        self.assertEqual(program.started, 0)
        self.assertEqual(shared._here.get(self.network, {}), {})

    def test_waitRefused(self) -> None:
        """
        The same where the server refuses the tunnel.
        """
        _, became = self.begin("name=site", "port=8", "wait=5")
        self.network.elapse(6)
        (error,) = became
        self.assertIn("was not open within 5 seconds: port 8 ", str(error))

    def test_waitInTime(self) -> None:
        """
        A tunnel that is open in time stays.
        """
        self.listening("name=site", "port=9000", "wait=5")
        self.network.elapse(10)
        self.assertIn(PUBLIC, self.network.ports)

    def test_cancel(self) -> None:
        """
        To cancel it, as a service does that stops, ends the trying.
        """
        self.stop(self.server)
        program, became = self.begin("name=site")
        self.pending.cancel()
        self.network.elapse(1)
        (error,) = became
        self.assertIsInstance(error, CancelledError)
        self.assertEqual(program.started, 0)
        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_cancelOnTheWay(self) -> None:
        """
        Even where the server opens the tunnel in that moment: it is closed again.
        """
        self.listening("name=other", "port=9001")
        pending = self.endpoint("name=site", "port=9000").listen(Program())
        pending.addErrback(lambda failure: failure.trap(CancelledError))
        pending.cancel()
        self.network.settle()
        self.assertNotIn(PUBLIC, self.network.ports)
        self.assertEqual(len(next(iter(self.server._sessions)).tunnels), 1)

    def test_cancelAndAgain(self) -> None:
        """
        Who cancels and tries again at once, as with C{wait} in a loop, has the tunnel:
        he is not in his own way.
        """
        self.listening("name=other", "port=9001")
        for _ in range(3):
            pending = self.endpoint("name=site", "port=9000").listen(Program())
            pending.addErrback(lambda failure: failure.trap(CancelledError))
            pending.cancel()
        program, _ = self.listening("name=site", "port=9000")
        self.network.elapse(20)
        self.assertEqual(self.log.lines("warn"), [])
        visitor = self.visit()
        self.assertEqual(len(program.visitors), 1)
        visitor.wire.loseConnection()
        self.network.settle()


class ComebackTests(EndpointCase):
    """
    A server that goes comes back.
    """

    def test_restarted(self) -> None:
        """
        After a restart of the server the tunnel is at the same address; those who were
        there are lost, and the program is told nothing new.
        """
        program, port = self.listening("name=site")
        where = port.getHost()
        visitor = self.visit(where.port)
        self.stop(self.server)
        self.network.elapse(1)
        self.assertEqual(visitor.ended, "reset")
        self.assertEqual(program.visitors[0].ended, "reset")
        self.assertEqual(port.getHost(), where)
        self.serve()
        self.network.elapse(16)
        again = self.visit(where.port)
        again.say(b"again")
        self.network.settle()
        self.assertEqual(program.visitors[-1].heard, b"again")
        again.wire.loseConnection()
        self.network.settle()

    def test_watch(self) -> None:
        """
        A program may be told what becomes of its tunnel.
        """
        told: list[Event] = []
        described: Any = self.endpoint("name=site", "port=9000")
        endpoint = TunnelServerEndpoint(
            self.network, described._settings, described._spec, watch=told.append
        )
        endpoint.listen(Program()).addCallback(self.ports.append)
        self.network.settle()
        opened = Opened("site", "tcp://vps.example.org:9000")
        self.assertEqual(told, [opened])
        self.stop(self.server)
        self.network.elapse(2)
        self.assertIsInstance(told[1], Lost)
        self.serve(allowed=PortSet.parse("9001-9005"))
        self.network.elapse(16)
        refused = [event for event in told if isinstance(event, Refused)]
        self.assertEqual([event.name for event in refused], ["site"])
        self.assertIn("9000", refused[0].reason)

    def test_watchBug(self) -> None:
        """
        A program that fails at being told has the tunnel all the same, each time; and
        the log has the bug.
        """

        def broken(event: Event) -> None:
            raise RuntimeError("a bug")

        described: Any = self.endpoint("name=site", "port=9000")
        endpoint = TunnelServerEndpoint(
            self.network, described._settings, described._spec, watch=broken
        )
        opening = endpoint.listen(Program()).addCallback(self.ports.append)
        self.network.settle()
        self.successResultOf(opening)
        self.stop(self.server)
        self.network.elapse(2)
        self.assertNotIn(PUBLIC, self.network.ports)
        self.serve()
        self.network.elapse(16)
        self.assertIn(PUBLIC, self.network.ports)
        self.assertGreater(len(self.flushLoggedErrors(RuntimeError)), 2)

    def test_stopsWhileAway(self) -> None:
        """
        Who stops listening while the server is away waits for nobody.
        """
        program, port = self.listening("name=site")
        self.stop(self.server)
        self.network.elapse(1)
        stopped = port.stopListening()
        self.network.settle()
        self.successResultOf(stopped)
        self.assertEqual(program.started, 0)


class PrivateTests(EndpointCase):
    """
    A program can be behind a private tunnel.
    """

    def test_private(self) -> None:
        """
        It has a name in place of a port.
        """
        _, port = self.listening("kind=private", "name=ssh")
        self.assertEqual(port.getHost(), IPv4Address("TCP", "ssh", 0))


class AddressTests(EndpointCase):
    """
    Visitors of all kinds have addresses.
    """

    def test_addresses(self) -> None:
        """
        An address has the host and the port that programs look at.
        """
        self.assertEqual(
            addressOf("[2001:db8::1]:5"), IPv6Address("TCP", "2001:db8::1", 5)
        )
        self.assertEqual(
            addressOf("[::ffff:192.0.2.1]:5"), IPv4Address("TCP", "192.0.2.1", 5)
        )
        self.assertEqual(addressOf(""), IPv4Address("TCP", "0.0.0.0", 0))
