# -*- test-case-name: tests.control.test_login -*-
"""
Login: client and server prove to each other that they know a user's secret, and that
both saw the same certificate, without sending either.

It is SCRAM (RFC 5802, 7677) with the channel binding C{tls-server-end-point} (RFC
5929) where the server shows a certificate of its own.  The two sides are here as
messages in, messages out; docs/protocol.rst has the conversation.

C{scramp} does the cryptography.  It names the cause of each failure and stops at the
first; so what it is given has been read here before, and where something is wrong with
it, it is given something well-formed in place of that, which fails at the very end.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from scramp import ScramClient, ScramException, ScramMechanism

from tunnelkit.state.verifier import ITERATIONS, Verifier
from tunnelkit.wire import codes
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.native.login import Challenge, Login, Proof, Welcome
from tunnelkit.wire.token import Token, isUserName

_BOUND: Final = "SCRAM-SHA-256-PLUS"
_UNBOUND: Final = "SCRAM-SHA-256"
_ENDPOINT: Final = "tls-server-end-point"
_BOUND_FLAG: Final = f"p={_ENDPOINT}"

_MOST_ITERATIONS: Final = 100_000
"""The client refuses more: at scramp's own bound it would stand still for seconds."""
_DECOY_SALT: Final = 16
"""The length of a decoy's salt, in bytes: that of a L{Verifier}'s."""

_NONCE: Final = r"[!-+\--~]{1,256}"
"""SCRAM's printable characters: ASCII without the comma."""
_BASE64: Final = r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
_CLIENT_FIRST: Final = re.compile(
    rf"(?P<flag>[ny]|p=[A-Za-z0-9.-]+),,n=(?P<user>[^,]*),r=(?P<nonce>{_NONCE})"
)
_SERVER_FIRST: Final = re.compile(rf"r=[!-+\--~]+,s={_BASE64},i=([0-9]{{1,20}})")
_CLIENT_FINAL: Final = re.compile(
    rf"c=(?P<channel>{_BASE64}),r=(?P<nonce>[!-+\--~]+),p=[A-Za-z0-9+/]{{43}}="
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
    f" ({_BOUND} with {_ENDPOINT}), and the client did not: if it was told that the"
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


class ServerUnproven(Exception):
    """
    The server did not prove that it knows the user's secret.  The text says so to the
    person at the client.
    """


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
        if login.mechanism not in (_BOUND, _UNBOUND):
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
            if mechanism == _BOUND or flag.startswith("p="):
                raise _unfit(_NOT_BOUND_HERE, "a bound login where nothing is bound")
        elif mechanism == _UNBOUND or flag not in ("", _BOUND_FLAG):
            raise _unfit(_BOUND_HERE, f"a login that is not bound by {_ENDPOINT}")

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
        mechanism = ScramMechanism(_UNBOUND if binding is None else _BOUND)
        self._scram = mechanism.make_server(
            lambda user: (verifier.salt, *keys, verifier.iterations),
            channel_binding=None if binding is None else (_ENDPOINT, binding),
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
        self._mechanism = _UNBOUND if binding is None else _BOUND
        self._scram = ScramClient(
            [self._mechanism],
            token.user,
            token.secret,
            channel_binding=None if binding is None else (_ENDPOINT, binding),
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


def workProof(key: bytes, serial: int, certificate: bytes | None) -> str:
    """
    Prove that a new work connection belongs to a session, in hexadecimal.

    @param key: the session's key, from its L{Welcome}.
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
