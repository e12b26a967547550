# -*- test-case-name: tests.sharing.test_turns -*-
"""
Due: what a client is to be told, in the order in which it asked.
"""

from __future__ import annotations

from collections import deque

from tunnelkit.sharing.asking import Asking
from tunnelkit.wire.framings.contract import Local


class Due:
    """
    Requests that are not answered, and what needs no target, each in its place.
    """

    def __init__(self) -> None:
        self._queue: deque[Asking | Local] = deque()

    def __len__(self) -> int:
        """
        Tell how much is due.
        """
        return len(self._queue)

    @property
    def first(self) -> Asking | None:
        """
        The request that is to be answered next, if it is one.
        """
        first = self._queue[0] if self._queue else None
        return first if isinstance(first, Asking) else None

    def add(self, due: Asking | Local) -> None:
        """
        Add what is due behind all else.
        """
        self._queue.append(due)

    def next(self) -> Local | None:
        """
        Give what can be said now, and forget requests that are answered.
        """
        queue = self._queue
        while queue:
            first = queue[0]
            if isinstance(first, Local):
                queue.popleft()
                return first
            if not first.done:
                return None
            queue.popleft()
        return None

    def replace(self, asking: Asking, told: Local) -> list[Asking]:
        """
        Put words in the place of a reply.

        @return: the requests that are behind it and cannot be answered any more.
        """
        queue, place = self._queue, self._queue.index(asking)
        behind = [*queue][place + 1 :] if told.close else []
        for _ in behind:
            queue.pop()
        queue[place] = told
        return _unanswered(behind)

    def clear(self) -> list[Asking]:
        """
        Forget all.

        @return: the requests that were not answered.
        """
        left = _unanswered([*self._queue])
        self._queue.clear()
        return left


def _unanswered(due: list[Asking | Local]) -> list[Asking]:
    return [each for each in due if isinstance(each, Asking) and not each.done]
