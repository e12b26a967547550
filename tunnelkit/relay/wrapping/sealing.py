# -*- test-case-name: tests.relay.wrapping.test_sealed -*-
"""
Sealing: what the two clients of one private tunnel encrypt by.
"""

from __future__ import annotations

from typing import Any, Final

from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IReactorTime

from tunnelkit.interfaces import IEnd
from tunnelkit.relay.wrapping.sealed import Sealed
from tunnelkit.wire.endkey import EndKey

PROTOCOL: Final = "tunnelkit-private/"
"""What is before the tunnel's name in the protocol that both name."""

_LONGEST: Final = 255
"""The longest name of a protocol, in bytes (RFC 7301)."""


class Sealing:
    """
    What the streams of one tunnel are encrypted by.
    """

    def __init__(self, key: EndKey, tunnel: str, clock: IReactorTime) -> None:
        self.key = key
        self.protocol = (PROTOCOL + tunnel).encode()
        self.clock = clock
        assert len(self.protocol) <= _LONGEST, "too long a name"
        self._sides = {client: self._context(client) for client in (False, True)}

    def end(self, work: IEnd, client: bool) -> Sealed:
        """
        Give the end to join in place of a work connection.

        @param client: whether this side is TLS's client, as the visitor's is.
        """
        return Sealed(work, self, SSL.Connection(self._sides[client], None), client)

    def _context(self, client: bool) -> SSL.Context:
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_min_proto_version(SSL.TLS1_3_VERSION)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.use_certificate(
            crypto.load_certificate(crypto.FILETYPE_PEM, self.key.pem)
        )
        context.use_privatekey(
            crypto.load_privatekey(crypto.FILETYPE_PEM, self.key.pem)
        )
        demands = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
        context.set_verify(demands, self._knows)
        if client:
            context.set_alpn_protos([self.protocol])
        else:
            context.set_alpn_select_callback(self._select)
        return context

    def _knows(
        self, connection: Any, shown: crypto.X509, error: int, depth: int, good: int
    ) -> bool:
        """
        Take the one certificate, whatever else may be said of it.
        """
        der = crypto.dump_certificate(crypto.FILETYPE_ASN1, shown)
        return depth == 0 and der == self.key.certificate

    def _select(self, connection: Any, offered: list[bytes]) -> Any:
        if self.protocol in offered:
            return self.protocol
        return SSL.NO_OVERLAPPING_PROTOCOLS  # which is looked at later
