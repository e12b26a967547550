"""
Tests for L{tunnelkit.server}.
"""

from __future__ import annotations

import errno
from dataclasses import replace
from typing import Any

from cryptography import x509
from twisted.internet.defer import Deferred, fail

from tests.fakes import pairOf, random, worksOf
from tests.network import Plain, Speaker, secured
from tests.whole import ADMIN, NOW, PORT, PUBLIC, SERVICE, WholeCase
from tunnelkit.failures import StartFailed
from tunnelkit.relay.endpoints import everywhere
from tunnelkit.relay.secure import seen
from tunnelkit.server import Server
from tunnelkit.state.users import addUser, revokeUser
from tunnelkit.state.verifier import Verifier
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.ports import PortSet
from tunnelkit.wire.token import Token


class StartTests(WholeCase):
    """
    A server starts.
    """

    def test_first(self) -> None:
        """
        The log of the first start shows the certificate's fingerprint and the command
        for the client, with the file of the token, never with the token.
        """
        self.serve()
        log = "\n".join(self.log.lines("info"))
        self.assertIn("listening on 127.0.0.1:8910", log)
        self.assertIn("certificate's fingerprint: sha256:", log)
        self.assertIn(
            f"copy {self.state / 'default.token'} to the machine that has the service,"
            " and run there: twistd -n tunnelclient --server vps.example.org:8910"
            " --token-file default.token --tunnel tcp:8000",
            log,
        )
        self.assertNotIn(self.token.secret, log)
        self.assertEqual(self.log.lines("warn", "error", "critical"), [])

    def test_ports(self) -> None:
        """
        Clients get no other ports than those of --ports.
        """
        self.serve(allowed=PortSet.parse("9010"))
        client = self.client(f"tcp:{SERVICE}:port={PUBLIC}")
        client.startService()
        self.network.settle()
        self.assertEqual(client.tunnels[0].address, "")
        self.assertIn("--ports 9010", client.tunnels[0].refused)

    def test_bind(self) -> None:
        """
        Public ports are on the address of --bind alone, and by default on all.
        """
        for bind in ("192.0.2.9", ""):
            self.serve(bind=bind)
            client = self.client()
            client.startService()
            self.network.settle()
            interface = self.network.accepting[PUBLIC].interface
            self.assertEqual(interface, bind or everywhere())
            self.stop(client)
            self.stop(self.server)

    def test_hostname(self) -> None:
        """
        The certificate that the server makes is for the name of --hostname.
        """
        self.serve(hostname="tunnel.example.org")
        pem = (self.state / "certificate.pem").read_bytes()
        names = x509.load_pem_x509_certificate(pem).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
        self.assertIn(
            "tunnel.example.org", names.value.get_values_for_type(x509.DNSName)
        )

    def test_again(self) -> None:
        """
        The next start is the same server: its certificate and its token are.
        """
        self.serve()
        token, log = self.token, self.log.lines("info")
        self.stop(self.server)
        self.log.clear()
        self.serve()
        self.assertEqual(self.token, token)
        lines = self.log.lines("info")
        self.assertFalse(any("first start" in line for line in lines))
        (one,) = (line for line in lines if "fingerprint" in line)
        self.assertIn(one, log)

    def test_insecure(self) -> None:
        """
        A server that accepts plain TCP says at each start what that means.
        """
        for changes in ({"insecure": True}, {"behindTLS": True}):
            self.log.clear()
            self.serve(**changes)
            (line,) = self.log.lines("warn")
            self.assertIn("plain TCP is accepted", line)
            self.stop(self.server)

    def test_sameObject(self) -> None:
        """
        A server that has stopped can be started again.
        """
        self.serve()
        self.publish()
        self.stop(self.server)
        self.server.startService()
        self.network.elapse(1)
        self.assertServed()

    def test_twice(self) -> None:
        """
        A server that has not started, or has stopped, can be stopped without harm.
        """
        self.serve()
        self.stop(self.server)
        self.stop(self.server)

    def test_noAdmin(self) -> None:
        """
        The admin rooms can be left out; else their token is that in the state folder.
        """
        self.serve()
        site: Any = self.network.accepting[ADMIN].factory
        self.assertEqual(site.token, (self.state / "admin.token").read_text().strip())
        self.assertIs(site.source, self.server)
        self.stop(self.server)
        self.serve(admin=None)
        self.assertNotIn(ADMIN, self.network.accepting)

    def test_severalPorts(self) -> None:
        """
        It listens on all the ports that it was given.
        """
        self.serve(ports=("tcp:8910:interface=127.0.0.1", "tcp:443"))
        self.publish(server=HostPort("127.0.0.1", 443))
        self.assertServed()

    def test_ownToken(self) -> None:
        """
        An operator's own token is good, and none is made.
        """
        token = Token("default", "q" * 40)
        self.serve(token=token)
        self.assertFalse((self.state / "default.token").exists())
        self.publish(token=token)
        self.assertServed()


class StartFailedTests(WholeCase):
    """
    A server that cannot start says why in one sentence, and leaves nothing behind.
    """

    def failed(self, **changes: Any) -> str:
        """
        Do not start.
        """
        error = self.assertRaises(StartFailed, self.serve, **changes)
        self.network.settle()
        self.assertEqual({*self.network.ports}, {SERVICE})
        self.assertEqual(self.network.getDelayedCalls(), [])
        self.assertNotIn("\n", str(error))
        self.stop(self.server)
        return str(error)

    def assertCanStart(self) -> None:
        """
        Another server can have the state folder.
        """
        self.serve()
        self.publish()
        self.assertServed()

    def test_portInUse(self) -> None:
        """
        A port that another program has.
        """
        self.network.taken[PORT] = errno.EADDRINUSE
        sentence = self.failed(admin=None)
        self.assertIn(f"cannot listen on --port tcp:{PORT}:interface=127", sentence)
        self.assertIn("Address already in use", sentence)
        self.assertIn("stop the program that has it, or give another port", sentence)
        self.network.taken.clear()
        self.assertCanStart()

    def test_asGiven(self) -> None:
        """
        Who gave a port number reads that number, and not what was made of it.
        """
        self.network.taken[443] = self.network.taken[ADMIN] = errno.EADDRINUSE
        ours = "tcp:443:backlog=4096"
        for ports, given, words in (
            ((ours,), {ours: "443"}, "cannot listen on --port 443: "),
            ((), {self.settings.admin: "8911"}, "cannot listen on --admin 8911: "),
        ):
            self.assertIn(words, self.failed(ports=ports, given=given))

    def test_secondPortInUse(self) -> None:
        """
        The first port is closed again where the second cannot be had.
        """
        self.network.taken[443] = errno.EADDRINUSE
        ports = (f"tcp:{PORT}:interface=127.0.0.1", "tcp:443")
        self.assertIn("cannot listen on --port tcp:443:", self.failed(ports=ports))
        self.assertCanStart()

    def test_adminInUse(self) -> None:
        """
        So are all where the admin rooms have no place.
        """
        self.network.taken[ADMIN] = errno.EADDRINUSE
        self.assertIn(f"cannot listen on --admin tcp:{ADMIN}", self.failed())
        self.network.taken.clear()
        self.assertCanStart()

    def test_mayNot(self) -> None:
        """
        A port that the user may not have.
        """
        self.network.taken[443] = errno.EACCES
        self.assertIn("give one above 1023", self.failed(ports=("tcp:443",)))

    def test_noSuchAddress(self) -> None:
        """
        An address that is not this machine's.
        """
        self.network.taken[443] = errno.EADDRNOTAVAIL
        sentence = self.failed(ports=("tcp:443",))
        self.assertIn("give an address and a port of this machine", sentence)

    def test_noSuchBind(self) -> None:
        """
        An address for public ports that is not this machine's: not only the first
        tunnel finds out.
        """
        self.network.foreign.add("192.0.2.1")
        sentence = self.failed(bind="192.0.2.1")
        self.assertIn("cannot listen on --bind 192.0.2.1: ", sentence)
        self.assertIn("give an address", sentence)
        sentence = self.failed(bindUDP="192.0.2.1")
        self.assertIn("cannot listen on --bind-udp 192.0.2.1: ", sentence)
        self.network.foreign.clear()
        self.assertCanStart()

    def test_badDescription(self) -> None:
        """
        A description that is none.
        """
        for bad in ("tcp:x", "nonsense:1", "tcp", ""):
            self.assertIn(f"cannot listen on --port {bad}: ", self.failed(ports=(bad,)))
        self.assertCanStart()

    def test_stateInUse(self) -> None:
        """
        A state folder that another server uses; which goes on.
        """
        first = self.serve()
        changes: dict[str, Any] = {"ports": ("tcp:443",), "admin": None}
        error = self.assertRaises(StartFailed, self.serve, **changes)
        self.assertIn("another server (process", str(error))
        self.assertIn("--state", str(error))
        self.assertNotIn(443, self.network.ports)
        self.server = first
        self.publish()
        self.assertServed()

    def test_brokenCertificate(self) -> None:
        """
        A certificate that cannot be read, or does not fit its key.
        """
        self.serve()
        self.stop(self.server)
        certificate = self.state / "certificate.pem"
        good = certificate.read_bytes()
        for bad in (b"nonsense", pairOf("other").chain):
            certificate.write_bytes(bad)
            self.assertIn("certificate", self.failed())
        certificate.write_bytes(good)
        self.assertCanStart()

    def test_noCertificate(self) -> None:
        """
        A certificate file that is not there.
        """
        missing = self.state.parent / "missing.pem"
        sentence = self.failed(certificate=missing, key=missing)
        self.assertIn(f"there is no certificate file {missing}", sentence)

    def test_givenCertificate(self) -> None:
        """
        What is wrong with a certificate is said with the options that gave it, where
        it was given, and without them where it is the state folder's.
        """
        self.serve()
        self.stop(self.server)
        own, key = self.state / "certificate.pem", self.state / "key.pem"
        own.write_bytes(pairOf("other").chain)
        words = "the key does not belong to the first certificate"
        self.assertTrue(self.failed().startswith(words))
        given = self.failed(certificate=own, key=key)
        self.assertTrue(given.startswith(f"--certificate and --key: {words}"), given)

    def test_brokenUsers(self) -> None:
        """
        A file of users that is not TOML.
        """
        self.serve()
        self.stop(self.server)
        (self.state / "users.toml").write_text("[users")
        self.assertIn("users.toml", self.failed())

    def test_brokenLeases(self) -> None:
        """
        A lease store that is none.
        """
        self.serve()
        self.stop(self.server)
        (self.state / "leases.sqlite").write_bytes(b"nonsense" * 1000)
        sentence = self.failed()
        self.assertIn("leases.sqlite cannot be used as a store of leases", sentence)
        (self.state / "leases.sqlite").unlink()
        self.assertCanStart()

    def test_bug(self) -> None:
        """
        A bug ends the start with a traceback, and leaves nothing behind either.
        """

        reactor: Any = self.network
        rooms: Any = None
        server = Server(self.settings, reactor, random, rooms, now=lambda: NOW)
        self.assertRaises(TypeError, server.startService)
        self.network.settle()
        self.assertEqual({*self.network.ports}, {SERVICE})
        self.assertCanStart()


class ServingTests(WholeCase):
    """
    A visitor reaches a service that has no public address.
    """

    def setUp(self) -> None:
        """
        Start a server.
        """
        super().setUp()
        self.serve()

    def test_served(self) -> None:
        """
        Through TLS and login, to the service and back.
        """
        client = self.publish()
        self.assertEqual(client.tunnels[0].address, "tcp://vps.example.org:9000")
        self.assertServed()

    def test_many(self) -> None:
        """
        A thousand visitors, one after the other, need a handful of work connections.
        """
        self.publish()
        for _ in range(1000):
            visitor = self.visit()
            visitor.say(b"x")
            visitor.wire.loseWriteConnection()
            self.network.settle()
            self.services[-1].wire.loseConnection()
            self.network.settle()
            self.assertEqual(visitor.ended, "end")
            visitor.wire.loseConnection()
        self.network.settle()
        counts = dict(self.server.status().counts)
        self.assertTrue(counts["work_connections"] <= 5, counts)
        self.assertEqual(self.server.status().tunnels[0].visitors, 1000)

    def test_atOnce(self) -> None:
        """
        So are two hundred at once, each with its own words.
        """
        self.publish()
        visitors = []
        for number in range(200):
            visitor = Speaker()
            self.network.connect(PUBLIC, visitor)
            visitor.say(b"%d" % number)
            visitors.append(visitor)
        self.network.settle()
        for service in self.services:
            service.say(b"you said " + service.heard)
        self.network.settle()
        self.assertEqual(
            [visitor.heard for visitor in visitors],
            [b"you said %d" % number for number in range(200)],
        )

    def test_reset(self) -> None:
        """
        A visitor that resets its connection resets that of the service, and the
        reverse.
        """
        self.publish()
        visitor = self.visit()
        visitor.wire.abortConnection()
        self.network.settle()
        self.assertEqual(self.services[-1].ended, "reset")
        visitor = self.visit()
        self.services[-1].wire.abortConnection()
        self.network.settle()
        self.assertEqual(visitor.ended, "reset")
        self.assertServed()

    def test_downService(self) -> None:
        """
        While the service is down its visitors are reset; both logs say why, once; and
        it works again when the service does.
        """
        self.publish()
        service = self.network.accepting.pop(SERVICE)
        for _ in range(10):
            self.assertUnserved()
        self.assertEqual(
            self.log.lines("warn"),
            [
                "visitors of web are reset: the local service 127.0.0.1:8000 refused"
                " the connection"
            ],
        )
        told = [line for line in self.log.lines("info") if "are reset" in line]
        self.assertEqual(len(told), 1)
        self.network.accepting[SERVICE] = service
        self.assertServed()

    def test_clientIsLost(self) -> None:
        """
        When the client is lost, visitors are reset, never ended as if all were well.
        """
        client = self.publish()
        visitor = self.visit()
        visitor.say(b"a question")
        self.network.settle()
        self.stop(client)
        self.assertEqual(visitor.ended, "reset")
        self.assertEqual(self.services[-1].ended, "reset")
        self.assertNotIn(PUBLIC, self.network.accepting)

    def test_workIsLost(self) -> None:
        """
        When the work connection of a visitor is lost, both of its ends are reset.
        """
        self.publish()
        visitor = self.visit()
        (session,) = self.server._sessions
        work: Any
        (work,) = worksOf(session)._busy
        wire = work.transport.transport
        wire.peerResets()
        wire.far.peerResets()
        self.network.settle()
        self.assertEqual((visitor.ended, self.services[-1].ended), ("reset", "reset"))
        self.assertServed()

    def test_status(self) -> None:
        """
        The admin rooms see sessions, tunnels, bytes and counts.
        """
        self.publish()
        visitor = self.visit()
        visitor.say(b"x" * 1000)
        self.network.settle()
        self.services[-1].say(b"y" * 5000)
        self.network.settle()
        status = self.server.status()
        self.assertEqual((status.draining, status.troubles), (False, ()))
        self.assertTrue(status.program.startswith("tunnelkit/"))
        self.assertEqual(status.started, NOW)
        (session,), (tunnel,) = status.sessions, status.tunnels
        self.assertEqual((session.client, session.busy), ("laptop", 1))
        self.assertEqual(tunnel.address, "tcp://vps.example.org:9000")
        self.assertEqual((tunnel.streams, tunnel.visitors), (1, 1))
        self.assertEqual((tunnel.received, tunnel.sent), (1000, 5000))
        self.assertEqual(
            [name for name, _ in status.counts],
            [
                "connections",
                "connections_refused",
                "dismissed",
                "logins",
                "logins_failed",
                "work_connections",
                "work_connections_refused",
            ],
        )
        self.assertEqual(dict(status.counts)["logins"], 1)

    def test_statusOfWithdrawn(self) -> None:
        """
        While a client stops and lets its visitors finish, they still see these.
        """
        client = self.publish()
        visitor = self.visit()
        visitor.say(b"x" * 1000)
        self.network.settle()
        drained = Deferred.fromCoroutine(client.drain(10))
        self.network.elapse(1)
        (tunnel,) = self.server.status().tunnels
        self.assertEqual((tunnel.withdrawn, tunnel.streams), (True, 1))
        self.assertEqual(tunnel.received, 1000)
        visitor.wire.loseWriteConnection()
        self.services[-1].wire.loseWriteConnection()
        self.network.elapse(1)
        self.successResultOf(drained)
        self.assertEqual(self.server.status().tunnels, ())

    def test_leftOut(self) -> None:
        """
        A client that comes again and again does not fill the log, and how often it
        came is said at the latest when the server stops.
        """
        client = self.publish()
        (session,) = self.server._sessions
        while session.mention():
            pass
        self.log.clear()
        self.stop(client)
        self.assertEqual(self.log.lines("info"), [])
        self.stop(self.server)
        self.assertEqual(
            self.log.lines("info"), ["2 more lines about user default are left out"]
        )

    def test_guests(self) -> None:
        """
        They also see who has not logged in yet.
        """
        self.network.connect(PORT, Plain())
        self.assertEqual(self.server.status().openings, 1)

    def test_trouble(self) -> None:
        """
        And what is wrong: leases that cannot be written.
        """

        works = self.server._inThread
        self.server._inThread = lambda call: fail(OSError("the disk is full"))
        self.publish()
        (trouble,) = self.server.status().troubles
        self.assertIn("the disk is full", trouble)
        self.server._inThread = works

    def test_noise(self) -> None:
        """
        Visitors are no news.
        """
        self.publish()
        self.log.clear()
        for _ in range(5):
            self.assertServed()
        self.assertEqual(self.log.lines("info", "warn", "error"), [])

    def test_sweepGoesOn(self) -> None:
        """
        A bug in what is done every few seconds is in the log, and it is done again.
        """
        self.publish()
        (session,) = self.server._sessions
        session.pool.sweep = None  # type: ignore[assignment,method-assign]
        self.network.elapse(11)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 2)


class PlainTests(WholeCase):
    """
    Plain TCP, where the operator said so.
    """

    def test_insecure(self) -> None:
        """
        A client that was told so too is served, and one with TLS beside it.
        """
        self.serve(insecure=True)
        self.publish(insecure=True)
        self.assertServed()
        self.publish("tcp:8000:port=9001:name=other", name="desk")
        self.assertServed(9001)

    def test_notTold(self) -> None:
        """
        A server that was not told refuses it, with what to do, and the client ends.
        """
        self.serve()
        self.client(insecure=True).startService()
        self.network.settle()
        (failure,) = self.failures
        self.assertIn("this server wants TLS", failure)

    def test_clientNotTold(self) -> None:
        """
        A client that was not told speaks TLS, whatever the server allows.
        """
        self.serve(insecure=True)
        self.publish()
        self.assertTrue(self.server.status().sessions)
        (session,) = self.server._sessions
        self.assertTrue(session.identity.bound)


class DrainTests(WholeCase):
    """
    A server that is about to stop lets streams end.
    """

    def setUp(self) -> None:
        """
        Have a visitor at a service.
        """
        super().setUp()
        self.serve()
        self.client_ = self.publish()
        self.visitor = self.visit()

    def drain(self, grace: float = 10.0) -> Deferred[None]:
        """
        Begin to stop.
        """
        drained = Deferred.fromCoroutine(self.server.drain(grace))
        self.network.settle()
        return drained

    def test_streams(self) -> None:
        """
        Streams under way go on; when the last has ended, it is done.
        """
        drained = self.drain()
        self.visitor.say(b"more")
        self.network.elapse(1)
        self.assertEqual(self.services[-1].heard, b"more")
        self.assertNoResult(drained)
        self.visitor.wire.loseWriteConnection()
        self.services[-1].wire.loseConnection()
        self.network.elapse(0.2)
        self.successResultOf(drained)
        self.assertEqual(self.visitor.ended, "end")

    def test_grace(self) -> None:
        """
        But not for longer than they are given.
        """
        drained = self.drain(3)
        self.network.elapse(2.9)
        self.assertNoResult(drained)
        self.network.elapse(0.2)
        self.successResultOf(drained)
        self.stop(self.server)
        self.assertEqual(self.visitor.ended, "reset")

    def test_nothingNew(self) -> None:
        """
        No more visitors, no more clients; the admin rooms stay, and show it.
        """
        self.drain()
        self.assertNotIn(PUBLIC, self.network.accepting)
        self.assertIn(ADMIN, self.network.accepting)
        self.assertTrue(self.server.status().draining)
        self.assertEqual(self.server.troubles(), ("the server is stopping",))
        self.client(name="desk").startService()
        self.network.settle()
        self.assertIn("the server is stopping; trying again", self.log.lines("warn"))
        self.assertEqual(len(self.server.status().sessions), 1)
        self.assertEqual(self.failures, [])

    def test_waiting(self) -> None:
        """
        Visitors who wait for a work connection are served.
        """
        (session,) = self.server._sessions
        for wire in self.network.wires:
            if wire.getHost().host == "192.0.2.7" and wire.getPeer().port == PORT:
                wire.frozen = True
        for _ in range(3):
            waiting = self.visit()
        self.assertTrue(session.pool.counts[2])
        drained = self.drain()
        self.network.elapse(1)
        self.assertNoResult(drained)
        for wire in self.network.wires:
            wire.frozen = False
        self.network.settle()
        waiting.say(b"hello?")
        self.network.settle()
        self.assertIn(b"hello?", [service.heard for service in self.services])

    def test_openMeanwhile(self) -> None:
        """
        A client that asks for another tunnel is refused it for the time being.
        """
        self.drain()
        (wanted,) = self.client_.tunnels
        channel = self.client_._line
        assert channel is not None
        wanted.ask(channel.channel)
        self.network.settle()
        self.assertIn(
            "tunnel web is refused: the server is stopping (trying again)",
            self.log.lines("warn"),
        )

    def test_told(self) -> None:
        """
        Clients are told that it stops, and when.
        """
        self.drain(7)
        self.assertIn("the server stops within 7 seconds", self.log.lines("info"))

    def test_cut(self) -> None:
        """
        A second signal cuts: a stop ends what drains.
        """
        drained = self.drain()
        self.stop(self.server)
        self.assertEqual(self.visitor.ended, "reset")
        self.network.elapse(0.2)
        self.successResultOf(drained)


class StopTests(WholeCase):
    """
    A server stops.
    """

    def test_told(self) -> None:
        """
        Its clients are told why, and streams are reset.
        """
        self.serve()
        self.publish()
        visitor = self.visit()
        self.stop(self.server)
        self.assertEqual(visitor.ended, "reset")
        self.assertEqual(self.services[-1].ended, "reset")
        self.assertIn("the server is stopping; trying again", self.log.lines("warn"))
        self.assertEqual({*self.network.ports}, {SERVICE})

    def test_guests(self) -> None:
        """
        Who has not logged in yet is sent away.
        """
        self.serve()
        guests = [Plain(), secured(self.network, Plain())]
        for guest in guests:
            self.network.connect(PORT, guest)
        self.network.settle()
        self.stop(self.server)
        self.assertTrue(all(wire.lost for wire in self.network.wires))

    def test_frozenClient(self) -> None:
        """
        A client that does not listen does not hold it up.
        """
        self.serve()
        self.publish()
        for wire in self.network.wires:
            wire.frozen = wire.getPeer().port == PORT
        self.stop(self.server)
        self.assertEqual({*self.network.ports}, {SERVICE})
        self.network.elapse(6)

    def test_leases(self) -> None:
        """
        The same client finds its port again when the server is there again.
        """
        self.serve()
        client = self.publish("tcp:8000")
        address = client.tunnels[0].address
        self.stop(self.server)
        self.network.elapse(60)
        self.serve()
        self.network.elapse(16)
        self.assertEqual(client.tunnels[0].address, address)
        self.assertServed(int(address.rpartition(":")[2]))

    def test_folder(self) -> None:
        """
        Its state folder is free for another one, as soon as it has stopped.
        """
        for _ in range(3):
            self.serve()
            self.publish(name="laptop")
            self.stop(self.clients[-1])
            self.stop(self.server)

    def test_closing(self) -> None:
        """
        What goes wrong at closing is in the log, and all else is closed.
        """
        self.serve()

        def broken() -> None:
            raise ZeroDivisionError

        self.server._closings.append(broken)
        self.stop(self.server)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual({*self.network.ports}, {SERVICE})


class UsersTests(WholeCase):
    """
    Users come and go while the server runs.
    """

    def setUp(self) -> None:
        """
        Start.
        """
        super().setUp()
        self.serve()
        self.users = self.state / "users.toml"

    def test_new(self) -> None:
        """
        A new user may log in at once.
        """
        token = Token.new("bob", random)
        addUser(self.users, "bob", Verifier.of(token.secret, random))
        self.publish(token=token)
        self.assertServed()

    def test_revoked(self) -> None:
        """
        A user who is revoked loses session, tunnels and streams within a second, and
        the client, which was right once, tries again.
        """
        self.publish()
        visitor = self.visit()
        revokeUser(self.users, "default")
        self.network.elapse(1.1)
        self.assertEqual(visitor.ended, "reset")
        self.assertNotIn(PUBLIC, self.network.accepting)
        self.assertEqual(self.server.status().sessions, ())
        self.assertIn("the token was revoked; trying again", self.log.lines("warn"))
        self.assertEqual(self.failures, [])

    def test_reload(self) -> None:
        """
        A reload looks at once.
        """
        self.publish()
        revokeUser(self.users, "default")
        self.server.reload()
        self.assertEqual(self.server.status().sessions, ())
        self.network.settle()

    def test_others(self) -> None:
        """
        Nobody else notices.
        """
        token = Token.new("bob", random)
        addUser(self.users, "bob", Verifier.of(token.secret, random))
        self.publish()
        revokeUser(self.users, "bob")
        self.network.elapse(3)
        self.assertServed()

    def test_loginsFailed(self) -> None:
        """
        Who tries in vain is in the log, once a burst, and counted.
        """
        wrong = replace(self.token, secret="w" * 32)
        for _ in range(5):
            self.client(token=wrong).startService()
            self.network.settle()
        self.assertEqual(
            [line for line in self.log.lines("warn") if "login" in line],
            [
                "login from 192.0.2.7: user default: the proof was made with another"
                " secret"
            ],
        )
        self.assertEqual(dict(self.server.status().counts)["logins_failed"], 5)
        self.assertEqual(len(self.failures), 5)


class CertificateTests(WholeCase):
    """
    A new certificate takes the place of the old one, and clients notice nothing.
    """

    def setUp(self) -> None:
        """
        Publish, with one certificate.
        """
        super().setUp()
        self.serve()
        self.publish()
        self.old = self.shown()

    def shown(self) -> bytes:
        """
        Give the certificate that a new connection is shown.
        """
        stranger = Plain()
        self.network.connect(PORT, secured(self.network, stranger))
        self.network.settle()
        found = seen(stranger.wire, client=True).certificate
        stranger.wire.abortConnection()
        self.network.settle()
        return found

    def renew(self, *names: str) -> bytes:
        """
        Write another certificate.
        """
        pair = pairOf(*names)
        (self.state / "key.pem").write_bytes(pair.key)
        (self.state / "certificate.pem").write_bytes(pair.chain)
        return pair.der

    def test_renewed(self) -> None:
        """
        It is shown soon, and visitors keep being served, also over work connections
        that are made afterwards.
        """
        new = self.renew("renewed")
        self.network.elapse(3)
        self.assertEqual(self.shown(), new)
        sessions = self.server.status().sessions
        for _ in range(20):
            self.visit().say(b"stay")
        self.network.settle()
        for service in self.services:
            self.assertEqual(service.heard, b"stay")
        self.assertEqual(len(self.services), 20)
        (session,) = self.server.status().sessions
        self.assertEqual(session.session, sessions[0].session)
        self.assertEqual(self.log.lines("warn"), [])

    def test_waits(self) -> None:
        """
        A client that does not take note is waited for, but not for longer than five
        seconds.
        """
        channel = self.network.wires[0]
        channel.frozen = True
        new = self.renew("renewed")
        self.network.elapse(5.5)
        self.assertEqual(self.shown(), self.old)
        self.network.elapse(1.5)
        self.assertEqual(self.shown(), new)

    def test_logsInMeanwhile(self) -> None:
        """
        A client that logs in while another one is waited for is served afterwards.
        """
        self.network.wires[0].frozen = True
        new = self.renew("renewed")
        self.network.elapse(2.5)
        self.assertEqual(self.shown(), self.old)
        self.publish("tcp:8000:port=9001:name=other", name="desk")
        self.network.elapse(4)
        self.assertEqual(self.shown(), new)
        for _ in range(10):
            self.visit(9001).say(b"stay")
        self.network.settle()
        self.assertEqual([service.heard for service in self.services], [b"stay"] * 10)

    def test_reload(self) -> None:
        """
        A reload looks at once.
        """
        new = self.renew("renewed")
        self.server.reload()
        self.network.settle()
        self.assertEqual(self.shown(), new)

    def test_broken(self) -> None:
        """
        One that does not fit its key is not shown, and the log says so.
        """
        (self.state / "certificate.pem").write_bytes(pairOf("other").chain)
        self.network.elapse(3)
        self.assertEqual(self.shown(), self.old)
        (line,) = self.log.lines("warn")
        self.assertIn("the certificate stays as it is", line)
        self.assertServed()
