"""
Tally: what went through one UDP tunnel, and what was dropped on the way, by cause.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

QUEUE: Final = "queue"
"""Its carrier took no more, and it was the oldest of too many bytes that waited."""
LATE: Final = "late"
"""Its carrier took no more, and it had waited for too long."""
KERNEL: Final = "kernel"
"""The system had no room for it when it came."""
UNSENT: Final = "unsent"
"""The system did not take it when it was to leave."""
REFUSED: Final = "refused"
"""The other side said by ICMP that nobody is there."""
DENIED: Final = "denied"
"""It would have begun a flow that may not be."""
LIMIT: Final = "limit"
"""More came than the tunnel's limit allows."""
CORRUPT: Final = "corrupt"
"""It could not be unpacked."""

CAUSES: Final = (QUEUE, LATE, KERNEL, UNSENT, REFUSED, DENIED, LIMIT, CORRUPT)


class Tally:
    """
    Counts, as one side of a tunnel sees them.

    @ivar received: bytes that came from outside: from visitors, or from the service.
    @ivar sent: bytes that went there.
    @ivar came: datagrams that came from outside.
    @ivar went: datagrams that went there.
    """

    __slots__ = ("_drops", "came", "received", "sent", "went")

    def __init__(self) -> None:
        self.received = self.sent = 0
        self.came = self.went = 0
        self._drops = dict.fromkeys(CAUSES, 0)

    def drop(self, cause: str, count: int = 1) -> None:
        """
        Datagrams were dropped.
        """
        self._drops[cause] += count

    @property
    def drops(self) -> Mapping[str, int]:
        """
        How many were dropped, by cause.
        """
        return self._drops
