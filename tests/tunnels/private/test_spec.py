"""
Tests for L{tunnelkit.tunnels.private.spec} and L{tunnelkit.tunnels.private.keyfile}.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.tunnels.kinds import PARSERS
from tunnelkit.tunnels.private.spec import (
    VisitSpec,
    parseKey,
    parseSocks,
    parseVisit,
)
from tunnelkit.tunnels.spec import TunnelSpec, parseTunnel
from tunnelkit.wire.address import HostPort, SocketPath
from tunnelkit.wire.endkey import newEndKey

KEY: Final = newEndKey(datetime(2027, 1, 1, tzinfo=UTC))


def read(name: str) -> str:
    """
    Give the text of the one file that there is.
    """
    if name != "ssh.key":
        raise ValueError(f"{name} cannot be read: No such file or directory")
    return KEY.pem.decode()


class SpecCase(SynchronousTestCase):
    """
    What a user writes.
    """

    def refusal(self, parse: Any, *arguments: Any) -> str:
        """
        Give why something cannot be used.
        """
        return str(self.assertRaises(ValueError, parse, *arguments))


class TunnelTests(SpecCase):
    """
    C{--tunnel private:} and C{private-udp:}.
    """

    def tunnel(self, text: str) -> TunnelSpec:
        """
        Read a tunnel.
        """
        return parseTunnel(text, PARSERS, read)

    def test_plain(self) -> None:
        """
        A service and a name is all that is needed.
        """
        self.assertEqual(
            self.tunnel("private:22:name=ssh"),
            TunnelSpec(kind="private", local=HostPort("127.0.0.1", 22), name="ssh"),
        )
        self.assertEqual(
            self.tunnel("private-udp:10.0.0.5:53:name=dns"),
            TunnelSpec(kind="private-udp", local=HostPort("10.0.0.5", 53), name="dns"),
        )

    def test_all(self) -> None:
        """
        It may say who may visit, have a key, limits, and a PROXY header.
        """
        spec = self.tunnel(
            "private:unix=/run/x:name=x:visitors=alice+bob+alice:keyFile=ssh.key"
            ":proxy=v2:limit=1MB/s"
        )
        self.assertEqual(spec.local, SocketPath("/run/x"))
        self.assertEqual((spec.visitors, spec.key), (("alice", "bob"), KEY))
        self.assertEqual((spec.proxy, spec.limits.inward), (2, 1_000_000))
        self.assertNotIn("PRIVATE", repr(spec))

    def test_refused(self) -> None:
        """
        What cannot be is named.
        """
        long = "é" * 101
        for text, words in (
            ("private:22", "has no port, only a name"),
            ("private:22:name=a b", "cannot be a tunnel's name"),
            ("private:22:name=ssh:port=9000", "private has no option 'port'"),
            ("private:22:name=ssh:compress=deflate", "has no option 'compress'"),
            ("private:22:name=ssh:visitors=", "'' is no user's name"),
            ("private:22:name=ssh:visitors=Alice", "'Alice' is no user's name"),
            ("private:22:name=ssh:keyFile=", "keyFile= is empty"),
            ("private:22:name=ssh:keyFile=x", "keyFile=x: x cannot be read"),
            (f"private:22:name={long}:keyFile=ssh.key", "at most 200 bytes"),
            ("private-udp:53:name=dns:proxy=v1", "has no options proxy and unix"),
            ("private-udp:unix=/run/x:name=dns", "has no options proxy and unix"),
        ):
            self.assertIn(words, self.refusal(self.tunnel, text))
        self.tunnel(f"private:22:name={long}")

    def test_file(self) -> None:
        """
        Where nothing else is said files are those of the system.
        """
        path = Path(self.mktemp())
        path.write_bytes(KEY.pem)
        spec = parseTunnel(f"private:22:name=ssh:keyFile={path}", PARSERS)
        self.assertEqual(spec.key, KEY)
        words = self.refusal(
            parseTunnel, f"private:22:name=ssh:keyFile={path}.no", PARSERS
        )
        self.assertIn("cannot be read: No such file or directory", words)
        path.write_text("tk1_default_secret")
        words = self.refusal(
            parseTunnel, f"private:22:name=ssh:keyFile={path}", PARSERS
        )
        self.assertIn("it holds no key for private tunnels", words)
        self.assertNotIn("secret", words)


class VisitTests(SpecCase):
    """
    C{--visit}.
    """

    def test_places(self) -> None:
        """
        Visitors come to a port of this machine alone, to another one, or to a socket.
        """
        for text, at in (
            ("ssh:2222", HostPort("127.0.0.1", 2222)),
            ("ssh:2222:interface=10.0.0.5", HostPort("10.0.0.5", 2222)),
            ("ssh:2222:interface=[::1]", HostPort("::1", 2222)),
            ("ssh:2222:interface=0.0.0.0", HostPort("0.0.0.0", 2222)),
            ("ssh:unix=/run/ssh.sock", SocketPath("/run/ssh.sock")),
        ):
            self.assertEqual(parseVisit(text), VisitSpec(name="ssh", at=at))

    def test_key(self) -> None:
        """
        It may have a key.
        """
        spec = parseVisit("ssh:2222:keyFile=ssh.key", read)
        self.assertEqual(spec.key, KEY)

    def test_refused(self) -> None:
        """
        What cannot be is named.
        """
        for text, words in (
            ("ssh", "it does not say where visitors come to: write NAME:PORT"),
            ("ssh:22:23", "more than a name and a port"),
            (":22", "'' cannot be a tunnel's name"),
            ("ssh:0", "'0' is not a port"),
            ("ssh:x", "'x' is not a port"),
            ("ssh:22:unix=/x", "both unix=PATH and a port"),
            ("ssh:unix=/x:interface=::1", "both unix=PATH and a port"),
            ("ssh:unix=", "it is not the path of a UNIX socket"),
            ("ssh:22:interface=", "interface=: "),
            ("ssh:22:interface=::1", "write an IPv6 address in brackets"),
            ("ssh:22:interface=fe80::1", "brackets: interface=[2001:db8::1]"),
            ("ssh:22:name=x", "a visit has no option 'name', only interface, key"),
            ("ssh:22:keyFile=x", "keyFile=x: x cannot be read"),
        ):
            words_ = self.refusal(parseVisit, text, read)
            self.assertIn(words, words_)
            self.assertTrue(words_.startswith("visit "), words_)


class SocksTests(SpecCase):
    """
    C{--socks} and C{--key}.
    """

    def test_socks(self) -> None:
        """
        A port is one of this machine alone.
        """
        self.assertEqual(parseSocks("1080"), HostPort("127.0.0.1", 1080))
        self.assertEqual(parseSocks("[::1]:1080"), HostPort("::1", 1080))
        self.assertEqual(parseSocks("10.0.0.5:1080"), HostPort("10.0.0.5", 1080))
        for text in ("", "0", "10.0.0.5", "x:y"):
            self.refusal(parseSocks, text)

    def test_key(self) -> None:
        """
        A key is a tunnel's, by its name.
        """
        self.assertEqual(parseKey("ssh=ssh.key", read), ("ssh", KEY))
        for text, words in (
            ("ssh", "is not NAME=FILE"),
            ("=ssh.key", "is not NAME=FILE"),
            ("ssh=", "is not NAME=FILE"),
            ("ssh=x", "x cannot be read"),
        ):
            self.assertIn(words, self.refusal(parseKey, text, read))
