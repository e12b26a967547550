# -*- test-case-name: tests.control.leases.test_spaces -*-
"""
Spaces: the leases of TCP's and of UDP's ports and of private tunnels' names, which have
nothing to do with each other but the store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from tunnelkit.control.leases.names import SPACE, NameLeases
from tunnelkit.control.leases.ports import Leases
from tunnelkit.state.lease import ILeaseStore, Lease
from tunnelkit.wire.ports import PortSet

PORTS: Final = ("tcp", "udp")
"""The spaces of ports, as the store calls them."""


class Spaces:
    """
    All leases.

    @ivar bySpace: those of each space.
    """

    def __init__(
        self,
        store: ILeaseStore,
        allowed: PortSet,
        *,
        clock: IReactorTime,
        now: Callable[[], float],
        choose: Callable[[int], int],
        picked: PortSet | None = None,
    ) -> None:
        """
        @param allowed: the ports that clients may have, in each space.
        @param picked: those of them that are picked from; None for the usual ones.
        @param clock: tells when a failed write is tried again.
        @param now: gives the time, in seconds since 1970.
        @param choose: gives a random number below its argument.
        """
        shared = SharedStore(store, len(PORTS) + 1)
        self.bySpace: dict[str, Leases] = {
            space: Leases(
                shared,
                allowed,
                clock=clock,
                now=now,
                choose=choose,
                space=space,
                picked=picked,
            )
            for space in PORTS
        }
        self.bySpace[SPACE] = NameLeases(
            shared, allowed, clock=clock, now=now, choose=choose
        )

    @property
    def trouble(self) -> str | None:
        """
        Why leases are not being written, in a sentence, or None.
        """
        troubles = (leases.trouble for leases in self.bySpace.values())
        return next(filter(None, troubles), None)

    def load(self) -> None:
        """
        Read the store; called once, before anything else.

        @raise OSError: it cannot be read.
        """
        for leases in self.bySpace.values():
            leases.load()

    def touch(self) -> None:
        """
        Note that live leases are still used, and drop those that have expired.
        """
        for leases in self.bySpace.values():
            leases.touch()

    def close(self) -> Deferred[Any]:
        """
        Write what is not written yet and let go of the store.
        """
        return DeferredList([leases.close() for leases in self.bySpace.values()])


@implementer(ILeaseStore)
class SharedStore:
    """
    One store for several spaces: read once, and let go of by the last.
    """

    def __init__(self, store: ILeaseStore, users: int) -> None:
        self._store = store
        self._users = users
        self._stored: list[Lease] | None = None

    def load(self) -> list[Lease]:
        """
        Give all leases.
        """
        if self._stored is None:
            self._stored = self._store.load()
        return [*self._stored]

    def write(
        self, kept: Iterable[Lease], dropped: Iterable[tuple[str, int]]
    ) -> Deferred[None]:
        """
        Keep and drop leases.
        """
        return self._store.write(kept, dropped)

    def close(self) -> Deferred[None]:
        """
        Let go of the store, where nobody else uses it.
        """
        self._users -= 1
        return succeed(None) if self._users else self._store.close()
