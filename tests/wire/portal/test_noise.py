"""
Tests for L{tunnelkit.wire.portal.noise}, against another implementation.
"""

from __future__ import annotations

import os
from copy import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from noise.connection import NoiseConnection
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.portal.noise import PROTOCOL, Noise

SECRET = bytes(range(32))
PAYLOADS = st.binary(max_size=80)


def other(initiates: bool, secret: bytes = SECRET, prologue: bytes = b"pro") -> Any:
    """
    Make an end of the other implementation.
    """
    end = NoiseConnection.from_name(PROTOCOL)
    end.set_psks(secret)
    end.set_prologue(prologue)
    (end.set_as_initiator if initiates else end.set_as_responder)()
    end.start_handshake()
    return end


class AgreementTests(SynchronousTestCase):
    """
    A program in another language that follows the Noise specification is understood.
    """

    @settings(max_examples=25)
    @given(PAYLOADS, PAYLOADS)
    def test_weInitiate(self, first: bytes, second: bytes) -> None:
        """
        Another responder reads what we begin with, answers, and has the same keys.
        """
        theirs = other(False)
        ours = Noise(SECRET, b"pro").initiate(os.urandom, first)
        self.assertEqual(theirs.read_message(ours.message), first)
        payload, keys = ours.finish(bytes(theirs.write_message(second)))
        self.assertEqual(payload, second)
        state = theirs.noise_protocol
        self.assertEqual(state.cipher_state_decrypt.k, keys.sending)
        self.assertEqual(state.cipher_state_encrypt.k, keys.receiving)

    @settings(max_examples=25)
    @given(PAYLOADS, PAYLOADS)
    def test_weRespond(self, first: bytes, second: bytes) -> None:
        """
        Another initiator is answered, and has the same keys.
        """
        theirs = other(True)
        ours = Noise(SECRET, b"pro").respond(bytes(theirs.write_message(first)))
        self.assertEqual(ours.payload, first)
        message, keys = ours.answer(os.urandom, second)
        self.assertEqual(theirs.read_message(message), second)
        state = theirs.noise_protocol
        self.assertEqual(state.cipher_state_encrypt.k, keys.receiving)
        self.assertEqual(state.cipher_state_decrypt.k, keys.sending)


class RefusalTests(SynchronousTestCase):
    """
    Who does not know the secret is found out at the first message.
    """

    def setUp(self) -> None:
        """
        Make what both ends have.
        """
        self.noise = Noise(SECRET, b"pro")

    def test_secret(self) -> None:
        """
        A secret has 32 bytes, and one of another length is no secret.
        """
        self.assertRaises(ValueError, Noise, b"short", b"")

    def test_stranger(self) -> None:
        """
        Another secret, or another prologue, is refused by both ends.
        """
        for noise in (Noise(bytes(32), b"pro"), Noise(SECRET, b"other")):
            message = noise.initiate(os.urandom, b"").message
            self.assertRaises(WireError, self.noise.respond, message)
            ours = self.noise.initiate(os.urandom, b"")
            begun = noise.initiate(os.urandom, b"")
            answer, _ = noise.respond(begun.message).answer(os.urandom, b"")
            self.assertRaises(WireError, ours.finish, answer)

    def test_everyLength(self) -> None:
        """
        Random bytes of each length are refused, and so is each part of a message.
        """
        ours = self.noise.initiate(os.urandom, b"payload")
        for length in range(len(ours.message)):
            cut = ours.message[:length]
            for message in (cut, os.urandom(length)):
                self.assertRaises(WireError, self.noise.respond, message)
                self.assertRaises(WireError, ours.finish, message)

    def test_everyBit(self) -> None:
        """
        A message of which one byte was changed on the way is refused.
        """
        message = self.noise.initiate(os.urandom, b"payload").message
        for at in range(len(message)):
            changed = bytearray(message)
            changed[at] ^= 1
            self.assertRaises(WireError, self.noise.respond, bytes(changed))

    def test_wrongAnswerFirst(self) -> None:
        """
        Wrong answers, which anybody can send, do not spoil the right one.
        """
        ours = self.noise.initiate(os.urandom, b"")
        answer, keys = self.noise.respond(ours.message).answer(os.urandom, b"yes")
        for at in (0, 40):
            wrong = bytearray(answer)
            wrong[at] ^= 1
            self.assertRaises(WireError, ours.finish, bytes(wrong))
        payload, own = ours.finish(answer)
        self.assertEqual(payload, b"yes")
        self.assertEqual((own.sending, own.receiving), (keys.receiving, keys.sending))

    def test_worthlessKey(self) -> None:
        """
        A public key that would make a secret known to all is refused.
        """
        state = copy(self.noise._begun)
        message = state.mixPublic(bytes(32)) + state.seal(b"")
        responder = self.noise.respond(message)
        self.assertRaises(WireError, responder.answer, os.urandom, b"")

    def test_nothingShown(self) -> None:
        """
        Keys do not get into logs.
        """
        ours = self.noise.initiate(os.urandom, b"")
        _, keys = self.noise.respond(ours.message).answer(os.urandom, b"")
        self.assertNotIn(repr(keys.sending), repr(keys))
