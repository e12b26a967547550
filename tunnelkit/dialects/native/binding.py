# -*- test-case-name: tests.dialects.native.test_calling -*-
"""
Binding: what a client binds its login to, by what the server offers and the TLS showed.
"""

from __future__ import annotations

from tunnelkit.control.names import legible
from tunnelkit.control.session import Refusal
from tunnelkit.relay.secure import Seen
from tunnelkit.wire import codes
from tunnelkit.wire.certificate import CertificateError, bindingHash


def bindingOf(
    server: str, offered: str, shown: Seen | None, verified: bool
) -> bytes | None:
    """
    Give the hash of the certificate that the login is bound to (RFC 5929); None where
    it is bound to nothing.

    @param server: its address, for people.
    @param offered: what the server offers.
    @param shown: what the TLS handshake showed; None on plain TCP.
    @param verified: whether the certificate had to verify: without that there is no TLS
        without binding.
    @raise Refusal: it can be bound to nothing that the client's user would accept.
    """
    if offered == "endpoint" and shown is not None:
        return _hashOf(server, shown.certificate)
    if offered != "none":
        raise Refusal(
            codes.BINDING,
            f"{server} offers to bind the login by {legible(offered, 40)!r}, "
            "which is not possible on this connection: something between the two "
            "has changed what they say, or one of them is too old",
        )
    if shown is not None and not verified:
        raise Refusal(
            codes.BINDING,
            f"{server} does not bind the login to its certificate, as "
            "something else ends its TLS: use --verify to trust that "
            "certificate for its name",
        )
    return None


def _hashOf(server: str, certificate: bytes) -> bytes:
    try:
        return bindingHash(certificate)
    except CertificateError as e:
        raise Refusal(codes.BINDING, f"{server}: {e}") from e
