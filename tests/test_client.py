"""
Tests for L{tunnelkit.client}.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.protocols.tls import TLSMemoryBIOFactory

from tests.fakes import FakeWork, pairOf, random
from tests.network import Plain, accepting, secured
from tests.whole import ADDRESS, PORT, PUBLIC, SERVICE, WholeCase
from tunnelkit.client import Client, makeClient
from tunnelkit.dialects.native.channel import ControlChannel
from tunnelkit.relay.endpoints import One
from tunnelkit.relay.secure import ServerTLS
from tunnelkit.settings import ClientSettings
from tunnelkit.state.userfile import addUser, revokeUser
from tunnelkit.state.verifier import Verifier
from tunnelkit.tunnels.kinds import PARSERS
from tunnelkit.tunnels.spec import parseTunnel
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.certificate import parseFingerprint
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.native.codec import said
from tunnelkit.wire.native.messages import Closed, Refused, Start
from tunnelkit.wire.ports import PortSet
from tunnelkit.wire.token import Token

NOBODY = Token("nobody", "w" * 32)


class ConnectTests(WholeCase):
    """
    A client finds its server.
    """

    def test_connects(self) -> None:
        """
        The log shows where it logged in, and the public address of each tunnel.
        """
        self.serve()
        self.publish("tcp:8000:port=9000:name=web", "tcp:8000:port=9001:name=other")
        lines = self.log.lines("info")
        self.assertIn("logged in to 127.0.0.1:8910 as default", lines)
        self.assertIn(
            "tcp://vps.example.org:9001 leads to 127.0.0.1:8000 (other)", lines
        )
        self.assertServed()
        self.assertServed(9001)

    def test_waitsForTheServer(self) -> None:
        """
        A server that is not there yet is waited for, however long that takes; the
        reason is said once.
        """
        self.serve()
        self.stop(self.server)
        client = self.client()
        client.startService()
        self.network.elapse(3600)
        self.assertEqual(self.failures, [])
        (line,) = self.log.lines("warn")
        self.assertIn("127.0.0.1:8910 cannot be reached: ", line)
        self.assertIn("; trying again", line)
        self.serve()
        self.network.elapse(16)
        self.assertServed()

    def test_hammersNot(self) -> None:
        """
        It does not try without end: some twenty times at first, then ever more seldom.
        """
        client = self.client(token=NOBODY)
        tries = 0
        connect = self.network.connectTCP

        def counted(*args: Any, **named: Any) -> Any:
            nonlocal tries
            tries += 1
            return connect(*args, **named)

        self.network.connectTCP = counted  # type: ignore[method-assign]
        client.startService()
        self.network.elapse(5)
        self.assertTrue(12 <= tries <= 51, tries)
        self.network.elapse(25)
        tries = 0
        self.network.elapse(150)
        self.assertTrue(10 <= tries <= 20, tries)

    def test_description(self) -> None:
        """
        The server may be given as an endpoint's description, over which the client
        does its TLS; the host in it is the one that it dialled.
        """
        self.serve(hostname="")
        client = self.publish(server="tcp:127.0.0.1:8910")
        self.assertEqual(client.tunnels[0].address, "tcp://127.0.0.1:9000")
        self.assertServed()
        named = self.publish(
            "tcp:8000:port=9001:name=o", server="tcp:port=8910:host=127.0.0.1"
        )
        self.assertEqual(named.tunnels[0].address, "tcp://127.0.0.1:9001")

    def test_unix(self) -> None:
        """
        Over a UNIX socket the host is this one.
        """
        client = self.client(token=NOBODY, server="unix:/run/tunnelkit.sock")
        self.assertEqual(client._caller.host, "localhost")

    def test_changed(self) -> None:
        """
        Whoever embeds a client hears when a tunnel is opened or refused.
        """
        self.serve()
        heard: list[list[str]] = []
        client: Client
        client = self.client(
            changed=lambda: heard.append([t.address for t in client.tunnels])
        )
        client.startService()
        self.network.settle()
        self.assertEqual(heard, [["tcp://vps.example.org:9000"]])

    def test_lost(self) -> None:
        """
        Whoever embeds a client hears when a tunnel is lost with the server, and when
        that is back.
        """
        self.serve()
        heard: list[str] = []
        client: Client
        client = self.client(changed=lambda: heard.append(client.tunnels[0].address))
        client.startService()
        self.network.settle()
        self.stop(self.server)
        self.network.elapse(3)
        self.serve()
        self.network.elapse(3)
        opened = "tcp://vps.example.org:9000"
        self.assertEqual(heard, [opened, "", opened])

    def test_patient(self) -> None:
        """
        A client that is told to be patient goes on trying with a token that was never
        good, and asking for a tunnel that is refused, in case somebody mends that.
        """
        self.serve()
        reactor: Any = self.network
        token = Token.new("bob", random)
        patient = makeClient(
            self.settingsOf(token),
            reactor,
            random,
            self.failures.append,
            patient=True,
        )
        self.clients.append(patient)
        patient.startService()
        self.network.elapse(60)
        lines = [line for line in self.log.lines("warn") if "trying again" in line]
        self.assertEqual(len(lines), 1)
        self.assertIn("the server does not accept this token", lines[0])
        rights = Verifier.of(token.secret, random)
        addUser(self.state / "users.toml", "bob", rights)
        self.network.elapse(16)
        self.assertServed()
        self.assertEqual(self.failures, [])

    def test_patientTunnel(self) -> None:
        """
        The same where the tunnel is refused.
        """
        self.serve(allowed=PortSet.parse("9001-9002"))
        reactor: Any = self.network
        patient = makeClient(
            self.settingsOf(self.token),
            reactor,
            random,
            self.failures.append,
            patient=True,
        )
        self.clients.append(patient)
        patient.startService()
        self.network.elapse(60)
        (line,) = self.log.lines("warn")
        self.assertIn("port 9000 is not among those", line)
        self.assertIn("(trying again)", line)
        self.stop(self.server)
        self.serve()
        self.network.elapse(20)
        self.assertServed()
        self.assertEqual(self.failures, [])

    def test_noLease(self) -> None:
        """
        A client that says so leaves no port behind as its own.
        """
        self.serve()
        reactor: Any = self.network
        passing = makeClient(
            self.settingsOf(self.token),
            reactor,
            random,
            self.failures.append,
            lease=False,
        )
        self.clients.append(passing)
        passing.startService()
        self.network.settle()
        self.stop(passing)
        token = Token.new("bob", random)
        addUser(self.state / "users.toml", "bob", Verifier.of(token.secret, random))
        self.publish(token=token)

    def settingsOf(self, token: Token) -> ClientSettings:
        """
        Make settings.
        """
        spec = parseTunnel(f"tcp:{SERVICE}:port={PUBLIC}", PARSERS)
        return ClientSettings(
            server=ADDRESS, token=token, name="laptop", tunnels=(spec,)
        )


class DemandTests(WholeCase):
    """
    A user may demand more of the server.
    """

    def setUp(self) -> None:
        """
        Start a server.
        """
        super().setUp()
        self.serve()

    def failure(self, **changes: Any) -> str:
        """
        Start a client that gives up.
        """
        self.client(**changes).startService()
        self.network.settle()
        (failure,) = self.failures
        self.network.elapse(60)
        self.assertEqual(len(self.failures), 1)
        return failure

    def test_fingerprint(self) -> None:
        """
        The pinned certificate is good, and no other.
        """
        log = "\n".join(self.log.lines("info"))
        shown = log.partition("fingerprint: ")[2].split()[0]
        self.publish(fingerprint=parseFingerprint(shown))
        self.assertServed()
        self.assertIn("--fingerprint demands", self.failure(fingerprint=bytes(32)))

    def test_verify(self) -> None:
        """
        The server's own certificate verifies for nobody.
        """
        self.assertIn("does not verify", self.failure(verify=True))


class RefusedTests(WholeCase):
    """
    What no waiting can mend ends the client, in one sentence.
    """

    def setUp(self) -> None:
        """
        Start a server.
        """
        super().setUp()
        self.serve()

    def failure(self, *tunnels: str, **changes: Any) -> str:
        """
        Start a client that gives up, once and for all.
        """
        self.client(*tunnels, **changes).startService()
        self.network.settle()
        self.assertEqual(len(self.failures), 1)
        self.network.elapse(60)
        (failure,) = self.failures
        self.assertNotIn("\n", failure)
        return failure

    def test_token(self) -> None:
        """
        A wrong token at the first login; who tries a user that there is not hears the
        same.
        """
        wrong = replace(self.token, secret="w" * 32)
        sentence = self.failure(token=wrong)
        self.assertIn("the server does not accept this token", sentence)
        self.failures.clear()
        self.assertEqual(self.failure(token=NOBODY), sentence)
        self.assertEqual(dict(self.server.status().counts)["connections"], 2)

    def test_tunnels(self) -> None:
        """
        All tunnels refused for good: the sentence has each reason once.
        """
        sentence = self.failure(
            "tcp:8000:port=80:name=a", "tcp:8000:port=81:name=b", "tcp:1:port=80:name=c"
        )
        self.assertTrue(sentence.startswith("the server refuses every tunnel: "))
        self.assertEqual(sentence.count("port 80 is not among those"), 1)
        self.assertEqual(sentence.count("port 81 is not among those"), 1)

    def test_oneTunnel(self) -> None:
        """
        One that is refused for good does not disturb the others.
        """
        client = self.client("tcp:8000:port=80:name=a", "tcp:8000:port=9000:name=b")
        client.startService()
        self.network.settle()
        self.assertEqual(self.failures, [])
        self.assertServed()
        (line,) = self.log.lines("warn")
        self.assertIn("tunnel a is refused: port 80 is not among", line)
        self.assertIn("(not tried again)", line)

    def test_forAWhile(self) -> None:
        """
        One that is refused for a while is asked for again, while the others run.
        """
        self.network.taken[9001] = 98
        client = self.client("tcp:8000:port=9000:name=a", "tcp:8000:port=9001:name=b")
        client.startService()
        self.network.elapse(30)
        self.assertServed()
        self.assertEqual(client.tunnels[1].address, "")
        del self.network.taken[9001]
        self.network.elapse(16)
        self.assertServed(9001)
        refused = [line for line in self.log.lines("warn") if "tunnel b" in line]
        self.assertEqual(len(refused), 1)
        self.assertEqual(self.failures, [])

    def test_notTunnelkit(self) -> None:
        """
        A server that is something else: what it said instead.
        """
        came = accepting(self.network, 22)
        self.client(server=HostPort("127.0.0.1", 22)).startService()
        self.network.settle()
        came[0].say(b"SSH-2.0-OpenSSH_9.2p1\r\n")
        self.network.settle()
        self.assertEqual(
            self.failures,
            [
                "127.0.0.1:22 is no tunnelkit server with TLS: it said"
                " b'SSH-2.0-OpenSSH_9.2p1\\r\\n'; check host and port of --server"
            ],
        )
        came[0].wire.abortConnection()
        self.network.ports.pop(22)

    def test_illegible(self) -> None:
        """
        What another program says does no harm to a terminal.
        """
        came = accepting(self.network, 22)
        self.client(server=HostPort("127.0.0.1", 22), insecure=True).startService()
        self.network.settle()
        came[0].say(said(Refused("login", "go away\n\x1b[2J" + "x" * 2000)))
        self.network.settle()
        (failure,) = self.failures
        self.assertIn("go away", failure)
        self.assertTrue(failure.isprintable())
        self.assertTrue(len(failure) < 600)
        came[0].wire.abortConnection()
        self.network.ports.pop(22)


class ComebackTests(WholeCase):
    """
    An outage is waited out.
    """

    def setUp(self) -> None:
        """
        Publish.
        """
        super().setUp()
        self.serve()
        self.publisher = self.publish()
        self.log.clear()

    def cutOff(self) -> None:
        """
        Lose all connections between client and server.
        """
        for wire in self.network.wires:
            if PORT in (wire.getPeer().port, wire.getHost().port):
                wire.peerResets()
        self.network.settle()

    def test_lost(self) -> None:
        """
        A lost connection is made again at once, with the same port.
        """
        self.network.elapse(2)
        self.cutOff()
        self.network.elapse(0.1)
        self.assertServed()
        self.assertEqual(self.publisher.tunnels[0].address[-5:], ":9000")
        (line,) = self.log.lines("warn")
        self.assertIn("the connection to 127.0.0.1:8910 ended: ", line)
        self.network.elapse(2)
        self.cutOff()
        self.assertEqual(self.log.lines("warn"), [line, line])

    def test_closedTunnel(self) -> None:
        """
        A tunnel that the server closes by itself is asked for again, while the others
        run.
        """
        other = self.publish("tcp:8000:port=9001:name=a", "tcp:8000:port=9002:name=b")
        session = [*self.server._sessions][1]
        session.tunnels.pop("a").withdraw()
        cast(ControlChannel, session.channel).send(Closed("a", reason="it is too loud"))
        self.network.settle()
        self.assertEqual([bool(t.address) for t in other.tunnels], [False, True])
        self.assertEqual(
            self.log.lines("warn"),
            ["tunnel a is refused: it is too loud (trying again)"],
        )
        self.assertServed(9002)
        self.network.elapse(16)
        self.assertServed(9001)

    def test_unannounced(self) -> None:
        """
        A certificate that nobody announced is not trusted with visitors: such work
        connections are closed, and the log says why.
        """
        self.server._tls.show(pairOf("sudden"))
        for _ in range(10):
            self.visit()
        (line,) = self.log.lines("warn")
        self.assertIn(
            "no work connection to the server: 127.0.0.1:8910 shows a certificate on a"
            " work connection that it did not announce",
            line,
        )
        ours = [wire for wire in self.network.wires if wire.getPeer().port == PORT]
        # The control channel, and those that were there before.
        self.assertEqual(len([wire for wire in ours if not wire.lost]), 3)

    def test_restarted(self) -> None:
        """
        A server that is restarted has its clients back within 0.4 s.
        """
        self.network.elapse(60)
        self.stop(self.server)
        self.network.elapse(2)
        self.serve()
        self.network.elapse(0.4)
        self.assertServed()

    def test_longAway(self) -> None:
        """
        One that was away for long has them back within 15 s.
        """
        self.stop(self.server)
        self.network.elapse(3600)
        self.serve()
        self.network.elapse(15)
        self.assertServed()

    def test_frozenServer(self) -> None:
        """
        A server that is frozen is given up after 12 s, with its streams.
        """
        visitor = self.visit()
        self.network.elapse(1)
        for wire in self.network.wires:
            wire.frozen = wire.getHost().port == PORT
        self.network.elapse(13)
        self.assertEqual(self.services[-1].ended, "reset")
        self.assertIn(
            "nothing was heard from 127.0.0.1:8910; trying again",
            self.log.lines("warn"),
        )
        for wire in self.network.wires:
            wire.frozen = False
        self.network.elapse(15)
        self.assertEqual(visitor.ended, "reset")
        self.assertServed()

    def test_clockSet(self) -> None:
        """
        That the machine's clock is set forward by a minute is noticed by nobody.
        """
        visitor = self.visit()
        self.network.elapse(7)
        self.network.advance(60)
        self.network.elapse(13)
        visitor.say(b"still there?")
        self.network.settle()
        self.assertEqual(self.services[-1].heard, b"still there?")
        self.assertEqual((visitor.ended, self.log.lines("warn")), ("", []))

    def test_wrongTokenLater(self) -> None:
        """
        A token that was good once may be good again: it is tried with backoff, not
        given up, and not without end.
        """
        verifier = Verifier.of(self.token.secret, random)
        users = self.state / "users.toml"
        revokeUser(users, "default")
        self.network.elapse(300)
        self.assertEqual(self.failures, [])
        failed = dict(self.server.status().counts)["logins_failed"]
        self.assertTrue(10 < failed < 80, failed)
        addUser(users, "default", verifier)
        self.network.elapse(15)
        self.assertServed()

    def test_thrownOut(self) -> None:
        """
        A server that lets it in only to throw it out is not asked without end.
        """
        for _ in range(50):
            for session in self.server._sessions:
                session.end("", "out", retry=True)
            self.network.elapse(0.1)
        logins = dict(self.server.status().counts)["logins"]
        self.assertTrue(logins < 60, logins)
        self.network.elapse(1)
        self.assertServed()

    def test_thrownOutAtOnce(self) -> None:
        """
        Also where that happens within a moment.
        """
        sessions: Any = self.server._sessions
        admit = sessions.admit

        def out(*args: Any) -> Any:
            session = admit(*args)
            self.network.callLater(0, session.end, "", "out")
            return session

        sessions.admit = out
        self.cutOff()
        self.network.elapse(2)
        logins = dict(self.server.status().counts)["logins"]
        self.assertTrue(5 < logins < 25, logins)

    def test_refusedLater(self) -> None:
        """
        A tunnel that was open is asked for again, also where the server now says
        never: it was right once.
        """
        self.stop(self.server)
        self.serve(allowed=type(self.settings.allowed).parse("9010"))
        self.network.elapse(10)
        self.assertEqual(self.failures, [])
        self.stop(self.server)
        self.serve()
        self.network.elapse(15)
        self.assertServed()


class SuccessorTests(WholeCase):
    """
    Another client takes over.
    """

    def setUp(self) -> None:
        """
        Publish.
        """
        super().setUp()
        self.serve()
        self.publisher = self.publish()
        self.network.elapse(7)

    def test_frozen(self) -> None:
        """
        While a client is frozen its successor serves within half a second.
        """
        for wire in self.network.wires:
            wire.frozen = wire.getPeer().port == PORT
        frozen = [wire for wire in self.network.wires if wire.frozen]
        successor = self.client()
        successor.startService()
        self.network.elapse(0.5)
        self.assertServed()
        for wire in frozen:
            wire.frozen = False
        self.network.settle()
        self.assertIn(
            "laptop has taken over its tunnels; trying again", self.log.lines("warn")
        )
        self.assertServed()

    def test_noFight(self) -> None:
        """
        The one who was displaced comes back after 15 s, is refused, and the successor
        serves on.
        """
        self.test_frozen()
        self.network.elapse(14)
        self.assertEqual(len(self.server.status().sessions), 1)
        self.network.elapse(2)
        self.assertEqual(len(self.server.status().sessions), 2)
        self.assertServed()
        self.assertEqual(self.publisher.tunnels[0].address, "")

    def test_twoLive(self) -> None:
        """
        Of two live clients that publish the same, the second is told so, and serves
        when the first has gone.
        """
        second = self.client()
        second.startService()
        self.network.elapse(1)
        (line,) = self.log.lines("warn")
        self.assertIn("port 9000 is published by laptop from 192.0.2.7:", line)
        self.assertIn("which is alive: stop that client, or give this one", line)
        self.assertServed()
        self.network.elapse(60)
        self.assertEqual(len(self.log.lines("warn")), 1)
        self.stop(self.publisher)
        self.network.elapse(16)
        self.assertServed()
        self.assertTrue(second.tunnels[0].address)

    def test_twoThings(self) -> None:
        """
        Two on one host that publish different things just work.
        """
        self.publish("tcp:8000:name=another")
        self.assertServed()
        self.assertEqual(self.log.lines("warn"), [])


class StartedTests(WholeCase):
    """
    A client dials what it was configured to publish, whatever a server asks.
    """

    def refused(self, start: Start) -> list[tuple[ResetCode, str]]:
        """
        Have a server start a stream.
        """
        client = self.client(token=NOBODY)
        work = FakeWork()
        client.started(work, start)
        self.network.settle()
        self.assertEqual(self.services, [])
        return work.refused

    def test_anotherTunnel(self) -> None:
        """
        A tunnel that it does not publish is denied.
        """
        denied = [(ResetCode.DENIED, "the client does not publish that")]
        self.assertEqual(self.refused(Start(1, "ssh", "tcp", "", "")), denied)
        self.assertEqual(self.refused(Start(1, "", "tcp", "", "")), denied)

    def test_anotherKind(self) -> None:
        """
        So is one of another kind.
        """
        refused = self.refused(Start(1, "web", "udp", "", ""))
        self.assertEqual(refused[0][0], ResetCode.DENIED)


class DrainTests(WholeCase):
    """
    A client that is about to stop lets its streams end.
    """

    def setUp(self) -> None:
        """
        Have a visitor at the service.
        """
        super().setUp()
        self.serve()
        self.publisher = self.publish()
        self.visitor = self.visit()
        self.visitor.say(b"hello?")
        self.network.settle()

    def drain(self, grace: float = 10.0) -> Deferred[None]:
        """
        Begin to stop.
        """
        drained = Deferred.fromCoroutine(self.publisher.drain(grace))
        self.network.settle()
        return drained

    def test_streams(self) -> None:
        """
        Its tunnels take no more visitors; when the last stream has ended it is done.
        """
        drained = self.drain()
        self.assertNotIn(PUBLIC, self.network.accepting)
        self.services[-1].say(b"hello!")
        self.network.elapse(2)
        self.assertEqual(self.visitor.heard, b"hello!")
        self.assertNoResult(drained)
        self.visitor.wire.loseWriteConnection()
        self.services[-1].wire.loseConnection()
        self.network.elapse(0.2)
        self.successResultOf(drained)
        self.assertEqual(self.visitor.ended, "end")

    def test_grace(self) -> None:
        """
        But streams have no longer than they are given; then they are reset.
        """
        drained = self.drain(3)
        self.network.elapse(2.9)
        self.assertNoResult(drained)
        self.network.elapse(0.2)
        self.successResultOf(drained)
        self.stop(self.publisher)
        self.assertEqual(self.visitor.ended, "reset")

    def test_nothing(self) -> None:
        """
        Where there are no streams it is done in a moment, connected or not; by then
        all work connections have ended in order.
        """
        self.visitor.wire.abortConnection()
        self.network.settle()
        drained = self.drain()
        self.network.elapse(0.3)
        self.successResultOf(drained)
        (session,) = self.server.status().sessions
        self.assertEqual((session.idle, session.busy), (0, 0))
        away = self.client(token=NOBODY)
        self.successResultOf(Deferred.fromCoroutine(away.drain(10)))

    def test_serverIsLost(self) -> None:
        """
        A client that loses its server meanwhile does not come back: it is leaving.
        """
        self.drain()
        self.stop(self.server)
        self.serve()
        self.network.elapse(10)
        self.assertEqual(self.server.status().sessions, ())

    def test_loginMeanwhile(self) -> None:
        """
        Nor does it open its tunnels where it was just about to log in.
        """
        late = self.client("tcp:8000:port=9005:name=late", name="desk")
        late.startService()
        for _ in range(4):
            self.network.advance(0)
            for wire in self.network.wires:
                wire.move()
        self.assertEqual(late.tunnels[0].address, "")
        Deferred.fromCoroutine(late.drain(10))
        self.network.elapse(3)
        self.assertNotIn(9005, self.network.accepting)

    def test_again(self) -> None:
        """
        A client that has drained and stopped can be started again.
        """
        self.visitor.wire.abortConnection()
        self.drain()
        self.network.elapse(1)
        self.stop(self.publisher)
        self.publisher.startService()
        self.network.elapse(1)
        self.assertServed()

    def test_cut(self) -> None:
        """
        A stop ends what drains.
        """
        drained = self.drain()
        self.stop(self.publisher)
        self.network.elapse(0.2)
        self.successResultOf(drained)
        self.assertEqual((self.visitor.ended, self.services[-1].ended), ("reset",) * 2)


class StopTests(WholeCase):
    """
    A client stops at any time, and leaves nothing behind.
    """

    def assertQuiet(self) -> None:
        """
        Nothing of the client's is left.
        """
        self.network.settle()
        self.assertEqual(self.network.getDelayedCalls(), [])
        ours = [wire for wire in self.network.wires if wire.getPeer().port == PORT]
        self.assertEqual([wire for wire in ours if not wire.lost], [])

    def test_neverStarted(self) -> None:
        """
        Before it was started.
        """
        self.client(token=NOBODY).stopService()
        self.assertQuiet()

    def test_atOnce(self) -> None:
        """
        As soon as it was started.
        """
        client = self.client(token=NOBODY)
        client.startService()
        self.stop(client)
        self.assertQuiet()

    def test_waiting(self) -> None:
        """
        While it waits for the next try; started again, it tries at once.
        """
        self.serve()
        self.stop(self.server)
        client = self.client()
        client.startService()
        self.network.elapse(100)
        self.stop(client)
        self.assertQuiet()
        self.serve()
        client.startService()
        self.network.settle()
        self.assertServed()

    def test_connecting(self) -> None:
        """
        While it connects.
        """
        self.network.silent.add(PORT)
        client = self.client(token=NOBODY)
        client.startService()
        self.network.elapse(1)
        self.stop(client)
        self.assertQuiet()
        self.assertEqual(self.log.lines("warn", "error"), [])

    def test_handshaking(self) -> None:
        """
        While the TLS begins.
        """
        accepting(self.network, PORT)
        client = self.client(token=NOBODY)
        client.startService()
        self.network.elapse(1)
        self.stop(client)
        self.assertQuiet()
        self.assertEqual(self.log.lines("warn", "error"), [])
        self.network.ports.pop(PORT)

    def test_loggingIn(self) -> None:
        """
        While it logs in.
        """
        accepting(self.network, PORT)
        client = self.client(token=NOBODY, insecure=True)
        client.startService()
        self.network.elapse(1)
        self.stop(client)
        self.assertQuiet()
        self.network.ports.pop(PORT)

    def test_loggedIn(self) -> None:
        """
        When it has logged in: the server is told, and knows at once.
        """
        self.serve()
        client = self.publish()
        self.stop(client)
        self.assertEqual(self.server.status().sessions, ())
        self.assertIn("the client said good-bye", self.log.lines("info")[-1])
        self.stop(self.server)
        self.assertQuiet()

    def test_serving(self) -> None:
        """
        While visitors are there: they are reset.
        """
        self.serve()
        client = self.publish()
        visitor = self.visit()
        self.assertEqual(client.streams, 1)
        self.stop(client)
        self.assertEqual((visitor.ended, self.services[0].ended), ("reset", "reset"))
        self.assertEqual(client.streams, 0)
        self.stop(self.server)
        self.assertQuiet()

    def test_dialling(self) -> None:
        """
        While a local service is dialled.
        """
        self.serve()
        client = self.publish()
        self.network.silent.add(SERVICE)
        visitor = self.visit()
        self.assertEqual(client.streams, 1)
        self.stop(client)
        self.assertEqual((visitor.ended, client.streams), ("reset", 0))
        self.stop(self.server)
        self.assertQuiet()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_openingWork(self) -> None:
        """
        While work connections are opened.
        """
        self.serve()
        client = self.publish()
        self.network.silent.add(PORT)
        for _ in range(20):
            self.visit()
        self.stop(client)
        self.stop(self.server)
        for service in self.services:
            service.wire.loseConnection()
        self.assertQuiet()
        self.assertEqual(
            [line for line in self.log.lines("warn") if "work connection" in line], []
        )

    def test_again(self) -> None:
        """
        And it can be started again.
        """
        self.serve()
        client = self.publish()
        self.stop(client)
        self.network.elapse(5)
        client.startService()
        self.network.settle()
        self.assertServed()


class BugTests(WholeCase):
    """
    A bug is in the log, and the client goes on.
    """

    def test_connecting(self) -> None:
        """
        One at connecting is an outage like any other.
        """
        self.serve()
        client = self.client()
        route: Any = client._route
        works = route.open
        route.open = lambda: works().addCallback(lambda reached: 1 // 0)
        client.startService()
        self.network.settle()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        route.open = works
        self.network.elapse(1)
        self.assertServed()
        for wire in self.network.wires:
            wire.abortConnection()


class InBetweenTests(WholeCase):
    """
    Somebody between client and server opens the TLS.
    """

    def test_found(self) -> None:
        """
        It gets no session, and the client says what it is.
        """
        self.serve()
        self.between(4443)
        self.client(server=HostPort("127.0.0.1", 4443)).startService()
        self.network.settle()
        (failure,) = self.failures
        self.assertIn("something between the two opens the TLS", failure)
        self.assertEqual(self.server.status().sessions, ())
        for wire in self.network.wires:
            wire.abortConnection()
        self.network.settle()
        self.network.ports.pop(4443)

    def between(self, port: int) -> None:
        """
        Run a program that shows a certificate of its own, and passes everything on.
        """
        near, far = Passing(), Passing()
        near.other, far.other = far, near
        tls = ServerTLS(pairOf("in between"))
        self.network.listenTCP(
            port, TLSMemoryBIOFactory(tls, False, One(near), self.network)
        )
        self.network.connect(PORT, secured(self.network, far))


class Passing(Plain):
    """
    Passes on what comes.
    """

    other: Passing

    def dataReceived(self, data: bytes) -> None:
        """
        Pass it on.
        """
        self.other.say(data)


class FingerprintTests(WholeCase):
    """
    The fingerprint that the log shows is that of the certificate.
    """

    def test_SHA256(self) -> None:
        """
        It is what every other tool computes.
        """
        self.serve()
        der = self.server._tls.pair.der
        digest = hashlib.sha256(der).hexdigest()
        self.assertIn(
            f"certificate's fingerprint: sha256:{digest}", self.log.lines("info")
        )
