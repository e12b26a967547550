# -*- test-case-name: tests.wire.framings.redis.test_answering -*-
"""
Replies: values cut out of what the target says, and what it says unasked.
"""

from __future__ import annotations

import re
from typing import Final

from tunnelkit.wire.framings.contract import Answered, Pushed, Reply, Request
from tunnelkit.wire.framings.redis.own import Announced
from tunnelkit.wire.framings.redis.values import Walk
from tunnelkit.wire.native.frames import WireError

COLLECTED: Final = 64 * 1024
"""How much of a reply is collected before it goes to its client, in bytes."""

_PUSH: Final = ord(">")
_MESSAGE: Final = re.compile(
    rb"[*>][34]\r\n\$\d+\r\n(?:([ps]?(?:un)?subscribe)|[ps]?message)\r\n"
)
_COUNT: Final = re.compile(rb":(\d+)\r\n\Z")
_DYING: Final = b"-ERR Protocol error"
_RESET: Final = b"+RESET\r\n"
_SHOWN: Final = 80


class SharedReplies:
    """
    The decoder of a connection that clients share: a value is a reply, and there is
    nothing else.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._walk = Walk()
        self._at = 0
        self._due = 0
        self._given = False

    @property
    def begun(self) -> bool:
        """
        Whether there are bytes of the reply that is due.
        """
        return self._given or bool(self._buffer)

    def send(self, request: Request) -> bytes:
        """
        Expect a reply.
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

    def next(self) -> Answered | None:
        """
        Give the next reply, or a part of a long one.

        @raise WireError: the bytes are none, or none is due.
        """
        if not self._buffer:
            return None
        self._check()
        self._at = self._walk.go(self._buffer, self._at)
        whole = self._walk.whole
        if not whole and self._at < COLLECTED:
            return None
        data = bytes(self._buffer[: self._at])
        del self._buffer[: self._at]
        self._at = 0
        event = self._event(data, whole)
        self._given = not whole
        return event

    def _check(self) -> None:
        if not self._due:
            line, _, _ = self._buffer.partition(b"\r\n")
            raise WireError(f"it says, unasked, {bytes(line[:_SHOWN])!r}")
        if self._buffer[0] == _PUSH and not self._at and not self._given:
            raise WireError("it pushes what nobody asked for")

    def _event(self, data: bytes, whole: bool) -> Answered:
        self._due -= whole
        return Reply(data=data, last=whole, spent=whole and data.startswith(_DYING))


class OwnReplies(SharedReplies):
    """
    The decoder of a client's own connection.  What is no reply, or none that is due,
    is for that client as well, in its order.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ahead = 0
        self._confirmations = 0
        self._channels = 0
        self._raw = False
        self._pushing = False
        self._marked = False

    def send(self, request: Request) -> bytes:
        """
        Expect what the request leads to.
        """
        announced = request.label
        if isinstance(announced, Announced):
            if not self._listening:
                self._ahead = self._due
            self._confirmations += announced.channels
            self._raw = self._raw or announced.raw
        return super().send(request)

    def next(self) -> Answered | None:
        """
        Give the next reply or message, or a part of a long one.

        @raise WireError: the bytes are none.
        """
        if self._raw and not self._due and self._buffer:
            data = bytes(self._buffer)
            self._buffer.clear()
            return Pushed(data)
        return super().next()

    def _check(self) -> None:
        """
        There is nothing that may not come.
        """

    @property
    def _listening(self) -> bool:
        return self._confirmations > 0 or self._channels > 0

    def _event(self, data: bytes, whole: bool) -> Answered:
        if not self._given:
            self._pushing = self._pushes(data)
        if self._pushing:
            return Pushed(data)
        if data == _RESET:
            self._confirmations = self._channels = 0
        self._ahead -= whole and self._ahead > 0
        return super()._event(data, whole)

    def _pushes(self, data: bytes) -> bool:
        """
        Tell whether a value is no reply.  RESP3 marks what is none; in RESP2 messages
        are arrays as any, but then a connection with channels has no other replies
        that look so.
        """
        marked = data[0] == _PUSH
        self._marked = self._marked or marked
        message = _MESSAGE.match(data)
        if not marked and self._due:
            listening = self._listening and not self._ahead and not self._marked
            if message is None or not listening:
                return False
        if message is not None and message[1]:
            self._confirmed(data)
        return True

    def _confirmed(self, data: bytes) -> None:
        self._confirmations = max(0, self._confirmations - 1)
        count = _COUNT.search(data)
        self._channels = int(count[1]) if count else 1
