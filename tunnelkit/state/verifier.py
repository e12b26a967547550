# -*- test-case-name: tests.state.test_verifier -*-
"""
Verifiers: what a server keeps of a user's secret.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from scramp import ScramMechanism

ITERATIONS: Final = 4096
"""How much work a guess at a secret is.  The least that RFC 7677 allows is enough,
as secrets are random."""
_MOST_ITERATIONS: Final = 100_000
"""Clients refuse more, which would keep them busy for too long."""
_KEY: Final = 32
"""The length of SCRAM-SHA-256's keys, in bytes."""
_SALT: Final = 16
"""The length of our salts, in bytes."""
_LEAST_SALT: Final = 12
"""scramp refuses to log anybody in with a shorter one, in bytes."""

_FORM: Final = re.compile(
    r"SCRAM-SHA-256\$([1-9][0-9]{0,9}):([^$:]+)\$([^$:]+):([^$:]+)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Verifier:
    """
    What a login is checked against (RFC 5802); the secret cannot be had from it.

    @ivar storedKey: checks the client's proof.
    @ivar serverKey: makes the server's own.
    """

    salt: bytes
    iterations: int
    storedKey: bytes = field(repr=False)
    serverKey: bytes = field(repr=False)

    @staticmethod
    def parse(text: str) -> Verifier:
        """
        Read PostgreSQL's form, C{SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY},
        the last three in base64; C{str()} writes it.

        @raise ValueError: it is not that, or no client could log in with it.
        """
        found = _FORM.fullmatch(text)
        if found is None:
            raise ValueError(
                "a verifier is SCRAM-SHA-256$4096:SALT$STOREDKEY:SERVERKEY, as"
                " tunnelkit token new makes it"
            )
        iterations = int(found[1])
        if not ITERATIONS <= iterations <= _MOST_ITERATIONS:
            raise ValueError(
                f"a verifier has from {ITERATIONS} to {_MOST_ITERATIONS} iterations,"
                f" not {iterations}"
            )
        salt, stored, server = (_decoded(part) for part in found.groups()[1:])
        if len(salt) < _LEAST_SALT or not len(stored) == len(server) == _KEY:
            raise ValueError(
                f"a verifier has a salt of at least {_LEAST_SALT} bytes and two keys"
                f" of {_KEY}"
            )
        return Verifier(salt, iterations, stored, server)

    @staticmethod
    def of(secret: str, random: Callable[[int], bytes]) -> Verifier:
        """
        Make the verifier of a secret, another one at each call.

        @param random: gives so many random bytes.
        """
        salt, stored, server, iterations = ScramMechanism(
            "SCRAM-SHA-256"
        ).make_auth_info(secret, iteration_count=ITERATIONS, salt=random(_SALT))
        return Verifier(salt, iterations, stored, server)

    def __str__(self) -> str:
        salt, stored, server = (
            b64encode(part).decode()
            for part in (self.salt, self.storedKey, self.serverKey)
        )
        return f"SCRAM-SHA-256${self.iterations}:{salt}${stored}:{server}"


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError as e:
        raise ValueError("the salt and the keys of a verifier are base64") from e
