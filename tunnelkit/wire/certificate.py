# -*- test-case-name: tests.wire.test_certificate -*-
"""
Certificates: what a login is bound to, how a person names one, and a pair of
certificate and key that is known to fit together.

Everything here is PEM or DER in, values out; C{control/certificates} reads files.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificateIssuerPrivateKeyTypes,
    PrivateKeyTypes,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_FINGERPRINT: Final = re.compile(
    r"(?:sha256:)?([0-9a-f]{2}(?::?[0-9a-f]{2}){31})", re.ASCII | re.IGNORECASE
)

_LIFE: Final = timedelta(days=3652)
"""How long a certificate of ours is valid: ten years."""
_BEFORE: Final = timedelta(days=1)
"""How long ago its validity began, for clients whose clock is behind."""


class CertificateError(ValueError):
    """
    A certificate or its key cannot be used.  The text says why and what to do.
    """


def bindingHash(der: bytes) -> bytes:
    """
    Give what a login is bound to: C{tls-server-end-point} of RFC 5929, the hash of
    the certificate by the hash function of its own signature, where SHA-256 stands
    in for MD5 and SHA-1.

    @raise CertificateError: it is no certificate, or its signature names no single
        hash function, as Ed25519 and Ed448 do.
    """
    try:
        algorithm = x509.load_der_x509_certificate(der).signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm) as e:
        raise CertificateError(f"the certificate cannot be read: {e}") from e
    if algorithm is None:
        raise CertificateError(
            "the certificate is signed with Ed25519 or Ed448, to which a login cannot"
            " be bound (RFC 5929): use one signed with ECDSA or RSA"
        )
    if isinstance(algorithm, hashes.MD5 | hashes.SHA1):
        algorithm = hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(der)
    return digest.finalize()


def fingerprint(der: bytes) -> str:
    """
    Give the name of a certificate for people: its SHA-256, hexadecimal.
    """
    return hashlib.sha256(der).hexdigest()


def parseFingerprint(text: str) -> bytes:
    """
    Read a fingerprint as people and their tools write it: in either case, with or
    without colons, with or without C{sha256:} before it.

    @return: the SHA-256 of the certificate, 32 bytes.
    @raise ValueError: it is no fingerprint.
    """
    found = _FINGERPRINT.fullmatch(text.strip())
    if found is None:
        raise ValueError(
            f"{text!r} is no fingerprint: give the SHA-256 of the server's certificate,"
            " 64 hexadecimal digits, with or without colons"
        )
    return bytes.fromhex(found[1].replace(":", ""))


@dataclass(frozen=True, slots=True)
class CertificatePair:
    """
    A certificate, those that vouch for it, and its key.  L{certificatePair} makes
    one of what a stranger wrote.

    @ivar chain: PEM: the certificate itself, then those that vouch for it.
    @ivar key: PEM, not encrypted.
    """

    chain: bytes
    key: bytes = field(repr=False)

    @property
    def der(self) -> bytes:
        """
        The certificate itself, without those that vouch for it.
        """
        return _leaf(self.chain).public_bytes(Encoding.DER)

    @property
    def fingerprint(self) -> str:
        """
        The certificate's L{fingerprint}.
        """
        return fingerprint(self.der)


def certificatePair(chain: bytes, key: bytes) -> CertificatePair:
    """
    Put a certificate and its key together.

    @param chain: PEM, the server's own certificate first.
    @param key: PEM.
    @raise CertificateError: one of them cannot be used, or they do not match.
    """
    leaf = _leaf(chain)
    if _public(leaf) != _public(_privateKey(key)):
        raise CertificateError(
            "the key does not belong to the first certificate: give the two that were"
            " made together, the server's own certificate before any other"
        )
    bindingHash(leaf.public_bytes(Encoding.DER))
    return CertificatePair(chain, key)


def _leaf(chain: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(chain)[0]
    except ValueError as e:
        raise CertificateError(
            "the certificate cannot be read: give PEM, a text with a part between"
            " -----BEGIN CERTIFICATE----- and -----END CERTIFICATE-----"
        ) from e


def _privateKey(key: bytes) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(key, password=None)
    except TypeError as e:
        raise CertificateError(
            "the key is encrypted, and nobody is there to type its password: decrypt"
            " it, for example with openssl pkey -in KEY -out NEWKEY"
        ) from e
    except (ValueError, UnsupportedAlgorithm) as e:
        raise CertificateError(
            "the key cannot be read: give PEM, a text with a part between"
            " -----BEGIN PRIVATE KEY----- and -----END PRIVATE KEY-----"
        ) from e


def _public(owner: x509.Certificate | PrivateKeyTypes) -> bytes:
    try:
        key = owner.public_key()
    except (ValueError, UnsupportedAlgorithm) as e:
        raise CertificateError(
            f"the certificate is for a key of a kind that is not known ({e}): use one"
            " for ECDSA on P-256 or RSA"
        ) from e
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def selfSigned(
    names: Iterable[str], now: datetime, key: bytes | None = None
) -> CertificatePair:
    """
    Make a certificate that vouches for itself, valid for ten years from a day ago.
    That is enough: a login proves the certificate, whoever signed it.

    @param names: host names and addresses that it is for; what can be neither, such
        as a name with an empty part, is left out.
    @param now: the time, with its zone.
    @param key: PEM of the key to make it for; a new one on P-256 where it is None.
    @raise CertificateError: the key cannot be used.
    """
    if key is None:
        key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
    certificate = _signed(
        _signingKey(key), list(dict.fromkeys(_alternatives(names))), now
    )
    return CertificatePair(certificate.public_bytes(Encoding.PEM), key)


def _signingKey(key: bytes) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    private = _privateKey(key)
    if not isinstance(private, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise CertificateError(
            "no certificate to which a login can be bound can be made with this key:"
            " use one for ECDSA or RSA"
        )
    return private


def _alternatives(names: Iterable[str]) -> Iterator[x509.GeneralName]:
    for name in filter(None, (name.rstrip(".") for name in names)):
        try:
            yield x509.IPAddress(ip_address(name))
        except ValueError:
            with contextlib.suppress(UnicodeError):
                yield x509.DNSName(name.encode("idna").decode())


def _signed(
    key: CertificateIssuerPrivateKeyTypes,
    alternatives: list[x509.GeneralName],
    now: datetime,
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tunnelkit")])
    begin = now - _BEFORE
    public = key.public_key()
    builder = (
        x509.CertificateBuilder(name, name, public, x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + _LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
    )
    if alternatives:
        builder = builder.add_extension(
            x509.SubjectAlternativeName(alternatives), critical=False
        )
    return builder.sign(key, hashes.SHA256())
