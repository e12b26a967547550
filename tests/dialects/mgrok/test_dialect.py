"""
Tests for L{tunnelkit.dialects.mgrok} on a server's port.
"""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.ssl import optionsForClientTLS

from tests.dialects.mgrok.case import PUBLIC, TOKEN, MgrokCase, Stock
from tests.network import Plain, Speaker, secured
from tests.whole import PORT
from tunnelkit.dialects.doorway import DELAY, PATIENCE
from tunnelkit.dialects.mgrok import control
from tunnelkit.tunnels.published import PROBE
from tunnelkit.wire.mgrok.codec import encode
from tunnelkit.wire.mgrok.messages import Handshake, Heartbeat, Register
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.ports import PortSet
from tunnelkit.wire.smux.frames import Command, Frame
from tunnelkit.wire.smux.frames import encode as framed
from tunnelkit.wire.smux.session import Session


class LoginTests(MgrokCase):
    """
    Who may come in.
    """

    def test_everySplit(self) -> None:
        """
        It does not matter how the network cuts a login and a request.
        """
        said: list[bytes] = []
        smux = Session(True, said.append)
        stream = smux.open()
        smux.send(stream, encode(Handshake(TOKEN.encode())))
        smux.send(stream, encode(Register("tcp", PUBLIC, 8000, "web")))
        data = b"".join(said)
        for cut in range(1, len(data)):
            client = Speaker()
            self.network.connect(PORT, client)
            client.say(data[:cut])
            self.network.settle()
            client.say(data[cut:])
            self.network.settle()
            self.assertEqual(len(self.server.status().tunnels), 1, cut)
            client.wire.abortConnection()
            self.network.settle()

    def assertTurnedAway(self, client: Stock, reason: str) -> None:
        """
        See that a client is told nothing and gets nothing, and the log why.
        """
        self.assertEqual((client.heard, client.ended), (b"", ""))
        self.assertEqual(self.server.status().tunnels, ())
        self.network.elapse(DELAY)
        self.assertEqual((client.heard, client.ended), (b"", "end"))
        self.assertIn(f"mgrok login from 192.0.2.7: {reason}", self.told())

    def test_wrongToken(self) -> None:
        """
        A wrong secret is not answered, costs the stranger a moment, and is counted;
        what he asks for behind it is not heard.
        """
        client = self.come(Register("tcp", PUBLIC, 8000, "web"), token="wrong")
        self.assertTurnedAway(client, "wrong token")
        self.assertEqual(dict(self.server.status().counts)["logins_failed"], 1)
        self.assertNotIn(TOKEN, self.told())

    def test_noHandshake(self) -> None:
        """
        What is no handshake that could log in is turned away with its reason.
        """
        for said, reason in {
            b"GRT": "a handshake does not begin with GRT1",
            b"GRT1": "a handshake does not begin with GRT1",
            b"GRT1\x02" + TOKEN.encode(): "a handshake by method 2",
            b"GRT1\x01": "a handshake without a token",
            b"GRT1\x01" + b"x" * 2000: "a handshake of 2005 bytes",
            b"\x05": "a handshake does not begin with GRT1",
            b"": "a handshake of no bytes",
        }.items():
            client = self.arrive()
            client.smux.send(client.control, said)
            if not said:
                client.say(framed(Frame(Command.PSH, client.control)))
            self.network.settle()
            self.assertTurnedAway(client, reason)

    def test_together(self) -> None:
        """
        A handshake and a Register in one frame are one message: the secret is wrong.
        """
        client = self.arrive()
        register = encode(Register("tcp", PUBLIC, 8000, "web"))
        said = encode(Handshake(TOKEN.encode())) + register
        client.smux.send(client.control, said)
        self.network.settle()
        self.assertTurnedAway(client, "wrong token")

    def test_goesMeanwhile(self) -> None:
        """
        One who is being turned away and goes by himself leaves nothing behind.
        """
        client = self.come(token="wrong")
        client.wire.abortConnection()
        self.network.settle()
        self.assertEqual(self.server.status().openings, 0)

    def test_silent(self) -> None:
        """
        Who does not log in is sent away after a while, and is not told that we live.
        """
        client = self.arrive()
        self.network.elapse(PATIENCE)
        self.assertEqual((client.heard, client.ended), (b"", "reset"))

    def test_stranger(self) -> None:
        """
        Who has not logged in has one stream; another is closed at once.
        """
        client = self.arrive()
        stream = client.smux.open()
        self.network.settle()
        self.assertEqual(client.finished, [stream])
        client.tell(Handshake(TOKEN.encode()))
        self.network.settle()
        self.assertEqual(len(self.server.status().sessions), 1)

    def test_odd(self) -> None:
        """
        Whoever does not keep to the wire is sent away alone.
        """
        good = self.register()
        handshake = framed(Frame(Command.PSH, 3, encode(Handshake(TOKEN.encode()))))
        for said in (
            b"\x01\x03\0\0\0\0\0\0\x02\x03\0\0\0\0\0\0",  # another version
            b"\x01\x03\0\0\0\0\0\0\x01\x04\x08\0\0\0\0\0",  # of version 2
            framed(Frame(Command.SYN, 4)),  # a stream of the server's
            framed(Frame(Command.SYN, 3)) + handshake + b"\x01\x09" + bytes(6),
            framed(Frame(Command.SYN, 3)) + handshake + b"\x02" * 8,
            framed(Frame(Command.SYN, 3)) + framed(Frame(Command.FIN, 3)),
        ):
            client = Speaker()
            self.network.connect(PORT, client)
            client.say(said)
            self.network.elapse(PATIENCE + 1)
            self.assertNotEqual(client.ended, "", said)
            good.smux.nop()
        self.assertEqual(good.ended, "")
        visitor, _ = self.served(good)
        self.assertEqual(visitor.ended, "")

    def test_lengthOnOthers(self) -> None:
        """
        A frame that has bytes where it may have none is passed over with them.
        """
        client = self.register()
        client.say(b"\x01\x03\x03\0\0\0\0\0abc")
        client.tell(Heartbeat())
        self.network.settle()
        self.assertEqual(client.said[client.control], b"\x05")

    @given(st.binary(max_size=200))
    def test_fuzzed(self, junk: bytes) -> None:
        """
        Nothing that somebody says behind a good login breaks anything.
        """
        client = self.come()
        client.say(junk)
        with contextlib.suppress(WireError):
            self.network.settle()
        client.wire.abortConnection()
        self.network.settle()
        self.assertEqual(self.flushLoggedErrors(), [])

    @given(st.lists(st.binary(min_size=1, max_size=20), max_size=5))
    def test_fuzzedMessages(self, messages: list[bytes]) -> None:
        """
        Nor does any message.
        """
        client = self.come()
        for message in messages:
            client.smux.send(client.control, message)
        self.network.settle()
        self.assertEqual(client.ended, "")
        client.wire.abortConnection()
        self.network.settle()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_off(self) -> None:
        """
        A server on which it is not switched on does not know it.
        """
        self.stop(self.server)
        self.serve()
        client = self.come()
        self.assertEqual((client.heard, client.ended), (b"", "end"))

    def test_full(self) -> None:
        """
        A server that stops lets nobody in; the log says why.
        """
        self.server._sessions.close()
        client = self.come()
        self.assertEqual(client.ended, "end")
        self.assertIn("is not let in: the server is stopping", self.told())

    def test_warned(self) -> None:
        """
        The log says once what its login is worth.
        """
        (line,) = [each for each in self.log.lines("warn") if "mgrok" in each]
        self.assertIn("who reads one of its logins has its secret", line)


class TLSTests(MgrokCase):
    """
    A stock client tries TLS first.
    """

    def test_fallBack(self) -> None:
        """
        It does not trust our certificate, says so, and comes again in plain: that is
        one line for whoever debugs, no failed login, no trouble.
        """
        before = self.told()
        lines = len(self.log.lines("debug"))
        first = Plain()
        distrusting = optionsForClientTLS("localhost")
        self.network.connect(PORT, secured(self.network, first, distrusting))
        self.network.settle()
        self.assertEqual(first.ended, "reset")
        (line,) = self.log.lines("debug")[lines:]
        self.assertIn("has left", line)
        counts = dict(self.server.status().counts)
        self.assertEqual((counts["logins_failed"], counts["dismissed"]), (0, 0))
        self.assertEqual(self.server.status().openings, 0)
        self.assertEqual(self.told(), before)
        self.assertEqual(self.flushLoggedErrors(), [])
        self.register()

    def test_inside(self) -> None:
        """
        One that trusts it speaks inside.
        """
        client = Stock()
        self.network.connect(PORT, secured(self.network, client))
        client.tell(Handshake(TOKEN.encode()), Register("tcp", PUBLIC, 8000, "web"))
        self.network.settle()
        visitor, stream = self.served(client)
        visitor.say(b"question")
        self.network.settle()
        client.smux.send(stream, b"answer")
        client.smux.finish(stream)
        self.network.settle()
        self.assertEqual(client.content(stream)[1], b"question")
        self.assertEqual((visitor.heard, visitor.ended), (b"answer", "end"))

    def test_required(self) -> None:
        """
        Where TLS is required one does not hear it in plain.
        """
        self.stop(self.server)
        self.serveMgrok(tlsRequired=True)
        client = self.come()
        self.assertEqual((client.heard, client.ended), (b"", "end"))

    def test_wrongInside(self) -> None:
        """
        A wrong secret inside TLS is turned away, and the connection closed.
        """
        client = Stock()
        self.network.connect(PORT, secured(self.network, client))
        client.tell(Handshake(b"wrong"))
        self.network.settle()
        self.network.elapse(DELAY)
        self.assertEqual((client.heard, client.ended), (b"", "end"))


class RegisterTests(MgrokCase):
    """
    What a client asks for is a tunnel like any other.
    """

    def test_shown(self) -> None:
        """
        The admin rooms show it with its client, and count what goes through.
        """
        client = self.register()
        visitor, stream = self.served(client)
        visitor.say(b"question")
        self.network.settle()
        client.smux.send(stream, b"an answer")
        self.network.settle()
        (tunnel,) = self.server.status().tunnels
        self.assertEqual(
            (tunnel.name, tunnel.kind, tunnel.user), ("web", "tcp", "mgrok")
        )
        self.assertEqual(tunnel.client, "192.0.2.7")
        self.assertEqual(tunnel.address, "tcp://vps.example.org:9000")
        self.assertEqual((tunnel.streams, tunnel.received, tunnel.sent), (1, 8, 9))
        self.assertEqual(dict(self.server.status().counts)["logins"], 1)

    def test_anyPort(self) -> None:
        """
        Who asks for any port cannot be told which: the log says it.
        """
        client = self.come(Register("tcp", 0, 8000, "web"))
        (tunnel,) = self.server.status().tunnels
        self.assertIn(f"it is {tunnel.address}", self.told())
        port = int(tunnel.address.rpartition(":")[2])
        _, stream = self.served(client, port)
        head, _ = client.content(stream)
        assert head is not None
        self.assertEqual((head.name, head.remotePort), ("web", port))

    def test_picked(self) -> None:
        """
        The operator may say which ports are for those who ask for any; others may be
        asked for all the same.
        """
        self.stop(self.server)
        self.serveMgrok(picked=PortSet.parse("9015-9016"))
        self.come(Register("tcp", 0, 1, "web"), Register("udp", 0, 1, "dns"))
        self.come(Register("tcp", PUBLIC, 1, "other"))
        ports = {t.address.rpartition(":")[2] for t in self.server.status().tunnels}
        self.assertLessEqual(ports, {"9000", "9015", "9016"})

    def test_names(self) -> None:
        """
        A client's names come back to it as they are, whatever tunnels may be called
        here; one of 255 bytes is the longest.
        """
        names = ["", "my web", "ünïcode", "n" * 255, "9000", "x\ny"]
        client = self.come(
            *(Register("tcp", 9000 + at, 1, name) for at, name in enumerate(names))
        )
        for at, name in enumerate(names):
            _, stream = self.served(client, 9000 + at)
            head, _ = client.content(stream)
            assert head is not None
            self.assertEqual(
                (head.name, head.remotePort, head.stream), (name, 9000 + at, stream)
            )

    def test_refused(self) -> None:
        """
        What cannot be had is refused: the client hears nothing, and the log says why.
        What it has already goes on.
        """
        client = self.register()
        for register, why in (
            (Register("tcp", 9001, 1, "web"), "has a tunnel of that name already"),
            (Register("udp", 9001, 1, "web"), "has a tunnel of that name already"),
            (Register("tcp", PUBLIC, 1, "other"), "of this client already"),
            (Register("tcp", 80, 1, "low"), "port 80 is not among those"),
        ):
            client.tell(register)
            self.network.settle()
            self.assertIn(why, self.told())
        for said, why in (
            (b"\x01\x01\x23\x29\0\x01" + b"n" * 256, "a Register with a name of 256"),
            (b"\x01\x03\x23\x29\0\x01web", "a Register of kind 3: 1 is tcp, 2 is udp"),
            (b"\x01\x01\x23", "a Register of 3 bytes is cut off"),
            (b"\x03\0\0\0\x02\0\x01x", "a message of type 3 on the control stream"),
            (b"\x04\0\0\0\x02", "a message of type 4 on the control stream"),
            (b"\x01\x01\x23\x29\0\x01\xff", "a name that is not UTF-8"),
            (b"\x01" * 1025, "a message of 1025 bytes, at most 1024 may be"),
        ):
            client.smux.send(client.control, said)
            self.network.settle()
            self.assertIn(why, self.told())
        self.assertEqual((client.ended, client.finished), ("", []))
        self.assertEqual([t.name for t in self.server.status().tunnels], ["web"])
        self.served(client)

    def test_again(self) -> None:
        """
        A name that was refused once may be had at another port.
        """
        client = self.come(Register("tcp", 80, 1, "web"))
        self.assertEqual(self.server.status().tunnels, ())
        client.tell(Register("tcp", PUBLIC, 1, "web"))
        self.network.settle()
        self.assertEqual(len(self.server.status().tunnels), 1)

    def test_heartbeat(self) -> None:
        """
        A heartbeat is answered by one.
        """
        client = self.come(Heartbeat())
        self.assertEqual(client.said[client.control], b"\x05")

    def test_heartbeatsUnread(self) -> None:
        """
        One who asks and takes no answers does not fill our memory with them.
        """
        client = self.come()
        client.wire.pauseProducing()
        for _ in range(40):
            client.tell(*[Heartbeat()] * 1000)
            self.network.settle()
        self.assertLess(len(client.wire.far._waiting), 1 << 17)
        client.wire.resumeProducing()

    def test_secondStream(self) -> None:
        """
        A client has no streams of its own but the control stream: another is closed.
        """
        client = self.register()
        stream = client.smux.open()
        self.network.settle()
        self.assertEqual((client.finished, client.ended), ([stream], ""))

    def test_streamsUnread(self) -> None:
        """
        One who opens streams without end, and does not hear that they are closed, is
        cut off.
        """
        client = self.come()
        client.wire.pauseProducing()
        for number in range(5, 120_001, 2):
            client.say(framed(Frame(Command.SYN, number)))
        self.network.settle()
        self.assertEqual(self.server.status().sessions, ())
        self.network.elapse(10)
        self.assertEqual(client.wire.far.lost, True)

    def test_bye(self) -> None:
        """
        A client that closes its control stream has gone: its port is free at once.
        """
        client = self.register()
        visitor, _ = self.served(client)
        client.smux.finish(client.control)
        self.network.settle()
        self.assertEqual(visitor.ended, "reset")
        self.assertNotEqual(client.ended, "")
        self.register()

    def test_stops(self) -> None:
        """
        A server that stops closes its clients' connections.
        """
        client = self.register()
        visitor, _ = self.served(client)
        self.stop(self.server)
        self.assertEqual(visitor.ended, "reset")
        self.assertNotEqual(client.ended, "")


class AliveTests(MgrokCase):
    """
    Each side says that it lives.
    """

    def test_idle(self) -> None:
        """
        A connection on which nothing happens lives on, with a NOP every ten seconds.
        """
        client = self.register()
        heard = len(client.heard)
        for _ in range(12):
            self.network.elapse(10)
            client.smux.nop()
        self.assertEqual(client.ended, "")
        nop = framed(Frame(Command.NOP))
        self.assertEqual(client.heard[heard:], nop * 12)

    def test_silent(self) -> None:
        """
        A client of which nothing is heard loses everything after half a minute.
        """
        client = self.register()
        visitor, _ = self.served(client)
        self.network.elapse(29)
        self.assertEqual(visitor.ended, "")
        self.network.elapse(12)
        self.assertEqual(visitor.ended, "reset")
        self.assertNotEqual(client.ended, "")
        self.assertIn("nothing was heard from the other side", self.told())
        self.assertEqual(self.server.status().tunnels, ())

    def test_killed(self) -> None:
        """
        When a client is killed in the midst of a download the visitor sees a reset,
        and its port is free at once.
        """
        client = self.register()
        visitor, stream = self.served(client)
        client.smux.send(stream, b"half of")
        self.network.settle()
        client.wire.abortConnection()
        self.network.settle()
        self.assertEqual((visitor.heard, visitor.ended), (b"half of", "reset"))
        self.register()

    def test_frozen(self) -> None:
        """
        One that is frozen, and whose connection stays, is found out by its silence.
        """
        client = self.register()
        visitor, _ = self.served(client)
        client.wire.frozen = True
        self.network.elapse(45)
        self.assertEqual(visitor.ended, "reset")
        self.assertEqual(self.server.status().sessions, ())
        self.assertTrue(client.wire.far.lost)


class ContestTests(MgrokCase):
    """
    Who asks for a port that another client has gets it if that one is dead.
    """

    def test_lives(self) -> None:
        """
        A client that answers keeps it, and hears no more of it than a stream that is
        opened and closed.
        """
        client = self.register()
        other = self.come(Register("tcp", PUBLIC, 8000, "web"))
        self.assertIn("port 9000 is published by 192.0.2.7", self.told())
        probe = client.opened[-1]
        self.assertEqual((client.finished, client.said[probe]), ([probe], b""))
        visitor, _ = self.served(client)
        self.assertEqual((visitor.ended, client.ended, other.ended), ("", "", ""))

    def test_frozen(self) -> None:
        """
        One that does not loses it, in less than half a second: its other tunnels wait
        for its silence, or its return.
        """
        client = self.register()
        client.tell(Register("tcp", 9001, 1, "second"))
        self.network.settle()
        visitor, _ = self.served(client)
        client.wire.frozen = True
        other = self.come(Register("tcp", PUBLIC, 8000, "web"))
        self.network.elapse(PROBE[0])
        self.assertEqual(visitor.ended, "reset")
        self.served(other)
        self.assertEqual(len(self.server.status().tunnels), 2)
        client.wire.frozen = False
        self.network.settle()
        self.served(client, 9001)

    def test_far(self) -> None:
        """
        One that is far away, as the kernel knows from its first packets, has the time
        that its answer needs.
        """
        self.patch(control, "roundTripOf", lambda transport: 0.2)
        client = self.register()
        client.wire.frozen = True
        self.come(Register("tcp", PUBLIC, 8000, "web"))
        self.network.elapse(0.7)
        client.wire.frozen = False
        self.network.settle()
        self.assertIn("port 9000 is published by 192.0.2.7", self.told())
        self.served(client)

    def test_back(self) -> None:
        """
        Who has lost a port by that may ask for it again.
        """
        client = self.register()
        client.wire.frozen = True
        other = self.come(Register("tcp", PUBLIC, 8000, "web"))
        self.network.elapse(PROBE[0])
        client.wire.frozen = False
        other.wire.abortConnection()
        self.network.settle()
        client.tell(Register("tcp", PUBLIC, 8000, "web"))
        self.network.settle()
        self.served(client)

    def test_killed(self) -> None:
        """
        One that was killed, of which the network has told nothing, has a successor
        with the same ports at once.
        """
        client = self.come(
            Register("tcp", PUBLIC, 1, "web"), Register("udp", PUBLIC, 1, "dns")
        )
        client.wire.frozen = True
        self.come(Register("tcp", PUBLIC, 1, "web"), Register("udp", PUBLIC, 1, "dns"))
        self.network.elapse(PROBE[0])
        owners = {tunnel.session for tunnel in self.server.status().tunnels}
        self.assertEqual(len(owners), 1)
        self.assertEqual(len(self.server.status().tunnels), 2)

    def test_native(self) -> None:
        """
        A port that mgrok's clients have is refused to everybody else.
        """
        self.register()
        self.client().startService()
        self.network.settle()
        self.assertIn("port 9000 is leased to another user", self.told())
