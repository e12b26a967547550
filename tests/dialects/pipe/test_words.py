"""
Tests for L{tunnelkit.dialects.pipe.words}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.dialects.foreign import ClientWords, ServerWords
from tunnelkit.dialects.pipe.words import clientWords, serverWords
from tunnelkit.tunnels.spec import Limits, TunnelSpec
from tunnelkit.wire.address import HostPort


class ServerTests(SynchronousTestCase):
    """
    A server's file says what our options say.
    """

    def test_everything(self) -> None:
        """
        Each key has its effect.
        """
        text = b"""
            port = 7000
            admin-port = 0
            domain-tunnel = true
            domain = "example.com"
            token = "abc"
        """
        words = serverWords(text, "ps.toml")
        options = {"token": "abc", "domain": "example.com"}
        self.assertEqual(words, ServerWords(options, 7000, 0))
        self.assertNotIn("abc", repr(words))

    def test_switchedOff(self) -> None:
        """
        A domain that is not switched on is none, as there.
        """
        words = serverWords(b'token = "abc"\ndomain = "example.com"', "ps.toml")
        self.assertEqual(words, ServerWords({"token": "abc"}))

    def test_noDomain(self) -> None:
        """
        One that is switched on and missing is refused.
        """
        error = self.assertRaises(
            ValueError, serverWords, b"domain-tunnel = true", "ps.toml"
        )
        self.assertIn("ps.toml: the key 'domain-tunnel'", str(error))


class ClientTests(SynchronousTestCase):
    """
    So does a client's.
    """

    def test_everything(self) -> None:
        """
        Each key has its effect.
        """
        text = b"""
            server-addr = "vps:7000"
            token = "abc"
            [[forwards]]
            proxy-name = "web"
            subdomain = "blog"
            remote-port = 9000
            local-port = 3000
            speed-limit = "500kb"
            proxy-type = "tcp"
        """
        spec = TunnelSpec(
            kind="tcp",
            local=HostPort("127.0.0.1", 3000),
            port=9000,
            name="web",
            limits=Limits(inward=512000, outward=512000),
            subdomain="blog",
        )
        words = clientWords(text, "pc.toml")
        self.assertEqual(words, ClientWords("vps:7000", "abc", (spec,)))
        self.assertNotIn("abc", repr(words))

    def test_names(self) -> None:
        """
        Names that the program does not look at may be missing, the same, or odd.
        """
        forwards = "".join(
            f'[[forwards]]\nproxy-name = "{name}"\nremote-port = {port}\n'
            'local-port = 1\nproxy-type = "udp"\n'
            for port, name in enumerate(("", "a b", "a b", "x" * 500), 9000)
        )
        words = clientWords(forwards.encode(), "pc.toml")
        self.assertEqual(
            [each.name for each in words.tunnels],
            ["udp-9000", "a-b", "a-b-9002", "x" * 180],
        )
