# -*- test-case-name: tests.wire.test_token -*-
"""
Tokens: what a client logs in with, C{tk1_USER_SECRET}.
"""

from __future__ import annotations

import re
from base64 import b32encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

LEAST_BITS: Final = 128
"""The least strength of a secret that is accepted from an operator, in bits.  The
verifiers that a server stores are made with few iterations, as they rely on it."""

_RANDOM_BYTES: Final = 20
_LEAST_VARIETY: Final = 8
"""Fewer different characters than this are no random secret."""

_MARK: Final = "tk1_"
_USER: Final = re.compile(r"[a-z0-9.-]{1,64}")
_SECRET: Final = re.compile(r"[A-Za-z0-9]{1,256}")
_DIGITS: Final = re.compile(r"[0-9]+")
_HEXADECIMAL: Final = re.compile(r"[0-9A-Fa-f]+")


def isUserName(text: str) -> bool:
    """
    Tell whether a user can be called that.
    """
    return _USER.fullmatch(text) is not None


def strengthOf(secret: str) -> int:
    """
    Estimate cautiously how many bits of chance are in a secret.
    """
    if len(set(secret)) < _LEAST_VARIETY:
        return 0
    if _DIGITS.fullmatch(secret):
        return 3 * len(secret)
    if _HEXADECIMAL.fullmatch(secret):
        return 4 * len(secret)
    return 5 * len(secret)


@dataclass(frozen=True, slots=True, repr=False)
class Token:
    """
    Who a client is, and how it proves that.  C{str()} gives the whole token,
    C{repr()} hides the secret, so that it does not get into logs by accident.
    """

    user: str
    secret: str

    def __post_init__(self) -> None:
        if not isUserName(self.user):
            raise ValueError(
                "the user of a token is 1 to 64 characters of a-z, 0-9, '.' and '-'"
            )
        if not _SECRET.fullmatch(self.secret):
            raise ValueError("the secret of a token is 1 to 256 letters and digits")

    @classmethod
    def parse(cls, text: str) -> Token:
        """
        Read a token; white space around it does not matter.

        @raise ValueError: it is none.  The text says why, and quotes no part of it.
        """
        text = text.strip()
        if not text.startswith(_MARK):
            raise ValueError("a token has the form tk1_USER_SECRET")
        user, underscore, secret = text.removeprefix(_MARK).partition("_")
        if not underscore:
            raise ValueError("the token lacks a part: it has the form tk1_USER_SECRET")
        return cls(user, secret)

    @classmethod
    def new(cls, user: str, random: Callable[[int], bytes]) -> Token:
        """
        Make a token with a secret of 160 random bits.

        @param random: gives that many random bytes, such as C{os.urandom}.
        @raise ValueError: no user can be called that.
        """
        return cls(user, b32encode(random(_RANDOM_BYTES)).decode().lower())

    def __str__(self) -> str:
        return f"{_MARK}{self.user}_{self.secret}"

    def __repr__(self) -> str:
        return f"Token(user={self.user!r}, secret=...)"

    def strength(self) -> int:
        """
        Estimate cautiously how many bits of chance are in the secret.
        """
        return strengthOf(self.secret)
