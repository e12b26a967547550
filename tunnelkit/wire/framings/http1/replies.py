# -*- test-case-name: tests.wire.framings.http1.test_replies -*-
"""
Replies, cut out of what the target sends, each for who asked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from tunnelkit.wire.framings.contract import Reply, Request
from tunnelkit.wire.framings.http1.answers import Malformed
from tunnelkit.wire.framings.http1.bodies import Body, Chunked, Counted, Endless
from tunnelkit.wire.framings.http1.heads import Asker, ReplyHead, replyHead, toldTo
from tunnelkit.wire.framings.http1.limits import Limits
from tunnelkit.wire.framings.http1.lines import Lines, Source
from tunnelkit.wire.native.frames import WireError


class HTTPReplies:
    """
    The decoder of a connection to the target.
    """

    def __init__(self, limits: Limits, sticky: bool) -> None:
        """
        @param limits: what the target can make us hold.
        @param sticky: whether it is one client's own; both end together then.
        """
        self._limits = limits
        self._sticky = sticky
        self._source = Source()
        excess = (431, "its head is too long, or has too many header fields")
        self._lines = Lines(self._source, limits.head, limits.fields + 1, excess)
        self._due: deque[Asker] = deque()
        self._begun = False
        self._interims = 0
        self._ended = False
        self._step: Callable[[], Reply | None] = self._nextHead

    @property
    def begun(self) -> bool:
        """
        Whether a byte of the reply that is due has come.
        """
        return self._begun

    def send(self, request: Request) -> bytes:
        """
        Expect a reply to it.
        """
        self._due.append(request.label)
        return request.data

    def feed(self, data: bytes) -> None:
        """
        Take bytes.
        """
        self._source.feed(data)
        self._begun = self._begun or bool(data)

    def ended(self) -> None:
        """
        The target says nothing more, which may end a reply.
        """
        self._ended = True

    def next(self) -> Reply | None:
        """
        Give the next part of the reply that is due.

        @raise WireError: these bytes are not of the reply that is due.
        """
        try:
            return self._step()
        except Malformed as e:
            raise WireError(f"its reply is no good: {e.reason}") from e

    def _nextHead(self) -> Reply | None:
        if not self._due:
            if self._source:
                count = len(self._source)
                raise WireError(f"it sent {count} bytes that nobody asked for")
            return None
        if (lines := self._lines.read()) is None:
            return None
        head = replyHead(lines)
        return self._interim(head) if head.status < 200 else self._final(head)

    def _interim(self, head: ReplyHead) -> Reply | None:
        self._interims += 1
        if self._interims > self._limits.interims:
            raise Malformed(400, f"{self._interims} interim replies come before it")
        asker = self._due[0]
        if asker.old:
            return self._nextHead()
        return Reply(data=toldTo(asker, head, False), last=False)

    def _final(self, head: ReplyHead) -> Reply | None:
        asker = self._due[0]
        self._body = self._bodyOf(asker, head)
        endless = isinstance(self._body, Endless)
        dechunked = isinstance(self._body, Chunked) and asker.old
        self._spent = head.leaves or endless
        ends = endless or dechunked or (self._sticky and self._spent)
        self._leaves = asker.leaves or ends
        self._pieces = [toldTo(asker, head, self._leaves)]
        # Parts of what is short are kept until all of it is here.
        self._whole = isinstance(self._body, Counted) and (
            (head.extent.length or 0) <= self._limits.whole
        )
        self._step = self._rest
        return self._rest()

    def _bodyOf(self, asker: Asker, head: ReplyHead) -> Body:
        # RFC 9112 section 6.3.
        if asker.head or head.status in (204, 304):
            return Counted(0)
        if head.extent.chunked:
            return Chunked(head.reading, self._limits, plain=asker.old)
        if head.extent.length is not None:
            return Counted(head.extent.length)
        return Endless()

    def _rest(self) -> Reply | None:
        if data := self._body.take(self._source):
            self._pieces.append(data)
        ended = self._ended and isinstance(self._body, Endless)
        if self._body.done or ended:
            return self._last(self._taken())
        if self._whole:
            return Reply(data=b"", last=False) if data else None
        return Reply(data=self._taken(), last=False) if self._pieces else None

    def _taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _last(self, data: bytes) -> Reply:
        self._due.popleft()
        self._begun = bool(self._source)
        self._interims = 0
        self._step = self._silence if self._spent else self._nextHead
        return Reply(data=data, last=True, close=self._leaves, spent=self._spent)

    def _silence(self) -> None:
        return None
