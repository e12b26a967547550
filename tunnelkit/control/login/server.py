# -*- test-case-name: tests.control.test_login -*-
"""
The server's side of a login.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from scramp import ScramException, ScramMechanism

from tunnelkit.control.login.scram import BASE64, BOUND, ENDPOINT, UNBOUND
from tunnelkit.state.verifier import ITERATIONS, Verifier
from tunnelkit.wire import codes
from tunnelkit.wire.native.login import Challenge, Login, Proof
from tunnelkit.wire.token import isUserName

_BOUND_FLAG: Final = f"p={ENDPOINT}"

_DECOY_SALT: Final = 16
"""The length of a decoy's salt, in bytes: that of a L{Verifier}'s."""

_NONCE: Final = r"[!-+\--~]{1,256}"
"""SCRAM's printable characters: ASCII without the comma."""
_CLIENT_FIRST: Final = re.compile(
    rf"(?P<flag>[ny]|p=[A-Za-z0-9.-]+),,n=(?P<user>[^,]*),r=(?P<nonce>{_NONCE})"
)
_CLIENT_FINAL: Final = re.compile(
    rf"c=(?P<channel>{BASE64}),r=(?P<nonce>[!-+\--~]+),p=[A-Za-z0-9+/]{{43}}="
)
_NO_PROOF: Final = b64encode(bytes(32)).decode()
"""Stands in for a proof that cannot be read; no secret has it."""

_FAILED: Final = (
    "the server does not accept this token: check the one in --token, --token-file or"
    " TUNNELKIT_TOKEN, or have a new one made on the server by: tunnelkit token new"
)
_NOT_BOUND_HERE: Final = (
    "this server does not bind the login to a certificate: start the client with"
    " --verify, or with --insecure where there is no TLS at all"
)
_BOUND_HERE: Final = (
    "this server binds the login to the certificate that it shows"
    f" ({BOUND} with {ENDPOINT}), and the client did not: if it was told that the"
    " server binds nothing, something between the two has changed what they say"
)
_OTHER_CERTIFICATE: Final = (
    "the client saw another certificate than the one that this server shows: something"
    " between the two opens the TLS.  Connect past it; or, if it is your own, start the"
    " server with --behind-tls and the client with --verify"
)


class LoginRefused(Exception):
    """
    The server does not let a client in.

    @ivar code: why, from L{tunnelkit.wire.codes}.
    @ivar reason: why, in words for the person at the client; for each failure of
        authentication the same.
    @ivar cause: what was wrong in truth, for the server's own log alone.  It holds no
        secret, and of what the client sent nothing but the name of a user.
    @ivar retry: whether asking again later may succeed.
    """

    def __init__(
        self, code: str, reason: str, cause: str, *, retry: bool = False
    ) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.cause = cause
        self.retry = retry


def _failed(cause: str) -> LoginRefused:
    return LoginRefused(codes.LOGIN, _FAILED, cause)


def _unfit(reason: str, cause: str) -> LoginRefused:
    return LoginRefused(codes.BINDING, reason, cause)


@dataclass(frozen=True, slots=True)
class _Claim:
    """
    Who a client says that it is.

    @ivar flag: SCRAM's GS2 flag, empty where the message was not understood.
    @ivar name: the user's name as it stood in the message, whatever that is.
    @ivar nonce: the client's.
    @ivar trouble: why it cannot be true, else empty.
    """

    flag: str
    name: str
    nonce: str
    trouble: str

    @staticmethod
    def of(login: Login) -> _Claim:
        found = _CLIENT_FIRST.fullmatch(login.first)
        if found is None:
            return _Claim("", "", "-", "the client-first-message is malformed")
        trouble = ""
        if login.mechanism not in (BOUND, UNBOUND):
            trouble = "the mechanism is unknown"
        # scramp would make "default" of one in full-width letters.
        elif not isUserName(found["user"]):
            trouble = "no user can have that name"
        return _Claim(found["flag"], found["user"], found["nonce"], trouble)

    @property
    def user(self) -> str:
        """
        The user to look up; none is called C{""}.
        """
        return "" if self.trouble else self.name


def _decoy(key: bytes, name: str) -> Verifier:
    """
    Make the verifier of a user who does not exist: the same one at each try, as that
    of one who exists is, and fitting no secret.
    """
    seed = hmac.digest(key, name.encode(errors="surrogatepass"), "sha256")
    return Verifier(
        salt=seed[:_DECOY_SALT],
        iterations=ITERATIONS,
        storedKey=hmac.digest(seed, b"stored key", "sha256"),
        serverKey=hmac.digest(seed, b"server key", "sha256"),
    )


class ServerLogin:
    """
    The server's side of one login.

    Whoever cannot log in, for whatever cause, gets a challenge and is refused after
    the proof, with the same words and after the same work; only where the binding does
    not fit is that said, as it tells nothing of users and may tell of an attacker.

    @ivar user: who is logged in; empty before L{prove} has returned.
    @ivar client: the client's name, likewise.
    @ivar instance: the running client's identifier, likewise.
    """

    def __init__(
        self,
        lookup: Callable[[str], Verifier | None],
        decoyKey: bytes,
        binding: bytes | None,
        nonce: Callable[[], str],
    ) -> None:
        """
        @param lookup: gives what a user's login is checked against, None where there
            is no such user or none who may log in.  It is asked at the challenge and
            again at the proof, about C{""} where the name is impossible.
        @param decoyKey: secret, and the same as long as the users are: a decoy that
            changes at a restart would be known by that.
        @param binding: the hash of the certificate that this connection showed (RFC
            5929), or None where it showed none of this server's own.
        @param nonce: gives a random nonce of ASCII letters and digits.
        """
        self.user = self.client = self.instance = ""
        self._lookup = lookup
        self._decoyKey = decoyKey
        self._binding = binding
        self._nonce = nonce
        self._login: Login | None = None
        self._scram: Any = None

    def challenge(self, login: Login) -> Challenge:
        """
        Answer a client's first message.

        @raise LoginRefused: the login is bound and the server is not, or the reverse;
            or this is not the first message.
        """
        if self._login is not None:
            raise _failed("a second login on the same connection")
        self._login = login
        self._claim = claim = _Claim.of(login)
        self._checkBinding(login.mechanism, claim.flag)
        self._known = self._lookup(claim.user)
        decoy = _decoy(self._decoyKey, claim.name)
        return Challenge(self._begin(self._known or decoy))

    def prove(self, proof: Proof) -> str:
        """
        Check a client's proof.

        @return: SCRAM's server-final-message, the server's own proof.
        @raise LoginRefused: the client is not who it says, or came through another
            certificate.
        """
        # One challenge is good for one proof.
        scram, self._scram = self._scram, None
        if scram is None or self._login is None:
            raise _failed("a proof without a challenge")
        found = _CLIENT_FINAL.fullmatch(proof.final)
        if found and self._claim.flag and found["channel"] != self._channel:
            raise _unfit(_OTHER_CERTIFICATE, "a login through another certificate")
        final, trouble = self._checked(scram, found)
        if trouble:
            who = f"user {self._claim.user}" if self._claim.user else "nobody"
            raise _failed(f"{who}: {trouble}")
        self.user = self._claim.user
        self.client = self._login.client
        self.instance = self._login.instance
        return final

    def _checkBinding(self, mechanism: str, flag: str) -> None:
        if self._binding is None:
            if mechanism == BOUND or flag.startswith("p="):
                raise _unfit(_NOT_BOUND_HERE, "a bound login where nothing is bound")
        elif mechanism == UNBOUND or flag not in ("", _BOUND_FLAG):
            raise _unfit(_BOUND_HERE, f"a login that is not bound by {ENDPOINT}")

    def _begin(self, verifier: Verifier) -> str:
        """
        Start scramp's conversation with a message that it cannot find fault with.

        @return: SCRAM's server-first-message.
        """
        claim, binding = self._claim, self._binding
        flag = claim.flag or ("n" if binding is None else _BOUND_FLAG)
        channel = f"{flag},,".encode() + (binding or b"")
        self._channel = b64encode(channel).decode()
        ours = self._nonce()
        self._nonces = claim.nonce + ours
        keys = verifier.storedKey, verifier.serverKey
        mechanism = ScramMechanism(UNBOUND if binding is None else BOUND)
        self._scram = mechanism.make_server(
            lambda user: (verifier.salt, *keys, verifier.iterations),
            channel_binding=None if binding is None else (ENDPOINT, binding),
            s_nonce=ours,
        )
        self._scram.set_client_first(f"{flag},,n={claim.user or '-'},r={claim.nonce}")
        return str(self._scram.get_server_first())

    def _checked(self, scram: Any, found: re.Match[str] | None) -> tuple[str, str]:
        """
        Do the whole of the work, whatever is wrong.

        @return: SCRAM's server-final-message, and what is wrong: empty if nothing.
        """
        trouble = self._claim.trouble
        if self._known is None:
            trouble = trouble or "there is no such user, or one disabled or expired"
        final = f"c={self._channel},r={self._nonces},p={_NO_PROOF}"
        if found is None:
            trouble = trouble or "the client-final-message is malformed"
        elif found["nonce"] != self._nonces:
            trouble = trouble or "the proof answers another challenge"
        elif self._claim.flag:
            final = found[0]
        answer = ""
        try:
            scram.set_client_final(final)
            answer = str(scram.get_server_final())
        except ScramException:
            trouble = trouble or "the proof was made with another secret"
        if self._lookup(self._claim.user) != self._known:
            trouble = trouble or "the user was changed since the challenge"
        return answer, trouble
