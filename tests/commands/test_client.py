"""
Tests for L{tunnelkit.commands.client}.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.commands import client
from tunnelkit.commands.client import Options
from tunnelkit.settings import ClientSettings
from tunnelkit.tunnels.private.spec import VisitSpec
from tunnelkit.tunnels.spec import TunnelSpec
from tunnelkit.wire.address import HostPort, SocketPath
from tunnelkit.wire.endkey import newEndKey
from tunnelkit.wire.token import Token

TOKEN = Token("alice", "abcdefgh12345678")
OTHER = Token("bob", "abcdefgh12345678")
ENVIRON = {"TUNNELKIT_TOKEN": str(TOKEN)}
WEB = TunnelSpec(
    kind="tcp", local=HostPort("127.0.0.1", 8000), name="tcp-127.0.0.1:8000"
)
SSH = TunnelSpec(kind="tcp", local=HostPort("10.0.0.5", 22), port=2222, name="ssh")
DEFAULTS = ClientSettings(
    server=HostPort("vps", 8910),
    token=TOKEN,
    name="laptop",
    tunnels=(WEB,),
    fingerprint=None,
    verify=False,
    insecure=False,
    grace=10.0,
)
NEEDED = ("--server", "vps", "--tunnel", "tcp:8000")


class OptionsCase(SynchronousTestCase):
    """
    A client's command lines.
    """

    def setUp(self) -> None:
        """
        Make a folder for files.
        """
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def file(self, name: str, content: str) -> str:
        """
        Write a file.
        """
        path = self.folder / name
        path.write_text(content)
        path.chmod(0o600)
        return str(path)

    def settings(
        self, *arguments: str, environ: Mapping[str, str] = ENVIRON
    ) -> ClientSettings:
        """
        Give what a command line comes to.
        """
        options = Options(environ, lambda: "laptop")
        options.parseOptions([*arguments])
        return options.settings

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

    def test_defaults(self) -> None:
        """
        A client needs a server, a token and a tunnel.
        """
        self.assertEqual(self.settings(*NEEDED), DEFAULTS)

    def test_everyFlag(self) -> None:
        """
        Each flag changes one thing.
        """
        token = self.file("bob.token", f"{OTHER}\n")
        for arguments, changes in (
            (
                ("--tunnel", "tcp:10.0.0.5:22:port=2222:name=ssh"),
                {"tunnels": (WEB, SSH)},
            ),
            (("--server", "[::1]:443"), {"server": HostPort("::1", 443)}),
            (("--server", "tls:vps:443"), {"server": "tls:vps:443"}),
            (("--token", str(OTHER)), {"token": OTHER}),
            (("--token-file", token), {"token": OTHER}),
            (("--name", "Alice's laptop"), {"name": "Alice's laptop"}),
            (("--fingerprint", "AB:" * 31 + "AB"), {"fingerprint": b"\xab" * 32}),
            (("--verify",), {"verify": True}),
            (("--insecure",), {"insecure": True}),
            (("--grace", "0"), {"grace": 0.0}),
            (("--log-level", "debug"), {}),
        ):
            settings = self.settings(*NEEDED, *arguments)
            found = {
                field.name: getattr(settings, field.name)
                for field in fields(settings)
                if getattr(settings, field.name) != getattr(DEFAULTS, field.name)
            }
            self.assertEqual(found, changes, arguments)

    def test_file(self) -> None:
        """
        A file says all that flags can, and a flag wins over it.
        """
        self.file("bob.token", f"{OTHER}\n")
        config = self.file(
            "client.toml",
            """
            server = "vps:443"
            token-file = "bob.token"
            name = "box"
            tunnel = ["tcp:8000", "tcp:10.0.0.5:22:port=2222:name=ssh"]
            verify = true
            grace = 3
            log-level = "warn"
            """
            f'fingerprint = "{"ab" * 32}"',
        )
        options = Options({}, lambda: "laptop")
        options.parseOptions(["--config", config])
        self.assertEqual(
            options.settings,
            ClientSettings(
                server=HostPort("vps", 443),
                token=OTHER,
                name="box",
                tunnels=(WEB, SSH),
                fingerprint=b"\xab" * 32,
                verify=True,
                grace=3.0,
            ),
        )
        self.assertEqual(options.logLevel, "warn")
        settings = self.settings(
            "--config", config, "--tunnel", "tcp:8000", "--name", "x", environ={}
        )
        self.assertEqual((settings.tunnels, settings.name), ((WEB,), "x"))

    def test_visits(self) -> None:
        """
        Whoever only visits needs no tunnel; keys may be beside the file that names
        them, and one that others can read is warned of.
        """
        key = newEndKey(datetime(2027, 1, 1, tzinfo=UTC))
        path = Path(self.file("ssh.key", key.pem.decode()))
        path.chmod(0o644)
        config = self.file(
            "client.toml",
            'server = "vps"\nvisit = ["ssh:2222:keyFile=ssh.key", "db:unix=/run/db"]\n'
            'socks = "1080"\nkey = "ssh=ssh.key"\n',
        )
        options = Options(ENVIRON, lambda: "laptop")
        options.parseOptions(["--config", config])
        settings = options.settings
        self.assertEqual(settings.tunnels, ())
        self.assertEqual(
            settings.visits,
            (
                VisitSpec(name="ssh", at=HostPort("127.0.0.1", 2222), key=key),
                VisitSpec(name="db", at=SocketPath("/run/db")),
            ),
        )
        self.assertEqual(settings.socks, (HostPort("127.0.0.1", 1080),))
        self.assertEqual(settings.keys, (("ssh", key),))
        self.assertIn(f"can read the secret in {path}: run", options.warnings[0])
        self.assertIn(f"run chmod 600 {path}", options.warnings[0])
        only = self.settings("--server", "vps", "--socks", "1080")
        self.assertEqual((only.tunnels, only.visits), ((), ()))

    def test_insecureFile(self) -> None:
        """
        A file may ask for plain TCP, and hold the token itself.
        """
        config = self.file(
            "client.toml",
            f'server = "vps"\ntoken = "{OTHER}"\ntunnel = "tcp:8000"\ninsecure = true',
        )
        settings = self.settings("--config", config, environ={})
        self.assertEqual((settings.token, settings.insecure), (OTHER, True))

    def test_fileHasEverything(self) -> None:
        """
        There is no flag that the file cannot say.
        """
        flags = {name.rstrip("=") for name in Options({}).longOpt}
        self.assertEqual(flags - {"config", "help", "version"}, set(Options.fileKeys))


class RefusalTests(OptionsCase):
    """
    What cannot be used is refused before anything starts, in words that name it.
    """

    def test_missing(self) -> None:
        """
        What is needed is asked for by name, with what it is.
        """
        for arguments, environ, words in (
            ((), {}, "--server is missing: give HOST or HOST:PORT"),
            (("--server", "vps"), {}, "the token is missing: give a file that holds"),
            (("--server", "vps"), ENVIRON, "--tunnel is missing: say what to publish"),
        ):
            self.assertIn(words, self.refusal(*arguments, environ=environ))

    def test_everyOption(self) -> None:
        """
        The option and what is wrong with it are named.
        """
        for arguments, words in (
            (("--server", "vps:0"), "--server: '0' is not a port"),
            (("--server", ""), "--server: '' names no host"),
            (("--server", "tls:vps"), "--server: 'tls:vps' is not an endpoint"),
            (("--tunnel", "ftp:53"), "--tunnel: tunnel 'ftp:53': there is no kind"),
            (("--tunnel", "8000"), "--tunnel: tunnel '8000': there is no kind"),
            (("--tunnel", "tcp:"), "--tunnel: tunnel 'tcp:': '' is not a port"),
            (("--tunnel", "tcp:80:port=0"), "--tunnel: tunnel 'tcp:80:port=0'"),
            (("--tunnel", "tcp:80:prot=1"), "tcp has no option 'prot'"),
            (("--name", ""), "--name: '' cannot be a client's name"),
            (("--name", "a\nb"), "cannot be a client's name"),
            (("--fingerprint", "abc"), "--fingerprint: 'abc' is no fingerprint"),
            (("--grace", "x"), "--grace: 'x' is not a number of seconds"),
            (("--log-level", "x"), "--log-level: 'x' is not one of debug, info"),
            (("--config", "no.toml"), "--config: "),
            (("--token", "x"), "--token: a token has the form"),
            (("--token-file", "no.token"), "--token-file: "),
            (("x",), "'x' belongs to no option"),
        ):
            self.assertIn(words, self.refusal(*NEEDED, *arguments))

    def test_twice(self) -> None:
        """
        Two tunnels that the server could not tell apart, or of which one could not be
        had, are refused.
        """
        self.assertIn(
            "two tunnels are called 'tcp-127.0.0.1:8000': give one of them another",
            self.refusal(*NEEDED, "--tunnel", "tcp:127.0.0.1:8000:port=9000"),
        )
        self.assertIn(
            "two tunnels ask for the public port 9000: give one of them another with",
            self.refusal(
                *("--server", "vps"),
                *("--tunnel", "tcp:1:port=9000", "--tunnel", "tcp:2:port=9000"),
            ),
        )
        # Ports that the server picks are not the same one.
        self.settings(*NEEDED, "--tunnel", "tcp:8001")
        # Nor are those of TCP and of UDP.
        both = ("--tunnel", "tcp:53:port=5300", "--tunnel", "udp:53:port=5300")
        self.settings(*NEEDED, *both)

    def test_visits(self) -> None:
        """
        Visits that cannot be are refused, and so is a key that nothing would use.
        """
        visit = ("--server", "vps", "--visit", "ssh:2222")
        for arguments, words in (
            (("--visit", "db:2222"), "two are to be at 127.0.0.1:2222: give each a"),
            (("--socks", "2222"), "two are to be at 127.0.0.1:2222: give each a place"),
            (("--visit", "db"), "--visit: visit 'db': it does not say where"),
            (("--socks", "x"), "--socks: "),
            (("--key", "ssh=x"), "--key: keyFile=x: "),
            (("--dialect", "pipe", "--token", "x"), "--visit makes no sense with the"),
        ):
            environ = {} if "--token" in arguments else ENVIRON
            self.assertIn(words, self.refusal(*visit, *arguments, environ=environ))
        key = self.file(
            "x.key", newEndKey(datetime(2027, 1, 1, tzinfo=UTC)).pem.decode()
        )
        words = self.refusal(*visit, "--key", f"ssh={key}")
        self.assertIn("--key is for --socks: a visit has its key in keyFile=", words)
        both = ("--key", f"ssh={key}", "--key", f"ssh={key}")
        words = self.refusal(*visit, "--socks", "1080", *both)
        self.assertIn("--key: ssh has two keys", words)

    def test_privateAbroad(self) -> None:
        """
        Servers of other systems have no private tunnels.
        """
        words = self.refusal(
            *("--dialect", "mgrok", "--server", "vps", "--token", "x"),
            *("--tunnel", "private:22:name=ssh"),
            environ={},
        )
        self.assertIn("ssh is a private tunnel, which servers of other", words)

    def test_subdomain(self) -> None:
        """
        A name below a domain is refused where no server would hear of it.
        """
        words = self.refusal("--server", "vps", "--tunnel", "tcp:1:subdomain=www")
        self.assertIn("tcp-127.0.0.1:1 has subdomain=, which is for", words)

    def test_insecure(self) -> None:
        """
        Who asks for plain TCP and for a certificate is asked which.
        """
        for flags, other in (
            (("--verify",), "--verify"),
            (("--fingerprint", "ab" * 32), "--fingerprint"),
        ):
            words = self.refusal(*NEEDED, "--insecure", *flags)
            self.assertIn("--insecure is plain TCP", words)
            self.assertTrue(words.endswith(f"leave it out, or {other}"), words)


class PluginTests(SynchronousTestCase):
    """
    The commands are in C{twistd}.
    """

    def test_found(self) -> None:
        """
        C{twistd tunnelclient} is this module.
        """
        (maker,) = (
            maker
            for maker in getPlugins(IServiceMaker)
            if maker.tapname == "tunnelclient"
        )
        self.assertIs(maker.options, Options)
        self.assertEqual(maker.makeService, client.makeService)
