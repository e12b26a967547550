# -*- test-case-name: tests.wire.framings.http1.test_requests -*-
"""
Requests, cut out of what a client sends.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from tunnelkit.wire.framings.contract import Asked, Local, Part, Refusal, Request
from tunnelkit.wire.framings.http1.answers import CONTINUE, Malformed, answer
from tunnelkit.wire.framings.http1.bodies import Body, Chunked, Counted
from tunnelkit.wire.framings.http1.fields import TOKEN
from tunnelkit.wire.framings.http1.heads import RequestHead, requestHead
from tunnelkit.wire.framings.http1.limits import Limits
from tunnelkit.wire.framings.http1.lines import Lines, Source

_BEGINNING: Final = re.compile(TOKEN + rb"|\r")
_HANDSHAKE: Final = b"\x16"
"""With this byte TLS begins."""


class HTTPRequests:
    """
    The decoder of a client's connection.
    """

    def __init__(self, limits: Limits, host: bytes, sticky: bool) -> None:
        """
        @param host: the Host of requests of HTTP/1.0 that have none.
        @param sticky: whether the client has a connection to the target for itself.
        """
        self._limits = limits
        self._host = host
        self._sticky = sticky
        self._source = Source()
        self._lines = Lines(
            self._source,
            limits.head,
            limits.fields + 1,
            (431, f"more than {limits.head} bytes of head, or {limits.fields} fields"),
            (414, f"the target has more than {limits.target} bytes"),
        )
        self._step: Callable[[], Asked | None] = self._nextHead
        self._blank = False
        self._taken = 0
        self._over = False

    @property
    def partial(self) -> int:
        """
        How many bytes of a request have come that is not whole.
        """
        return self._taken

    def feed(self, data: bytes) -> None:
        """
        Take bytes; those behind a request with which the client leaves are nothing.
        """
        if not self._over:
            self._source.feed(data)
            self._taken += len(data)

    def ended(self) -> None:
        """
        Forget nothing: what is half there is told by L{partial}.
        """

    def next(self) -> Asked | None:
        """
        Give the next event.
        """
        try:
            return self._step()
        except Malformed as e:
            return Refusal(e.reason, answer(e.status, e.reason))

    def _nextHead(self) -> Asked | None:
        if self._over:
            return None
        if (lines := self._headLines()) is None:
            return None
        self._blank = False
        head = requestHead(lines, self._limits, self._host, self._sticky)
        self._begin(head)
        if head.waits and not self._body.done and not self._source:
            return Local(CONTINUE)
        return self._collect()

    def _headLines(self) -> list[bytes] | None:
        if not self._lines.begun and (first := self._source.first()):
            if first == _HANDSHAKE:
                raise Malformed(400, "this looks like TLS: here HTTP is spoken plain")
            if not _BEGINNING.fullmatch(first):
                raise Malformed(400, "a request begins with the name of a method")
        lines = self._lines.read()
        if lines == []:
            # RFC 9112 section 2.2: old clients end a body with an empty line.
            if self._blank:
                raise Malformed(400, "there are empty lines in place of a request")
            self._blank = True
            self._taken = len(self._source)
            return self._headLines()
        return lines

    def _begin(self, head: RequestHead) -> None:
        self._head = head
        self._pieces = [head.data]
        self._held = 0
        self._body: Body = Counted(head.extent.length or 0)
        if head.extent.chunked:
            self._body = Chunked(head.reading, self._limits)
        self._step = self._collect

    def _collect(self) -> Asked | None:
        data = self._body.take(self._source)
        self._pieces.append(data)
        self._held += len(data)
        if not self._body.done and self._held < self._limits.collect:
            return None
        return self._request()

    def _request(self) -> Request:
        head, pieces, done = self._head, self._pieces, self._body.done
        self._pieces = []
        if done:
            self._finish()
        else:
            self._step = self._stream
        return Request(
            data=b"".join(pieces),
            more=not done,
            repeatable=head.safe and not (head.extent.chunked or head.extent.length),
            label=head.asker,
        )

    def _stream(self) -> Part | None:
        data = self._body.take(self._source)
        if self._body.done:
            self._finish()
            return Part(data, last=True)
        return Part(data) if data else None

    def _finish(self) -> None:
        self._over = self._head.asker.leaves
        if self._over:
            self._source.take()
        self._taken = len(self._source)
        self._step = self._nextHead
