"""
Tests for L{tunnelkit.state.verifier}.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode

from hypothesis import given
from hypothesis import strategies as st
from scramp import ScramClient, ScramMechanism
from scramp.core import ScramException
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.state.verifier import Verifier

KEYS = st.binary(min_size=32, max_size=32)
VERIFIERS = st.builds(
    Verifier,
    st.binary(min_size=12, max_size=40),
    st.integers(4096, 100_000),
    KEYS,
    KEYS,
)
RFC = (
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ=="
    "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
    ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
)
"""The user of RFC 7677's example, whose secret is C{pencil}."""


def constant(count: int) -> bytes:
    """
    Give bytes that are not random.
    """
    return bytes(range(count))


def logIn(verifier: Verifier, secret: str) -> None:
    """
    Log in with a secret.

    @raise ScramException: it is another secret than the verifier's.
    """

    def lookup(user: str) -> tuple[bytes, bytes, bytes, int]:
        return (
            verifier.salt,
            verifier.storedKey,
            verifier.serverKey,
            verifier.iterations,
        )

    client = ScramClient(["SCRAM-SHA-256"], "default", secret)
    server = ScramMechanism("SCRAM-SHA-256").make_server(lookup)
    server.set_client_first(client.get_client_first())
    client.set_server_first(server.get_server_first())
    server.set_client_final(client.get_client_final())
    client.set_server_final(server.get_server_final())


class VerifierTests(SynchronousTestCase):
    """
    A server checks a secret that it does not have.
    """

    def test_example(self) -> None:
        """
        A verifier that PostgreSQL made, with RFC 7677's example, logs its user in.
        """
        verifier = Verifier.parse(RFC)
        self.assertEqual(verifier.iterations, 4096)
        self.assertEqual(str(verifier), RFC)
        logIn(verifier, "pencil")

    def test_keys(self) -> None:
        """
        The keys are those of RFC 5802, section 3.
        """
        verifier = Verifier.of("secret", constant)
        salted = hashlib.pbkdf2_hmac("sha256", b"secret", verifier.salt, 4096)
        client = hmac.digest(salted, b"Client Key", "sha256")
        self.assertEqual(verifier.storedKey, hashlib.sha256(client).digest())
        server = hmac.digest(salted, b"Server Key", "sha256")
        self.assertEqual(verifier.serverKey, server)
        self.assertEqual(verifier.salt, constant(16))
        self.assertEqual(verifier.iterations, 4096)

    def test_logIn(self) -> None:
        """
        The secret logs in and another one does not.
        """
        verifier = Verifier.parse(str(Verifier.of("secret", constant)))
        logIn(verifier, "secret")
        self.assertRaises(ScramException, logIn, verifier, "Secret")

    @given(VERIFIERS)
    def test_anyVerifier(self, verifier: Verifier) -> None:
        """
        What is written to the file of users is what is read from it.
        """
        self.assertEqual(Verifier.parse(str(verifier)), verifier)

    def test_notShown(self) -> None:
        """
        A verifier that gets into a log does not take its keys along.
        """
        shown = repr(Verifier.parse(RFC))
        self.assertNotIn("storedKey", shown)
        self.assertNotIn("serverKey", shown)

    def test_otherForms(self) -> None:
        """
        What is no verifier is refused with what one is, quoting nothing of it.
        """
        for text in (
            "",
            "secret",
            RFC.replace("256", "512"),
            RFC.replace("4096", ""),
            RFC.replace("4096", "04096"),
            RFC.replace("4096", "4096.0"),
            RFC.replace("4096", "\N{ARABIC-INDIC DIGIT FOUR}096"),
            RFC.replace("$WG", ":WG"),
            RFC + ":",
            " " + RFC,
        ):
            error = self.assertRaises(ValueError, Verifier.parse, text)
            self.assertIn("SCRAM-SHA-256$4096:SALT$STOREDKEY:SERVERKEY", str(error))
            self.assertNotIn("WG5d8o", str(error))

    def test_iterations(self) -> None:
        """
        Fewer iterations than the RFC's least and more than clients bear are refused.
        """
        for count in ("1", "4095", "100001", "9999999999"):
            error = self.assertRaises(
                ValueError, Verifier.parse, RFC.replace("4096", count)
            )
            self.assertIn(f"from 4096 to 100000 iterations, not {count}", str(error))

    def test_base64(self) -> None:
        """
        A salt or key that was damaged is refused.
        """
        for old, new in (
            ("W22Z", "W22!"),
            ("qY=:", "qY:"),
            ("dU=", "d\u00fc="),
            ("dU=", "dU=\n"),
        ):
            error = self.assertRaises(ValueError, Verifier.parse, RFC.replace(old, new))
            self.assertIn("base64", str(error))

    def test_lengths(self) -> None:
        """
        A salt with which no login works, and keys of another length, are refused.
        """

        def text(salt: int, stored: int, server: int) -> str:
            parts = (b64encode(bytes(n)).decode() for n in (salt, stored, server))
            return "SCRAM-SHA-256$4096:{}${}:{}".format(*parts)

        Verifier.parse(text(12, 32, 32))
        for lengths in ((11, 32, 32), (12, 31, 32), (12, 32, 33), (12, 20, 20)):
            error = self.assertRaises(ValueError, Verifier.parse, text(*lengths))
            self.assertIn("at least 12 bytes and two keys of 32", str(error))
