# -*- test-case-name: tests.wire.framings.http1.test_refusals -*-
"""
Heads of requests and replies: what they say, and what of them is passed on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tunnelkit.wire.framings.http1.answers import Malformed
from tunnelkit.wire.framings.http1.fields import (
    TOKEN,
    Extent,
    Field,
    extentOf,
    fieldOf,
    onward,
    values,
    words,
)
from tunnelkit.wire.framings.http1.limits import Limits
from tunnelkit.wire.framings.http1.parsing import Reading, readReply, readRequest
from tunnelkit.wire.framings.http1.targets import checkTarget

_REQUEST: Final = re.compile(rb"(" + TOKEN + rb") ([\x21-\x7e]+) HTTP/([0-9])\.([0-9])")
_STATUS: Final = re.compile(
    rb"HTTP/1\.([01]) ([1-9][0-9]{2})( [\t\x20-\x7e\x80-\xff]*)?"
)
_LOGINS: Final = (b"authorization", b"proxy-authorization")
_BOUND: Final = ("ntlm", "negotiate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """
    What a reply has to know of who asked.

    @ivar head: whether with HEAD, to which no reply has a body.
    @ivar old: whether with HTTP/1.0, which knows neither chunks nor interim replies.
    @ivar leaves: whether the connection is over with the reply.
    """

    head: bool = False
    old: bool = False
    leaves: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestHead:
    """
    The head of a request.

    @ivar data: what goes to the target.
    @ivar safe: whether its method may be used twice.
    @ivar waits: whether the client waits to be told to send the body.
    """

    data: bytes
    asker: Asker
    extent: Extent
    safe: bool
    waits: bool
    reading: Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyHead:
    """
    The head of a reply.

    @ivar line: its first line.
    @ivar fields: what is passed on of its fields.
    @ivar leaves: whether the target closes behind it.
    """

    line: bytes
    status: int
    fields: Sequence[Field]
    extent: Extent
    leaves: bool
    reading: Reading


def _joined(line: bytes, fields: Iterable[Field], *more: bytes) -> bytes:
    return b"\r\n".join((line, *(field.line for field in fields), *more, b"", b""))


def requestHead(
    lines: Sequence[bytes], limits: Limits, host: bytes, sticky: bool
) -> RequestHead:
    """
    Read the head of a request.

    @param lines: its lines, one at least, without their ends.
    @param host: the Host of requests of HTTP/1.0 that name none.
    @param sticky: whether the client has a connection to the target for itself.
    @raise Malformed: it is none, or one that a shared connection cannot carry.
    """
    method, target, old = _requestLine(lines[0], limits)
    fields = [fieldOf(line) for line in lines[1:]]
    given = _host(fields, old)
    extent = extentOf(fields)
    if old and extent.chunked:
        raise Malformed(400, "a request of HTTP/1.0 cannot come in chunks")
    _checkShared(method, fields, sticky)
    named = checkTarget(method, target, given)
    options = words(fields, b"connection")
    kept = onward(fields, options, b"expect", b"http2-settings")
    if given is None:
        kept.insert(0, fieldOf(b"Host: " + (named or host)))
    data = _joined(method + b" " + target + b" HTTP/1.1", kept)
    leaves = b"close" in options or (old and b"keep-alive" not in options)
    return RequestHead(
        data=data,
        asker=Asker(head=method == b"HEAD", old=old, leaves=leaves),
        extent=extent,
        safe=method in (b"GET", b"HEAD", b"OPTIONS"),
        waits=not old and _waits(fields),
        reading=readRequest(data, method, target, kept),
    )


def _requestLine(line: bytes, limits: Limits) -> tuple[bytes, bytes, bool]:
    found = _REQUEST.fullmatch(line)
    if found is None:
        raise Malformed(400, "the first line is no request line of HTTP/1.1")
    method, target, major, minor = found.groups()
    if (major, minor) not in ((b"1", b"0"), (b"1", b"1")):
        version = f"{major.decode()}.{minor.decode()}"
        raise Malformed(505, f"HTTP/{version} is not spoken here, HTTP/1.1 is")
    if len(target) > limits.target:
        raise Malformed(414, f"the target has more than {limits.target} bytes")
    return method, target, minor == b"0"


def _host(fields: Sequence[Field], old: bool) -> bytes | None:
    hosts = values(fields, b"host")
    if len(hosts) > 1:
        raise Malformed(400, "there is more than one Host")
    if not hosts and not old:
        raise Malformed(400, "there is no Host")
    return hosts[0] if hosts else None


def _checkShared(method: bytes, fields: Sequence[Field], sticky: bool) -> None:
    if method == b"CONNECT":
        raise Malformed(501, "CONNECT needs a connection of its own: this is shared")
    if b"websocket" in words(fields, b"upgrade"):
        raise Malformed(501, "WebSocket needs a connection of its own: this is shared")
    for field in fields:
        # These log the connection in, and with it whoever comes after.
        if sticky or field.name not in _LOGINS:
            continue
        scheme = [*field.value.split(maxsplit=1), b""][0].decode("latin-1")
        if scheme.lower() in _BOUND:
            raise Malformed(501, f"{scheme} needs a connection of its own (--sticky)")


def _waits(fields: Sequence[Field]) -> bool:
    expected = words(fields, b"expect")
    if expected and expected != [b"100-continue"]:
        raise Malformed(417, "nothing can be expected but 100-continue")
    return bool(expected)


def replyHead(lines: Sequence[bytes]) -> ReplyHead:
    """
    Read the head of a reply.

    @param lines: its lines, without their ends.
    @raise Malformed: it is none.
    """
    found = _STATUS.fullmatch(lines[0] if lines else b"")
    if found is None:
        raise Malformed(400, "it does not begin with a status line of HTTP/1")
    old, status = found[1] == b"0", int(found[2])
    if status == 101:
        raise Malformed(400, "it switches to another protocol, which nobody asked for")
    fields = [fieldOf(line) for line in lines[1:]]
    extent = extentOf(fields)
    if old and extent.chunked:
        raise Malformed(400, "a reply of HTTP/1.0 cannot come in chunks")
    options = words(fields, b"connection")
    kept = onward(fields, options)
    line = b"HTTP/1.1" + lines[0][8:]
    return ReplyHead(
        line=line,
        status=status,
        fields=kept,
        extent=extent,
        leaves=b"close" in options or (old and b"keep-alive" not in options),
        reading=readReply(_joined(line, kept), status, kept),
    )


def toldTo(asker: Asker, head: ReplyHead, leaves: bool) -> bytes:
    """
    Give the head of a reply as it goes to who asked.

    @param leaves: whether the connection closes behind the reply.
    """
    without: tuple[bytes, ...] = ()
    if head.status < 200 or head.status == 204:
        # RFC 9110 section 8.6: there can be no body, whatever these say.
        without = (b"content-length", b"transfer-encoding")
    elif asker.old and head.extent.chunked:
        without = (b"transfer-encoding", b"trailer")
    fields = [field for field in head.fields if field.name not in without]
    if head.status < 200:
        return _joined(head.line, fields)
    if leaves:
        return _joined(head.line, fields, b"Connection: close")
    return _joined(head.line, fields, *([b"Connection: keep-alive"] * asker.old))
