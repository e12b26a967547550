"""
Tests for L{tunnelkit.relay.fast.listening}.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from zope.interface.verify import verifyObject

from tests.relay.fast.case import ABLE, LOOPBACK, LoopCase
from tunnelkit.interfaces import IEnd

if ABLE:
    from tunnelkit.relay.fast import listening as module
    from tunnelkit.relay.fast.end import Socket
    from tunnelkit.relay.fast.listening import AT_ONCE, RESPITE, Listening


class Refusing:
    """
    A listening socket of a process that has no descriptor left.
    """

    def __init__(self, sock: Socket, error: int) -> None:
        self._sock = sock
        self.error = error
        self.asked = 0

    def _accept(self) -> Any:
        """
        Fail, as long as that is so.
        """
        self.asked += 1
        if self.error:
            raise OSError(self.error, "too many open files")
        return self._sock._accept()  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class ListeningTests(LoopCase):
    """
    Tests for L{Listening}.
    """

    def setUp(self) -> None:
        """
        Nobody has come.
        """
        super().setUp()
        self.came: list[Any] = []

    def listen(
        self,
        host: str = LOOPBACK,
        port: int = 0,
        arrived: Callable[[Any], None] | None = None,
    ) -> Listening:
        """
        Listen.
        """
        listening = Listening(
            self.loop, self.reactor, host, port, 128, arrived or self.came.append
        )
        listening.startListening()
        self.addCleanup(listening.stopListening)
        return listening

    def visit(self, listening: Listening) -> socket.socket:
        """
        Come.
        """
        address: Any = listening.getHost()
        visitor = socket.create_connection((address.host, address.port))
        self.addCleanup(visitor.close)
        return visitor

    def leave(self) -> None:
        """
        Have all who came go.
        """
        for end in self.came:
            end.abort()

    def test_arrived(self) -> None:
        """
        A visitor is told with his address and the one he came to, and his connection
        becomes a reset if we are killed.
        """
        listening = self.listen()
        verifyObject(IListeningPort, listening)
        visitor = self.visit(listening)
        self.until(lambda: self.came)
        (end,) = self.came
        self.assertTrue(IEnd.providedBy(end))
        self.assertEqual(end.peer, "{}:{}".format(*visitor.getsockname()))
        self.assertEqual(end.local, f"{LOOPBACK}:{listening.getHost().port}")
        for level, option in (
            (socket.IPPROTO_TCP, socket.TCP_NODELAY),
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
        ):
            self.assertTrue(end.sock.getsockopt(level, option))
        lingers = end.sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)
        self.assertEqual(lingers, b"\1\0\0\0\0\0\0\0")
        self.assertFalse(end.sock.getblocking() or os.get_inheritable(end.fd))
        self.leave()

    def test_both(self) -> None:
        """
        A port on all interfaces of IPv6 serves IPv4, whose visitors have an address
        of IPv4.
        """
        listening = self.listen("::")
        port = listening.getHost().port
        for host in (LOOPBACK, "::1"):
            visitor = socket.create_connection((host, port))
            self.addCleanup(visitor.close)
        self.until(lambda: len(self.came) == 2)
        self.assertTrue(self.came[0].peer.startswith(f"{LOOPBACK}:"), self.came[0].peer)
        self.assertTrue(self.came[1].peer.startswith("[::1]:"), self.came[1].peer)
        # It is told to which address each came.
        self.assertEqual(
            [end.local for end in self.came], [f"{LOOPBACK}:{port}", f"[::1]:{port}"]
        )
        self.leave()

    def test_taken(self) -> None:
        """
        A port that somebody else has cannot be had, and it is said why.
        """
        port = self.listen().getHost().port
        error = self.assertRaises(CannotListenError, self.listen, LOOPBACK, port)
        self.assertEqual(error.socketError.errno, errno.EADDRINUSE)

    def test_unwatched(self) -> None:
        """
        Where no descriptor is left for what watches the port that is said as of a port
        that cannot be had, and nobody is left to wait there for ever.
        """

        def exhausted(*_: Any) -> None:
            raise OSError(errno.EMFILE, "Too many open files")

        self.patch(self.loop, "watch", exhausted)
        error = self.assertRaises(CannotListenError, self.listen)
        self.assertEqual(error.socketError.errno, errno.EMFILE)

    def test_stopped(self) -> None:
        """
        A port that is closed is free at once, and takes nobody; those who came stay.
        """
        listening = self.listen()
        port = listening.getHost().port
        visitor = self.visit(listening)
        self.until(lambda: self.came)
        self.successResultOf(listening.stopListening())
        self.successResultOf(listening.stopListening())
        self.assertRaises(
            ConnectionRefusedError, socket.create_connection, (LOOPBACK, port)
        )
        self.listen(port=port)
        visitor.send(b"x")
        self.leave()

    def test_stoppedAtOne(self) -> None:
        """
        Who closes the port when a visitor comes gets no other.
        """

        def arrived(end: Any) -> None:
            self.came.append(end)
            listening.stopListening()

        listening = self.listen(arrived=arrived)
        for _ in range(3):
            self.visit(listening)
        self.until(lambda: self.came)
        self.turn()
        self.assertEqual(len(self.came), 1)
        self.leave()

    def test_many(self) -> None:
        """
        A crowd is let in whole.
        """
        listening = self.listen()
        for _ in range(AT_ONCE + 20):
            self.visit(listening)
        self.until(lambda: len(self.came) == AT_ONCE + 20)
        self.leave()

    def test_bug(self) -> None:
        """
        A bug at one visitor resets that one, and the next is served.
        """

        def arrived(end: Any) -> None:
            self.came.append(end)
            if len(self.came) == 1:
                raise ZeroDivisionError

        listening = self.listen(arrived=arrived)
        first = self.visit(listening)
        self.until(lambda: self.came)
        self.assertRaises(ConnectionResetError, first.recv, 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.visit(listening)
        self.until(lambda: len(self.came) == 2)
        self.leave()

    def refusing(self, error: int) -> tuple[Listening, Refusing]:
        """
        Listen where nobody can be accepted.
        """
        made: list[Refusing] = []
        create = Socket

        def refusing(*given: Any) -> Any:
            made.append(Refusing(create(*given), error))
            return made[-1]

        self.patch(module, "Socket", refusing)
        listening = self.listen()
        self.patch(module, "Socket", create)
        return listening, made[0]

    def test_exhausted(self) -> None:
        """
        Without a descriptor left visitors wait in the kernel, with a pause instead
        of a busy loop, and come in when there is one.
        """
        for error in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
            self.came.clear()
            listening, sock = self.refusing(error)
            self.visit(listening)
            self.until(lambda sock=sock: sock.asked)
            for _ in range(5):
                self.turn()
            self.assertEqual(sock.asked, 1)
            self.reactor.advance(RESPITE)
            self.until(lambda sock=sock: sock.asked == 2)
            sock.error = 0
            self.reactor.advance(RESPITE)
            self.until(lambda: self.came)
            self.leave()
            listening.stopListening()

    def test_stoppedWhileExhausted(self) -> None:
        """
        A port can be closed in that pause, and leaves nothing behind.
        """
        listening, sock = self.refusing(errno.EMFILE)
        self.visit(listening)
        self.until(lambda: sock.asked)
        self.successResultOf(listening.stopListening())
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(len(self.loop), 0)

    def test_oneGone(self) -> None:
        """
        A visitor who went before he was accepted keeps nobody else out.
        """
        listening, sock = self.refusing(errno.ECONNABORTED)
        self.visit(listening)
        self.until(lambda: sock.asked)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        sock.error = 0
        self.until(lambda: self.came)
        self.leave()
