"""
Tests for L{tunnelkit.portal.rendezvous.pages} and its registry.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.portal.http import asked, connection, dateless, shown
from tests.portal.recorded import exchanges
from tunnelkit.portal.rendezvous.pages import RendezvousResource
from tunnelkit.portal.rendezvous.rates import BURST, Rates
from tunnelkit.portal.rendezvous.registry import (
    LASTING,
    NAMES,
    WAITING,
    Foreign,
    Full,
    Registry,
)
from tunnelkit.portal.web import PATIENCE, makeSite

HERE = "192.0.2.1:5555"


class RendezvousCase(SynchronousTestCase):
    """
    A test with a rendezvous.
    """

    def setUp(self) -> None:
        """
        Make it.
        """
        self.clock = Clock()
        self.registry = Registry(self.clock)
        self.root = RendezvousResource(self.registry, Rates(self.clock.seconds))
        self.addCleanup(self.registry.clear)

    def ask(self, method: str, path: str, body: str = "", key: str = "") -> Any:
        """
        Ask something.

        @return: status and body.
        """
        lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close"]
        lines += [f"Authorization: Bearer {key}"] if key else []
        lines += [f"Content-Length: {len(body.encode())}", "", body]
        status, _, answer = shown(asked(self.root, self.clock, "\r\n".join(lines)))
        return int(status.split()[1]), answer


class RecordedTests(RendezvousCase):
    """
    Programs that are not ours find what they know.
    """

    def test_all(self) -> None:
        """
        Each recorded request has the recorded answer, to the byte, but for the date;
        what dropped the connection has 400 and a reason.
        """
        for item in exchanges("helper_api"):
            answer = asked(self.root, self.clock, item["request"])
            if item["response"]:
                self.assertEqual(dateless(answer), dateless(item["response"]), item)
            else:
                status, _, body = shown(answer)
                self.assertEqual(status, "HTTP/1.1 400 Bad Request")
                self.assertIn("bad request: the body is a name, one comma", body)


class OwnershipTests(RendezvousCase):
    """
    A name that somebody owns is theirs.
    """

    def test_taken(self) -> None:
        """
        Nobody else registers, removes, reads, or waits at it, with another key or
        without one, and each is told so.
        """
        self.assertEqual(self.ask("POST", "/", f"home,{HERE}", "mine")[0], 200)
        self.ask("POST", "/home", "192.0.2.7:1", "mine")
        for key in ("", "yours"):
            for method, path, body, status in (
                ("POST", "/", "home,192.0.2.66:6", 409),
                ("DELETE", "/", "home", 409),
                ("GET", "/home", "", 403),
                ("POST", "/home", "192.0.2.66:6", 403),
            ):
                code, said = self.ask(method, path, body, key)
                self.assertEqual(code, status)
                self.assertIn("the name home is another portal's", said)
        self.assertEqual(
            self.ask("GET", "/home", "", "mine"), (200, '["192.0.2.7:1"]\n')
        )

    def test_removed(self) -> None:
        """
        An owner who says where it was removes the name if it is still there, and not
        what came in its place; a name of everybody's is removed in any case, as ever.
        """
        for name, key, kept in (("home", "mine", True), ("open", "", False)):
            self.ask("POST", "/", f"{name},{HERE}", key)
            answer = self.ask("DELETE", "/", f"{name},192.0.2.7:7", key)
            self.assertEqual(answer, (200, ""))
            self.assertEqual(name in self.ask("GET", "/", "", key)[1], kept)
        self.assertEqual(self.ask("DELETE", "/", "home,nowhere", "mine")[0], 400)
        self.assertEqual(self.ask("DELETE", "/", f"home,{HERE}", "mine")[0], 200)
        self.assertEqual(self.ask("GET", "/", "", "mine"), (200, "{}"))

    def test_unseen(self) -> None:
        """
        Only who has the key sees where it is.
        """
        self.ask("POST", "/", f"home,{HERE}", "mine")
        self.ask("POST", "/", f"open,{HERE}")
        self.assertEqual(self.ask("GET", "/")[1], f'{{"open":"{HERE}"}}')
        both = f'{{"home":"{HERE}","open":"{HERE}"}}'
        self.assertEqual(self.ask("GET", "/", "", "mine")[1], both)

    def test_expires(self) -> None:
        """
        A name that is not registered again is free after a while.
        """
        self.ask("POST", "/", f"home,{HERE}", "mine")
        self.clock.advance(LASTING - 1)
        self.assertEqual(self.ask("POST", "/", f"home,{HERE}", "yours")[0], 409)
        self.clock.advance(1)
        self.assertEqual(self.ask("POST", "/", f"home,{HERE}", "yours")[0], 200)

    def test_strangersBefore(self) -> None:
        """
        Who waited at a name before it had an owner is not let in.
        """
        self.ask("POST", "/home", "192.0.2.66:6")
        self.ask("POST", "/", f"home,{HERE}", "mine")
        code, said = self.ask("GET", "/home", "", "mine")
        self.assertEqual((code, said), (404, "if arr, ok := peer[p]; ok {\n"))


class BadInputTests(RendezvousCase):
    """
    Who asks for nonsense is told so, and the rendezvous goes on.
    """

    def test_bodies(self) -> None:
        """
        Names and addresses that are none get 400 and a reason.
        """
        for method, path, body in (
            ("POST", "/", "bad"),
            ("POST", "/", "a,b,c"),
            ("POST", "/", "home,nowhere"),
            ("POST", "/", "home,example.org:80"),
            ("POST", "/", "home,0.0.0.0:80"),
            ("POST", "/", "home,224.0.0.1:80"),
            ("POST", "/", "home,192.0.2.1:70000"),
            ("POST", "/", "n" * 65 + ",192.0.2.1:1"),
            ("POST", "/", "a/b,192.0.2.1:1"),
            ("POST", "/", "home," + " ".join([HERE] * 9)),
            ("POST", "/home", ""),
            ("POST", "/home", "\x00"),
            ("GET", "/%ff", ""),
        ):
            code, said = self.ask(method, path, body)
            self.assertEqual(code, 400, (path, body))
            self.assertTrue(said.startswith("bad request: "), said)
        self.assertEqual(self.ask("GET", "/"), (200, "{}"))

    def test_binary(self) -> None:
        """
        A body that is no text gets 400.
        """
        channel, transport = connection(self.root, self.clock)
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"
        channel.dataReceived(head + b"\xff\xfe")
        self.assertIn(b"400 Bad Request", transport.value())
        channel.connectionLost()

    def test_long(self) -> None:
        """
        A body without end is cut off with 413, and takes no memory.
        """
        channel, transport = connection(self.root, self.clock)
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
        channel.dataReceived(head)
        for _ in range(5):
            channel.dataReceived(b"x" * 1000)
        self.assertIn(b"413 Content Too Large", transport.value())
        self.assertTrue(transport.disconnecting)
        channel.connectionLost()

    def test_slow(self) -> None:
        """
        Who does not send a request within half a minute is cut off.
        """
        channel, transport = connection(self.root, self.clock)
        for _ in range(int(PATIENCE)):
            channel.dataReceived(b"G")
            self.clock.advance(1)
        self.assertTrue(transport.disconnecting)
        channel.connectionLost()

    def test_crowd(self) -> None:
        """
        Connections beyond the bound are cut, and those there are go on.
        """
        site = makeSite(self.root, self.clock, most=2)
        channels = [connection(site, self.clock) for _ in range(3)]
        self.assertEqual(
            [transport.disconnecting for _, transport in channels], [False, False, True]
        )
        for channel, _ in channels:
            channel.connectionLost()

    def test_rates(self) -> None:
        """
        Who asks without pause is refused for a moment; others are not.
        """
        for _ in range(int(BURST)):
            self.ask("GET", "/")
        self.assertEqual(self.ask("GET", "/")[0], 429)
        channel, transport = connection(self.root, self.clock, "192.0.2.10")
        channel.dataReceived(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertIn(b"200 OK", transport.value())
        channel.connectionLost()
        self.clock.advance(1)
        self.assertEqual(self.ask("GET", "/")[0], 200)

    def test_networks(self) -> None:
        """
        A network of IPv6 is one who asks, whichever of its addresses it uses.
        """
        rates = Rates(self.clock.seconds)
        for number in range(int(BURST)):
            self.assertTrue(rates.allows(f"2001:db8::{number:x}"))
        self.assertFalse(rates.allows("2001:db8::ffff:1"))
        self.assertTrue(rates.allows("2001:db8:0:1::1"))
        self.assertTrue(rates.allows("nonsense::1::2"))

    def test_full(self) -> None:
        """
        Who comes too late for a name gets 503 and a reason.
        """
        self.registry._most = 1
        self.ask("POST", "/", f"a,{HERE}")
        code, said = self.ask("POST", "/", f"b,{HERE}")
        self.assertEqual(code, 503)
        self.assertIn("this rendezvous has all the names that it takes", said)


class RegistryTests(SynchronousTestCase):
    """
    What strangers enter is bounded.
    """

    def setUp(self) -> None:
        """
        Make a registry.
        """
        self.clock = Clock()
        self.registry = Registry(self.clock, 3)
        self.addCleanup(self.registry.clear)

    def test_names(self) -> None:
        """
        With all names taken nobody drives another's out, and who has one keeps it.
        """
        self.assertEqual(NAMES, 10_000)
        for name in "abca":
            self.registry.register(name, HERE, None)
        error = self.assertRaises(Full, self.registry.register, "d", HERE, None)
        self.assertIn("try later", str(error))
        self.assertEqual(set(self.registry.listed(None)), {"a", "b", "c"})
        self.clock.advance(LASTING)
        self.registry.register("d", HERE, None)

    def test_waiting(self) -> None:
        """
        With too many who wait the first leave, and each waits once.
        """
        for port in range(1, WAITING + 3):
            for _ in range(2):
                self.registry.wait("a", f"192.0.2.1:{port}", None)
        known, waiting = self.registry.waiting("a", None)
        assert waiting is not None
        self.assertFalse(known)
        self.assertEqual((len(waiting), waiting[0]), (WAITING, "192.0.2.1:3"))

    def test_foreign(self) -> None:
        """
        The refusal is in words for who asked.
        """
        self.registry.register("a", HERE, b"mine")
        error = self.assertRaises(Foreign, self.registry.remove, "a", None)
        self.assertIn("choose another one", str(error))
