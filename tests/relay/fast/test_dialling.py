"""
Tests for L{tunnelkit.relay.fast.dialling}.
"""

from __future__ import annotations

import errno
import socket
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed

from tests.relay.fast.case import ABLE, LOOPBACK, LoopCase
from tests.relay.memory import Heard
from tunnelkit.interfaces import IEnd, Undialled
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.codes import ResetCode

if ABLE:
    from tunnelkit.relay.fast import dialling
    from tunnelkit.relay.fast.dialling import dial
    from tunnelkit.relay.fast.loop import ERROR, HANGUP, OUT

PATIENCE = 10.0
PLAIN = socket.SocketType


def slow(number: int) -> Any:
    """
    Make sockets to which a service's answer takes a while.

    @param number: which answer that is.
    """

    class Slow(PLAIN):
        asked = False

        def connect_ex(self, address: Any) -> int:
            super().connect_ex(address)
            return errno.EINPROGRESS

        def getpeername(self) -> Any:
            if not self.asked:
                self.asked = True
                raise OSError(errno.ENOTCONN, "not yet")
            return super().getpeername()

        def getsockopt(self, level: int, option: int, *size: int) -> Any:
            if option == socket.SO_ERROR:
                return number
            return super().getsockopt(level, option, *size)

    return Slow


class DialTests(LoopCase):
    """
    Tests for L{dial}.
    """

    def dial(self, address: HostPort) -> Deferred[IEnd]:
        """
        Connect.
        """
        dialled = dial(self.loop, self.reactor, address, PATIENCE)
        return dialled if isinstance(dialled, Deferred) else succeed(dialled)

    def service(self, host: str = LOOPBACK) -> tuple[socket.socket, HostPort]:
        """
        Listen.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, 0), family=family, backlog=0)
        self.addCleanup(listening.close)
        return listening, HostPort(host, listening.getsockname()[1])

    def silent(self) -> HostPort:
        """
        Give the address of a service that does not answer: its backlog is full.
        """
        listening, address = self.service()
        for _ in range(8):
            early = socket.socket()
            self.addCleanup(early.close)
            early.setblocking(False)
            early.connect_ex(listening.getsockname())
        return address

    def assertUndialled(
        self, dialled: Deferred[IEnd], code: ResetCode, reason: str
    ) -> None:
        """
        The visitor is told why, and nothing is left over.
        """
        error: Any = self.failureResultOf(dialled, Undialled).value
        self.assertEqual(error.code, code)
        self.assertIn(reason, error.reason)
        self.assertEqual(len(self.loop), 0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_there(self) -> None:
        """
        A service that is there is connected to, by IPv4 and by IPv6, and hears us.
        """
        for host in (LOOPBACK, "::1"):
            listening, address = self.service(host)
            dialled = self.dial(address)
            self.until(lambda dialled=dialled: dialled.called)
            end: Any = self.successResultOf(dialled)
            self.assertEqual(end.peer, str(address))
            accepted, _ = listening.accept()
            self.addCleanup(accepted.close)
            end.attach(Heard())
            end.write(b"hello")
            self.assertEqual(accepted.recv(9), b"hello")
            self.assertTrue(end.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            lingers = end.sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)
            self.assertEqual(lingers, b"\1\0\0\0\0\0\0\0")
            end.abort()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_keptAlive(self) -> None:
        """
        Of a service on another machine the kernel asks whether that is still there.
        """
        dialling._known.cache_clear()
        self.addCleanup(dialling._known.cache_clear)
        self.patch(dialling, "_HERE", ())
        _, address = self.service(LOOPBACK)
        dialled = self.dial(address)
        self.until(lambda: dialled.called)
        end: Any = self.successResultOf(dialled)
        self.assertTrue(end.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        self.assertTrue(end.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        end.abort()

    def test_refused(self) -> None:
        """
        Nobody there: that is said, with the address.
        """
        listening, address = self.service()
        listening.close()
        dialled = self.dial(address)
        self.until(lambda: dialled.called)
        self.assertUndialled(
            dialled, ResetCode.REFUSED, f"{address} refused the connection"
        )

    def test_unreachable(self) -> None:
        """
        A network that cannot be reached is told from that.
        """
        dialled = self.dial(HostPort("255.255.255.255", 9))
        self.until(lambda: dialled.called)
        self.assertUndialled(dialled, ResetCode.UNREACHABLE, "cannot be reached")

    def test_wrongAddress(self) -> None:
        """
        An address that this system cannot use is told likewise.
        """
        dialled = self.dial(HostPort("fe80::1%nosuch", 9))
        self.assertUndialled(dialled, ResetCode.UNREACHABLE, "cannot be reached")

    def test_late(self) -> None:
        """
        A service that does not answer is given up in time.
        """
        dialled = self.dial(self.silent())
        self.turn()
        self.reactor.advance(PATIENCE - 0.1)
        self.assertNoResult(dialled)
        self.reactor.advance(0.2)
        self.assertUndialled(
            dialled, ResetCode.TIMEOUT, "did not answer within 10 seconds"
        )

    def test_cancelled(self) -> None:
        """
        Who waits may give up, and nothing is left over.
        """
        dialled = self.dial(self.silent())
        self.turn()
        dialled.cancel()
        self.failureResultOf(dialled, CancelledError)
        self.assertEqual(len(self.loop), 0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_thereLater(self) -> None:
        """
        One whose answer takes a while is connected to when it comes, or told of when
        it does not.
        """
        for number, code in (
            (0, None),
            (errno.ECONNREFUSED, ResetCode.REFUSED),
            (errno.EHOSTUNREACH, ResetCode.UNREACHABLE),
            (errno.ETIMEDOUT, ResetCode.TIMEOUT),
        ):
            _, address = self.service()
            self.patch(dialling, "Socket", slow(number))
            dialled = self.dial(address)
            self.patch(dialling, "Socket", PLAIN)
            self.assertNoResult(dialled)
            self.until(lambda dialled=dialled: dialled.called)
            if code is None:
                end = self.successResultOf(dialled)
                self.assertEqual(end.peer, str(address))
                end.abort()
                self.assertEqual(self.reactor.getDelayedCalls(), [])
            else:
                self.assertUndialled(dialled, code, str(address))

    def test_staleEvents(self) -> None:
        """
        An event that was meant for another connection with the same descriptor is
        not taken for the service's answer.
        """
        watched: list[Any] = []

        class Remembering(type(self.loop)):  # type: ignore[misc]
            def watch(self, fd: int, one: Any, events: int) -> None:
                watched.append(one)
                super().watch(fd, one, events)

        self.loop = Remembering(self.reactor)
        dialled = self.dial(self.silent())
        for event in (OUT, HANGUP, ERROR, OUT | HANGUP | ERROR):
            watched[0].happened(event)
            self.assertNoResult(dialled)
        dialled.cancel()
        self.failureResultOf(dialled, CancelledError)

    def test_exhausted(self) -> None:
        """
        Without a descriptor left the visitor is told so, whichever it is that cannot
        be had: the socket, or what watches it.
        """

        def none(*given: Any) -> Any:
            raise OSError(errno.EMFILE, "too many open files")

        address = self.silent()
        self.patch(dialling, "Socket", none)
        self.assertUndialled(
            self.dial(address), ResetCode.UNREACHABLE, "cannot be reached"
        )
        self.patch(dialling, "Socket", PLAIN)
        self.patch(self.loop, "watch", none)
        self.assertUndialled(
            self.dial(address), ResetCode.UNREACHABLE, "cannot be reached"
        )
