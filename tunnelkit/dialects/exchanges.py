# -*- test-case-name: tests.dialects.pipe.test_dialect -*-
"""
Exchanges: connections that clients of dialects were asked for, by the id that each
brings: how those have it that carry every visitor on a connection of his own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from tunnelkit.carrier.pool import NoWork
from tunnelkit.dialects.doorway import Guest
from tunnelkit.dialects.house import House
from tunnelkit.interfaces import IStreamEnd
from tunnelkit.relay.connection import Connection
from tunnelkit.wire.codes import ResetCode

PATIENCE: Final = 10.0
"""Seconds that a visitor waits for his connection."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """
    A connection that was asked for.

    @ivar host: the address that it must come from.
    @ivar came: told of it, with what was read ahead.
    """

    host: str
    came: Callable[[Guest, Connection, bytes], None]


class Exchanges:
    """
    What was asked for and has not come yet, of all clients.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self._asked: dict[str, _Asked] = {}

    def ask(self, host: str, came: Callable[[Guest, Connection, bytes], None]) -> str:
        """
        Wait for a connection.

        @param host: the address that it must come from.
        @param came: told of it, once.
        @return: the id that it brings.
        """
        id = self._house.nonce()
        self._asked[id] = _Asked(host, came)
        return id

    def forget(self, id: str) -> None:
        """
        Wait no longer.
        """
        self._asked.pop(id, None)

    def arrived(
        self, id: str, guest: Guest, connection: Connection, rest: bytes
    ) -> bool:
        """
        A connection came.

        @return: whether it was asked for.
        """
        asked = self._asked.get(id)
        if asked is None or asked.host != guest.host:
            return False
        del self._asked[id]
        asked.came(guest, connection, rest)
        return True


class Visitors:
    """
    How the visitors of one forward get to its client: each by a connection of his own,
    which the client makes when it is asked.
    """

    def __init__(
        self,
        exchanges: Exchanges,
        house: House,
        host: str,
        stock: bool,
        ask: Callable[[str], None],
    ) -> None:
        """
        @param host: the client's address.
        @param stock: whether it takes the end of one direction for the end of both.
        @param ask: asks the client for the connection with an id.
        """
        self._exchanges = exchanges
        self._house = house
        self._host = host
        self._stock = stock
        self._ask = ask
        self._waiting: dict[str, Deferred[IStreamEnd]] = {}
        self._closed = False

    @property
    def counts(self) -> tuple[int, int, int]:
        """
        None is idle and busy ones are the tunnel's to count; so many visitors wait.
        """
        return 0, 0, len(self._waiting)

    def opening(
        self, tunnel: str, kind: str, port: int, compress: str
    ) -> Callable[[int, str, str], bytes]:
        """
        Begin a stream with nothing: its bytes cross as they are.
        """
        return lambda number, visitor, address: b""

    def takeNow(self) -> None:
        """
        Have none at once.
        """

    def take(self) -> Deferred[IStreamEnd]:
        """
        Get the connection for a visitor.
        """
        if self._closed:
            return fail(NoWork(ResetCode.WITHDRAWN, "the client has gone"))
        waiting: Deferred[IStreamEnd] = Deferred()
        asked = self._exchanges.ask(
            self._host,
            lambda guest, connection, rest: self._came(
                waiting, guest, connection, rest
            ),
        )
        self._waiting[asked] = waiting
        self._ask(asked)
        waiting.addTimeout(PATIENCE, self._house.clock, _late)
        return waiting.addBoth(self._served, asked)

    def fill(self) -> None:
        """
        Have nothing ready: a connection is made when a visitor is there.
        """

    def sweep(self) -> None:
        """
        Have nothing to put in order.
        """

    def close(self) -> None:
        """
        Whoever waits has waited in vain.
        """
        self._closed = True
        for waiting in [*self._waiting.values()]:
            waiting.errback(NoWork(ResetCode.WITHDRAWN, "the client has gone"))

    def _came(
        self,
        waiting: Deferred[IStreamEnd],
        guest: Guest,
        connection: Connection,
        rest: bytes,
    ) -> None:
        guest.leave()
        end = self._house.relay.adopt(connection, rest, withhold=self._stock)
        waiting.callback(end)

    def _served(self, result: IStreamEnd | Failure, id: str) -> IStreamEnd | Failure:
        del self._waiting[id]
        self._exchanges.forget(id)
        return result


def _late(result: IStreamEnd | Failure, seconds: float) -> IStreamEnd:
    if isinstance(result, Failure):
        raise NoWork(
            ResetCode.BUSY,
            f"the client brought no connection in {seconds:.0f} seconds",
        )
    return result
