"""
Shares of HTTP: C{curl} and C{nc} through C{twistd tunnelshare} to real web servers.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from tests.stage.case import HOST, FunctionalCase, found
from tests.stage.ports import freePort

reactor: Any = installed

MANY: Final = 40
NGINX: Final = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error; events {{}}
http {{
    access_log off; keepalive_timeout 0;
    client_body_temp_path {folder}/1; proxy_temp_path {folder}/2;
    fastcgi_temp_path {folder}/3; uwsgi_temp_path {folder}/4;
    scgi_temp_path {folder}/5;
    server {{ listen {host}:{port}; return 200 "from nginx\\n"; }}
}}
"""


class Page(Resource):
    """
    Gives back what it gets: the path, or the body, with what is asked for.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        """
        Say what was asked, as the server has read it.
        """
        fields = [b"%b: %b" % (n, b",".join(v)) for n, v in sent(request)]
        return b"\n".join((request.uri, *fields, b""))

    def render_POST(self, request: Any) -> bytes:
        """
        Give the body back.
        """
        request.setHeader(b"X-Type", request.getHeader(b"Content-Type") or b"")
        data: bytes = request.content.read()
        return data

    def render_PUT(self, request: Any) -> int:
        """
        Give the body back in pieces, and so in chunks.
        """
        while piece := request.content.read(100_000):
            request.write(piece)
        request.finish()
        return NOT_DONE_YET


def sent(request: Any) -> list[tuple[bytes, list[bytes]]]:
    """
    Give the header fields of a request.
    """
    return list(request.requestHeaders.getAllRawHeaders())


class CountedSite(Site):
    """
    A site that knows how many connections came.
    """

    connections = 0

    def buildProtocol(self, addr: Any) -> Any:
        """
        Count one.
        """
        self.connections += 1
        return super().buildProtocol(addr)


class HTTPShareTests(FunctionalCase):
    """
    Many clients, one connection to a web server.
    """

    def site(self) -> tuple[CountedSite, int]:
        """
        Start a web server.

        @return: it, and its port.
        """
        site = CountedSite(Page())
        port = reactor.listenTCP(0, site, interface=HOST)
        self.addCleanup(self.closed, port)
        return site, port.getHost().port

    async def _close(self, port: Any) -> None:
        await port.stopListening()

    def closed(self, port: Any) -> Deferred[None]:
        """
        Stop it.
        """
        return Deferred.fromCoroutine(self._close(port))

    async def share(self, target: int) -> str:
        """
        Start a share.

        @return: where it is, as a URL.
        """
        port = freePort()
        options = f"--listen={port}", f"--target={target}", "--protocol=http"
        await self.twistd("tunnelshare", *options).says(r"^\S+ .*sharing ")
        return f"http://{HOST}:{port}"

    async def curl(self, *arguments: str | Path) -> str:
        """
        Run it.
        """
        return await self.output("curl", "-sS", "--max-time", "20", *arguments)

    async def test_clients(self) -> None:
        """
        Clients of all versions, one after the other and many at a time, get their own
        replies over one connection; the server sees what they sent, and in HTTP/1.1.
        """
        site, port = self.site()
        url = await self.share(port)
        upgrades = "HTTP2" in await self.output("curl", "--version")
        for version in ("--http1.1", "--http1.0", *(["--http2"] * upgrades)):
            said = await self.curl(version, "-H", "X-a:  b ", f"{url}/{version}")
            self.assertEqual(said.split("\n")[0], f"/{version}")
            self.assertIn("X-A: b", said)
            self.assertIn(f"Host: {url[7:]}", said)
            for word in ("Upgrade", "Connection", "HTTP2-Settings"):
                self.assertNotIn(word, said)
        head = await self.curl("-I", f"{url}/", "--next", "-sS", f"{url}/behind")
        self.assertIn("HTTP/1.1 200 OK", head)
        self.assertIn("\n/behind", head)
        outputs = self.folder / "#1"
        many = ("-Z", "--parallel-max", str(MANY), "-o", outputs)
        await self.curl(*many, f"{url}/[1-{MANY}]")
        for n in range(1, MANY + 1):
            text = (self.folder / str(n)).read_text()
            self.assertEqual(text.split("\n")[0], f"/{n}")
        self.assertEqual(site.connections, 1)

    async def test_bodies(self) -> None:
        """
        Bodies of 1 and of 5 MiB, with Expect or in chunks, and binary forms, come back
        as they were.
        """
        site, port = self.site()
        url = await self.share(port)
        for size, options in (
            (1024 * 1024, ("-X", "POST", "-H", "Expect: 100-continue")),
            (5 * 1024 * 1024, ("-X", "POST")),
            (3 * 1024 * 1024, ("-H", "Transfer-Encoding: chunked")),
            (300_000, ("-H", "Transfer-Encoding: chunked", "--http1.1")),
            (300_000, ("--http1.0",)),
        ):
            data = os.urandom(size)
            sent, back = self.folder / "sent", self.folder / "back"
            sent.write_bytes(data)
            await self.curl(*options, "-T", sent, "-o", back, f"{url}/")
            self.assertTrue(back.read_bytes() == data, options)
        form = self.folder / "form"
        form.write_bytes(b"\n\r\n--x\r\n\0\xff" + bytes(range(256)) * 300)
        await self.curl(
            "-F", f"a=@{form};filename=f", "-F", "b=c", "-o", back, f"{url}/"
        )
        self.assertIn(form.read_bytes() + b"\r\n--", back.read_bytes())
        self.assertEqual(site.connections, 1)

    async def test_byHand(self) -> None:
        """
        Requests in one segment are answered in order; what is refused is refused with a
        sentence, and the next client is served.
        """
        found("nc")
        site, port = self.site()
        url = await self.share(port)
        where = url[7:].replace(":", " ")
        get = r"GET /%s HTTP/1.1\r\nHost: x\r\n%s\r\n"
        for requests, wanted in (
            ((get % ("a", "")) + get % ("b", "") + get % ("c", ""), ["/a", "/b", "/c"]),
            (r"GET /old HTTP/1.0\r\n\r\n", ["/old", "Host: localhost"]),
            (
                get % ("a", "") + get % ("w", r"Upgrade: websocket\r\n"),
                ["/a", "501", "tunnelshare: WebSocket needs a connection of its own"],
            ),
            (
                get % ("n", r"Content-Length: -1\r\n"),
                ["400", "tunnelshare: Content-Length is no number"],
            ),
            (r"GET / HTTP/1.1\nHost: x\n\n", ["400", "a line ends in LF without CR"]),
        ):
            said = await self.output("sh", "-c", f"printf '{requests}' | nc -N {where}")
            at = 0
            for words in wanted:
                self.assertIn(words, said[at:])
                at = said.index(words, at)
        self.assertIn("/last", await self.curl(f"{url}/last"))
        self.assertEqual(site.connections, 1)

    async def test_closing(self) -> None:
        """
        A server that closes after each reply, and does not say so, fails no request,
        though none may be sent twice.
        """
        port = freePort()
        found("nginx")
        text = NGINX.format(folder=self.folder, host=HOST, port=port)
        self.program("nginx", "-c", self.file("nginx.conf", text))
        await self.accepts((HOST, port))
        url = await self.share(port)
        said = await self.curl(*(["-d", "a", f"{url}/"] * 6))
        self.assertEqual(said.split("\n"), ["from nginx"] * 6)
