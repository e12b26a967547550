# -*- test-case-name: tests.wire.test_endkey -*-
"""
End keys: what two clients share who encrypt what they say to each other.

One is a P-256 key with a certificate that vouches for itself, in one PEM.  Both ends
have the same; each shows it, and takes no other.  PEM in, values out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from tunnelkit.wire.certificate import CertificateError, certificatePair


@dataclass(frozen=True, slots=True)
class EndKey:
    """
    A key.

    @ivar pem: all of it, as its file has it.
    @ivar certificate: DER of its certificate, by which each end knows the other.
    """

    pem: bytes = field(repr=False)
    certificate: bytes

    @property
    def secret(self) -> bytes:
        """
        What whoever has the file knows, and nobody else: DER of the key.
        """
        return _key(self.pem).private_bytes(
            Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
        )


def parseEndKey(pem: bytes) -> EndKey:
    """
    Read a key.

    @raise ValueError: it is none; the text says what is wrong.
    """
    try:
        pair = certificatePair(pem, pem)
        _key(pem)
    except CertificateError as e:
        raise ValueError(
            f"it holds no key for private tunnels, which tunnelkit key new makes: {e}"
        ) from None
    return EndKey(pem, pair.der)


def newEndKey(now: datetime) -> EndKey:
    """
    Make a key.

    @param now: the time, with its zone.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tunnelkit-private")])
    begin = now - timedelta(days=1)
    # Its time is not looked at: the two ends know it by itself.
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=36525))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return EndKey(
        private + certificate.public_bytes(Encoding.PEM),
        certificate.public_bytes(Encoding.DER),
    )


def _key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateError("it is no key on an elliptic curve")
    return key
