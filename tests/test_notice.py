"""
Tests for L{tunnelkit.notice}.
"""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

from twisted.internet.error import CannotListenError
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.notice import facts, firstStart, warnings, whyDeaf
from tunnelkit.settings import ServerSettings
from tunnelkit.wire.ports import PortSet

TOKEN = Path("state") / "default.token"


def settings(
    *ports: str, insecure: bool = False, behindTLS: bool = False
) -> ServerSettings:
    """
    Give a server's settings.
    """
    return ServerSettings(
        ports=ports or ("tcp6:8910",),
        state=TOKEN.parent,
        allowed=PortSet.parse("20000-29999"),
        insecure=insecure,
        behindTLS=behindTLS,
    )


class FactsTests(SynchronousTestCase):
    """
    An operator reads in the log what to tell others.
    """

    def test_all(self) -> None:
        """
        The fingerprint for --fingerprint, and where the admin page is.
        """
        first, second = facts(settings(), "ab12", "127.0.0.1:8911")
        self.assertIn("sha256:ab12", first)
        self.assertIn("http://127.0.0.1:8911/", second)

    def test_adminSocket(self) -> None:
        """
        What no browser reaches is given as a command that does.
        """
        for path, shown in (("/run/admin", "/run/admin"), ("/a b", "'/a b'")):
            _, second = facts(settings(), "ab12", f"unix:{path}")
            words = f"admin page: curl --unix-socket {shown} http://localhost/ (any"
            self.assertIn(words, second)

    def test_adminTLS(self) -> None:
        """
        Where the admin rooms have TLS, their address says so.
        """
        given = replace(settings(), admin="ssl:8911:privateKey=k.pem")
        _, second = facts(given, "ab12", "192.0.2.1:8911")
        self.assertIn("admin page: https://192.0.2.1:8911/ (any", second)

    def test_noAdmin(self) -> None:
        """
        Without admin rooms nothing is said of them.
        """
        self.assertEqual(len([*facts(settings(), "ab12", "")]), 1)

    def test_otherCertificates(self) -> None:
        """
        Where only descriptions with certificates of their own are listened on, no
        fingerprint is given that nobody would ever see.
        """
        ports = ("tls:pem:443", "ssl:8443")
        self.assertEqual([*facts(settings(*ports), "ab12", "")], [])
        self.assertEqual(len([*facts(settings(*ports, "tcp:8910"), "ab12", "")]), 1)


class WarningsTests(SynchronousTestCase):
    """
    What is less safe than it could be is said at each start.
    """

    def test_safe(self) -> None:
        """
        Nothing is said of a server as it is installed.
        """
        self.assertEqual([*warnings(settings())], [])

    def test_plain(self) -> None:
        """
        That plain TCP is accepted is said, whichever option did it.
        """
        for given in (settings(insecure=True), settings(behindTLS=True)):
            (warning,) = warnings(given)
            self.assertIn("plain TCP is accepted", warning)


class FirstStartTests(SynchronousTestCase):
    """
    The command in the log can be run as it is.
    """

    def test_command(self) -> None:
        """
        It names host, port and the token's file.
        """
        command = firstStart(settings(), "vps.example.org", 8910, TOKEN)
        self.assertIn(str(TOKEN), command)
        self.assertTrue(
            command.endswith(
                "twistd -n tunnelclient --server vps.example.org:8910 "
                "--token-file default.token --tunnel tcp:8000"
            ),
            command,
        )

    def test_unknownPort(self) -> None:
        """
        On a UNIX socket there is no port to name.
        """
        self.assertIn("--server vps:PORT ", firstStart(settings(), "vps", None, TOKEN))

    def test_behindTLS(self) -> None:
        """
        Behind a cloud's edge the port is the edge's, and --verify is needed.
        """
        command = firstStart(settings(behindTLS=True), "vps", 8910, TOKEN)
        self.assertIn("--server vps:PORT --token-file default.token --verify", command)


class WhyDeafTests(SynchronousTestCase):
    """
    Who cannot listen learns why, and what to do.
    """

    def why(self, number: int) -> str:
        """
        Say why, for an error of the system.
        """
        error = CannotListenError("", 1, OSError(number, "reason"))
        return whyDeaf("--port", "80", error)

    def test_shown(self) -> None:
        """
        The port is as it was given.
        """
        self.assertIn("cannot listen on --port 80: ", self.why(errno.EADDRINUSE))

    def test_todo(self) -> None:
        """
        What to do depends on the reason.
        """
        self.assertIn("another port", self.why(errno.EADDRINUSE))
        self.assertIn("CAP_NET_BIND_SERVICE", self.why(errno.EACCES))
        self.assertIn("of this machine", self.why(errno.EADDRNOTAVAIL))

    def test_other(self) -> None:
        """
        What parsers of descriptions raise is said as it is.
        """
        text = whyDeaf("--admin", "x:1", ValueError("Unknown endpoint type: 'x'"))
        self.assertIn("--admin x:1: Unknown endpoint type", text)
