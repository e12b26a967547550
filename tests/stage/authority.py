"""
Authority: certificates for tests, and what a server shows.
"""

from __future__ import annotations

import hashlib
import ipaddress
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from tests.stage.sockets import Address, connected


@dataclass(frozen=True, slots=True)
class Issued:
    """
    A certificate and its key.

    @ivar fingerprint: SHA-256 of the certificate's DER, hexadecimal.
    """

    certificate: bytes
    key: bytes
    fingerprint: str

    def write(self, folder: Path) -> tuple[Path, Path]:
        """
        Write C{certificate.pem} and C{key.pem}.

        @return: their paths.
        """
        certificate, key = folder / "certificate.pem", folder / "key.pem"
        certificate.write_bytes(self.certificate)
        key.write_bytes(self.key)
        return certificate, key


class Authority:
    """
    A private certificate authority.

    @ivar certificate: its own certificate, PEM: what C{SSL_CERT_FILE} may name.
    """

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("tunnelkit's test authority")
        made = (
            _builder(self._name, self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
            .sign(self._key, SHA256())
        )
        self.certificate = made.public_bytes(Encoding.PEM)

    def issue(self, names: Iterable[str]) -> Issued:
        """
        Issue a certificate.

        @param names: the host names and addresses that it is for.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        made = (
            _builder(_named("a server"), self._name, key)
            .add_extension(
                x509.SubjectAlternativeName([_alternative(n) for n in names]), False
            )
            .sign(self._key, SHA256())
        )
        return Issued(
            made.public_bytes(Encoding.PEM),
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            made.fingerprint(SHA256()).hex(),
        )


def shown(address: Address) -> Deferred[str]:
    """
    Ask a server which certificate it shows to who comes now.

    @return: SHA-256 of its DER, hexadecimal.
    """

    def ask() -> str:
        with strangers().wrap_socket(connected(address)) as secured:
            der = secured.getpeercert(binary_form=True)
            return hashlib.sha256(der or b"").hexdigest()

    return deferToThread(ask)


def strangers() -> ssl.SSLContext:
    """
    Make a client's side of TLS that trusts anybody.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def secured(issued: Issued, folder: Path, connection: socket.socket) -> ssl.SSLSocket:
    """
    Do the server's side of TLS.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*issued.write(folder))
    return context.wrap_socket(connection, server_side=True)


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder(
            issuer, subject, key.public_key(), x509.random_serial_number()
        )
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
    )
