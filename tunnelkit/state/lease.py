"""
Lease: who owns a public port, as a value, and what keeps it while no server runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from zope.interface import Interface


@dataclass(frozen=True, slots=True)
class Lease:
    """
    Who owns a public port: a value, as the store keeps it.

    @ivar space: which ports are meant: C{tcp}, later also C{udp}.
    @ivar used: when its session was last known to live, seconds since 1970.
    """

    space: str
    port: int
    user: str
    client: str
    tunnel: str
    used: float


class ILeaseStore(Interface):
    """
    Where leases outlive the server.
    """

    def load() -> list[Lease]:
        """
        Give all leases; called once, at start.

        @raise OSError: the store cannot be read; the text names it.
        """

    def write(
        kept: Iterable[Lease], dropped: Iterable[tuple[str, int]]
    ) -> Deferred[None]:
        """
        Keep and drop leases, without blocking the caller.

        @param dropped: space and port of each.
        @return: fires when that is on disk.
        """

    def close() -> Deferred[None]:
        """
        Finish what is being written and let go of the store.
        """
