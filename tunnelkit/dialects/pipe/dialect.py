# -*- test-case-name: tests.dialects.pipe.test_dialect -*-
"""
Dialect: pipe on the server's port.

Every connection begins with a login, and is then a forward's control connection, takes
a forward back, or was asked for by the server: for a visitor, or for datagrams.
"""

from __future__ import annotations

from typing import Final

from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from tunnelkit.control.names import legible
from tunnelkit.dialects.doorway import Guest
from tunnelkit.dialects.exchanges import Exchanges
from tunnelkit.dialects.house import House
from tunnelkit.dialects.pipe.caddy import Subdomains
from tunnelkit.dialects.pipe.control import Control
from tunnelkit.interfaces import IDialect
from tunnelkit.relay.connection import Connection, Holder
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.pipe.codec import FROM_CLIENT, PLACES, PacketDecoder
from tunnelkit.wire.pipe.login import isFresh, isGenuine
from tunnelkit.wire.pipe.packets import Cancel, Exchange, Forward, FromClient, Login

USER: Final = "pipe"
"""Who all clients of pipe are: they share one secret, and have no names."""


@implementer(IDialect)
class PipeDialect:
    """
    What speaks pipe on a server's port.

    @ivar house: the server.
    @ivar exchanges: connections that clients were asked for.
    @ivar names: names that lead to forwards, where there are such.
    @ivar controls: the control connections of forwards that are open, by kind and
        port.
    """

    name = "pipe"
    places = (PLACES,)

    def __init__(
        self,
        house: House,
        token: str,
        skew: float,
        plain: bool,
        names: Subdomains | None = None,
    ) -> None:
        """
        @param token: the shared secret.
        @param skew: how old a login may be, in seconds; 0 for any age.
        """
        self.plain = plain
        self.house = house
        self.exchanges = Exchanges(house)
        self.names = names
        self.controls: set[Control] = set()
        self._token = token
        self._skew = skew

    def greet(self, guest: Guest) -> Holder:
        """
        Hear what a connection is for.
        """
        return _Greeting(self, guest)

    def flaw(self, login: Login) -> str:
        """
        Say what is wrong with a login, or nothing.
        """
        if not isGenuine(login, self._token):
            return "wrong token"
        if not isFresh(login, self.house.now(), self._skew):
            return (
                "a login of another time: set the clocks of both sides, or give skew=0"
            )
        return ""

    def cancel(self, guest: Guest, cancel: Cancel) -> bool:
        """
        Take a forward back, if it is of who asks.

        @return: whether it was.
        """
        for control in self.controls:
            if control.isOf(guest, cancel):
                control.end("the client has taken it back")
                return True
        return False


class _Greeting(Holder):
    """
    A connection that has not said yet what it is for.
    """

    _log = Logger()

    def __init__(self, dialect: PipeDialect, guest: Guest) -> None:
        self._dialect = dialect
        self._guest = guest
        self._decoder = PacketDecoder(FROM_CLIENT)
        self._login: Login | None = None
        self._over = False

    def held(self, connection: Connection) -> None:
        """
        Give the client its time to log in.
        """
        super().held(connection)
        self._guest.due(connection, "it did not log in in time")

    def dataReceived(self, data: bytes) -> None:
        """
        Look for the login and for what follows it; what comes behind these is for the
        next holder.
        """
        if self._over:
            return
        packets = self._decoder.feed(data)
        try:
            while not self._over and (packet := next(packets, None)) is not None:
                self._received(packet)
        except WireError as e:
            self._dismiss(str(e))

    def connectionLost(self, reason: Failure) -> None:
        """
        It is gone.
        """
        self._guest.leave()

    def _received(self, packet: FromClient) -> None:
        if self._login is None:
            if not isinstance(packet, Login):
                raise WireError("no login came first")
            self._check(packet)
            return
        self._over = True
        match packet:
            case Forward():
                self._forward(packet, self._login)
            case Exchange():
                self._exchange(packet, self._login)
            case Cancel():
                self._cancel(packet)
            case _:
                raise WireError(f"a {type(packet).__name__} behind the login")

    def _check(self, login: Login) -> None:
        flaw = self._dialect.flaw(login)
        if flaw:
            self._over = True
            self._dialect.house.turnAway(self._guest, self.connection, USER, flaw)
        else:
            self._login = login

    def _forward(self, request: Forward, login: Login) -> None:
        control = Control(self._dialect, self._guest, USER, request, login.version)
        self.connection.hold(control)

    def _exchange(self, exchange: Exchange, login: Login) -> None:
        exchanges, rest = self._dialect.exchanges, self._decoder.rest()
        if not exchanges.arrived(exchange.id, self._guest, self.connection, rest):
            self._dismiss(f"nobody waits for its Exchange {legible(exchange.id, 40)}")

    def _cancel(self, cancel: Cancel) -> None:
        if self._dialect.cancel(self._guest, cancel):
            self._guest.close(self.connection)
        else:
            # Whose port it is knows nothing of it, and has lost nothing.
            self._dismiss(f"no forward of its own has port {cancel.port}")

    def _dismiss(self, reason: str) -> None:
        self._over = True
        self._guest.dismiss(self.connection, reason)
