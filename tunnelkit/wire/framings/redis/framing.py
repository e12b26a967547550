# -*- test-case-name: tests.wire.framings.redis.test_framing -*-
"""
The framing of Redis.
"""

from __future__ import annotations

from typing import Final

from tunnelkit.wire.framings.contract import (
    Local,
    Replies,
    Request,
    Requests,
    Trouble,
)
from tunnelkit.wire.framings.given import only
from tunnelkit.wire.framings.redis.answering import OwnReplies, SharedReplies
from tunnelkit.wire.framings.redis.asking import RedisRequests
from tunnelkit.wire.framings.redis.commands import error
from tunnelkit.wire.framings.redis.own import Own
from tunnelkit.wire.framings.redis.shared import Shared

_TROUBLES: Final = {
    Trouble.DOWN: "the target cannot be reached",
    Trouble.BUSY: "too many wait for the target",
    Trouble.SLOW: "the command has not come whole in time",
    Trouble.LATE: "there was no reply in time",
    Trouble.BROKEN: "the target's connection ended before it replied",
    Trouble.STOPPING: "it is stopping",
}


class Redis:
    """
    The framing.
    """

    stateful = True
    ordered = True

    def requests(self, sticky: bool) -> Requests:
        """
        Make the decoder for a client's connection.
        """
        return RedisRequests(Own() if sticky else Shared())

    def replies(self, sticky: bool) -> Replies:
        """
        Make the decoder for a connection to the target.
        """
        return OwnReplies() if sticky else SharedReplies()

    def trouble(self, trouble: Trouble, request: Request | None) -> Local:
        """
        Say what it is, as an error, and close.
        """
        return Local(error(_TROUBLES[trouble]), close=True)


def makeRedis(arguments: list[str], options: dict[str, str]) -> Redis:
    """
    Make C{redis}.

    @raise ValueError: it is given anything.
    """
    only(arguments, 0, options, ())
    return Redis()
