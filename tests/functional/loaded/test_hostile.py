"""
Tests of what strangers, and clients of bad will, can do to a server that is open to
the Internet: keep it busy, and no more.
"""

from __future__ import annotations

import contextlib
import socket
import threading

from twisted.internet.threads import deferToThread

from tests.stage.authority import strangers
from tests.stage.case import HOST
from tests.stage.crowd import Echo, Exchange, queue
from tests.stage.programs import LIMIT, stuck
from tests.stage.rubbish import inside, opening
from tests.stage.sockets import (
    PIECE,
    Address,
    Ending,
    Meter,
    Received,
    connected,
    receive,
    reset,
)
from tests.stage.spoken import Member, Speaker, arrived
from tests.stage.watch import MARK, MIB, Watched, WatchedCase, mib
from tunnelkit.wire.native.codec import said
from tunnelkit.wire.native.messages import Ping
from tunnelkit.wire.token import Token

OPENINGS = 10_000
PER_PIECE = 10
"""So many openings let the transfer beside them go on by one piece."""
GUESTS = 256
"""How many connections of one address the server lets in before they log in."""


class HostileCase(WatchedCase):
    """
    A published echo.
    """

    async def echoes(self, *options: str) -> Watched:
        """
        Publish it.

        @param options: of the server.
        """
        echo = Echo()
        self.addCleanup(echo.stop)
        return await self.watched(echo.tunnel, server=options)

    async def assertServes(self, watched: Watched) -> None:
        """
        Check that a visitor is answered, and that the client was never away.
        """
        got = await self.visit(watched.address, MARK)
        self.assertEqual((got.ending, got.first), (Ending.END, MARK))
        self.assertEqual(watched.troubles, [])

    def token(self, watched: Watched) -> Token:
        """
        Give the token that clients need.
        """
        return Token.parse(watched.server.token.read_text())


class OpeningTests(HostileCase):
    """
    Connections that say what nobody should.
    """

    def visit_(self, address: Address, number: int) -> None:
        """
        Be one of them, and leave in one way or another.
        """
        with contextlib.suppress(OSError), contextlib.ExitStack() as closing:
            connection = closing.enter_context(connected(address))
            if number % 32:
                connection.sendall(opening(number))
            else:
                connection = closing.enter_context(
                    self._strangers.wrap_socket(connection)
                )
                connection.sendall(inside(number))
            if number % 3 == 0:
                reset(connection)
            elif number % 3 == 1:
                connection.shutdown(socket.SHUT_WR)
                receive(connection)

    async def test_thousands(self) -> None:
        """
        10,000 connections that say all kinds of rubbish, or nothing, do nothing to a
        transfer that goes on beside them in both directions, and leave nothing
        behind.
        """
        gates = threading.Semaphore(0), threading.Semaphore(0)
        whole = OPENINGS // PER_PIECE * PIECE

        def exchange(seed: int) -> Exchange:
            def more(sent: int) -> bool:
                if sent == whole:
                    return False
                if not gates[seed].acquire(timeout=LIMIT):
                    raise TimeoutError("the openings take too long")
                return True

            return Exchange(more, seed)

        def transfer() -> tuple[str, Received]:
            with connected(watched.address) as connection:
                return exchange(0).run(connection)

        def visit(number: int) -> None:
            self.visit_(port, number)
            if number % PER_PIECE == 0:
                for gate in gates:
                    gate.release()

        self._strangers = strangers()
        service = self.service(exchange(1).run)
        # What is said in plain gets further where that is allowed.
        watched = await self.watched(service.tunnel, server=["--insecure"])
        port = HOST, watched.server.port
        files, memory = await watched.files(), watched.memory()
        before = (await watched.figures()).counts

        transferring = deferToThread(transfer)
        await queue(OPENINGS, visit)
        sent, got = await transferring
        taken = await service.outcome()
        assert isinstance(taken, tuple)
        served, heard = taken
        for digest, received in ((sent, heard), (served, got)):
            self.assertEqual(
                (received.ending, received.count, received.digest),
                (Ending.END, whole, digest),
            )
        self.assertEqual(watched.troubles, [])

        await watched.back(files)
        after = (await watched.figures()).counts
        self.assertGreaterEqual(after["connections"] - before["connections"], OPENINGS)
        self.assertEqual(after["connections_refused"], 0)
        self.assertEqual(after["logins"], 1)
        grown = watched.memory()[0] - memory[0]
        self.measured(f"{OPENINGS} openings: grown by {mib(grown)}")
        self.assertLess(grown, 10 * MIB)

    def come(self, address: Address, source: str) -> Speaker | None:
        """
        Connect, and say nothing.

        @return: None where that was turned away before it was seen to be there.
        """
        try:
            speaker = Speaker(arrived(address, source), client=True)
        except ConnectionResetError:
            return None
        self.addCleanup(speaker.close)
        return speaker

    async def test_silent(self) -> None:
        """
        300 connections of one address that say nothing are too many: 44 of them are
        turned away, and so is who else comes from there, while others are served.
        When some have gone and the others were thrown out, that address may log in
        again.
        """
        watched = await self.echoes()
        port, token = (HOST, watched.server.port), self.token(watched)
        source = "127.0.0.2"
        came = await deferToThread(
            lambda: [self.come(port, source) for _ in range(GUESTS + 44)]
        )
        await watched.shows(
            lambda told: told.counts["connections_refused"] == 44, "44 are turned away"
        )
        self.assertEqual((await watched.figures()).openings, GUESTS)
        one = await deferToThread(self.come, port, source)
        self.assertTrue(one is None or await deferToThread(one.silent))
        self.assertEqual((await watched.figures()).openings, GUESTS)
        await self.assertServes(watched)
        member = await deferToThread(Member.logIn, port, token)
        member.channel.close()

        for each in came[::2]:
            if each is not None:
                each.close()
        await watched.quiet()
        member = await deferToThread(Member.logIn, port, token, source)
        member.channel.close()
        await self.assertServes(watched)


class MemberTests(HostileCase):
    """
    Who has a token, or pretends to.
    """

    async def member(self, watched: Watched) -> Member:
        """
        Log in.
        """
        member = await deferToThread(
            Member.logIn, (HOST, watched.server.port), self.token(watched)
        )
        self.addCleanup(member.channel.close)
        self.keepSecret(member.welcome.key)
        return member

    async def test_wrongWork(self) -> None:
        """
        Who brings a work connection to no session, or with a proof that is wrong or
        was used before, is sent away without a word; the right one is taken, and
        clients notice nothing.
        """
        watched = await self.echoes("--insecure")
        member = await self.member(watched)
        session, before = member.welcome.session, (await watched.figures()).works

        def bring(
            session: str, serial: int, proof: str, plain: bool = False
        ) -> Speaker:
            work = member.bring(session, serial, proof, plain)
            self.addCleanup(work.close)
            return work

        await deferToThread(bring, session, 1, member.proof(1))
        await watched.shows(lambda told: told.works == before + 1, "one was taken")
        for wrong in (
            ("0" * len(session), 2, member.proof(2)),
            (session[:-1], 2, member.proof(2)),
            ("", 2, member.proof(2)),
            (session, 1, member.proof(1)),
            (session, 2, member.proof(1)),
            (session, 2, member.proof(3)),
            (session, 2, member.proof(2)[:-1]),
            (session, 2, ""),
            (session, 2, member.unboundProof(2)),
            (session, 2**63 - 1, "00" * 32),
            (session, 2, member.proof(2), True),
        ):
            work = await deferToThread(bring, *wrong)
            self.assertTrue(await deferToThread(work.silent), wrong)
        self.assertEqual((await watched.figures()).works, before + 1)
        # None of these has used a serial up.
        await deferToThread(bring, session, 2, member.proof(2))
        await watched.shows(lambda told: told.works == before + 2, "two were taken")
        await deferToThread(member.alive)
        await self.assertServes(watched)

    async def test_neverReads(self) -> None:
        """
        A client that asks without end and never reads an answer is not read from
        either: the server does not grow, and serves others.
        """
        # Debug has a line for each message.
        watched = await self.echoes("--log-level=info")
        member = await self.member(watched)
        before, meter = watched.memory()[0], Meter()
        asking = said(Ping(1)) * 1000

        def ask() -> None:
            with contextlib.suppress(OSError):
                while True:
                    member.channel.send(asking)
                    meter.count += len(asking)

        flooding = deferToThread(ask)
        await stuck(lambda: meter.count, "who asks")
        grown = watched.memory()[0] - before
        self.measured(f"{mib(meter.count)} of pings: grown by {mib(grown)}")
        self.assertLess(grown, 8 * MIB)
        await self.assertServes(watched)
        member.channel.connection.shutdown(socket.SHUT_RDWR)
        await flooding
