"""
Tests of L{tunnelkit.wire.framings.http1}: what is not passed on.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.wire.framings.decoding import asked
from tests.wire.framings.http1.traffic import events, message, onlyRequest, refusal
from tunnelkit.wire.framings.contract import Refusal, Request
from tunnelkit.wire.framings.http1.framing import makeHTTP1
from tunnelkit.wire.framings.http1.heads import Asker
from tunnelkit.wire.framings.http1.limits import Limits

BAD = b"HTTP/1.1 400 Bad Request"
GET = (b"GET / HTTP/1.1", b"Host: x")
CHUNKED = message(b"POST / HTTP/1.1", b"Host: x", b"Transfer-Encoding: chunked")


class SmugglingTests(SynchronousTestCase):
    """
    Bytes that others might take for other messages than we do.
    """

    def assertRefused(self, data: bytes, reason: str) -> None:
        """
        See that bytes are refused, with this reason, wherever they are cut.
        """
        self.assertEqual(refusal(data), (BAD, reason))
        dripped = events(*(data[at : at + 1] for at in range(len(data))))
        self.assertIsInstance(dripped[-1], Refusal, data)

    def test_lengths(self) -> None:
        """
        A length that is given twice, or in two ways, or is none.
        """
        none = "Content-Length is no number, or too large a one"
        for lines, reason in (
            ([b"Content-Length: 1"] * 2, "there is more than one Content-Length"),
            (
                [b"Content-Length: 1", b"content-length: 2"],
                "there is more than one Content-Length",
            ),
            (
                [b"Content-Length: 1", b"Transfer-Encoding: chunked"],
                "there are both Content-Length and Transfer-Encoding",
            ),
            ([b"Content-Length: 1, 1"], none),
            ([b"Content-Length: -1"], none),
            ([b"Content-Length: +1"], none),
            ([b"Content-Length: 0x1"], none),
            ([b"Content-Length: 1 1"], none),
            ([b"Content-Length:"], none),
            ([b"Content-Length: 1234567890123456789"], none),
        ):
            self.assertRefused(message(*GET, *lines, body=b"a"), reason)

    def test_encodings(self) -> None:
        """
        A coding other than chunked, or one that is spelled oddly.
        """
        other = "there is a Transfer-Encoding other than chunked"
        for coding in (
            *(b"xchunked", b"gzip", b"gzip, chunked", b"chunked, chunked", b"identity"),
            *(b"", b'"chunked"', b"chunked;a=b", b"chunked,", b"\x80chunked"),
        ):
            self.assertRefused(message(*GET, b"Transfer-Encoding: " + coding), other)
        twice = message(*GET, *[b"Transfer-Encoding: chunked"] * 2)
        self.assertRefused(twice, other)
        old = message(b"GET / HTTP/1.0", b"Transfer-Encoding: chunked")
        self.assertRefused(old, "a request of HTTP/1.0 cannot come in chunks")

    def test_lines(self) -> None:
        """
        Lines that do not end as they must, are folded, or are no fields.
        """
        start = b"GET / HTTP/1.1\r\nHost: x\r\n"
        for data, reason in (
            (b"GET / HTTP/1.1\nHost: x\n\n", "a line ends in LF without CR"),
            (start + b"A: b\nC: d\r\n\r\n", "a line ends in LF without CR"),
            (start + b"\n", "a line ends in LF without CR"),
            (start + b"A: b\r\n c\r\n\r\n", "a header line is folded"),
            (start + b"A: b\r\n\tc\r\n\r\n", "a header line is folded"),
            (b"GET / HTTP/1.1\r\n Host: x\r\n\r\n", "a header line is folded"),
            (start + b"A\r\n\r\n", "a header line has no colon"),
            (
                start + b"A : b\r\n\r\n",
                "there is a space before the colon of a header field",
            ),
            (
                start + b"Content-Length\t: 1\r\n\r\n",
                "there is a space before the colon of a header field",
            ),
            (start + b"A: b\rc\r\n\r\n", "the header field A has a control character"),
            (start + b"A: b\r\r\n\r\n", "the header field A has a control character"),
            (start + b"A: b\0\r\n\r\n", "the header field A has a control character"),
            (start + b"A: \x7f\r\n\r\n", "the header field A has a control character"),
        ):
            self.assertRefused(data, reason)
        for line in (b": b", b"A\0: b", b"A(: b", b"\x80: b", b"A B: c"):
            self.assertRefused(
                start + line + b"\r\n\r\n",
                "the name of a header field has a character that may not be there",
            )

    def test_hosts(self) -> None:
        """
        A request for nobody, for two, or for one who can be none.
        """
        self.assertRefused(message(b"GET / HTTP/1.1"), "there is no Host")
        for line in (b"GET / HTTP/1.1", b"GET / HTTP/1.0"):
            twice = message(line, b"Host: x", b"host: x")
            self.assertRefused(twice, "there is more than one Host")
        for host in (
            b"a b",
            b"a,b",
            b"a/b",
            b"u@a",
            b"a:b",
            b"a:1:2",
            b"[::1",
            b"\xff",
        ):
            data = message(b"GET / HTTP/1.1", b"Host: " + host)
            self.assertRefused(data, "Host is no name or address")

    def test_targets(self) -> None:
        """
        A target that is none, or names another than Host.
        """
        none = "the target begins with no slash, and is no address"
        other = "the host in the target is not the one in Host"
        for target, reason in (
            (b"*", none),
            (b"x", none),
            (b"x:80", none),
            (b"http:/x/", none),
            (b"ftp://x/", "the target is an address, and not of http"),
            (b"http:///", "the host in the target is no name or address"),
            (b"http://u@x/", "the host in the target is no name or address"),
            (b"http://y/", other),
            (b"http://x:81/", other),
            (b"https://x:80/", other),
            (b"http://x.y?x", other),
        ):
            data = message(b"GET " + target + b" HTTP/1.1", b"Host: x")
            self.assertRefused(data, reason)

    def test_requestLines(self) -> None:
        """
        A first line that is none.
        """
        for line in (
            *(b"GET /", b"GET  / HTTP/1.1", b"GET\t/ HTTP/1.1", b"GET / HTTP/1.1 "),
            *(b"GET / HTTP/11", b"GET / http/1.1", b"GET /\xc3\xa9 HTTP/1.1", b"GET"),
            *(b"GET / / HTTP/1.1", b"GET /\0 HTTP/1.1", b"DESCRIBE / RTSP/1.0"),
        ):
            self.assertRefused(
                message(line, b"Host: x"),
                "the first line is no request line of HTTP/1.1",
            )
        for data, reason in (
            (b"\x16\x03\x01\x02", "this looks like TLS: here HTTP is spoken plain"),
            (b" GET", "a request begins with the name of a method"),
            (b"\0", "a request begins with the name of a method"),
            (b"\r\n\r\n", "there are empty lines in place of a request"),
        ):
            self.assertRefused(data, reason)

    def test_chunks(self) -> None:
        """
        Chunks whose sizes are none, which do not end there, or have odd extensions.
        """
        none = "the size of a chunk is no number, or too large a one"
        for body, reason in (
            *(
                (size + b"\r\na\r\n0\r\n\r\n", none)
                for size in (
                    *(b"", b"x", b"-1", b"+1", b"0x1", b"1 ", b" 1", b"1\t", b"1_0"),
                    *(b"1" * 16, b"0" * 16 + b"1", b"1;", b"1;a=", b"1 ;a", b"1;a b"),
                    *(b'1;a="b', b"1;\ra", b"1;a\0", b"1,a", b'1;"a"'),
                )
            ),
            (b"1\na\r\n0\r\n\r\n", "a line ends in LF without CR"),
            (b"1;a\nb\r\na\r\n0\r\n\r\n", "a line ends in LF without CR"),
            (b"1\r\naXX0\r\n\r\n", "a chunk does not end where its size says"),
            (b"1\r\nab\r\n0\r\n\r\n", "a chunk does not end where its size says"),
            (b"1\r\na\n0\r\n\r\n", "a chunk does not end where its size says"),
            (b"0\r\nA: b\n\r\n", "a line ends in LF without CR"),
            (b"0\r\n\n", "a line ends in LF without CR"),
            (b"0\r\nA: b\r\n c\r\n\r\n", "a header line is folded"),
            (
                b"0\r\nA : b\r\n\r\n",
                "there is a space before the colon of a header field",
            ),
            (b"0\r\nContent-Length: 1\r\n\r\n", "content-length is no trailer"),
            (b"0\r\nhost: 1\r\n\r\n", "host is no trailer"),
        ):
            self.assertRefused(CHUNKED + body, reason)

    def test_trailers(self) -> None:
        """
        Trailers that would be about the message's bounds, or its way.
        """
        for name in (
            *("Content-Length", "Transfer-Encoding", "Host", "Connection", "TE"),
            *("Keep-Alive", "Proxy-Connection", "Upgrade", "Trailer", "Expect"),
        ):
            body = b"0\r\n" + message(b"A: b", name.encode() + b": x")
            self.assertRefused(CHUNKED + body, f"{name.lower()} is no trailer")

    def test_firstIsServed(self) -> None:
        """
        A good request before bad bytes is served.
        """
        first, second = events(message(*GET) + b"\0")
        self.assertEqual(first, onlyRequest(message(*GET)))
        self.assertIsInstance(second, Refusal)


class DeclinedTests(SynchronousTestCase):
    """
    Good requests that a shared connection cannot serve.
    """

    def assertDeclined(self, data: bytes, status: bytes, reason: str) -> None:
        """
        See that a request is refused with a status of its own.
        """
        self.assertEqual(refusal(data), (b"HTTP/1.1 " + status, reason))

    def test_ownConnection(self) -> None:
        """
        WebSocket and CONNECT would take the connection for good: the client is told.
        """
        data = message(*GET, b"Connection: Upgrade", b"Upgrade: h2c, WebSocket")
        reason = "WebSocket needs a connection of its own: this is shared"
        self.assertDeclined(data, b"501 Not Implemented", reason)
        data = message(b"CONNECT x:80 HTTP/1.1", b"Host: x:80")
        reason = "CONNECT needs a connection of its own: this is shared"
        self.assertDeclined(data, b"501 Not Implemented", reason)

    def test_logins(self) -> None:
        """
        NTLM and Negotiate log in the connection, and so the clients that come after:
        they need C{--sticky}.  Other logins are each request's own.
        """
        for line, scheme in (
            (b"Authorization: NTLM TlRMTVNTUA==", "NTLM"),
            (b"Authorization: Negotiate\tTlRMTVNTUA==", "Negotiate"),
            (b"Proxy-Authorization:ntlm", "ntlm"),
        ):
            data = message(*GET, line)
            reason = f"{scheme} needs a connection of its own (--sticky)"
            self.assertDeclined(data, b"501 Not Implemented", reason)
            own = asked(makeHTTP1([], {}).requests(True), data)
            self.assertEqual(own, [Request(data=data, repeatable=True, label=Asker())])
        onlyRequest(message(*GET, b"Authorization: Basic YTpi"))
        onlyRequest(message(*GET, b"Authorization:"))

    def test_unknown(self) -> None:
        """
        Other versions, methods and expectations.
        """
        for data, status, reason in (
            (
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                b"505 HTTP Version Not Supported",
                "HTTP/2.0 is not spoken here, HTTP/1.1 is",
            ),
            (
                message(b"GET / HTTP/1.2", b"Host: x"),
                b"505 HTTP Version Not Supported",
                "HTTP/1.2 is not spoken here, HTTP/1.1 is",
            ),
            (
                message(b"BREW / HTTP/1.1", b"Host: x"),
                b"501 Not Implemented",
                "its method is not known here",
            ),
            (
                message(*GET, b"Expect: tea"),
                b"417 Expectation Failed",
                "nothing can be expected but 100-continue",
            ),
        ):
            self.assertDeclined(data, status, reason)


class LimitTests(SynchronousTestCase):
    """
    What is too large is refused before it is kept.
    """

    def assertLimit(self, good: bytes, bad: bytes, told: tuple[bytes, str]) -> None:
        """
        See that one passes, at once or with an end that drips, and the other does not.
        """
        for data, passes in ((good, True), (bad, False)):
            ending = [data[at : at + 1] for at in range(len(data) - 9, len(data))]
            for pieces in ([data], [data[:-9], *ending]):
                found = events(*pieces)[-1]
                self.assertEqual(isinstance(found, Request), passes)
        self.assertEqual(refusal(bad), told)

    def test_target(self) -> None:
        """
        A target of 8 KiB passes; a longer one is refused as such, also while it comes.
        """
        most = Limits().target
        told = b"HTTP/1.1 414 URI Too Long", f"the target has more than {most} bytes"
        good, bad = (
            message(b"GET /" + b"a" * n + b" HTTP/1.1", b"Host: x")
            for n in (most - 1, most)
        )
        self.assertLimit(good, bad, told)
        self.assertLimit(good, b"GET /" + b"a" * Limits().head, told)
        self.assertEqual(refusal(good, target="8191")[0], told[0])

    def test_head(self) -> None:
        """
        A head of 32 KiB passes, and a hundred fields; not a byte or a field more.
        """
        told = (
            b"HTTP/1.1 431 Request Header Fields Too Large",
            "more than 32768 bytes of head, or 100 fields",
        )
        rest = Limits().head - len(message(*GET, b"A: "))
        good, bad = (message(*GET, b"A: " + b"a" * n) for n in (rest, rest + 1))
        self.assertEqual(len(good), Limits().head)
        self.assertLimit(good, bad, told)
        self.assertLimit(good, bad[:-4] + b"aaaa", told)
        good, bad = (message(*GET, *[b"A: b"] * n) for n in (99, 100))
        self.assertLimit(good, bad, told)
        many = message(*GET, *[b"A: b"] * 9)
        self.assertEqual(refusal(many, fields="9")[0], told[0])
        self.assertEqual(refusal(many, fields="9", head="300")[0], told[0])
        long = message(*GET, b"A: " + b"a" * 300)
        self.assertEqual(refusal(long, head="300")[0], told[0])
        onlyRequest(
            message(*GET, *[b"A: " + b"a" * 500] * 110), head="99999", fields="111"
        )

    def test_extensions(self) -> None:
        """
        Chunk extensions of 16 KiB in all pass, as one or as many.
        """
        most = Limits().extensions
        told = BAD, "chunk extensions are too long"
        one = b"1;" + b"a" * (most - 1) + b"\r\na\r\n"
        many = (b"1;" + b"a" * 127 + b"\r\na\r\n") * (most // 128)
        end = b"0\r\n\r\n"
        for chunks in (one, many):
            bad = CHUNKED + chunks + b"1;a" + b"a" * 16 + b"\r\na\r\n"
            self.assertLimit(CHUNKED + chunks + end, bad, told)
        self.assertEqual(refusal(CHUNKED + b"1;" + b"a" * (most + 17)), told)

    def test_trailers(self) -> None:
        """
        Trailers have a bound of 8 KiB, and there may be a hundred.
        """
        most = Limits().trailers
        told = (
            b"HTTP/1.1 431 Request Header Fields Too Large",
            "the trailers are too long, or too many",
        )
        good, bad = (
            CHUNKED + b"0\r\n" + message(b"A: " + b"a" * n)
            for n in (most - 7, most - 6)
        )
        self.assertLimit(good, bad, told)
        good, bad = (CHUNKED + b"0\r\n" + message(*[b"A: b"] * n) for n in (100, 101))
        self.assertLimit(good, bad, told)
