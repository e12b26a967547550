# -*- test-case-name: tests.relay.fast.secure.test_transport -*-
"""
Transport: a connection under our own TLS as a Twisted transport, for what is not
stream bytes: control channels, and the first message of a work connection.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any, Final, TypeAlias

from twisted.internet.abstract import FileDescriptor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IHandshakeListener,
    IProtocol,
    IReactorTime,
    ISSLTransport,
    ITCPTransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelkit.relay.connection import ENDING, RESETTING, Connection, linger
from tunnelkit.relay.fast.buffer import LARGE, PLENTY
from tunnelkit.relay.fast.loop import ILoopReactor
from tunnelkit.relay.fast.secure.tls import TLS, toldAs
from tunnelkit.relay.secure import Seen

Address: TypeAlias = IPv4Address | IPv6Address

_KEPT: Final = 256
"""How much of what a server that is not TLS says is kept, in bytes."""


@implementer(ITCPTransport, ISSLTransport)
class SecureTransport(FileDescriptor):
    """
    A TLS connection that reads and writes by itself.

    @ivar seen: what the handshake showed, once it is complete.
    """

    seen: Seen

    def __init__(
        self,
        tls: TLS,
        protocol: IProtocol,
        reactor: ILoopReactor,
        addresses: tuple[Address, Address],
        below: Connection,
    ) -> None:
        """
        @param tls: nobody else has it.
        @param addresses: the peer's, and this side's.
        @param below: what this connection was before; it keeps the peer's first
            bytes, which are what a server says that speaks no TLS.
        """
        super().__init__(reactor)
        self.connected = 1
        self.protocol = protocol
        self._sock = tls.sock
        self._tls = tls
        self._peer, self._host = addresses
        self._below = below
        self._clock: IReactorTime = reactor
        self._shaken = False  # whether the handshake is complete
        self._ending = False  # whether the peer was told of the end
        self._resting = False  # whether the protocol takes no more bytes

    def begin(self, rest: bytes) -> None:
        """
        Begin, with bytes that were read ahead.
        """
        self._below.first = rest[:_KEPT]
        self._tls.feed(rest)
        self.protocol.makeConnection(self)
        if self.connected:
            self.startReading()
            # Not from here: who asked for this is not ready yet.
            self._soon()

    def release(self) -> TLS:
        """
        Give socket and TLS to somebody else; this transport is of no further use.
        """
        self.stopReading()
        self.stopWriting()
        self.connected = 0
        self.disconnected = 1
        return self._tls

    # What the reactor asks.

    def fileno(self) -> int:
        """
        Give the descriptor.
        """
        return self._sock.fileno()

    def doRead(self) -> Exception | None:
        """
        Read what is there.
        """
        try:
            first = self._tls.fetch(_KEPT)
        except BlockingIOError:
            return None
        except OSError as e:
            return ConnectionLost(e.strerror)
        if not self._below.first:
            self._below.first = first
        return self._go()

    def doWrite(self) -> Any:
        """
        Write what the kernel takes.
        """
        try:
            if not self._tls.flush():
                return None
        except OSError as e:
            return ConnectionLost(e.strerror)
        if self._ending or not self._shaken:
            self.stopWriting()
            return None
        result = super().doWrite()
        if self._tls.waiting and self.connected:
            self.startWriting()
        return result

    def writeSomeData(self, data: bytes) -> int | BaseException:
        """
        Encrypt and send some.
        """
        piece = bytes(data[:LARGE])
        try:
            if piece:
                self._tls.send(piece)
        except OSError as e:
            return ConnectionLost(e.strerror)
        return len(piece)

    def startWriting(self) -> None:
        """
        Write when that is possible: behind the handshake.
        """
        if self._shaken:
            super().startWriting()

    def connectionLost(self, reason: Failure) -> None:
        """
        The connection is gone.
        """
        if not self.connected:
            return
        super().connectionLost(reason)
        aborted = reason.check(ConnectionAborted) is not None
        linger(self._sock, RESETTING if aborted else ENDING)
        self._sock.close()
        self._tls.forget()
        self.protocol.connectionLost(reason)

    def _soon(self) -> None:
        self._clock.callLater(0, self._goNow)

    def _goNow(self) -> None:
        if self.connected and not self._resting:
            why = self._go()
            if why is not None:
                self.connectionLost(Failure(why))

    def _go(self) -> Exception | None:
        """
        Go on with what was read.

        @return: why the connection is lost, where it is.
        """
        try:
            if self._shaken or self._shake():
                self._readAll()
        except ssl.SSLError as e:
            return toldAs(e)
        except OSError as e:
            return ConnectionLost(e.strerror)
        if not self.connected or not self._tls.closed:
            return None
        return ConnectionDone() if self._shaken else ConnectionLost()

    def _shake(self) -> bool:
        if not self._tls.shake():
            return False
        self._shaken = True
        self.seen = self._tls.seen
        # What was written meanwhile waits for this.
        self.startWriting()
        if IHandshakeListener.providedBy(self.protocol):
            self.protocol.handshakeCompleted()
        return True

    def _readAll(self) -> None:
        while self.connected and not self._resting:
            try:
                count = self._tls.decrypt(PLENTY)
            except BlockingIOError:
                return
            closed = self._tls.closed
            if count and not self.disconnecting:
                self.protocol.dataReceived(bytes(PLENTY[:count]))
            if closed:
                return

    # What the protocol asks.

    def pauseProducing(self) -> None:
        """
        Give the protocol no more bytes.
        """
        self._resting = True
        super().pauseProducing()

    def resumeProducing(self) -> None:
        """
        Give the protocol bytes.
        """
        if self._resting:
            self._resting = False
            super().resumeProducing()
            self._soon()

    def loseConnection(self) -> None:
        """
        Close, when all is written; the peer then says that it has read it.
        """
        if not self._shaken:
            self.abortConnection()
        else:
            super().loseConnection()

    def abortConnection(self) -> None:
        """
        Reset the connection.
        """
        if self.connected and not self.disconnected:
            self.stopReading()
            self.stopWriting()
            self.disconnecting = 1
            self._resting = True
            self._clock.callLater(0, self.connectionLost, Failure(ConnectionAborted()))

    def _postLoseConnection(self) -> Exception | None:
        self._ending = True
        try:
            done = self._tls.end()
        except OSError as e:
            return ConnectionLost(e.strerror)
        if not done:
            super().startWriting()
        self._resting = False
        self.startReading()
        return None

    def getPeer(self) -> Address:
        """
        Give the peer's address.
        """
        return self._peer

    def getHost(self) -> Address:
        """
        Give this side's address.
        """
        return self._host

    def getHandle(self) -> socket.socket:
        """
        Give the socket.
        """
        return self._sock

    def getPeerCertificate(self) -> bytes:
        """
        Give what the handshake showed, DER.
        """
        return self.seen.certificate

    def getTcpNoDelay(self) -> bool:
        """
        Say whether small writes go at once.
        """
        return bool(self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    def setTcpNoDelay(self, enabled: bool) -> None:
        """
        Let small writes go at once, or not.
        """
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, enabled)

    def getTcpKeepAlive(self) -> bool:
        """
        Say whether the kernel asks whether a silent peer is there.
        """
        return bool(self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """
        Have it ask, or not.
        """
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, enabled)
