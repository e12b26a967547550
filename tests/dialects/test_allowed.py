"""
Tests for L{tunnelkit.dialects.allowed}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.dialects.allowed import parseAllow, parseTarget
from tunnelkit.dialects.remotedialer.locals import patterned
from tunnelkit.wire.address import HostPort, SocketPath


class AllowTests(SynchronousTestCase):
    """
    What is dialled is what was allowed, and nothing else.
    """

    def assertAllows(self, pattern: str, yes: str, no: str) -> None:
        """
        See what a pattern allows.

        @param yes: targets, with spaces between.
        """
        authorise = patterned([parseAllow(pattern)])
        for target in yes.split():
            self.assertTrue(authorise(*target.split("/", 1)), (pattern, target))
        for target in no.split():
            self.assertFalse(authorise(*target.split("/", 1)), (pattern, target))

    def test_tcp(self) -> None:
        """
        A host and a port, each of which may be any.
        """
        self.assertAllows(
            "tcp/127.0.0.1:*",
            "tcp/127.0.0.1:80 tcp4/127.0.0.1:65535 tcp/:80",
            "tcp/localhost:80 tcp/127.0.0.2:80 udp/127.0.0.1:80 tcp/127.0.0.1:0"
            " tcp/127.0.0.1 unix/127.0.0.1:80 tcp/127.0.0.1:80/x",
        )
        self.assertAllows("tcp/web:80", "tcp/web:80 tcp/WEB:80", "tcp/web:81")
        self.assertAllows("tcp/*:80", "tcp/web:80 tcp/[::1]:80", "tcp/web:8080")
        self.assertAllows("tcp/[::1]:80", "tcp/[::1]:80 tcp6/[::1]:80", "tcp/[::2]:80")
        self.assertAllows("tcp/*:*", "tcp/web:1 tcp/10.0.0.1:9", "unix/x")

    def test_ranges(self) -> None:
        """
        Ports in a row, and all names below one.
        """
        self.assertAllows("tcp/web:80-82", "tcp/web:80 tcp/web:82", "tcp/web:83")
        self.assertAllows(
            "tcp/*.example.org:80",
            "tcp/www.example.org:80 tcp/a.b.Example.org:80",
            "tcp/example.org:80 tcp/wwwexample.org:80",
        )

    def test_unix(self) -> None:
        """
        A UNIX socket, or all in one folder.
        """
        self.assertAllows(
            "unix/run/app.sock",
            "unix/run/app.sock unix//run/app.sock",
            "unix/run/app.sock2 unix/run/../run/app.sock tcp/run:80",
        )
        self.assertAllows(
            "unix/run/apps/*",
            "unix//run/apps/a.sock",
            "unix/run/apps/ unix/run/apps/b/c unix/run/apps unix/run/apps/../x",
        )

    def test_wrong(self) -> None:
        """
        What is no pattern is refused with what to write.
        """
        for text, why in (
            ("", "write tcp/HOST:PORT"),
            ("tcp", "write tcp/HOST:PORT"),
            ("127.0.0.1:80", "write tcp/HOST:PORT"),
            ("udp/127.0.0.1:80", "no network 'udp'"),
            ("tcp/127.0.0.1", "has no port"),
            ("tcp/:80", "has no port"),
            ("tcp/web:http", "is not a port"),
            ("tcp/web:82-80", "is no range"),
            ("tcp/a*b:80", "is not a host"),
            ("unix/run/../x", "no plain path"),
            ("unix/run/*.sock", "stands alone at the end"),
            ("unix/run/apps/", "a folder: write unix/run/apps/*"),
            ("unix//", "a folder: write unix/*"),
        ):
            error = self.assertRaises(ValueError, parseAllow, text)
            self.assertIn(why, str(error), text)

    def test_targets(self) -> None:
        """
        Go's names for addresses are understood.
        """
        self.assertEqual(parseTarget("tcp", ":80"), HostPort("127.0.0.1", 80))
        self.assertEqual(parseTarget("unix", "/run/x"), SocketPath("/run/x"))
        for network, address in (("udp", "127.0.0.1:53"), ("tcp", "web"), ("ip", "x")):
            self.assertRaises(ValueError, parseTarget, network, address)
