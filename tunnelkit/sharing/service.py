# -*- test-case-name: tests.sharing.test_service -*-
"""
The service of a share: where clients come, and where its numbers are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from tunnelkit.relay.endpoints import BACKLOG, One, endpointOf
from tunnelkit.sharing.doors import Door
from tunnelkit.sharing.pool import Pool
from tunnelkit.sharing.settings import ShareSettings
from tunnelkit.sharing.targets.dialling import Connect
from tunnelkit.wire.address import HostPort

MakeSite: TypeAlias = Callable[[Pool, str], IProtocolFactory]
"""Makes the site of the metrics, locked with a token where that is not empty."""

_LAST: float = 1.0
"""Seconds that those have who are told to go when the time is up."""


class Clients(Factory):
    """
    Makes clients' protocols.
    """

    noisy = False

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def buildProtocol(self, address: IAddress | None) -> IProtocol:  # type: ignore[override]
        """
        Make one.
        """
        return self._pool.client()


class Listening(Service):
    """
    Something that listens.
    """

    _log = Logger()

    def __init__(
        self,
        what: str,
        option: str,
        where: str,
        factory: Any,
        reactor: Any,
        failed: Callable[[str], None],
    ) -> None:
        """
        @param what: what it is, for the log.
        @param option: what says where.
        @param where: its strports description.
        @param failed: told, in one sentence, of a failure when it has started.
        """
        self._what = what
        self._where = where.removesuffix(f":backlog={BACKLOG}")
        self._endpoint = serverFromString(reactor, where)
        self._factory = factory
        self._door = Door(f"{option} {self._where}", failed)

    def startService(self) -> None:
        """
        Listen.

        @raise StartFailed: that cannot be.
        """
        super().startService()
        self._door.open(self._endpoint, self._factory)
        self._log.info("{what} on {where}", what=self._what, where=self._where)

    def stopService(self) -> Deferred[Any]:
        """
        Listen no more.
        """
        super().stopService()
        return self._door.close()


class ShareService(MultiService):
    """
    What C{twistd tunnelshare} runs.
    """

    def __init__(self, pool: Pool, door: Listening, clock: Any) -> None:
        """
        @param door: where clients come.
        """
        super().__init__()
        self._pool = pool
        self._door = door
        self._clock = clock
        door.setServiceParent(self)

    def startService(self) -> None:
        """
        Listen, and connect to the target.
        """
        super().startService()
        self._pool.start()

    async def drain(self, grace: float) -> None:
        """
        Take no more clients and no more requests, and see that those that are here are
        answered.

        @param grace: seconds that they have.
        """
        if self._door.running:
            await self._door.disownServiceParent()
        await self._within(grace, self._pool.drain())
        self._pool.stop()
        await self._within(_LAST, self._pool.drain())

    async def _within(self, seconds: float, gone: Deferred[None]) -> None:
        late = self._clock.callLater(seconds, gone.cancel)
        gone.addErrback(lambda _: None)  # the time is up
        await gone
        if late.active():
            late.cancel()

    def stopService(self) -> Deferred[None]:
        """
        Stop at once.
        """
        self._pool.stop()
        stopped = super().stopService()
        return succeed(None) if stopped is None else stopped


def connector(reactor: Any, target: HostPort | str, patience: float) -> Connect:
    """
    Make what connects to the target.

    @param patience: seconds that each of its addresses has.
    """
    if isinstance(target, HostPort):
        endpoint = endpointOf(reactor, target, patience)
    else:
        endpoint = clientFromString(reactor, target)

    def connect(protocol: IProtocol) -> Deferred[IProtocol]:
        connected: Deferred[IProtocol] = endpoint.connect(One(protocol))
        return connected

    return connect


def makeShare(
    settings: ShareSettings,
    reactor: Any,
    random: Callable[[], float],
    site: MakeSite,
    failed: Callable[[str], None],
) -> ShareService:
    """
    Make the service that settings describe.

    @param random: gives numbers from 0 to below 1.
    @param site: makes the site of the metrics.
    @param failed: told, in one sentence, of a failure that no waiting can mend.
    """
    bounds = settings.bounds
    connect = connector(reactor, settings.target, bounds.dialling)
    pool = Pool(connect, settings.framing, bounds, reactor, random)
    door = Listening(
        f"sharing {settings.target}",
        "--listen",
        settings.listen,
        Clients(pool),
        reactor,
        failed,
    )
    service = ShareService(pool, door, reactor)
    if settings.admin is not None:
        made = site(pool, settings.adminToken)
        metrics = Listening("metrics", "--admin", settings.admin, made, reactor, failed)
        metrics.setServiceParent(service)
    return service
