# -*- test-case-name: tests.admin.client.test_clients -*-
"""
Streaming: requests that are served before their body is here, which they take as it
comes.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any, Final, Protocol, TypeAlias

from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import IResource

from tunnelkit.site import BoundedChannel, BoundedRequest, BoundedSite, Bounds

LAST: Final = 60
"""Seconds for the last bytes of an answer."""

Streams: TypeAlias = Callable[[bytes, bytes | None], bool]
"""Tells, by path and Authorization, which requests are so."""


class Body(Protocol):
    """
    Who takes the body of a request as it comes.
    """

    def came(self, data: bytes) -> None:
        """
        Some of it came.
        """

    def ended(self) -> None:
        """
        It is whole.
        """


class StreamedRequest(BoundedRequest):
    """
    A request whose body may be streamed.

    @ivar length: of the body, or None where that is not known.
    @ivar streamed: whether it is.
    """

    channel: StreamedChannel
    length: int | None = 0
    streamed = False
    _body: Body | None = None
    _whole = False

    def gotLength(self, length: int | None) -> None:
        """
        See whether it is to be served now.
        """
        super().gotLength(length)
        self.length = length
        channel, said = self.channel, self.getHeader(b"authorization")
        if channel.site.streams(channel._path, said):
            self.streamed = True
            self.content = BytesIO()
            self._early: list[bytes] = []
            self.method, self.uri = channel._command, channel._path
            self.clientproto, self.args = channel._version, {}
            self.path = self.uri.partition(b"?")[0]
            channel.persistent = False
            channel.setTimeout(None)
            channel.abortTimeout = LAST
            self.hold()
            # Not within the channel's reading of the head, which goes on behind this.
            channel.callLater(0, self._serve)

    def take(self, body: Body) -> None:
        """
        Give the body to somebody, as it comes.
        """
        self._body = body
        early, self._early = self._early, []
        for data in early:
            body.came(data)
        if self._whole:
            body.ended()
        else:
            self.goOn()

    def hold(self) -> None:
        """
        Read no more of the body.
        """
        self.channel.hold()

    def goOn(self) -> None:
        """
        Read on.
        """
        self.channel.goOn()

    def abort(self) -> None:
        """
        Cut the connection, so that no answer looks whole that is not.
        """
        self.channel.transport.abortConnection()

    def handleContentChunk(self, data: bytes) -> None:
        """
        Pass a part of the body on.
        """
        if not self.streamed:
            super().handleContentChunk(data)
        elif self._body is not None:
            self._body.came(data)
        else:
            self._early.append(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """
        All of it is here.
        """
        if not self.streamed:
            super().requestReceived(command, path, version)
            return
        self._whole = True
        if self._body is not None:
            self._body.ended()

    def _serve(self) -> None:
        if not self._disconnected:
            super().process()


class StreamedChannel(BoundedChannel):
    """
    A connection whose reading can be held up.
    """

    site: StreamingSite
    transport: Any
    _command: bytes
    _path: bytes
    _version: bytes
    _held = False

    def hold(self) -> None:
        """
        Read nothing.
        """
        self._held = True
        self.transport.pauseProducing()

    def goOn(self) -> None:
        """
        Read on.
        """
        if self._held:
            self._held = False
            self.transport.resumeProducing()

    def resumeProducing(self) -> None:
        """
        The transport takes more of what is written; that is no reason to read.
        """
        super().resumeProducing()
        if self._held:
            self.transport.pauseProducing()

    def rawDataReceived(self, data: bytes) -> None:
        """
        Read a body, unless its request is over.
        """
        if self.requests:
            super().rawDataReceived(data)


class StreamingSite(BoundedSite):
    """
    A bounded site on which some requests are served before their body is here.  Their
    rooms see to it that every wait ends, and close the connection behind the answer.

    @ivar streams: which.
    """

    def __init__(
        self, root: IResource, clock: IReactorTime, bounds: Bounds, streams: Streams
    ) -> None:
        super().__init__(root, clock, bounds)
        self.requestFactory = StreamedRequest
        self.protocol = StreamedChannel  # type: ignore[assignment]
        self.streams = streams
