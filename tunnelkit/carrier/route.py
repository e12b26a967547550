# -*- test-case-name: tests.carrier.test_route -*-
"""
Route: how a client reaches its server: an endpoint, TLS, and what is demanded of the
certificate.  Control channels and work connections go the same way.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionDone,
    ConnectionLost,
    DNSLookupError,
)
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.interfaces import (
    IReactorTime,
    ISSLTransport,
    IStreamClientEndpoint,
)
from twisted.python.failure import Failure

from tunnelkit.interfaces import IRelay
from tunnelkit.relay.connection import Connection, Holder
from tunnelkit.relay.endpoints import One
from tunnelkit.relay.secure import TLS13, ClientTLS, Seen, seen

PATIENCE: Final = 10.0
"""Seconds for a connection to the server and its TLS handshake, together."""

_TLS_RECORDS: Final = (0x15, 0x16)
"""What a TLS server's first byte can be: an alert or a handshake."""
_TOO_OLD: Final = ("protocol version", "unsupported protocol")
"""What OpenSSL says, among other words, where two sides have no version in common."""


class Unreached(Exception):
    """
    The server was not reached.  The text says why, in words for the user.

    @ivar lasting: whether trying again cannot be expected to help.
    """

    def __init__(self, reason: str, lasting: bool = False) -> None:
        super().__init__(reason)
        self.lasting = lasting


@dataclass(frozen=True, slots=True)
class Reached:
    """
    A connection to the server, ready to speak.

    @ivar seen: what the TLS handshake showed; None on plain TCP.
    """

    connection: Connection
    seen: Seen | None


class Route:
    """
    The way to one server.

    @ivar server: where that is, for people.
    """

    def __init__(
        self,
        server: str,
        endpoint: IStreamClientEndpoint,
        relay: IRelay,
        tls: ClientTLS | None,
        clock: IReactorTime,
        fingerprint: bytes | None = None,
        bound: bool = True,
    ) -> None:
        """
        @param tls: this side of the TLS; None for plain TCP.  An endpoint that does
            TLS by itself is left to it.
        @param fingerprint: SHA-256 of the one certificate that is accepted.
        @param bound: whether the login is bound to the certificate: where it is not,
            as in other systems, one that verifies is demanded unasked.
        """
        self.server = server
        self._endpoint = endpoint
        self._relay = relay
        self._tls = tls
        self._clock = clock
        self._fingerprint = fingerprint
        self._bound = bound

    def open(self) -> Deferred[Reached]:
        """
        Connect to the server.

        @return: fails with L{Unreached}; can be cancelled.
        """
        arriving = _Arriving(self)
        connecting = self._endpoint.connect(One(Connection(arriving))).addCallback(
            lambda _: arriving.reached
        )
        connecting.addTimeout(PATIENCE, self._clock, _tookTooLong)
        connecting.addErrback(self._unreached, arriving)
        return connecting

    def secure(self, connection: Connection, arriving: _Arriving) -> None:
        """
        Put a plain connection under TLS, or leave it plain.
        """
        if self._tls is None:
            arriving.arrived(None)
        else:
            self._relay.secure(connection, b"", self._tls, Connection(arriving))

    def refusal(self, shown: Seen) -> Unreached | None:
        """
        Say what is wrong with what a handshake showed.
        """
        if shown.version != TLS13:
            return self._tooOld(shown.version)
        digest = hashlib.sha256(shown.certificate).digest()
        if self._fingerprint and not hmac.compare_digest(digest, self._fingerprint):
            return Unreached(
                f"the certificate of {self.server} has the fingerprint {digest.hex()}, "
                "not the one that --fingerprint demands: if the server's log shows the"
                " same at its start, give that one; if not, somebody is in between",
                True,
            )
        return None

    def _unreached(self, failure: Failure, arriving: _Arriving) -> Failure:
        arriving.abandon()
        if failure.check(Unreached, CancelledError, ConnectingCancelledError):
            return failure
        return Failure(self._reason(failure, arriving.said))

    def _reason(self, failure: Failure, said: bytes) -> Unreached:
        server, text = self.server, failure.getErrorMessage()
        if said and said[0] not in _TLS_RECORDS:
            return Unreached(self._notTLS(said), True)
        if failure.check(VerificationError):
            return Unreached(self._misnamed(), True)
        if isinstance(failure.value, SSL.Error):
            return self._broken(failure.value)
        if failure.check(ConnectionDone, ConnectionLost):
            return Unreached(f"{server} closed the connection in place of speaking TLS")
        if failure.check(DNSLookupError):
            return Unreached(
                f"the name of {server} is not known: check the host of --server, and "
                "the DNS of this machine"
            )
        if failure.check(ConnectTimeout):
            return Unreached(f"{server} did not answer in {PATIENCE:.0f} seconds")
        if failure.check(ConnectError):
            text = _cause(failure)
            return Unreached(
                f"{server} cannot be reached: {text.rstrip('.')}; check host and port "
                "of --server, and that the server runs"
            )
        return Unreached(f"no connection to {server}: {text}")

    def _broken(self, error: SSL.Error) -> Unreached:
        """
        Put OpenSSL's words into ours.
        """
        # A list of (library, function, reason), most of the time.
        reasons = (
            error.args[0] if error.args and isinstance(error.args[0], list) else []
        )
        words = "; ".join(str(reason[-1]) for reason in reasons)
        if "certificate verify failed" in words:
            return Unreached(self._unverified(words), True)
        if any(known in words for known in _TOO_OLD):
            return self._tooOld(f"another version of TLS ({words})")
        return Unreached(f"TLS with {self.server} failed: {words or 'no reason given'}")

    def _notTLS(self, said: bytes) -> str:
        if self._bound:
            what, then = "no tunnelkit server with TLS", ""
        else:
            what, then = "no server with TLS", ", or speak plain TCP with --insecure"
        return (
            f"{self.server} is {what}: it said {said[:60]!r};"
            f" check host and port of --server{then}"
        )

    def _misnamed(self) -> str:
        host = self._tls.host if self._tls is not None else self.server
        demanded = ", as --verify and tls: descriptions demand" if self._bound else ""
        return (
            f"the certificate of {self.server} is not for the name {host}{demanded}:"
            " give --server a name that stands in the certificate, or the server a"
            f" certificate for {host}"
        )

    def _unverified(self, words: str) -> str:
        if self._bound:
            return (
                f"the certificate of {self.server} does not verify ({words}), as "
                "--verify and tls: descriptions demand: give the server one that does, "
                "or, where nothing in front of it ends its TLS, trust the token alone"
            )
        return (
            f"the certificate of {self.server} does not verify ({words}): name it with"
            " --fingerprint, or who vouches for it with --ca FILE"
        )

    def _tooOld(self, version: str) -> Unreached:
        return Unreached(
            f"{self.server} speaks {version}, not {TLS13}: have that switched on "
            "there, or in what stands before it, or check host and port of --server",
            True,
        )


def _tookTooLong(result: Reached | Failure, seconds: float) -> Reached:
    # Endpoints say in several ways that they were cancelled.
    if isinstance(result, Failure):
        raise ConnectTimeout
    return result


class _Arriving(Holder):
    """
    A connection on its way: waits for the TLS, where there is any.

    @ivar reached: fires when it can speak.
    """

    def __init__(self, route: Route) -> None:
        self.reached: Deferred[Reached] = Deferred()
        self._route = route
        self._first: Connection | None = None
        self._over = False

    @property
    def said(self) -> bytes:
        """
        What the server said first, where it was to speak TLS.
        """
        return self._first.first if self._first is not None else b""

    def held(self, connection: Connection) -> None:
        super().held(connection)
        if self._first is None:
            self._first = connection
        if not ISSLTransport.providedBy(connection.transport):
            self._route.secure(connection, self)

    def handshakeCompleted(self) -> None:
        shown = seen(self.connection.transport, client=True)
        refusal = self._route.refusal(shown)
        if refusal is None:
            self.arrived(shown)
        else:
            self._fail(Failure(refusal))

    def arrived(self, shown: Seen | None) -> None:
        if not self._over:
            self._over = True
            self.reached.callback(Reached(self.connection, shown))

    def connectionLost(self, reason: Failure) -> None:
        self._fail(reason)

    def abandon(self) -> None:
        self._over = True
        if self._first is not None:
            self.connection.transport.abortConnection()

    def _fail(self, reason: Failure) -> None:
        if not self._over:
            self._over = True
            self.reached.errback(reason)


def _cause(failure: Failure) -> str:
    """
    Say why there is no connection.
    """
    # What is lost before it was connected is a failure within the error's words.
    found = getattr(failure.value, "args", ())
    inner = [each for each in found if isinstance(each, Failure)]
    return (inner or [failure])[0].getErrorMessage()
