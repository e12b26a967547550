"""
A server that speaks pipe, and its clients.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from tests.network import Speaker
from tests.whole import NOW, PORT, WholeCase
from tunnelkit.dialects.pipe.spec import PipeSpec
from tunnelkit.wire.pipe.codec import FROM_SERVER, PacketDecoder, encode
from tunnelkit.wire.pipe.login import login
from tunnelkit.wire.pipe.packets import (
    VERSION,
    Exchange,
    Forward,
    Forwarded,
    FromClient,
    FromServer,
    Login,
)

TOKEN: Final = "open sesame"
PUBLIC: Final = 9000


def packets(data: bytes) -> list[FromServer]:
    """
    Read what a server says.
    """
    return [*PacketDecoder(FROM_SERVER).feed(data)]


class PipeCase(WholeCase):
    """
    A server that speaks pipe.
    """

    skew = 600.0

    def setUp(self) -> None:
        """
        Start it.
        """
        super().setUp()
        self.forwarding: list[Speaker] = []
        self.servePipe()

    def servePipe(self, **changes: Any) -> None:
        """
        Start it.
        """
        spec = PipeSpec(changes.pop("token", TOKEN), changes.pop("skew", self.skew))
        self.serve(dialects=(spec,), **changes)

    def come(self, *said: FromClient, token: str = TOKEN, at: float = 0.0) -> Speaker:
        """
        Connect, log in, and say something.

        @param at: how late the client's clock is.
        """
        client = Speaker()
        self.network.connect(PORT, client)
        for packet in (self.login(token, at), *said):
            client.say(encode(packet))
        self.network.settle()
        return client

    def login(
        self, token: str = TOKEN, at: float = 0.0, version: str = VERSION
    ) -> Login:
        """
        Make a login.
        """
        now = NOW + self.network.seconds() - at
        return replace(login(token, now), version=version)

    def answerProbes(self) -> None:
        """
        Have every client answer that is asked whether it lives.
        """
        for client in self.forwarding:
            for packet in packets(client.heard):
                if isinstance(packet, Exchange):
                    self.come(Exchange(packet.id, "tcp"))

    def forward(
        self, port: int = PUBLIC, name: str = "web", kind: str = "tcp"
    ) -> Speaker:
        """
        Have a port forwarded.
        """
        client = self.come(Forward(port, name, "", kind))
        self.assertEqual(packets(client.heard)[0], Forwarded(True))
        self.forwarding.append(client)
        return client

    def ask(self, client: Speaker, port: int = PUBLIC) -> tuple[Speaker, str]:
        """
        Let a visitor come.

        @return: the visitor, and the id of the connection that the client is asked for.
        """
        visitor = Speaker()
        self.network.connect(port, visitor)
        self.network.settle()
        asked = [each for each in packets(client.heard) if isinstance(each, Exchange)]
        return visitor, asked[-1].id

    def served(self, client: Speaker) -> tuple[Speaker, Speaker]:
        """
        Let a visitor come, and the client bring his connection.
        """
        visitor, id = self.ask(client)
        return visitor, self.come(Exchange(id, "tcp"))
