"""
Tests of docs/embedding.rst: its examples run as they stand there, with real clients.
"""

from __future__ import annotations

import runpy
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import Factory
from twisted.internet.threads import deferToThread
from twisted.internet.utils import getProcessOutput
from twisted.protocols.amp import AMP
from twisted.trial.unittest import SkipTest

from tests.stage.case import HOST, FunctionalCase, found
from tests.stage.ports import freePort
from tunnelkit import api

EXAMPLES: Final = Path(__file__).parent.parent.parent / "docs" / "examples"

TERMINATED: Final = -15
"""How a stock twistd ends that is told to."""


class CommandTests(FunctionalCase):
    """
    Without any code.
    """

    async def test_web(self) -> None:
        """
        C{twistd web --listen tunnel:...} publishes a folder; the access log has the
        visitor's address; a server that comes back has it at the same address.
        """
        self.file("hello.txt", "hello from far away\n")
        state = self.state()
        server = self.server(state=state)
        where = (
            f"tunnel:{HOST}:{server.port}:tokenFile={server.token}:name=site:client=web"
        )
        web = self.twistd("web", f"--listen={where}", f"--path={self.folder}")
        pattern = rf"tcp://{HOST}:(\d+) leads to this program \(Site\) \(site\)"
        port = (await web.says(pattern))[1]
        page = f"http://{HOST}:{port}/hello.txt"
        self.assertEqual(await self.output("curl", "-s", page), "hello from far away")
        await web.says(rf'"{HOST}" - - .* "GET /hello.txt HTTP/1.1" 200 20')
        await server.keeps()
        since = web.mark()
        await server.kill()
        self.server(state=state, port=server.port)
        self.assertEqual((await web.says(pattern, since))[1], port)
        self.assertEqual(await self.output("curl", "-s", page), "hello from far away")
        self.assertEqual(await web.stop(), TERMINATED)
        # Its log takes all; what is for who debugs us is not for who runs a web site.
        self.assertEqual(web.said("#debug"), [])

    async def test_waits(self) -> None:
        """
        A program that is started before its server waits for it, and one that is
        stopped then ends at once.
        """
        port = freePort()
        state = self.state()
        where = f"tunnel:{HOST}:{port}:tokenFile={state / 'default.token'}:name=site"
        web = self.twistd("web", f"--listen={where}", f"--path={self.folder}")
        await web.says(rf"{HOST}:{port} cannot be reached: .*; trying again")
        self.assertEqual(await web.stop(), TERMINATED)


class ExampleTests(FunctionalCase):
    """
    With a server in the test's own program.
    """

    def setUp(self) -> None:
        """
        Start the server, by the example.
        """
        super().setUp()
        self.examples: dict[str, Any] = {}
        for name in "site", "sums", "program":
            self.examples |= runpy.run_path(str(EXAMPLES / f"{name}.py"))
        self.told: list[object] = []
        self.port = freePort()
        listen = f"tcp:{self.port}:interface={HOST}"
        state = self.folder / "state"
        self.running = self.examples["startServer"](
            reactor, state, listen, self.told.append
        )
        self.addCleanup(self.running.stopService)
        self.token = state / "default.token"

    def where(self, *options: str) -> str:
        """
        Describe a tunnel.
        """
        parts = f"tunnel:{HOST}:{self.port}", f"tokenFile={self.token}", *options
        return ":".join(parts)

    async def listening(self, publish: str, *arguments: Any) -> Any:
        """
        Publish what an example publishes.
        """
        port = await self.examples[publish](reactor, *arguments)
        self.addCleanup(lambda: maybeDeferred(port.stopListening))
        return port

    async def test_site(self) -> None:
        """
        A web site sees who visits it.
        """
        port = await self.listening("publishSite", self.where("name=site"))
        page = f"http://{HOST}:{port.getHost().port}/"
        curl = found("curl")
        for _ in range(3):
            answer = await getProcessOutput(curl, ["-s", page])
            self.assertEqual(answer, f"hello, {HOST}\n".encode())
        (came,) = self.told
        self.assertIsInstance(came, api.Came)

    async def test_shell(self) -> None:
        """
        A stock ssh client is let into the program's shell.
        """
        self.examples |= runpy.run_path(str(conch() / "shell.py"))
        key = self.folder / "key"
        await getProcessOutput(
            found("ssh-keygen"), ["-q", "-t", "ed25519", "-N", "", "-f", str(key)]
        )
        users = {"ann": b"sesame"}
        where = self.where("name=shell")
        port = await self.listening("publishShell", where, key.read_bytes(), users)
        asking = self.file("asking", "#!/bin/sh\necho sesame\n")
        asking.chmod(0o700)
        shell = await deferToThread(self._ssh, port.getHost().port, asking)
        self.assertIn(b"42", shell)

    def _ssh(self, port: int, asking: Path) -> bytes:
        command = [
            *(found("ssh"), "-tt", "-p", str(port), "-F", "none"),
            *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
            *("-o", "PreferredAuthentications=password", f"ann@{HOST}"),
        ]
        environment = {
            "SSH_ASKPASS": str(asking),
            "SSH_ASKPASS_REQUIRE": "force",
            "PATH": "/usr/bin:/bin",
            "TERM": "xterm",
        }
        # Its input stays open: of an end there Conch's session knows nothing.
        with subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as ssh:
            assert ssh.stdin is not None and ssh.stdout is not None
            # Ctrl-D on an empty line ends the shell.
            ssh.stdin.write(b"6 * 7\r\x04")
            ssh.stdin.flush()
            return ssh.stdout.read()

    async def test_sum(self) -> None:
        """
        A program asks another one through a private tunnel.
        """
        await self.listening("publishSum", self.where("kind=private", "name=sum"))
        ask, where = self.examples["askSum"], self.where("to=sum", "client=asking")
        for _ in range(3):
            total = await Deferred.fromCoroutine(ask(reactor, where, 40, 2))
            self.assertEqual(total, 42)

    async def test_program(self) -> None:
        """
        The same with names in place of strings: listening, dialling, and being told.
        """
        told: list[object] = []
        server, ask = f"{HOST}:{self.port}", self.examples["Sum"]
        endpoint = self.examples["publish"](reactor, server, self.token, told.append)
        port = await endpoint.listen(Factory.forProtocol(self.examples["Adder"]))
        at = port.getHost()
        self.assertEqual(told, [api.Opened("adder", f"tcp://{at.host}:{at.port}")])
        await self.listening("publishSum", self.where("kind=private", "name=sum"))
        dialled = self.examples["dial"](reactor, server, self.token)
        asking = await dialled.connect(Factory.forProtocol(AMP))
        self.assertEqual(await asking.callRemote(ask, a=1, b=2), {"total": 3})
        asking.transport.loseConnection()
        await port.stopListening()
        names = [type(event).__name__ for event in self.told]
        self.assertEqual(names.count("Came"), 3)
        self.assertIn("Went", names)

    async def test_through(self) -> None:
        """
        The server's program is connected to what a client allows, and to nothing else.
        """
        service = self.service()
        client = self.twistd(
            "tunnelclient",
            f"--server={HOST}:{self.port}",
            f"--token-file={self.token}",
            "--name=laptop",
            f"--allow=tcp/{HOST}:{service.address[1]}",
        )
        await client.says("logged in to")
        through = self.examples["through"]
        target = f"tcp/{HOST}:{service.address[1]}"
        endpoint = through(self.running, "default", "laptop", target)
        talking = await endpoint.connect(Factory.forProtocol(Echoed))
        talking.transport.write(b"hello")
        self.assertEqual(await talking.heard, b"hello")
        talking.transport.loseConnection()
        other = through(self.running, "default", "laptop", f"tcp/{HOST}:1")
        with self.assertRaises(api.NotDialled) as raised:
            await other.connect(Factory.forProtocol(Echoed))
        self.assertIn("may not dial", str(raised.exception))


def conch() -> Path:
    """
    Have what Conch needs beside Twisted.

    @return: where the examples are.
    @raise SkipTest: it is not there.
    """
    # Where it is anywhere else cryptography loads it into each program.
    beside = str(Path(sys.prefix) / "conch")
    if beside not in sys.path:
        sys.path.append(beside)
    if find_spec("bcrypt") is None:
        raise SkipTest("Conch lacks bcrypt: make .venv/.tests")
    return EXAMPLES


class Echoed(AMP):
    """
    Hears the first that comes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.heard: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        """
        Hear.
        """
        self.heard.callback(data)
