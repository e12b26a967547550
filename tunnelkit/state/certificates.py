# -*- test-case-name: tests.state.test_certificates -*-
"""
Certificates on disk: read at start, and again whenever their files change.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from tunnelkit.state.files import Changes, Stamp
from tunnelkit.wire.certificate import (
    CertificateError,
    CertificatePair,
    certificatePair,
)


def readPair(certificate: Path, key: Path) -> CertificatePair:
    """
    Read a certificate and its key.

    @param certificate: a PEM file: the server's own certificate, then those that
        vouch for it.
    @param key: a PEM file, which may be the same one.
    @raise CertificateError: one of them cannot be used, or they do not match; the
        text names the files and says what to do.
    """
    chain, secret = _read(certificate, "certificate"), _read(key, "key")
    try:
        pair = certificatePair(chain, secret)
        _tryTLS(certificate, key)
    except CertificateError as e:
        raise CertificateError(f"{e} (certificate {certificate}, key {key})") from e
    return pair


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as e:
        raise CertificateError(
            f"there is no {what} file {path}: give the path of a PEM file that is there"
        ) from e
    except OSError as e:
        raise CertificateError(
            f"the {what} file {path} cannot be read ({e.strerror}): give a PEM file"
            " that the user who runs the server may read"
        ) from e


def _tryTLS(certificate: Path, key: Path) -> None:
    """
    What is well formed may still be too weak for TLS, such as an RSA key of 1024
    bits; OpenSSL says so only when it gets the pair.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # The empty password keeps OpenSSL from asking for one on the terminal.
        context.load_cert_chain(certificate, key, password=b"")
    except (OSError, ValueError) as e:
        reason = getattr(e, "reason", None) or str(e)
        raise CertificateError(
            f"TLS does not accept the certificate with its key ({reason}): make"
            " stronger ones, such as ECDSA on P-256 or RSA with 2048 bits, and SHA-256"
        ) from e


class CertificateWatch:
    """
    Notices a new certificate and tells about it, once certificate and key are both
    there and match.  Until then, and where they cannot be used at all, the present
    one stays and the log says why, once for each state of the files.
    """

    _log = Logger()

    def __init__(
        self,
        certificate: Path,
        key: Path,
        changed: Callable[[CertificatePair], None],
        current: CertificatePair,
        clock: IReactorTime,
        interval: float = 1.0,
    ) -> None:
        """
        @param changed: called with each new pair.
        @param current: the pair that was read at start.
        @param interval: seconds between two looks at the files.
        """
        self._certificate = certificate
        self._key = key
        self._changed = changed
        self._current = current
        self._interval = interval
        self._files = Changes(certificate, key)
        self._complaint: tuple[tuple[Stamp, ...], str] | None = None
        self._looks = LoopingCall(self.check)
        self._looks.clock = clock

    def start(self) -> None:
        """
        Look at the files from now on.
        """
        self._looks.start(self._interval, now=False).addErrback(
            lambda failure: self._log.failure(
                "looking at {certificate} ended",
                failure=failure,
                certificate=str(self._certificate),
            )
        )

    def stop(self) -> None:
        """
        Look at them no more.
        """
        if self._looks.running:
            self._looks.stop()

    def check(self) -> None:
        """
        Look at the files now.
        """
        if not self._files.seen():
            return
        try:
            pair = readPair(self._certificate, self._key)
        except CertificateError as e:
            self._complain(str(e))
            return
        self._complaint = None
        if pair != self._current:
            self._current = pair
            self._tell(pair)

    def _complain(self, reason: str) -> None:
        complaint = (self._files.stamps, reason)
        if complaint != self._complaint:
            self._complaint = complaint
            self._log.warn("the certificate stays as it is: {reason}", reason=reason)

    def _tell(self, pair: CertificatePair) -> None:
        self._log.info(
            "new certificate {fingerprint} from {certificate}",
            fingerprint=pair.fingerprint,
            certificate=str(self._certificate),
        )
        try:
            self._changed(pair)
        except Exception:
            # Without this the looks would end with the first that goes wrong.
            self._log.failure("the new certificate could not be put to use")
