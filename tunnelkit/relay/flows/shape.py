# -*- test-case-name: tests.relay.flows.test_shape -*-
"""
Shape: what datagrams of a tunnel go through that has a limit, or is compressed.

Each datagram is packed by itself, as any of them may be lost, and only where that makes
it smaller: a byte before it says so.  What is over the limit is dropped; to hold it
back would only make it late.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tunnelkit.relay.bucket import Bucket
from tunnelkit.relay.flows.tally import CORRUPT, LIMIT, Tally
from tunnelkit.wire.native.datagrams import LARGEST
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.packing import PACKERS, UNPACKERS

if TYPE_CHECKING:
    from tunnelkit.relay.flows.flow import Flow

_PLAIN: Final = b"\0"
_PACKED: Final = b"\1"
_LEAST: Final = 32
"""Datagrams that are smaller are not packed: it would make them larger."""


class Shape:
    """
    One side of one tunnel.

    @ivar written: bytes that went into the tunnel.
    @ivar read: bytes that came from it.
    """

    def __init__(
        self,
        tally: Tally,
        compress: str = "",
        inward: Bucket | None = None,
        outward: Bucket | None = None,
    ) -> None:
        """
        @param tally: counts what is dropped here.
        @param compress: how datagrams are packed, or empty.
        @param inward: how fast bytes may come from the tunnel.
        @param outward: how fast they may go there.
        """
        self.written = self.read = 0
        self._tally = tally
        self._compress = compress
        self._inward = inward
        self._outward = outward

    def into(self, datagram: bytes, flow: Flow | None = None) -> bytes | None:
        """
        Give what crosses the tunnel for a datagram, or None where it is dropped.

        @param flow: whose it is, for whom that matters.
        """
        if not self._passes(self._outward, len(datagram)):
            return None
        crossing = self._pack(datagram) if self._compress else datagram
        self.written += len(crossing)
        return crossing

    def out(self, crossing: bytes, flow: Flow | None = None) -> bytes | None:
        """
        Give the datagram that crossed, or None where it is dropped.

        @param flow: whose it is, for whom that matters.
        """
        self.read += len(crossing)
        try:
            datagram = self._unpack(crossing) if self._compress else crossing
        except WireError:
            self._tally.drop(CORRUPT)
            return None
        return datagram if self._passes(self._inward, len(datagram)) else None

    def left(self, flow: Flow) -> None:
        """
        A flow is over.
        """

    def _passes(self, bucket: Bucket | None, size: int) -> bool:
        if bucket is None or bucket.takeAll(size):
            return True
        self._tally.drop(LIMIT)
        return False

    def _pack(self, datagram: bytes) -> bytes:
        if len(datagram) >= _LEAST:
            packer = PACKERS[self._compress]()
            packed = packer.pack(datagram) + packer.end()
            if len(packed) < len(datagram):
                return _PACKED + packed
        return _PLAIN + datagram

    def _unpack(self, crossing: bytes) -> bytes:
        """
        @raise WireError: it was not packed so.
        """
        how, rest = crossing[:1], crossing[1:]
        if how == _PLAIN:
            return rest
        if how != _PACKED:
            raise WireError("a datagram of neither kind")
        unpacker = UNPACKERS[self._compress]()
        unpacker.feed(rest)
        datagram = unpacker.read(LARGEST)
        while piece := unpacker.read(LARGEST):
            datagram += piece
            if len(datagram) > LARGEST:
                raise WireError("a datagram that is too large")
        if not unpacker.complete:
            raise WireError("a datagram that was cut")
        return datagram
