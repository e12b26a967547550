# -*- test-case-name: tests.test_notice -*-
"""
Notice: what a server tells its operator when it starts, or cannot.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import Final

from twisted.internet.error import CannotListenError

from tunnelkit.relay.occupant import whatThen
from tunnelkit.settings import ServerSettings
from tunnelkit.wire.certificate import CertificateError

_OWN_TLS: Final = ("tls:", "ssl:")
"""Descriptions of ports that show a certificate of their own."""
_SOCKET: Final = "unix:"
"""What is before the path of a UNIX socket."""


def warnings(settings: ServerSettings) -> Iterator[str]:
    """
    Say what is less safe than it could be.
    """
    if settings.insecure or settings.behindTLS:
        yield (
            "plain TCP is accepted: whoever can read the wire between client and "
            "server can read all that visitors send, and take sessions over"
        )

    for dialect in settings.dialects:
        yield dialect.warning


def facts(settings: ServerSettings, fingerprint: str, admin: str) -> Iterator[str]:
    """
    Say what a person needs to know.

    @param fingerprint: that of the certificate which the server shows.
    @param admin: where the admin rooms are, or empty.
    """
    if not all(port.startswith(_OWN_TLS) for port in settings.ports):
        yield f"certificate's fingerprint: sha256:{fingerprint}"
    if admin:
        yield (
            f"admin page: {_page(settings, admin)} (any user name; the password is in "
            "admin.token, in the state folder)"
        )


def _page(settings: ServerSettings, admin: str) -> str:
    socket = admin.removeprefix(_SOCKET)
    if socket != admin:
        # No address in a browser leads to a UNIX socket.
        return f"curl --unix-socket {quote(socket)} http://localhost/"
    ownTLS = settings.admin is not None and settings.admin.startswith(_OWN_TLS)
    return f"{'https' if ownTLS else 'http'}://{admin}/"


def firstStart(
    settings: ServerSettings, host: str, port: int | None, token: Path
) -> str:
    """
    Give the command for the client, which has everything but its service.

    @param port: where clients connect, as far as that is known.
    @param token: the file that the client needs.
    """
    # Before something that ends the TLS stands another port, and no binding.
    known = port if port and not settings.behindTLS else "PORT"
    verify = " --verify" if settings.behindTLS else ""
    return (
        f"first start: copy {token} to the machine that has the service, and run "
        f"there: twistd -n tunnelclient --server {host}:{known} "
        f"--token-file {token.name}{verify} --tunnel tcp:8000"
    )


def whyNoStart(settings: ServerSettings, error: Exception) -> str:
    """
    Say why a server cannot start; where that is about a certificate that it was given,
    with the options that gave it.
    """
    own = isinstance(error, CertificateError) and settings.certificate is not None
    return f"--certificate and --key: {error}" if own else str(error)


def whyDeaf(option: str, given: str, error: BaseException | None) -> str:
    """
    Say why a port cannot be had, and what to do.

    @param given: what was to be listened on, as the operator wrote it.
    """
    return f"cannot listen on {option} {given}: {_reason(error)}"


def _reason(error: BaseException | None) -> str:
    if not isinstance(error, CannotListenError):
        return str(error)
    return whatThen(error)
