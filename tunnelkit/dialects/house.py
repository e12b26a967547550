"""
House: what the server's side of each dialect works with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IReactorTime

from tunnelkit import __version__
from tunnelkit.control.names import hostOr
from tunnelkit.control.session import Identity
from tunnelkit.control.sessions import Sessions
from tunnelkit.dialects.doorway import Guest
from tunnelkit.interfaces import IRelay
from tunnelkit.relay.connection import Connection
from tunnelkit.state.verifier import Verifier
from tunnelkit.tunnels.bursts import Bursts
from tunnelkit.tunnels.published import Published
from tunnelkit.wire.address import unmapped

if TYPE_CHECKING:
    from tunnelkit.dialects.remotedialer.switchboard import Switchboard

PROGRAM = f"tunnelkit/{__version__}"
"""What the two sides say they are."""


def _noCounts() -> dict[str, int]:
    names = "logins", "logins_failed", "work_connections", "work_connections_refused"
    return dict.fromkeys(names, 0)


def _lateBoard(house: House) -> Callable[[], Switchboard]:
    """
    Make what gives a switchboard, which is loaded when somebody asks first: where
    nobody dials it is of no use.
    """

    @cache
    def board() -> Switchboard:
        from tunnelkit.dialects.native.dialled import Natives
        from tunnelkit.dialects.remotedialer.switchboard import Switchboard

        natives = Natives(house.sessions, house.relay, house.clock)
        return Switchboard(natives)

    return board


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """
    The server, as those see it who speak with clients.

    @ivar lookup: gives what a user's login is checked against.
    @ivar decoyKey: makes decoys for users that do not exist.
    @ivar nonce: gives random text for a login.
    @ivar shown: gives the fingerprints of the certificates that the server shows now
        or soon.
    @ivar troubles: told of each login that failed.
    @ivar now: gives the time, seconds since 1970.
    @ivar http: makes what makes HTTP requests, as C{treq} does, for those who need it.
    @ivar atEnd: has something called when the server stops, and waited for.
    @ivar switchboard: gives the clients through whom something can be dialled.
    @ivar counts: totals since the start, by name.
    """

    clock: IReactorTime
    relay: IRelay
    sessions: Sessions
    published: Published
    lookup: Callable[[str], Verifier | None]
    decoyKey: bytes
    nonce: Callable[[], str]
    shown: Callable[[], tuple[str, ...]]
    troubles: Bursts
    now: Callable[[], float]
    http: Callable[[], Any]
    atEnd: Callable[[Callable[[], object]], None]
    switchboard: Callable[[], Switchboard] = field(init=False)
    counts: dict[str, int] = field(default_factory=_noCounts)

    def __post_init__(self) -> None:
        object.__setattr__(self, "switchboard", _lateBoard(self))

    def chance(self) -> float:
        """
        Give a number from 0 to below 1.
        """
        return int(self.nonce()[:8], 16) / 2**32

    def identity(
        self,
        user: str,
        guest: Guest,
        connection: Connection,
        program: str,
        shared: bool = False,
    ) -> Identity:
        """
        Say who has logged in, where the protocol says no more than that it knows the
        secret: each connection is a client of its own.

        @param user: whose secret it was.
        @param shared: as L{Identity} has it.
        """
        local = unmapped(getattr(connection.transport.getHost(), "host", ""))
        return Identity(
            user=user,
            client=guest.host,
            instance=self.nonce(),
            program=program,
            peer=guest.peer,
            host=hostOr(local, "localhost"),
            bound=False,
            shared=shared,
        )

    def turnAway(
        self,
        guest: Guest,
        connection: Connection,
        dialect: str,
        reason: str,
        last: Callable[[], None] = lambda: None,
    ) -> None:
        """
        A login failed, of which the client is not to learn why.

        @param last: says to it, in a moment, what its protocol has for that.
        """
        self.counts["logins_failed"] += 1
        self.troubles.note(f"{dialect} login from {guest.host}: {reason}")
        guest.delay(connection, reason, last)
