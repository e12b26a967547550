# -*- test-case-name: tests.test_client -*-
"""
Publisher: what a client publishes, whatever it speaks with its server.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from tunnelkit.interfaces import IRelay
from tunnelkit.tunnels.kinds import LOCAL
from tunnelkit.tunnels.local import LocalTCP
from tunnelkit.tunnels.localudp import LocalUDP
from tunnelkit.tunnels.spec import TunnelSpec
from tunnelkit.tunnels.wanted import Wanted

_LOOK: Final = 0.1
"""Seconds between two looks at whether all streams have ended."""


class Publisher(Service, ABC):
    """
    Tunnels that are asked for, and the local services behind them.

    @ivar tunnels: what is asked for, and what became of it.
    """

    def __init__(
        self,
        specs: tuple[TunnelSpec, ...],
        relay: IRelay,
        clock: IReactorTime,
        random: Callable[[], float],
        failed: Callable[[str], None],
        changed: Callable[[], None] = lambda: None,
        lease: bool = True,
        patient: bool = False,
    ) -> None:
        """
        @param random: gives numbers from 0 to below 1.
        @param failed: told, in one sentence, of a failure that no waiting can mend.
        @param changed: told when a tunnel was opened, refused or lost.
        @param lease: whether ports stay this user's afterwards.
        @param patient: whether all is tried again and again, even what no waiting can
            be expected to mend.
        """
        self._relay = relay
        self._clock = clock
        self._random = random
        self._failed = failed
        self._changed = changed
        self._locals: dict[str, LocalTCP | LocalUDP] = {
            spec.name: LOCAL[spec.kind](spec, relay, clock) for spec in specs
        }
        self.tunnels = tuple(
            Wanted(spec, clock, random, self._answered, lease, patient)
            for spec in specs
        )
        self._draining = False

    def startService(self) -> None:
        """
        Connect, and stay connected.
        """
        super().startService()
        self._draining = False
        self._begin()

    def stopService(self) -> Deferred[None] | None:
        """
        Reset what is under way, and leave.

        @return: fires when the server has been told, where there is one.
        """
        super().stopService()
        for local in self._locals.values():
            local.cut("the client is stopping")
        return self._leave()

    async def drain(self, grace: float) -> None:
        """
        Withdraw the tunnels, and give the streams under way time to end.

        @param grace: seconds at most.
        """
        self._draining = True
        self._withdraw()
        until = self._clock.seconds() + grace
        # Not before the first pause: a visitor may be on his way here.
        over = False
        while self.running and not over and self._clock.seconds() < until:
            pause: Deferred[None] = Deferred()
            self._clock.callLater(_LOOK, pause.callback, None)
            await pause
            over = not self.streams and self._retired()

    @property
    def streams(self) -> int:
        """
        How many visitors are with the local services, or on their way.
        """
        return sum(local.streams for local in self._locals.values())

    # What a client does in its own way.

    @abstractmethod
    def _begin(self) -> None:
        """
        Connect.
        """

    @abstractmethod
    def _withdraw(self) -> None:
        """
        Take no new visitors.
        """

    def _retired(self) -> bool:
        """
        Tell, once no visitor is left, whether the server has all that was said.
        """
        return True

    @abstractmethod
    def _leave(self) -> Deferred[None] | None:
        """
        Take leave of the server.

        @return: fires when that is done.
        """

    def _lost(self, tunnels: tuple[Wanted, ...]) -> None:
        """
        The connection of some tunnels is gone.
        """
        lost = any(tunnel.address for tunnel in tunnels)
        for tunnel in tunnels:
            tunnel.forget()
        if lost:
            self._changed()

    def _answered(self) -> None:
        self._changed()
        if all(tunnel.refused for tunnel in self.tunnels):
            reasons = dict.fromkeys(tunnel.refused for tunnel in self.tunnels)
            self._failed(f"the server refuses every tunnel: {'; '.join(reasons)}")
