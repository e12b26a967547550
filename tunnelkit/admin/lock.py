# -*- test-case-name: tests.admin.test_lock -*-
"""
The lock on the admin rooms: who knows the token may look.

A program sends it as C{Authorization: Bearer TOKEN}.  A browser can be made to ask a
person for a password, so HTTP Basic is understood too: any user name, and the token
as the password.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode
from typing import Final

from twisted.web.http import UNAUTHORIZED

from tunnelkit.admin.room import refusal

_REALM: Final = b'realm="tunnelkit admin"'

LOCKED: Final = refusal(
    UNAUTHORIZED,
    "the admin token is missing or wrong: send the one in admin.token, in the server's "
    "state folder, as 'Authorization: Bearer TOKEN'; in a browser, give any user name "
    "and the token as the password",
    (
        (b"www-authenticate", b"Bearer " + _REALM),
        (b"www-authenticate", b"Basic " + _REALM + b', charset="UTF-8"'),
    ),
)
"""What is answered where the lock stays shut: one answer for no token and a wrong
one."""


class Lock:
    """
    Tells who knows the token.
    """

    def __init__(self, token: str) -> None:
        """
        @param token: the token; space around it does not count.
        @raise ValueError: it is empty, which would let everybody in.
        """
        self._token = token.strip().encode()
        if not self._token:
            raise ValueError("the admin token is empty")

    def opens(self, authorization: bytes | None) -> bool:
        """
        Tell whether a request may look.

        @param authorization: its C{Authorization} header, None where it has none.
        """
        return hmac.compare_digest(_given(authorization or b""), self._token)


def _given(authorization: bytes) -> bytes:
    """
    Give the token that a header holds, empty where it holds none.
    """
    scheme, _, credentials = authorization.partition(b" ")
    match scheme.lower():
        case b"bearer":
            return credentials.strip()
        case b"basic":
            return _password(credentials.strip())
        case _:
            return b""


def _password(credentials: bytes) -> bytes:
    try:
        return b64decode(credentials, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""
