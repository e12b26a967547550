# -*- test-case-name: tests.endpoints.test_strings -*-
"""
Login: which server a program's endpoints are at, and as who.
"""

from __future__ import annotations

import socket
from os import PathLike, fspath
from os.path import expanduser
from typing import Final

from twisted.logger import Logger

from tunnelkit.control.names import isClientName
from tunnelkit.dialects.descriptions import serverAddress
from tunnelkit.settings import ClientSettings
from tunnelkit.state.secrets import exposure, readToken
from tunnelkit.wire.certificate import parseFingerprint
from tunnelkit.wire.token import Token

_log: Final = Logger()


def login(
    server: str,
    token: Token | PathLike[str],
    client: str = "",
    fingerprint: str = "",
    verify: bool = False,
    insecure: bool = False,
) -> ClientSettings:
    """
    Say which server it is, and as who to log in there.

    @param server: C{HOST[:PORT]}, or a client endpoint description.
    @param token: the token, or the file that holds it.
    @param client: what this program calls itself there: the server keeps its ports for
        that name; empty for the host's name.
    @param fingerprint: SHA-256 of the one certificate that is accepted, in hexadecimal;
        empty for any, as the server proves that it knows the token.
    @param verify: whether the certificate must verify for the server's name.
    @param insecure: whether plain TCP is spoken.
    @raise ValueError: that cannot be; the text says why.
    """
    if client and not isClientName(client):
        raise ValueError("a client's name has 1 to 200 printable characters")
    if insecure and (verify or fingerprint):
        other = "verify" if verify else "fingerprint"
        raise ValueError(
            "insecure is plain TCP, where there is no certificate: leave it out, or"
            f" {other}"
        )
    return ClientSettings(
        server=serverAddress(server),
        token=token if isinstance(token, Token) else tokenIn(fspath(token)),
        name=client or socket.gethostname(),
        tunnels=(),
        fingerprint=parseFingerprint(fingerprint) if fingerprint else None,
        verify=verify,
        insecure=insecure,
    )


def tokenIn(path: str) -> Token:
    """
    Read the file of a token.

    @raise ValueError: there is none; the text says why.
    """
    path = expanduser(path)
    token = Token.parse(readToken(path))
    if warning := exposure(path, "token"):
        _log.warn("{sentence}", sentence=warning)
    return token
