# -*- test-case-name: tests.control.test_login -*-
"""
Proofs: that a new work connection belongs to a session whose login is done.
"""

from __future__ import annotations

import hashlib
import hmac


def workProof(key: bytes, serial: int, certificate: bytes | None) -> str:
    """
    Prove that a new work connection belongs to a session, in hexadecimal.

    @param key: the session's key, from its L{tunnelkit.wire.native.login.Welcome}.
    @param serial: never used before in this session.
    @param certificate: the DER of the certificate that this connection shows, None
        where the login was not bound to one.
    @raise OverflowError: the serial does not fit in 64 bits, or is negative.
    """
    shown = hashlib.sha256(certificate or b"").digest()
    return hmac.new(key, serial.to_bytes(8, "big") + shown, "sha256").hexdigest()


def sameProof(one: str, other: str) -> bool:
    """
    Tell whether two proofs are the same, in a time that does not tell how far they
    are.  Either may be any text.
    """
    return hmac.compare_digest(
        one.encode(errors="surrogatepass"), other.encode(errors="surrogatepass")
    )
