# -*- test-case-name: tests.dialects.remotedialer.test_dialect -*-
"""
Admitted: a client's line as a session of the server's, which is shown, limited, revoked
and drained like all others.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail

from tunnelkit.carrier.contract import Opening
from tunnelkit.carrier.pool import NoWork
from tunnelkit.control.session import Identity, Session
from tunnelkit.control.wordless import Wordless
from tunnelkit.dialects.house import House
from tunnelkit.dialects.remotedialer.line import Line
from tunnelkit.interfaces import IStreamEnd
from tunnelkit.tunnels.published import PROBE
from tunnelkit.wire.codes import LOST, ResetCode
from tunnelkit.wire.remotedialer.login import shown
from tunnelkit.wire.remotedialer.messages import PING, SILENCE


def userOf(key: str) -> str:
    """
    Give the user that a client is: its id is a secret, and no name.
    """
    return f"remotedialer-{shown(key)}"


def peerUser(name: str) -> str:
    """
    Give the user that a peer is.
    """
    return f"remotedialer-peer-{name}"


class Admitted(Wordless):
    """
    The control channel of such a session.
    """

    def __init__(self, house: House, line: Line) -> None:
        self._house = house
        self._line = line
        self._session: Session | None = None

    def enter(self, identity: Identity) -> None:
        """
        Make it a session.

        @raise Refusal: there is no room.
        """
        house, line = self._house, self._line
        before = house.switchboard().sessions(line.key)
        session = house.sessions.admit(identity, self, Crossing(line))
        self._session = session
        session.heartbeat.pace(PING, SILENCE)
        line.heartbeat = session.heartbeat
        line.onEnd(self._ended)
        for old in before:
            # The same client may have come back, while its old self is frozen.
            old.heartbeat.probe(_patience(old)).addCallback(_probed, old)

    # What the session says.

    def ping(self, at: int) -> None:
        """
        Ask whether the client lives.
        """
        self._line.ping(at)

    def leave(self, code: str, reason: str, retry: bool) -> None:
        """
        Close the line.
        """
        self._line.end(reason)

    def _ended(self, reason: str) -> None:
        if self._session is not None:
            self._session.end(LOST, reason)


class Crossing:
    """
    How streams get to such a client: nobody's but those that are dialled.
    """

    def __init__(self, line: Line) -> None:
        self._line = line

    @property
    def counts(self) -> tuple[int, int, int]:
        """
        None is idle and none waits; so many are there.
        """
        return 0, len(self._line.ends), 0

    def opening(self, tunnel: str, kind: str, port: int, compress: str) -> Opening:
        """
        Begin a stream with nothing.
        """
        return lambda number, visitor, address: b""

    def takeNow(self) -> None:
        """
        Have none.
        """

    def take(self) -> Deferred[IStreamEnd]:
        """
        Have none: such a client publishes nothing.
        """
        return fail(NoWork(ResetCode.DENIED, "this client publishes nothing"))

    def fill(self) -> None:
        """
        Have nothing ready.
        """

    def sweep(self) -> None:
        """
        Have nothing to put in order.
        """

    def close(self) -> None:
        """
        Do nothing: the line ends with the session.
        """


def _patience(line: Line) -> float:
    low, high = PROBE
    return min(high, max(low, 4 * (line.heartbeat.roundTrip or 0.0)))


def _probed(lives: bool, line: Line) -> None:
    if not lives:
        line.end("it does not answer, and its client has come back")
