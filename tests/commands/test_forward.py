"""
Tests for L{tunnelkit.commands.forward}.
"""

from __future__ import annotations

from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.commands.forward import Options
from tunnelkit.wire.address import HostPort, SocketPath


class OptionsTests(SynchronousTestCase):
    """
    Command lines of C{tunnelkit forward}.
    """

    def read(self, *words: str) -> Options:
        """
        Read a command line.
        """
        options = Options({}, lambda: True)
        options.parseOptions(list(words))
        return options

    def test_listen(self) -> None:
        """
        A port, and C{HOST:PORT}, are listened on in the fast way; a description as it
        says.
        """
        for text, found in (
            ("8000", HostPort("127.0.0.1", 8000)),
            ("0.0.0.0:8000", HostPort("0.0.0.0", 8000)),
            ("tcp:8000", "tcp:8000:backlog=4096"),
            ("unix:/tmp/x.sock", "unix:/tmp/x.sock"),
        ):
            self.assertEqual(self.read(text, "99").listen, found)

    def test_target(self) -> None:
        """
        So is the target.
        """
        for text, found in (
            ("99", HostPort("127.0.0.1", 99)),
            ("db.example.org:99", HostPort("db.example.org", 99)),
            ("[::1]:99", HostPort("::1", 99)),
            ("unix:/run/x.sock", SocketPath("/run/x.sock")),
            ("unix:/run/x.sock:timeout=3", "unix:/run/x.sock:timeout=3"),
            ("tcp:192.0.2.1:99", "tcp:192.0.2.1:99"),
        ):
            self.assertEqual(self.read("8000", text).target, found)

    def test_bounds(self) -> None:
        """
        There is a bound, and a time to end; options may stand anywhere.
        """
        options = self.read("--max-clients", "5", "8000", "--grace=3", "99")
        self.assertEqual((options.clients, options.grace), (5, 3.0))
        self.assertEqual(options.target, HostPort("127.0.0.1", 99))
        options = self.read("8000", "99", "--max-clients=5", "--grace=3")
        self.assertEqual((options.clients, options.grace), (5, 3.0))

    def test_refused(self) -> None:
        """
        What cannot be is told with what to give.
        """
        for words, text in (
            (("--what", "1", "2"), "option --what not recognized"),
            ((), "LISTEN and TARGET are needed"),
            (("8000",), "LISTEN and TARGET are needed"),
            (("1", "2", "3"), "LISTEN and TARGET are needed"),
            (("x", "99"), "LISTEN: 'x' has no port: write x:PORT"),
            (("8000", "host"), "TARGET: 'host' has no port: write host:PORT"),
            (("8000", "99999"), "TARGET: '99999' is not a port"),
            (("8000", "99", "--max-clients=0"), "--max-clients: '0' is not a number"),
        ):
            error = self.assertRaises(UsageError, self.read, *words)
            self.assertIn(text, str(error))
