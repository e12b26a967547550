# -*- test-case-name: tests.wire.portal.test_noise -*-
"""
Noise_NNpsk0_25519_ChaChaPoly_SHA256: two messages by which two programs that know the
same 32 bytes agree on keys, which nobody learns who finds those bytes out later.

The names are those of the Noise specification, revision 34::

    -> psk, e
    <- e, ee

Each message carries bytes of ours.  The first can be replayed, so the responder must
tell by what it carries whether it is new; whoever knows the keys afterwards is alive.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from hashlib import sha256
from hmac import digest
from struct import Struct
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from tunnelkit.wire.native.frames import WireError

PROTOCOL: Final = b"Noise_NNpsk0_25519_ChaChaPoly_SHA256"
KEY: Final = 32
"""The length of each key, in bytes."""
SEAL: Final = 16
"""By how many bytes encrypted text is longer."""

_NONCE: Final = Struct("<4xQ")


def nonce(counter: int) -> bytes:
    """
    Give the nonce of a message, by its number.
    """
    return _NONCE.pack(counter)


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """
    What a handshake results in: a key for each direction.
    """

    sending: bytes
    receiving: bytes


class Noise:
    """
    All that two ends have before the first message.
    """

    def __init__(self, secret: bytes, prologue: bytes) -> None:
        """
        @param secret: the 32 bytes that both know.
        @param prologue: what both must agree on, and nobody need hide.
        """
        if len(secret) != KEY:
            raise ValueError(f"the secret of a handshake has {KEY} bytes")
        # The secret is mixed in here, once, and not for each message of a stranger.
        self._begun = _Symmetric(prologue)
        self._begun.mixKeyAndHash(secret)

    def initiate(self, random: Callable[[int], bytes], payload: bytes) -> Initiator:
        """
        Begin a handshake.

        @param random: gives so many random bytes.
        @param payload: what the first message carries.
        """
        return Initiator(copy(self._begun), random, payload)

    def respond(self, message: bytes) -> Responder:
        """
        Take the first message.

        @raise WireError: its sender does not know the secret.
        """
        return Responder(copy(self._begun), message)


class Initiator:
    """
    The end that began.

    @ivar message: the first message.
    """

    def __init__(
        self, state: _Symmetric, random: Callable[[int], bytes], payload: bytes
    ) -> None:
        self._own = X25519PrivateKey.from_private_bytes(random(KEY))
        self._state = state
        public = state.mixPublic(self._own.public_key().public_bytes_raw())
        self.message = public + state.seal(payload)

    def finish(self, message: bytes) -> tuple[bytes, Keys]:
        """
        Take the second message.  One that is not right changes nothing.

        @return: what it carries, and the keys.
        @raise WireError: its sender does not know the secret, or answers another.
        """
        state = copy(self._state)
        theirs = state.mixPublic(message[:KEY])
        state.mixKey(_agreed(self._own, theirs))
        payload = state.open(message[KEY:])
        sending, receiving = state.split()
        return payload, Keys(sending, receiving)


class Responder:
    """
    The end that answers.

    @ivar payload: what the first message carries.
    """

    def __init__(self, state: _Symmetric, message: bytes) -> None:
        self._theirs = state.mixPublic(message[:KEY])
        self.payload = state.open(message[KEY:])
        self._state = state

    def answer(
        self, random: Callable[[int], bytes], payload: bytes
    ) -> tuple[bytes, Keys]:
        """
        Give the second message, and the keys.

        @param random: gives so many random bytes.
        @raise WireError: no key can be agreed on with what the initiator sent.
        """
        own = X25519PrivateKey.from_private_bytes(random(KEY))
        public = self._state.mixPublic(own.public_key().public_bytes_raw())
        self._state.mixKey(_agreed(own, self._theirs))
        message = public + self._state.seal(payload)
        receiving, sending = self._state.split()
        return message, Keys(sending, receiving)


def _agreed(own: X25519PrivateKey, theirs: bytes) -> bytes:
    try:
        return own.exchange(X25519PublicKey.from_public_bytes(theirs))
    except ValueError as e:
        raise WireError("no key can be agreed on with this public key") from e


class _Symmetric:
    """
    What the specification calls the symmetric state: the hash of all that was said, and
    the keys that came of it.
    """

    def __init__(self, prologue: bytes) -> None:
        self._hash = self._chain = sha256(PROTOCOL).digest()
        self._key = bytes(KEY)
        self._counter = 0
        self.mixHash(prologue)

    def mixHash(self, data: bytes) -> None:
        self._hash = sha256(self._hash + data).digest()

    def mixKey(self, secret: bytes) -> None:
        self._chain, self._key = _derived(self._chain, secret, 2)
        self._counter = 0

    def mixKeyAndHash(self, secret: bytes) -> None:
        self._chain, hashed, self._key = _derived(self._chain, secret, 3)
        self.mixHash(hashed)
        self._counter = 0

    def mixPublic(self, key: bytes) -> bytes:
        if len(key) != KEY:
            raise WireError("a message of the handshake is too short")
        self.mixHash(key)
        self.mixKey(key)
        return key

    def seal(self, payload: bytes) -> bytes:
        cipher = ChaCha20Poly1305(self._key)
        sealed = cipher.encrypt(nonce(self._counter), payload, self._hash)
        self._counter += 1
        self.mixHash(sealed)
        return sealed

    def open(self, sealed: bytes) -> bytes:
        cipher = ChaCha20Poly1305(self._key)
        try:
            payload = cipher.decrypt(nonce(self._counter), sealed, self._hash)
        except (InvalidTag, ValueError) as e:
            raise WireError("a message of the handshake is not authentic") from e
        self._counter += 1
        self.mixHash(sealed)
        return payload

    def split(self) -> tuple[bytes, bytes]:
        first, second = _derived(self._chain, b"", 2)
        return first, second


def _derived(chain: bytes, secret: bytes, count: int) -> list[bytes]:
    """
    Derive keys as RFC 5869 does, without its extra information.
    """
    root = digest(chain, secret, "sha256")
    keys, last = [], b""
    for number in range(1, count + 1):
        last = digest(root, last + bytes([number]), "sha256")
        keys.append(last)
    return keys
