# -*- test-case-name: tests.dialects.native.test_line -*-
"""
Line: one login to a server, with the work connections that belong to it.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from tunnelkit.carrier.dock import Dock
from tunnelkit.carrier.route import Reached, Route, Unreached
from tunnelkit.carrier.supply import Supply
from tunnelkit.control.login.proofs import workProof
from tunnelkit.dialects.native.caller import Parting
from tunnelkit.dialects.native.calling import CallingChannel
from tunnelkit.interfaces import IWorkEnd, IWorkOwner
from tunnelkit.tunnels.wanted import Wanted
from tunnelkit.wire import codes
from tunnelkit.wire.codes import ResetCode
from tunnelkit.wire.native.codec import said
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.native.login import Welcome
from tunnelkit.wire.native.messages import UDP, Closed, Drain, Start, Work

DISPLACED: Final = 15.0
"""Seconds that a client waits which another one has displaced, so that two live ones
cannot fight."""


class LineOwner(Protocol):
    """
    The client, as its line sees it.
    """

    def loggedIn(self, line: Line) -> None:
        """
        The server has let us in.
        """

    def started(self, work: IWorkEnd, start: Start) -> None:
        """
        A visitor came.
        """

    def openWork(self, line: Line, owner: IWorkOwner) -> Deferred[IWorkEnd]:
        """
        Open a work connection.
        """

    def dock(self) -> Dock | None:
        """
        Make what holds datagram carriers, where there is anything behind them.
        """

    def closed(self, closed: Closed) -> None:
        """
        The server has withdrawn a tunnel.
        """

    def away(self, reason: str, lasting: bool, wait: float = 0.0) -> None:
        """
        The server is not there any more, or not for us.

        @param lasting: whether trying again cannot be expected to help.
        @param wait: seconds to wait at least.
        """


class Line:
    """
    One login to the server, until its control channel ends.

    @ivar channel: the control channel.
    @ivar welcome: whether the server has let us in.
    """

    _log = Logger()
    channel: CallingChannel

    def __init__(self, client: LineOwner, reached: Reached) -> None:
        self._client = client
        self.welcome = False
        self._session = ""
        self._key = b""
        self._serial = 0
        self._bound = False
        self._vouched = {_hash(reached)}
        self._supply = Supply(self._openWork, self._started)
        self._dock = client.dock()

    def leave(self, reason: str) -> Deferred[None]:
        """
        Say good-bye.

        @return: fires when the control channel is gone.
        """
        return self.channel.leave(reason)

    def withdraw(self, tunnels: tuple[Wanted, ...]) -> None:
        """
        Withdraw tunnels.
        """
        for tunnel in tunnels:
            opened = bool(tunnel.address)
            tunnel.forget()
            if opened:
                self.channel.close(tunnel.spec.name).addErrback(lambda _: None)

    def dial(
        self, tunnel: str, kind: str = "private", sealed: bool = False
    ) -> Deferred[Any]:
        """
        Ask for a stream to a private tunnel that another client publishes, or, of
        C{private-udp}, for a flow.

        @param sealed: whether what is said there is encrypted from end to end.
        @return: the L{IStreamEnd<tunnelkit.interfaces.IStreamEnd>} of that stream, from
            which nothing is read before it is joined, or the flow's announcement and
            its carrier; fails with L{Refusal<tunnelkit.control.session.Refusal>}.
        """
        return self.channel.dial(tunnel, kind, sealed)

    def retired(self) -> bool:
        """
        Close the work connections, none of which carries a stream any more, and say
        whether all are gone: then the server has read what was sent on them.
        """
        return self._supply.retired()

    def workOpening(self, reached: Reached, route: Route) -> bytes:
        """
        Make the first message of a work connection.

        @raise Unreached: it shows a certificate that the control channel did not
            vouch for.
        """
        if self._bound and _hash(reached) not in self._vouched:
            raise Unreached(
                f"{route.server} shows a certificate on a work connection that it did "
                "not announce"
            )
        self._serial += 1
        shown = reached.seen if self._bound else None
        proof = workProof(self._key, self._serial, shown.certificate if shown else None)
        return said(Work(self._session, self._serial, proof))

    def _started(self, work: IWorkEnd, start: Start) -> None:
        if start.dial:
            if not self.channel.requests.answered(start.dial, Start, work):
                work.refuse(ResetCode.PEER, "the visitor has gone")
        elif start.kind == UDP and self._dock is not None:
            self._dock.carry(work)
        else:
            self._client.started(work, start)

    def _openWork(self, owner: IWorkOwner) -> Deferred[IWorkEnd]:
        return self._client.openWork(self, owner)

    # What the channel says.

    def loggedIn(self, welcome: Welcome, bound: bool) -> None:
        """
        The login is good.
        """
        try:
            self._key = bytes.fromhex(welcome.key)
        except ValueError:
            raise WireError("the session's key is not hexadecimal") from None
        self._session = welcome.session
        self._bound = bound
        self.welcome = True
        self._client.loggedIn(self)

    def wanted(self, count: int) -> None:
        """
        The server wants more work connections.
        """
        self._supply.want(count)

    def vouched(self, hashes: tuple[str, ...]) -> None:
        """
        Work connections may show these certificates.
        """
        self._vouched = set(hashes)

    def closed(self, closed: Closed) -> None:
        """
        The server has withdrawn a tunnel.
        """
        self._client.closed(closed)

    def drained(self, drain: Drain) -> None:
        """
        The server is about to stop; it says good-bye when it does.
        """
        self._log.info("the server stops within {n} seconds", n=drain.seconds)

    def parted(self, parting: Parting) -> None:
        """
        The control channel has ended: its work connections end with it.
        """
        self._supply.stop()
        if self._dock is not None:
            self._dock.close("the session is over")
        wait = DISPLACED if parting.code == codes.DISPLACED else 0.0
        self._client.away(parting.reason, not parting.retry, wait)


def _hash(reached: Reached) -> str:
    shown = reached.seen
    return hashlib.sha256(shown.certificate if shown else b"").hexdigest()
