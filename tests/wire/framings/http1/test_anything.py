"""
Tests of L{tunnelkit.wire.framings.http1} with messages, and with bytes, of all kinds:
h11, which has no part in it, is asked what it makes of what goes out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.wire.framings.decoding import (
    answered,
    asked,
    joinedReplies,
    joinedRequests,
)
from tests.wire.framings.http1.traffic import (
    Parsed,
    message,
    parsedReply,
    parsedRequests,
)
from tunnelkit.wire.framings.contract import Local, Refusal, Reply, Request
from tunnelkit.wire.framings.http1.framing import makeHTTP1
from tunnelkit.wire.framings.http1.heads import Asker
from tunnelkit.wire.native.frames import WireError

NAMES = st.sampled_from([b"A", b"x-b", b"Cookie", b"CONTENT-type", b"~'*"])
VALUES = st.sampled_from(
    [b"", b"a", b"b  c", b"\xff", b"\xc3\xa9\t;", b'"q\\"', b", ,", b"0"]
)
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=4)
CONTENT = st.lists(st.binary(min_size=1, max_size=30), max_size=4)
CUTS = st.lists(st.integers(0, 600), max_size=8)

FRAGMENTS = st.sampled_from(
    [
        *(
            b"GET / HTTP/1.1\r\n",
            b"POST http://x/ HTTP/1.1\r\n",
            b"HEAD / HTTP/1.0\r\n",
        ),
        *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 304 \r\n", b"HTTP/1.1 100\r\n"),
        *(b"Host: x\r\n", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n"),
        *(b"Content-Length: 3, 3\r\n", b"Transfer-Encoding: x\r\n", b" folded\r\n"),
        *(b"Connection: close\r\n", b"Connection: host, a\r\n", b"Upgrade: h2c\r\n"),
        *(b"Expect: 100-continue\r\n", b"A: b\r\n", b"\r\n", b"\r\n\r\n", b"\n", b"\r"),
        *(b"3\r\nabc\r\n", b"0\r\n\r\n", b"0\r\nA: b\r\n\r\n", b"3;a=b\r\n", b"abc"),
        *(b"\0", b":", b" ", b"\t", b"\xff", b";", b",", b"ffffffffffffffff\r\n"),
    ]
)
ANYTHING = st.one_of(FRAGMENTS, FRAGMENTS, FRAGMENTS, st.binary(max_size=3))
ASKERS = st.lists(
    st.builds(Asker, head=st.booleans(), old=st.booleans(), leaves=st.booleans()),
    max_size=3,
)


def cut(stream: bytes, places: Sequence[int]) -> list[bytes]:
    """
    Cut a stream.
    """
    ends = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
    return [stream[one:other] for one, other in pairwise(ends)]


def chunks(content: Sequence[bytes], trailers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """
    Write a body in chunks.
    """
    body = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in content)
    return body + b"0\r\n" + message(*lines(trailers))


def lines(fields: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
    """
    Write header fields.
    """
    return [name + b": " + value for name, value in fields]


def changed(stream: bytes, changes: Sequence[tuple[int, bytes]]) -> bytes:
    """
    Put other bytes somewhere into a stream, in place of one.
    """
    for place, data in changes:
        at = place % len(stream)
        stream = stream[:at] + data + stream[at + 1 :]
    return stream


def requests(stream: bytes, places: Sequence[int] = ()) -> Iterator[Request]:
    """
    Give the requests that bytes come to, and see that all else is allowed.
    """
    decoder = makeHTTP1([], {"collect": "20"}).requests(False)
    for event in joinedRequests(asked(decoder, *cut(stream, places))):
        if isinstance(event, Request):
            yield event
        else:
            assert isinstance(event, Local | Refusal), event
    assert decoder.partial >= 0


class SameTests(SynchronousTestCase):
    """
    What goes out is what came in.
    """

    @settings(deadline=None)
    @given(FIELDS, CONTENT, FIELDS, st.booleans(), CUTS)
    def test_requests(
        self,
        fields: list[tuple[bytes, bytes]],
        content: list[bytes],
        trailers: list[tuple[bytes, bytes]],
        chunked: bool,
        places: list[int],
    ) -> None:
        """
        Whatever clients send, and however it is cut, the target reads the same.
        """
        extent = [(b"Content-Length", b"%d" % len(b"".join(content)))]
        body = b"".join(content)
        if chunked:
            extent = [(b"Transfer-Encoding", b"chunked")]
            body = chunks(content, trailers)
        given = [(b"Host", b"x"), *fields, *extent]
        data = message(b"PUT /a HTTP/1.1", *lines(given), body=body)
        out = [request.data for request in requests(data * 2, places)]
        self.assertEqual(out, [data, data])
        one, other = parsedRequests(b"".join(out))
        for parsed in (one, other):
            self.assertEqual(parsed.start, (b"PUT", b"/a"))
            self.assertEqual(parsed.fields, given)
            self.assertEqual(parsed.body, b"".join(content))
            self.assertEqual(parsed.trailers, trailers if chunked else [])

    @settings(deadline=None)
    @given(FIELDS, CONTENT, FIELDS, st.sampled_from(["length", "chunks", "end"]), CUTS)
    def test_replies(
        self,
        fields: list[tuple[bytes, bytes]],
        content: list[bytes],
        trailers: list[tuple[bytes, bytes]],
        extent: str,
        places: list[int],
    ) -> None:
        """
        Whatever the target replies, clients read the same, old ones the same content.
        """
        body = b"".join(content)
        given = list(fields)
        if extent == "length":
            given.append((b"Content-Length", b"%d" % len(body)))
        if extent == "chunks":
            given.append((b"Transfer-Encoding", b"chunked"))
            body = chunks(content, trailers)
        data = message(b"HTTP/1.1 200 OK", *lines(given), body=body)
        for old in (False, True):
            decoder = makeHTTP1([], {}).replies(False)
            decoder.send(Request(data=b"", label=Asker(old=old)))
            found = answered(decoder, *cut(data, places), end=True)
            (reply,) = joinedReplies(found)
            assert isinstance(reply, Reply)
            self.assertEqual(
                reply.close, extent == "end" or (old and extent != "length")
            )
            parsed = parsedReply(reply.data, end=reply.close)
            self.assertEqual(parsed.body, b"".join(content))
            wanted = given[:-1] if old and extent == "chunks" else given
            told = [each for each in parsed.fields if each[0] != b"Connection"]
            self.assertEqual(told, wanted)


class AnythingTests(SynchronousTestCase):
    """
    Bytes of all kinds.
    """

    def assertOne(self, request: Request) -> Parsed:
        """
        See that others find one message in what is passed on as one.
        """
        (parsed,) = parsedRequests(request.data)
        return parsed

    @settings(deadline=None)
    @given(st.lists(ANYTHING, max_size=20), CUTS)
    def test_fromClients(self, pieces: list[bytes], places: list[int]) -> None:
        """
        A client's bytes are requests or a refusal, and each request is one to others.
        """
        for request in requests(b"".join(pieces), places):
            self.assertOne(request)

    @settings(deadline=None)
    @given(
        st.lists(st.tuples(st.integers(0, 400), ANYTHING), max_size=3), CUTS, CONTENT
    )
    def test_almost(
        self, changes: list[tuple[int, bytes]], places: list[int], content: list[bytes]
    ) -> None:
        """
        So is what is almost a request, of any kind.
        """
        body = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
        fields = b"Host: x", b"Content-Length: %d" % len(body)
        counted = message(b"POST / HTTP/1.1", *fields, body=body)
        fields = b"Host: x", b"Transfer-Encoding: chunked"
        sent = chunks([body, *content], [(b"A", b"b")])
        chunked = message(b"POST http://x/ HTTP/1.1", *fields, body=sent)
        for request in requests(changed(counted + chunked, changes), places):
            self.assertOne(request)

    @settings(deadline=None)
    @given(st.lists(ANYTHING, max_size=20), CUTS, ASKERS, st.booleans())
    def test_fromTargets(
        self, pieces: list[bytes], places: list[int], askers: list[Asker], end: bool
    ) -> None:
        """
        A target's bytes are replies or a L{WireError}, never more than were asked for.
        """
        self.assertReplies(b"".join(pieces), places, askers, end)

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 300), ANYTHING), max_size=3), CUTS, ASKERS)
    def test_almostReplies(
        self, changes: list[tuple[int, bytes]], places: list[int], askers: list[Asker]
    ) -> None:
        """
        So is what is almost a reply; each is one to others.
        """
        body = b"HTTP/1.1 200 OK\r\n\r\n"
        fields = b"A: b", b"Content-Length: %d" % len(body)
        counted = message(b"HTTP/1.1 200 OK", *fields, body=body)
        fields = b"A: b", b"Transfer-Encoding: chunked"
        chunked = message(b"HTTP/1.1 200 OK", *fields, body=chunks([body], []))
        stream = changed(counted + chunked, changes)
        self.assertReplies(stream, places, askers, True)

    def assertReplies(
        self, stream: bytes, places: list[int], askers: list[Asker], end: bool
    ) -> None:
        """
        See that bytes come to replies, no more than are due, each of them one.
        """
        decoder = makeHTTP1([], {}).replies(False)
        for asker in askers:
            decoder.send(Request(data=b"", label=asker))
        found: list[Reply] = []
        with contextlib.suppress(WireError):
            for piece in cut(stream, places):
                decoder.feed(piece)
                found.extend(iter(decoder.next, None))
            if end:
                decoder.ended()
                found.extend(iter(decoder.next, None))
        whole = [e for e in joinedReplies(found) if isinstance(e, Reply) and e.last]
        self.assertLessEqual(len(whole), len(askers))
        for reply, asker in zip(whole, askers, strict=False):
            method = b"HEAD" if asker.head else b"GET"
            parsedReply(reply.data, method, end=reply.close)
