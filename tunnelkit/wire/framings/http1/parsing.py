# -*- test-case-name: tests.wire.framings.http1.test_refusals -*-
"""
The parser: llhttp, by way of C{httptools}.

It reads each message as it goes on, head and chunks, and has to find what we found: so
one that two readers take for two things goes nowhere.  It is as strict as the checks
before it in almost all, and so quick that this costs nothing.  It cannot say where in
a piece a message ends, nor be told that a reply is one to HEAD, so what it is given is
cut already.
"""

from __future__ import annotations

from collections.abc import Iterable

from httptools import (
    HttpParserError,
    HttpParserInvalidMethodError,
    HttpParserUpgrade,
    HttpRequestParser,
    HttpResponseParser,
)

from tunnelkit.wire.framings.http1.answers import Malformed
from tunnelkit.wire.framings.http1.fields import Field


class Found:
    """
    What the parser finds in a message.

    @ivar target: of a request.
    @ivar fields: names, in lower case, and values.
    @ivar ended: whether the message is whole.
    """

    def __init__(self) -> None:
        self.target = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.ended = False

    def on_url(self, url: bytes) -> None:
        """
        Hear of the target.
        """
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """
        Hear of a header field, or a trailer.
        """
        self.fields.append((name.lower(), value.rstrip(b" \t")))

    def on_message_complete(self) -> None:
        """
        Hear that the message is whole.
        """
        self.ended = True


class Reading:
    """
    A message that is read.
    """

    # The parser knows what is found, and that knows no parser: there is no cycle that
    # only the garbage collector would find.
    def __init__(
        self, parser: HttpRequestParser | HttpResponseParser, found: Found
    ) -> None:
        self._parser = parser
        self._found = found

    @property
    def ended(self) -> bool:
        """
        Whether the message is whole.
        """
        return self._found.ended

    def read(self, data: bytes) -> None:
        """
        Read on.

        @raise Malformed: that does not belong to any message, or comes after its end.
        """
        if self._found.ended:
            raise Malformed(400, "there is more of it than its end allows")
        try:
            self._parser.feed_data(data)
        except HttpParserInvalidMethodError as e:
            raise Malformed(501, "its method is not known here") from e
        except (HttpParserError, HttpParserUpgrade) as e:
            raise Malformed(400, f"it cannot be parsed: {e}") from e

    def check(self, fields: Iterable[Field]) -> None:
        """
        See that the header fields, and trailers, that have come since the last call,
        are these.

        @raise Malformed: they are not.
        """
        found, self._found.fields = self._found.fields, []
        if found != [(field.name, field.value) for field in fields]:
            raise Malformed(400, "its header fields can be read in two ways")


def readRequest(
    head: bytes, method: bytes, target: bytes, fields: Iterable[Field]
) -> Reading:
    """
    Read the head of a request, which must say this.

    @return: what reads its chunks.
    @raise Malformed: it cannot be read, or says something else.
    """
    found = Found()
    parser = HttpRequestParser(found)
    reading = Reading(parser, found)
    reading.read(head)
    if (parser.get_method(), found.target) != (method, target):
        raise Malformed(400, "its request line can be read in two ways")
    reading.check(fields)
    return reading


def readReply(head: bytes, status: int, fields: Iterable[Field]) -> Reading:
    """
    Read the head of a reply, likewise.

    @raise Malformed: it cannot be read, or says something else.
    """
    found = Found()
    parser = HttpResponseParser(found)
    reading = Reading(parser, found)
    reading.read(head)
    if parser.get_status_code() != status:
        raise Malformed(400, "its status line can be read in two ways")
    reading.check(fields)
    return reading
