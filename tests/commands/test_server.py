"""
Tests for L{tunnelkit.commands.server}.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from twisted.application.service import IServiceMaker
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.plugin import getPlugins
from twisted.python.failure import Failure
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from tests.admin.asking import TOKEN, FakeSource
from tunnelkit.commands import server
from tunnelkit.commands.server import Options, adminSite
from tunnelkit.dialects.pipe.spec import PipeSpec
from tunnelkit.settings import ServerSettings
from tunnelkit.wire.ports import PortSet
from tunnelkit.wire.token import Token

PS = """
port = 7000
admin-port = 7001
domain-tunnel = true
domain = "example.com"
token = "abc"
"""
OWN = Token("default", "0123456789abcdef0123456789abcdef01234567")
ENVIRON = {"STATE_DIRECTORY": "/var/lib/tunnelkit"}
DEFAULTS = ServerSettings(
    ports=("tcp6:8910:backlog=4096",),
    state=Path("/var/lib/tunnelkit"),
    certificate=None,
    key=None,
    bind="",
    allowed=PortSet(((1024, 8909), (8912, 65535))),
    hostname="",
    insecure=False,
    behindTLS=False,
    token=None,
    admin="tcp:8911:interface=127.0.0.1:backlog=4096",
    grace=10.0,
)


class OptionsCase(SynchronousTestCase):
    """
    A server's command lines.
    """

    def setUp(self) -> None:
        """
        Make a folder for files.
        """
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def file(self, name: str, content: str = "") -> str:
        """
        Write a file.
        """
        path = self.folder / name
        path.write_text(content)
        path.chmod(0o600)
        return str(path)

    def settings(
        self,
        *arguments: str,
        environ: Mapping[str, str] = ENVIRON,
        ipv6: bool = True,
    ) -> ServerSettings:
        """
        Give what a command line comes to.
        """
        options = Options(environ, lambda: ipv6)
        options.parseOptions([*arguments])
        return options.settings

    def assertChanges(self, arguments: tuple[str, ...], **changes: object) -> None:
        """
        A command line changes these settings, and no other.
        """
        settings = self.settings(*arguments)
        found = {
            field.name: getattr(settings, field.name)
            for field in fields(settings)
            if field.compare
            and getattr(settings, field.name) != getattr(DEFAULTS, field.name)
        }
        self.assertEqual(found, changes, arguments)

    def refusal(self, *arguments: str, environ: Mapping[str, str] = ENVIRON) -> str:
        """
        Give what is said of a command line that cannot be used.
        """
        error = self.assertRaises(
            UsageError, self.settings, *arguments, environ=environ
        )
        return str(error)


class SettingsTests(OptionsCase):
    """
    Each option changes what it is for.
    """

    def test_twice(self) -> None:
        """
        Who gives the same port twice is told that, and not that somebody has it.
        """
        for arguments, given in (
            (["--port", "8910", "--port", "8910"], "8910"),
            (
                ["--port", "tcp:9000:interface=127.0.0.1", "--admin", "9000"],
                "tcp:9000:interface=127.0.0.1",
            ),
        ):
            options = Options(environ={}, ipv6=lambda: True)
            error = self.assertRaises(UsageError, options.parseOptions, arguments)
            words = f"{given} is given twice, by --port or --admin"
            self.assertEqual(str(error), words)

    def test_given(self) -> None:
        """
        A message about a port shows what the operator wrote, and not what was made
        of it.
        """
        settings = self.settings("--port", "tcp:9000")
        self.assertEqual(
            settings.given,
            {
                "tcp:9000:backlog=4096": "tcp:9000",
                "tcp:8911:interface=127.0.0.1:backlog=4096": "8911",
            },
        )

    def test_socketWithoutFolder(self) -> None:
        """
        A UNIX socket in a folder that is not there is refused with the folder's name.
        """
        options = Options(environ={}, ipv6=lambda: True)
        where = ["--port", "unix:/nowhere-at-all/x.sock"]
        error = self.assertRaises(UsageError, options.parseOptions, where)
        self.assertIn("/nowhere-at-all/x.sock", str(error))

    def test_defaults(self) -> None:
        """
        A server needs no option.
        """
        self.assertEqual(self.settings(), DEFAULTS)

    def test_noIPv6(self) -> None:
        """
        A server runs on a machine without IPv6.
        """
        self.assertEqual(self.settings(ipv6=False).ports, ("tcp:8910:backlog=4096",))
        self.assertEqual(
            self.settings("--port", "1", ipv6=False).ports, ("tcp:1:backlog=4096",)
        )

    def test_everyFlag(self) -> None:
        """
        Each flag changes one thing.
        """
        certificate, key = self.file("c.pem"), self.file("k.pem")
        token = self.file("own.token", f"{OWN}\n")
        for arguments, changes in (
            (
                ("--port", "8910", "--port=unix:/run/x"),
                {"ports": ("tcp6:8910:backlog=4096", "unix:/run/x")},
            ),
            (("--state", "/srv/tk"), {"state": Path("/srv/tk")}),
            (
                ("--certificate", certificate, "--key", key),
                {"certificate": Path(certificate), "key": Path(key)},
            ),
            (("--bind", "192.0.2.1"), {"bind": "192.0.2.1"}),
            (("--bind", "[2001:DB8::1]"), {"bind": "2001:db8::1"}),
            (("--bind-udp", "192.0.2.2"), {"bindUDP": "192.0.2.2"}),
            (
                ("--ports", "10000-20000,9000"),
                {"allowed": PortSet(((9000, 9000), (10000, 20000)))},
            ),
            (("--hostname", "vps.example.org"), {"hostname": "vps.example.org"}),
            (("--hostname", "[2001:db8::1]"), {"hostname": "2001:db8::1"}),
            (("--insecure",), {"insecure": True}),
            (("--behind-tls",), {"behindTLS": True}),
            (("--token-file", token), {"token": OWN}),
            (("--grace", "2.5"), {"grace": 2.5}),
            (("--log-level", "debug"), {}),
        ):
            self.assertChanges(arguments, **changes)

    def test_admin(self) -> None:
        """
        The admin rooms are where the user says: by a bare port on this machine alone,
        or nowhere.
        """
        for text, where, allowed in (
            ("9000", "tcp:9000:interface=127.0.0.1:backlog=4096", (8910, 9000)),
            ("tcp:9000", "tcp:9000:backlog=4096", (8910, 9000)),
            ("unix:/run/admin", "unix:/run/admin", (8910,)),
            ("off", None, (8910,)),
        ):
            self.assertChanges(
                ("--admin", text),
                admin=where,
                allowed=PortSet(((1024, 65535),)).without(allowed),
            )

    def test_ownPorts(self) -> None:
        """
        Clients do not get the server's own ports, not even where the operator gives
        them a range in which those are.
        """
        settings = self.settings("--port", "2000", "--port", "tcp:3000", "--port=80")
        self.assertEqual(
            settings.allowed, PortSet(((1024, 65535),)).without((2000, 3000, 8911))
        )
        settings = self.settings("--port", "2000", "--ports", "1999-2001")
        self.assertEqual(settings.allowed, PortSet(((1999, 1999), (2001, 2001))))
        self.assertEqual(
            self.refusal("--ports", "8910,8911"),
            "--ports leaves nothing for clients: without the server's own (8910, 8911)"
            " no port is left",
        )

    def test_environment(self) -> None:
        """
        A container without a lasting disk gives its token in the environment, and
        systemd its folder.
        """
        environ = {"STATE_DIRECTORY": "/x", "TUNNELKIT_TOKEN": str(OWN)}
        settings = self.settings(environ=environ)
        self.assertEqual((settings.state, settings.token), (Path("/x"), OWN))

    def test_file(self) -> None:
        """
        A file says all that flags can.
        """
        self.file("c.pem")
        self.file("k.pem")
        self.file("own.token", f"{OWN}\n")
        config = self.file(
            "server.toml",
            """
            port = [8910, "unix:/run/x"]
            state = "state"
            certificate = "c.pem"
            key = "k.pem"
            bind = "0.0.0.0"
            ports = [9000, "10000-20000"]
            hostname = "vps.example.org"
            insecure = true
            behind-tls = true
            token-file = "own.token"
            admin = "off"
            grace = 3
            log-level = "warn"
            """,
        )
        options = Options(ENVIRON, lambda: True)
        options.parseOptions(["--config", config])
        self.assertEqual(
            options.settings,
            ServerSettings(
                ports=("tcp6:8910:backlog=4096", "unix:/run/x"),
                state=self.folder / "state",
                certificate=self.folder / "c.pem",
                key=self.folder / "k.pem",
                bind="0.0.0.0",
                allowed=PortSet(((9000, 9000), (10000, 20000))),
                hostname="vps.example.org",
                insecure=True,
                behindTLS=True,
                token=OWN,
                admin=None,
                grace=3.0,
            ),
        )
        self.assertEqual(options.logLevel, "warn")

    def test_fileHasEverything(self) -> None:
        """
        There is no flag that the file cannot say.
        """
        options = Options(ENVIRON)
        flags = {name.rstrip("=") for name in options.longOpt}
        self.assertEqual(flags - {"config", "help", "version"}, set(Options.fileKeys))


class DialectTests(OptionsCase):
    """
    Other systems' clients are let in where the operator says so.
    """

    def pipe(self, *arguments: str) -> PipeSpec:
        """
        Give what a command line comes to, for pipe.
        """
        (spec,) = self.settings(*arguments).dialects
        assert isinstance(spec, PipeSpec)
        return spec

    def test_off(self) -> None:
        """
        No dialect is spoken unless it is asked for.
        """
        self.assertEqual(self.settings().dialects, ())

    def test_pipe(self) -> None:
        """
        A description says how one is spoken.
        """
        path = self.file("pipe.token", "open sesame\n")
        for text, spec in (
            ("pipe:token=abc", PipeSpec("abc")),
            (f"pipe:tokenFile={path}", PipeSpec("open sesame")),
            (
                r"pipe:token=abc:skew=0:tls=required:domain=Example.com.:"
                r"caddy=http\://10.0.0.2\:2019",
                PipeSpec("abc", 0.0, True, "example.com", "http://10.0.0.2:2019"),
            ),
        ):
            self.assertEqual(self.pipe("--dialect", text), spec)

    def test_file(self) -> None:
        """
        It may stand in a file, where files are looked for beside that.
        """
        self.file("pipe.token", "open sesame\n")
        path = self.file("s.toml", 'dialect = ["pipe:tokenFile=pipe.token"]\n')
        self.assertEqual(self.pipe("--config", path), PipeSpec("open sesame"))

    def test_config(self) -> None:
        """
        A file of pipe's own server says the same, and its ports.
        """
        path = self.file("ps.toml", PS)
        settings = self.settings("--pipe-config", path)
        self.assertEqual(settings.dialects, (PipeSpec("abc", domain="example.com"),))
        self.assertEqual(settings.ports, ("tcp6:7000:backlog=4096",))
        self.assertEqual(settings.admin, "tcp:7001:interface=127.0.0.1:backlog=4096")
        off = self.file("off.toml", 'token = "abc"\nadmin-port = 0\n')
        settings = self.settings("--pipe-config", off)
        self.assertEqual((settings.admin, settings.ports), (None, DEFAULTS.ports))

    def test_flagsWin(self) -> None:
        """
        What is given by hand wins over it.
        """
        path = self.file("ps.toml", PS)
        secret = self.file("pipe.token", "open sesame\n")
        settings = self.settings(
            *("--pipe-config", path, "--port", "7002", "--admin", "off"),
            *("--dialect", f"pipe:tokenFile={secret}:skew=0"),
        )
        self.assertEqual(
            settings.dialects, (PipeSpec("open sesame", 0.0, domain="example.com"),)
        )
        self.assertEqual(settings.ports, ("tcp6:7002:backlog=4096",))
        self.assertIsNone(settings.admin)

    def test_refused(self) -> None:
        """
        What cannot be is said in words, and no secret is.
        """
        for arguments, words in (
            (("--dialect", "frp:token=secretive"), "there is no dialect 'frp'"),
            (("--dialect", "pipe"), "dialect pipe: it has no secret"),
            (("--dialect", "pipe:token=secretive:colour=1"), "no option 'colour'"),
            (("--dialect", "pipe:token=secretive:caddy=x"), "without domain="),
            (("--dialect", "pipe:token=secretive:domain=a..b"), "is not a domain"),
            (
                ("--dialect", "pipe:token=secretive:domain=a.b:caddy=x"),
                "is not the address of an API",
            ),
            (("--dialect", "pipe:token=secretive:skew=x"), "skew=: 'x'"),
            (("--dialect", "pipe:token=a", "--dialect", "pipe:token=b"), "given twice"),
            (
                ("--pipe-config", self.file("a.toml", "port = 1\n")),
                "--pipe-config: dialect pipe: it has no secret",
            ),
            (
                ("--pipe-config", self.file("b.toml", 'tokn = "secretive"\n')),
                "'tokn'",
            ),
        ):
            told = self.refusal(*arguments)
            self.assertIn(words, told)
            self.assertNotIn("secretive", told)


class RefusalTests(OptionsCase):
    """
    What cannot be used is refused before anything starts, in words that name it.
    """

    def test_everyOption(self) -> None:
        """
        The option and what is wrong with it are named.
        """
        for arguments, words in (
            (("--port", "0"), "--port: '0' is not a port"),
            (("--port", "70000"), "--port: '70000' is not a port"),
            (("--port", "tcp:70000"), "--port: 'tcp:70000': 70000 is not a port"),
            (("--port", "tpc:1"), "--port: 'tpc:1' is not an endpoint description"),
            (("--port", "1", "--port", "x"), "--port: 'x' is neither a port number"),
            (("--admin", "no"), "--admin: 'no' is neither a port number"),
            (("--state", ""), "--state: the path is empty"),
            (("--bind", "localhost"), "--bind: 'localhost' is not an IP address"),
            (("--bind-udp", "x"), "--bind-udp: 'x' is not an IP address"),
            (("--bind", "10.0.0.1:80"), "--bind: '10.0.0.1:80' is not an IP address"),
            (("--ports", "9000-"), "--ports: '9000-' is not a port or a range"),
            (("--ports", "0-10"), "--ports: '0-10' is not a port or a range"),
            (("--ports", "20-10"), "--ports: '20-10' ends before it begins"),
            (("--ports", ""), "--ports: '' is not a port or a range"),
            (("--hostname", "vps:80"), "--hostname: 'vps:80' has a port"),
            (("--hostname", "a b"), "--hostname: 'a b' is not a host"),
            (("--hostname", "http://vps"), "--hostname: 'http://vps' is not a host"),
            (("--grace", "-1"), "--grace: '-1' is not a number of seconds"),
            (("--log-level", "x"), "--log-level: 'x' is not one of debug, info"),
            (("--config", "no.toml"), "--config: "),
            (("--token-file", "no.token"), "--token-file: "),
            (("--token", str(OWN)), "--token"),
            (("8910",), "'8910' belongs to no option"),
        ):
            self.assertIn(words, self.refusal(*arguments))

    def test_certificateAndKey(self) -> None:
        """
        A certificate without its key, or the reverse, is no use; both must be there.
        """
        there, gone = self.file("there.pem"), str(self.folder / "gone.pem")
        for arguments, words in (
            (("--certificate", there), "--key is missing"),
            (("--key", there), "--certificate is missing"),
            (
                ("--certificate", there, "--key", gone),
                f"--key: {gone} cannot be read: No such file",
            ),
            (
                ("--certificate", gone, "--key", there),
                f"--certificate: {gone} cannot be read: No such file",
            ),
        ):
            self.assertIn(words, self.refusal(*arguments))

    def test_weakToken(self) -> None:
        """
        A secret that could be guessed is refused, and not repeated.
        """
        for secret in ("a" * 40, "hunter2" * 2, "0123456789" * 3, "0123456789abcdef"):
            environ = {"TUNNELKIT_TOKEN": f"tk1_default_{secret}"}
            words = self.refusal(environ=environ)
            self.assertIn("TUNNELKIT_TOKEN: the secret is too weak", words)
            self.assertNotIn(secret, words)

    def test_othersToken(self) -> None:
        """
        A client's token left in the environment is not taken for the server's own.
        """
        environ = {"TUNNELKIT_TOKEN": str(Token("alice", OWN.secret))}
        self.assertIn(
            "TUNNELKIT_TOKEN: this is a token of the user alice",
            self.refusal(environ=environ),
        )


class PluginTests(SynchronousTestCase):
    """
    The commands are in C{twistd}.
    """

    def test_found(self) -> None:
        """
        C{twistd tunnelserver} is this module.
        """
        (maker,) = (
            maker
            for maker in getPlugins(IServiceMaker)
            if maker.tapname == "tunnelserver"
        )
        self.assertIs(maker.options, Options)
        self.assertEqual(maker.makeService, server.makeService)


class AdminSiteTests(SynchronousTestCase):
    """
    The rooms are made for a server.
    """

    def test_site(self) -> None:
        """
        The page is behind the token that the server gives.
        """
        site = adminSite(FakeSource(), TOKEN, Clock())
        for header, status in (("", 401), (f"Authorization: Bearer {TOKEN}\r\n", 200)):
            transport = StringTransport()
            channel = site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
            assert channel is not None
            channel.makeConnection(transport)
            request = f"GET /api/v1/status HTTP/1.1\r\nHost: x\r\n{header}\r\n"
            channel.dataReceived(request.encode())
            start = transport.value()[:12]
            self.assertEqual(start, f"HTTP/1.1 {status}".encode())
            channel.connectionLost(Failure(ConnectionDone()))
