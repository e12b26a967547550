# -*- test-case-name: tests.wire.framings.redis.test_framing -*-
"""
C{redis}: many clients, who know nothing of each other, on one connection.
"""

from __future__ import annotations

from typing import Final

from tunnelkit.wire.framings.contract import Local, Request, Trouble
from tunnelkit.wire.framings.given import number, only
from tunnelkit.wire.framings.redis.answering import RedisReplies
from tunnelkit.wire.framings.redis.asking import LONGEST, RedisRequests, failure

MOST: Final = 512 * 1024 * 1024
"""What C{longest} may be at most: what redis has for one string."""

WORDS: Final = {
    Trouble.DOWN: "redis cannot be reached",
    Trouble.BUSY: "too many wait for redis",
    Trouble.LATE: "redis took too long; it may have done what it was asked",
    Trouble.BROKEN: "redis has ended; it may have done what it was asked",
    Trouble.STOPPING: "this is stopping",
}
"""What a client is told."""


class Redis:
    """
    C{redis[:longest=N]}.
    """

    stateful = True
    ordered = True

    def __init__(self, longest: int = LONGEST) -> None:
        """
        @param longest: bytes that a command may have.
        """
        self.longest = longest

    def requests(self, sticky: bool) -> RedisRequests:
        """
        Make the decoder for a client's connection.
        """
        return RedisRequests(sticky, self.longest)

    def replies(self, sticky: bool) -> RedisReplies:
        """
        Make the decoder for a connection to redis.
        """
        return RedisReplies(sticky)

    def trouble(self, trouble: Trouble, request: Request | None) -> Local:
        """
        Answer by an error.  Who has lost a connection of his own is closed: what redis
        knew of him is gone with it.
        """
        own = request is None or request.label is True
        close = own or trouble is Trouble.STOPPING
        return Local(failure(WORDS[trouble]), close=close)


def makeRedis(arguments: list[str], options: dict[str, str]) -> Redis:
    """
    Make C{redis[:longest=N]}.

    @raise ValueError: that cannot be.
    """
    only(arguments, 0, options, ("longest",))
    return Redis(number("longest", options.get("longest"), LONGEST, 1, MOST))
