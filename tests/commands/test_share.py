"""
Tests for L{tunnelkit.commands.share} and L{tunnelkit.commands.options.shared}.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

from treq.testing import StubTreq
from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Site

from tests.sharing.world import World
from tunnelkit.commands import share
from tunnelkit.commands.share import Options, site
from tunnelkit.sharing.bounds import Bounds
from tunnelkit.sharing.settings import ShareSettings
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.framings.contract import Request

SECRET = "0123456789abcdef" * 4


class OptionsCase(SynchronousTestCase):
    """
    Command lines of shares.
    """

    def options(self, *words: str) -> Options:
        """
        Read a command line.
        """
        options = Options({}, lambda: True)
        options.parseOptions(list(words))
        return options

    def read(self, *words: str) -> ShareSettings:
        """
        Read a command line.
        """
        return self.options(*words).settings

    def refused(self, *words: str) -> str:
        """
        Read a command line that cannot be used.

        @return: the sentence about it.
        """
        return str(self.assertRaises(UsageError, self.options, *words))

    def file(self, content: str, mode: int = 0o600) -> str:
        """
        Write a file.
        """
        path = Path(self.mktemp()).absolute()
        path.write_text(content)
        path.chmod(mode)
        return str(path)


class ReadTests(OptionsCase):
    """
    What stands on the command line is what the share does.
    """

    def test_defaults(self) -> None:
        """
        Without options it is as the original, but on loopback alone.
        """
        settings = self.read()
        self.assertEqual(settings.listen, "tcp:8000:interface=127.0.0.1:backlog=4096")
        self.assertEqual(settings.target, HostPort("127.0.0.1", 1234))
        self.assertEqual(settings.bounds, Bounds())
        self.assertEqual((settings.admin, settings.grace), (None, 10.0))
        requests = settings.framing.requests(False)
        requests.feed(b"a\n")
        self.assertEqual(requests.next(), Request(data=b"a\n", repeatable=True))

    def test_short(self) -> None:
        """
        The original's short options are there.
        """
        options = self.options("-l", "9000", "-t", "10.0.0.5:99", "-p", "mpu", "-v")
        settings = options.settings
        self.assertIn("tcp:9000:interface=127.0.0.1", settings.listen)
        self.assertEqual(settings.target, HostPort("10.0.0.5", 99))
        self.assertEqual(options.logLevel, "debug")

    def test_where(self) -> None:
        """
        Where to listen and where the target is may be said in all the usual ways.
        """
        for text, listen in (
            ("0.0.0.0:9000", "tcp:9000:interface=0.0.0.0:backlog=4096"),
            ("[::1]:9000", r"tcp:9000:interface=\:\:1:backlog=4096"),
            ("tcp:9000:interface=10.0.0.5", None),
            ("unix:/tmp/x.sock", "unix:/tmp/x.sock"),
        ):
            found = self.read("--listen", text).listen
            self.assertEqual(found, listen or f"{text}:backlog=4096")
        for text, target in (
            ("99", HostPort("127.0.0.1", 99)),
            ("db.example.org", HostPort("db.example.org", 1234)),
            ("[::1]:99", HostPort("::1", 99)),
            ("unix:/run/x.sock", "unix:/run/x.sock"),
        ):
            self.assertEqual(self.read("--target", text).target, target)

    def test_bounds(self) -> None:
        """
        Each bound can be set.
        """
        settings = self.read(
            *("--connections=3", "--pipeline=4", "--sticky", "--timeout=5"),
            *("--reply-timeout=0.5", "--max-clients=6", "--max-queue=7"),
            *("--max-requests=8", "--grace=9"),
        )
        self.assertEqual(settings.grace, 9.0)
        self.assertEqual(
            settings.bounds,
            Bounds(
                connections=3,
                pipeline=4,
                sticky=True,
                timeout=5.0,
                replyTimeout=0.5,
                clients=6,
                queue=7,
                each=8,
            ),
        )

    def test_admin(self) -> None:
        """
        The numbers may be had, with a token or without.
        """
        settings = self.read("--admin=8001", "--admin-token-file", self.file(SECRET))
        self.assertEqual(settings.admin, "tcp:8001:interface=127.0.0.1:backlog=4096")
        self.assertEqual(settings.adminToken, SECRET)
        self.assertNotIn(SECRET, repr(settings))

    def test_file(self) -> None:
        """
        All of that may stand in a file; a flag wins.
        """
        path = self.file(
            'listen = 9000\ntarget = "10.0.0.5:99"\nprotocol = "mpu"\n'
            "connections = 3\nsticky = true\n"
        )
        settings = self.read("--config", path, "--connections", "4")
        self.assertEqual(settings.target, HostPort("10.0.0.5", 99))
        self.assertTrue(settings.bounds.sticky)
        self.assertEqual(settings.bounds.connections, 4)

    def test_list(self) -> None:
        """
        C{--list} and C{list} show each protocol in a line, and how to use one.
        """
        for words in (["--list"], ["list"]):
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                error = self.assertRaises(SystemExit, self.options, *words)
            self.assertEqual(error.code, 0)
            lines = out.getvalue().splitlines()
            self.assertTrue(lines[0].startswith("* echo "), lines)
            self.assertIn("usage for example: twistd -n tunnelshare", lines[-1])
            self.assertEqual(lines[-2], "")

    def test_plugin(self) -> None:
        """
        C{twistd} knows the command.
        """
        (maker,) = (
            each for each in getPlugins(IServiceMaker) if each.tapname == "tunnelshare"
        )
        self.assertIs(maker.options, Options)


class RefusedTests(OptionsCase):
    """
    What cannot be is told, with the option's name and what to do.
    """

    def test_wrong(self) -> None:
        """
        Each wrong value has its sentence.
        """
        for words, text in (
            (["--listen=x"], "--listen: 'x' has no port: write x:PORT"),
            (["--listen=70000"], "--listen: '70000' is not a port: give a number"),
            (["--target=host:x"], "--target: 'x' is not a port: give a number"),
            (["--target=99999"], "--target: '99999' is not a port"),
            (["--protocol=ecko"], "--protocol: there is no protocol 'ecko'"),
            (["-p", "echo:x"], "--protocol: 'x' is one argument too many"),
            (["-p", "length"], "--protocol: the size of the length is missing"),
            (["-p", "line:["], "--protocol: a '[' has no ']'"),
            (["--connections=0"], "--connections: '0' is not a number from 1 to"),
            (["--pipeline=x"], "--pipeline: 'x' is not a number from 1 to 1000"),
            (["--max-queue=-1"], "--max-queue: '-1' is not a number from 1 to"),
            (["--timeout=soon"], "--timeout: 'soon' is not a number of seconds"),
            (["--timeout=0"], "--timeout: in no time nothing is done"),
            (["--reply-timeout=0"], "--reply-timeout: in no time nothing is done"),
            (["--admin=x"], "--admin: 'x' has no port"),
            (["what"], "'what' belongs to no option"),
        ):
            self.assertIn(text, self.refused(*words), words)

    def test_token(self) -> None:
        """
        A token that can be guessed, or read by all, or is for nothing, is refused.
        """
        good = self.file(SECRET)
        told = self.refused("--admin-token-file", good)
        self.assertEqual(told, "--admin-token-file is about --admin: give both")
        weak = self.file("abc")
        told = self.refused("--admin=8001", "--admin-token-file", weak)
        self.assertIn("--admin-token-file: the secret in", told)
        seen = self.file(SECRET, 0o644)
        told = self.refused("--admin=8001", "--admin-token-file", seen)
        self.assertIn("run chmod 600", told)

    def test_unordered(self) -> None:
        """
        A protocol that may answer in another order takes one request at a time.
        """

        class Unordered:
            ordered = False

        self.patch(share, "protocol", lambda text: Unordered())
        told = self.refused("--pipeline=2")
        self.assertIn("--pipeline: targets of this protocol need not answer", told)


class SiteTests(SynchronousTestCase):
    """
    The numbers, over HTTP.
    """

    def ask(self, world: World, path: str, token: str, **headers: str) -> Any:
        """
        Ask for a page.
        """
        made = site(world.pool, token)
        assert isinstance(made, Site)
        stub: Any = StubTreq(made.resource)
        response = self.successResultOf(
            stub.get(f"http://localhost{path}", headers=headers or None)
        )
        return response.code, self.successResultOf(response.text())

    def test_metrics(self) -> None:
        """
        C{/metrics} has them.
        """
        code, text = self.ask(World(), "/metrics", "")
        self.assertEqual(code, 200)
        self.assertIn("tunnelkit_share_queue 0.0\n", text)

    def test_locked(self) -> None:
        """
        With a token, for who knows it; whether all is well is told to everybody.
        """
        world = World()
        self.assertEqual(self.ask(world, "/metrics", SECRET)[0], 401)
        bearer = f"Bearer {SECRET}"
        code, _ = self.ask(world, "/metrics", SECRET, authorization=bearer)
        self.assertEqual(code, 200)
        self.assertEqual(self.ask(world, "/healthz", SECRET)[0], 200)

    def test_health(self) -> None:
        """
        C{/healthz} says whether the target answers.
        """
        world = World()
        self.assertEqual(self.ask(world, "/healthz", ""), (200, '{"healthy":true}\n'))
        world.pool.start()
        world.refuse()
        code, text = self.ask(world, "/healthz", "")
        self.assertEqual(code, 503)
        self.assertIn("the target cannot be reached", text)
