# -*- test-case-name: tests.relay.wrapping.test_sealed -*-
"""
Sealed: the end of a stream on which two clients encrypt what they say to each other,
so that the server in between sees ciphertext and nothing else.

Inside the stream is TLS 1.3 in which each side shows the certificate of the one key
that both have, and takes no other; the protocol that they name to each other is that of
this one tunnel, so that the server cannot bring a visitor to another tunnel of the same
key.

A half-close is a close_notify and then the stream's own end.  An end without it is a
truncated stream, which is reset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from OpenSSL import SSL
from twisted.internet.interfaces import IDelayedCall

from tunnelkit.interfaces import IEnd
from tunnelkit.relay.streams.stream import Receiver, Stream
from tunnelkit.relay.wrapping.wrapped import Wrapped
from tunnelkit.wire.codes import ResetCode

if TYPE_CHECKING:
    from tunnelkit.relay.wrapping.sealing import Sealing

SHAKING: Final = 10.0
"""Seconds that the handshake may take."""

_PIECE: Final = 65536

_OTHER_KEY: Final = "the other client has another key than this one: give both one file"
_OTHER_TUNNEL: Final = "the other client speaks of another tunnel"
_PLAIN: Final = "the other client does not encrypt as this one does"
_TRUNCATED: Final = "the stream ended in the midst of its TLS: some of it is lost"


class Sealed(Wrapped):
    """
    A work connection under a TLS of its two clients' own.
    """

    __slots__ = (
        "_deadline",
        "_ended",
        "_ending",
        "_full",
        "_notified",
        "_open",
        "_paused",
        "_reads",
        "_sealing",
        "_shaking",
        "_tls",
    )

    def __init__(
        self, work: IEnd, sealing: Sealing, tls: SSL.Connection, client: bool
    ) -> None:
        super().__init__(work)
        self._sealing = sealing
        self._tls = tls
        self._deadline: IDelayedCall | None = None
        self._shaking = True
        self._open = True
        self._ending = False  # as soon as the handshake is complete
        self._notified = False  # the other side has ended its TLS
        self._ended = False  # and its stream
        self._paused = True
        self._full = False
        self._reads = False
        if client:
            tls.set_connect_state()
        else:
            tls.set_accept_state()

    def attach(self, receiver: Receiver) -> Stream:
        """
        Tell C{receiver} what happens here.
        """
        # Nothing can be said before the handshake.
        receiver.blocked()
        clock = self._sealing.clock
        self._deadline = clock.callLater(SHAKING, self._late)
        return super().attach(receiver)

    # What the join does.

    @property
    def releaseEnds(self) -> bool:
        """
        An end is said within TLS first.
        """
        return False

    def write(self, data: bytes) -> None:
        """
        Encrypt bytes, and send them.
        """
        if self._open:
            self._tls.sendall(data)
            self._flush()

    def finish(self) -> bool:
        """
        End this direction, as soon as that can be said.
        """
        if self._shaking:
            self._ending = True
            return False
        self._close()
        return self._stream.finish()

    def pauseReading(self) -> None:
        """
        Take no more bytes.
        """
        self._paused = True
        if not self._shaking:
            self._stream.pauseReading()

    def resumeReading(self) -> None:
        """
        Take bytes, those first that wait here.
        """
        self._paused = False
        self._goOn()
        if self._receiver is not None and not self._paused:
            self._stream.resumeReading()

    # What the work connection says.

    def received(self, data: bytes) -> None:
        """
        Ciphertext came.
        """
        self.count += len(data)
        if self._receiver is not None:
            self._tls.bio_write(data)
            self._goOn()

    def finished(self) -> None:
        """
        No more will come.
        """
        self._ended = True
        self._goOn()

    def blocked(self) -> None:
        """
        Pass that on.
        """
        self._full = True
        if not self._shaking:
            super().blocked()

    def ready(self) -> None:
        """
        Pass that on.
        """
        self._full = False
        if not self._shaking:
            super().ready()

    # TLS.

    def _goOn(self) -> None:
        """
        Do what can be done, if that is not being done already.
        """
        if self._reads:
            return
        self._reads = True
        try:
            if self._shaking:
                self._shake()
            if not self._shaking:
                self._read()
        except SSL.Error as e:
            self._fail(self._why(e))
        finally:
            self._reads = False

    def _shake(self) -> None:
        """
        Go on with the handshake.
        """
        try:
            self._tls.do_handshake()
        except SSL.WantReadError:
            self._flush()
            if self._ended:
                self._fail(_TRUNCATED)
            return
        except SSL.Error:
            self._flush()  # which tells the other side
            raise
        self._flush()
        if self._tls.get_alpn_proto_negotiated() != self._sealing.protocol:
            self._fail(_OTHER_TUNNEL)
            return
        self._shaken()

    def _shaken(self) -> None:
        """
        The handshake is complete: say what waits.
        """
        self._shaking = False
        self._cancel()
        receiver = self._receiver
        if receiver is None:
            return
        if self._ending:
            self._close()
            if self._stream.finish():
                receiver.delivered()
        if not self._full:
            receiver.ready()
        if self._paused and self._receiver is not None:
            self._stream.pauseReading()

    def _read(self) -> None:
        """
        Pass on what can be.
        """
        while (receiver := self._receiver) is not None and not self._paused:
            try:
                data = self._tls.recv(_PIECE)
            except SSL.WantReadError:
                break
            except SSL.ZeroReturnError:
                self._notified = True
                break
            receiver.received(data)
        self._flush()
        if self._ended and not self._paused and self._receiver is not None:
            self._ended = False
            if self._notified:
                self._receiver.finished()
            else:
                self._fail(_TRUNCATED)

    def _close(self) -> None:
        if self._open:
            self._open = False
            self._tls.shutdown()
            self._flush()

    def _flush(self) -> None:
        """
        Send what is encrypted.
        """
        while self._receiver is not None:
            try:
                data = self._tls.bio_read(_PIECE)
            except SSL.WantReadError:
                return
            self._stream.write(data)

    def _why(self, error: SSL.Error) -> str:
        text = str(error)
        if "certificate" in text or "unknown ca" in text:
            return _OTHER_KEY
        return _PLAIN if self._shaking else _TRUNCATED

    def _late(self) -> None:
        self._deadline = None
        self._fail(f"the other client did not answer within {SHAKING:.0f} seconds")

    def _fail(self, reason: str) -> None:
        if self._receiver is not None:
            self._receiver.failed(ResetCode.SEALED, reason)

    def _forget(self) -> None:
        super()._forget()
        self._open = False
        self._cancel()

    def _cancel(self) -> None:
        deadline, self._deadline = self._deadline, None
        if deadline is not None:
            deadline.cancel()
