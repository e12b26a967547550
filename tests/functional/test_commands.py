"""
Tests of the commands as people use them: how they end, the console command, and the
demonstration.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from pathlib import Path

from tests.stage.case import HOST, ClientProgram, FunctionalCase
from tests.stage.ended import CONSOLE, Ended, ended
from tests.stage.ports import freePort
from tests.stage.programs import Program, until
from tests.stage.services import gated, saying, source
from tests.stage.sockets import Address, Ending, connected
from tunnelkit.state.files import Lock
from tunnelkit.state.folder import StateFolder
from tunnelkit.wire.token import Token

GRACEFUL = "streams have 10 seconds to end"


class StopTests(FunctionalCase):
    """
    Who asks a program to stop gets a good end, once what visitors do is done.
    """

    async def test_idle(self) -> None:
        """
        SIGTERM and Ctrl-C end an idle program at once, with status 0.
        """
        for name in ("TERM", "INT"):
            server, client = self.pair(self.service().tunnel)
            await client.leads()
            for program in (client, server):
                program.signal(name)
                self.assertEqual(await program.exited(5.0), 0)
                self.assertTrue(program.said(GRACEFUL))

    async def test_drains(self) -> None:
        """
        A download that runs when either side is asked to stop is finished first.
        """
        for side in (0, 1):
            gate = threading.Event()
            service = self.service(gated(b"one", gate, b"two"))
            pair = self.pair(service.tunnel)
            visitor = await self.visitor(await pair[1].leads())
            self.assertEqual(await visitor.read(3), b"one")
            pair[side].signal("TERM")
            await pair[side].says(GRACEFUL)
            gate.set()
            visitor.finish()
            rest = await visitor.rest()
            self.assertEqual((rest.ending, rest.first), (Ending.END, b"two"))
            self.assertEqual(await pair[side].exited(5.0), 0)

    async def test_grace(self) -> None:
        """
        A download that goes on is cut after --grace seconds: by a reset, as it is not
        whole.
        """
        for side in (0, 1):
            service = self.service(source)
            pair = self.pair(
                service.tunnel, server=["--grace=0.5"], client=["--grace=0.5"]
            )
            visitor = await self.visitor(await pair[1].leads())
            await visitor.read(1000)
            rest = visitor.rest()
            pair[side].signal("TERM")
            self.assertEqual(await pair[side].exited(5.0), 0)
            self.assertEqual((await rest).ending, Ending.RESET)

    async def test_secondSignal(self) -> None:
        """
        A second signal cuts it at once, and is no failure.
        """
        for side in (0, 1):
            service = self.service(saying(b"one"))
            pair = self.pair(service.tunnel)
            visitor = await self.visitor(await pair[1].leads())
            self.assertEqual(await visitor.read(3), b"one")
            pair[side].signal("TERM")
            await pair[side].says(GRACEFUL)
            pair[side].signal("INT")
            self.assertEqual(await pair[side].exited(5.0), 0)
            self.assertEqual((await visitor.rest()).ending, Ending.RESET)

    async def test_hangup(self) -> None:
        """
        SIGHUP has a server read its files again and go on; a client drains, as its
        terminal was closed.
        """
        server, client = self.pair(self.service().tunnel)
        await client.leads()
        server.signal("HUP")
        await server.says("SIGHUP: reading files again")
        client.signal("HUP")
        self.assertEqual(await client.exited(5.0), 0)
        self.assertIsNone(server.status)
        self.assertEqual(await server.stop(), 0)


class ConsoleTests(FunctionalCase):
    """
    C{tunnelkit} does all without C{twistd}.
    """

    def console(self, name: str, *arguments: str | Path) -> Program:
        """
        Run a command of C{tunnelkit}.
        """
        program = ClientProgram(name)
        self._begin(program, [*CONSOLE, *arguments])
        return program

    async def run_(self, *arguments: str | Path) -> Ended:
        """
        Run a command of C{tunnelkit} to its end.
        """
        return await ended(self.folder, *CONSOLE, *arguments)

    async def test_serverAndClient(self) -> None:
        """
        Server and client run side by side in one folder, without pid files, and log to
        standard output.
        """
        port = freePort()
        state = self.state()
        server = self.console(
            *("server", "server", f"--port=tcp:{port}:interface={HOST}"),
            *("--bind", HOST, "--admin=off", "--state", state),
        )
        client = self.console(
            *("client", "client", f"--server={HOST}:{port}"),
            *("--token-file", state / "default.token"),
            *("--tunnel", self.service().tunnel),
        )
        assert isinstance(client, ClientProgram)
        received = await self.visit(await client.leads(), b"hello")
        self.assertEqual(received.first, b"hello")
        self.assertEqual([*self.folder.glob("*.pid")], [])
        for program in (client, server):
            self.assertEqual(await program.stop(), 0)

    async def test_check(self) -> None:
        """
        C{tunnelkit check} goes through a server and back, says with times what works,
        and leaves nothing on the server.
        """
        server = self.server()
        await server.listens()
        login = (f"--server={HOST}:{server.port}", f"--token-file={server.token}")
        done = await self.run_("check", *login)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        *steps, last = done.stdout.splitlines()
        self.assertEqual(last, "It works.")
        self.assertGreaterEqual(len(steps), 4)
        for step in steps:
            self.assertRegex(step, r"^ *\d+\.\d ms  ")

    async def test_checkFails(self) -> None:
        """
        It fails, with a reason, where the token is wrong or nobody is there.
        """
        server = self.server()
        await server.listens()
        wrong = self.file("x.token", f"{Token('default', 'wrong12345' * 3)}\n")
        wrong.chmod(0o600)
        for port, token in ((server.port, wrong), (freePort(), server.token)):
            done = await self.run_(
                "check", f"--server={HOST}:{port}", f"--token-file={token}"
            )
            self.assertEqual(done.returncode, 1)
            *_, failed, last = done.stdout.splitlines()
            self.assertTrue(failed.lstrip().startswith("failed  "), done.stdout)
            self.assertEqual(last, "It does not work.")
            self.assertNotIn("Traceback", done.stdout + done.stderr)

    async def test_tokens(self) -> None:
        """
        A token that is made while a server runs lets a client in at once; when it is
        revoked the client is out within seconds.
        """
        server = self.server()
        await server.listens()
        at = ("--state", server.state)
        made = await self.run_("token", "new", "alice", *at)
        self.assertEqual(made.returncode, 0)
        token = self.file("alice.token", made.stdout)
        token.chmod(0o600)
        client = self.client(server, self.service().tunnel, token=token)
        address = await client.leads()
        listed = await self.run_("token", "list", *at)
        self.assertEqual(listed.stdout, "alice    may log in\ndefault  may log in\n")
        self.assertEqual(
            (await self.run_("token", "revoke", "alice", *at)).returncode, 0
        )

        def refused() -> bool:
            try:
                connected(address).close()
            except ConnectionRefusedError:
                return True
            return False

        await until(refused, "the tunnel is gone")


class DemoTests(FunctionalCase):
    """
    C{make demo} works, and leaves nothing behind.
    """

    async def start(self) -> tuple[Program, Address]:
        """
        Start the demo.

        @return: it, and where visitors go.
        """
        demo = self.program(
            *(sys.executable, "-m", "tunnelkit.commands.demo"),
            environment={"TMPDIR": str(self.folder)},
        )
        found = await demo.says(r"curl http://(\S+):(\d+)/")
        return demo, (found[1], int(found[2]))

    def get(self, address: Address) -> str:
        """
        Ask as the user is told to.
        """
        with connected(address) as visitor:
            visitor.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return b"".join(iter(lambda: visitor.recv(4096), b"")).decode()

    def assertNothingLeft(self, address: Address) -> None:
        """
        No process holds the ports, and no file is there.
        """
        self.assertEqual([*self.folder.iterdir()], [])
        with socket.create_server(address):
            pass

    async def test_ends(self) -> None:
        """
        It shows a page from the inside, and Ctrl-C or SIGTERM ends all of it.
        """
        for name in ("INT", "TERM"):
            demo, address = await self.start()
            self.assertIn("It works.", self.get(address))
            demo.signal(name)
            self.assertEqual(await demo.exited(), 0)
            self.assertNothingLeft(address)

    async def test_childDies(self) -> None:
        """
        When the server is killed the demo says so, and fails.
        """
        demo, address = await self.start()
        (state,) = self.folder.glob("*/state")
        os.kill(int(Lock(StateFolder(state).lockFile).holder()), 9)
        self.assertEqual(await demo.exited(), 1)
        self.assertTrue(demo.said("tunnelkit demo: the server is gone: .*signal 9"))
        self.assertNothingLeft(address)

    async def test_parentDies(self) -> None:
        """
        When the process that started it is killed, it ends by itself.
        """
        script = (
            "import subprocess, sys\n"
            "subprocess.call([sys.executable, '-m', 'tunnelkit.commands.demo'])\n"
        )
        parent = self.program(
            *(sys.executable, "-c", script), environment={"TMPDIR": str(self.folder)}
        )
        found = await parent.says(r"curl http://(\S+):(\d+)/")
        address = found[1], int(found[2])
        parent.signal("KILL")
        await until(lambda: not [*self.folder.iterdir()], "the demo has ended")
        self.assertNothingLeft(address)
