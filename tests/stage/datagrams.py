"""
Services and visitors of UDP.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from threading import Thread
from typing import Final, TypeAlias

from tests.stage.case import HOST
from tests.stage.programs import LIMIT

Address: TypeAlias = tuple[str, int]

PIECE: Final = 65535
"""More than any datagram has, in bytes."""


def udp(host: str = HOST) -> socket.socket:
    """
    Make a socket that waits for a while.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.settimeout(LIMIT)
    return made


class Answering:
    """
    A UDP service in a thread.

    @ivar port: where it listens, at L{HOST}.
    @ivar asked: who asked what.
    """

    def __init__(
        self, answer: Callable[[bytes], bytes], host: str = HOST, port: int = 0
    ) -> None:
        self.asked: list[tuple[bytes, Address]] = []
        self._answer = answer
        self._socket = udp(host)
        self._socket.settimeout(None)
        self._socket.bind((host, port))
        self.port = int(self._socket.getsockname()[1])
        self._stopped = False
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def say(self, datagram: bytes, to: Address) -> None:
        """
        Say something that nobody asked for.
        """
        self._socket.sendto(datagram, to)

    def stop(self) -> None:
        """
        Be gone.
        """
        if self._stopped:
            return
        self._stopped = True
        with udp(self._socket.getsockname()[0]) as waking:
            waking.sendto(b"", self._socket.getsockname())
        self._thread.join(LIMIT)
        self._socket.close()

    def _run(self) -> None:
        while True:
            datagram, whose = self._socket.recvfrom(PIECE)
            if self._stopped:
                return
            self.asked.append((datagram, whose))
            self._socket.sendto(self._answer(datagram), whose)
