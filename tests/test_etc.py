"""
Tests for the examples in etc/.
"""

from __future__ import annotations

import shlex
import shutil
from configparser import RawConfigParser
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.commands import client, portal, server, share
from tunnelkit.commands.options.flags import GRACE
from tunnelkit.wire.address import HostPort, SocketPath
from tunnelkit.wire.token import Token

ETC: Final = Path(__file__).parent.parent / "etc"


def unit(name: str) -> RawConfigParser:
    """
    Read a systemd unit.
    """
    parser = RawConfigParser(strict=False)
    parser.read(ETC / name)
    return parser


class ConfigurationTests(SynchronousTestCase):
    """
    Who begins with an example has something that works.
    """

    def test_server(self) -> None:
        """
        The server's example is taken as it is.
        """
        options = server.Options(environ={}, ipv6=lambda: True)
        options.parseOptions(["--config", str(ETC / "server.toml")])
        settings = options.settings
        self.assertEqual(settings.ports, ("tcp6:8910:backlog=4096",))
        self.assertEqual(settings.hostname, "vps.example.org")
        self.assertIn(2222, settings.allowed)
        self.assertNotIn(8000, settings.allowed)
        self.assertEqual(settings.grace, 30.0)

    def test_client(self) -> None:
        """
        The client's example is taken as it is, beside a token.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        shutil.copy(ETC / "client.toml", folder)
        token = Token("default", "a2" * 16)
        (folder / "default.token").write_text(f"{token}\n")
        (folder / "default.token").chmod(0o600)
        options = client.Options(environ={})
        options.parseOptions(["--config", str(folder / "client.toml")])
        settings = options.settings
        self.assertEqual(settings.server, HostPort("vps.example.org", 8910))
        self.assertEqual(settings.token, token)
        web, ssh, app, dns = settings.tunnels
        self.assertEqual((web.name, web.port), ("web", 0))
        self.assertEqual(ssh.local, HostPort("10.0.0.5", 22))
        self.assertEqual((app.local, app.proxy), (SocketPath("/run/app.sock"), 2))
        self.assertEqual((dns.kind, dns.local), ("udp", HostPort("127.0.0.1", 53)))

    def test_pipe(self) -> None:
        """
        The example of a client at a server of pipe's is taken as it is, beside a
        secret.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        shutil.copy(ETC / "pipeclient.toml", folder)
        (folder / "pipe.token").write_text("open sesame\n")
        (folder / "pipe.token").chmod(0o600)
        options = client.Options(environ={})
        options.parseOptions(["--config", str(folder / "pipeclient.toml")])
        settings = options.abroad
        assert settings is not None
        self.assertEqual(
            (settings.dialect.name, settings.token), ("pipe", "open sesame")
        )
        web, dns = settings.tunnels
        self.assertEqual((web.port, web.subdomain), (9000, "www"))
        self.assertEqual((dns.kind, dns.port), ("udp", 5300))

    def test_portal(self) -> None:
        """
        The portal's example is taken as it is, beside a secret.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        shutil.copy(ETC / "portal.toml", folder)
        (folder / "portal.secret").write_text("0123456789abcdef" * 4)
        (folder / "portal.secret").chmod(0o600)
        options = portal.Options(environ={})
        options.parseOptions(["--config", str(folder / "portal.toml")])
        (_, home), (_, other) = options.settings.leads
        self.assertEqual(home, "home")
        self.assertEqual(other, HostPort("portal.example.org", 7000))
        self.assertEqual(len(options.settings.stun), 2)

    def test_share(self) -> None:
        """
        The share's example is taken as it is.
        """
        options = share.Options(environ={}, ipv6=lambda: True)
        options.parseOptions(["--config", str(ETC / "share.toml")])
        settings = options.settings
        self.assertEqual(settings.listen, "tcp:8000:interface=0.0.0.0:backlog=4096")
        self.assertEqual(settings.target, HostPort("10.0.0.5", 1234))
        bounds = settings.bounds
        self.assertEqual((bounds.connections, bounds.timeout), (2, 20.0))
        self.assertIn("8001", settings.admin or "")


class UnitTests(SynchronousTestCase):
    """
    The systemd units start commands that there are, with options that there are.
    """

    def test_server(self) -> None:
        """
        The server's unit takes its port from the socket's unit.
        """
        words = shlex.split(unit("tunnelserver.service")["Service"]["ExecStart"])
        self.assertEqual(words[1:3], ["server", "--port"])
        name = unit("tunnelserver.socket")["Socket"]["FileDescriptorName"]
        self.assertEqual(words[3:], [f"systemd:domain=INET6:name={name}"])

    def test_client(self) -> None:
        """
        The client's unit reads a configuration file.
        """
        words = shlex.split(unit("tunnelclient.service")["Service"]["ExecStart"])
        self.assertEqual(words[1:3], ["client", "--config"])

    def test_grace(self) -> None:
        """
        systemd waits for longer than streams may go on.
        """
        for name in ("tunnelserver.service", "tunnelclient.service"):
            seconds = float(unit(name)["Service"]["TimeoutStopSec"])
            self.assertGreater(seconds, GRACE)
