# -*- test-case-name: tests.relay.flows.test_sealed -*-
"""
Sealed flows: datagrams that two clients encrypt between them, so that the server in
between sees ciphertext and nothing else.

Each flow has keys of its own, on which the two agree by the packets that portals have
(L{tunnelkit.wire.portal.sealed}), from the key that both have: the visitor's side opens
with its first datagram, which waits for the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tunnelkit.relay.bucket import Bucket
from tunnelkit.relay.flows.flow import Flow
from tunnelkit.relay.flows.shape import Shape
from tunnelkit.relay.flows.tally import CORRUPT, LATE, QUEUE, Tally
from tunnelkit.wire.endkey import EndKey
from tunnelkit.wire.native.datagrams import framed
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.portal.noise import Initiator, Noise
from tunnelkit.wire.portal.sealed import (
    ANSWER,
    DATA,
    EXHAUSTED,
    INSTANCE,
    LONGEST,
    OPENING,
    Opened,
    Sealer,
    answer,
    makeNoise,
    opening,
    readAnswer,
    readOpening,
)

HELD: Final = 16
"""Datagrams of a flow that wait until the other client has answered."""
AGAIN: Final = 1.0
"""Seconds after which it is asked again."""
ASKED: Final = 5
"""How often it is asked, until what waits is dropped."""
_PURPOSE: Final = "private-udp/"
_OURS: Final = 0
"""The index in packets: a flow has one pair of keys."""


class SealedShape(Shape):
    """
    What the datagrams of one tunnel go through on one side.
    """

    def __init__(
        self,
        tally: Tally,
        key: EndKey,
        tunnel: str,
        client: bool,
        clock: IReactorTime,
        random: Callable[[int], bytes],
        inward: Bucket | None = None,
        outward: Bucket | None = None,
    ) -> None:
        """
        @param client: whether this side begins flows, as the visitor's does.
        @param random: gives so many random bytes.
        """
        super().__init__(tally, "", inward, outward)
        self.noise = makeNoise(key.secret, _PURPOSE + tunnel)
        self.client = client
        self.clock = clock
        self.random = random
        self._seals: dict[object, Seal] = {}

    def into(self, datagram: bytes, flow: Flow | None = None) -> bytes | None:
        """
        Give what crosses the tunnel for a datagram, or None where it waits, or is
        dropped.
        """
        assert flow is not None, "datagrams of no flow"
        passing = super().into(datagram)
        return None if passing is None else self._sealOf(flow).into(passing)

    def out(self, crossing: bytes, flow: Flow | None = None) -> bytes | None:
        """
        Give the datagram that crossed, or None where that was no datagram, or is
        dropped.
        """
        assert flow is not None, "datagrams of no flow"
        datagram = self._sealOf(flow).out(crossing)
        return None if datagram is None else super().out(datagram)

    def left(self, flow: Flow) -> None:
        """
        A flow is over.
        """
        seal = self._seals.pop(flow, None)
        if seal is not None:
            seal.stop()

    def _sealOf(self, flow: Flow) -> Seal:
        if flow not in self._seals:
            self._seals[flow] = Seal(self, flow)
        return self._seals[flow]


class Seal:
    """
    The keys of one flow.
    """

    def __init__(self, shape: SealedShape, flow: Flow) -> None:
        self._shape = shape
        self._flow = flow
        self._sealer: Sealer | None = None
        self._proven = shape.client
        self._initiator: Initiator | None = None
        self._held: list[bytes] = []
        self._asked = 0
        self._again: IDelayedCall | None = None

    def into(self, datagram: bytes) -> bytes | None:
        """
        Seal a datagram, or hold it.
        """
        tally = self._flow.tally
        if len(datagram) > LONGEST:
            tally.drop(CORRUPT)
            return None
        sealer = self._sealer
        if sealer is None:
            self._hold(datagram)
            return None
        if sealer.sent >= EXHAUSTED:
            self._flow.table.end(self._flow, "its keys are used up")
            return None
        return sealer.seal(0, datagram)

    def out(self, packet: bytes) -> bytes | None:
        """
        Open a packet, or go on with the handshake.
        """
        try:
            match packet[:1]:
                case b"" | None:
                    raise WireError("an empty packet")
                case kind if kind[0] == DATA and self._sealer is not None:
                    _, datagram, _ = self._sealer.unseal(packet)
                    self._proven = True
                    return datagram
                case kind if kind[0] == OPENING and not self._shape.client:
                    self._open(packet)
                case kind if kind[0] == ANSWER and self._initiator is not None:
                    self._answered(packet, self._initiator)
                case _:
                    raise WireError("a packet that does not belong here")
        except WireError:
            self._flow.tally.drop(CORRUPT)
        return None

    def stop(self) -> None:
        """
        The flow is over.
        """
        self._held.clear()
        if self._again is not None and self._again.active():
            self._again.cancel()

    def _hold(self, datagram: bytes) -> None:
        if not self._shape.client or len(self._held) >= HELD:
            self._flow.tally.drop(QUEUE)
            return
        self._held.append(datagram)
        if self._again is None or not self._again.active():
            self._asked = 0
            self._ask()

    def _ask(self) -> None:
        """
        Ask the other client for keys, and again where that may have been lost.
        """
        shape = self._shape
        if self._asked >= ASKED:
            self._flow.tally.drop(LATE, len(self._held))
            self._held.clear()
            return
        self._asked += 1
        noise: Noise = shape.noise
        now = int(shape.clock.seconds() * 1000)
        opened = Opened(shape.random(INSTANCE), now, _OURS)
        packet, self._initiator = opening(noise, shape.random, opened)
        self._ship(packet)
        self._again = shape.clock.callLater(AGAIN, self._ask)

    def _open(self, packet: bytes) -> None:
        """
        The other client asks for keys.  Those that it has used stay.
        """
        if self._proven:
            return
        shape = self._shape
        opened, responder = readOpening(shape.noise, packet)
        message, keys = answer(responder, shape.random, opened.index, _OURS)
        self._sealer = Sealer(keys, opened.index)
        self._ship(message)

    def _answered(self, packet: bytes, initiator: Initiator) -> None:
        theirs, keys = readAnswer(initiator, packet)
        self._sealer, self._initiator = Sealer(keys, theirs), None
        if self._again is not None and self._again.active():
            self._again.cancel()
        held, self._held = self._held, []
        for datagram in held:
            self._ship(self._sealer.seal(0, datagram))

    def _ship(self, packet: bytes) -> None:
        self._flow.ship(framed(self._flow.id, packet))
