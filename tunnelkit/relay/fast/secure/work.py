# -*- test-case-name: tests.relay.fast.secure.test_work -*-
"""
Secure work: a work connection under TLS, as a socket of the loop's.
"""

from __future__ import annotations

from typing import ClassVar, Final

from twisted.internet.interfaces import IReactorTime

from tunnelkit.interfaces import IWorkOwner
from tunnelkit.relay.fast.buffer import BUFFER, HEAD, PLENTY, SMALL, VIEW
from tunnelkit.relay.fast.loop import IN, Loop
from tunnelkit.relay.fast.secure.tls import TLS
from tunnelkit.relay.fast.work import WorkSocket
from tunnelkit.relay.streams.join import IDLE
from tunnelkit.wire.native.frames import HEADER

_PAYLOAD: Final = HEAD + HEADER.size

_pack: Final = HEADER.pack_into
_unpack: Final = HEADER.unpack_from


class SecureWorkSocket(WorkSocket):
    """
    A work connection under TLS.
    """

    __slots__ = ("_tls",)

    takesPipes: ClassVar[bool] = False

    def __init__(
        self,
        loop: Loop,
        tls: TLS,
        peer: str,
        owner: IWorkOwner,
        client: bool,
        clock: IReactorTime,
        idle: float = IDLE,
    ) -> None:
        """
        @param tls: its handshake is complete, and nobody else has it.
        """
        self._tls = tls
        super().__init__(loop, tls.sock, peer, owner, client, clock, idle)

    @property
    def tls(self) -> TLS:
        """
        What it is under.
        """
        return self._tls

    def takeEarly(self, rest: bytes) -> None:
        """
        Take what was read before this was made.
        """
        super().takeEarly(rest)
        if self._gone:
            return
        try:
            count = self._tls.decrypt(PLENTY)
        except BlockingIOError:
            return
        except OSError as e:
            self._broken(e)
            return
        self._received(count)

    def happened(self, event: int) -> None:
        """
        Bytes came, or something else happened.
        """
        if event != IN or not self.reading:
            self._unusual(event)
            return
        # What follows is _read and _received, written out for what most reads bring:
        # one frame, whole.
        try:
            count = self._tls.receive(PLENTY)
        except BlockingIOError:
            return
        except OSError as e:
            self._broken(e)
            return
        size, far = count - HEADER.size, self._far
        if (
            far is None
            or size <= 0
            or self._left
            or self._slow
            or self._tls.closed
            or _unpack(BUFFER, HEAD)[0] != size
        ):
            self._received(count)
            return
        self._receiver.count += size  # type: ignore[union-attr]
        far.put(_PAYLOAD, HEAD + count)

    def put(self, start: int, stop: int) -> None:
        """
        Send a part of the buffer as a DATA frame.
        """
        if self._holds:
            self._putHeld(start, stop)
            return
        start -= HEADER.size
        _pack(BUFFER, start, stop - start - HEADER.size)
        try:
            sent = self._tls.send(VIEW[start:stop])
        except OSError as e:
            self._broken(e)
            return
        if not sent:
            self._keep(b"")

    def _drop(self) -> None:
        super()._drop()
        self._tls.forget()

    def _read(self) -> None:
        try:
            count = self._tls.receive(PLENTY)
        except BlockingIOError:
            return
        except OSError as e:
            self._broken(e)
            return
        self._received(count)

    def _received(self, count: int) -> None:
        if count:
            if count > SMALL:
                self._loop.bulky.add(self.fd)
            self._take(HEAD + count)
        if self._tls.closed and not self._gone:
            self._ended()

    def _sendNow(self, data: bytes | memoryview) -> None:
        try:
            sent = self._tls.send(data)
        except OSError as e:
            self._broken(e)
            return
        if not sent:
            self._keep(b"")

    def _flush(self) -> None:
        try:
            while self._tls.flush():
                if not self._tail:
                    break
                tail, self._tail = self._tail, b""
                self._tls.send(tail)
            else:
                return
        except OSError as e:
            self._broken(e)
            return
        self.full = False
        self._watch()
        self._emptied()

    def _finish(self) -> None:
        if self.full:
            return
        try:
            sent = self._tls.end()
        except OSError as e:
            self._broken(e)
            return
        if not sent:
            self._keep(b"")
