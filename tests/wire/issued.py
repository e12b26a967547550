"""
Certificates for tests, such as an operator may bring.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificateIssuerPrivateKeyTypes,
)
from cryptography.hazmat.primitives.hashes import HashAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)


def issued(
    key: CertificateIssuerPrivateKeyTypes,
    algorithm: HashAlgorithm | None,
    issuer: CertificateIssuerPrivateKeyTypes | None = None,
    padding: object = None,
) -> x509.Certificate:
    """
    Make a certificate for a key, signed by another where one is given.
    """
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number()
    )
    return (
        builder.not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=90))
        .sign(issuer or key, algorithm, rsa_padding=padding)  # type: ignore[arg-type]
    )


def chainPEM(*certificates: x509.Certificate) -> bytes:
    """
    Give the PEM of certificates, in this order.
    """
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


def keyPEM(key: CertificateIssuerPrivateKeyTypes) -> bytes:
    """
    Give the PEM of a key.
    """
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
