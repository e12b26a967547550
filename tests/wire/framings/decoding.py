"""
Framings fed with bytes that are cut anywhere, for their tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tunnelkit.wire.framings.contract import (
    Answered,
    Asked,
    Part,
    Refusal,
    Replies,
    Reply,
    Request,
    Requests,
)


def asked(decoder: Requests, *pieces: bytes) -> list[Asked]:
    """
    Give what these pieces come to, up to a refusal.
    """
    found: list[Asked] = []
    for piece in pieces:
        decoder.feed(piece)
        while (event := decoder.next()) is not None:
            found.append(event)
            if isinstance(event, Refusal):
                return found
    return found


def answered(decoder: Replies, *pieces: bytes, end: bool = False) -> list[Answered]:
    """
    Give what these pieces come to.

    @param end: whether the target's connection ends behind them.
    """
    found: list[Answered] = []
    for piece in pieces:
        decoder.feed(piece)
        found.extend(iter(decoder.next, None))
    if end:
        decoder.ended()
        found.extend(iter(decoder.next, None))
    return found


def joinedReplies(events: Sequence[Answered]) -> list[Answered]:
    """
    Join the parts of each reply, so that events can be compared however they were cut.
    """
    found: list[Answered] = []
    data = b""
    for event in events:
        if isinstance(event, Reply):
            data += event.data
            if event.last:
                reply = Reply(data=data, close=event.close, spent=event.spent)
                found.append(reply)
                data = b""
        else:
            found.append(event)
    return [*found, *([Reply(data=data, last=False)] if data else [])]


def joinedRequests(events: Sequence[Asked]) -> list[Asked]:
    """
    Join the parts of each request, likewise.
    """
    found: list[Asked] = []
    streaming: Request | None = None
    data = b""
    for event in events:
        if isinstance(event, Request) and event.more:
            streaming, data = event, event.data
        elif isinstance(event, Part) and streaming is not None:
            data += event.data
            if event.last:
                whole = Request(data=data, label=streaming.label)
                found.append(whole)
                streaming = None
        else:
            found.append(event)
    return found


def splits(stream: bytes) -> Iterator[tuple[bytes, ...]]:
    """
    Give a stream cut in two at each place, and into single bytes.
    """
    for cut in range(len(stream) + 1):
        yield stream[:cut], stream[cut:]
    yield tuple(stream[at : at + 1] for at in range(len(stream)))
