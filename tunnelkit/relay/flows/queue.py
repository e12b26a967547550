# -*- test-case-name: tests.relay.flows.test_queue -*-
"""
Frame queue: what waits while a carrier takes no more.

Datagrams that are late are worth less than those that come, so the oldest leave first:
when more wait than may, and when they have waited for too long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

MOST: Final = 256 * 1024
"""How much may wait for one carrier, in bytes."""
AGE: Final = 0.25
"""How long anything may wait, in seconds."""

Entry: TypeAlias = tuple[float, bytes]
"""Since when a frame waits, and the frame."""


class FrameQueue:
    """
    Whole frames, in their order, and since when each of them waits.

    @ivar size: how much waits, in bytes.
    """

    __slots__ = ("_age", "_dropped", "_frames", "_most", "size")

    def __init__(
        self,
        dropped: Callable[[bytes, bool], None],
        most: int = MOST,
        age: float = AGE,
    ) -> None:
        """
        @param dropped: told of each frame that leaves without having been sent, and
            whether that was for its age.
        """
        self.size = 0
        self._dropped = dropped
        self._most = most
        self._age = age
        self._frames: deque[Entry] = deque()

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, frames: Iterable[bytes], now: float) -> None:
        """
        Have frames wait, behind those that do.
        """
        for frame in frames:
            self._frames.append((now, frame))
            self.size += len(frame)
        self._bound(now)

    def putBack(self, entries: list[Entry]) -> None:
        """
        Have frames wait that were taken, before those that do.
        """
        self._frames.extendleft(reversed(entries))
        self.size += sum(len(frame) for _, frame in entries)

    def take(self, most: int, now: float) -> list[Entry]:
        """
        Give the frames that waited longest and are not late, about C{most} bytes:
        no more are begun when that much is reached.
        """
        self._bound(now)
        taken: list[Entry] = []
        while self._frames and most > 0:
            entry = self._frames.popleft()
            taken.append(entry)
            most -= len(entry[1])
            self.size -= len(entry[1])
        return taken

    def _bound(self, now: float) -> None:
        """
        Drop what is too much, or too old.
        """
        frames, oldest = self._frames, now - self._age
        while frames and (self.size > self._most or frames[0][0] < oldest):
            since, frame = frames.popleft()
            self.size -= len(frame)
            self._dropped(frame, since < oldest)
