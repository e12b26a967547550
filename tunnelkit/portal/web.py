# -*- test-case-name: tests.portal.rendezvous.test_pages -*-
"""
HTTP as portals speak it: small requests with small bodies, and short answers.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from twisted.web.server import NOT_DONE_YET, Site

from tunnelkit.site import BoundedSite, Bounds

JSON: Final = b"application/json"
TEXT: Final = b"text/plain; charset=utf-8"

LONGEST: Final = 4096
"""What a request's body may have, in bytes."""
CONNECTIONS: Final = 1024
"""Connections at a time; further ones are cut."""
PATIENCE: Final = 30.0
"""Seconds that a request may take to come, and a connection to be idle."""


def answer(request: IRequest, code: int, body: bytes = b"", kind: bytes = b"") -> int:
    """
    Answer a request.

    @param kind: the content type, where there is a body.
    @return: C{NOT_DONE_YET}, as a resource gives it that has seen to a request.
    """
    request.setResponseCode(code)
    headers = request.responseHeaders
    date = headers.getRawHeaders(b"date") or []
    ends = headers.getRawHeaders(b"connection") or []
    for name in (b"server", b"date", b"content-type", b"connection"):
        headers.removeHeader(name)
    # In the order of udptun's own answers, which programs know to the byte.
    if kind:
        headers.setRawHeaders(b"content-type", [kind])
    if kind == TEXT:
        headers.setRawHeaders(b"x-content-type-options", [b"nosniff"])
    headers.setRawHeaders(b"date", date)
    headers.setRawHeaders(b"content-length", [b"%d" % len(body)])
    if ends:
        headers.setRawHeaders(b"connection", ends)
    request.write(body)
    request.finish()
    return NOT_DONE_YET


def words(request: IRequest, code: int, sentence: str) -> int:
    """
    Answer a request with a sentence.
    """
    return answer(request, code, f"{sentence}\n".encode(), TEXT)


def bearer(request: IRequest) -> bytes | None:
    """
    Give the key that a request shows, if it shows one.
    """
    header = request.getHeader(b"authorization") or b""
    scheme, _, key = header.partition(b" ")
    return key.strip() or None if scheme.lower() == b"bearer" else None


def body(request: IRequest) -> str:
    """
    Give the body of a request.

    @raise ValueError: it is no text.
    """
    content = request.content.read() if request.content is not None else b""
    try:
        return str(content.decode())
    except UnicodeDecodeError as e:
        raise ValueError("the body of the request is no text in UTF-8") from e


def makeSite(root: IResource, clock: IReactorTime, most: int = CONNECTIONS) -> Site:
    """
    Make a site.

    @param most: connections at a time; further ones are cut.
    """
    bounds = Bounds(most=most, patience=PATIENCE, longest=LONGEST, kept=True)
    return BoundedSite(root, clock, bounds)
