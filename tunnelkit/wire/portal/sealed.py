# -*- test-case-name: tests.wire.portal.test_sealed -*-
"""
Sealed packets: what two portals of ours say to each other over UDP.  Numbers are
big-endian.

::

    opening  81, Noise's first message {instance 16, time u64, index u32}
    answer   82, index u32, Noise's second message {index u32}
    data     83, index u32, counter u64, ciphertext of {flow u32, datagram}

An index tells a receiver by which keys a packet is to be read: each end chooses its own
in the handshake.  C{instance} is random and made when a program starts; of one instance
the responder takes openings with ever greater times alone.  A data packet's first 13
bytes are authenticated, its counter is the nonce.

Flow 0 is the portals' own, L{Note} has what is said there.  No first byte is one with
which STUN begins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.portal.noise import (
    KEY,
    SEAL,
    Initiator,
    Keys,
    Noise,
    Responder,
    nonce,
)
from tunnelkit.wire.portal.replay import ReplayWindow

VERSION: Final = b"tunnelkit-portal/1"

OPENING: Final = 0x81
ANSWER: Final = 0x82
DATA: Final = 0x83

INSTANCE: Final = 16
"""The length of an instance's name, in bytes."""

_OPENED: Final = Struct(f"!{INSTANCE}sQI")
_INDEX: Final = Struct("!BI")
_ANSWERED: Final = Struct("!I")
_DATA: Final = Struct("!BIQ")
_FLOW: Final = Struct("!I")

LONGEST: Final = 65507 - _DATA.size - _FLOW.size - SEAL
"""The longest datagram, in bytes, that fits into a packet over UDP."""
FLOWS: Final = 1 << 32
"""Flows are numbered from 1 to below this."""
EXHAUSTED: Final = 1 << 32
"""After so many packets the keys are to be changed."""

Random = Callable[[int], bytes]


class Note(IntEnum):
    """
    What an end says to the other on flow 0, by its first byte.

    PING is followed by what the answer, PONG, repeats; behind that stands, as text,
    from where the PING came.
    """

    PING = 1
    PONG = 2


def derived(secret: bytes, purpose: str, name: str) -> bytes:
    """
    Derive 32 bytes of a shared secret, for one purpose and one portal.
    """
    info = f"{purpose}\0{name}".encode()
    return HKDF(SHA256(), KEY, salt=VERSION, info=info).derive(secret)


def makeNoise(secret: bytes, name: str) -> Noise:
    """
    Make what two portals with a secret have in common.

    @param name: the name of the far one; empty where the near one has only its address.
    """
    return Noise(derived(secret, "packets", name), VERSION)


@dataclass(frozen=True, slots=True)
class Opened:
    """
    What an opening carries.

    @ivar instance: which program sent it.
    @ivar time: greater than in each opening before.
    @ivar index: what is to stand in packets to it.
    """

    instance: bytes
    time: int
    index: int


def opening(noise: Noise, random: Random, opened: Opened) -> tuple[bytes, Initiator]:
    """
    Give a packet that asks for keys, and what its answer is to be given to.
    """
    payload = _OPENED.pack(opened.instance, opened.time, opened.index)
    initiator = noise.initiate(random, payload)
    return bytes([OPENING]) + initiator.message, initiator


def readOpening(noise: Noise, packet: bytes) -> tuple[Opened, Responder]:
    """
    Read an opening.

    @raise WireError: its sender does not know the secret.
    """
    responder = noise.respond(packet[1:])
    if len(responder.payload) != _OPENED.size:
        raise WireError("an opening carries something else")
    return Opened(*_OPENED.unpack(responder.payload)), responder


def answer(
    responder: Responder, random: Random, theirs: int, ours: int
) -> tuple[bytes, Keys]:
    """
    Give the packet that answers an opening, and the keys.

    @param theirs: the index that the opening gave.
    @param ours: what is to stand in packets to us.
    """
    message, keys = responder.answer(random, _ANSWERED.pack(ours))
    return _INDEX.pack(ANSWER, theirs) + message, keys


def readAnswer(initiator: Initiator, packet: bytes) -> tuple[int, Keys]:
    """
    Read the answer to an opening.

    @return: the index of the other end, and the keys.
    @raise WireError: it is no answer to that.
    """
    payload, keys = initiator.finish(packet[_INDEX.size :])
    if len(payload) != _ANSWERED.size:
        raise WireError("an answer carries something else")
    return _ANSWERED.unpack(payload)[0], keys


def indexOf(packet: bytes) -> int:
    """
    Give the index in an answer or in data.

    @raise WireError: the packet is too short for one.
    """
    if len(packet) < _INDEX.size:
        raise WireError("a packet is too short for an index")
    return int(_INDEX.unpack_from(packet)[1])


class Sealer:
    """
    Keys in use: datagrams to packets and back.

    @ivar sent: how many packets were sealed.
    """

    def __init__(self, keys: Keys, theirs: int) -> None:
        """
        @param theirs: the index of the other end.
        """
        self._sending = ChaCha20Poly1305(keys.sending)
        self._receiving = ChaCha20Poly1305(keys.receiving)
        self._theirs = theirs
        self._window = ReplayWindow()
        self.sent = 0

    def seal(self, flow: int, datagram: bytes) -> bytes:
        """
        Give the packet of a datagram.
        """
        counter = self.sent
        self.sent = counter + 1
        header = _DATA.pack(DATA, self._theirs, counter)
        text = _FLOW.pack(flow) + datagram
        return header + self._sending.encrypt(nonce(counter), text, header)

    def unseal(self, packet: bytes) -> tuple[int, bytes, bool]:
        """
        Take a packet apart.

        @return: flow, datagram, and whether no later packet has come yet.
        @raise WireError: it is not authentic, or has come before.
        """
        if len(packet) < _DATA.size + _FLOW.size + SEAL:
            raise WireError("a data packet is too short")
        header = packet[: _DATA.size]
        counter = _DATA.unpack(header)[2]
        if not self._window.takes(counter):
            raise WireError("a data packet has come before")
        try:
            text = self._receiving.decrypt(nonce(counter), packet[_DATA.size :], header)
        except InvalidTag as e:
            raise WireError("a data packet is not authentic") from e
        newest = self._window.take(counter)
        return _FLOW.unpack_from(text)[0], text[_FLOW.size :], newest
