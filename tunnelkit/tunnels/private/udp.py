# -*- test-case-name: tests.tunnels.private.test_udp -*-
"""
UDP visits: a port on the client's side whose visitors' datagrams are brought to a
private tunnel of another client, each visitor's in a flow of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelkit.control.session import Refusal
from tunnelkit.failures import StartFailed
from tunnelkit.interfaces import ICarrier, IFlowPort, IRelay
from tunnelkit.relay.flows.ends import EARLY, VisitorFlow
from tunnelkit.relay.flows.flow import Flow
from tunnelkit.relay.flows.table import FlowTable
from tunnelkit.relay.flows.tally import UNSENT
from tunnelkit.tunnels.bursts import Bursts
from tunnelkit.tunnels.localudp import LASTING
from tunnelkit.tunnels.private.spec import VisitSpec
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.native.datagrams import HEAD, framed
from tunnelkit.wire.native.messages import Flow as Announced
from tunnelkit.wire.native.messages import FlowEnd

KIND: Final = "private-udp"
DIALLING: Final = 1024
"""Flows of one port that may wait for the tunnel."""
REST: Final = 1.0
"""Seconds in which nothing is dialled after a refusal: each datagram would."""

Reached: TypeAlias = tuple[Announced, ICarrier]
"""What answers the dial of a flow: its announcement, and where that came."""


class UDPVisit:
    """
    One port.
    """

    _log = Logger()
    streams: Final = 0
    """Nobody waits for the end of a flow, which has none of its own."""

    def __init__(
        self,
        spec: VisitSpec,
        relay: IRelay,
        clock: IReactorTime,
        dial: Callable[[str, str, bool], Deferred[Any]],
        random: Callable[[int], bytes],
    ) -> None:
        """
        @param dial: asks for a flow: of a tunnel's name, its kind, and whether it is
            encrypted from end to end; gives what is L{Reached}.
        @param random: gives so many random bytes.
        """
        self._spec = spec
        self._relay = relay
        self._clock = clock
        self._dial = dial
        self._port: IFlowPort | None = None
        self._flows = FlowTable(clock, self._left, spec.name, idle=LASTING)
        if spec.key is not None:
            from tunnelkit.relay.flows.sealed import SealedShape

            self._flows.shape = SealedShape(
                self._flows.tally, spec.key, spec.name, True, clock, random
            )
        self._numbers: dict[int, Flow] = {}
        self._dialling: dict[Flow, Deferred[Any]] = {}
        self._resting = 0.0
        self._bursts = Bursts(self._say, clock)

    def start(self) -> None:
        """
        Take datagrams from now on.

        @raise StartFailed: the address cannot be had.
        """
        at = self._spec.at
        assert isinstance(at, HostPort), "no port"
        try:
            self._port = self._relay.listenDatagrams(at, self._flows, self._arrived)
        except CannotListenError as e:
            reason = getattr(e.socketError, "strerror", None) or str(e.socketError)
            raise StartFailed(
                f"--visit {self._spec.name}: cannot listen on {at} for datagrams:"
                f" {reason}: stop what does, or give the visit another place"
            ) from e

    def stop(self) -> Deferred[object] | None:
        """
        Take no more.  That ends all flows, which have no end of their own.
        """
        port, self._port = self._port, None
        self._flows.clear("the client is stopping")
        return None if port is None else maybeDeferred(port.stopListening)

    def cut(self, reason: str) -> None:
        """
        There is nothing left to be cut.
        """
        self._bursts.stop()

    def find(self, number: int) -> Flow | None:
        """
        Give the flow of a number, if it is here.
        """
        return self._numbers.get(number)

    def _arrived(self, flow: VisitorFlow) -> bool:
        """
        A visitor is new: ask for a flow.

        @return: whether he may be.
        """
        if self._clock.seconds() < self._resting:
            return False
        if len(self._dialling) >= DIALLING:
            self._bursts.note("too many visitors at once")
            return False
        early = _Early(flow)
        flow.carrier = early
        dialled = self._dial(self._spec.name, KIND, self._spec.key is not None)
        self._dialling[flow] = dialled
        dialled.addCallbacks(
            self._reached,
            self._ebDial,
            callbackArgs=(flow, early),
            errbackArgs=(flow,),
        )
        dialled.addErrback(
            lambda f: self._log.failure("a bug at {name}", f, name=self._spec.name)
        )
        return flow in self._dialling

    def _reached(self, reached: Reached, flow: Flow, early: _Early) -> None:
        announced, carrier = reached
        if self._dialling.pop(flow, None) is None:
            carrier.tell(FlowEnd(announced.id, "the visitor has gone"))
            return
        flow.id = announced.id
        self._numbers[flow.id] = flow
        carrier.adopt(flow)
        for datagram in early.taken():
            flow.ship(framed(flow.id, datagram))

    def _ebDial(self, failure: Failure, flow: Flow) -> None:
        self._dialling.pop(flow, None)
        refusal = failure.value
        if isinstance(refusal, Refusal):
            self._resting = self._clock.seconds() + REST
            self._bursts.note(refusal.reason)
        elif not failure.check(CancelledError):
            self._log.failure("a bug at {name}", failure, name=self._spec.name)
        self._flows.end(flow, "", known=True)

    def _left(self, flow: Flow) -> None:
        if self._numbers.get(flow.id) is flow:
            del self._numbers[flow.id]
        dialled = self._dialling.pop(flow, None)
        if dialled is not None:
            dialled.cancel()

    def _say(self, sentence: str) -> None:
        self._log.warn(
            "datagrams of {name} are dropped: {sentence}",
            name=self._spec.name,
            sentence=sentence,
        )


class _Early:
    """
    Where a flow lives that has no number yet: what comes for it is held.
    """

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._held: list[bytes] = []
        self._size = 0

    def put(self, frame: bytes) -> None:
        datagram = frame[HEAD.size :]
        self._size += len(datagram)
        if self._size <= EARLY:
            self._held.append(datagram)
        else:
            self._flow.tally.drop(UNSENT)

    def tell(self, message: FlowEnd) -> None:
        """
        Nobody knows of it yet.
        """

    def forget(self, flow: Flow) -> None:
        """
        It is over, or has its number.
        """

    def taken(self) -> list[bytes]:
        """
        Give what is held.
        """
        held, self._held = self._held, []
        return held


class Landings:
    """
    Where flows go to that answer dials, as a dock sees them.
    """

    def __init__(
        self,
        visits: Iterable[UDPVisit],
        answered: Callable[[Announced, ICarrier], bool],
    ) -> None:
        """
        @param answered: gives a flow to who dialled; says whether somebody did.
        """
        self._visits = tuple(visits)
        self._answered = answered

    def find(self, number: int) -> Flow | None:
        """
        Give the flow of a number, if it is here.
        """
        found = (visit.find(number) for visit in self._visits)
        return next((flow for flow in found if flow is not None), None)

    def land(self, flow: Announced, carrier: ICarrier) -> str:
        """
        Give a flow to who dialled.

        @return: why not, or nothing.
        """
        return "" if self._answered(flow, carrier) else "the visitor has gone"
