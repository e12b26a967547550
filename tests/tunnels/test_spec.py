"""
Tests for L{tunnelkit.tunnels.spec}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.tunnels.spec import (
    Limits,
    TunnelSpec,
    isTunnelName,
    parseTCP,
    parseTunnel,
    parseUDP,
    splitDescription,
)
from tunnelkit.wire import packing
from tunnelkit.wire.address import LONGEST_PATH, HostPort, SocketPath

KINDS = {"tcp": parseTCP, "also": parseTCP}


def escaped(text: str) -> str:
    """
    Write text so that nothing in it has a meaning.
    """
    return "".join("\\" + each if each in ":=[]\\" else each for each in text)


class SplitDescriptionTests(SynchronousTestCase):
    """
    Descriptions come apart as endpoint strings do.
    """

    def test_pieces(self) -> None:
        """
        Options may stand anywhere behind the kind.
        """
        self.assertEqual(
            splitDescription("tcp:10.0.0.5:port=2222:22:name=ssh"),
            ("tcp", ["10.0.0.5", "22"], {"port": "2222", "name": "ssh"}),
        )
        self.assertEqual(splitDescription("tcp"), ("tcp", [], {}))
        self.assertEqual(splitDescription(""), ("", [], {}))
        self.assertEqual(splitDescription("tcp:"), ("tcp", [""], {}))

    def test_brackets(self) -> None:
        """
        An IPv6 address in brackets stays in one piece.
        """
        self.assertEqual(
            splitDescription("tcp:[2001:db8::1]:22:at=[::1]:80"),
            ("tcp", ["[2001:db8::1]", "22", "80"], {"at": "[::1]"}),
        )

    def test_escapes(self) -> None:
        r"""
        A C{\} takes the meaning of the character after it away.
        """
        self.assertEqual(
            splitDescription(r"tcp:a\:b\=c:unix=/run/\[x\]\\:name=a=b"),
            ("tcp", ["a:b=c"], {"unix": "/run/[x]\\", "name": "a=b"}),
        )

    def test_refused(self) -> None:
        """
        What has no clear meaning is refused with what is wrong.
        """
        for text, words in (
            ("tcp:port=1:port=2", "'port' is given twice"),
            ("port=9000:8000", "a kind must come before the option 'port'"),
            ("tcp:[::1:22", "a '[' has no ']'"),
            ("tcp:8000\\", "at the end"),
        ):
            error = self.assertRaises(ValueError, splitDescription, text)
            self.assertIn(words, str(error))

    @given(
        st.text(max_size=8),
        st.lists(st.text(max_size=8), max_size=4),
        st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=4),
    )
    def test_anyPieces(
        self, kind: str, arguments: list[str], options: dict[str, str]
    ) -> None:
        """
        Whatever a name or a path holds can be written in a description.
        """
        pieces = [escaped(each) for each in (kind, *arguments)]
        pieces += [
            f"{escaped(name)}={escaped(value)}" for name, value in options.items()
        ]
        self.assertEqual(splitDescription(":".join(pieces)), (kind, arguments, options))


class ParseTCPTests(SynchronousTestCase):
    """
    A TCP service is described in a few characters.
    """

    def parse(self, text: str) -> TunnelSpec:
        """
        Read a description.
        """
        return parseTunnel(text, KINDS)

    def test_portAlone(self) -> None:
        """
        A port is enough: the service is on this machine, the server picks the rest.
        """
        self.assertEqual(
            self.parse("tcp:8000"),
            TunnelSpec(
                kind="tcp",
                local=HostPort("127.0.0.1", 8000),
                port=0,
                name="tcp-127.0.0.1:8000",
                proxy=0,
            ),
        )

    def test_everything(self) -> None:
        """
        Host, public port, name and PROXY header are taken as they are given.
        """
        self.assertEqual(
            self.parse("tcp:10.0.0.5:22:port=2222:name=ssh:proxy=v2"),
            TunnelSpec(
                kind="tcp",
                local=HostPort("10.0.0.5", 22),
                port=2222,
                name="ssh",
                proxy=2,
            ),
        )
        self.assertEqual(self.parse("tcp:8000:proxy=v1").proxy, 1)

    def test_hosts(self) -> None:
        """
        Names and IPv6 addresses in brackets are hosts too.
        """
        for text, local, name in (
            ("tcp:localhost:80", HostPort("localhost", 80), "tcp-localhost:80"),
            ("tcp:[::1]:80", HostPort("::1", 80), "tcp-[::1]:80"),
        ):
            spec = self.parse(text)
            self.assertEqual((spec.local, spec.name), (local, name))

    def test_socket(self) -> None:
        """
        A service on a UNIX socket is published by its path.
        """
        spec = self.parse("tcp:unix=/run/app.sock:port=9001")
        self.assertEqual(spec.local, SocketPath("/run/app.sock"))
        self.assertEqual((spec.port, spec.name), (9001, "tcp-unix:/run/app.sock"))

    def test_refused(self) -> None:
        """
        Each mistake is answered with the description, what is wrong in it, and what
        would do.
        """
        for text, *words in (
            ("8000", "no kind '8000'", "KIND:[HOST:]PORT", "also, tcp"),
            ("ftp:53", "no kind 'ftp'", "also, tcp"),
            ("tcp", "local port is missing", "tcp:[HOST:]PORT"),
            ("tcp:port=9000", "local port is missing"),
            ("tcp:", "'' is not a port"),
            ("tcp:http", "'http' is not a port", "from 1 to 65535"),
            ("tcp:0", "'0' is not a port"),
            ("tcp:10.0.0.5:70000", "'70000' is not a port"),
            ("tcp::8000", "names no host"),
            ("tcp:::1:8000", "IPv6 addresses in brackets"),
            ("tcp:a b:8000", "'a b' is not a host"),
            ("tcp:8000:port=0", "port=0", "the server picks one"),
            ("tcp:8000:port=", "port=: '' is not a port"),
            ("tcp:8000:proxy=v3", "proxy=v3", "v1 or v2"),
            ("tcp:8000:compress=lz4", "compress=lz4: it is deflate or zstd"),
            ("tcp:8000:compress=", "compress=: it is deflate or zstd"),
            ("tcp:8000:limit=10", "limit=10", "write such as 64KiB"),
            ("tcp:8000:limit-in=1B/s", "limit-in=1B/s", "the least is 1000"),
            ("tcp:8000:limit-out=1MB/h", "limit-out=1MB/h", "such as 10MB/s"),
            ("tcp:8000:limit=1MB:burst=x", "burst=x", "write such as 64KiB"),
            ("tcp:8000:burst=1MB", "burst=", "of no use without limit="),
            ("tcp:8000:prot=9000", "no option 'prot'", "limit-out, name, port, proxy"),
            ("tcp:8000:port=1:port=2", "'port' is given twice"),
            ("tcp:8000:unix=/run/app.sock", "both unix=PATH and a port"),
            ("tcp:unix=", "unix=", f"1 to {LONGEST_PATH} bytes"),
            ("tcp:unix=/" + "x" * LONGEST_PATH, f"1 to {LONGEST_PATH} bytes"),
            ("tcp:unix=/run/my app", "name=NAME"),
            ("tcp:8000:name=", "'' cannot be a tunnel's name"),
            ("tcp:8000:name=a b", "'a b' cannot be a tunnel's name"),
            ("tcp:8000:name=" + "x" * 201, "at most 200 printable"),
        ):
            error = self.assertRaises(ValueError, self.parse, text)
            for each in (repr(text), *words):
                self.assertIn(each, str(error))

    def test_longestPath(self) -> None:
        """
        A path is refused only where the system would refuse it, in bytes.
        """
        path = "/" + "x" * 106
        self.assertEqual(self.parse(f"tcp:unix={path}").local, SocketPath(path))
        self.assertRaises(ValueError, self.parse, "tcp:unix=/" + "ü" * 54)

    @given(st.text(max_size=30) | st.text("tcp:=[]\\0189unixporame", max_size=30))
    def test_anyText(self, text: str) -> None:
        """
        Whatever is typed is a tunnel or is refused in words.
        """
        for typed in (text, f"tcp:{text}", f"tcp:8000:{text}"):
            try:
                spec = self.parse(typed)
            except ValueError as e:
                self.assertIn(repr(typed), str(e))
            else:
                self.assertTrue(isTunnelName(spec.name))

    def test_limits(self) -> None:
        """
        A limit is for each direction, unless one has its own.
        """
        for options, inward, outward, burst in (
            ("limit=10MB/s", 10**7, 10**7, 0),
            ("limit-in=1MB/s", 10**6, 0, 0),
            ("limit=10MB/s:limit-out=2MB/s:burst=64KiB", 10**7, 2 * 10**6, 65536),
        ):
            limits = Limits(inward=inward, outward=outward, burst=burst)
            self.assertEqual(self.parse(f"tcp:8000:{options}").limits, limits)

    def test_compression(self) -> None:
        """
        Nothing is compressed unless that is said.
        """
        self.assertEqual(self.parse("tcp:8000").compress, "")
        self.assertEqual(self.parse("tcp:8000:compress=deflate").compress, "deflate")

    def test_noLibrary(self) -> None:
        """
        Where the library for it is not installed that is said, and what to do.
        """
        self.patch(packing, "library", object)
        self.assertEqual(self.parse("tcp:8000:compress=zstd").compress, "zstd")
        self.patch(packing, "library", lambda: None)
        error = self.assertRaises(ValueError, self.parse, "tcp:8000:compress=zstd")
        self.assertIn("install tunnelkit[zstd], or write compress=deflate", str(error))


class ParseUDPTests(SynchronousTestCase):
    """
    A UDP tunnel is told of like one of TCP.
    """

    def test_options(self) -> None:
        """
        It takes a port or an address, and the options that mean something with it.
        """
        spec = parseUDP(["53"], {})
        self.assertEqual(str(spec.local), "127.0.0.1:53")
        self.assertEqual((spec.kind, spec.name), ("udp", "udp-127.0.0.1:53"))
        options = {"port": "5300", "name": "dns", "limit": "1MB/s"}
        spec = parseUDP(["[fd00::5]", "53"], {**options, "compress": "deflate"})
        self.assertEqual((str(spec.local), spec.port), ("[fd00::5]:53", 5300))
        self.assertEqual((spec.name, spec.compress), ("dns", "deflate"))
        self.assertEqual(spec.limits, Limits(inward=10**6, outward=10**6))

    def test_refused(self) -> None:
        """
        What means nothing with it is named.
        """
        for arguments, options, words in (
            (
                ["53"],
                {"proxy": "v2"},
                "udp has no option 'proxy', only burst, compress",
            ),
            ([], {"unix": "/run/s"}, "udp has no option 'unix'"),
            ([], {}, "the local port is missing: write udp:[HOST:]PORT"),
            (["a", "1", "2"], {}, "write udp:[HOST:]PORT, IPv6"),
        ):
            error = self.assertRaises(ValueError, parseUDP, arguments, options)
            self.assertIn(words, str(error))


class TunnelSpecTests(SynchronousTestCase):
    """
    A program that makes tunnels by itself is held to the same rules.
    """

    def make(self, port: int = 0, name: str = "web", proxy: int = 0) -> TunnelSpec:
        """
        Make a tunnel.
        """
        local = HostPort("127.0.0.1", 80)
        return TunnelSpec(kind="tcp", local=local, port=port, name=name, proxy=proxy)

    def test_refused(self) -> None:
        """
        Ports, names and versions that do not exist are refused at once.
        """
        for port, name, proxy in (
            (65536, "web", 0),
            (-1, "web", 0),
            (0, "", 0),
            (0, "a b", 0),
            (0, "web", 3),
        ):
            self.assertRaises(ValueError, self.make, port, name, proxy)

    def test_names(self) -> None:
        """
        A tunnel's name fits on one line of a log and is seen whole.
        """
        for name in ("web", "tcp-[::1]:80", "bücher", "x" * 200):
            self.assertTrue(isTunnelName(name), name)
        for name in ("", " ", "a\tb", "a\nb", "a\u00a0b", "a\ud800", "x" * 201):
            self.assertFalse(isTunnelName(name), ascii(name))
