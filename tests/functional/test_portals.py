"""
Functional tests of portals: real processes on loopback.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from socket import AF_INET, AF_INET6, SOCK_DGRAM, socket
from typing import Final

import treq
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from tests.stage.case import HOST, FunctionalCase, ServerProgram
from tests.stage.ports import freePort
from tests.stage.programs import LIMIT, Program, reactor, until

SIX: Final = r"tcp6:{port}:interface=\:\:1"
"""A server's port for IPv6 alone."""


def udp(host: str = HOST, port: int = 0) -> socket:
    """
    Make a UDP socket.
    """
    made = socket(AF_INET6 if ":" in host else AF_INET, SOCK_DGRAM)
    made.settimeout(LIMIT)
    made.bind((host, port))
    return made


def freeUDP() -> int:
    """
    Give a UDP port that is free.
    """
    with udp() as probe:
        return int(probe.getsockname()[1])


class PortalsCase(FunctionalCase):
    """
    A test with portals and a service.
    """

    def setUp(self) -> None:
        """
        Make a secret and a service.
        """
        super().setUp()
        self.secret = self.folder / "secret"
        self.secret.write_text("0123456789abcdef" * 4)
        self.secret.chmod(0o600)
        self.behind = self.sender()

    def sender(self, host: str = HOST, port: int = 0) -> socket:
        """
        Make a UDP socket that is closed when the test is over.
        """
        made = udp(host, port)
        self.addCleanup(made.close)
        return made

    def portal(self, *options: str | Path, secret: bool = True) -> Program:
        """
        Start a portal.
        """
        given = [f"--secret-file={self.secret}"] if secret else ["--compatible"]
        return self.twistd("tunnelportal", *given, *options)

    async def far(self, *options: str | Path, secret: bool = True) -> int:
        """
        Start a far portal.

        @return: its port.
        """
        service = f"--serve={HOST}:{self.behind.getsockname()[1]}"
        portal = self.portal(service, f"--bind={HOST}:0", *options, secret=secret)
        found = await portal.says(rf"is at UDP {HOST}:(\d+)")
        return int(found[1])

    async def rendezvous(self) -> str:
        """
        Start a rendezvous.

        @return: its URL.
        """
        port = freePort()
        where = f"--rendezvous-listen=tcp:{port}:interface={HOST}"
        await self.twistd("tunnelportal", where).says("the rendezvous listens")
        return f"http://{HOST}:{port}"

    async def near(
        self, to: str | int, *options: str | Path, secret: bool = True
    ) -> tuple[str, int]:
        """
        Start a near portal.

        @param to: the port of the far one, or its name.
        @return: where senders send to.
        """
        target = f"{HOST}:{to}" if isinstance(to, int) else to
        leads = (f"--listen={HOST}:{freeUDP()}", f"--connect={target}")
        portal = self.portal(*leads, f"--bind={HOST}:0", *options, secret=secret)
        found = await portal.says(rf"UDP {HOST}:(\d+) leads to")
        return HOST, int(found[1])

    def asked(
        self, sender: socket, to: tuple[str, int], datagram: bytes
    ) -> Deferred[bytes]:
        """
        Send a datagram, have the service answer it in capitals, and give the answer.
        """

        def ask() -> bytes:
            sender.sendto(datagram, to)
            got, source = self.behind.recvfrom(65535)
            self.behind.sendto(got.upper(), source)
            answer: bytes = sender.recvfrom(65535)[0]
            return answer

        return deferToThread(ask)


class NativeTests(PortalsCase):
    """
    Two portals of ours.
    """

    async def test_thereAndBack(self) -> None:
        """
        One command a side carries datagrams of any length there and back.
        """
        listen = await self.near(await self.far())
        sender = self.sender()
        for datagram in (b"hello", b"", b"x" * 1500, b"y" * 65474):
            answer = await self.asked(sender, listen, datagram)
            self.assertEqual(answer, datagram.upper())

    async def test_manySenders(self) -> None:
        """
        A hundred senders share the path and get their own answers.
        """
        listen = await self.near(await self.far())
        for number in range(100):
            answer = await self.asked(self.sender(), listen, b"n%d" % number)
            self.assertEqual(answer, b"N%d" % number)

    async def test_quietLog(self) -> None:
        """
        Neither flows nor strangers fill the log, and a stranger's rubbish ends nothing.
        """
        far = await self.far()
        listen = await self.near(far)
        programs = self._programs
        await self.asked(self.sender(), listen, b"one")
        await until(lambda: bool(programs[1].said("is reached directly")), "reached")
        begun = [program.mark() for program in programs]
        stranger = self.sender()
        for length in range(200):
            stranger.sendto(bytes([0x80 + length % 4]) * length, (HOST, far))
        for _ in range(20):
            await self.asked(self.sender(), listen, b"two")
        lines = [p.lines[b:] for p, b in zip(programs, begun, strict=True)]
        self.assertLessEqual(sum(map(len, lines)), 1, lines)

    async def test_ipv6(self) -> None:
        """
        A path over IPv6 is as good, to a portal whose socket is for both versions.
        """
        service = f"--serve={HOST}:{self.behind.getsockname()[1]}"
        far = self.portal(service, "--bind=0")
        found = await far.says(r"is at UDP \[::\]:(\d+)")
        listen = (HOST, freeUDP())
        near = self.portal(f"--listen={listen[1]}", f"--connect=[::1]:{found[1]}")
        await near.says(r"is reached directly at \[::1\]")
        self.assertEqual(await self.asked(self.sender(), listen, b"hello"), b"HELLO")

    async def test_asked(self) -> None:
        """
        A near portal that listens on all addresses answers from the one that a sender
        has sent to: a program that hears nobody else is answered.
        """
        far = await self.far()
        for anywhere, host in (
            ("0.0.0.0", "127.0.0.2"),
            ("[::]", "127.0.0.2"),
            ("[::]", "::1"),
        ):
            port = freeUDP()
            near = self.portal(f"--listen={anywhere}:{port}", f"--connect={HOST}:{far}")
            await near.says(rf"UDP .*:{port} leads to")
            sender = self.sender("::1" if ":" in host else HOST)
            sender.connect((host, port))
            answer = await self.asked(sender, (host, port), b"hello")
            self.assertEqual(answer, b"HELLO")
            await near.stop()

    async def test_serviceAway(self) -> None:
        """
        A service that is away for a moment ends no flow: when it is back, a sender that
        went on sending is answered again.
        """
        listen = await self.near(await self.far())
        sender = self.sender()
        await self.asked(sender, listen, b"one")
        at = self.behind.getsockname()
        self.behind.close()
        sender.settimeout(0.3)
        for _ in range(3):
            # The second shows that the first was refused, the third ends nothing.
            sender.sendto(b"anybody?", listen)
            with contextlib.suppress(TimeoutError):
                await deferToThread(sender.recv, 100)
        sender.settimeout(LIMIT)
        self.behind = self.sender(port=at[1])
        self.assertEqual(await self.asked(sender, listen, b"two"), b"TWO")

    async def test_portInUse(self) -> None:
        """
        A port that is taken ends the program with one sentence and status 1.
        """
        taken = self.sender().getsockname()[1]
        portal = self.portal("--serve=127.0.0.1:9", f"--bind={HOST}:{taken}")
        self.assertEqual(await portal.exited(), 1)
        self.assertIn(f"--bind: UDP {HOST}:{taken} cannot be had", portal.output)

    async def test_stop(self) -> None:
        """
        SIGTERM ends a portal with status 0.
        """
        await self.near(await self.far())
        for program in self._programs:
            self.assertEqual(await program.stop(), 0)


class ViaTests(PortalsCase):
    """
    A far portal that makes a tunnel of a server by itself.
    """

    def inward(self, server: ServerProgram, *options: str | Path) -> Program:
        """
        Start a far portal that does.
        """
        return self.portal(
            f"--serve={HOST}:{self.behind.getsockname()[1]}",
            f"--bind={HOST}:0",
            f"--token-file={server.token}",
            *options,
        )

    async def test_relayed(self) -> None:
        """
        A near portal that has IPv6 alone reaches a far one that has IPv4 alone through
        the tunnel of a server that has both, and again after the server was killed;
        several near portals are told apart.
        """
        port = freePort()
        where = [SIX.format(port=port)]
        server = self.server("--bind=::1", ports=where)
        url = await self.rendezvous()
        named = ("--name=home", f"--rendezvous={url}")
        far = self.inward(server, *named, f"--via=[::1]:{port}")
        await far.says(r"come through the tunnel at UDP \[::1\]:\d+")
        near = ("home", f"--rendezvous={url}", "--punch-timeout=1", "--bind=[::1]:0")
        listens = [await self.near(*near) for _ in range(2)]
        for listen, program in zip(listens, self._programs[-2:], strict=True):
            await program.says(r"home is reached through a tunnel at \[::1\]:\d+")
            self.assertEqual(await self.asked(self.sender(), listen, b"one"), b"ONE")
        await server.kill()
        await far.says("the tunnel at UDP .* is gone")
        since = far.mark()
        self.server("--bind=::1", ports=where, state=server.state)
        await far.says("come through the tunnel at UDP", since)
        await self.answered(listens[0])

    async def answered(self, listen: tuple[str, int]) -> None:
        """
        Wait until a sender is answered.
        """
        sender = self.sender()
        sender.setblocking(False)
        self.behind.setblocking(False)

        def answered() -> bool:
            sender.sendto(b"two", listen)
            with contextlib.suppress(BlockingIOError):
                got, source = self.behind.recvfrom(65535)
                self.behind.sendto(got.upper(), source)
            with contextlib.suppress(BlockingIOError):
                return sender.recv(65535) == b"TWO"
            return False

        await until(answered, "an answer", 30)

    async def test_withoutRendezvous(self) -> None:
        """
        Without a rendezvous a near portal connects to the address that the log shows,
        and the portal is reached at its own address all the same.
        """
        server = self.server()
        far = self.inward(server, f"--via={HOST}:{server.port}")
        at = await far.says(rf"is at UDP {HOST}:(\d+)")
        found = await far.says(rf"near portals get here with --connect {HOST}:(\d+)")
        self.assertNotEqual(found[1], at[1])
        for port in (found[1], at[1]):
            listen = await self.near(int(port))
            self.assertEqual(await self.asked(self.sender(), listen, b"one"), b"ONE")
        for program in reversed(self._programs):
            self.assertEqual(await program.stop(), 0)

    async def test_port(self) -> None:
        """
        The tunnel is at the public port that was asked for, before and after another
        portal wants it, too, which hears that it is taken and goes on trying.
        """
        server = self.server()
        port = freeUDP()
        wanted = (f"--via={HOST}:{server.port}", f"--via-port={port}")
        first = self.inward(server, *wanted)
        await first.says(f"near portals get here with --connect {HOST}:{port}$")
        listen = await self.near(port)
        self.assertEqual(await self.asked(self.sender(), listen, b"one"), b"ONE")
        second = self.inward(server, *wanted, "--name=second")
        await second.says("refuse")
        self.assertEqual(await self.asked(self.sender(), listen, b"two"), b"TWO")
        await first.stop()
        await second.says(f"near portals get here with --connect {HOST}:{port}$")

    async def test_noServer(self) -> None:
        """
        Neither a server that is not there nor a token that is wrong stops a portal: it
        goes on trying.
        """
        server = self.server()
        wrong = self.file("wrong", f"tk1_default_{'b3' * 16}")
        wrong.chmod(0o600)
        far = self.inward(
            server, f"--via={HOST}:{server.port}", f"--token-file={wrong}"
        )
        await far.says("the server does not accept this token.*; trying again")
        listen = await self.near(int((await far.says(rf"UDP {HOST}:(\d+)"))[1]))
        self.assertEqual(await self.asked(self.sender(), listen, b"one"), b"ONE")
        port = freePort()
        far = self.inward(server, f"--via={HOST}:{port}")
        await far.says("; trying again")
        await server.stop()
        self.server(port=port, state=server.state)
        await far.says("near portals get here with --connect")


class MeetingTests(PortalsCase):
    """
    Portals that meet at a rendezvous.
    """

    async def test_byName(self) -> None:
        """
        A near portal finds a far one by its name, from whichever side starts first,
        and one that knows another secret does not.
        """
        url = await self.rendezvous()
        listen = await self.near("home", f"--rendezvous={url}")
        await self.far("--name=home", f"--rendezvous={url}")
        near = self._programs[1]
        await near.says("home is reached directly at")
        self.assertEqual(await self.asked(self.sender(), listen, b"hello"), b"HELLO")
        self.secret.write_text("fedcba9876543210" * 4)
        await self.near("home", f"--rendezvous={url}")
        await self._programs[3].says("the rendezvous knows no portal home")

    async def test_withdrawn(self) -> None:
        """
        A far portal that stops is not found any more; one whose rendezvous hangs stops
        all the same.
        """
        url = await self.rendezvous()
        named = ("--name=home", f"--rendezvous={url}")
        await self.far(*named)
        await self.near("home", f"--rendezvous={url}")
        rendezvous, far, near = self._programs
        await near.says("home is reached")
        self.assertEqual(await far.stop(), 0)
        await near.stop()
        await self.near("home", f"--rendezvous={url}")
        await self._programs[-1].says("the rendezvous knows no portal home")
        await self.far(*named)
        await self._programs[-2].says("home is reached")
        rendezvous.signal("STOP")
        self.assertEqual(await self._programs[-1].stop(), 0)
        self.assertIn("it was not told that home is gone", self._programs[-1].output)
        rendezvous.signal("CONT")

    async def test_compatible(self) -> None:
        """
        The same in the compatible mode, where a program opens the way at run time.
        """
        url = await self.rendezvous()
        await self.far("--name=home", f"--rendezvous={url}", secret=False)
        port, listen = freePort(), (HOST, freeUDP())
        control = f"http://{HOST}:{port}/"
        near = self.portal(
            f"--control={port}", f"--rendezvous={url}", f"--bind={HOST}:0", secret=False
        )
        await near.says("the control interface listens")
        there = {"": ""}

        async def listed() -> None:
            response = await treq.get(control, persistent=False)
            there.update(await response.json() or {})

        await listed()
        while "home" not in there:
            await deferLater(reactor, 0.1)
            await listed()
        opened = await treq.post(
            f"{control}home", data=f"{HOST}:{listen[1]}".encode(), persistent=False
        )
        self.assertEqual(opened.code, 200)
        self.assertEqual(await self.asked(self.sender(), listen, b"hello"), b"HELLO")
        shown = await treq.get(f"{control}home", persistent=False)
        self.assertEqual((await shown.json())["flows"], 1)
