"""
Tests of what a server of bad will can do to a client, and to the machine that it runs
on: waste its own time.
"""

from __future__ import annotations

import contextlib
import json
import socket

from twisted.internet.threads import deferToThread

from tests.functional.case import HOST, ClientProgram, ServerProgram
from tests.functional.programs import Program, stuck, until
from tests.functional.rubbish import frame, message
from tests.functional.services import saying
from tests.functional.sockets import Meter, reset
from tests.functional.spoken import Impostor, Speaker, welcome
from tests.functional.watch import MARK, MIB, WatchedCase, descriptors, mib, resident
from tunnelkit.wire.codec import said
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.frames import Data, Done, End, Reset
from tunnelkit.wire.messages import (
    Bye,
    Challenge,
    ClientHello,
    Login,
    Open,
    Opened,
    Ping,
    Pong,
    Refused,
    ServerHello,
    Start,
    Want,
)
from tunnelkit.wire.token import Token

NAME = "published"

NESTED = b"[" * 60_000

ON_CHANNEL = {
    "stream bytes": frame(0, b"hello"),
    "an end": frame(0, b""),
    "a reset": frame(2, bytes(6)),
    "a delivery": frame(4, bytes(4)),
    "an unknown frame": frame(9, b"hello"),
    "an endless message": frame(1, b"{", (1 << 24) - 1),
    "noise": b"\xff" * 70_000,
    "nested JSON": frame(1, NESTED),
    "no JSON": frame(1, b"hello"),
    "an unknown message": message({"type": "nonsense"}),
    "half a message": message({"type": "want"}),
    "a number that is none": message({"type": "want", "count": "all"}),
    "less than nothing": message({"type": "want", "count": -1}),
    "a start": said(Start(1, NAME, "tcp", "192.0.2.1:1", "192.0.2.2:2")),
    "a second welcome": said(welcome("v=")),
}
"""What no server may say on a control channel."""


def start(stream: int, tunnel: str = NAME, kind: str = "tcp") -> Start:
    """
    Make what opens a stream.
    """
    return Start(stream, tunnel, kind, "192.0.2.1:1", "192.0.2.2:2")


ON_WORK = {
    "stream bytes without a stream": frame(0, b"hello"),
    "an end without a stream": frame(0, b""),
    "a delivery": frame(4, b"\0\0\0\1"),
    "a datagram": frame(3, bytes(8)),
    "an unknown frame": frame(9, b"hello"),
    "an endless message": frame(1, b"{", (1 << 24) - 1),
    "nested JSON": frame(1, NESTED),
    "another message": said(Want(1)),
    "half a start": message({"type": "start", "stream": 1}),
    "stream number 0": said(start(0)),
    "a stream number too many": said(start(1 << 32)),
    "two starts": said(start(1)) + said(start(2)),
    "bytes behind the end": said(start(1)) + frame(0, b"") + frame(0, b"hello"),
}
"""What no server may say on a work connection."""


class ImpostorCase(WatchedCase):
    """
    A client, which was told C{--insecure}, and a server that means it no good.
    """

    def setUp(self) -> None:
        """
        Start a service to publish, and one that nobody publishes.
        """
        super().setUp()
        self.service_ = self.service(saying(MARK))
        self.other = self.service()
        # It never runs: a client takes its token from there.
        self.nobody = ServerProgram("nobody")
        self.nobody.state = self.state()
        self.token = Token.parse(self.nobody.token.read_text())
        self.keepSecret(self.token.secret)

    def impostor(self) -> Impostor:
        """
        Start a server.
        """
        impostor = Impostor(self.token)
        self.addCleanup(impostor.stop)
        return impostor

    def victim(
        self, impostor: Impostor, *wrap: str, level: str = "debug"
    ) -> ClientProgram:
        """
        Start a client.

        @param wrap: a command that runs it.
        @param level: of what it logs.
        """
        client = self.client(
            self.nobody,
            f"{self.service_.tunnel}:name={NAME}",
            options=["--insecure", f"--log-level={level}"],
            to=f"{HOST}:{impostor.port}",
            wrap=wrap,
        )
        self.look(client)
        return client

    async def logged(self, client: ClientProgram, pattern: str, since: int) -> None:
        """
        Wait for a sentence, which must be the only one of its weight.
        """
        await client.says(pattern, since)
        grave = client.said(r"#(warn|error|critical)\]", since)
        self.assertEqual(len(grave), 1, grave)

    async def assertServes(self, channel: Speaker, impostor: Impostor) -> None:
        """
        Check that the client serves who comes in the right way, and has dialled
        nothing else.
        """
        channel.say(Want(1))
        work = await impostor.work()
        work.say(start(1))
        data = await deferToThread(work.hear, Data)
        self.assertEqual(data.payload, MARK)
        work.close()
        self.assertEqual(self.other.visitors, 0)


class StartTests(ImpostorCase):
    """
    The server asks for what it should not.
    """

    async def test_notPublished(self) -> None:
        """
        A server that asks for a tunnel, or a kind of tunnel, that its client does not
        publish is refused, whatever it calls it; nothing is dialled, and the work
        connection is good for the next visitor.
        """
        impostor = self.impostor()
        self.victim(impostor)
        channel = await impostor.member()
        channel.say(Want(1))
        work = await impostor.work()
        host, port = HOST, self.other.port
        wrong = [
            ("other", "tcp"),
            (f"{host}:{port}", "tcp"),
            (f"tcp:{host}:{port}", "tcp"),
            ("", "tcp"),
            ("x" * 4096, "tcp"),
            ("\n\x1b[2J", "tcp"),
            (NAME, "udp"),
            (NAME, ""),
            (NAME.upper(), "tcp"),
        ]
        for stream, (tunnel, kind) in enumerate(wrong, 1):
            work.say(start(stream, tunnel, kind))
            refusal = await deferToThread(work.hear, Reset)
            self.assertEqual((refusal.stream, refusal.code), (stream, ResetCode.DENIED))
            work.say(End())
            done = await deferToThread(work.hear, Done)
            self.assertEqual(done.stream, stream)
        self.assertEqual(self.service_.visitors, 0)
        work.say(start(100))
        data = await deferToThread(work.hear, Data)
        self.assertEqual(data.payload, MARK)
        self.assertEqual((self.service_.visitors, self.other.visitors), (1, 0))

    async def test_million(self) -> None:
        """
        A server that wants a million work connections gets as many as the client may
        open; the client says why there are no more, not for each of them, and serves
        on when some are gone.
        """
        impostor = self.impostor()
        client = self.victim(impostor, "sh", "-c", 'ulimit -n 200; exec "$@"', "sh")
        channel = await impostor.member()
        mark = client.mark()
        channel.say(Want(1_000_000))
        await client.says("no work connection to the server", mark)
        self.assertLess(await stuck(lambda: impostor.came, "what it opens"), 200)
        self.assertLessEqual(len(descriptors(client)), 200)
        channel.say(Ping(7))
        await deferToThread(channel.hear, Pong)
        for _ in range(impostor.came - 1):
            (await impostor.work()).close()
        await until(lambda: len(descriptors(client)) < 50, "they are closed")
        self.assertLess(len(client.said("no work connection", mark)), 5)
        await self.assertServes(channel, impostor)


class RubbishTests(ImpostorCase):
    """
    The server speaks the protocol badly.
    """

    async def test_onChannel(self) -> None:
        """
        Whatever rubbish comes on the control channel, the client says in one sentence
        that the server broke the protocol, and logs in anew.
        """
        impostor = self.impostor()
        client = self.victim(impostor)
        for what, rubbish in ON_CHANNEL.items():
            channel, mark = await impostor.member(), client.mark()
            with contextlib.suppress(ConnectionError):
                channel.send(rubbish)
            await deferToThread(channel.ended)
            await client.says("broke the protocol", mark)
            grave = client.said(r"#(warn|error|critical)\]", mark)
            self.assertEqual(len(grave), 1, f"{what}: {grave}")
        await self.assertServes(await impostor.member(), impostor)

    async def test_onWork(self) -> None:
        """
        Whatever rubbish comes on a work connection, the client closes that one, says
        in one sentence why, and keeps the session.
        """
        impostor = self.impostor()
        client = self.victim(impostor)
        channel = await impostor.member()
        await client.leads(NAME)
        for what, rubbish in ON_WORK.items():
            mark = client.mark()
            channel.say(Want(1))
            work = await impostor.work()
            work.send(rubbish)
            await deferToThread(work.ended)
            await client.says(f"work connection of {HOST}", mark)
            told = client.said(r"#(info|warn|error|critical)\]", mark)
            self.assertEqual(len(told), 1, f"{what}: {told}")
        await self.assertServes(channel, impostor)

    async def test_logins(self) -> None:
        """
        A server that spoils the login, or makes it too much work, is left in one
        sentence, and tried again as it was good before.
        """
        impostor = self.impostor()
        client = self.victim(impostor)
        (await impostor.member()).close()

        def hello(channel: Speaker) -> None:
            channel.hear(ClientHello)
            channel.say(ServerHello(1, "none", "a test"))

        def challenge(channel: Speaker, iterations: int) -> None:
            hello(channel)
            nonce = channel.hear(Login).first.rpartition("r=")[2]
            channel.say(
                Challenge(f"r={nonce}x,s=c2FsdHNhbHRzYWx0c2FsdA==,i={iterations}")
            )

        def version(channel: Speaker) -> None:
            channel.say(ServerHello(2, "none", "a test"))

        def bound(channel: Speaker) -> None:
            channel.say(ServerHello(1, "endpoint", "a test"))

        def early(channel: Speaker) -> None:
            hello(channel)
            channel.say(welcome("v="))

        def otherNonce(channel: Speaker) -> None:
            hello(channel)
            channel.say(Challenge("r=x,s=c2FsdHNhbHRzYWx0c2FsdA==,i=4096"))

        def unproven(channel: Speaker) -> None:
            impostor.challenged(channel)
            channel.say(welcome(f"v={'A' * 43}="))

        def wrongKey(channel: Speaker) -> None:
            final = impostor.challenged(channel)
            good = welcome(final)
            fields = {name: getattr(good, name) for name in good.__slots__}
            channel.send(message({**fields, "type": "welcome", "key": "no key"}))

        bad = [
            (version, "version 2"),
            (bound, "endpoint"),
            (early, "welcome does not belong here"),
            (otherNonce, "challenge"),
            (lambda channel: challenge(channel, 1), "1 iterations"),
            (lambda channel: challenge(channel, 10_000_000), "10000000 iterations"),
            (unproven, "does not know the secret"),
            (wrongKey, "key is not hexadecimal"),
        ]
        for spoil, sentence in bad:
            channel, mark = await impostor.connection(), client.mark()
            await deferToThread(spoil, channel)
            await deferToThread(channel.ended)
            await self.logged(client, f"{sentence}.*; trying again", mark)
        await self.assertServes(await impostor.member(), impostor)

    async def test_words(self) -> None:
        """
        What a server says is shown to people without what could move their terminal's
        cursor or look like another line of the log.
        """
        words = "sorry\x1b[2J\n2026-01-01 all is well\r\x07\u202e"
        impostor = self.impostor()
        client = self.victim(impostor)

        async def login() -> Speaker:
            channel = await impostor.connection()
            channel.say(welcome(await deferToThread(impostor.challenged, channel)))
            return channel

        channel = await login()
        request = await deferToThread(channel.hear, Open)
        channel.say(Refused("full", words, True, request.id))
        await client.says("is refused: sorry")
        channel.say(Bye("", words))
        await client.says("sorry.*; trying again")
        channel = await login()
        request = await deferToThread(channel.hear, Open)
        channel.say(Opened(request.id, NAME, f"tcp://{words}:9000"))
        await client.says("leads to")
        channel.close()
        channel = await impostor.connection()
        channel.say(Refused("login", words))
        await client.says("sorry.*; trying again", client.mark())

        # Who was never let in ends, and says why where its user looks.
        impostor = self.impostor()
        stranger = self.victim(impostor)
        channel = await impostor.connection()
        channel.say(Refused("login", words))
        self.assertIn("sorry", await stranger.gaveUp())
        for program in (client, stranger):
            self.assertClean(program)

    def assertClean(self, program: Program) -> None:
        """
        Check that all that a program wrote is harmless.
        """
        for line in program.lines:
            self.assertTrue(line.isprintable(), json.dumps(line))
            self.assertFalse(line.startswith("2026-01-01"), line)


class SilenceTests(ImpostorCase):
    """
    The server does not answer.
    """

    async def test_everywhere(self) -> None:
        """
        A server that does not answer the login, or a request for a tunnel, or says
        nothing any more after the login, is left, or asked again, and the client says
        so in one sentence.
        """
        ways = [self.impostor() for _ in range(3)]
        clients = [self.victim(each) for each in ways]
        await ways[0].connection()
        channels = [await each.connection() for each in ways[1:]]
        for channel, silence in zip(channels, (60, 2), strict=True):
            impostor = ways[1 + channels.index(channel)]
            final = await deferToThread(impostor.challenged, channel)
            channel.say(welcome(final, silence))
        for client, sentence in zip(
            clients,
            (
                "did not answer the login in time",
                "no answer in 10",
                "nothing was heard",
            ),
            strict=True,
        ):
            await self.logged(client, f"{sentence}.*trying again", 0)


class FloodTests(ImpostorCase):
    """
    The server asks without end.
    """

    async def test_pings(self) -> None:
        """
        A server that pings without end and reads no answer is not read from either:
        the client does not grow, and goes on when it is read from again.
        """
        impostor, meter = self.impostor(), Meter()
        # Debug has a line for each message.
        client = self.victim(impostor, level="info")
        channel = await impostor.member()
        before = resident(client)
        asking = said(Ping(1)) * 1000

        def ask() -> None:
            while meter.count < 200 * MIB:
                channel.send(asking)
                meter.count += len(asking)

        flooding = deferToThread(ask)
        flooding.addErrback(lambda failure: failure.trap(OSError))
        await stuck(lambda: meter.count, "who asks")
        grown = resident(client) - before
        self.measured(f"{mib(meter.count)} of pings: grown by {mib(grown)}")
        self.assertLess(grown, 8 * MIB)
        self.assertLess(meter.count, 200 * MIB)
        self.assertEqual(client.said("trying again"), [])
        # This wakes who asks; a reset, which the client hears at once, must wait.
        channel.connection.shutdown(socket.SHUT_RDWR)
        await flooding
        reset(channel.connection)
        await self.assertServes(await impostor.member(), impostor)
