# -*- test-case-name: tests.dialects.pipe.abroad.test_client -*-
"""
Forwarding: one forward, as a client of ours keeps it open at a server of pipe's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred, TimeoutError, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelkit.carrier.route import Reached
from tunnelkit.control.comeback import Comeback
from tunnelkit.control.session import Refusal
from tunnelkit.dialects.abroad import Means
from tunnelkit.dialects.pipe.abroad.asking import Asking
from tunnelkit.dialects.pipe.abroad.bringing import Bringing
from tunnelkit.dialects.pipe.abroad.ways import CLOSING, Ways
from tunnelkit.tunnels.local import LocalTCP
from tunnelkit.tunnels.localudp import LocalUDP
from tunnelkit.tunnels.wanted import Wanted
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.codes import INTERNAL
from tunnelkit.wire.native.messages import Closed, Open, Opened
from tunnelkit.wire.pipe.packets import Cancel, Exchange, Forward, Forwarded

CLOSINGS: Final = 3
"""Logins in a row that a server that was never good to us closes without an answer,
until that is taken for its answer."""


class Forwarding:
    """
    One forward.  Towards its L{Wanted} it is the control channel, whose every request
    is a connection of its own.

    @ivar wanted: the tunnel, as the user wants it.
    """

    _log = Logger()

    def __init__(
        self,
        wanted: Wanted,
        local: LocalTCP | LocalUDP,
        ways: Ways,
        means: Means,
        gone: Callable[[Forwarding], None],
    ) -> None:
        """
        @param gone: told when the control connection is lost, before it is made again.
        """
        self.wanted = wanted
        self._ways = ways
        self._gone = gone
        spec = wanted.spec
        self._request = Forward(spec.port, spec.name, spec.subdomain, spec.kind)
        self._comeback = Comeback(
            ways.open, self._reached, means.reactor, means.chance, means.failed
        )
        self._clock = means.reactor
        self._bringing = Bringing(spec, local, ways, means, self._unserved)
        self._asking: Asking | None = None
        self._opening: Deferred[Opened] | None = None
        self._connecting = False
        self._open = False
        self._ours = False  # a server that lives on may hold the port for us
        self._closings = 0
        self._unanswered = False
        self._parting: Deferred[None] | None = None

    def start(self) -> None:
        """
        Ask for the port, and keep it.
        """
        self.wanted.ask(self)

    def withdraw(self) -> None:
        """
        Have no more visitors sent.  The control connection stays until they have gone:
        a server of ours resets them with it.
        """
        self._rest()
        if self._open:
            self._cancel()

    def leave(self) -> Deferred[None]:
        """
        Give the port back, and close what is open.

        @return: fires when the server knows.
        """
        self._rest()
        parting: Deferred[None] = succeed(None)
        if self._unanswered:
            # A stock server that opens the port now would keep it for ever.
            self._parting = parting = Deferred()
            parting.addTimeout(CLOSING, self._clock).addErrback(_late)
        return parting.addCallback(self._left)

    # What the tunnel asks.

    def open(self, request: Callable[[int], Open]) -> Deferred[Opened]:
        """
        Ask for the port.
        """
        self._opening = Deferred()
        if not self._connecting:
            self._connecting = True
            self._comeback.start()
        return self._opening

    def close(self, tunnel: str) -> Deferred[Closed]:
        """
        Do nothing: it is asked for in no way that the server could misunderstand.
        """
        return succeed(Closed(tunnel))

    # What the control connection says.

    def answered(self, answer: Forwarded) -> None:
        """
        The server has said whether the port is open.
        """
        opening, self._opening = self._opening, None
        if opening is None:
            # Stock servers say so later, too, and mean nothing.
            self._open = answer.good if self._unanswered else self._open
            self._heard()
            return
        self._heard()
        self._closings = 0
        if answer.good:
            self._open = self._ours = True
            self._comeback.good()
            opening.callback(Opened(1, self.wanted.spec.name, self._address(answer)))
            return
        self._drop()
        if self._ours and not answer.reason:
            self._opening = opening
            self._takeBack()
            return
        self._connecting = False
        self._comeback.stop()
        opening.errback(self._refusal(answer.reason))

    def exchange(self, exchange: Exchange) -> None:
        """
        A visitor is there.
        """
        self._bringing.bring(exchange)

    def lost(self, reason: str) -> None:
        """
        The control connection is gone.
        """
        asked = self._opening is not None
        self._asking = None
        self._open = False
        self._heard()
        self._bringing.close()
        self._gone(self)
        if not self._connecting:
            return
        if not asked:
            self.wanted.ask(self)
        self._closings += asked
        self._comeback.lost(reason, self._closings >= CLOSINGS)

    # Inside.

    def _reached(self, reached: Reached) -> None:
        self._unanswered = True
        self._asking = Asking(self, self._ways.server, self._clock)
        reached.connection.hold(self._asking)
        reached.connection.transport.write(self._ways.opening(self._request))

    def _unserved(self, reason: str) -> None:
        """
        The server has to be asked anew, or it serves nobody.
        """
        if self._asking is not None:
            self._asking.fail(reason)

    def _rest(self) -> None:
        self._connecting = False
        self._opening = None
        self._comeback.stop()
        self.wanted.forget()

    def _left(self, result: None) -> Deferred[None]:
        leaving = self._cancel() if self._open else succeed(None)
        self._drop()
        return leaving

    def _heard(self) -> None:
        self._unanswered = False
        parting, self._parting = self._parting, None
        if parting is not None and not parting.called:
            parting.callback(None)

    def _drop(self) -> None:
        asking, self._asking = self._asking, None
        self._open = False
        self._bringing.close()
        if asking is not None:
            asking.close()

    def _cancel(self) -> Deferred[None]:
        self._open = self._ours = False
        return self._ways.cancel(Cancel(self._request.name, self._request.port))

    def _takeBack(self) -> None:
        """
        A server that lives on holds the port for the connection that we have lost: a
        stock one does so for ever.
        """
        self._cancel().addCallback(
            lambda _: self._comeback.lost(
                f"{self._ways.server} still holds port {self._request.port} for the"
                " connection that was lost; it is taken back"
            )
        )

    def _address(self, answer: Forwarded) -> str:
        spec = self.wanted.spec
        public = f"{spec.kind}://{HostPort(self._ways.host, spec.port)}"
        # A stock server says ".DOMAIN" where it made a name up that nobody is told.
        if answer.domain and not answer.domain.startswith("."):
            return f"https://{answer.domain} ({public})"
        return public

    def _refusal(self, reason: str) -> Refusal:
        if reason:  # a server of ours says why, and holds no port for the dead
            return Refusal(INTERNAL, reason, retry=True)
        port = self._request.port
        return Refusal(
            INTERNAL,
            f"{self._ways.server} does not forward port {port}, and pipe says no more:"
            " its log may; another client may have the port, or one that has died (a"
            " stock server keeps the port of such a one until it is restarted)",
            retry=True,
        )


def _late(failure: Failure) -> None:
    failure.trap(TimeoutError)
