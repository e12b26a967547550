"""
Plays a recorded conversation against a server: what its clients and its visitors did,
when they did it; or against a client: what its server and its services did.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from tests.golden.recorded import lines
from tests.mail import Post
from tests.network import Network, Speaker, accepting

Rewrite = Callable[[int, bytes], bytes]
"""Puts what a client took over from the server into what was recorded, by the number of
the connection."""


class Player(ABC):
    """
    Plays a conversation, each line at its time.
    """

    def __init__(self, network: Network, system: str, name: str) -> None:
        self._network = network
        self._lines = lines(system, name)
        self._at = 0.0

    def play(self) -> None:
        """
        Play it to its end.
        """
        for line in self._lines:
            if "t" not in line:
                continue
            self._network.elapse(max(0.0, line["t"] - self._at))
            self._at = max(self._at, line["t"])
            self._happened(line)
            self._network.settle()

    @abstractmethod
    def _happened(self, line: dict[str, Any]) -> None:
        """
        Do what a line says, if that is this side's part.
        """


class Replay(Player):
    """
    A conversation, as it goes on.

    @ivar clients: the connections of the program's, by their numbers.
    @ivar visitors: the users, by their numbers.
    @ivar posts: the users of UDP ports, likewise.
    """

    def __init__(
        self, network: Network, port: int, system: str, name: str, rewrite: Rewrite
    ) -> None:
        """
        @param port: the server's.
        """
        super().__init__(network, system, name)
        self.clients: dict[int, Speaker] = {}
        self.visitors: dict[int, Speaker] = {}
        self.posts: dict[int, Post] = {}
        self._port = port
        self._rewrite = rewrite

    def _happened(self, line: dict[str, Any]) -> None:
        if line.get("dir") == "c2s" and "conn" in line:
            self._client(line)
        elif line.get("side") == "user":
            self._user(line)

    def _client(self, line: dict[str, Any]) -> None:
        number = line["conn"]
        match line.get("event"):
            case "open":
                self.clients[number] = client = Speaker()
                self._network.connect(self._port, client)
            case "eof":
                self.clients[number].wire.loseConnection()
            case "rst":
                self.clients[number].wire.abortConnection()
            case None:
                data = bytes.fromhex(line["hex"])
                self.clients[number].say(self._rewrite(number, data))

    def _user(self, line: dict[str, Any]) -> None:
        number, data = line["id"], bytes.fromhex(line.get("hex", ""))
        if "src" in line or number in self.posts:
            if line["event"] == "send":
                self._post(number).say(data, line["dst"])
            return
        match line["event"]:
            case "connect":
                self.visitors[number] = visitor = Speaker()
                self._network.connect(line["port"], visitor)
            case "send":
                self.visitors[number].say(data)
            case "half-close":
                self.visitors[number].wire.loseWriteConnection()
            case "close":
                self.visitors[number].wire.loseConnection()

    def _post(self, number: int) -> Post:
        if number not in self.posts:
            self.posts[number] = Post()
            network: Any = self._network
            network.listenUDP(0, self.posts[number], "127.0.0.1")
        return self.posts[number]


class Mirror(Player):
    """
    A conversation, as it goes on, against a client.

    @ivar came: the client's connections, in the order in which it made them, which is
        that of their numbers, from 1.
    @ivar services: those who came to each service, by its port.
    @ivar posts: services of UDP, likewise.
    """

    def __init__(
        self,
        network: Network,
        port: int,
        system: str,
        name: str,
        services: dict[int, list[Speaker]],
        interrupted: Callable[[], None],
    ) -> None:
        """
        @param port: where the client expects its server.
        @param services: those that run already.
        @param interrupted: called where the client was told to stop.
        """
        super().__init__(network, system, name)
        self.came = accepting(network, port)
        self.services = services
        self.posts: dict[int, Post] = {}
        self._interrupted = interrupted
        self._accepted: dict[int, Speaker] = {}

    def _happened(self, line: dict[str, Any]) -> None:
        if line.get("dir") == "s2c" and "conn" in line:
            self._server(line)
        elif line.get("side") == "service":
            self._service(line)
        elif "SIGINT" in line.get("note", ""):
            self._interrupted()

    def _server(self, line: dict[str, Any]) -> None:
        server = self.came[line["conn"] - 1]
        match line.get("event"):
            case "eof":
                server.wire.loseConnection()
            case "rst":
                server.wire.abortConnection()
            case None:
                server.say(bytes.fromhex(line["hex"]))

    def _service(self, line: dict[str, Any]) -> None:
        data = bytes.fromhex(line.get("hex", ""))
        match line["event"]:
            case "accept":
                self._accepted[line["id"]] = self.services[line["port"]][-1]
            case "send" if "src" in line:
                post = self.posts[line["src"]]
                post.say(data, post.heard[-1][1])
            case "send":
                self._accepted[line["id"]].say(data)
            case "half-close":
                self._accepted[line["id"]].wire.loseWriteConnection()
            case "close":
                self._accepted[line["id"]].wire.loseConnection()
