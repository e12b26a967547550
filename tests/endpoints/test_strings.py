"""
Tests for L{tunnelkit.endpoints.strings}.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.testing import MemoryReactor
from twisted.trial.unittest import SynchronousTestCase

from tests.fakes import random
from tests.logs import Log
from tunnelkit import api
from tunnelkit.endpoints.dialling import PATIENCE, TunnelClientEndpoint
from tunnelkit.endpoints.listening import TunnelServerEndpoint
from tunnelkit.endpoints.strings import _KINDS, _LOGIN
from tunnelkit.settings import ClientSettings
from tunnelkit.tunnels.spec import Limits
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.token import Token

TOP = Path(__file__).parent.parent.parent
TOKEN = Token.new("ann", random)


class StringCase(SynchronousTestCase):
    """
    A file with a token.
    """

    def setUp(self) -> None:
        """
        Write it.
        """
        self.file = self.mktemp()
        with open(self.file, "w") as file:
            file.write(f"{TOKEN}\n")
        os.chmod(self.file, 0o600)

    def server(self, text: str) -> Any:
        """
        Read where to listen.
        """
        return serverFromString(MemoryReactor(), text.replace("FILE", self.file))

    def client(self, text: str) -> Any:
        """
        Read where to connect.
        """
        return clientFromString(MemoryReactor(), text.replace("FILE", self.file))


class ServerTests(StringCase):
    """
    Where a program listens.
    """

    def test_exposed(self) -> None:
        """
        That everybody can read the token is said, as the client says it.
        """
        log = Log(self)
        where = "tunnel:vps.example.org:tokenFile=FILE:name=site"
        self.server(where)
        self.assertEqual(log.lines("warn"), [])
        os.chmod(self.file, 0o644)
        self.server(where)
        (line,) = log.lines("warn")
        self.assertIn(f"can read the token in {self.file}: run chmod 600", line)

    def test_least(self) -> None:
        """
        Server, token and name are enough.
        """
        endpoint = self.server("tunnel:vps.example.org:tokenFile=FILE:name=site")
        self.assertIsInstance(endpoint, TunnelServerEndpoint)
        expected = ClientSettings(
            server=HostPort("vps.example.org", 8910),
            token=TOKEN,
            name=socket.gethostname(),
            tunnels=(),
        )
        self.assertEqual(endpoint._settings, expected)
        spec = endpoint._spec
        self.assertEqual((spec.kind, spec.name, spec.port), ("tcp", "site", 0))
        self.assertIsNone(endpoint._wait)

    def test_all(self) -> None:
        """
        All that a client can be told can stand there.
        """
        endpoint = self.server(
            "tunnel:vps.example.org:443:tokenFile=FILE:name=site:port=9000:kind=tcp"
            f":client=blog:wait=30:fingerprint={'ab' * 32}:verify=yes:limit-in=1kB/s"
            ":burst=10kB:compress=deflate"
        )
        settings, spec = endpoint._settings, endpoint._spec
        self.assertEqual(settings.server, HostPort("vps.example.org", 443))
        self.assertEqual(settings.name, "blog")
        self.assertEqual(settings.fingerprint, bytes([0xAB] * 32))
        self.assertTrue(settings.verify)
        self.assertEqual(endpoint._wait, 30.0)
        self.assertEqual((spec.port, spec.compress), (9000, "deflate"))
        self.assertEqual(spec.limits, Limits(inward=1000, burst=10000))

    def test_addresses(self) -> None:
        """
        IPv6 addresses and other endpoints need no escapes.
        """
        for text, server in (
            ("[::1]:8910", HostPort("::1", 8910)),
            ("[2001:db8::7]", HostPort("2001:db8::7", 8910)),
            ("tls:vps.example.org:443", "tls:vps.example.org:443"),
            ("unix:/run/tunnelkit.sock", "unix:/run/tunnelkit.sock"),
        ):
            endpoint = self.server(f"tunnel:{text}:tokenFile=FILE:name=site")
            self.assertEqual(endpoint._settings.server, server)

    def test_name(self) -> None:
        """
        A tunnel that asks for a port needs no name.
        """
        endpoint = self.server("tunnel:vps.example.org:tokenFile=FILE:port=9000")
        self.assertEqual(endpoint._spec.name, "tcp-9000")

    def test_private(self) -> None:
        """
        A private tunnel may say who visits it.
        """
        endpoint = self.server(
            "tunnel:vps.example.org:tokenFile=FILE:kind=private:name=ssh"
            ":visitors=alice+bob:insecure=yes"
        )
        spec = endpoint._spec
        self.assertEqual((spec.kind, spec.visitors), ("private", ("alice", "bob")))
        self.assertTrue(endpoint._settings.insecure)

    def test_wrong(self) -> None:
        """
        What is wrong is said at once, with the option's name.
        """
        site = "tunnel:vps.example.org:tokenFile=FILE:name=site"
        for text, words in (
            ("tunnel:tokenFile=FILE:name=a", "the server is missing"),
            ("tunnel:vps.example.org:name=a", "tokenFile=FILE is missing"),
            (
                "tunnel:vps.example.org:tokenFile=/no:name=a",
                "tokenFile=/no: /no cannot",
            ),
            ("tunnel:vps.example.org:tokenFile=FILE", "name=NAME is missing"),
            ("tunnel:vps.example.org:99999:tokenFile=FILE:name=a", "99999"),
            (f"{site}:port=no", "port=no: "),
            (f"{site}:wait=soon", "wait=soon: it is a number of seconds"),
            (f"{site}:wait=0", "wait=0: "),
            (f"{site}:kind=udp", "kind=udp: a program can be behind private or tcp"),
            (f"{site}:color=red", "there is no option 'color' here, only "),
            (f"{site}:visitors=a", "visitors= goes with kind=private"),
            (f"{site}:kind=private:compress=zstd", "compress= goes with kind=tcp"),
            (f"{site}:to=b", "to= is for dialling: to listen give name=NAME"),
            (f"{site}:proxy=v1", "there is no option 'proxy'"),
            (f"{site}:verify=1", "verify=1: it is yes or no"),
            (f"{site}:client=", "client=: a client's name"),
            (f"{site}:fingerprint=ab", "fingerprint=ab: "),
            (f"{site}:insecure=yes:verify=yes", "insecure is plain TCP"),
            (f"{site}:compress=no", "compress=no: it is deflate or zstd"),
        ):
            error = self.assertRaises(ValueError, self.server, text)
            self.assertIn(words, str(error))
            self.assertNotIn("example.org: tunnel:", str(error))
            self.assertNotIn(TOKEN.secret, str(error))

    def test_noToken(self) -> None:
        """
        A file that holds something else is not quoted.
        """
        with open(self.file, "w") as file:
            file.write("my password")
        site = "tunnel:vps.example.org:tokenFile=FILE:name=site"
        error = self.assertRaises(ValueError, self.server, site)
        self.assertIn("a token has the form tk1_USER_SECRET", str(error))
        self.assertNotIn("password", str(error))


class ClientTests(StringCase):
    """
    Where a program connects.
    """

    def test_client(self) -> None:
        """
        The name says which tunnel.
        """
        endpoint = self.client("tunnel:[::1]:8910:tokenFile=FILE:to=ssh")
        self.assertIsInstance(endpoint, TunnelClientEndpoint)
        self.assertEqual(endpoint._settings.server, HostPort("::1", 8910))
        self.assertEqual((endpoint._name, endpoint._timeout), ("ssh", PATIENCE))
        endpoint = self.client("tunnel:h:tokenFile=FILE:to=ssh:timeout=5:client=me")
        self.assertEqual((endpoint._timeout, endpoint._settings.name), (5.0, "me"))

    def test_wrong(self) -> None:
        """
        What is wrong is said at once.
        """
        for text, words in (
            ("tunnel:h:tokenFile=FILE", "to=NAME is missing"),
            ("tunnel:h:tokenFile=FILE:to=", "to=: no tunnel can be called that"),
            ("tunnel:h:to=ssh", "tokenFile=FILE is missing"),
            ("tunnel:h:tokenFile=FILE:to=ssh:port=9", "port= is for listening"),
            ("tunnel:h:tokenFile=FILE:name=ssh", "to dial give to=NAME"),
            ("tunnel:h:tokenFile=FILE:to=ssh:x=9", "there is no option 'x'"),
        ):
            error = self.assertRaises(ValueError, self.client, text)
            self.assertIn(words, str(error))


class PluginTests(SynchronousTestCase):
    """
    Every program that reads an endpoint description imports the plugin.
    """

    def test_light(self) -> None:
        """
        It brings nothing of ours with it but names.
        """
        code = (
            "import sys; from twisted.internet.endpoints import serverFromString;"
            "from twisted.internet.testing import MemoryReactor;"
            "serverFromString(MemoryReactor(), 'haproxy:tcp:80');"
            "print({n for n in sys.modules if n.startswith('tunnelkit.')}"
            " - {'tunnelkit.sharing', 'tunnelkit.sharing.named'})"
        )
        run = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True, text=True
        )
        self.assertEqual(run.stdout, "set()\n")


class DocsTests(SynchronousTestCase):
    """
    Who looks an option up in docs/embedding.rst finds it.
    """

    def names(self, table: str) -> set[str]:
        """
        Give what stands in the first column of a table.
        """
        page = (TOP / "docs" / "embedding.rst").read_text()
        _, _, rest = page.partition(f":name: {table}\n")
        rows = rest.split("\n\n")[1].splitlines()
        found: set[str] = set()
        for row in rows:
            # The first field is in quotes where it has several names.
            first = re.match(r'\s*("[^"]*"|[^,]*),', row)
            assert first is not None, row
            found |= set(re.findall(r"``([\w-]+)(?:\([^)]*\))?``", first[1]))
        return found

    def test_options(self) -> None:
        """
        All options are there, and no others.
        """
        known = {
            *_LOGIN,
            "kind",
            "wait",
            *(n for some in _KINDS.values() for n in some),
        }
        self.assertEqual(self.names("table-listening"), known)

    def test_api(self) -> None:
        """
        So are all names for programs.
        """
        self.assertEqual(self.names("table-api"), {*api.__all__})
