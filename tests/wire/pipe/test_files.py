"""
Tests for L{tunnelkit.wire.pipe.files}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.wire.pipe.files import (
    ClientFile,
    ForwardEntry,
    ServerFile,
    readClient,
    readServer,
)

SERVER = b"""
port = 8910
admin-port = 8911
domain-tunnel = true
domain = "example.com"
token = "abc"
"""
CLIENT = b"""
server-addr = "example.com:8910"
token = "abc"

[[forwards]]
proxy-name = "web"
subdomain = "www"
remote-port = 9000
local-port = 3000
speed-limit = "500kb"
proxy-type = "tcp"

[[forwards]]
remote-port = 9001
local-port = 53
proxy-type = "udp"
"""


def entry(lines: str) -> bytes:
    """
    Make a client's file with one forward, that has these lines too.
    """
    return f"[[forwards]]\n{lines}\n".encode()


class FilesTests(SynchronousTestCase):
    """
    Who has pipe's files need not write others.
    """

    def test_server(self) -> None:
        """
        Each key of a server's file is read.
        """
        self.assertEqual(
            readServer(SERVER, "ps.toml"),
            ServerFile(8910, 8911, True, "example.com", "abc"),
        )

    def test_client(self) -> None:
        """
        Each key of a client's file is read.
        """
        self.assertEqual(
            readClient(CLIENT, "pc.toml"),
            ClientFile(
                "example.com:8910",
                "abc",
                (
                    ForwardEntry("web", "www", 9000, 3000, 512000, "tcp"),
                    ForwardEntry("", "", 9001, 53, None, "udp"),
                ),
            ),
        )

    def test_nothing(self) -> None:
        """
        What a file leaves out is left to the options.
        """
        nothing = ServerFile(None, None, False, "", "")
        self.assertEqual(readServer(b"", "ps.toml"), nothing)
        self.assertEqual(readClient(b"", "pc.toml"), ClientFile("", "", ()))

    def test_speeds(self) -> None:
        """
        Limits mean what they mean to pipe, in letters of any case.
        """
        ports = 'remote-port = 1\nlocal-port = 1\nproxy-type = "tcp"\nspeed-limit = '
        for text, speed in (
            ('""', None),
            ('"1kb"', 1024),
            ('"2 MB"', 2 << 20),
            ('"3Gb"', 3 << 30),
        ):
            (read,) = readClient(entry(ports + text), "pc.toml").forwards
            self.assertEqual(read.speedLimit, speed)
        for text in ('"100b"', '"0kb"', '"b"', '"kb"', "100", '"-1kb"', '"1.5kb"'):
            error = self.assertRaises(
                ValueError, readClient, entry(ports + text), "pc.toml"
            )
            self.assertIn("the key 'speed-limit' takes a number and a unit", str(error))

    def test_server_errors(self) -> None:
        """
        Who made a slip is told the file and the key, and no secret is shown.
        """
        for data, words in (
            (b"port = 70000", "ps.toml: the key 'port' takes a port, a number from 0"),
            (b'port = "8910"', "ps.toml: the key 'port' takes a port"),
            (b"port = true", "ps.toml: the key 'port' takes a port"),
            (b"domain-tunnel = 1", "the key 'domain-tunnel' takes true or false"),
            (b"token = 987", "ps.toml: the key 'token' takes a text in quotes"),
            (
                b"prot = 1",
                "ps.toml: the key 'prot' is not known; there may be admin-po",
            ),
            (b"port = ", "ps.toml: this is not TOML"),
            (b"\n\xff = 1", "ps.toml: line 2 is not UTF-8"),
            (b"a = " + b"[" * 5000, "ps.toml: brackets within brackets"),
        ):
            error = self.assertRaises(ValueError, readServer, data, "ps.toml")
            self.assertIn(words, str(error))
            self.assertNotIn("987", str(error))

    def test_client_errors(self) -> None:
        """
        In a list of forwards, which of them is wrong is told too.
        """
        good = 'remote-port = 1\nlocal-port = 1\nproxy-type = "tcp"\n'
        for data, words in (
            (b"forwards = 1", "the key 'forwards' takes tables, each below a line"),
            (b"forwards = [1]", "number 1 of forwards: a table of keys is wanted here"),
            (entry(""), "number 1 of forwards: the key 'remote-port' is missing"),
            (entry("remote-port = 0"), "the key 'remote-port' is missing"),
            (entry("remote-port = 1"), "the key 'local-port' is missing"),
            (
                entry("remote-port = 1\nlocal-port = 1"),
                "the key 'proxy-type' is missin",
            ),
            (entry("remote-port = 65535"), "pipe's server refuses 65535"),
            (entry('proxy-type = "sctp"'), "the key 'proxy-type' takes tcp or udp"),
            (entry("proxy-type = []"), "the key 'proxy-type' takes tcp or udp"),
            (entry(good) + entry("speed = 1"), "number 2 of forwards: the key 'speed'"),
            (b"[[proxys]]\n", "pc.toml: the key 'proxys' is not known"),
        ):
            error = self.assertRaises(ValueError, readClient, data, "pc.toml")
            self.assertIn(words, str(error))
            self.assertTrue(str(error).startswith("pc.toml: "))
