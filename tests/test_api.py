"""
Tests for L{tunnelkit.api}.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from tests.endpoints.case import Program
from tests.fakes import random
from tests.network import Network, Plain
from tunnelkit import api
from tunnelkit.server import Server
from tunnelkit.wire.address import HostPort

TOKEN = api.Token.new("default", random)


class APICase(SynchronousTestCase):
    """
    A server in the program, in a network in memory.
    """

    def setUp(self) -> None:
        """
        Make the network.
        """
        self.network = Network()
        self.told: list[api.SessionEvent] = []
        self.state = Path(self.mktemp())

    def serve(self, **options: Any) -> Server:
        """
        Start a server.
        """
        options = {"bind": "127.0.0.1", "token": TOKEN, **options}
        server = api.makeServer(
            self.network,
            self.state,
            ["tcp:8910:interface=127.0.0.1"],
            watch=self.told.append,
            **options,
        )
        server.startService()
        self.network.settle()
        self.addCleanup(self.network.elapse, 1)
        self.addCleanup(server.stopService)
        return server

    def login(self, **options: Any) -> Any:
        """
        Say how to log in.
        """
        return api.login("127.0.0.1", TOKEN, **{"client": "program", **options})

    def listen(self, endpoint: Any) -> Any:
        """
        Listen.
        """
        listening = endpoint.listen(Program())
        self.network.settle()
        port = self.successResultOf(listening)
        self.addCleanup(self.network.elapse, 1)
        self.addCleanup(port.stopListening)
        return port


class ServerTests(APICase):
    """
    A server in a program is what it was told to be.
    """

    def test_ports(self) -> None:
        """
        Clients have the ports that they may have, under the name that it was given.
        """
        self.serve(ports="9000-9001", hostname="vps.example.org")
        login = self.login()
        port = self.listen(api.listening(self.network, login, "site", 9001))
        self.assertEqual(port.getHost().host, "vps.example.org")
        self.assertEqual(self.network.ports[9001].interface, "127.0.0.1")
        told: list[api.Event] = []
        refused = api.listening(
            self.network, login, "other", 9002, wait=3, watch=told.append
        )
        listening = refused.listen(Program())
        self.network.elapse(4)
        self.failureResultOf(listening, api.NotPublished)
        (event,) = told
        self.assertIsInstance(event, api.Refused)

    def test_state(self) -> None:
        """
        Without a token it makes one, and a file with it.
        """
        self.serve(token=None)
        login = api.login("127.0.0.1", self.state / "default.token")
        self.listen(api.listening(self.network, login, "site"))

    def test_insecure(self) -> None:
        """
        It speaks no plain TCP unless it is told to.
        """
        server = self.serve()
        plain = self.login(insecure=True)
        endpoint = api.listening(self.network, plain, "site", wait=3)
        listening = endpoint.listen(Program())
        self.network.elapse(4)
        error = self.failureResultOf(listening, api.NotPublished).value
        self.assertIn("this server wants TLS", str(error))
        server.stopService()
        self.network.elapse(1)
        self.serve(insecure=True)
        self.listen(api.listening(self.network, plain, "site"))

    def test_admin(self) -> None:
        """
        It has admin rooms where it is told where.
        """
        self.serve(admin="tcp:8911:interface=127.0.0.1")
        asking = Plain()
        self.network.connect(8911, asking)
        self.network.settle()
        asking.say(b"GET /healthz HTTP/1.0\r\n\r\n")
        self.network.settle()
        self.assertIn(b" 200 OK", asking.heard)

    def test_watch(self) -> None:
        """
        It tells who comes and who goes.
        """
        self.serve()
        port = self.listen(api.listening(self.network, self.login(), "site"))
        (came,) = self.told
        self.assertIsInstance(came, api.Came)
        self.assertEqual((came.user, came.client), ("default", "program"))
        port.stopListening()
        self.network.elapse(1)
        went = self.told[1]
        assert isinstance(went, api.Went)
        self.assertEqual((went.client, went.peer), (came.client, came.peer))
        self.assertEqual(went.reason, "the client said good-bye")

    def test_watchBroken(self) -> None:
        """
        A bug of who is told harms nobody.
        """

        class Broken:
            def came(self, session: object) -> None:
                raise RuntimeError("a bug")

            went: Any = came

        server = self.serve()
        server.watchers.insert(0, Broken())
        self.listen(api.listening(self.network, self.login(), "site"))
        self.assertEqual(len(self.told), 1)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        server.watchers.clear()


class EndpointTests(APICase):
    """
    Endpoints without strings.
    """

    def test_dialling(self) -> None:
        """
        One program dials what another publishes under a name, of the users who may.
        """
        self.serve()
        login = self.login()
        endpoint = api.listening(self.network, login, "ssh", kind="private")
        self.listen(endpoint)
        dialled = api.dialling(self.network, login, "ssh").connect(
            Factory.forProtocol(Plain)
        )
        self.network.settle()
        self.successResultOf(dialled).transport.abortConnection()  # type: ignore
        self.network.settle()
        others = api.listening(
            self.network, login, "theirs", kind="private", visitors=["bob"]
        )
        self.listen(others)
        dialled = api.dialling(self.network, login, "theirs", timeout=3).connect(
            Factory.forProtocol(Plain)
        )
        self.network.settle()
        self.failureResultOf(dialled, api.NotReached)

    def test_login(self) -> None:
        """
        A login is checked as the options of a client are.
        """
        print_ = "ab" * 32
        login = api.login(
            "[::1]:443", TOKEN, client="me", fingerprint=print_, verify=True
        )
        self.assertEqual(login.server, HostPort("::1", 443))
        self.assertEqual((login.name, login.verify), ("me", True))
        self.assertEqual(login.fingerprint, bytes.fromhex(print_))
        for wrong in (
            {"server": "host:no"},
            {"client": "x" * 201},
            {"fingerprint": "ab"},
            {"insecure": True, "verify": True},
            {"token": Path("/nowhere")},
        ):
            arguments: Any = {"server": "host", "token": TOKEN, **wrong}
            self.assertRaises(ValueError, lambda a=arguments: api.login(**a))

    def test_wrong(self) -> None:
        """
        What cannot be published is said at once.
        """
        private = {"kind": "private"}
        for wrong in (
            {"kind": "udp"},
            {"name": "a b"},
            {"port": 70000},
            {"port": 9000, **private},
            {"visitors": ["bob"]},  # whom a public port would not wait for
            {"visitors": ["b b"], **private},
        ):
            arguments: Any = {"name": "site", **wrong}
            self.assertRaises(
                ValueError,
                lambda a=arguments: api.listening(self.network, self.login(), **a),
            )

    def test_noSuchName(self) -> None:
        """
        What no tunnel can be called is not dialled.
        """
        with self.assertRaises(ValueError):
            api.dialling(self.network, self.login(), "a b")

    def test_oneText(self) -> None:
        """
        A text in place of a list is the one thing in it, and not its letters.
        """
        endpoint = api.listening(
            self.network, self.login(), "x", kind="private", visitors="bob"
        )
        self.assertEqual(endpoint._spec.visitors, ("bob",))
        server = api.makeServer(self.network, self.mktemp(), "tcp:8910", token=TOKEN)
        self.assertEqual(server._settings.ports, ("tcp:8910",))

    def test_names(self) -> None:
        """
        All that is documented is there.
        """
        for name in api.__all__:
            self.assertTrue(hasattr(api, name), name)
