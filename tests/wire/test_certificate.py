"""
Tests for L{tunnelkit.wire.certificate}.
"""

from __future__ import annotations

import hashlib
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.wire.issued import NOW, chainPEM, issued, keyPEM
from tunnelkit.wire.certificate import (
    CertificateError,
    bindingHash,
    certificatePair,
    fingerprint,
    parseFingerprint,
    selfSigned,
)

CURVE = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
EDWARDS = ed25519.Ed25519PrivateKey.generate()


def der(certificate: x509.Certificate) -> bytes:
    """
    Give the bytes that go over the wire.
    """
    return certificate.public_bytes(Encoding.DER)


class BindingHashTests(SynchronousTestCase):
    """
    Both ends of a login come to the same hash of the certificate, whoever wrote
    them: the one of RFC 5929.
    """

    def test_signatureHash(self) -> None:
        """
        It is the hash that the certificate is signed with.
        """
        for algorithm, digest in (
            (hashes.SHA256(), hashlib.sha256),
            (hashes.SHA384(), hashlib.sha384),
            (hashes.SHA512(), hashlib.sha512),
        ):
            for key in (CURVE, RSA):
                data = der(issued(key, algorithm))
                self.assertEqual(bindingHash(data), digest(data).digest())

    def test_PSS(self) -> None:
        """
        A certificate signed with RSA-PSS, which names its hash elsewhere, can be
        logged in to.
        """
        pss = padding.PSS(padding.MGF1(hashes.SHA384()), padding.PSS.DIGEST_LENGTH)
        data = der(issued(RSA, hashes.SHA384(), padding=pss))
        self.assertEqual(bindingHash(data), hashlib.sha384(data).digest())

    def test_oldHashes(self) -> None:
        """
        SHA-256 stands in for MD5 and SHA-1, as the RFC has it.
        """
        prefix = bytes.fromhex("2a864886f70d0101")
        data = der(issued(RSA, hashes.SHA256()))
        for last in (4, 5):
            old = data.replace(prefix + b"\x0b", prefix + bytes([last]))
            self.assertNotEqual(old, data)
            self.assertEqual(bindingHash(old), hashlib.sha256(old).digest())

    def test_noHash(self) -> None:
        """
        A certificate signed with Ed25519 or Ed448 is refused, and why is said.
        """
        for key in (EDWARDS, ed448.Ed448PrivateKey.generate()):
            data = der(issued(key, None))
            error = self.assertRaises(ValueError, bindingHash, data)
            self.assertIn("use one signed with ECDSA or RSA", str(error))

    def test_Ed25519KeySignedWithECDSA(self) -> None:
        """
        What counts is how the certificate is signed, not what key it is for.
        """
        data = der(issued(EDWARDS, hashes.SHA256(), CURVE))
        self.assertEqual(bindingHash(data), hashlib.sha256(data).digest())

    def test_noCertificate(self) -> None:
        """
        Bytes that are no certificate are an error with a sentence.
        """
        data = der(issued(CURVE, hashes.SHA256()))
        for junk in (b"", b"junk", data[:-1], data + b"x"):
            error = self.assertRaises(CertificateError, bindingHash, junk)
            self.assertIn("the certificate cannot be read", str(error))

    def test_unknownSignature(self) -> None:
        """
        A signature that nobody knows is an error with a sentence.
        """
        prefix = bytes.fromhex("2a864886f70d0101")
        data = der(issued(RSA, hashes.SHA256()))
        strange = data.replace(prefix + b"\x0b", prefix + b"\x7f")
        error = self.assertRaises(CertificateError, bindingHash, strange)
        self.assertIn("the certificate cannot be read", str(error))


class FingerprintTests(SynchronousTestCase):
    """
    C{--fingerprint} takes what the server's log and other programs write.
    """

    def test_isSHA256(self) -> None:
        """
        A fingerprint is what C{openssl x509 -fingerprint -sha256} shows, in lower
        case without colons.
        """
        self.assertEqual(fingerprint(b"abc"), hashlib.sha256(b"abc").hexdigest())

    @given(st.binary(min_size=32, max_size=32))
    def test_forms(self, digest: bytes) -> None:
        """
        Case, colons, the name of the hash and white space around it do not matter.
        """
        plain, colons = digest.hex(), digest.hex(":")
        for text in (plain, colons, plain.upper(), colons.upper()):
            self.assertEqual(parseFingerprint(text), digest)
            self.assertEqual(parseFingerprint(f" SHA256:{text}\n"), digest)
            self.assertEqual(parseFingerprint(f"sha256:{text}"), digest)

    def test_wrong(self) -> None:
        """
        Anything else is refused with what is right, and quoted.
        """
        good = "ab" * 32
        for text in (
            "",
            "sha256:",
            good[:-1],
            good + "ab",
            "ab" * 20,
            "sha1:" + good,
            "g" + good[1:],
            ":" + good,
            good + ":",
            "a:b" + good[2:],
            "\N{LATIN SMALL LETTER LONG S}ha256:" + good,
            "\N{FULLWIDTH DIGIT ONE}" + good[1:],
        ):
            error = self.assertRaises(ValueError, parseFingerprint, text)
            self.assertIn("64 hexadecimal digits", str(error))
            self.assertIn(repr(text), str(error))


class CertificatePairTests(SynchronousTestCase):
    """
    An operator's certificate and key are checked before anything is served.
    """

    def setUp(self) -> None:
        self.leaf = issued(CURVE, hashes.SHA256(), RSA)
        self.issuer = issued(RSA, hashes.SHA256())
        self.chain = chainPEM(self.leaf, self.issuer)
        self.key = keyPEM(CURVE)

    def refused(self, chain: bytes, key: bytes) -> str:
        """
        Give why a pair is refused.
        """
        return str(self.assertRaises(CertificateError, certificatePair, chain, key))

    def test_chain(self) -> None:
        """
        The first certificate of a chain is the server's own.
        """
        pair = certificatePair(self.chain, self.key)
        self.assertEqual((pair.chain, pair.key), (self.chain, self.key))
        self.assertEqual(pair.der, der(self.leaf))
        self.assertEqual(pair.fingerprint, hashlib.sha256(der(self.leaf)).hexdigest())

    def test_everyKind(self) -> None:
        """
        Keys for ECDSA, RSA and Ed25519 can be used.
        """
        for key in (ec.generate_private_key(ec.SECP384R1()), RSA, EDWARDS):
            leaf = issued(key, hashes.SHA256(), CURVE)
            pair = certificatePair(chainPEM(leaf), keyPEM(key))
            self.assertEqual(pair.der, der(leaf))

    def test_oneFile(self) -> None:
        """
        Certificate and key may stand in one file, as some programs want them, in
        either order, with text around.
        """
        for both in (self.chain + self.key, b"the key\n" + self.key + self.chain):
            self.assertEqual(certificatePair(both, both).der, der(self.leaf))

    def test_oldFormsOfKeys(self) -> None:
        """
        Keys in the older forms of OpenSSL can be used.
        """
        key = CURVE.private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
        )
        self.assertIn(b"EC PRIVATE KEY", key)
        certificatePair(self.chain, key)

    def test_keyIsNotShown(self) -> None:
        """
        A pair that gets into a log does not take its key along.
        """
        self.assertNotIn("PRIVATE", repr(certificatePair(self.chain, self.key)))

    def test_noPEM(self) -> None:
        """
        What is not PEM is refused, by name of the part and with what is wanted.
        """
        junk = b"-----BEGIN %b-----\nAAAA\n-----END %b-----\n"
        for chain in (
            b"",
            b"x",
            self.key,
            der(self.leaf),
            junk % ((b"CERTIFICATE",) * 2),
        ):
            self.assertIn(
                "the certificate cannot be read: give PEM",
                self.refused(chain, self.key),
            )
        for key in (b"", b"x", self.chain, junk % ((b"PRIVATE KEY",) * 2)):
            self.assertIn(
                "the key cannot be read: give PEM", self.refused(self.chain, key)
            )

    def test_encrypted(self) -> None:
        """
        An encrypted key is refused with how to decrypt it.
        """
        for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
            key = CURVE.private_bytes(
                Encoding.PEM, form, BestAvailableEncryption(b"secret")
            )
            reason = self.refused(self.chain, key)
            self.assertIn("the key is encrypted", reason)
            self.assertIn("openssl pkey", reason)

    def test_otherKey(self) -> None:
        """
        A key of another certificate is refused, one of the chain's included.
        """
        for key in (RSA, ec.generate_private_key(ec.SECP256R1()), EDWARDS):
            self.assertIn(
                "the key does not belong to the first certificate",
                self.refused(self.chain, keyPEM(key)),
            )

    def test_edwardsSignature(self) -> None:
        """
        A certificate to which no login can be bound is refused at start.
        """
        leaf = issued(EDWARDS, None)
        self.assertIn("RFC 5929", self.refused(chainPEM(leaf), keyPEM(EDWARDS)))

    def test_unknownKey(self) -> None:
        """
        A certificate for a kind of key that nobody knows is refused.
        """
        curve = bytes.fromhex("2a8648ce3d0301")
        strange = der(self.leaf).replace(curve + b"\x07", curve + b"\x06")
        chain = ssl.DER_cert_to_PEM_cert(strange).encode()
        self.assertIn("a kind that is not known", self.refused(chain, self.key))


class SelfSignedTests(SynchronousTestCase):
    """
    A server without a certificate makes itself one that works.
    """

    NAMES = ("vps.example.org", "127.0.0.1", "::1")

    def test_pair(self) -> None:
        """
        Certificate and key match, and a login can be bound to them.
        """
        pair = selfSigned(self.NAMES, NOW)
        self.assertEqual(certificatePair(pair.chain, pair.key), pair)
        key = load_pem_private_key(pair.key, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self.assertEqual(key.curve.name, "secp256r1")

    def test_validity(self) -> None:
        """
        It is valid from a day ago, for a client whose clock is behind, for ten years.
        """
        certificate = x509.load_der_x509_certificate(selfSigned([], NOW).der)
        begin = NOW - timedelta(days=1)
        self.assertEqual(certificate.not_valid_before_utc, begin)
        life = certificate.not_valid_after_utc - begin
        self.assertEqual(round(life.days / 365.2425, 2), 10)
        self.assertEqual(certificate.subject.rfc4514_string(), "CN=tunnelkit")

    def test_names(self) -> None:
        """
        It holds the names and addresses of the server, each once; what is neither
        does not keep the server from starting.
        """
        strange = (
            "",
            "a..b",
            "x" * 64,
            ".",
            "host.",
            "host",
            "b\u00fccher.example",
            "::1",
        )
        certificate = x509.load_der_x509_certificate(
            selfSigned(self.NAMES + strange, NOW).der
        )
        extension = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
        self.assertEqual(
            list(extension.value),
            [
                x509.DNSName("vps.example.org"),
                x509.IPAddress(ip_address("127.0.0.1")),
                x509.IPAddress(ip_address("::1")),
                x509.DNSName("host"),
                x509.DNSName("xn--bcher-kva.example"),
            ],
        )

    def test_different(self) -> None:
        """
        No two certificates are the same.
        """
        one, other = (
            x509.load_der_x509_certificate(selfSigned([], NOW).der) for _ in range(2)
        )
        self.assertNotEqual(one.serial_number, other.serial_number)
        self.assertNotEqual(one.public_key(), other.public_key())

    def test_givenKey(self) -> None:
        """
        It can be made for a key that is there already.
        """
        for key in (CURVE, RSA):
            pair = selfSigned([], NOW, keyPEM(key))
            self.assertEqual(pair.key, keyPEM(key))
            certificatePair(pair.chain, pair.key)

    def test_givenKeyIsOfNoUse(self) -> None:
        """
        It is not made for a key with which no login could be bound to it.
        """
        error = self.assertRaises(
            CertificateError, selfSigned, [], NOW, keyPEM(EDWARDS)
        )
        self.assertIn("use one for ECDSA or RSA", str(error))

    def test_verifies(self) -> None:
        """
        A client that is told to trust the certificate itself can C{--verify} the
        server by it, under the name in it and no other.
        """
        self.assertEqual(self.handshake("vps.example.org"), "TLSv1.3")
        self.assertEqual(self.handshake("::1"), "TLSv1.3")
        error = self.assertRaises(
            ssl.SSLCertVerificationError, self.handshake, "other.example.org"
        )
        self.assertIn("mismatch", str(error))

    def handshake(self, name: str) -> str | None:
        """
        Shake hands in memory, the client trusting the server's certificate alone.

        @return: the version of TLS.
        """
        pair = selfSigned(self.NAMES, datetime.now(UTC))
        certificate, key = self.mktemp(), self.mktemp()
        with open(certificate, "wb") as file:
            file.write(pair.chain)
        with open(key, "wb") as file:
            file.write(pair.key)
        serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        serving.load_cert_chain(certificate, key)
        trusting = ssl.create_default_context(cadata=pair.chain.decode())
        trusting.verify_flags |= ssl.VERIFY_X509_STRICT
        there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = trusting.wrap_bio(back, there, server_hostname=name)
        server = serving.wrap_bio(there, back, server_side=True)
        for side in (client, server, client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
        return client.version()
