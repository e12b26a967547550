"""
Contract: what a session needs of how streams and datagrams get to its client.

A pool of work connections is one way, with a fleet of datagram carriers; dialects have
their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from twisted.internet.defer import Deferred

from tunnelkit.interfaces import IStreamEnd
from tunnelkit.relay.flows.ends import VisitorFlow

Opening: TypeAlias = Callable[[int, str, str], bytes]
"""Gives what goes ahead of a stream's first bytes, from its number, the visitor's
address, and the address that he came to."""


class StreamCarrier(Protocol):
    """
    How visitors' streams get to a client.
    """

    @property
    def counts(self) -> tuple[int, int, int]:
        """
        How many connections for streams are idle, how many streams there are, and how
        many visitors wait for one.
        """

    def opening(self, tunnel: str, kind: str, port: int, compress: str) -> Opening:
        """
        Say what the streams of a tunnel begin with.

        @param port: the public one.
        @param compress: how its bytes are compressed, or empty.
        """

    def takeNow(self) -> IStreamEnd | None:
        """
        Get an end for a visitor, if one is there at once.
        """

    def take(self) -> Deferred[IStreamEnd]:
        """
        Get an end for a visitor, now or when one is there.

        @return: fails with L{NoWork<tunnelkit.carrier.pool.NoWork>} when none came in
            time.
        """

    def fill(self) -> None:
        """
        Be ready for visitors: a tunnel was opened.
        """

    def sweep(self) -> None:
        """
        Put things in order; called every few seconds.
        """

    def close(self) -> None:
        """
        The session is over: reset all streams and whoever waits for one.
        """


class DatagramFleet(Protocol):
    """
    How visitors' datagrams get to a client.
    """

    @property
    def strays(self) -> int:
        """
        How many datagrams came of flows that did not live where they came.
        """

    def enter(self, user: object) -> None:
        """
        Be ready for flows, of one more tunnel.
        """

    def leave(self, user: object) -> None:
        """
        A tunnel is over, and so are its flows.
        """

    def place(self, flow: VisitorFlow) -> bool:
        """
        Have a new flow live somewhere.

        @return: whether it may.
        """
