# -*- test-case-name: tests.control.test_login -*-
"""
The client's side of a login.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from scramp import ScramClient, ScramException

from tunnelkit.control.login.scram import BASE64, BOUND, ENDPOINT, UNBOUND
from tunnelkit.state.verifier import ITERATIONS
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.native.login import Challenge, Login, Proof, Welcome
from tunnelkit.wire.token import Token

_MOST_ITERATIONS: Final = 100_000
"""The client refuses more: at scramp's own bound it would stand still for seconds."""

_SERVER_FIRST: Final = re.compile(rf"r=[!-+\--~]+,s={BASE64},i=([0-9]{{1,20}})")


class ServerUnproven(Exception):
    """
    The server did not prove that it knows the user's secret.  The text says so to the
    person at the client.
    """


class ClientLogin:
    """
    The client's side of one login.
    """

    def __init__(
        self,
        token: Token,
        client: str,
        instance: str,
        binding: bytes | None,
        nonce: Callable[[], str],
    ) -> None:
        """
        @param client: the client's name: leases are remembered by it.
        @param instance: random, the same for all logins of one running client.
        @param binding: the hash of the certificate that the server showed (RFC 5929),
            or None where the login is not to be bound; that the user must have asked
            for, as it takes the proof of who is at the other end.
        @param nonce: gives a random nonce of ASCII letters and digits.
        """
        self._user = token.user
        self._client = client
        self._instance = instance
        self._mechanism = UNBOUND if binding is None else BOUND
        self._scram = ScramClient(
            [self._mechanism],
            token.user,
            token.secret,
            channel_binding=None if binding is None else (ENDPOINT, binding),
            c_nonce=nonce(),
        )

    def first(self) -> Login:
        """
        Begin; to be called once.
        """
        first = self._scram.get_client_first()
        return Login(self._mechanism, first, self._client, self._instance)

    def answer(self, challenge: Challenge) -> Proof:
        """
        Prove that this client knows the secret.  This takes about a millisecond for
        each 4096 iterations that the server asks for.

        @raise WireError: it is no challenge for this login, or asks for too much work.
        """
        found = _SERVER_FIRST.fullmatch(challenge.first)
        if found is None:
            raise WireError("the server's challenge is not one of SCRAM")
        iterations = int(found[1])
        if not ITERATIONS <= iterations <= _MOST_ITERATIONS:
            raise WireError(
                f"the server's challenge asks for {iterations} iterations; from"
                f" {ITERATIONS} to {_MOST_ITERATIONS} are accepted"
            )
        try:
            self._scram.set_server_first(challenge.first)
            return Proof(self._scram.get_client_final())
        except ScramException as e:
            raise WireError(
                f"the server's challenge does not belong to this login: {e}"
            ) from e

    def check(self, welcome: Welcome) -> None:
        """
        Check the server's own proof; before that nothing of what it says counts.

        @raise ServerUnproven: it proves nothing.
        """
        try:
            self._scram.set_server_final(welcome.final)
        except ScramException as e:
            raise ServerUnproven(
                f"the server does not know the secret of user {self._user}: it is not"
                " the one that the token was made on.  Check --server; nobody can learn"
                " the secret from what it was told"
            ) from e
