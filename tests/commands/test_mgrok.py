"""
Tests for what C{--mgrok-config} comes to, at a server and at a client.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from twisted.python.usage import UsageError

from tests.commands.test_server import ENVIRON, OptionsCase
from tunnelkit.commands import client
from tunnelkit.commands.server import Options
from tunnelkit.dialects.abroad import AbroadSettings, Place
from tunnelkit.dialects.mgrok.spec import MgrokSpec
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.ports import PortSet

MINIMAL = 'enable_tls: false\ntls_cert_file: "xx"\ntls_key_file: "xx"\n'
SECRET = "auth_token: 0123\n"


class MgrokConfigTests(OptionsCase):
    """
    Who has a server of mgrok's goes on with its file.
    """

    def yaml(self, content: str = MINIMAL + SECRET) -> str:
        """
        Write a file of mgrok's.
        """
        return self.file("server.yaml", content)

    def given(
        self, content: str, *arguments: str, environ: Mapping[str, str] = ENVIRON
    ) -> dict[str, Any]:
        """
        Give what a file changes.
        """
        plain = self.settings(*arguments, environ=environ)
        changed = self.settings(
            "--mgrok-config", self.yaml(content), *arguments, environ=environ
        )
        return {
            field.name: getattr(changed, field.name)
            for field in fields(changed)
            if field.compare
            and getattr(changed, field.name) != getattr(plain, field.name)
        }

    def test_minimal(self) -> None:
        """
        It switches the dialect on, with its secret as it stands there, and changes
        nothing else.
        """
        self.assertEqual(
            self.given(MINIMAL + SECRET), {"dialects": (MgrokSpec("0123"),)}
        )

    def test_everything(self) -> None:
        """
        Each key has its effect, those too that the program does not heed.
        """
        changes = self.given(
            "enable_tls: true\n"
            'tls_cert_file: "~/certs/server.crt"\n'
            "tls_key_file: server.key\n"
            'bind_addr: "192.0.2.1"\n'
            "bind_port: 9000\n"
            "auth_token: sesame\n"
            "port_range_start: 10000\n"
            "port_range_end: 20000\n",
            environ=self.home(),
        )
        folder = self.folder
        self.assertEqual(
            changes,
            {
                "dialects": (MgrokSpec("sesame", True),),
                "certificate": folder / "certs/server.crt",
                "key": folder / "server.key",
                "ports": ("tcp:9000:interface=192.0.2.1:backlog=4096",),
                "picked": PortSet(((10000, 20000),)),
                "allowed": PortSet(((1024, 8910), (8912, 8999), (9001, 65535))),
            },
        )

    def home(self) -> Mapping[str, str]:
        """
        Have a home folder with a certificate, and one beside the file.
        """
        self.patch(os, "environ", {**os.environ, "HOME": str(self.folder)})
        (self.folder / "certs").mkdir()
        for name in ("certs/server.crt", "server.key", "own.crt", "own.key"):
            self.file(name)
        return ENVIRON

    def test_where(self) -> None:
        """
        A port alone, or an address alone, is where clients connect.
        """
        for keys, port in (
            ("bind_port: 9000\n", "tcp6:9000:backlog=4096"),
            ("bind_port: 9000\nbind_addr: 0.0.0.0\n", "tcp6:9000:backlog=4096"),
            ("bind_addr: 192.0.2.1\n", "tcp:8910:interface=192.0.2.1:backlog=4096"),
            (
                'bind_addr: "2001:db8::1"\n',
                r"tcp6:8910:interface=2001\:db8\:\:1:backlog=4096",
            ),
        ):
            self.assertEqual(self.given(MINIMAL + SECRET + keys)["ports"], (port,))

    def test_flagsWin(self) -> None:
        """
        What is said on the command line, or in a file of ours, wins.
        """
        content = (
            "enable_tls: true\ntls_cert_file: server.key\ntls_key_file: server.key\n"
            "bind_port: 9000\nauth_token: sesame\n"
        )
        self.home()
        changes = self.given(
            content,
            *("--port", "8910", "--dialect", "mgrok:token=other"),
            *("--certificate", str(self.folder / "own.crt")),
            *("--key", str(self.folder / "own.key")),
        )
        # Each option of a dialect by itself: this one the command line leaves out.
        self.assertEqual(changes, {"dialects": (MgrokSpec("other", True),)})
        config = self.file("server.toml", 'port = 8910\nmgrok-config = "server.yaml"\n')
        self.yaml(MINIMAL + SECRET + "bind_port: 9000\n")
        settings = self.settings("--config", config)
        self.assertEqual(settings.ports, ("tcp6:8910:backlog=4096",))
        self.assertEqual(settings.dialects, (MgrokSpec("0123"),))

    def test_beside(self) -> None:
        """
        Other dialects may be spoken beside it.
        """
        names = [
            spec.name
            for spec in self.settings(
                *("--mgrok-config", self.yaml(), "--dialect", "pipe:token=x")
            ).dialects
        ]
        self.assertEqual(names, ["pipe", "mgrok"])

    def test_refused(self) -> None:
        """
        What cannot be used is refused, in words that name file and key, without the
        secret.
        """
        for content, words in (
            (MINIMAL, "the key 'auth_token' is missing"),
            (MINIMAL + "auth_token: null\n", "the key 'auth_token' is missing"),
            (MINIMAL + SECRET + "bind_addr: eth0\n", "the key 'bind_addr' takes an IP"),
            (
                MINIMAL + SECRET + "bind_port: 70000\n",
                "the key 'bind_port' takes a port",
            ),
            (MINIMAL + SECRET + "colour: green\n", "the key 'colour' is not known"),
            ("enable_tls: true\n" + SECRET, "the key 'tls_cert_file' is missing"),
            ("a: [", "this is not YAML"),
            (
                MINIMAL + SECRET + "port_range_start: 100\nport_range_end: 200\n",
                "none of its port range 100-200 is among those that clients may have",
            ),
        ):
            said = self.refusal("--mgrok-config", self.yaml(content))
            self.assertIn(words, said)
            self.assertNotIn("0123", said)
        self.assertIn(
            "no.yaml cannot be read", self.refusal("--mgrok-config", "no.yaml")
        )

    def test_readable(self) -> None:
        """
        A file that everybody may read holds no secret: the log will say so.
        """
        path = Path(self.yaml())
        path.chmod(0o644)
        options = Options(ENVIRON)
        options.parseOptions(["--mgrok-config", str(path)])
        self.assertIn("can read the token in", "\n".join(options.warnings))


class ClientConfigTests(OptionsCase):
    """
    Who has a client of mgrok's goes on with its file.
    """

    CONTENT = (
        "server: vps.example.org:9000\ntoken: 0123\nproxies:\n"
        "  web: {type: tcp, local_port: 8080, remote_port: 8000}\n"
        "  my echo: {type: udp, local_port: 9001, remote_port: 7000}\n"
        "  any: {type: tcp, local_port: 22}\n"
    )

    def client(self, *arguments: str, content: str = CONTENT) -> client.Options:
        """
        Parse a command line with such a file.
        """
        options = client.Options({}, lambda: "laptop")
        path = self.file("client.yaml", content)
        options.parseOptions(["--mgrok-config", path, *arguments])
        return options

    def abroad(self, *arguments: str, content: str = CONTENT) -> AbroadSettings:
        """
        Give what it comes to.
        """
        settings = self.client(*arguments, content=content).abroad
        assert settings is not None
        return settings

    def test_everything(self) -> None:
        """
        Server, secret and services are as they stand there, but for a name that no
        tunnel can have here; it is spoken inside TLS.
        """
        settings = self.abroad()
        self.assertEqual(settings.place, Place(HostPort("vps.example.org", 9000), True))
        self.assertEqual((settings.dialect.name, settings.token), ("mgrok", "0123"))
        self.assertEqual(
            [(t.kind, str(t.local), t.port, t.name) for t in settings.tunnels],
            [
                ("tcp", "localhost:8080", 8000, "web"),
                ("udp", "localhost:9001", 7000, "udp-7000"),
                ("tcp", "localhost:22", 0, "any"),
            ],
        )

    def test_flagsWin(self) -> None:
        """
        What is said on the command line wins.
        """
        settings = self.abroad(
            *("--server", "other", "--token", "x", "--insecure"),
            *("--tunnel", "tcp:1:port=2"),
        )
        self.assertEqual(settings.place, Place(HostPort("other", 9000), False))
        self.assertEqual((settings.token, len(settings.tunnels)), ("x", 1))

    def test_environment(self) -> None:
        """
        A secret in the environment wins, too.
        """
        options = client.Options({"TUNNELKIT_TOKEN": "abc"}, lambda: "laptop")
        options.parseOptions(["--mgrok-config", self.file("c.yaml", self.CONTENT)])
        assert options.abroad is not None
        self.assertEqual(options.abroad.token, "abc")

    def test_refused(self) -> None:
        """
        What cannot be used is refused in words.
        """
        for arguments, content, words in (
            ((), "token: x\n", "--tunnel is missing"),
            ((), self.CONTENT.replace("token: 0123\n", ""), "--token is missing"),
            ((), self.CONTENT + "colour: green\n", "the key 'colour' is not known"),
            (
                ("--dialect", "pipe"),
                self.CONTENT,
                "is for the dialect mgrok, and pipe is to be",
            ),
            (("--verify",), self.CONTENT, "--verify makes no sense"),
        ):
            error = self.assertRaises(
                UsageError, self.client, *arguments, content=content
            )
            self.assertIn(words, str(error))
            self.assertNotIn("0123", str(error))
