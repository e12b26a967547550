"""
Tests for L{tunnelkit.control.rotation}.
"""

from __future__ import annotations

from tests.fakes import FakeChannel, TimedCase, pairOf, session
from tunnelkit.control.rotation import Rotation
from tunnelkit.control.session import Session
from tunnelkit.relay.secure import ServerTLS

OLD, NEW, NEWEST = pairOf("old"), pairOf("new"), pairOf("newest")


class RotationTests(TimedCase):
    """
    A new certificate is shown when all clients know it.
    """

    def setUp(self) -> None:
        """
        Show the old one.
        """
        super().setUp()
        self.tls = ServerTLS(OLD)
        self.sessions: list[Session] = []
        self.rotation = Rotation(self.tls, lambda: self.sessions)

    def client(self) -> FakeChannel:
        """
        Log a client in.
        """
        one, channel = session(self.clock)
        self.sessions.append(one)
        return channel

    def test_nobody(self) -> None:
        """
        Where nobody is there, the new one is shown at once.
        """
        self.rotation.changed(NEW)
        self.assertIs(self.tls.pair, NEW)

    def test_waits(self) -> None:
        """
        Every client is told of both, and the new one is shown when all have answered.
        """
        clients = [self.client(), self.client()]
        self.rotation.changed(NEW)
        for client in clients:
            self.assertIs(self.tls.pair, OLD)
            ((hashes, answer),) = client.vouched
            self.assertEqual(hashes, (OLD.fingerprint, NEW.fingerprint))
            answer.callback(None)
        self.assertIs(self.tls.pair, NEW)

    def test_hashes(self) -> None:
        """
        Who logs in meanwhile hears of both, and afterwards of the new one alone.
        """
        self.assertEqual({*self.rotation.hashes()}, {OLD.fingerprint})
        client = self.client()
        self.rotation.changed(NEW)
        self.assertEqual({*self.rotation.hashes()}, {OLD.fingerprint, NEW.fingerprint})
        client.vouched[0][1].callback(None)
        self.assertEqual({*self.rotation.hashes()}, {NEW.fingerprint})

    def test_twice(self) -> None:
        """
        One that is newer still is not overtaken by the one before.
        """
        client = self.client()
        self.rotation.changed(NEW)
        self.rotation.changed(NEWEST)
        first, second = client.vouched
        self.assertEqual(second[0], (OLD.fingerprint, NEWEST.fingerprint))
        second[1].callback(None)
        self.assertIs(self.tls.pair, NEWEST)
        first[1].callback(None)
        self.assertIs(self.tls.pair, NEWEST)

    def test_bug(self) -> None:
        """
        What cannot be shown is in the log, and the old one stays.
        """
        broken = type(OLD)(OLD.chain, b"no key")
        self.rotation.changed(broken)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertIs(self.tls.pair, OLD)
