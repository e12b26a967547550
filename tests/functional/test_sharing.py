"""
C{twistd tunnelshare} and C{tunnelkit forward} as they run, with real clients.
"""

from __future__ import annotations

import re
import socket
import ssl
import sys
from pathlib import Path
from typing import Final

from twisted.internet.threads import deferToThread

from tests.stage.authority import Authority
from tests.stage.case import HOST, found
from tests.stage.ports import freePort
from tests.stage.programs import LIMIT, Program
from tests.stage.services import Service, echo
from tests.stage.sharing import SharingCase
from tests.stage.sockets import (
    PIECE,
    Ending,
    connected,
    receive,
    receiveExactly,
    reset,
    sha256,
)

PAGE: Final = Path(__file__).parent.parent.parent / "docs" / "sharing.rst"
CLIENTS: Final = 50


def block(name: str) -> str:
    """
    Give a code block of docs/sharing.rst.
    """
    _, found, rest = PAGE.read_text().partition(f"   :name: {name}\n\n")
    assert found, f"docs/sharing.rst has no block {name}"
    lines = []
    for line in rest.splitlines():
        if line and not line.startswith("   "):
            break
        lines.append(line[3:])
    return "\n".join(lines).strip("\n") + "\n"


class WalkTests(SharingCase):
    """
    The walks of docs/sharing.rst, as they stand there.
    """

    async def walk(self, name: str, target: str = "") -> tuple[Program, Program]:
        """
        Do one: start its target and its share, then have its clients come, each of
        which gets what the page says.

        @return: the target, and the share.
        """
        ports = {"1234": str(freePort()), "8000": str(freePort())}

        def told(text: str) -> str:
            return re.sub(r"\b(1234|8000)\b", lambda m: ports[m[1]], text)

        if target:
            script = self.file("target.py", told(block(target)))
            served = self.program(sys.executable, "-u", script)
        else:
            (command,) = told(block(f"{name}-target")).splitlines()
            served = self.program(sys.executable, "-u", *command.split()[2:])
        await self.accepts((HOST, int(ports["1234"])))
        if target:
            await served.says("a connection from")  # which was ours
        served.lines.clear()
        (command,) = told(block(f"{name}-share")).splitlines()
        self.assertTrue(command.startswith("$ twistd -n tunnelshare "), command)
        share = self.twistd("tunnelshare", *command.split()[4:])
        await share.says("new target connection: ")
        shown = told(block(f"{name}-clients")).splitlines()
        for command, answer in zip(shown[::2], shown[1::2], strict=True):
            self.assertEqual(command[:2], "$ ")
            pipe = "set -o pipefail; " + command[2:]
            self.assertEqual(await self.output("bash", "-c", pipe), answer)
        return served, share

    async def test_echo(self) -> None:
        """
        Two netcat clients share one connection to an echo server, which sees one.
        """
        found("nc")
        target, share = await self.walk("walk-echo", "walk-target")
        self.assertEqual(len(target.said("a connection from")), 1)
        await share.says(r"closed: \S+ <-> \S+$")
        for number in (1, 2):
            self.assertEqual(len(share.said(rf"#{number}: \S+ <-> {HOST}:\d+$")), 1)
        for line in ("creating target connection", "new target connection: "):
            self.assertEqual(len(share.said(line)), 1)

    async def test_http1(self) -> None:
        """
        So they do with HTTP, where each version and method has its due.
        """
        found("curl")
        _, share = await self.walk("walk-http1")
        self.assertEqual(len(share.said("new target connection: ")), 1)

    async def test_iso8583(self) -> None:
        """
        So they do with messages that have a length.
        """
        found("nc")
        target, _ = await self.walk("walk-iso8583", "walk-target")
        self.assertEqual(len(target.said("a connection from")), 1)


class CrowdTests(SharingCase):
    """
    The promise: one connection, and no reply to anybody else.
    """

    async def test_fifty(self) -> None:
        """
        Fifty clients at once get their own replies; the target has had one connection,
        and one request at a time.
        """
        service = self.service(alternating)
        _, port = await self.share(service.port)

        def talk() -> None:
            clients = [connected((HOST, port)) for _ in range(CLIENTS)]
            for turn in range(10):
                for number, client in enumerate(clients):
                    client.sendall(b"%d %d\n" % (turn, number))
                for number, client in enumerate(clients):
                    line = b"%d %d\n" % (turn, number)
                    got = receiveExactly(client, len(line))
                    assert got == line, (got, line)
            for client in clients:
                client.close()

        await deferToThread(talk)
        self.assertEqual(service.visitors, 1)

    async def test_closesAfterEach(self) -> None:
        """
        A target that closes after each reply serves every request, also of those that
        must not be sent twice.
        """
        service = self.service(once)
        _, port = await self.share(service.port, "-piso8583")

        def talk() -> None:
            with connected((HOST, port)) as client:
                for turn in range(20):
                    frame = b"\0\x04%04d" % turn
                    client.sendall(frame)
                    got = receiveExactly(client, 6)
                    assert got == frame, (got, frame)

        await deferToThread(talk)
        self.assertGreaterEqual(service.visitors, 20)

    async def test_downThenUp(self) -> None:
        """
        A client that comes while the target is down is served when it is up; one
        whose reply is late is closed, and the next one gets its own.
        """
        target = freePort()
        share, port = await self.share(target, "--reply-timeout=1")
        await share.says("the target cannot be reached: ")
        with connected((HOST, port)) as client, connected((HOST, port)) as other:
            client.sendall(b"hello\n")
            await share.says("#1: ")
            service = Service(forgetful, (HOST, target))
            self.addCleanup(service.stop)
            got = await deferToThread(receiveExactly, client, 6)
            self.assertEqual(got, b"hello\n")
            client.sendall(b"forget\n")
            other.sendall(b"other\n")
            self.assertEqual(await deferToThread(client.recv, PIECE), b"")
            got = await deferToThread(receiveExactly, other, 6)
            self.assertEqual(got, b"other\n")
        self.assertEqual(service.visitors, 2)

    async def test_signals(self) -> None:
        """
        SIGTERM and SIGINT end it at once, with an idle client and with status 0.
        """
        service = self.service(echo)
        for name in ("TERM", "INT"):
            share, port = await self.share(service.port)
            with connected((HOST, port)) as client:
                client.sendall(b"hello\n")
                await deferToThread(receiveExactly, client, 6)
                share.signal(name)
                self.assertEqual(await share.exited(), 0)
                self.assertEqual(client.recv(PIECE), b"")

    async def test_doesNotRead(self) -> None:
        """
        A client that asks and never reads costs neither the others nor much memory.
        """
        service = self.service(echo)
        _, port = await self.share(service.port)
        line = b"x" * 60_000 + b"\n"
        with connected((HOST, port), 4096) as greedy, connected((HOST, port)) as other:
            greedy.setblocking(False)
            for _ in range(200):
                try:
                    greedy.send(line)
                except BlockingIOError:
                    break
            else:
                self.fail("it took all of it")
            other.sendall(b"hello\n")
            got = await deferToThread(receiveExactly, other, 6)
            self.assertEqual(got, b"hello\n")


class ForwardTests(SharingCase):
    """
    C{tunnelkit forward}.
    """

    async def forward(self, *words: str) -> Program:
        """
        Start one.
        """
        program = self.tunnelkit("forward", *words)
        await program.says("forwarding ")
        return program

    async def test_plain(self) -> None:
        """
        Bytes go both ways, the end of one direction too; a reset is a reset at the
        other side; who comes when nobody is behind is reset; and SIGTERM ends it.
        """
        service = self.service(echo)
        port = freePort()
        forward = await self.forward(f"{HOST}:{port}", str(service.port))
        data = b"hello" * 100_000
        received = await self.visit((HOST, port), data)
        self.assertEqual(received.digest, sha256(data))
        visitor = connected((HOST, port))
        visitor.sendall(b"x")
        await deferToThread(receiveExactly, visitor, 1)
        reset(visitor)
        await service.outcome()
        self.assertIs(await service.outcome(), Ending.RESET)
        service.stop()
        with connected((HOST, port)) as refused:
            refused.settimeout(LIMIT)
            self.assertRaises(ConnectionResetError, refused.recv, 1)
        await forward.says("clients are reset: ")
        self.assertEqual(await forward.stop(), 0)

    async def test_described(self) -> None:
        """
        Either side may be a description, here a UNIX socket.
        """
        service = self.service(echo)
        path = self.folder / "s"
        await self.forward(f"unix:{path}", f"tcp:{HOST}:{service.port}")
        received = await self.visit(str(path), b"hello")
        self.assertEqual(received.digest, sha256(b"hello"))

    async def test_tunnels(self) -> None:
        """
        Either side may be a tunnel, through which half-closes pass; one to listen on
        that cannot be had in the time that it was given ends the program, with a
        sentence.
        """

        def late(connection: socket.socket) -> object:
            received = receive(connection)
            connection.sendall(str(received.count).encode())
            return received

        service = self.service(late)
        server = self.server()
        tunnel = f"tunnel:{HOST}:{server.port}:tokenFile={server.token}"
        publishing = await self.forward(
            f"{tunnel}:kind=private:name=e", str(service.port)
        )
        await publishing.says("private://e leads to this program")
        port = freePort()
        await self.forward(f"{HOST}:{port}", f"{tunnel}:to=e")
        received = await self.visit((HOST, port), b"hello")
        self.assertEqual(received.digest, sha256(b"5"))
        self.assertEqual(await publishing.stop(), 0)
        nowhere = f"tunnel:{HOST}:{freePort()}:tokenFile={server.token}:name=x:wait=0.1"
        waiting = self.tunnelkit("forward", nowhere, str(service.port))
        self.assertEqual(await waiting.exited(), 1)
        await waiting.says("cannot listen on LISTEN tunnel:.*: tunnel x was not open")
        self.assertNotIn("Traceback", waiting.output)


class SecureTests(SharingCase):
    """
    With TLS.
    """

    async def test_tls(self) -> None:
        """
        A share takes clients with TLS, and reaches its target through a forward with
        TLS: the clients get their answers, all of them before the close.
        """
        service = self.service(echo)
        authority, folder, port = Authority(), self.folder / "pem", freePort()
        issued = authority.issue(["localhost"])
        folder.mkdir()
        (folder / "localhost.pem").write_bytes(issued.key + issued.certificate)
        trusted = self.folder / "authority.pem"
        trusted.write_bytes(authority.certificate)
        behind = freePort()
        forward = self.tunnelkit(
            "forward", f"tls:{folder}:{behind}:interface={HOST}", str(service.port)
        )
        await forward.says("forwarding ")
        share = self.tunnelkit(
            *("share", "-l", f"tls:{folder}:{port}:interface={HOST}"),
            *("-t", f"tls:localhost:{behind}:trustRoots={self.folder}"),
        )
        await share.says("new target connection: ")
        context = ssl.create_default_context(cafile=str(trusted))

        def talk() -> None:
            lines = b"".join(b"%d " % n + b"x" * 40_000 + b"\n" for n in range(10))
            with context.wrap_socket(
                connected((HOST, port)), server_hostname="localhost"
            ) as client:
                client.sendall(lines)
                got = receiveExactly(client, len(lines))
                assert got == lines
                client.sendall(b"x" * 65537)
                assert client.recv(PIECE) == b""

        await deferToThread(talk)
        await share.says("#1 is refused: a line has more than 65536 bytes")
        self.assertEqual(service.visitors, 1)
        self.assertEqual(await share.stop(), 0)
        self.assertEqual(await forward.stop(), 0)


def alternating(connection: socket.socket) -> None:
    """
    Send each line back; two at once are more than may be.
    """
    rest = b""
    while piece := connection.recv(PIECE):
        rest += piece
        assert rest.count(b"\n") <= 1, rest
        if rest.endswith(b"\n"):
            connection.sendall(rest)
            rest = b""


def once(connection: socket.socket) -> None:
    """
    Send one frame of six bytes back, and close.
    """
    connection.sendall(receiveExactly(connection, 6))


def forgetful(connection: socket.socket) -> None:
    """
    Send lines back, but not those that are to be forgotten.
    """
    with connection.makefile("rb") as lines:
        for line in lines:
            if line != b"forget\n":
                connection.sendall(line)
