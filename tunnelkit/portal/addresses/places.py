# -*- test-case-name: tests.portal.flows.test_exits -*-
"""
Places: hosts by name, of which the addresses are looked up again from time to time, and
never while somebody waits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Final, TypeAlias

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tunnelkit.portal.addresses.sockets import Address
from tunnelkit.wire.address import HostPort

STALE: Final = 60.0
"""Seconds after which a name is looked up again, when it is needed."""
PATIENCE: Final = 10.0
"""Seconds that looking up may take."""

Resolve: TypeAlias = Callable[[str, int], Deferred[Sequence[Address]]]
"""Looks a name up; what fails there is an C{OSError}."""


class Place:
    """
    A host and a port.

    @ivar addresses: its addresses, as far as they are known.
    """

    _log = Logger()

    def __init__(self, target: HostPort, resolve: Resolve, clock: IReactorTime) -> None:
        self.addresses: tuple[Address, ...] = ()
        self.target = target
        self._resolve = resolve
        self._clock = clock
        self._since: float | None = None
        self._under: Deferred[None] | None = None
        self._complained = False
        try:
            self.addresses = ((str(ip_address(target.host)), target.port),)
            self._literal = True
        except ValueError:
            self._literal = False

    def first(self) -> Address | None:
        """
        Give one address, if any is known, and see to it that it is known the next time.
        """
        self.refresh()
        return self.addresses[0] if self.addresses else None

    def ofEachFamily(self) -> list[Address]:
        """
        Give the first address of each family, and see to it that they are known the
        next time.
        """
        self.refresh()
        found: dict[bool, Address] = {}
        for address in self.addresses:
            found.setdefault(":" in address[0], address)
        return list(found.values())

    def turn(self) -> None:
        """
        Nobody is at the first address: give the others their turn.
        """
        self.addresses = self.addresses[1:] + self.addresses[:1]

    def refresh(self) -> None:
        """
        Look the name up, unless that was done of late.
        """
        now = self._clock.seconds()
        fresh = self._since is not None and now - self._since < self._patience()
        if self._literal or fresh:
            return
        self._since = now
        found = self._resolve(self.target.host, self.target.port)
        found.addTimeout(PATIENCE, self._clock)
        self._under = found.addCallbacks(self._found, self._failed)

    def stop(self) -> None:
        """
        Wait for nothing any more.
        """
        under, self._under = self._under, None
        if under is not None:
            under.cancel()

    def _patience(self) -> float:
        return STALE if self.addresses else 5.0

    def _found(self, addresses: Sequence[Address]) -> None:
        self._under = None
        self._complained = False
        if addresses:
            self.addresses = tuple(addresses)

    def _failed(self, failure: Failure) -> None:
        self._under = None
        if not self._complained and not failure.check(CancelledError):
            self._complained = True
            self._log.warn(
                "{host} is not found: {error}; it is looked up again and again",
                host=self.target.host,
                error=failure.getErrorMessage(),
            )
