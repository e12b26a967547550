"""
Tests for L{tunnelkit.wire.address}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.wire.address import (
    HostPort,
    SocketPath,
    parseHostPort,
    parsePort,
    unmapped,
)

HOSTS = st.one_of(
    st.from_regex(r"[a-z][a-z0-9-]{0,20}(\.[a-z]{2,5})?", fullmatch=True),
    st.ip_addresses().map(str),
)


class AddressTextTests(SynchronousTestCase):
    """
    An address is shown as a person would write it.
    """

    def test_hostAndPort(self) -> None:
        """
        A name and an IPv4 address stand before the port as they are.
        """
        self.assertEqual(str(HostPort("example.org", 80)), "example.org:80")
        self.assertEqual(str(HostPort("192.0.2.1", 80)), "192.0.2.1:80")

    def test_IPv6(self) -> None:
        """
        An IPv6 address is in brackets, so that its end and the port are clear.
        """
        self.assertEqual(str(HostPort("2001:db8::1", 80)), "[2001:db8::1]:80")

    def test_socket(self) -> None:
        """
        A UNIX socket is told from a host.
        """
        self.assertEqual(str(SocketPath("/run/app.sock")), "unix:/run/app.sock")


class ParsePortTests(SynchronousTestCase):
    """
    A port is a number that a socket can have.
    """

    def test_ports(self) -> None:
        """
        The lowest and the highest port are ports.
        """
        self.assertEqual(parsePort("1"), 1)
        self.assertEqual(parsePort("65535"), 65535)

    def test_notPorts(self) -> None:
        """
        Everything else is refused with the text and the numbers that would do.
        """
        for text in (
            "",
            "0",
            "65536",
            "-1",
            "+1",
            " 1",
            "1_0",
            "http",
            "٣",
            "9" * 5000,
        ):
            error = self.assertRaises(ValueError, parsePort, text)
            self.assertIn(repr(text), str(error))
            self.assertIn("from 1 to 65535", str(error))


class ParseHostPortTests(SynchronousTestCase):
    """
    What people write as a server's address is understood, or refused in words.
    """

    def test_understood(self) -> None:
        """
        A port in the text wins; else the usual one is taken.
        """
        for text, host, port in (
            ("vps.example.org", "vps.example.org", 8910),
            ("vps.example.org:9000", "vps.example.org", 9000),
            ("my_server-1:9000", "my_server-1", 9000),
            ("bücher.example", "bücher.example", 8910),
            ("192.0.2.1", "192.0.2.1", 8910),
            ("192.0.2.1:9000", "192.0.2.1", 9000),
            ("[2001:db8::1]", "2001:db8::1", 8910),
            ("[2001:db8::1]:9000", "2001:db8::1", 9000),
            ("[fe80::1%eth0]:9000", "fe80::1%eth0", 9000),
        ):
            self.assertEqual(parseHostPort(text, 8910), HostPort(host, port), text)

    @given(HOSTS, st.integers(1, 65535))
    def test_backAgain(self, host: str, port: int) -> None:
        """
        An address that was shown can be typed in again.
        """
        address = HostPort(host, port)
        self.assertEqual(parseHostPort(str(address)), address)

    @given(st.text(max_size=20) | st.text("[]:.%10af", max_size=20))
    def test_anyText(self, text: str) -> None:
        """
        Whatever is typed gives an address or a sentence, never a traceback.
        """
        try:
            address = parseHostPort(text, 8910)
        except ValueError as e:
            self.assertIn(" ", str(e))
        else:
            self.assertEqual(parseHostPort(str(address)), address)

    def test_bracketInZone(self) -> None:
        """
        A zone with a bracket is refused: such an address could not be typed in again as
        it is shown.
        """
        for text in ("fe80::1%]", "[fe80::1%[]:9000", "fe80::1%a]b"):
            self.assertRaises(ValueError, parseHostPort, text, 8910)

    def test_bareIPv6(self) -> None:
        """
        Without brackets an IPv6 address is understood where there is only one way.
        """
        for text, host, port in (
            ("2001:db8::beef", "2001:db8::beef", 8910),
            ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8", 8910),
            ("1:2:3:4:5:6:7:8:9000", "1:2:3:4:5:6:7:8", 9000),
            ("::ffff:192.0.2.1:9000", "::ffff:192.0.2.1", 9000),
        ):
            self.assertEqual(parseHostPort(text, 8910), HostPort(host, port), text)

    def test_ambiguousIPv6(self) -> None:
        """
        Where the end of the address could be the port, brackets are asked for.
        """
        for text in ("2001:db8::1:8910", "::1:80", "a:b:c", "1:2:3:4:5:6:7:8:9:1"):
            error = self.assertRaises(ValueError, parseHostPort, text, 8910)
            self.assertIn("brackets", str(error))

    def test_badBrackets(self) -> None:
        """
        Brackets hold an IPv6 address, and nothing but a port follows them.
        """
        for text in ("[::1", "[]", "[::1]9000", "[192.0.2.1]:80", "[example.org]:80"):
            error = self.assertRaises(ValueError, parseHostPort, text, 8910)
            self.assertIn("not an IPv6 address in brackets", str(error))

    def test_noPort(self) -> None:
        """
        Where no port is usual, the sentence shows how to write one.
        """
        for text, shown in (
            ("example.org", "write example.org:PORT"),
            ("[::1]", "write [::1]:PORT"),
            ("2001:db8::beef", "write [2001:db8::beef]:PORT"),
        ):
            error = self.assertRaises(ValueError, parseHostPort, text)
            self.assertIn(shown, str(error))

    def test_badPort(self) -> None:
        """
        A port that cannot be, or is empty, is not passed over for the usual one.
        """
        for text in (
            "example.org:0",
            "example.org:",
            "[::1]:",
            "[::1]:65536",
            "a:http",
        ):
            error = self.assertRaises(ValueError, parseHostPort, text, 8910)
            self.assertIn("is not a port", str(error))

    def test_badHost(self) -> None:
        """
        URLs, spaces, numbers and leading dashes are no hosts.
        """
        for text, words in (
            ("", "names no host"),
            (":8910", "names no host"),
            ("two words", "is not a host"),
            ("-host", "is not a host"),
            ("user@host", "is not a host"),
            ("host/path", "is not a host"),
            ("https://host", "is not a port"),
            ("8910", "neither a host's name nor an IPv4 address"),
            ("300.1.1.1", "neither a host's name nor an IPv4 address"),
        ):
            error = self.assertRaises(ValueError, parseHostPort, text, 8910)
            self.assertIn(words, str(error))


class UnmappedTests(SynchronousTestCase):
    """
    A visitor over IPv4 is shown as one, though the socket speaks both.
    """

    def test_mapped(self) -> None:
        """
        However a mapped address is written, the IPv4 address comes out.
        """
        for host in ("::ffff:192.0.2.1", "::FFFF:c000:201", "0:0:0:0:0:ffff:192.0.2.1"):
            self.assertEqual(unmapped(host), "192.0.2.1")

    def test_others(self) -> None:
        """
        Every other host is left as it is, scope ids included.
        """
        for host in (
            "192.0.2.1",
            "::1",
            "2001:db8::1",
            "fe80::1%eth0",
            "::ffff:0:192.0.2.1",
            "localhost",
            "unix:/x",
            "",
        ):
            self.assertEqual(unmapped(host), host)
