"""
Cable: what lies between a client and its server, and can be cut.
"""

from __future__ import annotations

import contextlib
import socket
import threading

from tests.stage.services import LOOPBACK
from tests.stage.sockets import PIECE, Address, connected, listener, reset


class Strand:
    """
    One connection that goes through a cable.

    @ivar count: bytes that went through it, both ways.
    """

    def __init__(self, near: socket.socket, far: socket.socket, cable: Cable) -> None:
        """
        @param near: the connection to who came.
        @param far: the connection to where the cable leads.
        """
        self.count = 0
        self._ends = near, far
        self._cable = cable
        for one, other in ((near, far), (far, near)):
            threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def cut(self) -> None:
        """
        Reset it at both ends.
        """
        for end in self._ends:
            self._wake(end)
            with contextlib.suppress(OSError):
                reset(end)

    def end(self) -> None:
        """
        End it at both ends as if whole, without a word of TLS.
        """
        for end in self._ends:
            self._wake(end)

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := one.recv(PIECE):
                if self._cable.dead.is_set():
                    # What was under way is lost; both ends hear nothing at all.
                    return
                other.sendall(piece)
                self.count += len(piece)
            if not self._cable.dead.is_set():
                other.shutdown(socket.SHUT_WR)

    def _wake(self, end: socket.socket) -> None:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


class Cable:
    """
    A TCP proxy between a client and its server: to the client it is the server.

    @ivar port: where the client connects, at 127.0.0.1.
    @ivar dead: set where nothing goes through any more and nothing says so.
    @ivar strands: the connections that went through it, the oldest first: the first
        is the client's control channel.
    """

    def __init__(self, to: Address) -> None:
        """
        @param to: where it leads.
        """
        self.dead = threading.Event()
        self.strands: list[Strand] = []
        self._to = to
        self._listening = listener(LOOPBACK)
        self._held: list[socket.socket] = []
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def busiest(self) -> Strand:
        """
        The strand that has carried most.
        """
        return max(self.strands, key=lambda strand: strand.count)

    def die(self) -> None:
        """
        Carry nothing more, and let nobody know: no end, no reset; who comes anew is
        accepted and hears nothing.
        """
        self.dead.set()

    def close(self) -> None:
        """
        Reset all that goes through it, and accept nobody.
        """
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for strand in self.strands:
            strand.cut()
        for held in self._held:
            held.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                self._take(near)

    def _take(self, near: socket.socket) -> None:
        if self.dead.is_set():
            self._held.append(near)
            return
        try:
            far = connected(self._to)
        except OSError:
            reset(near)
            return
        # A strand may be quiet for long: the tests have their own limits.
        near.settimeout(None)
        far.settimeout(None)
        self.strands.append(Strand(near, far, self))
