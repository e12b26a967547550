"""
Tests for L{tunnelkit.dialects.pipe} on a server's port.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.dialects.pipe.case import PUBLIC, TOKEN, PipeCase, packets
from tests.network import Speaker
from tests.whole import PORT
from tunnelkit.control.heartbeat import SILENCE
from tunnelkit.dialects.doorway import DELAY, PATIENCE
from tunnelkit.dialects.exchanges import PATIENCE as FOR_A_VISITOR
from tunnelkit.dialects.pipe import control
from tunnelkit.dialects.pipe.control import INTERVAL
from tunnelkit.dialects.pipe.spec import PipeSpec
from tunnelkit.relay.streams.join import IDLE
from tunnelkit.tunnels.published import PROBE
from tunnelkit.wire.pipe.codec import encode
from tunnelkit.wire.pipe.packets import (
    Cancel,
    Exchange,
    Forward,
    Forwarded,
    Heartbeat,
    Login,
)


class LoginTests(PipeCase):
    """
    Who may come in.
    """

    def test_everySplit(self) -> None:
        """
        It does not matter how the network cuts a login and a request.
        """
        for cut in range(1, 20):
            client = Speaker()
            self.network.connect(PORT, client)
            said = self.loggedIn() + encode(Forward(PUBLIC, "web", "", "tcp"))
            client.say(said[:cut])
            self.network.settle()
            client.say(said[cut:])
            self.network.settle()
            self.assertEqual(packets(client.heard), [Forwarded(True)])
            client.wire.abortConnection()
            self.network.settle()

    def loggedIn(self) -> bytes:
        """
        Give the bytes of a good login.
        """
        return encode(self.login())

    def assertTurnedAway(self, client: Speaker, reason: str) -> None:
        """
        See that a client is told nothing, and the log why.
        """
        self.assertEqual((client.heard, client.ended), (b"", ""))
        self.network.elapse(DELAY)
        self.assertEqual((client.heard, client.ended), (b"", "end"))
        self.assertIn(
            f"pipe login from 192.0.2.7: {reason}",
            "\n".join(self.log.lines("info", "warn")),
        )
        self.assertEqual(dict(self.server.status().counts)["logins_failed"], 1)

    def test_wrongToken(self) -> None:
        """
        A wrong secret is not answered, and costs the stranger a moment.
        """
        self.assertTurnedAway(self.come(token="wrong"), "wrong token")
        self.assertNotIn(TOKEN, "\n".join(self.log.lines("info", "warn")))

    def test_old(self) -> None:
        """
        A login that somebody has recorded is of no use ten minutes later.
        """
        self.assertTurnedAway(self.come(at=601.0), "a login of another time")

    def test_skew(self) -> None:
        """
        Unless the operator says so.
        """
        self.stop(self.server)
        self.servePipe(skew=0.0)
        client = self.come(Forward(PUBLIC, "web", "", "tcp"), at=1e8)
        self.assertEqual(packets(client.heard), [Forwarded(True)])

    def test_silent(self) -> None:
        """
        Who says nothing after his login is sent away.
        """
        client = self.come()
        self.network.elapse(PATIENCE)
        self.assertEqual(client.ended, "reset")

    def test_odd(self) -> None:
        """
        Whoever does not keep to the wire is sent away alone.
        """
        good = self.forward()
        for said in (
            encode(Forward(1, "", "", "tcp")),  # no login
            encode(Login("x", 1)) + b"\x09\0\0",
            b"\x01\x00\x02{",
            b"\x01\xff\xff{",
        ):
            client = Speaker()
            self.network.connect(PORT, client)
            client.say(said)
            self.network.settle()
            self.network.elapse(PATIENCE + 1)
            self.assertNotEqual(client.ended, "", said)
        self.assertEqual(good.ended, "")
        visitor, _ = self.served(good)
        self.assertEqual(visitor.ended, "")

    @given(st.binary(max_size=200))
    def test_fuzzed(self, junk: bytes) -> None:
        """
        Nothing that a stranger says behind a good login breaks anything.
        """
        client = Speaker()
        self.network.connect(PORT, client)
        client.say(self.loggedIn() + junk)
        self.network.settle()
        client.wire.abortConnection()
        self.network.settle()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_off(self) -> None:
        """
        A server on which it is not switched on does not know it.
        """
        self.stop(self.server)
        self.serve()
        client = self.come(Forward(PUBLIC, "web", "", "tcp"))
        self.assertEqual((client.heard, client.ended), (b"", "end"))

    def test_tlsRequired(self) -> None:
        """
        Nor does one hear it in plain that wants TLS.
        """
        self.stop(self.server)
        self.serve(dialects=(PipeSpec(TOKEN, tlsRequired=True),))
        client = self.come(Forward(PUBLIC, "web", "", "tcp"))
        self.assertEqual((client.heard, client.ended), (b"", "end"))

    def test_warned(self) -> None:
        """
        The log says once what its login is worth.
        """
        (line,) = [each for each in self.log.lines("warn") if "pipe" in each]
        self.assertIn("who reads one of its logins can use it for 600 seconds", line)


class ForwardTests(PipeCase):
    """
    A forward is a tunnel like any other.
    """

    def test_shown(self) -> None:
        """
        The admin rooms show it with its client, and count what goes through.
        """
        client = self.forward()
        visitor, carrying = self.served(client)
        visitor.say(b"question")
        carrying.say(b"an answer")
        self.network.settle()
        (tunnel,) = self.server.status().tunnels
        self.assertEqual(
            (tunnel.name, tunnel.kind, tunnel.user), ("web", "tcp", "pipe")
        )
        self.assertEqual(tunnel.client, "192.0.2.7")
        self.assertEqual(tunnel.address, "tcp://vps.example.org:9000")
        self.assertEqual((tunnel.streams, tunnel.received, tunnel.sent), (1, 8, 9))
        self.assertEqual(carrying.heard, b"question")
        self.assertEqual(visitor.heard, b"an answer")

    def test_anyPort(self) -> None:
        """
        Who asks for port 0 gets one of those that may be had; which one, pipe has no
        words for, so the log says it, and with its number it is taken back.
        """
        client = self.come(Forward(0, "web", "", "tcp"))
        self.assertEqual(packets(client.heard)[0], Forwarded(True))
        (tunnel,) = self.server.status().tunnels
        port = int(tunnel.address.rpartition(":")[2])
        self.assertIn(port, range(9000, 9020))
        said = "\n".join(self.log.lines("info"))
        self.assertIn(f"tcp://vps.example.org:{port} is 192.0.2.7's web", said)
        self.come(Cancel("web", port))
        self.assertEqual(self.server.status().tunnels, ())

    def test_ahead(self) -> None:
        """
        What a service says first, right behind the Exchange, is not lost.
        """
        visitor, id = self.ask(self.forward())
        carrying = Speaker()
        self.network.connect(PORT, carrying)
        carrying.say(encode(self.login()) + encode(Exchange(id, "tcp")) + b"220 hello")
        self.network.settle()
        self.assertEqual(visitor.heard, b"220 hello")

    def test_heartbeat(self) -> None:
        """
        The client hears every second that the server lives.
        """
        client = self.forward()
        self.network.elapse(3.0)
        self.assertEqual(packets(client.heard)[1:], [Heartbeat()] * 3)

    def test_refused(self) -> None:
        """
        What cannot be forwarded is refused; the log says why, and the connection is
        not kept.
        """
        self.forward()
        for request, why in (
            (Forward(PUBLIC, "again", "", "tcp"), "port 9000 is published by"),
            (Forward(80, "web", "", "tcp"), "80"),
            (Forward(70000, "web", "", "tcp"), "70000 is not a port"),
            (Forward(9001, "web", "", "http"), "there is no kind 'http'"),
            (Forward(9001, "w" * 256, "", "tcp"), "a name of more than 255 bytes"),
        ):
            client = self.come(request)
            # Where another holds the port it is asked first whether that one lives.
            self.answerProbes()
            self.assertEqual(packets(client.heard), [Forwarded(False)], request)
            self.assertIn(why, "\n".join(self.log.lines("info", "warn")))
            self.network.elapse(PATIENCE)
            self.assertEqual(client.ended, "reset")
        self.assertEqual(len(self.server.status().sessions), 1)

    def test_lost(self) -> None:
        """
        When a client is gone its port is free at once, and its visitors are reset.
        """
        client = self.forward()
        visitor, _ = self.served(client)
        waiting, _ = self.ask(client)
        client.wire.abortConnection()
        self.network.settle()
        self.assertEqual((visitor.ended, waiting.ended), ("reset", "reset"))
        self.assertEqual(self.server.status().tunnels, ())
        self.forward()

    def test_spoke(self) -> None:
        """
        A client that speaks where it has nothing to say loses its forward.
        """
        client = self.forward()
        client.say(encode(self.login()))
        self.network.settle()
        self.assertEqual(client.ended, "end")
        self.assertEqual(self.server.status().tunnels, ())

    def test_noConnection(self) -> None:
        """
        A visitor for whom no connection comes is reset after a while, and one that
        comes later is closed.
        """
        client = self.forward()
        visitor, id = self.ask(client)
        self.network.elapse(FOR_A_VISITOR)
        self.assertEqual(visitor.ended, "reset")
        late = self.come(Exchange(id, "tcp"))
        self.assertEqual(late.ended, "end")

    def test_unknown(self) -> None:
        """
        A connection for nobody is closed.
        """
        self.forward()
        self.assertEqual(self.come(Exchange("0123abcd", "tcp")).ended, "end")

    def test_once(self) -> None:
        """
        An id is good for one connection.
        """
        client = self.forward()
        visitor, id = self.ask(client)
        self.come(Exchange(id, "tcp"))
        self.assertEqual(self.come(Exchange(id, "tcp")).ended, "end")
        self.assertEqual(visitor.ended, "")

    def test_elsewhere(self) -> None:
        """
        A connection from another host than the client's gets no visitor, though it
        brings the right id; the client's own gets him still.
        """
        visitor, id = self.ask(self.forward())
        here, self.network.caller = self.network.caller, "192.0.2.66"
        stranger = self.come(Exchange(id, "tcp"))
        visitor.say(b"hello?")
        self.network.settle()
        self.assertEqual((stranger.heard, stranger.ended), (b"", "end"))
        self.network.caller = here
        self.assertEqual(self.come(Exchange(id, "tcp")).heard, b"hello?")

    def test_unreachable(self) -> None:
        """
        A client whose host is gone without a word does not keep its port: the kernel
        gives its control connection up when heartbeats stay unacknowledged.
        """
        limits: list[float] = []
        self.patch(
            control, "giveUpAfter", lambda transport, seconds: limits.append(seconds)
        )
        self.forward()
        self.assertEqual(limits, [SILENCE])


class EndTests(PipeCase):
    """
    How a visitor's stream ends.
    """

    def test_clientEnds(self) -> None:
        """
        When the client's connection ends the visitor sees the end.
        """
        visitor, carrying = self.served(self.forward())
        carrying.say(b"all")
        carrying.wire.loseConnection()
        self.network.settle()
        self.assertEqual((visitor.heard, visitor.ended), (b"all", "end"))

    def test_clientResets(self) -> None:
        """
        A reset is a reset: what was cut does not look whole.
        """
        visitor, carrying = self.served(self.forward())
        carrying.wire.abortConnection()
        self.network.settle()
        self.assertEqual(visitor.ended, "reset")

    def test_halfCloseWithheld(self) -> None:
        """
        A stock client would end all at the end of a question: it is not told of it,
        and the answer arrives.
        """
        visitor, carrying = self.served(self.forward())
        visitor.say(b"question")
        visitor.wire.loseWriteConnection()
        self.network.settle()
        self.assertEqual((carrying.heard, carrying.ended), (b"question", ""))
        carrying.say(b"answer")
        carrying.wire.loseConnection()
        self.network.settle()
        self.assertEqual(visitor.heard, b"answer")

    def test_idle(self) -> None:
        """
        A stream of which one half has ended does not last for ever.
        """
        visitor, carrying = self.served(self.forward())
        visitor.wire.loseWriteConnection()
        self.network.settle()
        self.network.elapse(2 * IDLE + 5)
        self.assertEqual(carrying.ended, "reset")

    def test_ours(self) -> None:
        """
        A client of ours is told of the end of a question at once.
        """
        client = Speaker()
        self.network.connect(PORT, client)
        mine = self.login(version="tunnelkit/1")
        client.say(encode(mine) + encode(Forward(PUBLIC, "web", "", "tcp")))
        self.network.settle()
        visitor, carrying = self.served(client)
        visitor.wire.loseWriteConnection()
        self.network.settle()
        self.assertEqual(carrying.ended, "end")


class CancelTests(PipeCase):
    """
    A forward is taken back by its owner alone.
    """

    def test_owner(self) -> None:
        """
        Its port is free then.
        """
        client = self.forward(name="web")
        self.assertEqual(self.come(Cancel("web", PUBLIC)).ended, "end")
        self.assertEqual(client.ended, "end")
        self.assertEqual(self.server.status().tunnels, ())

    def test_byAnother(self) -> None:
        """
        One of ours learns of it when its last visitor has gone, and may come back.
        """
        mine = self.login(version="tunnelkit/1")
        client = Speaker()
        self.network.connect(PORT, client)
        client.say(encode(mine) + encode(Forward(PUBLIC, "web", "", "tcp")))
        self.network.settle()
        visitor, carrying = self.served(client)
        self.assertEqual(self.come(Cancel("web", PUBLIC)).ended, "end")
        self.network.elapse(3.0)
        self.assertEqual((visitor.ended, client.ended), ("", ""))
        visitor.wire.loseConnection()
        carrying.wire.loseConnection()
        self.network.elapse(INTERVAL)
        self.assertEqual(client.ended, "end")
        self.assertEqual(self.server.status().sessions, ())

    def test_reason(self) -> None:
        """
        A client of ours is told why it is refused.
        """
        client = Speaker()
        self.network.connect(PORT, client)
        mine = self.login(version="tunnelkit/1")
        client.say(encode(mine) + encode(Forward(80, "web", "", "tcp")))
        self.network.settle()
        (answer,) = packets(client.heard)
        assert isinstance(answer, Forwarded)
        self.assertIn("port 80 is not among", answer.reason)

    def test_stranger(self) -> None:
        """
        Neither another name nor another port takes it, and it goes on.
        """
        client = self.forward(name="web")
        for cancel in (Cancel("other", PUBLIC), Cancel("web", 9001)):
            self.assertEqual(self.come(cancel).ended, "end")
        self.assertEqual(client.ended, "")
        self.assertEqual(len(self.server.status().tunnels), 1)

    def test_elsewhere(self) -> None:
        """
        Nor does who knows name, port and secret, and is on another host.
        """
        client = self.forward(name="web")
        self.network.caller = "192.0.2.66"
        self.assertEqual(self.come(Cancel("web", PUBLIC)).ended, "end")
        self.assertEqual(client.ended, "")
        self.assertEqual(len(self.server.status().tunnels), 1)

    def test_again(self) -> None:
        """
        A client that has come back takes back what it has now, not what it had.
        """
        for _ in range(5):
            self.forward(name="web").wire.abortConnection()
            self.network.settle()
        client = self.forward(name="web")
        self.come(Cancel("web", PUBLIC))
        self.assertEqual(client.ended, "end")
        self.assertEqual(self.server.status().tunnels, ())


class ContestTests(PipeCase):
    """
    Who asks for a port that another client has gets it if that one is dead.
    """

    def test_lives(self) -> None:
        """
        A client that answers keeps it; the connection with which it answers is closed.
        """
        client = self.forward()
        other = self.come(Forward(PUBLIC, "web", "", "tcp"))
        *_, asked = (
            each for each in packets(client.heard) if isinstance(each, Exchange)
        )
        answer = self.come(Exchange(asked.id, "tcp"))
        self.assertEqual(answer.ended, "end")
        self.assertEqual(packets(other.heard), [Forwarded(False)])
        self.assertEqual(client.ended, "")

    def test_stale(self) -> None:
        """
        What a client is asked is of use once, and as long as it may matter: an answer
        to a question before the last, or of a client that is gone, is for nobody.
        """
        client = self.forward()
        for _ in range(2):
            self.come(Forward(PUBLIC, "web", "", "tcp"))
            self.network.elapse(0.1)
        asked = [each for each in packets(client.heard) if isinstance(each, Exchange)]
        client.wire.abortConnection()
        self.network.settle()
        before = self.dismissed()
        for each in asked:
            self.assertEqual(self.come(Exchange(each.id, "tcp")).ended, "end")
        self.assertEqual(self.dismissed() - before, len(asked))

    def dismissed(self) -> int:
        """
        Say how many were sent away so far.
        """
        return dict(self.server.status().counts)["dismissed"]

    def test_frozen(self) -> None:
        """
        One that does not loses it, in less than half a second.
        """
        client = self.forward()
        client.wire.frozen = True
        other = self.come(Forward(PUBLIC, "web", "", "tcp"))
        self.network.elapse(PROBE[0])
        self.assertEqual(packets(other.heard)[0], Forwarded(True))
        visitor, _ = self.served(other)
        self.assertEqual(visitor.ended, "")

    def test_far(self) -> None:
        """
        One that is far away, as the kernel knows from its first packets, has the time
        that its answer needs.
        """
        self.patch(control, "roundTripOf", lambda transport: 0.2)
        client = self.forward()
        client.wire.frozen = True
        other = self.come(Forward(PUBLIC, "web", "", "tcp"))
        self.network.elapse(0.7)
        self.assertEqual(other.heard, b"")
        client.wire.frozen = False
        self.network.settle()
        self.answerProbes()
        self.assertEqual(packets(other.heard), [Forwarded(False)])
        self.assertEqual(client.ended, "")

    def test_native(self) -> None:
        """
        A port that pipe's clients have is refused to everybody else.
        """
        self.forward()
        self.client().startService()
        self.network.settle()
        told = " ".join(self.log.lines("info", "warn"))
        self.assertIn("port 9000 is leased to another user", told)
