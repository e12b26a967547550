# -*- test-case-name: tests.wire.framings.test_lines -*-
"""
Decoders for protocols in which a request is a frame, and so is its reply, and frames
are cut alike in both directions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from tunnelkit.wire.framings.contract import (
    Asked,
    Local,
    Refusal,
    Replies,
    Reply,
    Request,
    Requests,
    Trouble,
)
from tunnelkit.wire.native.frames import WireError

Cut: TypeAlias = Callable[[bytearray], int]
"""Gives the length of the frame with which bytes begin, 0 where that is not all there;
raises L{WireError} as soon as they can be none."""


class WholeRequests:
    """
    The decoder of a client's connection.
    """

    def __init__(self, cut: Cut, repeatable: bool) -> None:
        self._cut = cut
        self._repeatable = repeatable
        self._buffer = bytearray()

    @property
    def partial(self) -> int:
        """
        How many bytes of a frame there are that is not whole.
        """
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """
        Take bytes.
        """
        self._buffer += data

    def ended(self) -> None:
        """
        Forget nothing: what is half there is told by L{partial}.
        """

    def next(self) -> Asked | None:
        """
        Give the next frame.
        """
        try:
            length = self._cut(self._buffer)
        except WireError as e:
            return Refusal(str(e))
        if not length:
            return None
        frame = bytes(self._buffer[:length])
        del self._buffer[:length]
        return self._request(frame)

    def _request(self, frame: bytes) -> Request:
        return Request(data=frame, repeatable=self._repeatable)


class WholeReplies:
    """
    The decoder of a connection to the target.  Replies are collected, so that no client
    gets half of one.
    """

    def __init__(self, cut: Cut) -> None:
        self._cut = cut
        self._buffer = bytearray()
        self._due = 0

    @property
    def begun(self) -> bool:
        """
        Whether there are bytes of the next reply.
        """
        return bool(self._buffer)

    def send(self, request: Request) -> bytes:
        """
        Expect a frame.
        """
        self._due += not request.silent
        return request.data

    def feed(self, data: bytes) -> None:
        """
        Take bytes.
        """
        self._buffer += data

    def ended(self) -> None:
        """
        No reply ends with its connection.
        """

    def next(self) -> Reply | None:
        """
        Give the next frame.

        @raise WireError: it is none, or none is due.
        """
        if self._buffer and not self._due:
            raise WireError(f"it sent {len(self._buffer)} bytes that nobody asked for")
        length = self._cut(self._buffer)
        if not length:
            return None
        frame = bytes(self._buffer[:length])
        del self._buffer[:length]
        self._due -= 1
        return Reply(data=frame)


class Whole:
    """
    Such a framing.  The target has no words for trouble: who has no reply is closed.
    """

    stateful = False
    ordered = True

    def __init__(self, cut: Cut, repeatable: bool) -> None:
        """
        @param repeatable: whether a request may be sent twice.
        """
        self.cut = cut
        self.repeatable = repeatable

    def requests(self, sticky: bool) -> Requests:
        """
        Make the decoder for a client's connection.
        """
        return WholeRequests(self.cut, self.repeatable)

    def replies(self, sticky: bool) -> Replies:
        """
        Make the decoder for a connection to the target.
        """
        return WholeReplies(self.cut)

    def trouble(self, trouble: Trouble, request: Request | None) -> Local:
        """
        Close.
        """
        return Local(b"", close=True)
