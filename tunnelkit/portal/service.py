# -*- test-case-name: tests.portal.test_service -*-
"""
The service of a portal: near, far or rendezvous, with what belongs to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from twisted.application.service import IService, MultiService, Service
from twisted.application.strports import service as listening
from twisted.internet.error import CannotListenError
from twisted.logger import Logger
from twisted.web.resource import IResource

from tunnelkit.failures import StartFailed
from tunnelkit.portal.calling import Rendezvous
from tunnelkit.portal.control import ControlResource
from tunnelkit.portal.far import FarPortal
from tunnelkit.portal.meeting import Announcing, ByName
from tunnelkit.portal.near import NearPortal
from tunnelkit.portal.rendezvous.pages import RendezvousResource
from tunnelkit.portal.rendezvous.rates import Rates
from tunnelkit.portal.rendezvous.registry import Registry
from tunnelkit.portal.settings import PortalSettings, Surroundings
from tunnelkit.portal.web import makeSite
from tunnelkit.settings import ClientSettings

if TYPE_CHECKING:
    from tunnelkit.client import Client
    from tunnelkit.tunnels.spec import TunnelSpec


class PortalService(MultiService):
    """
    What C{twistd tunnelportal} runs.
    """

    async def drain(self, grace: float) -> None:
        """
        Nothing need be waited for: a datagram is gone as soon as it is there.
        """


class HTTP(MultiService):
    """
    Something that is served over HTTP.
    """

    _log = Logger()

    def __init__(self, what: str, where: str, inner: Service) -> None:
        """
        @param what: what it is, for the log.
        @param where: its strports description.
        @param inner: what listens.
        """
        super().__init__()
        self._what = what
        self._where = where
        inner.setServiceParent(self)

    def privilegedStartService(self) -> None:
        """
        Nothing yet: what cannot start says so when it is to.
        """

    def startService(self) -> None:
        """
        Listen.

        @raise StartFailed: that cannot be.
        """
        try:
            super().startService()
        except CannotListenError as e:
            raise StartFailed(
                f"the {self._what} cannot listen on {self._where}: {e.socketError}"
            ) from e
        self._log.info(
            "the {what} listens on {where}", what=self._what, where=self._where
        )


def makePortal(
    settings: PortalSettings, around: Surroundings, reactor: Any
) -> PortalService:
    """
    Make the service that settings describe.

    @param reactor: what listens for HTTP.
    """
    service = PortalService()

    def serve(what: str, where: str, root: IResource) -> None:
        site = makeSite(root, around.clock)
        inner = listening(where, site, reactor=reactor)
        HTTP(what, where, inner).setServiceParent(service)

    if settings.rendezvousAt:
        clock = around.clock
        registry = Registry(clock)
        root = RendezvousResource(registry, Rates(clock.seconds))
        serve("rendezvous", settings.rendezvousAt, root)
    rendezvous = _rendezvous(settings, around)
    if settings.far:
        far = _far(settings, around, rendezvous)
        far.setServiceParent(service)
        if settings.via is not None:
            # Not before that has its socket, to which this leads.
            _via(far, settings.via, around, reactor).setServiceParent(service)
    elif settings.leads or settings.control:
        near = _near(settings, around, rendezvous)
        near.setServiceParent(service)
        if settings.control:
            control = ControlResource(near, rendezvous, settings.controlToken)
            serve("control interface", settings.control, control)
    return service


def _rendezvous(settings: PortalSettings, around: Surroundings) -> Rendezvous | None:
    if not settings.rendezvous:
        return None
    return Rendezvous(settings.rendezvous, around.http, around.clock, settings.secret)


def _far(
    settings: PortalSettings, around: Surroundings, rendezvous: Rendezvous | None
) -> FarPortal:
    far = FarPortal(settings, around)
    if rendezvous is not None:
        far.announcing = Announcing(
            rendezvous,
            settings.name,
            lambda: far.candidates,
            far.punch,
            around.clock,
        )
    return far


def _via(
    far: FarPortal, settings: ClientSettings, around: Surroundings, reactor: Any
) -> IService:
    # A client is loaded where there is one.
    from tunnelkit.client import makeClient
    from tunnelkit.portal.via import Via

    def make(spec: TunnelSpec, changed: Callable[[], None]) -> Client:
        return makeClient(
            replace(settings, tunnels=(spec,)),
            reactor,
            around.random,
            lambda sentence: None,  # Who is patient does not fail.
            changed,
            patient=True,
        )

    return Via(far, make)


def _near(
    settings: PortalSettings, around: Surroundings, rendezvous: Rendezvous | None
) -> NearPortal:
    near = NearPortal(settings, around)
    if rendezvous is not None:
        near.finder = lambda name: ByName(
            rendezvous, name, lambda: near.candidates, around.clock
        )
    return near
