# -*- test-case-name: tests.control.test_rotation -*-
"""
Rotation: how a new certificate takes the place of the one that the server shows,
while clients are connected.

A client lends work connections only through certificates that its control channel
has vouched for; so each hears of a new one before that is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.defer import DeferredList
from twisted.logger import Logger

from tunnelkit.control.session import Session
from tunnelkit.relay.secure import ServerTLS
from tunnelkit.wire.certificate import CertificatePair


class Rotation:
    """
    The certificate that is shown, and the one that is to be.
    """

    _log = Logger()

    def __init__(
        self, tls: ServerTLS, sessions: Callable[[], Iterable[Session]]
    ) -> None:
        """
        @param tls: shows it.
        @param sessions: gives those who must hear of a new one.
        """
        self._tls = tls
        self._sessions = sessions
        self._newest = tls.pair

    def hashes(self) -> tuple[str, ...]:
        """
        Give the fingerprints of what is shown now or soon.
        """
        return self._tls.pair.fingerprint, self._newest.fingerprint

    def changed(self, pair: CertificatePair) -> None:
        """
        Show a new certificate, once the clients that are there know it or have had
        their time; who logs in meanwhile is told at the login.
        """
        self._newest = pair
        told = [session.channel.vouch(self.hashes()) for session in self._sessions()]
        showing = DeferredList(told).addCallback(lambda _: self._show(pair))
        showing.addErrback(
            lambda failure: self._log.failure("a bug at a new certificate", failure)
        )

    def _show(self, pair: CertificatePair) -> None:
        # By now there may be one that is newer still.
        if pair is self._newest:
            self._tls.show(pair)
