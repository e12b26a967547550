# -*- test-case-name: tests.wire.framings.http1.test_framing -*-
"""
What a client is told by us, in place of the target: a status and a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tunnelkit.wire.framings.contract import Trouble

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
"""Says that a body is welcome."""

PHRASES: Final[Mapping[int, str]] = {
    400: "Bad Request",
    408: "Request Timeout",
    414: "URI Too Long",
    417: "Expectation Failed",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}
"""What we may answer, in the words of RFC 9110 section 15 and RFC 6585."""

_TROUBLE: Final[Mapping[Trouble, tuple[int, str]]] = {
    Trouble.DOWN: (502, "the target cannot be reached"),
    Trouble.BUSY: (503, "too many requests wait for the target: try again later"),
    Trouble.LATE: (504, "the target has not answered in time"),
    Trouble.SLOW: (408, "the request has not come whole in time"),
    Trouble.BROKEN: (502, "the target ended, or what it said was no reply"),
    Trouble.STOPPING: (503, "it is being stopped: try again later"),
}


class Malformed(Exception):
    """
    A message that is not passed on: it breaks RFC 9112, or is one that a shared
    connection cannot carry.

    @ivar status: what a client is answered, if it is a client's.
    @ivar reason: a sentence without a stop, for the log and for the client.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def answer(status: int, sentence: str, bodiless: bool = False) -> bytes:
    """
    Make a reply behind which the connection closes.

    @param bodiless: whether it is a reply to HEAD, which has no body.
    """
    text = f"tunnelshare: {sentence}\n".encode()
    head = (
        f"HTTP/1.1 {status} {PHRASES[status]}\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(text)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + (b"" if bodiless else text)


def excuse(trouble: Trouble, bodiless: bool) -> bytes:
    """
    Say why a request has no reply of the target's.
    """
    return answer(*_TROUBLE[trouble], bodiless)


def unasked(trouble: Trouble) -> bytes:
    """
    Say something to a client that is closed before it has asked: nothing, but where it
    cannot have a place, or has begun a request and not ended it.
    """
    told = trouble in (Trouble.BUSY, Trouble.SLOW)
    return excuse(trouble, False) if told else b""
