# -*- test-case-name: tests.tunnels.private.test_visit -*-
"""
Visit: a listener on the client's side whose visitors are brought to a private tunnel
of another client.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from twisted.internet.defer import CancelledError, Deferred, fail, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelkit.control.names import legible
from tunnelkit.control.session import Refusal
from tunnelkit.failures import StartFailed
from tunnelkit.interfaces import IEnd, IJoin, IRelay, IStreamEnd, Outcome
from tunnelkit.relay.wrapping.sealing import Sealing
from tunnelkit.tunnels.bursts import Bursts
from tunnelkit.tunnels.private.spec import VisitSpec, deaf, warnOfPlace
from tunnelkit.wire.codes import BUSY, ResetCode

WAITING: Final = 4096
"""Visitors of one listener that may wait for the tunnel."""

Dialled: TypeAlias = Deferred[IStreamEnd]
Dial: TypeAlias = Callable[[str, str, bool], Dialled]
"""Asks for a stream: of a tunnel's name, its kind, and whether it is encrypted from
end to end; fails with L{Refusal}."""


class Visits:
    """
    Visitors of this client's own at private tunnels, dialled and joined.
    """

    _log = Logger()

    def __init__(
        self, relay: IRelay, clock: IReactorTime, dial: Dial, name: str
    ) -> None:
        """
        @param name: what the log calls where they come to.
        """
        self._relay = relay
        self._dial = dial
        self._name = name
        self._joins: set[IJoin] = set()
        self._dialling: dict[Dialled, None] = {}
        self._bursts = Bursts(self._say, clock)

    @property
    def streams(self) -> int:
        """
        How many visitors are at tunnels, or on their way.
        """
        return len(self._joins) + len(self._dialling)

    def bring(self, visitor: IEnd, tunnel: str, sealing: Sealing | None) -> None:
        """
        Bring a visitor to a tunnel, or reset it.

        @param sealing: what is said there is encrypted by, or None.
        """
        dialled = self.dial(tunnel, sealing is not None)
        dialled.addCallbacks(
            self.join,
            self._ebDial,
            callbackArgs=(visitor, sealing),
            errbackArgs=(visitor,),
        )
        dialled.addErrback(self.bug)

    def dial(self, tunnel: str, sealed: bool) -> Dialled:
        """
        Ask for a stream to a tunnel.

        @return: fails with L{Refusal}.
        """
        if len(self._dialling) >= WAITING:
            return fail(Refusal(BUSY, "too many visitors at once"))
        dialled = self._dial(tunnel, "private", sealed)
        self._dialling[dialled] = None
        return dialled.addBoth(self._over, dialled)

    def join(self, work: IStreamEnd, visitor: IEnd, sealing: Sealing | None) -> None:
        """
        Join a visitor to what was dialled.
        """
        try:
            end = work if sealing is None else sealing.end(work, client=True)
            join = self._relay.join(visitor, end, b"")
        except Exception:
            work.refuse(ResetCode.INTERNAL, "the client has a bug: see its log")
            visitor.abort()
            raise
        self._joins.add(join)
        join.tell(self._ended)

    def note(self, reason: str) -> None:
        """
        Say, once a burst, why visitors are reset.
        """
        self._bursts.note(reason)

    def cut(self, reason: str) -> None:
        """
        Reset all streams under way, and those to be.
        """
        for dialled in [*self._dialling]:
            dialled.cancel()
        for join in [*self._joins]:
            join.abort(ResetCode.STOPPING, reason)
        self._bursts.stop()

    def _over(self, result: object, dialled: Dialled) -> object:
        self._dialling.pop(dialled, None)
        return result

    def _ended(self, join: IJoin, outcome: Outcome) -> None:
        self._joins.discard(join)
        # What a visitor or the service did by itself is no trouble of the tunnel's.
        if outcome.code not in (ResetCode.ENDED, ResetCode.PEER):
            self.note(outcome.reason)

    def _ebDial(self, failure: Failure, visitor: IEnd) -> None:
        visitor.abort()
        self.failed(failure)

    def failed(self, failure: Failure) -> None:
        """
        Say why a visitor could not be brought to a tunnel.
        """
        refusal = failure.value
        if isinstance(refusal, Refusal):
            self.note(refusal.reason)
        elif not failure.check(CancelledError):
            self.bug(failure)

    def bug(self, failure: Failure) -> None:
        """
        Say that there is a bug of ours.
        """
        self._log.failure("a bug at {name}", failure, name=self._name)

    def _say(self, sentence: str) -> None:
        self._log.warn(
            "visitors of {name} are reset: {sentence}",
            name=self._name,
            sentence=legible(sentence, 500),
        )


class Visit:
    """
    One listener.

    @ivar visits: those who came.
    """

    _log = Logger()

    def __init__(
        self, spec: VisitSpec, relay: IRelay, clock: IReactorTime, dial: Dial
    ) -> None:
        self._spec = spec
        self._relay = relay
        self._port: IListeningPort | None = None
        self.visits = Visits(relay, clock, dial, spec.name)
        self._sealing: Sealing | None = None
        if spec.key is not None:
            self._sealing = Sealing(spec.key, spec.name, clock)

    def start(self) -> None:
        """
        Take visitors from now on.

        @raise StartFailed: the address cannot be had.
        """
        spec = self._spec
        try:
            self._port = self._relay.listen(spec.at, self._arrived)
        except CannotListenError as e:
            raise StartFailed(deaf(spec, e)) from e
        except OSError as e:  # of the lock beside a socket's path
            raise StartFailed(
                f"--visit {spec.name}: cannot listen on {spec.at}: {e.strerror}: name"
                " a path in a directory that is there and that the client may write"
            ) from e
        self._log.info(
            "{at} leads to the private tunnel {name}", at=str(spec.at), name=spec.name
        )
        warnOfPlace(spec.at, spec.name)

    @property
    def streams(self) -> int:
        """
        How many visitors are at the tunnel, or on their way.
        """
        return self.visits.streams

    def cut(self, reason: str) -> None:
        """
        Reset all streams under way, and those to be.
        """
        self.visits.cut(reason)

    def stop(self) -> Deferred[object] | None:
        """
        Take no more visitors; streams under way go on.
        """
        port, self._port = self._port, None
        return None if port is None else maybeDeferred(port.stopListening)

    def _arrived(self, visitor: IEnd) -> None:
        self.visits.bring(visitor, self._spec.name, self._sealing)
