# -*- test-case-name: tests.sharing.test_turns -*-
"""
Asking: one request on its way, from its client to the target and back; and those that
wait for their turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IDelayedCall

from tunnelkit.wire.framings.contract import Request

if TYPE_CHECKING:
    from tunnelkit.sharing.clients.client import ClientLine
    from tunnelkit.sharing.targets.line import TargetLine


class Asking:
    """
    @ivar begin: how many bytes were written before it on that connection.
    @ivar client: who asks.
    @ivar line: the connection to the target that has it; None while it waits, and when
        it is over.
    @ivar queued: when it began to wait, on the clock.
    @ivar sent: when the target got it.
    @ivar tries: how often it was sent.
    @ivar said: whether the client has a byte of the reply.
    @ivar done: whether the client has all of it, or is told that there is none.
    @ivar limit: ends its waiting.
    """

    __slots__ = (
        "begin",
        "client",
        "done",
        "limit",
        "line",
        "queued",
        "request",
        "said",
        "sent",
        "tries",
    )

    def __init__(self, client: ClientLine, request: Request, now: float) -> None:
        self.client = client
        self.request = request
        self.line: TargetLine | None = None
        self.queued = now
        self.sent = 0.0
        self.begin = self.tries = 0
        self.said = False
        self.done = False
        self.limit: IDelayedCall | None = None

    @property
    def first(self) -> bool:
        """
        Whether it was sent once at most, and all of it is here to be sent again.
        """
        return self.tries < 2 and not (self.said or self.request.more)

    def unlimited(self) -> None:
        """
        It waits no longer.
        """
        limit, self.limit = self.limit, None
        if limit is not None and limit.active():
            limit.cancel()


def parted(
    askings: Sequence[Asking], repeat: bool, untouched: bool, sent: int | None
) -> tuple[list[Asking], list[Asking], list[Asking]]:
    """
    Tell what is to become of requests whose connection ended.

    @param askings: those, the oldest first.
    @param repeat: whether any may be sent once more.
    @param untouched: whether the target has ended it before a byte of the reply to the
        oldest.
    @param sent: how many bytes of all that was written were sent at all; None where
        that is not known.
    @return: those whose client is gone, those that are sent again, and the others,
        whose client is told.
    """
    gone: list[Asking] = []
    again: list[Asking] = []
    told: list[Asking] = []
    for asking in askings:
        unanswered = untouched or asking is not askings[0]
        unsent = sent is not None and asking.begin >= sent
        harmless = unsent or (unanswered and asking.request.repeatable)
        if asking.client.gone:
            gone.append(asking)
        elif repeat and harmless and asking.first:
            again.append(asking)
        else:
            told.append(asking)
    return gone, again, told


class Waiting:
    """
    Requests that wait: those of a client in their order, clients in turn.

    @ivar count: how many requests there are.
    @ivar size: how many bytes those have.
    """

    def __init__(self) -> None:
        self.count = self.size = 0
        self._turns: deque[ClientLine] = deque()

    def __iter__(self) -> Iterator[ClientLine]:
        """
        Give the clients that wait, whose turn it is first.  Nothing may be changed
        while this is used.
        """
        return iter(self._turns)

    def add(self, asking: Asking) -> None:
        """
        Have a request wait.
        """
        client = asking.client
        if not client.waiting:
            self._turns.append(client)
        client.waiting.append(asking)
        self.count += 1
        self.size += len(asking.request.data)

    def addFirst(self, askings: Sequence[Asking]) -> None:
        """
        Have requests wait before all others, in this order.
        """
        for asking in reversed(askings):
            client = asking.client
            if client.waiting:
                self._turns.remove(client)
            self._turns.appendleft(client)
            client.waiting.appendleft(asking)
            self.count += 1
            self.size += len(asking.request.data)

    def take(self, client: ClientLine) -> Asking:
        """
        Give the first request of a client, which then waits behind all others.
        """
        asking = client.waiting[0]
        self.remove(asking)
        if client.waiting:
            self._turns.remove(client)
            self._turns.append(client)
        return asking

    def remove(self, asking: Asking) -> None:
        """
        Have a request wait no longer.
        """
        client = asking.client
        client.waiting.remove(asking)
        self.count -= 1
        self.size -= len(asking.request.data)
        if not client.waiting:
            self._turns.remove(client)
        asking.unlimited()
