"""
Tests for L{tunnelkit.control.login}.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import statistics
import time
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count, product
from pathlib import Path
from typing import Any, TypeAlias

import scramp.core
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.control.login.client import ClientLogin, ServerUnproven
from tunnelkit.control.login.proofs import sameProof, workProof
from tunnelkit.control.login.server import LoginRefused, ServerLogin
from tunnelkit.state.users import Users
from tunnelkit.state.verifier import Verifier
from tunnelkit.wire import codes
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.native.login import Challenge, Login, Proof, Welcome
from tunnelkit.wire.token import Token

SECRET = "ue5xkq3dznb7w2yhj4ltv6pamrs2cfgo"
TOKEN = Token("default", SECRET)
DECOY_KEY = bytes(range(32))
CERTIFICATE = hashlib.sha256(b"ours").digest()
ANOTHER = hashlib.sha256(b"an attacker's").digest()
ENDPOINT = "p=tls-server-end-point"

Lookup: TypeAlias = Callable[[str], Verifier | None]
Nonce: TypeAlias = Callable[[], str]

KNOWN = {"default": Verifier.of(SECRET, lambda size: bytes(range(99, 99 + size)))}


def nonces() -> Nonce:
    """
    Give what makes nonces, a new one at each call.
    """
    numbers = count()
    return lambda: f"nonce{next(numbers):027}"


CLIENT_NONCE = nonces()
SERVER_NONCE = nonces()


def serverLogin(
    binding: bytes | None = CERTIFICATE,
    lookup: Lookup = KNOWN.get,
    nonce: Nonce = SERVER_NONCE,
    decoyKey: bytes = DECOY_KEY,
) -> ServerLogin:
    """
    Make the server's side of a login.
    """
    return ServerLogin(lookup, decoyKey, binding, nonce)


def clientLogin(
    token: Token = TOKEN, binding: bytes | None = CERTIFICATE
) -> ClientLogin:
    """
    Make the client's side of a login.
    """
    return ClientLogin(token, "laptop", "instance1", binding, CLIENT_NONCE)


def welcome(final: str) -> Welcome:
    """
    Make the server's last message.
    """
    return Welcome(final, "session1", "00", 5, 12, 100)


def login(first: str, mechanism: str = "SCRAM-SHA-256-PLUS") -> Login:
    """
    Make a client's first message.
    """
    return Login(mechanism, first, "laptop", "instance1")


def saltOf(server: ServerLogin, user: str) -> str:
    """
    Give the salt that a stranger gets to see who says to be a user.
    """
    first = server.challenge(login(f"{ENDPOINT},,n={user},r=abc")).first
    return str(re.findall(",s=(.*),", first)[0])


@dataclass(frozen=True)
class Attempt:
    """
    Somebody's way of trying to log in.

    @ivar cause: what the server's log is to say.
    @ivar changes: what becomes of the client's first message under way: a text and
        the one in its place.
    @ivar proves: likewise of its second, regular expressions.
    """

    cause: str
    token: Token = TOKEN
    changes: tuple[str, str] = ("", "")
    proves: tuple[str, str] = ("$", "")
    mechanism: str = "SCRAM-SHA-256-PLUS"

    def go(self, server: ServerLogin) -> tuple[Login, Challenge, Proof]:
        """
        Go as far as the proof, which is not yet given to the server.
        """
        client = clientLogin(self.token)
        first = client.first().first.replace(*self.changes)
        login = Login(self.mechanism, first, "laptop", "instance1")
        challenge = server.challenge(login)
        try:
            proof = client.answer(challenge).final
        except WireError:
            # After a first message that was no SCRAM no proof can fit.
            nonce = challenge.first[2:].split(",")[0]
            proof = f"c=biws,r={nonce},p={b64encode(bytes(32)).decode()}"
        return login, challenge, Proof(re.sub(*self.proves, proof, count=1))


MALFORMED_FIRST = "nobody: the client-first-message is malformed"
MALFORMED_FINAL = "user default: the client-final-message is malformed"
IMPOSSIBLE_NAME = "nobody: no user can have that name"
UNKNOWN = ": there is no such user, or one disabled or expired"

FAILURES = [
    Attempt(
        "user default: the proof was made with another secret",
        Token("default", "a" * 32),
    ),
    Attempt(f"user nemo{UNKNOWN}", Token("nemo", SECRET)),
    Attempt(f"user disabled{UNKNOWN}", Token("disabled", SECRET)),
    Attempt(f"user expired{UNKNOWN}", Token("expired", SECRET)),
    Attempt(IMPOSSIBLE_NAME, changes=("default", "ｄｅｆａｕｌｔ")),  # noqa: RUF001
    Attempt(IMPOSSIBLE_NAME, changes=("default", "de\u00adfault")),
    Attempt(IMPOSSIBLE_NAME, changes=("default", "")),
    Attempt(IMPOSSIBLE_NAME, changes=("default", "a" * 65)),
    Attempt(IMPOSSIBLE_NAME, changes=("default", "default\n")),
    Attempt(IMPOSSIBLE_NAME, changes=("default", "\ud800")),
    Attempt("nobody: the mechanism is unknown", mechanism="SCRAM-SHA-1"),
    Attempt(MALFORMED_FIRST, changes=("r=nonce", "x=1,r=nonce")),
    Attempt(MALFORMED_FIRST, changes=(",,", ",a=default,")),
    Attempt(MALFORMED_FIRST, changes=("n=default,", "")),
    Attempt(MALFORMED_FINAL, proves=(".*", "")),
    Attempt(MALFORMED_FINAL, proves=(".*", "e=invalid-proof")),
    Attempt(MALFORMED_FINAL, proves=("p=.", "p=")),
    Attempt(MALFORMED_FINAL, proves=(",p=.*", "")),
    Attempt(
        "user default: the proof answers another challenge", proves=(",p=", "x,p=")
    ),
]
"""Every way not to get in, but those in which the binding does not fit."""


def fixed(attempt: Attempt, lookup: Lookup) -> Callable[[], tuple[ServerLogin, Proof]]:
    """
    Give what has a server go through the same login, as far as the proof, again and
    again; and the proof that then fits.
    """
    nonce = SERVER_NONCE()
    login, _, proof = attempt.go(serverLogin(lookup=lookup, nonce=lambda: nonce))

    def again() -> tuple[ServerLogin, Proof]:
        server = serverLogin(lookup=lookup, nonce=lambda: nonce)
        server.challenge(login)
        return server, proof

    return again


class GoodLoginTests(SynchronousTestCase):
    """
    Who has a token gets in.
    """

    def test_goodLogin(self) -> None:
        """
        Client and server let each other in, bound to a certificate or not.
        """
        for binding in (CERTIFICATE, hashlib.sha512().digest(), None):
            client, server = clientLogin(binding=binding), serverLogin(binding)
            proof = client.answer(server.challenge(client.first()))
            self.assertEqual(server.user + server.client + server.instance, "")
            client.check(welcome(server.prove(proof)))
            self.assertEqual(server.user, "default")
            self.assertEqual(server.client, "laptop")
            self.assertEqual(server.instance, "instance1")

    def test_newToken(self) -> None:
        """
        A token as C{tunnelkit token new} makes it logs in, whatever is in it.
        """
        for name in ("a", "0-.", "a" * 64):
            token = Token.new(name, os.urandom)
            verifier = Verifier.of(token.secret, os.urandom)
            client, server = (
                clientLogin(token),
                serverLogin(lookup={name: verifier}.get),
            )
            proof = client.answer(server.challenge(client.first()))
            client.check(welcome(server.prove(proof)))
            self.assertEqual(server.user, name)

    def test_publishedExample(self) -> None:
        """
        Both sides say what RFC 7677 has them say, so that programs in other languages
        can log in.
        """
        salt = b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
        verifier = Verifier.of("pencil", lambda size: salt)
        ours = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
        server = serverLogin(None, {"user": verifier}.get, lambda: ours)
        theirs = "rOprNGfwEbeRWgbNEkqO"
        client = ClientLogin(Token("user", "pencil"), "", "", None, lambda: theirs)
        first = client.first()
        self.assertEqual(first.mechanism, "SCRAM-SHA-256")
        self.assertEqual(first.first, f"n,,n=user,r={theirs}")
        challenge = server.challenge(first)
        self.assertEqual(
            challenge.first, f"r={theirs}{ours},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        )
        proof = client.answer(challenge)
        self.assertEqual(
            proof.final,
            f"c=biws,r={theirs}{ours},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        )
        final = server.prove(proof)
        self.assertEqual(final, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
        client.check(welcome(final))

    def test_moreIterations(self) -> None:
        """
        A verifier that was made elsewhere with as many iterations as we allow is good
        for a login.
        """
        keys = hashlib.pbkdf2_hmac("sha256", SECRET.encode(), bytes(20), 100_000)
        clientKey = hmac.digest(keys, b"Client Key", "sha256")
        verifier = Verifier(
            salt=bytes(20),
            iterations=100_000,
            storedKey=hashlib.sha256(clientKey).digest(),
            serverKey=hmac.digest(keys, b"Server Key", "sha256"),
        )
        self.assertEqual(Verifier.parse(str(verifier)), verifier)
        client = clientLogin()
        server = serverLogin(lookup={"default": verifier}.get)
        proof = client.answer(server.challenge(client.first()))
        client.check(welcome(server.prove(proof)))


class RefusedLoginTests(SynchronousTestCase):
    """
    Who has no good token does not get in, and learns nothing.
    """

    def setUp(self) -> None:
        """
        Make a file with a user of each sort.
        """
        self.path = Path(self.mktemp())
        self.path.write_text(
            f"""
            [users.default]
            verifier = "{KNOWN["default"]}"
            [users.disabled]
            verifier = "{KNOWN["default"]}"
            disabled = true
            [users.expired]
            verifier = "{KNOWN["default"]}"
            expires = 2025-01-01T00:00:00Z
            """
        )
        self.lookup = Users(self.path, now=lambda: 1_800_000_000.0).lookup

    def refusal(self, server: ServerLogin, proof: Proof) -> LoginRefused:
        """
        Have a proof refused like any other, and nobody logged in.
        """
        refused: LoginRefused = self.assertRaises(LoginRefused, server.prove, proof)
        self.assertEqual((refused.code, refused.retry), (codes.LOGIN, False))
        self.assertEqual(server.user + server.client + server.instance, "")
        return refused

    def test_failuresLookTheSame(self) -> None:
        """
        Whatever is wrong, the same messages are exchanged, in the same words and
        lengths; only the server's log has what it was.
        """
        good = Attempt("").go(serverLogin())[1].first
        reasons = set()
        for attempt in FAILURES:
            server = serverLogin(lookup=self.lookup)
            _, challenge, proof = attempt.go(server)
            self.assertRegex(challenge.first, r"^r=[!-+\--~]{32,},s=.{22}==,i=4096$")
            if attempt.cause != MALFORMED_FIRST:
                self.assertEqual(len(challenge.first), len(good))
            refused = self.refusal(server, proof)
            self.assertEqual(refused.cause, attempt.cause)
            self.assertEqual(str(refused), refused.reason)
            reasons.add(refused.reason)
        (reason,) = reasons
        self.assertIn("--token-file", reason)

    def test_sameWork(self) -> None:
        """
        Whatever is wrong, the server does the same cryptography and asks for a user
        as often, so that nobody learns from its time.
        """
        done: Counter[str] = Counter()

        def counted(name: str, f: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **named: Any) -> Any:
                done[name] += 1
                return f(*args, **named)

            return call

        attempts = [fixed(a, counted("lookup", self.lookup)) for a in FAILURES]
        self.patch(hmac, "digest", counted("digest", hmac.digest))
        self.patch(hmac, "new", counted("new", hmac.new))
        for name in ("h", "compare_digest", "saslprep"):
            self.patch(scramp.core, name, counted(name, getattr(scramp.core, name)))
        for attempt, again in zip(FAILURES, attempts, strict=True):
            done.clear()
            server, proof = again()
            self.refusal(server, proof)
            self.assertEqual(
                done,
                {
                    "lookup": 2,
                    "digest": 3,
                    "new": 1,
                    "h": 1,
                    "compare_digest": 2,
                    "saslprep": 1,
                },
                attempt,
            )

    def test_sameTime(self) -> None:
        """
        Over many rounds, the answer to an unknown user takes as long as that to a
        wrong secret.
        """
        attempts = {a.cause: fixed(a, self.lookup) for a in FAILURES}

        def spent(again: Callable[[], tuple[ServerLogin, Proof]]) -> float:
            before = time.thread_time()
            for _ in range(20):
                server, proof = again()
                with contextlib.suppress(LoginRefused):
                    server.prove(proof)
            return time.thread_time() - before

        for _ in range(5):
            rounds = [
                {c: spent(again) for c, again in attempts.items()} for _ in "12345"
            ]
            medians = [statistics.median(r[c] for r in rounds) for c in attempts]
            if max(medians) < 2 * min(medians):
                return
        self.fail(f"{dict(zip(attempts, medians, strict=True))}")

    def test_steadyDecoy(self) -> None:
        """
        Who asks twice for a user cannot tell from the salts whether there is one;
        other users, and other servers, have other salts.
        """
        asked = [saltOf(serverLogin(), user) for user in ("nemo", "nemo", "outis")]
        self.assertEqual(asked[0], asked[1])
        self.assertNotEqual(asked[0], asked[2])
        self.assertNotEqual(asked[0], saltOf(serverLogin(decoyKey=b"another"), "nemo"))
        real = Verifier.of(SECRET, os.urandom)
        self.assertEqual(len(b64decode(asked[0])), len(real.salt))

    def test_folded(self) -> None:
        """
        A name that Unicode makes into that of a user is not that user's, and is
        answered like any other that is unknown.
        """
        asked = []

        def lookup(name: str) -> Verifier | None:
            asked.append(name)
            return KNOWN.get(name)

        names = ("default", "ｄｅｆａｕｌｔ", "de\u00adfault", "DEFAULT")  # noqa: RUF001
        salts = {saltOf(serverLogin(lookup=lookup), name) for name in names}
        self.assertEqual(len(salts), 4)
        self.assertEqual(asked, ["default", "", "", ""])

    def test_replayed(self) -> None:
        """
        Who has overheard a login cannot log in with what was said.
        """
        login, _, proof = Attempt("").go(server := serverLogin())
        server.prove(proof)
        server = serverLogin()
        server.challenge(login)
        self.assertIn("another challenge", self.refusal(server, proof).cause)

    def test_changedMeanwhile(self) -> None:
        """
        A user who is revoked between challenge and proof is refused.
        """
        server = serverLogin(lookup=self.lookup)
        _, _, proof = Attempt("").go(server)
        self.path.write_text("[users]\n")
        self.assertIn("since the challenge", self.refusal(server, proof).cause)

    def test_outOfOrder(self) -> None:
        """
        Proofs without a challenge, and more than one of either, are refused.
        """
        self.refusal(serverLogin(), Proof("c=biws,r=x,p=x"))
        server = serverLogin()
        login, _, proof = Attempt("").go(server)
        again = self.assertRaises(LoginRefused, server.challenge, login)
        self.assertEqual(again.code, codes.LOGIN)
        self.assertIn("second login", again.cause)
        wrong = Proof(re.sub("p=.{6}", "p=AAAAAA", proof.final))
        self.refusal(server, wrong)
        self.assertIn("without a challenge", self.refusal(server, proof).cause)


class BindingTests(SynchronousTestCase):
    """
    A login is good for the connection that it was made on, and who stands between
    client and server is found out.
    """

    def unfit(self, f: Callable[[Any], object], message: object) -> LoginRefused:
        """
        Have a message refused as the binding does not fit.
        """
        refused: LoginRefused = self.assertRaises(LoginRefused, f, message)
        self.assertEqual((refused.code, refused.retry), (codes.BINDING, False))
        return refused

    def test_anotherCertificate(self) -> None:
        """
        A login that somebody passes on, having shown a certificate of his own, is
        refused, and the user is told that somebody is there; an unknown user, too.
        """
        for token in (TOKEN, Token("nemo", SECRET)):
            client, server = clientLogin(token, ANOTHER), serverLogin(CERTIFICATE)
            proof = client.answer(server.challenge(client.first()))
            refused = self.unfit(server.prove, proof)
            self.assertIn("another certificate", refused.reason)
            self.assertEqual(server.user, "")

    def test_toldNone(self) -> None:
        """
        A client that was told, on the way, that the server binds nothing is refused
        by the server that does.
        """
        first = clientLogin(binding=None).first()
        refused = self.unfit(serverLogin(CERTIFICATE).challenge, first)
        self.assertIn("something between the two", refused.reason)

    def test_serverWithout(self) -> None:
        """
        A client that binds its login is told what to do about a server that cannot.
        """
        refused = self.unfit(serverLogin(None).challenge, clientLogin().first())
        self.assertIn("--verify", refused.reason)

    def test_strippedBinding(self) -> None:
        """
        Who takes the binding out of the client's first message is found out by the
        proof, which covers it.
        """
        client, server = clientLogin(binding=ANOTHER), serverLogin(None)
        first = client.first().first.replace(ENDPOINT, "n")
        proof = client.answer(server.challenge(login(first, "SCRAM-SHA-256")))
        self.unfit(server.prove, proof)

    def test_everyCombination(self) -> None:
        """
        Mechanism, flag and server have to fit, and each misfit is named; "the server
        has none, it seems" (C{y}) is taken for what it is by a server that has none.
        """
        plain, bound = "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"
        fits = {(plain, "n", None), (plain, "y", None), (bound, ENDPOINT, CERTIFICATE)}
        flags = ("n", "y", ENDPOINT, "p=tls-unique", "p=tls-exporter")
        for case in product((plain, bound), flags, (None, CERTIFICATE)):
            mechanism, flag, binding = case
            server = serverLogin(binding)
            first = login(f"{flag},,n=default,r=abc", mechanism)
            if case in fits:
                server.challenge(first)
            else:
                self.unfit(server.challenge, first)

    def test_refusedAtOnce(self) -> None:
        """
        After a misfit there is no going on.
        """
        server = serverLogin(None)
        self.unfit(server.challenge, clientLogin().first())
        self.assertRaises(LoginRefused, server.challenge, login("n,,n=default,r=abc"))
        self.assertRaises(LoginRefused, server.prove, Proof("c=biws,r=abc,p=x"))


class ClientLoginTests(SynchronousTestCase):
    """
    The client does not fall for a server that is not the user's.
    """

    def challenged(self, rest: str) -> tuple[ClientLogin, Challenge]:
        """
        Give a client, and a challenge to it whose end is told.
        """
        client = clientLogin()
        nonce = client.first().first.rpartition("r=")[2]
        return client, Challenge(f"r={nonce}{rest}")

    def test_ignorantServer(self) -> None:
        """
        A server that lets anybody in but does not know the secret is not believed.
        """
        for final in (
            "",
            "v=",
            "v=" + b64encode(bytes(32)).decode(),
            "v=AAAA",
            "v=ä",
            "e=other-error",
            "e=\ud800",
        ):
            client, challenge = self.challenged("x,s=MTIzNDU2Nzg5MDEy,i=4096")
            client.answer(challenge)
            error = self.assertRaises(ServerUnproven, client.check, welcome(final))
            self.assertIn("does not know the secret of user default", str(error))

    def test_welcomeAtOnce(self) -> None:
        """
        A server that skips the challenge is not believed.
        """
        client = clientLogin()
        client.first()
        self.assertRaises(ServerUnproven, client.check, welcome("v=AAAA"))

    def test_tooMuchWork(self) -> None:
        """
        A server that asks for ten million iterations does not keep the client busy;
        nor does it get a proof that is cheap to guess at.
        """
        self.patch(scramp.core, "hi", lambda *args: self.fail("work was done"))
        for iterations in (0, 1, 4095, 100_001, 10_000_000, 10**19):
            client, challenge = self.challenged(f"x,s=MTIzNDU2Nzg5MDEy,i={iterations}")
            error = self.assertRaises(WireError, client.answer, challenge)
            self.assertIn(f"asks for {iterations} iterations", str(error))

    def test_otherChallenge(self) -> None:
        """
        A challenge that is not for this login, or adds no chance to it, gets no proof.
        """
        client, _ = self.challenged("")
        error = self.assertRaises(
            WireError, client.answer, Challenge("r=nonce,s=MTIzNDU2Nzg5MDEy,i=4096")
        )
        self.assertIn("does not belong to this login", str(error))
        for rest in (
            ",s=MTIzNDU2Nzg5MDEy,i=4096",
            "x,s=c2hvcnQ=,i=4096",
            "x,s=,i=4096",
            "x,s=MTIzNDU2Nzg5MDEy,i=4096,x=\ud800",
        ):
            client, challenge = self.challenged(rest)
            self.assertRaises(WireError, client.answer, challenge)

    def test_oneProof(self) -> None:
        """
        A server that asks twice gets one proof.
        """
        client, challenge = self.challenged("x,s=MTIzNDU2Nzg5MDEy,i=4096")
        client.answer(challenge)
        self.assertRaises(WireError, client.answer, challenge)


FIELDS = st.sampled_from(
    [
        *("n", "y", ENDPOINT, "p=", "", "n=default", "n=nemo", "n==3D", "n==", "r=abc"),
        *("r=", "c=biws", "c=!", "p=AAAA", f"p={b64encode(bytes(32)).decode()}", "m=x"),
        *("s=MTIzNDU2Nzg5MDEy", "i=4096", "i=09", "i=" + "9" * 20, "e=other-error"),
        *("a=b", "v=AA", SECRET, "\0", "\ud800", "ｎ"),  # noqa: RUF001
    ]
) | st.text(st.characters(), max_size=10)
NOISE = st.one_of(
    st.text(st.characters(), max_size=50),
    st.lists(FIELDS, max_size=6).map(",".join),
)


class MalformedTests(SynchronousTestCase):
    """
    Nonsense is refused, and the secret is in no log, whatever the other side says.
    """

    def assertNoSecret(self, *errors: Exception) -> None:
        """
        Look into all that a log could show of errors.
        """
        for error in errors:
            self.assertNotIn(SECRET, f"{error!r} {vars(error)}")

    @given(NOISE, NOISE, st.sampled_from([None, CERTIFICATE]))
    def test_anyLogin(self, first: str, final: str, binding: bytes | None) -> None:
        """
        Whatever a client says, it is challenged or refused, and not let in.
        """
        server = serverLogin(binding)
        mechanism = "SCRAM-SHA-256" if binding is None else "SCRAM-SHA-256-PLUS"
        with contextlib.suppress(LoginRefused):
            self.assertIsInstance(server.challenge(login(first, mechanism)), Challenge)
        error = self.assertRaises(LoginRefused, server.prove, Proof(final))
        self.assertNoSecret(error)

    @given(NOISE, NOISE)
    def test_anyProof(self, noise: str, channel: str) -> None:
        """
        Whatever a client answers to a challenge, it is refused.
        """
        for change in (
            lambda final: noise,
            lambda final: final + noise,
            lambda final: final.replace("c=", "c=" + channel),
            lambda final: re.sub("(?<=p=).*", lambda _: noise, final),
        ):
            server = serverLogin()
            _, _, proof = Attempt("").go(server)
            changed = Proof(change(proof.final))
            if changed != proof:
                error = self.assertRaises(LoginRefused, server.prove, changed)
                self.assertNoSecret(error)

    @given(NOISE, NOISE)
    def test_anyServer(self, noise: str, final: str) -> None:
        """
        Whatever a server says, the client proves itself or ends the conversation, and
        does not take the server for the user's own.
        """
        client = clientLogin()
        nonce = client.first().first.rpartition("r=")[2]
        for first in (noise, f"r={nonce}{noise}", f"r={nonce}x,{noise}"):
            with contextlib.suppress(WireError):
                self.assertIsInstance(client.answer(Challenge(first)), Proof)
        error = self.assertRaises(ServerUnproven, client.check, welcome(final))
        self.assertNoSecret(error)


class WorkProofTests(SynchronousTestCase):
    """
    Work connections join the session that they belong to and no other.
    """

    def test_formula(self) -> None:
        """
        The proof is that of the protocol's page.
        """
        message = bytes(7) + b"\x07" + hashlib.sha256(b"DER").digest()
        expected = hmac.new(b"key", message, hashlib.sha256).hexdigest()
        self.assertEqual(workProof(b"key", 7, b"DER"), expected)

    def test_bindsEverything(self) -> None:
        """
        A proof does not do for another session, serial or certificate.
        """
        proofs = {
            workProof(b"key", 1, b"DER"),
            workProof(b"other", 1, b"DER"),
            workProof(b"key", 2, b"DER"),
            workProof(b"key", 2**63, b"DER"),
            workProof(b"key", 1, b"RED"),
            workProof(b"key", 1, None),
        }
        self.assertEqual(len(proofs), 6)

    def test_none(self) -> None:
        """
        Where no certificate is bound, its place is taken by the hash of no bytes.
        """
        self.assertEqual(workProof(b"key", 1, None), workProof(b"key", 1, b""))

    def test_sameProof(self) -> None:
        """
        A proof is compared with whatever text came.
        """
        proof = workProof(b"key", 1, None)
        self.assertTrue(sameProof(proof, "".join(proof)))
        for text in ("", proof[:-1], proof.upper(), proof + "0", "ä" * 64, "\ud800"):
            self.assertFalse(sameProof(proof, text))
