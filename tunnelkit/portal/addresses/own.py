# -*- test-case-name: tests.portal.addresses.test_own -*-
"""
A portal's own address, as the world sees it: asked of STUN servers by the very socket
that it is about.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from tunnelkit.portal.addresses.candidates import shown, unique
from tunnelkit.portal.addresses.places import Place
from tunnelkit.portal.addresses.sockets import Address
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.portal.sealed import Random
from tunnelkit.wire.portal.stun import TRANSACTION, parseAnswer, request

AGAIN: Final = (0.5, 1.0, 2.0, 4.0)
"""Seconds after which a request is sent again: the first values of RFC 8489."""
EVERY: Final = 25.0
"""Seconds between two questions to a server; that keeps the way through a NAT, too."""
MOST: Final = 8
"""STUN servers."""


@dataclass(slots=True)
class _Question:
    """
    @ivar at: the server's address.
    @ivar tries: how often it was asked.
    @ivar next: when it is asked again, or given up.
    """

    transaction: bytes
    at: Address
    tries: int
    next: IDelayedCall


class OwnAddress:
    """
    What STUN servers say.

    @ivar changed: told when it is another.
    """

    _log = Logger()

    def __init__(
        self,
        servers: Sequence[Place],
        clock: IReactorTime,
        random: Random,
        send: Callable[[bytes, Address], bool],
        counts: Counter[str],
    ) -> None:
        """
        @param send: sends a packet by the socket that it is about.
        """
        self.changed: Callable[[], object] = lambda: None
        self._servers = servers
        self._clock = clock
        self._random = random
        self._send = send
        self._counts = counts
        self._open: dict[Address, _Question] = {}
        self._answers: dict[Address, Address] = {}
        self._round: IDelayedCall | None = None
        self._warned = False

    @property
    def addresses(self) -> tuple[Address, ...]:
        """
        What is known: IPv4 first, as more have that.
        """
        return tuple(sorted(unique(self._answers.values()), key=lambda a: ":" in a[0]))

    def start(self) -> None:
        """
        Ask, now and from time to time.
        """
        asked = False
        for server in self._servers:
            for address in server.ofEachFamily():
                asked = True
                if address not in self._open:
                    self._ask(address)
        wait = EVERY if asked else 1.0
        if self._servers:
            self._round = self._clock.callLater(wait, self.start)

    def stop(self) -> None:
        """
        Ask no more.
        """
        if self._round is not None:
            self._round.cancel()
            self._round = None
        for question in self._open.values():
            question.next.cancel()
        self._open.clear()
        for server in self._servers:
            server.stop()

    def takes(self, packet: bytes, source: Address) -> bool:
        """
        Take an answer.

        @return: whether this is one, right or wrong: then it is for nobody else.
        """
        question = self._open.get(source)
        if question is None:
            return False
        try:
            mapped = parseAnswer(packet)
        except WireError:
            self._counts["wrong answers of STUN"] += 1
            return True
        if mapped.transaction != question.transaction:
            self._counts["wrong answers of STUN"] += 1
            return True
        question.next.cancel()
        del self._open[source]
        self._learn(source, (mapped.host, mapped.port))
        return True

    def _ask(self, at: Address) -> None:
        transaction = self._random(TRANSACTION)
        later = self._clock.callLater(AGAIN[0], self._again, at)
        self._open[at] = _Question(transaction, at, 1, later)
        self._send(request(transaction), at)

    def _again(self, at: Address) -> None:
        question = self._open[at]
        if question.tries >= len(AGAIN):
            del self._open[at]
            self._counts["unanswered questions to STUN"] += 1
            self._unlearn(at)
            return
        question.next = self._clock.callLater(AGAIN[question.tries], self._again, at)
        question.tries += 1
        self._send(request(question.transaction), at)

    def _learn(self, server: Address, own: Address) -> None:
        if self._answers.get(server) == own:
            return
        before = self.addresses
        self._answers[server] = own
        self._warnOfSymmetric()
        if self.addresses != before:
            self._log.info("the world sees this portal at {own}", own=shown(own))
            self.changed()

    def _unlearn(self, server: Address) -> None:
        if self._answers.pop(server, None) is not None:
            self.changed()

    def _warnOfSymmetric(self) -> None:
        for family in (False, True):
            seen = {a for a in self._answers.values() if (":" in a[0]) is family}
            if len(seen) > 1 and not self._warned:
                self._warned = True
                self._log.warn(
                    "the NAT here shows each peer another port: a direct path works to"
                    " portals behind a full-cone NAT or none alone"
                )
