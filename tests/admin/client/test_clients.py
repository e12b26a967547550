"""
Tests for L{tunnelkit.admin.client}: HTTP through a client.
"""

from __future__ import annotations

from base64 import b64encode

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Site
from zope.interface import implementer

from tests.admin.asking import TOKEN, FakeSource
from tests.dialects.remotedialer.case import SERVICE, LineCase
from tests.network import BUFFER, Speaker
from tunnelkit.admin.client.clients import ClientsRoom, Wanted, parseWanted
from tunnelkit.admin.client.passing import IDLE
from tunnelkit.admin.client.upstream import CLOSING, Headers, Upstream
from tunnelkit.admin.rooms import makeRoot
from tunnelkit.admin.site import makeSite
from tunnelkit.wire.address import HostPort

ADMIN = 8911
BEARER = f"Authorization: Bearer {TOKEN}\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@implementer(IHalfCloseableProtocol)
class Echo(Speaker):
    """
    A web server that answers with what it is sent, as it comes.
    """

    def dataReceived(self, data: bytes) -> None:
        """
        Send it back; the head of the request, too.
        """
        if not self.heard:
            self.wire.registerProducer(self.wire, True)
            self.wire.write(b"HTTP/1.1 200 OK\r\n\r\n")
        self.heard = b"."
        self.wire.write(data)
        if data.endswith(b"0\r\n\r\n"):
            self.wire.unregisterProducer()
            self.wire.loseConnection()


class RoomCase(LineCase):
    """
    The admin rooms, and a client with a web server beside it.
    """

    def setUp(self) -> None:
        """
        Open them.
        """
        super().setUp()
        source = FakeSource()
        source.dialers = lambda: self.switchboard
        root = makeRoot(source, TOKEN)
        self.admin = makeSite(root, self.network, streams=root.streams)
        self.network.listenTCP(ADMIN, self.admin)

    def say(self, text: str | bytes, port: int = ADMIN) -> Speaker:
        """
        Say something to the rooms.
        """
        asking = Speaker()
        self.network.connect(port, asking)
        asking.say(text.encode() if isinstance(text, str) else text)
        self.network.settle()
        return asking

    def ask(
        self,
        path: str = f"/client/foo/http/127.0.0.1:{SERVICE}/a?b=c",
        method: str = "GET",
        headers: str = BEARER,
        body: str = "",
    ) -> Speaker:
        """
        Ask a web server through a client.
        """
        head = f"{method} {path} HTTP/1.1\r\nHost: admin\r\n{headers}"
        if body:
            head += f"Content-Length: {len(body)}\r\n"
        return self.say(f"{head}\r\n{body}")


class PassingTests(RoomCase):
    """
    A request gets there, and its answer back.
    """

    def test_get(self) -> None:
        """
        The server gets the request as if it had been asked itself, and the answer comes
        back whole.
        """
        self.come()
        asking = self.ask()
        (service,) = self.services
        expected = (
            "GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nConnection: close\r\n"
        )
        self.assertEqual(service.heard, f"{expected}\r\n".encode())
        service.say(OK)
        self.network.settle()
        self.assertTrue(asking.heard.startswith(b"HTTP/1.1 200 OK\r\n"))
        self.assertTrue(asking.heard.endswith(b"\r\n\r\nhello"))
        self.assertEqual(asking.ended, "end")
        self.assertEqual(service.ended, "end")
        self.assertEqual(self.lines[0].ends, {})

    def test_headers(self) -> None:
        """
        What is for these rooms is not passed on: not the admin token, no cookie, and
        nothing that is about one connection; all else is.
        """
        self.come()
        self.ask(
            headers=BEARER
            + "Cookie: a=b\r\nReferer: http://admin/client/foo\r\nX-Own: 1\r\n"
            "Connection: X-Named, keep-alive\r\nX-Named: 2\r\nTE: trailers\r\n"
            "Upgrade: websocket\r\nProxy-Authorization: x\r\nAccept: text/plain\r\n"
        )
        heard = self.services[0].heard.lower()
        for name in ("authorization", "cookie", "referer", "x-named", "te", "upgrade"):
            self.assertNotIn(f"\r\n{name}:".encode(), heard)
        self.assertNotIn(TOKEN.lower().encode(), heard)
        self.assertIn(b"\r\nx-own: 1\r\n", heard)
        self.assertIn(b"\r\naccept: text/plain\r\n", heard)

    def test_answerHeaders(self) -> None:
        """
        So is it with the answer; and what comes from there cannot act in these rooms.
        """
        self.come()
        asking = self.ask()
        self.services[0].say(
            b"HTTP/1.1 404 Not Here\r\nX-Own: 1\r\nX-Own: 2\r\nSet-Cookie: a=b\r\n"
            b"Access-Control-Allow-Origin: *\r\n"
            b"Connection: X-Named\r\nX-Named: 2\r\nServer: old\r\nDate: then\r\n"
            b"X-Content-Type-Options: no\r\nReferrer-Policy: cross-site\r\n"
            b"Content-Security-Policy: default-src *; report-uri /a\r\n"
            b"Content-Security-Policy-Report-Only: report-uri /a\r\n"
            b"Content-Length: 2\r\n\r\nno"
        )
        self.network.settle()
        heard = asking.heard.lower()
        self.assertTrue(heard.startswith(b"http/1.1 404 "))
        for name in (b"set-cookie", b"x-named", b"access-control"):
            self.assertNotIn(name, heard)
        for name in (b"default-src", b"report-uri", b"x-content-type-options: no\r"):
            self.assertNotIn(name, heard)
        self.assertNotIn(b"cross-site", heard)
        self.assertEqual(heard.count(b"\r\ndate: "), 1)
        for line in (
            b"x-own: 1\r\nx-own: 2",
            b"server: old",
            b"date: then",
            b"content-security-policy: sandbox",
            b"x-content-type-options: nosniff",
        ):
            self.assertIn(b"\r\n" + line + b"\r\n", heard)

    def test_methods(self) -> None:
        """
        Every method goes through, with its body.
        """
        self.come()
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"):
            asking = self.ask(method=method, body="some words")
            service = self.services[-1]
            self.assertTrue(service.heard.startswith(f"{method} /a?b=c ".encode()))
            self.assertTrue(service.heard.endswith(b"\r\n\r\nsome words"))
            service.say(OK)
            self.network.settle()
            self.assertTrue(asking.heard.endswith(b"hello"), method)

    def test_head(self) -> None:
        """
        HEAD has an answer without a body.
        """
        self.come()
        asking = self.ask(method="HEAD")
        self.services[0].say(OK[:-5])
        self.network.settle()
        self.assertIn(b"\r\nContent-Length: 5\r\n", asking.heard.replace(b"l", b"l"))
        self.assertTrue(asking.heard.endswith(b"\r\n\r\n"))
        self.assertEqual(asking.ended, "end")

    def test_unstated(self) -> None:
        """
        An answer of no stated length is whole when the server closes; one whose server
        is reset is not.
        """
        self.come()
        for reset in (False, True):
            asking = self.ask()
            service = self.services[-1]
            service.say(b"HTTP/1.1 200 OK\r\n\r\nhello")
            self.network.settle()
            self.assertIn(b"hello", asking.heard)
            if reset:
                service.wire.abortConnection()
            else:
                service.wire.loseConnection()
            self.network.settle()
            self.assertEqual(asking.ended, "reset" if reset else "end")

    def test_twoLengths(self) -> None:
        """
        An answer that says two lengths is passed on with the one that it was read by.
        """
        self.come()
        asking = self.ask()
        self.services[0].say(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        )
        self.network.settle()
        self.assertNotIn(b"content-length", asking.heard.lower())
        self.assertTrue(asking.heard.endswith(b"5\r\nhello\r\n0\r\n\r\n"))

    def test_truncated(self) -> None:
        """
        An answer that is cut off does not look whole.
        """
        self.come()
        asking = self.ask()
        self.services[0].say(OK[:-2])
        self.services[0].wire.loseConnection()
        self.network.settle()
        self.assertEqual(asking.ended, "reset")

    def test_streamed(self) -> None:
        """
        A body goes up while its answer comes down: 8 MB through an echo, with no more
        in between than some buffers.
        """
        self.network.accepting[SERVICE].factory = Factory.forProtocol(Echo)
        self.come()
        asking = self.ask(
            method="POST", headers=BEARER + "Transfer-Encoding: chunked\r\n"
        )
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        for _ in range(128):
            asking.say(chunk)
            self.network.settle()
        self.assertGreater(len(asking.heard), 120 * 65536)
        asking.say(b"0\r\n\r\n")
        self.network.settle()
        self.assertEqual(asking.ended, "end")
        self.assertGreater(len(asking.heard), 128 * 65536)

    def test_slowServer(self) -> None:
        """
        A server that reads nothing holds up who sends, and no memory is filled.
        """
        self.come()
        asking = self.ask(method="PUT", headers=BEARER + "Content-Length: 8000000\r\n")
        service = self.services[0]
        service.wire.pauseProducing()
        asking.say(b"x" * 8_000_000)
        self.network.settle()
        waits = len(asking.wire._waiting) + len(asking.wire.far._incoming)
        self.assertGreater(waits, 4_000_000)
        service.wire.resumeProducing()
        self.network.settle()
        self.assertGreater(len(service.heard), 8_000_000)
        service.say(OK)
        self.network.settle()
        self.assertTrue(asking.heard.endswith(b"hello"))

    def test_slowAsker(self) -> None:
        """
        Nor does who reads nothing of a long answer.
        """
        self.come()
        asking = self.ask()
        asking.wire.pauseProducing()
        service = self.services[0]
        service.say(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 8_000_000)
        self.network.settle()
        self.assertGreater(len(service.wire._waiting), 4_000_000)
        asking.wire.resumeProducing()
        service.wire.loseConnection()
        self.network.settle()
        self.assertGreater(len(asking.heard), 8_000_000)
        self.assertEqual(asking.ended, "end")

    def test_slowEnd(self) -> None:
        """
        Who stops reading near the end has a minute, too, and then is cut.
        """
        self.come()
        for seconds, end in ((IDLE - 1, "end"), (IDLE, "reset")):
            asking = self.ask()
            asking.wire.pauseProducing()
            size = BUFFER + 20_000
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
            self.services[-1].say(head + b"x" * size)
            self.network.elapse(seconds)
            asking.wire.resumeProducing()
            self.network.settle()
            self.assertEqual(asking.ended, end)

    def test_answeredEarly(self) -> None:
        """
        A server that answers before it has the whole body is heard; the rest is waited
        for, but not for long.
        """
        self.come()
        for rest in (b"x" * 1000, b""):
            asking = self.ask(method="PUT", headers=BEARER + "Content-Length: 2000\r\n")
            asking.say(b"x" * 1000)
            self.network.settle()
            self.services[-1].say(OK)
            self.network.settle()
            self.assertTrue(asking.heard.endswith(b"hello"))
            self.assertEqual(asking.ended, "")
            asking.say(rest)
            self.network.elapse(0.0 if rest else 2.0)
            self.assertEqual(asking.ended, "end")

    def test_left(self) -> None:
        """
        Who goes before the answer has the server left, too.
        """
        self.come()
        self.ask().wire.abortConnection()
        self.network.settle()
        self.assertEqual(self.services[0].ended, "reset")

    def test_informed(self) -> None:
        """
        What a server says ahead of its answer is not the answer.
        """
        self.come()
        asking = self.ask()
        self.services[0].say(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK)
        self.network.settle()
        self.assertTrue(asking.heard.startswith(b"HTTP/1.1 200 OK"))


class UpstreamTests(SynchronousTestCase):
    """
    The connection to the server.
    """

    def test_stays(self) -> None:
        """
        A server that keeps the connection open when it has answered is cut off in a
        moment, and until then this is no producer, for whose end a close would wait.
        """
        for leaves in (True, False):
            clock, transport = Clock(), StringTransport()
            upstream = Upstream(Ignorant(), clock, b"GET", b"/", [(b"Host", b"x")])
            upstream.makeConnection(transport)
            upstream.end()
            upstream.dataReceived(OK)
            self.assertTrue(transport.disconnecting)
            self.assertIsNone(transport.producer)
            self.assertFalse(transport.disconnected)
            if leaves:
                upstream.connectionLost()
            clock.advance(CLOSING)
            self.assertEqual(transport.disconnected, not leaves)
            self.assertEqual(clock.getDelayedCalls(), [])


class Ignorant:
    """
    Who asked, and does not listen.
    """

    def head(self, status: int, headers: Headers) -> None:
        """
        Ignore it.
        """

    def piece(self, data: bytes) -> None:
        """
        Ignore it.
        """

    def whole(self) -> None:
        """
        Ignore it.
        """

    def failed(self, reason: str) -> None:
        """
        Ignore it.
        """

    def hold(self) -> None:
        """
        Ignore it.
        """

    def goOn(self) -> None:
        """
        Ignore it.
        """


class RefusalTests(RoomCase):
    """
    What does not work is said.
    """

    def assertSaid(self, asking: Speaker, status: int, text: str) -> None:
        """
        See what was answered.
        """
        self.assertTrue(asking.heard.startswith(f"HTTP/1.1 {status} ".encode()))
        self.assertIn(text.encode(), asking.heard)
        self.assertEqual(asking.ended, "end")

    def test_locked(self) -> None:
        """
        Without the token there is nothing, whatever the body.
        """
        self.come()
        for method in ("GET", "POST"):
            asking = self.ask(method=method, headers="", body="x" * 1000)
            self.assertTrue(asking.heard.startswith(b"HTTP/1.1 401 "))
        self.assertEqual(self.services, [])

    def test_browsers(self) -> None:
        """
        A browser sends the token by itself: another site's page gets nothing by that,
        and nothing is changed by it; a person may look.
        """
        self.come()
        basic = b64encode(f"me:{TOKEN}".encode()).decode()
        basic = f"Authorization: Basic {basic}\r\n"
        self.assertSaid(
            self.ask(method="POST", headers=basic, body="x"), 403, "Bearer TOKEN"
        )
        for site in ("cross-site", "same-site"):
            asking = self.ask(headers=basic + f"Sec-Fetch-Site: {site}\r\n")
            self.assertSaid(asking, 403, "another site")
        self.assertEqual(self.services, [])
        for headers in ("Sec-Fetch-Site: none\r\n", ""):
            self.ask(headers=basic + headers)
        self.assertEqual(len(self.services), 2)

    def test_wrong(self) -> None:
        """
        An address that is none is told.
        """
        self.come()
        for path, why in (
            ("/client/", "write /client/ID/http"),
            ("/client/foo/http/", "write /client/ID/http"),
            ("/client/foo/ftp/127.0.0.1/", "no scheme 'ftp'"),
            ("/client/foo/http/127.0.0.1:x/", "is not a port"),
            ("/client/foo/http/%00/", "is not a host"),
            ("/client/%ff/http/web/", "utf-8"),
        ):
            self.assertSaid(self.ask(path), 400, why)
        self.assertSaid(self.ask("/client/", "PUT", body="x" * 9), 400, "write /client")

    def test_connect(self) -> None:
        """
        CONNECT is not passed on: what came behind its answer would be no HTTP.
        """
        self.come()
        self.assertSaid(self.ask(method="CONNECT"), 501, "CONNECT")
        self.assertEqual(self.services, [])

    def test_noCertificate(self) -> None:
        """
        A host for which there can be no certificate is told, and is no bug of ours.
        """
        self.come()
        for host in ("a..b", "_a.b", "x" * 70):
            asking = self.ask(f"/client/foo/https/{host}/")
            self.assertSaid(asking, 400, "no certificate")

    def test_noClient(self) -> None:
        """
        So is it where the client is not there, or may not, or cannot.
        """
        self.assertSaid(self.ask(), 502, "no client with this key")
        self.come(authorise=lambda network, address: address.endswith(":1"))
        self.assertSaid(self.ask(), 502, "connect not allowed")
        asking = self.ask("/client/foo/http/127.0.0.1:1/")
        self.assertSaid(asking, 502, "refused the connection")

    def test_noHTTP(self) -> None:
        """
        And where the server does not speak HTTP, or closes.
        """
        self.come()
        asking = self.ask()
        self.services[-1].say(b"220 hello\r\n\r\n")
        self.network.settle()
        self.assertSaid(asking, 502, "it does not speak HTTP")
        asking = self.ask()
        self.services[-1].wire.loseConnection()
        self.network.settle()
        self.assertSaid(asking, 502, "no answer from there")

    def test_silent(self) -> None:
        """
        A server that says nothing is left after a minute; one that has begun is cut.
        """
        self.come()
        asking = self.ask()
        self.network.elapse(IDLE)
        self.assertSaid(asking, 504, "for 60 seconds")
        self.assertEqual(self.services[-1].ended, "reset")
        asking = self.ask()
        self.services[-1].say(OK[:-1])
        self.network.elapse(IDLE)
        self.assertEqual(asking.ended, "reset")

    def test_elsewhere(self) -> None:
        """
        On a site that gathers bodies the room works as well.
        """
        self.come()
        site = Site(ClientsRoom(self.switchboard), reactor=self.network)
        site.startFactory = site.stopFactory = lambda: None  # type: ignore[method-assign]
        self.network.listenTCP(8081, site)
        asking = self.say(
            f"PUT /client/foo/http/127.0.0.1:{SERVICE}/ HTTP/1.1\r\n{BEARER}"
            "Content-Length: 3\r\n\r\nabc",
            8081,
        )
        self.assertTrue(self.services[0].heard.endswith(b"\r\n\r\nabc"))
        self.services[0].say(OK)
        self.network.settle()
        self.assertTrue(asking.heard.endswith(b"hello"))
        asking.wire.loseConnection()


class WantedTests(SynchronousTestCase):
    """
    What is asked for stands in the path.
    """

    def test_read(self) -> None:
        """
        Client, scheme, server and path, all but the path unquoted.
        """
        for uri, wanted in (
            (
                b"/client/foo/http/web:81/a%2Fb?c=/d",
                Wanted("foo", False, HostPort("web", 81), b"web:81", b"/a%2Fb?c=/d"),
            ),
            (
                b"/client/a%2Fb/https/[::1]",
                Wanted("a/b", True, HostPort("::1", 443), b"[::1]", b"/"),
            ),
        ):
            self.assertEqual(parseWanted(uri), wanted)
