"""
Tests of flows over real sockets, the same for both relays.
"""

from __future__ import annotations

import os
from typing import Any, ClassVar

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from tests.relay.flows.cases import FlowTunnel, Post
from tests.relay.tunnel import LOOPBACK, RELAYS
from tests.stage.programs import until
from tunnelkit.carrier.fleet import CARRIERS
from tunnelkit.relay.fast.flows.carrying import CarrierSocket
from tunnelkit.relay.flows.tally import LATE, QUEUE, REFUSED
from tunnelkit.relay.portable import datagrams
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.native.frames import Done, encode

reactor: Any = installed
SIZES = (0, 1, 1200, 8193, 65507)


def gone(carrier: Any) -> bool:
    """
    Tell whether a carrier is lost.
    """
    return bool(carrier.gone)


class FlowCases:
    """
    What is promised of datagrams, whichever relay moves them.

    @cvar relay: which one.
    @cvar secure: whether the carriers are under TLS.
    """

    relay: ClassVar[str]
    secure: ClassVar[bool]
    assertEqual: Any
    assertTrue: Any
    addCleanup: Any

    async def begin(self, host: str = LOOPBACK, at: str = LOOPBACK) -> None:
        """
        Have a service, a tunnel, and a visitor.

        @param at: where visitors may come.
        """
        self.service = self.post(answer=True)
        tunnel = self.tunnel = FlowTunnel(
            reactor,
            HostPort(host, self.service.port),
            self.secure,
            RELAYS[self.relay],
            at,
        )
        self.addCleanup(lambda: Deferred.fromCoroutine(tunnel.close()))
        await self.tunnel.open()
        self.visitor = self.post()

    def post(self, answer: bool = False, host: str = LOOPBACK) -> Post:
        """
        Have somebody with a socket.
        """
        post = Post(answer)
        port = reactor.listenUDP(0, post, host, 65535)
        self.addCleanup(port.stopListening)
        return post

    async def asks(self, visitor: Post, *questions: bytes) -> None:
        """
        Have a visitor ask, and be answered, one question after the other.
        """
        for question in questions:
            count = len(visitor.heard)
            visitor.transport.write(question, (LOOPBACK, self.tunnel.port))
            await until(lambda n=count: len(visitor.heard) > n, "an answer")  # type: ignore[misc]
            answer, (_, port) = visitor.heard[-1]
            self.assertTrue(answer == question, f"{len(answer)}, not {len(question)}")
            self.assertEqual(port, self.tunnel.port)

    async def test_sizes(self) -> None:
        """
        Datagrams of any size come through, both ways, and the counts are right.
        """
        await self.begin()
        sent = [os.urandom(size) for size in SIZES]
        await self.asks(self.visitor, *sent)
        for tally in (self.tunnel.visitors.tally, self.tunnel.landing.flows.tally):
            self.assertEqual((tally.came, tally.went), (5, 5))
            self.assertEqual((tally.received, tally.sent), (sum(SIZES), sum(SIZES)))
            self.assertEqual(set(tally.drops.values()), {0})

    async def test_burst(self) -> None:
        """
        Many at once stay in their order, of one size or not.
        """
        await self.begin()
        await self.asks(self.visitor, b"first")
        sent = [b"%d" % number for number in range(90, 130)]
        for each in sent:
            self.visitor.transport.write(each, (LOOPBACK, self.tunnel.port))
        await until(lambda: len(self.visitor.heard) > len(sent), "all answers")
        self.assertEqual(self.visitor.texts[1:], sent)

    async def test_visitors(self) -> None:
        """
        Each visitor has a source port of its own at the service, whatever carrier its
        flow lives on; what the service says there unasked is the visitor's as well.
        """
        await self.begin()
        visitors = [self.post() for _ in range(9)]
        for visitor in visitors:
            await self.asks(visitor, b"one", b"two")
        ports = [address for _, address in self.service.heard]
        self.assertEqual(ports[::2], ports[1::2])
        self.assertEqual(len({*ports}), 9)
        flows = [len(each.flows) for each in self.tunnel.tunnel.server.carriers]
        self.assertEqual(sorted(flows), [2, 2, 2, 3])
        for visitor, port in zip(visitors, ports[::2], strict=True):
            self.service.transport.write(b"news", port)
            await until(lambda v=visitor: len(v.heard) > 2, "news")  # type: ignore[misc]
            self.assertEqual(visitor.texts[2], b"news")

    async def test_talkative(self) -> None:
        """
        A service may say more than it was asked, or less, and all of it comes, at once.
        """
        await self.begin()
        await self.asks(self.visitor, b"first")
        _, flow = self.service.heard[0]
        sent = [b"first"]
        for asked, said in ((0, 7), (3, 9), (9, 1), (1, 30)):
            self.service.answer = False
            for _ in range(asked):
                self.visitor.transport.write(b"?", (LOOPBACK, self.tunnel.port))
            heard = len(self.service.heard) + asked
            await until(lambda n=heard: len(self.service.heard) >= n, "questions")  # type: ignore[misc]
            for number in range(said):
                sent.append(b"%d of %d" % (number, said))
                self.service.transport.write(sent[-1], flow)
            await until(lambda: len(self.visitor.heard) >= len(sent), "all of it")
            self.assertEqual(self.visitor.texts, sent)

    async def test_refused(self) -> None:
        """
        A service that is not there ends nothing: when it is back the flow goes on.
        """
        await self.begin()
        await self.asks(self.visitor, b"hello")
        port = self.service.port
        await self.service.transport.stopListening()
        landing = self.tunnel.landing
        self.visitor.transport.write(b"anybody?", (LOOPBACK, self.tunnel.port))
        drops = landing.flows.tally.drops
        await until(lambda: drops[REFUSED] > 0, "a refusal")
        self.assertTrue("refused datagrams" in landing.failures[0])
        listening = reactor.listenUDP(port, self.service, LOOPBACK, 65535)
        self.addCleanup(listening.stopListening)
        await self.asks(self.visitor, b"again")
        self.assertEqual(len(landing.flows), 1)

    async def test_strangers(self) -> None:
        """
        The visitor hears nothing that somebody else sends to the flow's own port.
        """
        await self.begin()
        await self.asks(self.visitor, b"one")
        ((_, own),) = self.service.heard
        self.post().transport.write(b"nothing of the service's", own)
        await self.asks(self.visitor, b"two")
        self.assertEqual(self.visitor.texts, [b"one", b"two"])

    async def test_noWay(self) -> None:
        """
        A service to which no way leads is said to be so, and the flow ends.
        """
        await self.begin("255.255.255.255")
        self.visitor.transport.write(b"hello?", (LOOPBACK, self.tunnel.port))
        await until(lambda: len(self.tunnel.left) == 1, "the end of the flow")
        (why,) = self.tunnel.landing.failures
        self.assertTrue("cannot be reached: Permission denied" in why, why)

    async def test_asked(self) -> None:
        """
        A port on all addresses answers from the one that was asked, and the client is
        told which one that was; who asks two of them has two flows.
        """
        for anywhere, hosts in (
            ("0.0.0.0", (LOOPBACK, "127.0.0.2")),
            ("::", ("::1", LOOPBACK, "127.0.0.2")),
        ):
            await self.begin(at=anywhere)
            for host in hosts:
                # It is connected: it hears nothing from another address.
                visitor = self.post(host="::1" if ":" in host else LOOPBACK)
                visitor.transport.connect(host, self.tunnel.port)
                for text in (b"one", b"two"):
                    visitor.transport.write(text)
                    await until(
                        lambda v=visitor, t=text: t in v.texts,  # type: ignore[misc]
                        f"an answer from {host} of {anywhere}",
                    )
                flow: Any = [*self.tunnel.visitors.flows.values()][-1]
                self.assertEqual(flow.local, str(HostPort(host, self.tunnel.port)))
            for host in (LOOPBACK, "127.0.0.2"):
                self.visitor.transport.write(b"both", (host, self.tunnel.port))
            await until(lambda: len(self.visitor.heard) == 2, "two answers")
            whence = {address[0] for _, address in self.visitor.heard}
            self.assertEqual(whence, {LOOPBACK, "127.0.0.2"})
            self.assertEqual(len(self.tunnel.visitors), len(hosts) + 2)

    async def test_carrierLost(self) -> None:
        """
        When a carrier is lost its flows go on over the others, from the same source
        port, and the service reaches the visitor unasked.
        """
        await self.begin()
        await self.asks(self.visitor, b"one")
        carriers = self.tunnel.tunnel.server.carriers
        (own,) = (each for each in carriers if each.flows)
        own.abort()
        await self.asks(self.visitor, b"two")
        whose = {address for _, address in self.service.heard}
        self.assertEqual((len(whose), self.tunnel.left), (1, []))
        self.service.transport.write(b"news", whose.pop())
        await until(lambda: self.visitor.texts[-1] == b"news", "news")
        self.assertEqual(len(self.tunnel.fleet._carriers), CARRIERS - 1)

    async def test_stalled(self) -> None:
        """
        A carrier of which nothing is read holds up its own flows for a second, until
        they have moved, and nobody else's at all; nothing is queued without a bound,
        and what was dropped is counted.
        """
        await self.begin()
        other = self.post()
        await self.asks(self.visitor, b"one")
        await self.asks(other, b"one")
        self.deafen(next(iter(self.tunnel.landing.flows.flows.values())).carrier)
        flow = next(iter(self.tunnel.visitors.flows.values()))
        carrier: Any = flow.carrier

        def flooded() -> bool:
            # The kernel takes megabytes before it takes no more for good.
            for _ in range(40):
                self.visitor.transport.write(bytes(9000), (LOOPBACK, self.tunnel.port))
            return bool(drops[QUEUE] + drops[LATE])

        drops = self.tunnel.visitors.tally.drops
        await until(flooded, "a carrier that takes no more")
        await self.asks(other, b"two")
        await until(
            lambda: flooded() and flow.carrier is not carrier, "the flow has moved"
        )
        self.assertTrue(carrier._queue.size <= 256 * 1024)

        def answered() -> bool:
            # The first may be lost yet: much of the flood goes on over the others.
            self.visitor.transport.write(b"three", (LOOPBACK, self.tunnel.port))
            return self.visitor.texts[-1] == b"three"

        await until(answered, "an answer")

    def deafen(self, carrier: Any) -> None:
        """
        Have nothing read from a carrier.
        """
        carrier._loop.change(carrier._fd, 0)

    async def test_malformed(self) -> None:
        """
        Whoever breaks the protocol loses that one connection, and no flow.
        """
        await self.begin()
        await self.asks(self.visitor, b"one")
        for half in (self.tunnel.tunnel.client, self.tunnel.tunnel.server):
            carrier: Any = next(each for each in half.carriers if not gone(each))
            carrier._send(encode(Done(1)))
            await until(lambda c=carrier: c.gone, "an end")  # type: ignore[misc]
            await self.asks(self.visitor, b"two")
        self.assertEqual(len(self.tunnel.fleet._carriers), CARRIERS - 2)
        self.assertEqual(self.tunnel.left, [])

    async def test_ended(self) -> None:
        """
        A flow that the client ends is over on the server; the next datagram begins
        another one.
        """
        await self.begin()
        await self.asks(self.visitor, b"one")
        flows = self.tunnel.landing.flows
        (flow,) = flows.flows.values()
        flows.end(flow, "its place was needed")
        await until(lambda: len(self.tunnel.left) == 1, "the end of the flow")
        await self.asks(self.visitor, b"two")
        self.assertEqual(len({address for _, address in self.service.heard}), 2)

    async def test_early(self) -> None:
        """
        What comes before there is any carrier is not lost, if that does not last.
        """
        await self.begin()
        for carrier in [*self.tunnel.tunnel.server.carriers]:
            carrier.abort()
        self.visitor.transport.write(b"early", (LOOPBACK, self.tunnel.port))
        await until(lambda: len(self.tunnel.visitors) == 1, "a flow")
        await self.tunnel.more(2)
        self.tunnel.fleet._fill()
        self.tunnel.fleet._taking = 0
        self.tunnel.fleet._fill()
        await until(lambda: self.visitor.texts == [b"early"], "an answer")

    async def test_name(self) -> None:
        """
        A service may be given by its name.
        """
        await self.begin("localhost")
        await self.asks(self.visitor, b"one", b"two")
        self.assertEqual(self.tunnel.landing.failures, [])

    async def test_noName(self) -> None:
        """
        One that has a name which nobody knows is said to have, and the flow ends.
        """
        await self.begin("nobody.invalid")
        self.visitor.transport.write(b"hello?", (LOOPBACK, self.tunnel.port))
        await until(lambda: len(self.tunnel.left) == 1, "the end of the flow")
        (why,) = self.tunnel.landing.failures
        self.assertTrue("has a name that is not known" in why)


class PortableTests(FlowCases, TestCase):
    """
    Over Twisted's transports.
    """

    relay = "portable"
    secure = False

    def deafen(self, carrier: Any) -> None:
        """
        Have nothing read from a carrier.
        """
        carrier.transport.pauseProducing()

    async def test_elsewhere(self) -> None:
        """
        With a reactor that works without descriptors datagrams come through, too, and
        nothing that a stranger sends to the flow's own port.
        """

        def listen(reactor: Any, port: int, protocol: Any, host: str) -> Any:
            return reactor.listenUDP(port, protocol, host, 65535)

        self.patch(datagrams, "listenUDP", listen)
        await self.begin(at="0.0.0.0")
        await self.asks(self.visitor, *(os.urandom(size) for size in SIZES))
        whose = {own for _, own in self.service.heard}
        self.assertEqual(len(whose), 1)
        self.post().transport.write(b"nothing of the service's", whose.pop())
        await self.asks(self.visitor, b"last")
        self.assertEqual(len(self.visitor.heard), len(SIZES) + 1)
        flow: Any = next(iter(self.tunnel.visitors.flows.values()))
        self.assertEqual(flow.key[1], ())


class PortableTLSTests(PortableTests):
    """
    Over Twisted's transports and TLS.
    """

    relay = "portable"
    secure = True


class FastTests(FlowCases, TestCase):
    """
    In the loop.
    """

    relay = "fast"
    secure = False

    async def test_fast(self) -> None:
        """
        It is the loop that carries.
        """
        await self.begin()
        for carrier in self.tunnel.tunnel.server.carriers:
            self.assertTrue(isinstance(carrier, CarrierSocket))


class FastTLSTests(FlowCases, TestCase):
    """
    In the loop, under its TLS.
    """

    relay = "fast"
    secure = True
