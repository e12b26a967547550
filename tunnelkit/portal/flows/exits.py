# -*- test-case-name: tests.portal.flows.test_exits -*-
"""
Exits: where flows leave the far portal, each by a socket of its own to the service, so
that the service sees who is who.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, TypeAlias

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IReactorTime

from tunnelkit.portal.addresses.places import Place
from tunnelkit.portal.addresses.sockets import Address, ListenUDP, Socket
from tunnelkit.portal.flows.table import MOST, Flows
from tunnelkit.relay.asked import Source

OF_ONE: Final = 4096
"""Flows of one near portal; further ones get nothing."""

Reply: TypeAlias = Callable[[int, bytes], object]
"""Sends a datagram of a flow to the near portal it belongs to."""

_Key: TypeAlias = tuple[Hashable, int]


@dataclass(slots=True)
class _Exit:
    """
    @ivar answered: whether the service has ever sent something.
    """

    socket: Socket
    answered: bool = False


class Exits:
    """
    The flows of a far portal.
    """

    def __init__(
        self,
        clock: IReactorTime,
        listen: ListenUDP,
        service: Place,
        counts: Counter[str],
        most: int = MOST,
        ofOne: int = OF_ONE,
    ) -> None:
        """
        @param service: where the service is.
        """
        self._listen = listen
        self._service = service
        self._counts = counts
        self._ofOne = ofOne
        self._flows: Flows[_Key, _Exit] = Flows(clock, self._ended, most)
        self._each: Counter[Hashable] = Counter()

    def __len__(self) -> int:
        return len(self._flows)

    @property
    def peers(self) -> int:
        """
        How many near portals have flows.
        """
        return len(self._each)

    def leave(self, peer: Hashable, flow: int, datagram: bytes, reply: Reply) -> None:
        """
        Have a datagram leave towards the service.

        @param peer: the near portal.
        """
        found = self._flows.use((peer, flow)) or self._begin(peer, flow, reply)
        if found is not None and not found.socket.write(datagram):
            self._counts["not sent"] += 1

    def forget(self, peer: Hashable) -> None:
        """
        End all flows of a near portal.
        """
        for key in self._flows.inOrder():
            if key[0] == peer:
                self._flows.end(key)

    def clear(self) -> None:
        """
        End all.
        """
        self._flows.clear()

    def _begin(self, peer: Hashable, flow: int, reply: Reply) -> _Exit | None:
        if self._each[peer] >= self._ofOne:
            self._counts["flows beyond the bound"] += 1
            return None
        service = self._service.first()
        if service is None:
            self._counts["service not found"] += 1
            return None
        key = peer, flow

        def answer(datagram: bytes, source: Address, asked: Source) -> None:
            if self._flows.use(key) is made:
                made.answered = True
                reply(flow, datagram)

        made = _Exit(Socket(answer))
        made.socket.refused = lambda: self._refused(key, service)
        if not self._opened(made.socket, service):
            return None
        self._flows.add(key, made)
        self._each[peer] += 1
        return made

    def _opened(self, socket: Socket, service: Address) -> bool:
        try:
            socket.open(self._listen, "::" if ":" in service[0] else "0.0.0.0")
        except CannotListenError:
            self._counts["no socket left"] += 1
            return False
        # From a connected socket comes what the service says, and nobody else.
        if not socket.connect(service):
            socket.close()
            self._counts["no way to the service"] += 1
            return False
        return True

    def _refused(self, key: _Key, service: Address) -> None:
        self._counts["refused by the service"] += 1
        # As with localhost, of which services may serve one of two addresses.
        if len(self._service.addresses) > 1:
            if self._service.addresses[0] == service:
                self._service.turn()
            self._flows.end(key)

    def _ended(self, key: _Key, exit: _Exit, used: float) -> None:
        self._each[key[0]] -= 1
        if not self._each[key[0]]:
            del self._each[key[0]]
        if not exit.answered:
            self._counts["flows without an answer"] += 1
        exit.socket.close()
