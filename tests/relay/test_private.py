"""
Tests of streams that cross two work connections, one after the other, as those of
private tunnels do: all that holds for a tunnel holds for them, over real sockets.
"""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.threads import deferToThread

from tests.relay import test_tunnel
from tests.relay.portable.test_raw import turned
from tests.relay.tunnel import (
    LOOPBACK,
    RELAYS,
    ClientHalf,
    ServerHalf,
    Tunnel,
    portOf,
)
from tests.stage.sockets import receive
from tunnelkit.interfaces import IEnd, IJoin, IWorkEnd
from tunnelkit.relay.wrapping.packed import Packing
from tunnelkit.relay.wrapping.sealing import Sealing
from tunnelkit.wire.address import HostPort, LocalAddress
from tunnelkit.wire.endkey import newEndKey
from tunnelkit.wire.native.codec import said
from tunnelkit.wire.native.messages import Start

KEY: Final = newEndKey(datetime(2027, 1, 1, tzinfo=UTC))


class Sealer(Packing):
    """
    Encrypts, where others compress.
    """

    def __init__(self, client: bool) -> None:
        clock: Any = reactor
        super().__init__("", "", clock)
        self._sealing = Sealing(KEY, "test", clock)
        self._client = client

    def end(self, work: IEnd) -> Any:
        """
        Give the end to join.
        """
        return self._sealing.end(work, self._client)


class VisitingHalf(ClientHalf):
    """
    The half that visitors come to, which is a client as well.
    """

    def begin(self, dial: Any) -> IListeningPort:
        """
        Take visitors.

        @param dial: asks the server for a stream.
        """
        self.joins: list[IJoin] = []
        self._dial = dial
        self._visitors: list[IEnd] = []
        return self.relay.listen(HostPort(LOOPBACK, 0), self._arrived)

    def _arrived(self, visitor: IEnd) -> None:
        self._visitors.append(visitor)
        self._dial()

    def started(self, work: IWorkEnd, start: Start) -> None:
        """
        The server has begun a stream: join a visitor with it.
        """
        assert start.dial, "a stream that nobody dialled"
        end = work if self.packing is None else self.packing.end(work)
        join = self.relay.join(self._visitors.pop(0), end, b"")
        self.joins.append(join)
        join.ended.addCallback(self.outcomes.append)


class PrivateTunnel(Tunnel):
    """
    A tunnel in which visitors come to another client.
    """

    def __init__(
        self,
        service: LocalAddress,
        secure: bool,
        idle: float,
        path: str,
        sealed: bool,
    ) -> None:
        relay: Any = RELAYS[path]
        loop: Any = reactor
        super().__init__(loop, service, secure, idle, relay)
        self._dials = 0
        self.entry = ServerHalf(
            loop, self.server.relay, self.server.tls.pair if self.server.tls else None
        )
        at = HostPort(LOOPBACK, portOf(self.entry.workPort))
        self.visiting = VisitingHalf(loop, relay(loop, idle), at, service, secure)
        self._listening = self.visiting.begin(self._dialled)
        self.port = portOf(self._listening)
        if sealed:
            self.visiting.packing, self.client.packing = Sealer(True), Sealer(False)
            # The server sees ciphertext, and counts that.
            self.server.joins = self.visiting.joins

    def _dialled(self) -> None:
        """
        Be the server: join two work connections, as soon as there is one of each.
        """
        self._dials += 1
        self._serve()

    def _serve(self) -> None:
        one, other = self.entry.free, self.server.free
        if not (one and other and self._dials):
            return
        self._dials -= 1
        near, far = one.pop(), other.pop()
        answer = Start(near.begin(), "test", "private", "", "", dial=1)
        near.announce(said(answer))
        start = Start(far.begin(), "test", "private", near.peer, near.local)
        join = self.server.relay.join(near, far, said(start))
        if self.client.packing is None:
            self.server.joins.append(join)
        join.ended.addCallback(self.server.outcomes.append)

    async def open(self, count: int = 1) -> None:
        """
        Open work connections of both clients.
        """
        for half in (self.entry, self.server):
            half._serve = self._serve  # type: ignore[method-assign]
        halves = [self.client, self.visiting] * count
        await gatherResults([half.open() for half in halves])

    async def close(self) -> None:
        """
        Reset everything, and stop listening.
        """
        await maybeDeferred(self._listening.stopListening)
        await maybeDeferred(self.entry.port.stopListening)
        await maybeDeferred(self.entry.workPort.stopListening)
        for half in (self.visiting, self.entry):
            for work in [*half.works]:
                work.abort()
        await super().close()


class PrivateTunnelTests(test_tunnel.PlainTunnelTests):
    """
    All that holds for a tunnel holds for a private one.
    """

    sealed: ClassVar[bool] = False

    async def test_limited(self) -> None:
        """
        A limit is the service's side, which is as ever: what is counted is what was
        said, there and at the visitor's.
        """
        await self.open()
        for _ in range(2):
            visitor, service = await self.visit()
            visitor.sendall(b"question")
            visitor.shutdown(socket.SHUT_WR)
            self.assertEnded(await deferToThread(receive, service), b"question")
            service.close()
        await self.settled(2)
        tunnel = self.tunnel
        assert isinstance(tunnel, PrivateTunnel)
        counts = [(join.forth, join.back) for join in tunnel.visiting.joins]
        self.assertEqual(counts, [(8, 0), (8, 0)])

    async def test_opening(self) -> None:
        """
        A service hears something before what the visitor says; the visitor is the
        client that visits, and there is no address to which it came.
        """
        await self.open()
        self.tunnel.client.opening = b"PROXY TCP4 ...\r\n"
        visitor, service = await self.visit()
        visitor.sendall(b"question")
        visitor.shutdown(socket.SHUT_WR)
        self.assertEnded(
            await deferToThread(receive, service), b"PROXY TCP4 ...\r\nquestion"
        )
        (start,) = self.tunnel.client.starts
        tunnel = self.tunnel
        assert isinstance(tunnel, PrivateTunnel)
        self.assertEqual(start.visitor, tunnel.entry.works[0].peer)
        self.assertEqual(start.address, "")

    async def open(self, count: int = 1, idle: float = 300.0) -> None:
        """
        Make a tunnel with so many work connections on each side.
        """
        service = HostPort(LOOPBACK, self.listening.getsockname()[1])
        tunnel = PrivateTunnel(service, self.secure, idle, self.path, self.sealed)
        self.tunnel = tunnel
        self.addCleanup(lambda: Deferred.fromCoroutine(tunnel.close()))
        await tunnel.open(count)

    async def settled(self, count: int) -> None:
        """
        Wait until so many streams are over on all sides, and the connections idle.
        """
        await super().settled(count)
        tunnel = self.tunnel
        assert isinstance(tunnel, PrivateTunnel)
        while len(tunnel.visiting.outcomes) < count:
            await turned()


class FastPrivateTunnelTests(PrivateTunnelTests):
    """
    So it is on the fast path, in plain, where the kernel moves the bytes.
    """

    path = "fast"
    skip = test_tunnel.FAST


class SealedTunnelTests(FastPrivateTunnelTests):
    """
    So it is under TLS, where the two clients encrypt from end to end besides.
    """

    secure = True
    sealed = True
