# -*- test-case-name: tests.tunnels.test_local -*-
"""
Local: a TCP service on the client's side, dialled for each visitor.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelkit.interfaces import (
    IEnd,
    IJoin,
    IRelay,
    IStreamEnd,
    Outcome,
    Undialled,
)
from tunnelkit.relay.bucket import Bucket
from tunnelkit.relay.wrapping.packed import Packing
from tunnelkit.tunnels import detail
from tunnelkit.tunnels.bursts import Bursts
from tunnelkit.tunnels.spec import TunnelSpec
from tunnelkit.wire.address import HostPort, parseHostPort
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.native.messages import Start
from tunnelkit.wire.proxy import proxyHeader

DIALLING: Final = 10.0
"""Seconds that a local service has to accept a connection."""

_UNPACKED: Final = "the server does not compress as it was asked to"

_Dialled: TypeAlias = IEnd | Failure


class LocalTCP:
    """
    A local service, and the visitors that are with it.

    @ivar spec: what the user said of it.
    """

    _log = Logger()

    def __init__(self, spec: TunnelSpec, relay: IRelay, clock: IReactorTime) -> None:
        self.spec = spec
        self._relay = relay
        burst = spec.limits.burst or None
        self._inward, self._outward = (
            Bucket(clock, rate, burst) if rate else None
            for rate in (spec.limits.inward, spec.limits.outward)
        )
        self._packing: Packing | None = None
        if spec.compress:
            self._packing = Packing(spec.compress, "the server", clock)
        self._joins: dict[IJoin, Start | None] = {}
        self._dialling: set[Deferred[IEnd]] = set()
        self._bursts = Bursts(self._say, clock)

    @property
    def streams(self) -> int:
        """
        How many visitors are with the service, or on their way.
        """
        return len(self._joins) + len(self._dialling)

    def started(self, work: IStreamEnd, start: Start) -> None:
        """
        A visitor came: dial the service, and join the two.
        """
        if detail.shown:
            detail.begins(self._log, start)
        if start.compress != self.spec.compress:
            # An old server may send a visitor before it is told to close the tunnel.
            self._refuse(work, start, ResetCode.DENIED, _UNPACKED)
            self._bursts.note(_UNPACKED)
            return
        dialled = self._dial(start)
        if not isinstance(dialled, Deferred):
            self._join(dialled, work, start)
            return
        self._dialling.add(dialled)
        dialled.addBoth(self._dialled, dialled)
        dialled.addCallbacks(
            self._join,
            self._ebDial,
            callbackArgs=(work, start),
            errbackArgs=(work, start),
        )

    def _dial(self, start: Start) -> IEnd | Deferred[IEnd]:
        """
        Give what the visitor is joined to.
        """
        return self._relay.dial(self.spec.local, DIALLING)

    def cut(self, reason: str) -> None:
        """
        Reset all streams under way, and those to be.
        """
        for dialled in [*self._dialling]:
            dialled.cancel()
        for join in [*self._joins]:
            join.abort(ResetCode.STOPPING, reason)
        self._bursts.stop()

    def _dialled(self, result: _Dialled, dialled: Deferred[IEnd]) -> _Dialled:
        self._dialling.discard(dialled)
        return result

    def _join(self, service: IEnd, work: IStreamEnd, start: Start) -> None:
        try:
            end = self._endOf(work)
            opening = self._opening(start) if self.spec.proxy else b""
            join = self._relay.join(end, service, opening, self._inward, self._outward)
        except Exception:
            service.abort()
            self._refuseForBug(work, start, Failure())
            return
        # Where nobody is told of its end it need not be kept.
        self._joins[join] = start if detail.shown else None
        join.tell(self._ended)

    def _endOf(self, work: IStreamEnd) -> IEnd:
        """
        Give the end to join.
        """
        return work if self._packing is None else self._packing.end(work)

    def _opening(self, start: Start) -> bytes:
        """
        Make the PROXY header that tells the service who the visitor is.
        """
        return proxyHeader(
            self.spec.proxy, hostPort(start.visitor), hostPort(start.address)
        )

    def _ended(self, join: IJoin, outcome: Outcome) -> None:
        start = self._joins.pop(join)
        if start is not None:
            detail.ends(self._log, start, outcome.reason, join.forth, join.back)

    def _ebDial(self, failure: Failure, work: IStreamEnd, start: Start) -> None:
        error = failure.value
        if isinstance(error, Undialled):
            self._refuse(work, start, error.code, error.reason)
            self._bursts.note(error.reason)
        elif failure.check(CancelledError, ConnectingCancelledError):
            self._refuse(work, start, ResetCode.STOPPING, "the client is stopping")
        else:
            self._refuseForBug(work, start, failure)

    def _refuseForBug(self, work: IStreamEnd, start: Start, failure: Failure) -> None:
        self._log.failure("a bug at {name}", failure, name=self.spec.name)
        reason = "the client has a bug: see its log"
        self._refuse(work, start, ResetCode.INTERNAL, reason)

    def _refuse(
        self, work: IStreamEnd, start: Start, code: ResetCode, reason: str
    ) -> None:
        work.refuse(code, reason)
        detail.ends(self._log, start, reason)

    def _say(self, sentence: str) -> None:
        self._log.warn(
            "visitors of {name} are reset: {sentence}",
            name=self.spec.name,
            sentence=sentence,
        )


def hostPort(text: str) -> HostPort | None:
    """
    Read an address that the server gave; one of another kind is none.
    """
    try:
        return parseHostPort(text)
    except ValueError:
        return None
