"""
Flow: what one visitor's address at a UDP tunnel has to say, on one side of it.

A flow lives on a carrier, always: where there is none for it, on one that only waits.
What comes from outside is framed and put there; what comes from there is taken, and
goes outside.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import TYPE_CHECKING, Final, Protocol

from tunnelkit.relay.flows.tally import Tally
from tunnelkit.wire.native.datagrams import Run
from tunnelkit.wire.native.messages import FlowEnd

if TYPE_CHECKING:
    from tunnelkit.relay.flows.table import FlowTable


class Berth(Protocol):
    """
    A carrier, as its flows see it.
    """

    def put(self, frame: bytes) -> None:
        """
        Send a frame, or drop it.
        """

    def tell(self, message: FlowEnd) -> None:
        """
        Say something about a flow.
        """

    def forget(self, flow: Flow) -> None:
        """
        A flow is over, or lives elsewhere.
        """


class _Nowhere:
    """
    Where a flow lives before it has a place.
    """

    def put(self, frame: bytes) -> None:
        """
        Do nothing.
        """

    def tell(self, message: FlowEnd) -> None:
        """
        Do nothing.
        """

    def forget(self, flow: Flow) -> None:
        """
        Do nothing.
        """


NOWHERE: Final[Berth] = _Nowhere()


class Flow(ABC):
    """
    One flow.

    @ivar id: its number, the same on both sides.
    @ivar key: what it is found by in its table.
    @ivar carrier: where it lives.
    @ivar opening: what must go ahead of its next frame: its announcement, or nothing.
    @ivar seen: when it was last used, by its table's time.
    @ivar table: the table that it is in, or is to be.
    @ivar tally: what counts what crosses, for the whole tunnel.
    """

    __slots__ = ("carrier", "id", "key", "opening", "seen", "table", "tally")

    carrier: Berth
    opening: bytes
    seen: float
    tally: Tally

    def __init__(self, id: int, key: Hashable, table: FlowTable) -> None:
        self.id = id
        self.key = key
        self.table = table
        self.tally = table.tally
        self.carrier = NOWHERE
        self.opening = b""

    def take(self, run: Run) -> None:
        """
        Take datagrams from the carrier, and pass them on to the outside.
        """
        shape = self.table.shape
        if shape is None:
            self.deliver(run)
            return
        for each in run:
            datagram = shape.out(bytes(each), self)
            if datagram is not None:
                self.deliver([memoryview(datagram)])

    @abstractmethod
    def deliver(self, run: Run) -> None:
        """
        Pass datagrams of one size on to the outside; none of this raises anything.
        """

    def ship(self, frame: bytes) -> None:
        """
        Put a frame on the carrier, behind what must go ahead of it.

        @param frame: empty where only that is to be said.
        """
        if self.opening:
            frame, self.opening = self.opening + frame, b""
        if frame:
            self.carrier.put(frame)

    def close(self, reason: str) -> None:
        """
        The flow is over.

        @param reason: why, to tell the other side; empty where that knows.
        """
        # What was never announced need not be ended.
        if reason and not self.opening:
            self.carrier.tell(FlowEnd(self.id, reason))
        self.carrier.forget(self)
