"""
Bounds: how much of everything there may be, and how long things may take.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """
    Times are in seconds.

    @ivar connections: connections to the target at a time.
    @ivar sticky: whether a client has one of those for itself as long as it stays.
    @ivar pipeline: requests under way on one of them.
    @ivar timeout: how long a request waits for its turn.
    @ivar replyTimeout: how long the target may be silent once it has a request.
    @ivar clients: clients at a time; further ones are closed.
    @ivar queue: requests that wait, in all; further ones are refused.
    @ivar size: bytes of requests that wait or are not whole yet, in all; who asks more
        is refused.
    @ivar each: requests of one client that are not answered; it is not read then.
    @ivar dialling: how long connecting to the target may take.
    @ivar whole: how long a request may take until all of it, or enough to begin with,
        is there.
    @ivar pause: how long a client may say nothing in the middle of a request that
        streams, as nobody else is served meanwhile.
    @ivar stalled: how long a client may read nothing while the target waits for that.
    @ivar waste: how long the rest of a reply is read whose client has gone, if nobody
        else waits for one on that connection.
    @ivar full: the same where nobody waits.
    @ivar closing: after so long a close becomes a reset.
    @ivar linger: how long a client that has all has until we close for it.
    @ivar caution: how long after a target's first reply it is watched whether it keeps
        its connection, before it gets what must not be sent twice.
    @ivar rest: how long a target that used to close after each reply has to stay so
        that its connection is used once more.
    """

    connections: int = 1
    sticky: bool = False
    pipeline: int = 1
    timeout: float = 30.0
    replyTimeout: float = 30.0
    clients: int = 1000
    queue: int = 1000
    size: int = 64 * 1024 * 1024
    each: int = 16
    dialling: float = 10.0
    whole: float = 60.0
    pause: float = 10.0
    stalled: float = 10.0
    waste: float = 10.0
    full: float = 60.0
    closing: float = 10.0
    linger: float = 2.0
    caution: float = 0.2
    rest: float = 5.0
