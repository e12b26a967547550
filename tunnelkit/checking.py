# -*- test-case-name: tests.test_checking -*-
"""
Checking: whether a server can be used from here, tried from end to end.

A tunnel to an echo of its own is opened under a random name that leaves no lease, and
gone through from the outside, as a visitor would.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Final, TypeAlias, cast
from urllib.parse import urlsplit

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, TimeoutError, maybeDeferred
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.python.failure import Failure

from tunnelkit.carrier.route import Unreached
from tunnelkit.client import Client, makeClient, makeRoute
from tunnelkit.relay.endpoints import IPortableReactor, One, endpointOf
from tunnelkit.relay.portable.relay import PortableRelay
from tunnelkit.settings import ClientSettings
from tunnelkit.tunnels.spec import TunnelSpec
from tunnelkit.wire.address import HostPort

PATIENCE: Final = 20.0
"""Seconds for each step."""
_PARTING: Final = 1.0
_TRIPS: Final = 9
_SMALL: Final = 64
_LARGE: Final = 1 << 20

_Words: TypeAlias = Coroutine[Deferred[object], object, str]


@dataclass(frozen=True, slots=True)
class Step:
    """
    One thing that was tried.

    @ivar name: what it was.
    @ivar words: how it went.
    @ivar seconds: how long it took; None where it failed.
    """

    name: str
    words: str
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """
    What was tried, in order; nothing is tried behind what failed.
    """

    steps: tuple[Step, ...]

    @property
    def good(self) -> bool:
        """
        Whether all of it works.
        """
        return all(step.seconds is not None for step in self.steps)


class CheckFailed(Exception):
    """
    A step failed; the text says why.
    """


class _Echo(Protocol):
    """
    Gives back what comes.
    """

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


class _Echoes(ServerFactory):
    """
    Makes echoes.
    """

    noisy = False
    protocol = _Echo


class Visitor(Protocol):
    """
    Comes to the tunnel from the outside and expects to hear its own words.
    """

    def __init__(self) -> None:
        self._expected = b""
        self._heard: Deferred[None] | None = None

    def ask(self, words: bytes) -> Deferred[None]:
        """
        Say something.

        @return: fires when all of it came back.
        """
        assert self.transport is not None
        self._expected = words
        self._heard = Deferred()
        self.transport.write(words)
        return self._heard

    def dataReceived(self, data: bytes) -> None:
        """
        Compare what comes back.
        """
        if not self._expected.startswith(data):
            self._end(Failure(CheckFailed("other bytes came back than went out")))
            return
        self._expected = self._expected[len(data) :]
        if not self._expected:
            self._end(None)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """
        The tunnel did not hold.
        """
        self._end(Failure(CheckFailed("the connection was closed or reset")))

    def _end(self, result: Failure | None) -> None:
        heard, self._heard = self._heard, None
        if heard is not None:
            heard.callback(result)


class Check:
    """
    One check of one server.
    """

    def __init__(
        self,
        settings: ClientSettings,
        reactor: IPortableReactor,
        random: Callable[[int], bytes],
    ) -> None:
        """
        @param settings: those of a client; its tunnels are left out.
        @param random: gives so many random bytes, such as C{os.urandom}.
        """
        self._settings = settings
        self._reactor = reactor
        self._random = random
        self._steps: list[Step] = []
        self._client: Client | None = None
        self._visitor: Visitor | None = None

    async def run(self) -> Report:
        """
        Try it all.
        """
        echo = self._reactor.listenTCP(0, _Echoes(), interface="127.0.0.1")
        port: int = cast(IPv4Address, echo.getHost()).port
        try:
            for name, step in (
                ("server", self._reach),
                ("tunnel", lambda: self._open(port)),
                ("visitor", self._visit),
                ("round trip", self._goThrough),
                ("1 MiB", self._carry),
            ):
                if not await self._try(name, step):
                    break
        finally:
            await self._tidy()
            await maybeDeferred(echo.stopListening)
        return Report(tuple(self._steps))

    async def _try(self, name: str, step: Callable[[], _Words]) -> bool:
        began = self._reactor.seconds()
        tried = Deferred.fromCoroutine(step()).addTimeout(PATIENCE, self._reactor)
        try:
            words = await tried
        except (CheckFailed, Unreached) as e:
            self._steps.append(Step(name, str(e), None))
            return False
        except TimeoutError:
            words = f"took more than {PATIENCE:.0f} seconds"
            self._steps.append(Step(name, words, None))
            return False
        taken = self._reactor.seconds() - began
        self._steps.append(Step(name, words, taken))
        return True

    async def _reach(self) -> str:
        relay = PortableRelay(self._reactor)
        reached = await makeRoute(self._settings, self._reactor, relay).open()
        reached.connection.transport.abortConnection()
        if reached.seen is None:
            return f"{self._settings.server} is reached, in plain TCP"
        digest = hashlib.sha256(reached.seen.certificate).hexdigest()
        return f"{self._settings.server} is reached, its certificate sha256:{digest}"

    async def _open(self, port: int) -> str:
        answered: Deferred[None] = Deferred()

        def failed(reason: str) -> None:
            if not answered.called:
                answered.errback(CheckFailed(reason))

        def changed() -> None:
            if not answered.called and client.tunnels[0].address:
                answered.callback(None)

        spec = TunnelSpec(
            kind="tcp",
            local=HostPort("127.0.0.1", port),
            name=f"check-{self._random(8).hex()}",
        )
        settings = replace(self._settings, tunnels=(spec,), name=spec.name)
        self._client = client = makeClient(
            settings, self._reactor, self._random, failed, changed, lease=False
        )
        client.startService()
        await answered
        return f"logged in, and {client.tunnels[0].address} is open"

    async def _visit(self) -> str:
        assert self._client is not None, "the steps before this one"
        address = self._client.tunnels[0].address
        place = urlsplit(address)
        public = HostPort(place.hostname or "", place.port or 0)
        visitor = Visitor()
        try:
            await endpointOf(self._reactor, public, PATIENCE).connect(One(visitor))
        except (ConnectError, DNSLookupError) as e:
            raise CheckFailed(
                f"a visitor cannot connect to {address} from here: {e} (does a "
                "firewall before the server let that port through?)"
            ) from e
        self._visitor = visitor
        await visitor.ask(self._random(_SMALL))
        return f"a visitor came in at {address} and was answered"

    async def _goThrough(self) -> str:
        assert self._visitor is not None, "the steps before this one"
        trips = []
        for _ in range(_TRIPS):
            began = self._reactor.seconds()
            await self._visitor.ask(self._random(_SMALL))
            trips.append(self._reactor.seconds() - began)
        middle = sorted(trips)[_TRIPS // 2]
        return f"{middle * 1000:.2f} ms in the middle of {_TRIPS}"

    async def _carry(self) -> str:
        assert self._visitor is not None, "the steps before this one"
        began = self._reactor.seconds()
        await self._visitor.ask(self._random(_LARGE))
        taken = max(self._reactor.seconds() - began, 1e-6)
        return f"there and back, {_LARGE / taken / 1e6:.1f} MB/s each way"

    async def _tidy(self) -> None:
        if self._visitor is not None and self._visitor.transport is not None:
            self._visitor.transport.loseConnection()
        if self._client is not None:
            await self._client.drain(_PARTING)
            self._client.stopService()


def runCheck(
    settings: ClientSettings, reactor: IPortableReactor, random: Callable[[int], bytes]
) -> Deferred[Report]:
    """
    Check a server.

    @return: what works; it does not fail.
    """
    return Deferred.fromCoroutine(Check(settings, reactor, random).run())
