# -*- test-case-name: tests.endpoints.test_shared -*-
"""
Shared: one connection to a server for all endpoints of a program that need the same.

It is there while one of them publishes something, dials, or has a stream under way.
Then it ends as a client does that is told to stop: nothing that was sent is lost.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelkit.client import Client, makeClient
from tunnelkit.control.session import Refusal
from tunnelkit.dialects.native.line import Line
from tunnelkit.endpoints.words import described
from tunnelkit.interfaces import IRelay
from tunnelkit.relay.streams.join import IDLE
from tunnelkit.settings import ClientSettings
from tunnelkit.tunnels.local import LocalTCP
from tunnelkit.tunnels.spec import TunnelSpec
from tunnelkit.tunnels.wanted import Wanted
from tunnelkit.wire.codes import LOST

LEAVING: Final = 2.0
"""Seconds for which who stops listening waits for the last bytes of those who have
gone; they may take longer."""

_here: Final[WeakKeyDictionary[Any, dict[ClientSettings, SharedClient]]] = (
    WeakKeyDictionary()
)


class SharedClient(Client):
    """
    Such a connection.

    @ivar trouble: why the server is not there, or empty.
    @ivar parted: told when it is not used any more.
    """

    _log = Logger()

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.trouble = ""
        self.parted: Callable[[], None] = lambda: None
        self._comeback.missed = self._missed
        self._comeback.words = described
        self._watching: dict[Wanted, Callable[[], None]] = {}
        self._former: set[LocalTCP] = set()
        # Names that were withdrawn before the server had answered, and how often.
        self._pending: Counter[str] = Counter()
        self._dials: dict[Deferred[None], None] = {}
        self._conversations = 0
        self._parting = False
        self._waiting: list[Deferred[None]] = []

    @property
    def relay(self) -> IRelay:
        """
        What moves its bytes.
        """
        return self._relay

    @property
    def streams(self) -> int:
        """
        How many streams there are, of tunnels of before as well.
        """
        former = sum(local.streams for local in self._former)
        return super().streams + former + self._conversations

    # Publishing.

    def publish(
        self,
        spec: TunnelSpec,
        local: LocalTCP,
        changed: Callable[[], None],
    ) -> Wanted:
        """
        Ask for a tunnel from now on.

        @param changed: told of each change.
        @raise ValueError: there is one of that name.
        """
        if any(each.spec.name == spec.name for each in self.tunnels):
            raise ValueError(
                f"two endpoints publish a tunnel called {spec.name!r}: give one of them"
                " another name with name=NAME"
            )
        wanted = Wanted(spec, self._clock, self._random, self._answered, patient=True)
        self._locals[spec.name] = local
        self._watching[wanted] = changed
        self.tunnels = (*self.tunnels, wanted)
        self._ask(wanted)
        return wanted

    def _ask(self, wanted: Wanted) -> None:
        if self._line is None or not self._line.welcome:
            return
        # To the server it would be there twice, until the former is closed.
        if not self._pending[wanted.spec.name]:
            wanted.ask(self._line.channel)

    def withdraw(self, wanted: Wanted) -> Deferred[None]:
        """
        Ask for a tunnel no more; streams under way go on.

        @return: fires when the server knows, or is not there.
        """
        local = cast(LocalTCP, self._locals[wanted.spec.name])
        del self._watching[wanted]
        self.tunnels = tuple(each for each in self.tunnels if each is not wanted)
        opened = wanted.address
        if wanted.pending is not None:
            self._pending[wanted.spec.name] += 1
            wanted.pending.addCallback(self._answeredLate, wanted.spec.name)
        wanted.forget()
        withdrawn: Deferred[None] = succeed(None)
        if opened and self._line is not None:
            closing = self._line.channel.close(wanted.spec.name)
            withdrawn = closing.addCallbacks(lambda closed: None, _gone)
        # Until then a visitor may be on his way here.
        withdrawn.addCallback(self._withdrawn, wanted.spec.name, local)
        return withdrawn

    def _answeredLate(self, _: None, name: str) -> None:
        self._pending[name] -= 1
        for wanted in self.tunnels:
            if wanted.spec.name == name and wanted.pending is None:
                self._ask(wanted)

    def _withdrawn(self, _: None, name: str, local: LocalTCP) -> Deferred[None]:
        if self._locals.get(name) is local:
            del self._locals[name]
        self._former.add(local)
        return self.left()

    def _answered(self) -> None:
        self._changed()
        for changed in [*self._watching.values()]:
            changed()

    def _lost(self, tunnels: tuple[Wanted, ...]) -> None:
        super()._lost(tunnels)
        for changed in [*self._watching.values()]:
            changed()

    # Dialling.

    def ready(self) -> Deferred[None]:
        """
        Wait until the server has let us in.

        @return: fails with L{Refusal} where it does not; can be cancelled.
        """
        if self._line is not None and self._line.welcome:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._dials[waiting] = None
        return waiting.addBoth(self._forget, waiting)

    def converse(self, begin: int) -> None:
        """
        Count a dial or a stream that has begun, or has ended.

        @param begin: 1, or -1.
        """
        self._conversations += begin
        if begin < 0:
            self.left()

    def loggedIn(self, line: Line) -> None:
        """
        The server has let us in.
        """
        self.trouble = ""
        super().loggedIn(line)
        for waiting in [*self._dials]:
            waiting.callback(None)

    def _missed(self, reason: str) -> None:
        self.trouble = reason
        for waiting in [*self._dials]:
            waiting.errback(Refusal(LOST, reason, retry=True))
        for changed in [*self._watching.values()]:
            changed()

    def _forget(self, result: Any, waiting: Deferred[None]) -> Any:
        self._dials.pop(waiting, None)
        return result

    # The end.

    def left(self) -> Deferred[None]:
        """
        See whether this is still needed, and part from the server if not.

        @return: fires when that is done, where nothing is under way, but after
            L{LEAVING} at the latest; else at once.
        """
        for local in [*self._former]:
            if not local.streams:
                self._former.discard(local)
                local.cut("")
        if self.tunnels or self.streams or not self.running:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        waiting.addTimeout(LEAVING, self._clock, lambda result, seconds: None)
        self._waiting.append(waiting)
        if not self._parting:
            self._parting = True
            self.parted()
            leaving = Deferred.fromCoroutine(self._part())
            leaving.addErrback(
                lambda failure: self._log.failure("a bug at parting", failure)
            )
        return waiting

    async def _part(self) -> None:
        if self._line is not None:
            await self.drain(IDLE)
        stopped = self.stopService()
        if stopped is not None:
            await stopped
        waiting, self._waiting = self._waiting, []
        for left in waiting:
            left.callback(None)


def sharedBy(reactor: Any, settings: ClientSettings) -> SharedClient:
    """
    Give the connection of a program to a server, which begins where there is none yet.

    @param settings: to which, and as who; tunnels are none of it.
    """
    clients = _here.setdefault(reactor, {})
    settings = replace(settings, tunnels=())
    if settings in clients:
        return clients[settings]

    def failed(reason: str) -> None:
        raise AssertionError(f"a patient client gave up: {reason}")

    made = makeClient(
        settings, reactor, os.urandom, failed, patient=True, kind=SharedClient
    )
    client = clients[settings] = cast(SharedClient, made)

    def parted() -> None:
        del clients[settings]

    client.parted = parted
    client.startService()
    return client


def _gone(failure: Failure) -> None:
    # It has no such tunnel, or is not there: both is what was wanted.
    failure.trap(Refusal)
