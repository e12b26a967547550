"""
Tests for L{tunnelkit.portal.control}.
"""

from __future__ import annotations

import json
import re
from typing import Any

from treq.testing import StubTreq
from twisted.internet.defer import Deferred

from tests.portal.http import asked, connection, shown
from tests.portal.net import Machine, NetCase, Talker, at
from tests.portal.recorded import exchanges
from tunnelkit.portal.addresses.candidates import Candidates
from tunnelkit.portal.calling import Rendezvous
from tunnelkit.portal.control import ControlResource
from tunnelkit.portal.meeting import ByName
from tunnelkit.portal.near import NearPortal
from tunnelkit.portal.rendezvous.pages import RendezvousResource
from tunnelkit.portal.rendezvous.rates import Rates
from tunnelkit.portal.rendezvous.registry import Registry

TOKEN = "a token that programs know"


class ControlCase(NetCase):
    """
    A test with a near portal that has a control interface.
    """

    def setUp(self) -> None:
        """
        Make it, and a rendezvous.
        """
        super().setUp()
        self.here = Machine(self.net, "127.0.0.1")
        self.registry = Registry(self.clock)
        self.addCleanup(self.registry.clear)
        self.treq: Any = StubTreq(
            RendezvousResource(self.registry, Rates(self.clock.seconds))
        )

    def control(
        self, token: str = "", secret: bytes | None = None, rendezvous: bool = True
    ) -> ControlResource:
        """
        Make the interface.
        """
        settings = self.settings(secret=secret, bind=at("", 6000))
        self.portal = NearPortal(settings, self.net.around(self.here))
        self.running(self.portal)
        if not rendezvous:
            return ControlResource(self.portal, None, token)
        calls = Rendezvous("http://r.example/", self.treq, self.clock, secret)
        own = Candidates((("127.0.0.1", 6000),))
        self.portal.finder = lambda name: ByName(calls, name, lambda: own, self.clock)
        return ControlResource(self.portal, calls, token)

    def ask(
        self,
        root: ControlResource,
        method: str,
        path: str,
        body: str = "",
        key: str = "",
    ) -> tuple[int, str]:
        """
        Ask something.

        @return: status and body.
        """
        lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close"]
        lines += [f"Authorization: Bearer {key}"] if key else []
        lines += [f"Content-Length: {len(body)}", "", body]
        status, _, answer = shown(asked(root, self.clock, "\r\n".join(lines)))
        return int(status.split()[1]), answer


class RecordedTests(ControlCase):
    """
    Programs that drive udptun's near portal can drive ours.
    """

    def test_all(self) -> None:
        """
        Each recorded request is answered with the recorded status and what a program
        reads; where the other dropped the connection or had status 500, ours says
        what is wrong.
        """
        root = self.control()
        self.registry.register("s", "127.0.0.1:21346", None)
        for item in exchanges("control_api"):
            status, kind, body = shown(asked(root, self.clock, item["request"]))
            if not item["response"]:
                self.assertEqual(status, "HTTP/1.1 409 Conflict")
                self.assertIn("Address already in use", body)
            elif " 500 " in item["response"][:20]:
                self.assertEqual(status, "HTTP/1.1 400 Bad Request")
            elif item["response"].endswith("\r\n\r\n{}\n"):
                self.assertEqual(status, "HTTP/1.1 200 OK")
                self.assertEqual(json.loads(body)["listening"], ["127.0.0.1:21342"])
            else:
                self.assertEqual((status, kind, body), shown(item["response"]))

    def test_unreachable(self) -> None:
        """
        The list is C{null} where the rendezvous cannot be reached.
        """

        class Away:
            def request(self, *args: Any, **options: Any) -> Deferred[Any]:
                raise OSError("Connection refused")

        self.treq = Away()
        root = self.control()
        self.assertEqual(self.ask(root, "GET", "/"), (200, "null\n"))
        code, said = self.ask(root, "POST", "/s", "127.0.0.1:4001")
        self.assertEqual(code, 502)
        self.assertIn("the rendezvous cannot be asked: Connection refused", said)


class WaysTests(ControlCase):
    """
    Ways open and close while the portal runs.
    """

    def test_way(self) -> None:
        """
        A way that was opened works, says how it is, and ends when it is closed, while
        others go on.
        """
        root = self.control()
        far = Talker(Machine(self.net, "127.0.0.2"), 7000)
        for port in (4001, 4002):
            given = {"local": f"127.0.0.1:{port}", "destination": "127.0.0.2:7000"}
            code, said = self.ask(root, "POST", "/", json.dumps(given))
            self.assertEqual((code, said), (200, ""))
        self.registry.register("home", "127.0.0.2:7000", None)
        self.assertEqual(self.ask(root, "POST", "/home", "localhost:4003")[0], 200)
        senders = {port: Talker(self.here) for port in (4001, 4002, 4003)}
        for port, sender in senders.items():
            sender.say(b"%d" % port, ("127.0.0.1", port))
        self.net.run(0.1)
        self.assertEqual([p[2:] for p in far.heard], [b"4001", b"4002", b"4003"])
        way = json.loads(self.ask(root, "GET", "/127.0.0.2:7000")[1])
        self.assertEqual(way["flows"], 2)
        self.assertEqual(way["path"], "127.0.0.2:7000")
        self.assertEqual(way["listening"], ["127.0.0.1:4001", "127.0.0.1:4002"])
        self.assertEqual(self.ask(root, "DELETE", "/127.0.0.2:7000"), (200, ""))
        for packet, source in far.got:
            far.say(packet, source)
        self.net.run(0.1)
        heard = {port: sender.heard for port, sender in senders.items()}
        self.assertEqual(heard, {4001: [], 4002: [], 4003: [b"4003"]})
        self.assertEqual(self.ask(root, "GET", "/127.0.0.2:7000")[0], 404)

    def test_waits(self) -> None:
        """
        Who opens a way by name is entered at the rendezvous, so that the far portal
        lets this one in.
        """
        root = self.control()
        self.registry.register("home", "127.0.0.2:7000", None)
        self.ask(root, "POST", "/home", "127.0.0.1:4001")
        known, waiting = self.registry.waiting("home", None)
        self.assertEqual((known, waiting), (True, ["127.0.0.1:6000"]))

    def test_badInput(self) -> None:
        """
        What cannot be is refused in words, and opens nothing.
        """
        root = self.control(rendezvous=False)
        for path, body in (
            ("/", "[]"),
            ("/", "[" * 2000),
            ("/", '{"local": 7, "destination": "127.0.0.1:1"}'),
            ("/", '{"local": "nowhere", "destination": "127.0.0.1:1"}'),
            ("/", '{"local": "127.0.0.1:1", "destination": "nowhere"}'),
            ("/home", "example.org:80"),
            ("/home", ""),
            ("/%ff", "127.0.0.1:1"),
        ):
            code, said = self.ask(root, "POST", path, body)
            self.assertEqual(code, 400, (path, body))
            self.assertTrue(said.startswith("bad request"), said)
        code, said = self.ask(root, "POST", "/home", "127.0.0.1:1")
        self.assertEqual((code, said), (502, "this portal has no rendezvous to ask\n"))
        self.assertEqual(self.ask(root, "PUT", "/home")[0], 200)
        self.assertEqual(self.ask(root, "GET", "/a/b")[0], 404)
        self.assertEqual(list(self.portal.routes()), [])

    def test_token(self) -> None:
        """
        Outside the compatible mode nobody gets in without the token.
        """
        root = self.control(TOKEN, b"s" * 32)
        for key in ("", "wrong", TOKEN[:-1]):
            for method, path in (("GET", "/"), ("POST", "/"), ("DELETE", "/home")):
                self.assertEqual(self.ask(root, method, path, "", key)[0], 401)
        self.assertEqual(self.ask(root, "GET", "/", "", TOKEN)[0], 200)

    def test_webPage(self) -> None:
        """
        A page of a stranger's, in a browser of this machine, opens nothing, even where
        no token is needed.
        """
        root = self.control()
        given = '{"local": "127.0.0.1:4001", "destination": "127.0.0.2:7000"}'
        answer = asked(
            root,
            self.clock,
            "POST / HTTP/1.1\r\nHost: x\r\nOrigin: http://evil.example\r\n"
            f"Content-Length: {len(given)}\r\n\r\n{given}",
        )
        self.assertIn("403 Forbidden", answer)
        self.assertEqual(list(self.portal.routes()), [])

    def test_gone(self) -> None:
        """
        Who leaves while the rendezvous is asked leaves no way behind, and no traceback.
        """

        class Silent:
            def request(self, *args: Any, **options: Any) -> Deferred[Any]:
                return Deferred()

        self.treq = Silent()
        root = self.control()
        channel, transport = connection(root, self.clock)
        body = "127.0.0.1:4001"
        request = (
            f"POST /home HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        channel.dataReceived((request + body).encode())
        self.assertEqual(transport.value(), b"")
        channel.connectionLost()
        self.clock.advance(10)
        self.assertEqual(list(self.portal.routes()), [])

    def test_documented(self) -> None:
        """
        What the interface answers is in the documentation.
        """
        page = (__file__.rpartition("/tests/")[0]) + "/docs/portals.rst"
        with open(page, encoding="utf-8") as file:
            told = set(re.findall(r'"+(\w+)"+:', file.read()))
        root = self.control()
        given = {"local": "127.0.0.1:4001", "destination": "127.0.0.2:7000"}
        self.ask(root, "POST", "/", json.dumps(given))
        way = json.loads(self.ask(root, "GET", "/127.0.0.2:7000")[1])
        self.assertEqual(set(way) | set(given), told)
