"""
Tests for L{tunnelkit.wire.proxy}.
"""

from __future__ import annotations

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.protocols.haproxy._info import ProxyInfo
from twisted.protocols.haproxy._v1parser import V1Parser
from twisted.protocols.haproxy._v2parser import V2Parser
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.wire.address import HostPort
from tunnelkit.wire.proxy import proxyHeader

PORTS = st.integers(0, 65535)
IPV4 = st.builds(HostPort, st.ip_addresses(v=4).map(str), PORTS)
IPV6 = st.builds(
    HostPort,
    st.ip_addresses(v=6).map(str).filter(lambda host: "::ffff:" not in host),
    PORTS,
)


def parsed(version: int, header: bytes) -> ProxyInfo:
    """
    Read a header as a local service on Twisted does, the first bytes of the visitor
    behind it.
    """
    parser = V1Parser() if version == 1 else V2Parser()
    info, rest = parser.feed(header + b"GET /")
    assert isinstance(info, ProxyInfo) and rest == b"GET /", (header, rest)
    return info


def shown(address: object) -> HostPort:
    """
    Give what a local service takes an address for.
    """
    assert isinstance(address, IPv4Address | IPv6Address)
    return HostPort(str(ip_address(address.host)), address.port)


class ProxyHeaderTests(SynchronousTestCase):
    """
    A local service that reads the header knows the visitor.
    """

    def assertShown(
        self,
        source: HostPort,
        destination: HostPort,
        seen: tuple[HostPort, HostPort],
    ) -> None:
        """
        Check what a local service sees, in both versions.
        """
        for version in (1, 2):
            info = parsed(version, proxyHeader(version, source, destination))
            self.assertEqual((shown(info.source), shown(info.destination)), seen)

    @given(st.tuples(IPV4, IPV4))
    def test_IPv4(self, pair: tuple[HostPort, HostPort]) -> None:
        """
        Any two IPv4 addresses arrive.
        """
        self.assertShown(*pair, pair)

    @given(st.tuples(IPV6, IPV6))
    def test_IPv6(self, pair: tuple[HostPort, HostPort]) -> None:
        """
        Any two IPv6 addresses arrive.
        """
        self.assertShown(*pair, pair)

    def test_bytes(self) -> None:
        """
        The bytes are those of HAProxy's specification.
        """
        source, destination = HostPort("192.0.2.1", 56324), HostPort("10.0.0.1", 443)
        self.assertEqual(
            proxyHeader(1, source, destination),
            b"PROXY TCP4 192.0.2.1 10.0.0.1 56324 443\r\n",
        )
        self.assertEqual(
            proxyHeader(2, source, destination),
            b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"
            b"\xc0\x00\x02\x01\x0a\x00\x00\x01\xdc\x04\x01\xbb",
        )

    def test_unknown(self) -> None:
        """
        With one address missing, no address at all, or two families, the service is
        told nothing rather than something wrong.
        """
        known = HostPort("192.0.2.1", 80)
        for source, destination in (
            (None, None),
            (known, None),
            (None, known),
            (known, HostPort("2001:db8::1", 80)),
            (HostPort("2001:db8::1", 80), known),
            (HostPort("localhost", 80), known),
            (known, HostPort("", 80)),
        ):
            # Twisted's reader of version 1 wants more on this line; HAProxy's
            # specification lets the sender leave it out.
            text = proxyHeader(1, source, destination)
            self.assertEqual(text, b"PROXY UNKNOWN\r\n")
            binary = proxyHeader(2, source, destination)
            self.assertEqual(binary, b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00")
            info = parsed(2, binary)
            self.assertEqual((info.source, info.destination), (None, None))

    def test_mapped(self) -> None:
        """
        Visitors over IPv4 of a dual-stack socket are IPv4 visitors.
        """
        self.assertShown(
            HostPort("::ffff:192.0.2.1", 1234),
            HostPort("::ffff:10.0.0.1", 443),
            (HostPort("192.0.2.1", 1234), HostPort("10.0.0.1", 443)),
        )
        self.assertShown(
            HostPort("192.0.2.1", 1234),
            HostPort("::ffff:10.0.0.1", 443),
            (HostPort("192.0.2.1", 1234), HostPort("10.0.0.1", 443)),
        )

    def test_mappedBesideIPv6(self) -> None:
        """
        Beside an IPv6 address a mapped one arrives in IPv6's form.
        """
        mapped = str(ip_address("::ffff:192.0.2.1"))
        self.assertShown(
            HostPort("::ffff:192.0.2.1", 1234),
            HostPort("2001:db8::1", 443),
            (HostPort(mapped, 1234), HostPort("2001:db8::1", 443)),
        )

    def test_scope(self) -> None:
        """
        A scope id means nothing to another program and is left out.
        """
        self.assertShown(
            HostPort("fe80::1%eth0", 1234),
            HostPort("fe80::2%eth0", 443),
            (HostPort("fe80::1", 1234), HostPort("fe80::2", 443)),
        )

    def test_noSuchVersion(self) -> None:
        """
        A version that does not exist is named.
        """
        error = self.assertRaises(ValueError, proxyHeader, 3, None, None)
        self.assertIn("version 3", str(error))
