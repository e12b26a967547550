"""
Tests for L{tunnelkit.commands.options.abroad}.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from tests.fakes import pairOf
from tunnelkit.commands import check
from tunnelkit.commands.client import Options
from tunnelkit.commands.options import abroad
from tunnelkit.dialects import known
from tunnelkit.dialects.abroad import AbroadSettings, ClientDialect, Place
from tunnelkit.dialects.pipe.abroad.client import PIPE
from tunnelkit.tunnels.spec import TunnelSpec
from tunnelkit.wire.address import HostPort

PIPED = ("--dialect", "pipe", "--server", "vps", "--token", "open sesame")
WEB = TunnelSpec(
    kind="tcp",
    local=HostPort("127.0.0.1", 8000),
    port=9000,
    name="tcp-127.0.0.1:8000",
)


def checkToy(settings: AbroadSettings) -> None:
    """
    Refuse one name.
    """
    if settings.name == "nobody":
        raise ValueError("nobody is called so")


TOY = ClientDialect(
    name="toy",
    takes=frozenset({"fingerprint", "ca", "insecure", "name", "allow"}),
    needs=frozenset({"name", "allow"}),
    tls=True,
    warning="",
    port=7000,
    check=checkToy,
    make=PIPE.make,
)
TOYING = ("--dialect", "toy", "--server", "vps", "--name", "me", "--allow", "tcp/*")


class AbroadCase(SynchronousTestCase):
    """
    Command lines of clients that speak a dialect.
    """

    def setUp(self) -> None:
        """
        Make a folder for files, and a dialect with other options than pipe's.
        """
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        clients = {**known.CLIENTS, "toy": TOY}
        self.patch(abroad, "CLIENTS", clients)

    def file(self, name: str, content: str) -> str:
        """
        Write a file.
        """
        path = self.folder / name
        path.write_text(content)
        path.chmod(0o600)
        return str(path)

    def options(self, *arguments: str, environ: Mapping[str, str] = {}) -> Options:
        """
        Parse a command line.
        """
        options = Options(environ, lambda: "laptop")
        options.parseOptions([*arguments])
        return options

    def settings(
        self, *arguments: str, environ: Mapping[str, str] = {}
    ) -> AbroadSettings:
        """
        Give what a command line comes to.
        """
        settings = self.options(*arguments, environ=environ).abroad
        assert settings is not None
        return settings

    def refusal(self, *arguments: str) -> str:
        """
        Give what is said of a command line that cannot be used.
        """
        return str(self.assertRaises(UsageError, self.options, *arguments))


class SettingsTests(AbroadCase):
    """
    Each option changes what it is for.
    """

    def test_pipe(self) -> None:
        """
        pipe needs a server, a token as it stands, and a tunnel with its public port.
        """
        settings = self.settings(*PIPED, "--tunnel", "tcp:8000:port=9000")
        expected = AbroadSettings(
            dialect=PIPE,
            place=Place(HostPort("vps", 8910), False),
            token="open sesame",
            tunnels=(WEB,),
        )
        self.assertEqual(settings, expected)
        self.assertNotIn("open sesame", repr(settings))

    def test_token(self) -> None:
        """
        The secret is the first line of a file, or what the environment has; it need
        not look like a token of ours.
        """
        path = self.file("secret", "0123 yes\n")
        tunnel = ("--dialect", "pipe", "--server", "vps", "--tunnel", "tcp:1:port=9000")
        settings = self.settings(*tunnel, "--token-file", path)
        self.assertEqual(settings.token, "0123 yes")
        settings = self.settings(*tunnel, environ={"TUNNELKIT_TOKEN": "abc"})
        self.assertEqual(settings.token, "abc")

    def test_file(self) -> None:
        """
        A configuration file says the same.
        """
        config = self.file(
            "client.toml",
            'dialect = "pipe"\nserver = "vps"\ntoken = "open sesame"\n'
            'tunnel = ["tcp:8000:port=9000"]\n',
        )
        flags = self.settings(*PIPED, "--tunnel", "tcp:8000:port=9000")
        self.assertEqual(self.settings("--config", config), flags)

    def test_certificate(self) -> None:
        """
        A dialect inside TLS can be told which certificates are good, or to do without.
        """
        plain = self.settings(*TOYING)
        pem = pairOf("vps").chain.decode()
        for flags, changes in (
            ((), {}),
            (("--fingerprint", "ab" * 32), {"fingerprint": b"\xab" * 32}),
            (("--ca", self.file("ca.pem", pem)), {"authority": pem}),
            (("--insecure",), {"place": Place(HostPort("vps", 7000), False)}),
            (("--allow", "unix/*"), {"allow": ("tcp/*", "unix/*")}),
        ):
            changed: Any = changes
            self.assertEqual(
                self.settings(*TOYING, *flags), replace(plain, **changed), flags
            )

    def test_warned(self) -> None:
        """
        The log will say what the login is worth.
        """
        options = self.options(*PIPED, "--tunnel", "tcp:8000:port=9000")
        self.assertIn("who reads one of its logins", "\n".join(options.warnings))


class ConfigTests(AbroadCase):
    """
    Who has a configuration file of pipe's needs no other.
    """

    def setUp(self) -> None:
        """
        Write one.
        """
        super().setUp()
        self.path = self.file(
            "pc.toml",
            """
            server-addr = "vps:7000"
            token = "open sesame"
            [[forwards]]
            proxy-name = "web"
            remote-port = 9000
            local-port = 3000
            proxy-type = "tcp"
            """,
        )

    def test_alone(self) -> None:
        """
        It says all, and which dialect is spoken.
        """
        settings = self.settings("--pipe-config", self.path)
        self.assertEqual(settings.dialect, PIPE)
        self.assertEqual(settings.place.server, HostPort("vps", 7000))
        self.assertEqual(settings.token, "open sesame")
        (web,) = settings.tunnels
        self.assertEqual((web.name, web.port), ("web", 9000))

    def test_flagsWin(self) -> None:
        """
        What is given by hand wins over it.
        """
        settings = self.settings(
            *("--pipe-config", self.path),
            *("--dialect", "pipe", "--server", "other", "--token", "abc"),
            *("--tunnel", "tcp:1:port=2:name=x"),
        )
        self.assertEqual(settings.place.server, HostPort("other", 8910))
        self.assertEqual(settings.token, "abc")
        self.assertEqual([each.name for each in settings.tunnels], ["x"])

    def test_ownFile(self) -> None:
        """
        It may be named by a file of ours, and be beside that.
        """
        config = self.file("client.toml", 'pipe-config = "pc.toml"\ngrace = 3\n')
        settings = self.settings("--config", config)
        self.assertEqual((settings.token, settings.grace), ("open sesame", 3.0))

    def test_wrong(self) -> None:
        """
        What is wrong in it is said with its name, and the secret is not.
        """
        for text, words in (
            ("token = 1", "the key 'token' takes a text in quotes"),
            ("colour = 1", "'colour'"),
            ('server-addr = "vps:x"\ntoken = "x"', "'x' is not a port"),
            ('token = "x"', "--server is missing"),
            ('server-addr = "vps"\ntoken = "secretive"', "--tunnel is missing"),
            ('server-addr = "vps"', "--token is missing"),
        ):
            told = self.refusal("--pipe-config", self.file("bad.toml", text))
            self.assertIn(words, told)
            self.assertNotIn("secretive", told)
        self.assertIn("cannot be read", self.refusal("--pipe-config", "nowhere"))

    def test_other(self) -> None:
        """
        It is of no use to another dialect.
        """
        words = self.refusal(*TOYING, "--pipe-config", self.path)
        self.assertIn("--pipe-config is for the dialect pipe, and toy is to be", words)

    def test_readable(self) -> None:
        """
        That everybody can read the secret in it is said.
        """
        Path(self.path).chmod(0o644)
        options = self.options("--pipe-config", self.path)
        self.assertIn("can read the token in", "\n".join(options.warnings))


class RefusalTests(AbroadCase):
    """
    What cannot be is refused in words.
    """

    def test_unknown(self) -> None:
        """
        A dialect that there is not.
        """
        self.assertEqual(
            self.refusal("--dialect", "frp"),
            "--dialect: there is no dialect 'frp', only mgrok, pipe, remotedialer, toy",
        )

    def test_senseless(self) -> None:
        """
        An option that the dialect has no use for, by its name.
        """
        for flags in (
            ("--verify",),
            ("--insecure",),
            ("--fingerprint", "ab" * 32),
            ("--ca", "x"),
            ("--name", "me"),
            ("--allow", "tcp/*"),
        ):
            words = self.refusal(*PIPED, "--tunnel", "tcp:1:port=9000", *flags)
            expected = "makes no sense with the dialect pipe: leave it out"
            self.assertEqual(words, f"{flags[0]} {expected}")
        self.assertIn(
            "--tunnel makes no sense", self.refusal(*TOYING, "--tunnel", "tcp:1")
        )
        self.assertIn("--token makes no", self.refusal(*TOYING, "--token", "abc"))
        self.assertIn(
            "--token-file makes", self.refusal(*TOYING, "--token-file", "abc")
        )

    def test_native(self) -> None:
        """
        The options of dialects without a dialect.
        """
        words = self.refusal("--server", "vps", "--tunnel", "tcp:1", "--ca", "x")
        self.assertIn("--ca is for servers of other systems", words)

    def test_missing(self) -> None:
        """
        What is needed and not given.
        """
        pipe = ("--dialect", "pipe", "--server", "vps")
        for arguments, words in (
            (PIPED, "--tunnel is missing"),
            ((*pipe, "--tunnel", "tcp:1:port=9000"), "--token is missing"),
            (("--dialect", "pipe", "--token", "x"), "--server is missing"),
            (TOYING[:6], "--allow is missing"),
            ((*TOYING[:4], "--allow", "tcp/*"), "--name is missing"),
        ):
            self.assertIn(words, self.refusal(*arguments))

    def test_tunnel(self) -> None:
        """
        A tunnel that pipe cannot ask for.
        """
        for tunnel, words in (
            ("tcp:8000", "needs a public port"),
            ("tcp:8000:port=65535", "1 to 65534"),
            ("tcp:8000:port=9000:proxy=v1", "proxy="),
            ("tcp:8000:port=9000:compress=deflate", "compress="),
        ):
            self.assertIn(words, self.refusal(*PIPED, "--tunnel", tunnel))
        self.assertIn("nobody is called so", self.refusal(*TOYING, "--name", "nobody"))

    def test_certificate(self) -> None:
        """
        A certificate where there is none to see, and a file that holds none.
        """
        words = self.refusal(*TOYING, "--insecure", "--fingerprint", "ab" * 32)
        self.assertIn("--fingerprint is about a certificate", words)
        path = self.file("ca.pem", "no certificate")
        words = self.refusal(*TOYING, "--ca", path)
        self.assertIn(f"--ca: {path} holds no certificates", words)

    def test_empty(self) -> None:
        """
        A secret that is nothing.
        """
        path = self.file("secret", "\n")
        words = self.refusal(*PIPED[:4], "--token-file", path)
        self.assertIn("is empty", words)

    def test_check(self) -> None:
        """
        C{tunnelkit check} goes through servers of our own alone.
        """
        config = self.file("client.toml", 'dialect = "pipe"\nserver = "vps"\n')
        options = check.Options({"TUNNELKIT_TOKEN": "x"}, lambda: "laptop")
        words = str(
            self.assertRaises(UsageError, options.parseOptions, ["--config", config])
        )
        self.assertIn("this checks servers of tunnelkit's own alone", words)
