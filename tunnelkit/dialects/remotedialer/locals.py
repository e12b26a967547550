# -*- test-case-name: tests.dialects.remotedialer.test_locals -*-
"""
Locals: what the other side has us dial, and may.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelkit.control.names import legible
from tunnelkit.dialects.allowed import Pattern, allows, parseTarget
from tunnelkit.dialects.remotedialer.ends import LineEnd, nobody
from tunnelkit.interfaces import IEnd, IJoin, IRelay, Outcome, Undialled
from tunnelkit.relay.endpoints import One
from tunnelkit.relay.portable.raw import RawEnd
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.remotedialer.messages import NOT_ALLOWED, Connect

PATIENCE: Final = 10.0
"""Seconds that dialling a local service may take."""
REFUSALS: Final = 100
"""How many different things that may not be dialled the log tells of."""

Authorise: TypeAlias = Callable[[str, str], bool]
"""Says whether a network and an address may be dialled."""
Dial: TypeAlias = Callable[[str, str], "IEnd | Deferred[IEnd]"]
"""Dials a network and an address; fails with L{Undialled}."""


def patterned(patterns: Iterable[Pattern]) -> Authorise:
    """
    Allow what patterns cover.
    """
    known = tuple(patterns)

    def authorise(network: str, address: str) -> bool:
        try:
            return allows(known, parseTarget(network, address))
        except ValueError:
            return False

    return authorise


def relayed(relay: IRelay, timeout: float = PATIENCE) -> Dial:
    """
    Dial by a relay: TCP and UNIX sockets of this machine's networks.
    """

    def dial(network: str, address: str) -> IEnd | Deferred[IEnd]:
        try:
            target = parseTarget(network, address)
        except ValueError as e:
            raise Undialled(ResetCode.UNREACHABLE, str(e)) from None
        return relay.dial(target, timeout)

    return dial


def byEndpoint(endpoint: Callable[[str, str], IStreamClientEndpoint]) -> Dial:
    """
    Dial by an endpoint of one's own choice.
    """

    def dial(network: str, address: str) -> Deferred[IEnd]:
        end = RawEnd()
        return endpoint(network, address).connect(One(end)).addCallback(lambda _: end)

    return dial


class Locals:
    """
    Local services that are dialled for the other side.

    @ivar joins: the connections.
    """

    _log = Logger()

    def __init__(self, relay: IRelay, authorise: Authorise, dial: Dial) -> None:
        self.joins: set[IJoin] = set()
        self._relay = relay
        self._authorise = authorise
        self._dial = dial
        self._refused: set[str] = set()

    def connect(self, end: LineEnd, asked: Connect) -> None:
        """
        Dial, if that may be.
        """
        network, address = asked.network, asked.address
        if not self._allowed(network, address):
            what = legible(f"{network}/{address}")
            known = self._refused
            if what not in known and len(known) < REFUSALS:
                known.add(what)  # one line, however often it asks
                self._log.warn(
                    "the other side may not dial {what}: --allow {what} would let it",
                    what=what,
                )
            end.refuse(ResetCode.DENIED, NOT_ALLOWED)
            return
        _Dialling(self, end).begin(network, address, self._dial)

    def cut(self, reason: str) -> None:
        """
        Reset all connections.
        """
        for join in [*self.joins]:
            join.abort(ResetCode.STOPPING, reason)

    def join(self, local: IEnd, end: LineEnd) -> None:
        """
        Relay a service and its visitor into each other.
        """
        join = self._relay.join(local, end, b"")
        self.joins.add(join)
        join.tell(self._ended)

    def _ended(self, join: IJoin, outcome: Outcome) -> None:
        self.joins.discard(join)

    def _allowed(self, network: str, address: str) -> bool:
        try:
            return self._authorise(network, address)
        except Exception:
            self._log.failure("a bug at who says what may be dialled")
            return False


class _Dialling:
    """
    A local service that is being dialled.
    """

    _log = Logger()

    def __init__(self, locals: Locals, end: LineEnd) -> None:
        self._locals = locals
        self._end = end
        self._dialled: Deferred[IEnd] | None = None
        end.stirred = self._stirred

    def begin(self, network: str, address: str, dial: Dial) -> None:
        """
        Dial.
        """
        try:
            found = dial(network, address)
        except Exception:
            self._failed(Failure())
            return
        if not isinstance(found, Deferred):
            self._reached(found)
            return
        self._dialled = found
        found.addCallback(self._reached).addErrback(self._failed)

    def _stirred(self) -> None:
        if self._end.failure and self._dialled is not None:
            dialled, self._dialled = self._dialled, None
            dialled.cancel()

    def _reached(self, local: IEnd) -> None:
        self._settle()
        if self._end.failure:
            local.abort()
        else:
            self._locals.join(local, self._end)

    def _failed(self, failure: Failure) -> None:
        self._settle()
        if self._end.failure:
            return  # it was given up
        error = failure.value
        if isinstance(error, Undialled):
            self._end.refuse(error.code, error.reason)
        else:
            self._log.failure("a service could not be dialled", failure)
            self._end.refuse(ResetCode.UNREACHABLE, failure.getErrorMessage())

    def _settle(self) -> None:
        self._dialled = None
        self._end.stirred = nobody
