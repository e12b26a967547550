# -*- test-case-name: tests.admin.client.test_clients -*-
"""
Passing: a request to a room that is passed on to a server elsewhere, with its answer.

Nothing is gathered: each direction is read as fast as the other side takes it.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IPushProducer,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import BAD_GATEWAY, GATEWAY_TIMEOUT
from zope.interface import implementer

from tunnelkit.admin.client.upstream import Headers, Upstream
from tunnelkit.admin.room import Answer, refusal

IDLE: Final = 60.0
"""Seconds for which nothing may move."""
_REST: Final = 2.0
"""Seconds for the rest of a body that nobody wants any more: who is cut off in the
midst of sending may not see the answer."""

_HOP_BY_HOP: Final = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer"),
        *(b"proxy-authenticate", b"proxy-authorization", b"transfer-encoding"),
        b"upgrade",
    }
)
_NOT_ASKED: Final = frozenset(
    {b"authorization", b"cookie", b"host", b"expect", b"content-length", b"referer"}
)
"""What is not passed on of a request: the admin token, first of all.  The address of
this room has the client's id in it, so no referrer is, either."""
_NOT_ANSWERED: Final = frozenset(
    {
        *(b"set-cookie", b"clear-site-data", b"alt-svc", b"strict-transport-security"),
        *(b"service-worker-allowed", b"access-control-allow-origin"),
        b"access-control-allow-credentials",
        *(b"content-security-policy-report-only", b"nel"),
        *(b"report-to", b"reporting-endpoints"),
    }
)
"""What is not passed on of an answer: it would be about these rooms, or have a browser
report their addresses, which have the client's id in them."""
_ALWAYS: Final = (
    # What is shown here comes from this site, for a browser that knows the admin token:
    # it must not act in its name.
    (b"content-security-policy", b"sandbox"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
    (b"connection", b"close"),
)


def _without(headers: Headers) -> frozenset[bytes]:
    # Where it came in chunks its length is what it was read to be, whatever is said.
    chunked = any(name.lower() == b"transfer-encoding" for name, _ in headers)
    return _NOT_ANSWERED | {b"content-length"} if chunked else _NOT_ANSWERED


def kept(headers: Headers, without: frozenset[bytes]) -> Headers:
    """
    Leave out what is not for the next one: also what C{Connection} names.
    """
    named = {
        each.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for each in value.split(b",")
    }
    leave = _HOP_BY_HOP | without | named
    return [(name, value) for name, value in headers if name.lower() not in leave]


def asked(headers: Headers, host: bytes, length: int | None) -> Headers:
    """
    Give the headers to ask with.

    @param length: of the body; None where that is not known.
    """
    found = [(b"Host", host), *kept(headers, _NOT_ASKED), (b"Connection", b"close")]
    if length is None:
        found.append((b"Transfer-Encoding", b"chunked"))
    elif length or any(name.lower() == b"content-length" for name, _ in headers):
        found.append((b"Content-Length", b"%d" % length))
    return found


@implementer(IPushProducer)
class Passing:
    """
    One request on its way.
    """

    _log = Logger()

    def __init__(self, request: Any, clock: IReactorTime) -> None:
        self._request = request
        self._clock = clock
        self._upstream: Upstream | None = None
        self._connecting: Deferred[Any] | None = None
        self._waiting: list[bytes] = []
        self._connected = False
        self._begun = self._asked = self._answered = self._gone = False
        self._watch: IDelayedCall | None = clock.callLater(IDLE, self._idle)
        request.notifyFinish().addBoth(self._left)
        request.take(self)

    def begin(self, endpoint: IStreamClientEndpoint, upstream: Upstream) -> None:
        """
        Connect, and pass it on.
        """
        self._upstream = upstream
        self._request.registerProducer(self, True)
        connecting = endpoint.connect(Factory.forProtocol(lambda: upstream))
        self._connecting = connecting
        connecting.addCallbacks(self._reached, self._unreached)
        connecting.addErrback(
            lambda failure: self._log.failure("a bug at passing a request on", failure)
        )
        if not self._connected and not self._answered:
            self.hold()

    def refuse(self, answer: Answer) -> None:
        """
        Answer in place of a server.
        """
        if self._begun or self._gone:
            return
        self._begun = True
        request = self._request
        request.setResponseCode(answer.code)
        request.setHeader(b"content-type", answer.kind)
        request.setHeader(b"content-length", b"%d" % len(answer.body))
        for name, value in _ALWAYS:
            request.responseHeaders.setRawHeaders(name, [value])
        request.write(answer.body)
        self.whole()

    # What the request says.

    def came(self, data: bytes) -> None:
        """
        Some of its body came.
        """
        self._stir()
        if self._answered:
            return
        if self._connected and self._upstream is not None:
            self._upstream.send(data)
        else:
            self._waiting.append(data)

    def ended(self) -> None:
        """
        Its body is whole.
        """
        self._asked = True
        if self._answered:
            self._finish()
        elif self._connected and self._upstream is not None:
            self._upstream.end()

    def pauseProducing(self) -> None:
        """
        Who has asked takes no more.
        """
        if self._connected and self._upstream is not None:
            self._upstream.pause()

    def resumeProducing(self) -> None:
        """
        It takes more.
        """
        self._stir()
        if self._connected and self._upstream is not None:
            self._upstream.resume()

    def stopProducing(self) -> None:
        """
        It is gone, which is told otherwise.
        """

    # What the server says.

    def head(self, status: int, headers: Headers) -> None:
        """
        The answer begins.
        """
        self._stir()
        if self._gone:
            return
        self._begun = True
        request = self._request
        request.defaultContentType = None
        request.setResponseCode(status)
        given = request.responseHeaders
        for name in (b"server", b"date"):  # they are those of who answers
            given.removeHeader(name)
        for name, value in kept(headers, _without(headers)):
            given.addRawHeader(name, value)
        for name, value in _ALWAYS:
            # In place of what was said there: of two, a browser may heed the other.
            given.setRawHeaders(name, [value])
        request.write(b"")

    def piece(self, data: bytes) -> None:
        """
        It goes on.
        """
        self._stir()
        if not self._gone:
            self._request.write(data)

    def whole(self) -> None:
        """
        It is whole.
        """
        self._answered = True
        self._waiting.clear()
        if self._gone:
            return
        if self._asked:
            self._finish()
        else:
            self._request.goOn()
            self._cancel()
            self._watch = self._clock.callLater(_REST, self._finish)

    def failed(self, reason: str) -> None:
        """
        It will not be whole.
        """
        if self._begun:
            self._cut()
        else:
            self.refuse(refusal(BAD_GATEWAY, f"no answer from there: {reason}"))

    def hold(self) -> None:
        """
        Take no more of the request's body.
        """
        if not self._gone:
            self._request.hold()

    def goOn(self) -> None:
        """
        Take more.
        """
        self._stir()
        if not self._gone:
            self._request.goOn()

    def _reached(self, upstream: Upstream) -> None:
        self._connecting = None
        if self._gone:
            upstream.leave()
            return
        self._connected = True
        waiting, self._waiting = self._waiting, []
        for data in waiting:
            upstream.send(data)
        if self._asked:
            upstream.end()
        self.goOn()

    def _unreached(self, failure: Failure) -> None:
        self._connecting = None
        if not failure.check(CancelledError):
            self.failed(failure.getErrorMessage())

    # The end.

    def _left(self, result: object) -> None:
        self._gone = True
        self._cancel()
        if self._connecting is not None:
            self._connecting.cancel()
        if self._upstream is not None:
            self._upstream.leave()

    def _finish(self) -> None:
        if not self._gone:
            self._cancel()
            if self._request.producer is not None:
                self._request.unregisterProducer()
            self._request.finish()

    def _cut(self) -> None:
        if not self._gone:
            self._request.unregisterProducer()
            self._request.abort()

    def _stir(self) -> None:
        if self._watch is not None and not self._answered:
            self._watch.reset(IDLE)

    def _idle(self) -> None:
        self._watch = None
        if self._begun:
            self._cut()
            return
        words = f"nothing came from there for {IDLE:.0f} seconds"
        if self._connecting is not None:
            self._connecting.cancel()
        if self._upstream is not None:
            self._upstream.leave()
        self.refuse(refusal(GATEWAY_TIMEOUT, words))

    def _cancel(self) -> None:
        if self._watch is not None and self._watch.active():
            self._watch.cancel()
        self._watch = None
