"""
Tests for L{tunnelkit.commands.portal}.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.commands import portal
from tunnelkit.commands.portal import Options
from tunnelkit.portal.settings import PortalSettings
from tunnelkit.settings import ClientSettings
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.token import Token

SECRET = "0123456789abcdef" * 4
FAR = ("--serve", "127.0.0.1:9999")
TOKEN = Token("default", "a2" * 16)
NEAR = ("--listen", "4001", "--connect", "192.0.2.1:7000")


class OptionsCase(SynchronousTestCase):
    """
    Command lines of portals.
    """

    def setUp(self) -> None:
        """
        Make a secret.
        """
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.secret = self.file("secret", SECRET + "\n")

    def file(self, name: str, content: str, mode: int = 0o600) -> str:
        """
        Write a file.
        """
        path = self.folder / name
        path.write_text(content)
        path.chmod(mode)
        return str(path)

    def read(self, *words: str) -> PortalSettings:
        """
        Read a command line, with a secret.
        """
        return self.bare("--secret-file", self.secret, *words)

    def bare(self, *words: str) -> PortalSettings:
        """
        Read a command line.
        """
        options = Options({}, lambda: True, lambda: "laptop")
        options.parseOptions(list(words))
        return options.settings

    def refused(self, *words: str) -> str:
        """
        Read a command line that cannot be used.

        @return: the sentence about it.
        """
        return str(self.assertRaises(UsageError, self.bare, *words))


class ReadTests(OptionsCase):
    """
    What stands on the command line is what the portal does.
    """

    def test_far(self) -> None:
        """
        A far side needs a service and a secret.
        """
        expected = PortalSettings(
            serve=HostPort("127.0.0.1", 9999), secret=SECRET.encode()
        )
        self.assertEqual(self.read(*FAR), expected)

    def test_near(self) -> None:
        """
        The n-th listen belongs to the n-th connect; a bare port is on this machine.
        """
        settings = self.read(
            *NEAR,
            *("--listen", "[::1]:4002", "--connect", "home"),
            *("--rendezvous", "http://rendezvous.example:8900/portals"),
        )
        self.assertEqual(
            settings.leads,
            (
                (HostPort("127.0.0.1", 4001), HostPort("192.0.2.1", 7000)),
                (HostPort("::1", 4002), "home"),
            ),
        )
        self.assertEqual(settings.rendezvous, "http://rendezvous.example:8900/portals/")
        self.assertFalse(settings.far)

    def test_everything(self) -> None:
        """
        Each option reaches the settings.
        """
        settings = self.read(
            *FAR,
            *("--name", "home", "--bind", "7000", "--relay", "vps.example:20417"),
            *("--stun", "stun.example", "--stun", "192.0.2.9:19302"),
            *("--max-datagram", "1200", "--punch-timeout", "3"),
            *("--rendezvous-listen", "8900"),
        )
        self.assertEqual(settings.name, "home")
        self.assertEqual(settings.bind, HostPort("", 7000))
        self.assertEqual(settings.relay, HostPort("vps.example", 20417))
        self.assertEqual(
            settings.stun,
            (HostPort("stun.example", 3478), HostPort("192.0.2.9", 19302)),
        )
        self.assertEqual((settings.longest, settings.punching), (1200, 3.0))
        self.assertEqual(settings.rendezvousAt, "tcp6:8900:backlog=4096")

    def test_via(self) -> None:
        """
        A server for a tunnel, with what a client says about how to log in there.
        """
        token = self.file("token", f"{TOKEN}\n")
        login = ("--via", "vps.example", "--token-file", token)
        expected = ClientSettings(
            server=HostPort("vps.example", 8910),
            token=TOKEN,
            name="laptop",
            tunnels=(),
            grace=0.0,
        )
        self.assertEqual(self.read(*FAR, *login).via, expected)
        via = self.read(*FAR, *login, "--fingerprint", "ab" * 32, "--verify").via
        assert via is not None
        self.assertEqual((via.fingerprint, via.verify), (b"\xab" * 32, True))
        path = self.file(
            "portal.toml",
            'serve = "127.0.0.1:9999"\nvia = "vps.example:443"\ninsecure = true\n'
            'token-file = "token"\n',
        )
        via = self.read("--config", path).via
        assert via is not None
        self.assertEqual(via.server, HostPort("vps.example", 443))
        self.assertEqual((via.token, via.insecure), (TOKEN, True))
        self.assertIsNone(self.read(*FAR).via)

    def test_viaPort(self) -> None:
        """
        The public port of that tunnel is the server's choice, or one's own.
        """
        token = self.file("token", f"{TOKEN}\n")
        login = ("--via", "vps.example", "--token-file", token)
        self.assertEqual(self.read(*FAR, *login).viaPort, 0)
        self.assertEqual(self.read(*FAR, *login, "--via-port", "7001").viaPort, 7001)
        path = self.file("portal.toml", "via-port = 7001\n")
        self.assertEqual(self.read(*FAR, *login, "--config", path).viaPort, 7001)
        for text in ("0", "65536", "any"):
            sentence = self.refused(*FAR, *login, "--via-port", text)
            self.assertTrue(sentence.startswith("--via-port: "), sentence)

    def test_bind(self) -> None:
        """
        The portal's own socket is on all addresses, or on one, and its port may be any.
        """
        for text, expected in (
            ("0", HostPort("", 0)),
            ("127.0.0.1:0", HostPort("127.0.0.1", 0)),
            ("[::1]:7000", HostPort("::1", 7000)),
        ):
            self.assertEqual(self.read(*FAR, "--bind", text).bind, expected)

    def test_compatible(self) -> None:
        """
        The compatible mode has no secret, and the datagrams of programs that are not
        ours, unless told otherwise.
        """
        settings = self.bare("--compatible", *FAR)
        self.assertEqual((settings.secret, settings.longest), (None, 1498))
        settings = self.bare("--compatible", *FAR, "--max-datagram", "65505")
        self.assertEqual(settings.longest, 65505)
        settings = self.bare("--compatible", "--control", "8080")
        self.assertEqual(settings.control, "tcp:8080:interface=127.0.0.1:backlog=4096")

    def test_rendezvousAlone(self) -> None:
        """
        A rendezvous needs no secret, as it carries nothing.
        """
        self.assertIsNone(self.bare("--rendezvous-listen", "8900").secret)

    def test_file(self) -> None:
        """
        All may stand in a file.
        """
        path = self.file(
            "portal.toml",
            'listen = ["4001"]\nconnect = ["192.0.2.1:7000"]\nsecret-file = "secret"\n'
            'stun = "stun.example"\nmax-datagram = 1200\n',
        )
        settings = self.bare("--config", path)
        self.assertEqual(settings.leads[0][0], HostPort("127.0.0.1", 4001))
        self.assertEqual((settings.longest, len(settings.stun)), (1200, 1))

    def test_nothingShown(self) -> None:
        """
        The secret does not get into logs with the settings.
        """
        self.assertNotIn(SECRET, repr(self.read(*FAR)))

    def test_light(self) -> None:
        """
        A portal without a tunnel does not load what logs in to servers.
        """
        program = (
            "import sys; from tunnelkit.commands import portal;"
            "import tunnelkit.portal.service, tunnelkit.commands.surroundings;"
            "sys.exit('tunnelkit.client' in sys.modules)"
        )
        self.assertEqual(subprocess.run([sys.executable, "-c", program]).returncode, 0)

    def test_plugin(self) -> None:
        """
        C{twistd} has the command.
        """
        found = [p for p in getPlugins(IServiceMaker) if p.tapname == "tunnelportal"]
        self.assertEqual([vars(p)["module"] for p in found], [portal.__name__])


class RefusalTests(OptionsCase):
    """
    Who asks for what cannot be reads which option it is, and what to do.
    """

    def test_nothingToDo(self) -> None:
        """
        A portal is far or near, or a rendezvous.
        """
        self.assertIn("there is nothing to do: give --serve", self.refused())
        self.assertIn("--serve is the far side's", self.refused(*FAR, *NEAR))
        sentence = self.refused(*FAR, "--control", "8080")
        self.assertIn("--control the near side's", sentence)

    def test_secret(self) -> None:
        """
        There is no way round a secret, and a bad one is none.
        """
        sentence = self.refused(*FAR)
        self.assertIn("--secret-file is missing", sentence)
        self.assertIn("openssl rand -hex 32", sentence)
        for content, mode, words in (
            ("password", 0o600, "too weak"),
            ("a" * 64, 0o600, "too weak"),
            (SECRET, 0o644, "run chmod 600"),
        ):
            path = self.file("bad", content, mode)
            sentence = self.refused(*FAR, "--secret-file", path)
            self.assertTrue(sentence.startswith("--secret-file: "), sentence)
            self.assertIn(words, sentence)
            self.assertNotIn(SECRET, sentence)
        sentence = self.refused(*FAR, "--secret-file", self.secret, "--compatible")
        self.assertIn("--compatible knows no secret", sentence)

    def test_pairs(self) -> None:
        """
        Each place to listen leads somewhere.
        """
        sentence = self.refused(*NEAR, "--listen", "4002")
        self.assertIn("--listen is given 2 times and --connect 1 times", sentence)

    def test_names(self) -> None:
        """
        Names need a rendezvous, and a rendezvous needs names.
        """
        secret = ("--secret-file", self.secret)
        sentence = self.refused("--listen", "1", "--connect", "home", *secret)
        self.assertIn("--connect: 'home' is a name: give --rendezvous", sentence)
        sentence = self.refused(*FAR, *secret, "--rendezvous", "http://r.example")
        self.assertIn("--name is missing", sentence)

    def test_control(self) -> None:
        """
        Outside the compatible mode not everybody may use the control interface.
        """
        sentence = self.refused("--control", "1", "--secret-file", self.secret)
        self.assertIn("--control-token-file is missing", sentence)

    def test_relay(self) -> None:
        """
        A relay is the far side's, and for sealed packets.
        """
        relay = ("--relay", "192.0.2.1:1", "--secret-file", self.secret)
        self.assertIn("--relay is the far side's", self.refused(*NEAR, *relay))
        sentence = self.refused(*FAR, *relay[:2], "--compatible")
        self.assertIn("--relay needs sealed packets", sentence)

    def test_via(self) -> None:
        """
        A tunnel is the far side's and for sealed packets, needs a token, and what is
        for the tunnel's server is of no use without one.
        """
        secret = ("--secret-file", self.secret)
        token = ("--token-file", self.file("token", str(TOKEN)))
        via = ("--via", "vps.example")
        sentence = self.refused(*NEAR, *secret, *via, *token)
        self.assertIn("--via is the far side's", sentence)
        sentence = self.refused(*FAR, *via, *token, "--compatible")
        self.assertIn("--via needs sealed packets", sentence)
        sentence = self.refused(*FAR, *secret, *via)
        self.assertIn("give a file that holds it with --token-file", sentence)
        sentence = self.refused(*FAR, *secret, *via, *token, "--insecure", "--verify")
        self.assertIn("leave it out, or --verify", sentence)
        for words in (
            token,
            ("--token", str(TOKEN)),
            ("--fingerprint", "ab" * 32),
            ("--verify",),
            ("--insecure",),
            ("--via-port", "7001"),
        ):
            sentence = self.refused(*FAR, *secret, *words)
            expected = f"{words[0]} is about the server of --via: give both, or neither"
            self.assertEqual(sentence, expected)

    def test_values(self) -> None:
        """
        A value that is none is refused by the name of its option.
        """
        many = [word for n in range(9) for word in ("--stun", f"192.0.2.{n}")]
        for words in (
            ["--serve", "nohost"],
            ["--name", "a,b"],
            ["--name", ""],
            ["--bind", "name.example:1"],
            ["--bind", "70000"],
            ["--listen", "localhost:1"],
            ["--connect", "a/b"],
            ["--rendezvous", "ftp://x/"],
            ["--rendezvous", "http:///x"],
            ["--relay", "nowhere"],
            ["--via", "no where"],
            ["--via", "vps.example:0"],
            ["--max-datagram", "0"],
            ["--max-datagram", "65475"],
            ["--max-datagram", "many"],
            ["--punch-timeout", "-1"],
            ["--control", "nonsense"],
            ["--rendezvous-listen", "nonsense"],
            ["--secret-file", str(self.folder / "missing")],
            many,
        ):
            sentence = self.refused(*FAR, *words)
            self.assertTrue(sentence.startswith(f"{words[0]}: "), sentence)
