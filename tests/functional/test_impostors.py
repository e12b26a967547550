"""
Tests of what a server of bad will can do to a client, and to the machine that it runs
on: waste its own time.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable
from itertools import chain

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread

from tests.stage.case import HOST, ClientProgram, ServerProgram
from tests.stage.programs import Program, stuck, until
from tests.stage.services import saying
from tests.stage.sockets import Meter, reset
from tests.stage.spoiling import (
    IN_LOGIN,
    NAME,
    ON_CHANNEL,
    ON_WORK,
    Spoiling,
    afterLogin,
    start,
)
from tests.stage.spoken import Impostor, Speaker, welcome
from tests.stage.watch import MARK, MIB, WatchedCase, descriptors, mib, resident
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.native.codec import said
from tunnelkit.wire.native.frames import Data, Done, End, Reset
from tunnelkit.wire.native.messages import (
    Bye,
    Open,
    Opened,
    Ping,
    Pong,
    Refused,
    Want,
)
from tunnelkit.wire.token import Token

VICTIMS = 8
"""How many clients meet what is spoilt, at the same time: each waits a second or two
before it comes again."""


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

    async def through(self, cases: Iterable[Spoiling]) -> None:
        """
        Have a client meet a server that was good once, spoils it again and again, and
        is good again.
        """
        impostor = self.impostor()
        client = self.victim(impostor)
        (await impostor.member()).close()
        for spoil, sentence in cases:
            channel, mark = await impostor.connection(), client.mark()
            await deferToThread(spoil, impostor, channel)
            await deferToThread(channel.ended)
            await self.logged(client, f"{sentence}.*; trying again", mark)
        await self.assertServes(await impostor.member(), impostor)

    async def test_channel(self) -> None:
        """
        Whatever rubbish comes on the control channel, in the login or behind it, the
        client says in one sentence what is wrong, and logs in again later.
        """
        behind = [(afterLogin(each), "broke the protocol") for each in ON_CHANNEL]
        # A good login in between keeps the client from waiting ever longer.
        cases = [*chain.from_iterable(zip(IN_LOGIN, behind, strict=True))]
        size = len(cases) // VICTIMS
        await gatherResults(
            [
                Deferred.fromCoroutine(self.through(cases[at : at + size]))
                for at in range(0, len(cases), size)
            ],
            consumeErrors=True,
        )

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
        silent, lazy, dying = (self.impostor() for _ in range(3))
        expected = {
            self.victim(silent): "did not answer the login in time",
            self.victim(lazy): "no answer in 10 seconds",
            self.victim(dying): "nothing was heard",
        }
        await silent.connection()
        for impostor, silence in ((lazy, 60), (dying, 2)):
            channel = await impostor.connection()
            final = await deferToThread(impostor.challenged, channel)
            channel.say(welcome(final, silence))
        for client, sentence in expected.items():
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
