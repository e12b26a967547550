# -*- test-case-name: tests.relay.test_secure -*-
"""
Secure: TLS 1.3 on a plain connection, for both sides, and what a connection showed.

Trust comes from the login, which is bound to the certificate (docs/security.rst), so
neither side needs an authority; a client may ask for one on top.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key,
)
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    ITransport,
)
from twisted.internet.ssl import (
    Certificate,
    TLSVersion,
    optionsForClientTLS,
    trustRootFromCertificates,
)
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from tunnelkit.wire.certificate import CertificatePair

ALPN: Final = (b"tunnelkit/1", b"http/1.1")
"""What is offered in the handshake: a hint for boxes in between, no more."""

TLS13: Final = "TLSv1.3"


@dataclass(frozen=True, slots=True)
class Seen:
    """
    What a handshake showed.

    @ivar version: such as C{TLSv1.3}.
    @ivar certificate: the server's certificate, DER.
    """

    version: str
    certificate: bytes


def seen(transport: ITransport, client: bool) -> Seen:
    """
    Say what the handshake of a TLS transport showed, once that is complete.

    @param client: whether this side is the client, which sees the certificate of its
        peer; the server sees the one it chose.
    """
    own = getattr(transport, "seen", None)
    if isinstance(own, Seen):
        return own
    handle: SSL.Connection = transport.getHandle()  # type: ignore[attr-defined]
    shown = handle.get_peer_certificate() if client else handle.get_certificate()
    if shown is None:
        raise ValueError("the handshake showed no certificate")
    der = crypto.dump_certificate(crypto.FILETYPE_ASN1, shown)
    return Seen(handle.get_protocol_version_name(), der)


def _context(method: int) -> SSL.Context:
    context = SSL.Context(method)
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    # An idle connection keeps no buffers: a third of its memory.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    return context


def _chosen(connection: SSL.Connection, offered: list[bytes]) -> Any:
    """
    Answer a client's ALPN: ours where it is offered, and no refusal otherwise.
    """
    return ALPN[0] if ALPN[0] in offered else SSL.NO_OVERLAPPING_PROTOCOLS


@implementer(IOpenSSLServerConnectionCreator)
class ServerTLS:
    """
    The server's side of TLS: the certificate that new connections are shown.

    @ivar pair: that certificate and its key.
    """

    def __init__(self, pair: CertificatePair) -> None:
        self.show(pair)

    def show(self, pair: CertificatePair) -> None:
        """
        Show another certificate from now on; connections that are up stay.
        """
        context = _context(SSL.TLS_SERVER_METHOD)
        leaf, *others = x509.load_pem_x509_certificates(pair.chain)
        context.use_certificate(leaf)
        for certificate in others:
            context.add_extra_chain_cert(certificate)
        context.use_privatekey(
            crypto.PKey.from_cryptography_key(load_pem_private_key(pair.key, None))  # type: ignore[arg-type]
        )
        context.set_alpn_select_callback(_chosen)
        self._context = context
        self.pair = pair

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """
        Begin the server's side of one handshake.
        """
        return SSL.Connection(self._context, None)


@implementer(IOpenSSLClientConnectionCreator)
class ClientTLS:
    """
    The client's side of TLS.

    @ivar host: the server's name or address.
    @ivar verifies: whether the certificate must verify for it.
    @ivar authority: PEM of who vouches for it; empty for whom the system trusts.
    """

    def __init__(self, host: str, verify: bool, authority: str = "") -> None:
        self.host = host
        self.verifies = verify
        self.authority = authority
        self._verifying = _verifying(host, authority) if verify else None
        self._context = _context(SSL.TLS_CLIENT_METHOD)
        self._context.set_alpn_protos(list(ALPN))

    def clientConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """
        Begin the client's side of one handshake.
        """
        if self._verifying is not None:
            return self._verifying.clientConnectionForTLS(protocol)
        connection = SSL.Connection(self._context, None)
        if not _isAddress(self.host):
            connection.set_tlsext_host_name(self.host.encode("idna"))
        return connection


def _verifying(host: str, authority: str) -> IOpenSSLClientConnectionCreator:
    creator: IOpenSSLClientConnectionCreator = optionsForClientTLS(
        host,
        trustRoot=_roots(authority) if authority else None,
        acceptableProtocols=list(ALPN),
        extraCertificateOptions={"raiseMinimumTo": TLSVersion.TLSv1_3},
    )
    return creator


def _roots(authority: str) -> Any:
    found = x509.load_pem_x509_certificates(authority.encode())
    return trustRootFromCertificates(
        Certificate(crypto.X509.from_cryptography(each)) for each in found
    )


def _isAddress(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
