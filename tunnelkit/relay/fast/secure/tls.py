# -*- test-case-name: tests.relay.fast.secure.test_tls -*-
"""
TLS: that of the standard library, between memory and a socket that does not block.

It is a sixth faster than pyOpenSSL, and needs a third less memory for each
connection.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final

from OpenSSL import SSL
from service_identity import VerificationError
from service_identity.exceptions import DNSMismatch
from service_identity.hazmat import DNS_ID

from tunnelkit.relay.fast.buffer import LARGE
from tunnelkit.relay.secure import ALPN, ClientTLS, Seen, ServerTLS
from tunnelkit.wire.certificate import CertificatePair
from tunnelkit.wire.records import Records

_RECORD: Final = 16384
"""The most that is encrypted in one piece."""

_SCRATCH: Final = bytearray(LARGE - _RECORD - 512)
"""Where ciphertext is read to.  What it decrypts to, and one record that was not
whole before, fit into the buffer."""
_CIPHERTEXT: Final = memoryview(_SCRATCH)

_OTHER_NAMES: Final = (62, 64)
"""OpenSSL's numbers for a certificate that is for another host, or address."""


def serverContext(pair: CertificatePair) -> ssl.SSLContext:
    """
    Make the server's side, which shows a certificate.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0
    # OpenSSL reads a file.  This one is in memory alone.
    held = os.memfd_create("certificate")
    try:
        os.write(held, pair.key + b"\n" + pair.chain)
        context.load_cert_chain(f"/proc/self/fd/{held}")
    finally:
        os.close(held)
    return context


def clientContext(verify: bool, authority: str = "") -> ssl.SSLContext:
    """
    Make the client's side.

    @param verify: whether the certificate must verify for the host.
    @param authority: PEM of who vouches for it, in place of whom the system trusts.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT)
    if verify and authority:
        context.load_verify_locations(cadata=authority)
    elif verify:
        context.load_default_certs()
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols([name.decode() for name in ALPN])
    return context


class Contexts:
    """
    What each side of TLS is made of, made once: a context for each connection would
    cost more than the connection.
    """

    def __init__(self) -> None:
        self._server: tuple[CertificatePair, bytes, ssl.SSLContext] | None = None
        self._client: dict[tuple[bool, str], ssl.SSLContext] = {}

    def begin(self, sock: socket.socket, side: ClientTLS | ServerTLS) -> TLS:
        """
        Begin the handshake of a connection.
        """
        if isinstance(side, ServerTLS):
            if self._server is None or self._server[0] is not side.pair:
                self._server = side.pair, side.pair.der, serverContext(side.pair)
            _, shown, context = self._server
            return TLS(sock, context, certificate=shown)
        demands = side.verifies, side.authority
        if demands not in self._client:
            self._client[demands] = clientContext(*demands)
        return TLS(sock, self._client[demands], host=side.host)


class TLS:
    """
    One connection's.

    @ivar sock: the socket.
    @ivar closed: whether the peer said that it ends, or ended without a word.
    """

    __slots__ = (
        "_bounds",
        "_certificate",
        "_in",
        "_object",
        "_out",
        "_records",
        "_rest",
        "closed",
        "sock",
    )

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        host: str = "",
        certificate: bytes = b"",
    ) -> None:
        """
        @param host: on the client's side, the server's name or address.
        @param certificate: on the server's side, the certificate that is shown.
        """
        self.sock = sock
        self._object: Any
        self._records: Any
        self._in: Any
        self._out: Any
        self._bounds = Records()
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._in,
            self._out,
            server_side=not host,
            server_hostname=host or None,
        )
        # What the object is made of, where that is so: it costs two calls less.
        self._records = getattr(self._object, "_sslobj", self._object)
        self._rest = b""
        self._certificate = certificate
        self.closed = False

    @property
    def waiting(self) -> bool:
        """
        Whether the kernel has not taken all that is encrypted.
        """
        return bool(self._rest)

    @property
    def seen(self) -> Seen:
        """
        What the handshake showed.
        """
        shown = self._certificate or self._object.getpeercert(True) or b""
        return Seen(self._object.version() or "", shown)

    def feed(self, data: bytes) -> None:
        """
        Take ciphertext that was read ahead.
        """
        self._in.write(data)
        self._bounds.follow(data, len(data))

    def shake(self) -> bool:
        """
        Go on with the handshake.

        @return: whether it is complete.
        @raise ssl.SSLError: it failed; the peer has been told why.
        """
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        finally:
            self.flush()
        return True

    def fetch(self, most: int) -> bytes:
        """
        Read ciphertext from the socket.

        @return: the first of what was read, so many bytes at most.
        @raise OSError: there is none now, or the connection is lost.
        """
        count = self.sock.recv_into(_SCRATCH)
        if count:
            self._in.write(_CIPHERTEXT[:count])
            self._bounds.follow(_SCRATCH, count)
        else:
            self.closed = True
        return bytes(_CIPHERTEXT[: min(count, most)])

    def forget(self) -> None:
        """
        Let go of all that is large: the connection is gone.
        """
        self._object = self._records = self._in = self._out = None

    def receive(self, place: Any) -> int:
        """
        Read and decrypt.

        @param place: has room for L{LARGE} bytes.
        @return: how many bytes there are; 0 where the connection has ended.
        @raise BlockingIOError: there are none now.
        """
        count = self.sock.recv_into(_SCRATCH)
        if not count:
            self.closed = True
            return 0
        bounds, at, total = self._bounds, 0, 0
        if bounds.whole(_SCRATCH, count):
            self._in.write(_CIPHERTEXT[:count])
            total, at = self._decryptOne(place), count
        # Record by record: memory keeps the size that it once had.
        while at < count and (end := bounds.end(_SCRATCH, at, count)) >= 0:
            self._in.write(_CIPHERTEXT[at:end])
            total += self._decryptOne(place[total:] if total else place)
            at = end
        if at < count:
            self._in.write(_CIPHERTEXT[at:count])
        if not total and not self.closed:
            raise BlockingIOError
        return total

    def _decryptOne(self, place: Any) -> int:
        """
        Decrypt the one record that is there.

        @return: how many bytes it had for us.
        """
        try:
            count: int = self._records.read(LARGE, place)
        except ssl.SSLWantReadError:  # it was for OpenSSL
            return 0
        except ssl.SSLZeroReturnError:  # what an end is once this side has ended, too
            count = 0
        if not count:
            self.closed = True
        return count

    def decrypt(self, place: Any) -> int:
        """
        Decrypt what was read.
        """
        read: Callable[[int, Any], int] = self._records.read
        more, total = self._in, 0
        try:
            while True:
                count = read(LARGE, place[total:] if total else place)
                if not count:
                    self.closed = True
                    return total
                total += count
                # A record comes whole, or not at all: there is room for each.
                if not more.pending:
                    return total
        except ssl.SSLWantReadError:
            if not total:
                raise BlockingIOError from None
        except ssl.SSLZeroReturnError:  # what an end is once this side has ended, too
            self.closed = True
        return total

    def send(self, data: Any) -> bool:
        """
        Encrypt, and send.

        @return: whether the kernel has it all; if not, L{flush} later.
        """
        size = len(data)
        if size <= _RECORD:
            self._records.write(data)
            return self._sendNow(self._rest + self._out.read())
        pieces = [self._rest] if self._rest else []
        for at in range(0, size, _RECORD):
            self._records.write(data[at : at + _RECORD])
            pieces.append(self._out.read())
        return self._sendAll(pieces)

    def flush(self) -> bool:
        """
        Send what is encrypted.

        @return: whether the kernel has it all.
        @raise OSError: the connection is lost.
        """
        return self._sendNow(self._rest + self._out.read())

    def _sendNow(self, ready: bytes) -> bool:
        if not ready:
            return True
        try:
            sent = self.sock.send(ready)
        except BlockingIOError:
            sent = 0
        self._rest = b"" if sent == len(ready) else ready[sent:]
        return not self._rest

    def _sendAll(self, pieces: list[bytes]) -> bool:
        try:
            sent = self.sock.sendmsg(pieces)
        except BlockingIOError:
            sent = 0
        if sent == sum(map(len, pieces)):
            self._rest = b""
            return True
        self._rest = b"".join(pieces)[sent:]
        return False

    def end(self) -> bool:
        """
        Say that this side ends.

        @return: whether the kernel has all.
        """
        # It waits for the peer's, too.
        with contextlib.suppress(ssl.SSLError):
            self._object.unwrap()
        return self.flush()


def toldAs(error: ssl.SSLError) -> Exception:
    """
    Tell a failed handshake in the words in which pyOpenSSL would.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _OTHER_NAMES:
            return VerificationError([DNSMismatch(DNS_ID("server"))])
        words = f"certificate verify failed: {error.verify_message}"
    else:
        words = (error.reason or str(error)).replace("_", " ").lower()
    return SSL.Error([("SSL routines", "", words)])
