"""
Tests for L{tunnelkit.dialects.pipe.caddy}.
"""

from __future__ import annotations

import json
from typing import Any

from treq.testing import StubTreq
from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from tests.dialects.pipe.case import PipeCase, packets
from tests.network import Speaker
from tunnelkit.dialects.pipe import caddy
from tunnelkit.dialects.pipe.caddy import AGAIN, PATIENCE
from tunnelkit.dialects.pipe.spec import PipeSpec
from tunnelkit.wire.pipe.packets import Cancel, Forward, Forwarded

ROUTES = "/config/apps/http/servers/pipe/routes"
SUBJECTS = "/config/apps/tls/automation/policies/0/subjects"


class Present(Resource):
    """
    A Caddy.

    @ivar asked: what was asked of it.
    @ivar routes: those that it has, by their ids.
    @ivar wrong: what it answers where that is not what is wanted, by method.
    @ivar hanging: whether it does not answer at all.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, str]] = []
        self.routes: dict[str, Any] = {}
        self.subjects: list[str] = []
        self.wrong: dict[str, int] = {}
        self.hanging = False

    def render(self, request: Any) -> Any:
        """
        Answer.
        """
        method, path = request.method.decode(), request.path.decode()
        self.asked.append((method, path))
        if self.hanging:
            return NOT_DONE_YET
        if method in self.wrong:
            request.setResponseCode(self.wrong[method])
            return b'{"error": "not today"}\n'
        if method == "DELETE":
            if self.routes.pop(path.removeprefix("/id/"), None) is None:
                request.setResponseCode(404)
        elif path == ROUTES:
            assert request.getHeader("content-type") == "application/json"
            route = json.loads(request.content.read())
            self.routes[route["@id"]] = route
        elif path == SUBJECTS:
            self.subjects.append(json.loads(request.content.read()))
        return b""


class CaddyCase(PipeCase):
    """
    A server that has names below a domain.
    """

    def setUp(self) -> None:
        """
        Start a Caddy.
        """
        self.caddy = Present()
        self.treq: Any = StubTreq(self.caddy)
        super().setUp()

    def servePipe(self, **changes: Any) -> None:
        """
        Start it.
        """
        spec = PipeSpec("open sesame", domain="example.com")
        self.serve(dialects=(spec,), http=lambda: self.treq, **changes)

    def named(self, label: str = "blog", port: int = 9000) -> tuple[Speaker, str]:
        """
        Have a port forwarded.

        @return: the control connection, and the name that the client is told.
        """
        client = self.come(Forward(port, "web", label, "tcp"))
        (answer,) = packets(client.heard)
        assert isinstance(answer, Forwarded)
        self.assertTrue(answer.good)
        return client, answer.domain

    def elapse(self, seconds: float) -> None:
        """
        Let time go by, and have answers arrive.
        """
        self.network.elapse(seconds)
        self.treq.flush()
        self.network.settle()


class SubdomainTests(CaddyCase):
    """
    A forward has a name while it is there.
    """

    def test_route(self) -> None:
        """
        The name that the client wants leads to its port, with a certificate; when the
        client is gone it leads nowhere.
        """
        client, name = self.named()
        self.assertEqual(name, "blog.example.com")
        self.assertEqual(
            self.caddy.routes,
            {
                "blog.example.com.9000": {
                    "@id": "blog.example.com.9000",
                    "match": [{"host": ["blog.example.com"]}],
                    "handle": [
                        {
                            "handler": "reverse_proxy",
                            "upstreams": [{"dial": ":9000"}],
                        }
                    ],
                }
            },
        )
        self.assertEqual(self.caddy.subjects, ["blog.example.com"])
        told = self.log.lines("info")
        self.assertIn(
            "https://blog.example.com leads to port 9000, through Caddy", told
        )
        client.wire.abortConnection()
        self.network.settle()
        self.assertEqual(self.caddy.routes, {})

    def test_madeUp(self) -> None:
        """
        Who asks for no name gets one that is made up, and is told the real one.
        """
        _, name = self.named("")
        label, _, domain = name.partition(".")
        self.assertEqual((len(label), domain), (7, "example.com"))
        self.assertEqual([*self.caddy.routes], [f"{name}.9000"])

    def test_cancel(self) -> None:
        """
        A forward that is taken back has no name any more.
        """
        self.named()
        self.come(Cancel("web", 9000))
        self.assertEqual(self.caddy.routes, {})

    def test_twice(self) -> None:
        """
        Two forwards cannot have the same name, whatever its case; the second may have
        it when the first is gone.
        """
        first, _ = self.named()
        second = self.come(Forward(9001, "other", "BLOG", "tcp"))
        self.assertEqual(packets(second.heard), [Forwarded(False)])
        told = "\n".join(self.log.lines("warn"))
        self.assertIn("blog.example.com leads to another forward already", told)
        self.assertEqual([*self.caddy.routes], ["blog.example.com.9000"])
        first.wire.abortConnection()
        self.network.settle()
        self.named("Blog", 9001)
        self.assertEqual([*self.caddy.routes], ["blog.example.com.9001"])

    def test_refused(self) -> None:
        """
        A forward that is refused for its port keeps no name from others.
        """
        refused = self.come(Forward(80, "web", "blog", "tcp"))
        self.assertEqual(packets(refused.heard), [Forwarded(False)])
        self.assertEqual(self.caddy.asked, [])
        self.named()

    def test_datagrams(self) -> None:
        """
        Forwards of UDP have none.
        """
        client = self.come(Forward(9000, "dns", "blog", "udp"))
        self.assertEqual(packets(client.heard)[0], Forwarded(True))
        self.assertEqual(self.caddy.asked, [])

    def test_leftOver(self) -> None:
        """
        A route that a killed server has left is replaced.
        """
        self.caddy.routes["blog.example.com.9000"] = "an old one"
        self.named()
        self.assertNotEqual(self.caddy.routes["blog.example.com.9000"], "an old one")

    def test_stop(self) -> None:
        """
        A server that stops takes all routes away before it has stopped.
        """
        self.named()
        self.named("shop", 9001)
        self.assertEqual(len(self.caddy.routes), 2)
        self.stop(self.server)
        self.assertEqual(self.caddy.routes, {})


class TroubleTests(CaddyCase):
    """
    Trouble with Caddy is none of the forward's.
    """

    def said(self, words: str) -> int:
        """
        Count the lines that say something.
        """
        return sum(words in line for line in self.log.lines("warn"))

    def test_refuses(self) -> None:
        """
        What it refuses is logged once and tried again until it is done.
        """
        self.caddy.wrong["POST"] = 500
        client, _ = self.named()
        self.assertEqual(self.said(f"POST {ROUTES} with 500: "), 1)
        self.assertEqual(self.said("not today"), 1)
        self.elapse(20.0)
        self.assertEqual(self.said("not today"), 1)
        self.caddy.wrong.clear()
        for _ in range(10):
            self.elapse(5.0)
        self.assertEqual([*self.caddy.routes], ["blog.example.com.9000"])
        visitor, _ = self.served(client)
        self.assertEqual(visitor.ended, "")

    def test_away(self) -> None:
        """
        One that is not there is asked again, ever more seldom.
        """
        tries: list[float] = []

        class Away:
            def request(stub, *args: Any, **named: Any) -> Any:
                tries.append(self.network.seconds())
                raise ConnectionRefusedError("nobody listens")

        self.treq = Away()
        self.stop(self.server)
        self.servePipe()
        client, name = self.named()
        self.assertEqual(name, "blog.example.com")
        self.network.elapse(600.0)
        self.assertTrue(10 < len(tries) < 20, len(tries))
        self.assertEqual(self.said("it cannot be asked: nobody listens"), 1)
        visitor, _ = self.served(client)
        self.assertEqual(visitor.ended, "")

    def test_hangs(self) -> None:
        """
        One that does not answer holds nothing up, and has so long for each answer.
        """
        self.caddy.hanging = True
        client, _ = self.named()
        visitor, _ = self.served(client)
        self.assertEqual(visitor.ended, "")
        self.elapse(PATIENCE + 0.1)
        self.assertEqual(self.said("it does not answer in time"), 1)
        self.caddy.hanging = False
        self.elapse(AGAIN[0] + 0.1)
        self.assertEqual([*self.caddy.routes], ["blog.example.com.9000"])

    def test_endless(self) -> None:
        """
        Nor does one whose answer never ends.
        """
        self.caddy.render = lambda request: b"x" * 100_000  # type: ignore[method-assign]
        self.named()
        self.assertEqual(self.said("answers without end"), 1)

    def test_hangsBetween(self) -> None:
        """
        A client that comes back while the old route cannot be taken away keeps its new
        one.
        """
        client, _ = self.named()
        self.caddy.hanging = True
        client.wire.abortConnection()
        self.network.settle()
        self.elapse(1.0)
        self.caddy.hanging = False
        self.named()
        for _ in range(20):
            self.elapse(1.0)
        self.assertEqual([*self.caddy.routes], ["blog.example.com.9000"])

    def test_hangsAtTheEnd(self) -> None:
        """
        A server stops though Caddy does not answer; a name whose forward ended is free
        at once.
        """
        client, _ = self.named()
        self.caddy.hanging = True
        client.wire.abortConnection()
        self.network.settle()
        self.named("blog", 9001)
        stopped = self.server.stopService()
        assert isinstance(stopped, Deferred)
        self.elapse(PATIENCE - 0.5)
        self.assertNoResult(stopped)
        self.elapse(1.0)
        self.successResultOf(stopped)

    def test_noPolicy(self) -> None:
        """
        A Caddy that has no policy for certificates may have some all the same.
        """
        render = self.caddy.render

        def without(request: Any) -> Any:
            if request.path.decode() == SUBJECTS:
                request.setResponseCode(400)
                return b"no such path"
            return render(request)

        self.caddy.render = without  # type: ignore[method-assign]
        self.named()
        self.assertEqual(self.said("no such path; that may be well"), 1)
        self.assertEqual([*self.caddy.routes], ["blog.example.com.9000"])

    def test_goneMeanwhile(self) -> None:
        """
        A forward that ends while its route is on its way leaves none.
        """
        self.caddy.wrong["POST"] = 500
        client, _ = self.named()
        client.wire.abortConnection()
        self.network.settle()
        self.caddy.wrong.clear()
        self.elapse(100.0)
        self.assertEqual(self.caddy.routes, {})
        self.assertEqual(self.caddy.asked[-1][0], "DELETE")

    def test_staysThere(self) -> None:
        """
        A route that cannot be taken away is tried so often, and left.
        """
        client, _ = self.named()
        self.caddy.wrong["DELETE"] = 500
        client.wire.abortConnection()
        self.elapse(100.0)
        tries = [method for method, _ in self.caddy.asked].count("DELETE")
        self.assertEqual(tries, 1 + caddy.PARTINGS)
