"""
Tests for L{tunnelkit.dialects.descriptions}.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from twisted.internet.endpoints import (
    TCP4ServerEndpoint,
    TCP6ServerEndpoint,
    serverFromString,
)
from twisted.internet.testing import MemoryReactor
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.dialects.descriptions import (
    hasIPv6,
    listening,
    portsOf,
    serverAddress,
)
from tunnelkit.wire.address import HostPort


class HasIPv6Tests(SynchronousTestCase):
    """
    Whether there is IPv6 is found out by using it.
    """

    def test_system(self) -> None:
        """
        A machine without IPv6 is not asked to listen on it.
        """
        try:
            with socket.create_server(("::1", 0), family=socket.AF_INET6):
                there = True
        except OSError:
            there = False
        self.assertEqual(hasIPv6(), there)

    def test_none(self) -> None:
        """
        A kernel that does not know IPv6 is one without it.
        """

        def refuse(*_: object) -> socket.socket:
            raise OSError("Address family not supported by protocol")

        self.patch(socket, "socket", refuse)
        self.assertFalse(hasIPv6())


class ListeningTests(SynchronousTestCase):
    """
    Where to listen is a port, or a description.
    """

    def test_port(self) -> None:
        """
        A bare port is one socket for IPv4 and IPv6, or for IPv4 where there is no
        other, and takes thousands of visitors at once.
        """
        self.assertEqual(listening("8910", True), "tcp6:8910:backlog=4096")
        self.assertEqual(listening("8910", False), "tcp:8910:backlog=4096")

    def test_interface(self) -> None:
        """
        A bare port of the admin rooms is for this machine alone.
        """
        self.assertEqual(
            listening("8911", True, "127.0.0.1"),
            "tcp:8911:interface=127.0.0.1:backlog=4096",
        )

    def test_backlog(self) -> None:
        """
        A description of TCP that says nothing of the backlog gets the same; what the
        user says of it stands.
        """
        for text, backlog in (
            ("tcp:8910", ":backlog=4096"),
            ("tcp:8910:interface=127.0.0.1", ":backlog=4096"),
            ("tcp:8910:127.0.0.1", ":backlog=4096"),
            (r"tcp6:8910:interface=\:\:1", ":backlog=4096"),
            ("tcp:0", ":backlog=4096"),
            ("tcp:8910:backlog=7", ""),
            ("tcp:8910:127.0.0.1:7", ""),
            ("tcp6:8910:7", ""),
        ):
            self.assertEqual(listening(text, True), text + backlog)

    def test_twistedTakesIt(self) -> None:
        """
        Twisted listens with what comes out.
        """
        for ipv6, kind in ((True, TCP6ServerEndpoint), (False, TCP4ServerEndpoint)):
            endpoint = serverFromString(MemoryReactor(), listening("8910", ipv6))
            self.assertIsInstance(endpoint, kind)
            self.assertEqual((endpoint._port, endpoint._backlog), (8910, 4096))

    def test_others(self) -> None:
        """
        All other descriptions of Twisted's are taken as they are.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        for text in (
            "unix:/run/tunnelkit.sock",
            f"tls:{folder}:443",
            "haproxy:tcp:8910",
        ):
            self.assertEqual(listening(text, True), text)

    def test_refused(self) -> None:
        """
        What is no place to listen is refused in words, with the text that is wrong.
        """
        for text, words in (
            ("", "'' is neither a port number nor a description"),
            ("web", "'web' is neither a port number nor a description"),
            ("0", "'0' is not a port: give a number from 1 to 65535"),
            ("70000", "'70000' is not a port: give a number from 1 to 65535"),
            ("8910x", "'8910x' is neither a port number"),
            ("tpc:8910", "Unknown endpoint type: 'tpc'"),
            ("tcp:70000", "70000 is not a port, the highest is 65535"),
            ("tls:.:70000", "70000 is not a port, the highest is 65535"),
            ("haproxy:tcp:70000", "70000 is not a port, the highest is 65535"),
            ("tcp:http", "'http' is not a number"),
            ("tcp:", "'' is not a number"),
            ("unix:", "'unix:' names no socket: write unix:PATH"),
            ("unix:address=", "'unix:address=' names no socket: write unix:PATH"),
            ("unix:mode=600", "'unix:mode=600' names no socket: write unix:PATH"),
            ("tcp:8910:backlog=many", "'many' is not a number"),
            ("tcp:8910:intrface=::1", "a part is missing, or one too many"),
            ("tcp:8910:interfac=x", "one has an unknown name"),
            ("tcp:8910\\", r"a '\' at the end"),
            ("ssl:443:privateKey=nowhere.pem", "nowhere.pem: No such file"),
            ("tls:nowhere:443", "nowhere is not a folder of certificates"),
            ("systemd:domain=INET:name=x", "there is no such socket, file or name"),
            ("systemd:domain=INET:index=0", "there is no such socket, file or name"),
        ):
            error = self.assertRaises(ValueError, listening, text, True)
            self.assertIn(words, str(error))

    def test_light(self) -> None:
        """
        A server on a port number does not load what only descriptions need.
        """
        program = (
            "import sys; from tunnelkit.commands.server import Options;"
            "options = Options({'STATE_DIRECTORY': '/x'});"
            "options.parseOptions(['--port', '9000']);"
            "sys.exit('twisted.internet.testing' in sys.modules)"
        )
        self.assertEqual(subprocess.run([sys.executable, "-c", program]).returncode, 0)


class PortsOfTests(SynchronousTestCase):
    """
    A server's own ports can be kept from its clients.
    """

    def test_ports(self) -> None:
        """
        Each description that has a port tells it.
        """
        for text, port in (
            ("tcp:8910:backlog=4096", 8910),
            ("tcp6:8910", 8910),
            ("tcp:port=8910", 8910),
            ("ssl:443:privateKey=x", 443),
            ("tls:/etc/certificates:8443", 8443),
            ("tls:/etc/certificates", 443),
            ("tls:/etc/certificates:port=8443", 8443),
            ("haproxy:tcp:8910:interface=127.0.0.1", 8910),
        ):
            self.assertEqual(portsOf([text]), {port}, text)

    def test_none(self) -> None:
        """
        Others have none to tell.
        """
        self.assertEqual(
            portsOf(["unix:/run/8910", "systemd:domain=INET:index=0"]), frozenset()
        )

    def test_all(self) -> None:
        """
        Several descriptions have several ports.
        """
        self.assertEqual(portsOf(["tcp:1", "unix:x", "tcp6:2"]), {1, 2})


class ServerAddressTests(SynchronousTestCase):
    """
    Where a server is, is an address or a description.
    """

    def test_address(self) -> None:
        """
        A host may lack the port, whatever it is called, and IPv6 stands in brackets.
        """
        for text, address in (
            ("vps.example.org", HostPort("vps.example.org", 8910)),
            ("vps.example.org:443", HostPort("vps.example.org", 443)),
            ("localhost:8910", HostPort("localhost", 8910)),
            ("192.0.2.1:1", HostPort("192.0.2.1", 1)),
            ("[2001:db8::1]", HostPort("2001:db8::1", 8910)),
            ("[2001:db8::1]:443", HostPort("2001:db8::1", 443)),
            ("unix", HostPort("unix", 8910)),
            ("fe80::1", HostPort("fe80::1", 8910)),
        ):
            self.assertEqual(serverAddress(text), address)

    def test_description(self) -> None:
        """
        A client endpoint description stays one.
        """
        for text in (
            "tcp:vps.example.org:8910",
            "tcp:host=vps.example.org:port=8910",
            "tls:vps.example.org:443",
            "unix:/run/tunnelkit.sock",
            "unix:8910",
        ):
            self.assertEqual(serverAddress(text), text)

    def test_refused(self) -> None:
        """
        What is neither is refused in words.
        """
        for text, words in (
            ("", "'' names no host"),
            ("vps:http", "'http' is not a port"),
            ("vps:70000", "'70000' is not a port"),
            ("a b", "'a b' is not a host"),
            ("tcp:8910", "names no host: write HOST:8910, or tcp:HOST:8910"),
            ("tls:443", "names no host: write HOST:443, or tls:HOST:443"),
            ("tcp:vps:70000", "70000 is not a port, the highest is 65535"),
            ("tls:vps:port=70000", "70000 is not a port, the highest is 65535"),
            ("tls:vps", "a part is missing"),
            ("tcp:vps:http", "'http' is not a number"),
            ("tls:vps:443:trustRoots=nowhere", "tls:vps:443:trustRoots=nowhere"),
            ("unix:", "'unix:' names no socket: write unix:PATH"),
            ("unix:path=", "'unix:path=' names no socket: write unix:PATH"),
            ("tpc:x:1", "there is no endpoint type 'tpc': write HOST[:PORT], or a"),
            ("http://x:1", "there is no endpoint type 'http': write HOST[:PORT], or"),
            ("https://vps/", "there is no endpoint type 'https': write HOST[:PORT]"),
            ("abc:1:2", "'abc:1:2' has several colons: write an IPv6 address in"),
        ):
            error = self.assertRaises(ValueError, serverAddress, text)
            self.assertIn(words, str(error))
