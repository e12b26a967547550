# -*- test-case-name: tests.wire.framings.http1.test_refusals -*-
"""
Header fields: which are passed on, and how long the body is by them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from tunnelkit.wire.framings.http1.answers import Malformed

TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
"""RFC 9110 section 5.6.2."""

_FIELD: Final = re.compile(rb"(" + TOKEN + rb"):([\t\x20-\x7e\x80-\xff]*)")
_SPACED: Final = re.compile(TOKEN + rb"[\t ]+:")
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")

_NEIGHBOURS: Final = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"upgrade")
)
_MESSAGE: Final = frozenset((b"content-length", b"transfer-encoding", b"host"))
_NO_TRAILERS: Final = _NEIGHBOURS | _MESSAGE | {b"trailer", b"expect"}


class Field(NamedTuple):
    """
    A header field.

    @ivar name: in lower case.
    @ivar value: without white space around it.
    @ivar line: the line as it came, without its end.
    """

    name: bytes
    value: bytes
    line: bytes


class Extent(NamedTuple):
    """
    How long a body is by its header fields.

    @ivar chunked: whether it comes in chunks.
    @ivar length: its length in bytes; None where no field has one.
    """

    chunked: bool
    length: int | None


def fieldOf(line: bytes) -> Field:
    """
    Read a line.

    @raise Malformed: it is no header field, with what is wrong with it.
    """
    found = _FIELD.fullmatch(line)
    if found is None:
        raise Malformed(400, _fault(line))
    name, value = found.groups()
    return Field(name.lower(), value.strip(b" \t"), line)


def _fault(line: bytes) -> str:
    if line[:1] in b" \t":
        return "a header line is folded"
    if _SPACED.match(line):
        return "there is a space before the colon of a header field"
    name, colon, _ = line.partition(b":")
    if not colon:
        return "a header line has no colon"
    if not re.fullmatch(TOKEN, name):
        return "the name of a header field has a character that may not be there"
    return f"the header field {name[:40].decode()} has a control character"


def trailersOf(lines: Iterable[bytes]) -> list[Field]:
    """
    Read trailers.

    @raise Malformed: one is no field, or one that would be about the message's bounds,
        or its way (RFC 9110 section 6.5.1).
    """
    fields = [fieldOf(line) for line in lines]
    for field in fields:
        if field.name in _NO_TRAILERS:
            raise Malformed(400, f"{field.name.decode()} is no trailer")
    return fields


def values(fields: Iterable[Field], name: bytes) -> list[bytes]:
    """
    Give the values of all fields of a name.
    """
    return [field.value for field in fields if field.name == name]


def words(fields: Iterable[Field], name: bytes) -> list[bytes]:
    """
    Give the parts of a list, in lower case.
    """
    listed = b",".join(values(fields, name)).lower()
    return [word for each in listed.split(b",") if (word := each.strip(b" \t"))]


def onward(
    fields: Sequence[Field], options: Iterable[bytes], *without: bytes
) -> list[Field]:
    """
    Give the fields that are passed on: all but those between neighbours (RFC 9110
    section 7.6.1).  What the message itself hangs on stays, even if C{Connection} names
    it.

    @param options: what C{Connection} names.
    @param without: names of others that are not.
    """
    gone = {*options} - _MESSAGE | _NEIGHBOURS | {*without}
    return [field for field in fields if field.name not in gone]


def extentOf(fields: Sequence[Field]) -> Extent:
    """
    Tell how long a body is (RFC 9112 section 6).

    @raise Malformed: that cannot be said, or others might say something else.
    """
    lengths = values(fields, b"content-length")
    codings = values(fields, b"transfer-encoding")
    if lengths and codings:
        raise Malformed(400, "there are both Content-Length and Transfer-Encoding")
    if len(lengths) > 1:
        raise Malformed(400, "there is more than one Content-Length")
    if lengths and not _LENGTH.fullmatch(lengths[0]):
        raise Malformed(400, "Content-Length is no number, or too large a one")
    if codings and [each.lower() for each in codings] != [b"chunked"]:
        raise Malformed(400, "there is a Transfer-Encoding other than chunked")
    return Extent(bool(codings), int(lengths[0]) if lengths else None)
