# -*- test-case-name: tests.wire.pipe.test_login -*-
"""
Login: how pipe's client shows that it knows the secret, with every connection: by the
MD5 of the secret and the time.

That is weak, and kept for stock peers alone: who reads one off the wire can use it as
long as its time counts as fresh, and can try secrets against it at leisure.
"""

from __future__ import annotations

from hashlib import md5
from hmac import compare_digest
from typing import Final

from tunnelkit.wire.pipe.packets import Login

SKEW: Final = 600
"""How far the clocks of both sides may be apart, in seconds, where nobody says."""


def token(secret: str, timestamp: int) -> str:
    """
    Give the token of a login.

    @param timestamp: in seconds of UNIX time.
    """
    return md5(f"{secret}{timestamp}".encode(), usedforsecurity=False).hexdigest()


def login(secret: str, now: float) -> Login:
    """
    Make the login that a client sends.

    @param now: seconds of UNIX time.
    """
    timestamp = int(now)
    return Login(token(secret, timestamp), timestamp)


def isGenuine(said: Login, secret: str) -> bool:
    """
    Tell whether a login was made with the secret, in a time that does not depend on
    how much of it is right.  Nothing is with an empty secret.
    """
    expected = token(secret, said.timestamp).encode()
    return compare_digest(said.token.encode(), expected) and bool(secret)


def isFresh(said: Login, now: float, skew: float = SKEW) -> bool:
    """
    Tell whether a login was made about now.

    @param now: seconds of UNIX time.
    @param skew: how far the clocks may be apart, in seconds; 0 for as far as they like.
    """
    return not skew or abs(said.timestamp - now) <= skew
