# -*- test-case-name: tests.portal.flows.test_tagged -*-
"""
The compatible mode's way to a far portal: an address, and nothing to know whether
anybody is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from twisted.internet.interfaces import IReactorTime

from tunnelkit.portal.addresses.sockets import Address
from tunnelkit.wire.portal.tags import tagged

SILENT: Final = 5.0
"""When a new sender comes and the far portal was silent for so many seconds, it is
sought again, as its NAT may have forgotten this side."""

UNSURE: Final = 30.0
"""For so many seconds from its start it is looked whether the far portal is elsewhere,
unless it was heard: it may have said where it is before it knew that well."""


class TaggedWay:
    """
    A way to one far portal.

    @ivar path: its address, None while it is not known.
    @ivar heard: when it was heard last, None for never.
    @ivar changed: told when its address is another.
    """

    relayed = False

    def __init__(
        self, clock: IReactorTime, send: Callable[[bytes, Address], bool]
    ) -> None:
        """
        @param send: sends a packet.
        """
        self.path: Address | None = None
        self.heard: float | None = None
        self.changed: Callable[[], object] = lambda: None
        self._clock = clock
        self._send = send
        self._wanted = True
        self._since = clock.seconds()

    @property
    def seeking(self) -> bool:
        """
        Whether it should be found out, or opened anew, where the far portal is.
        """
        unsure = self.heard is None and self._clock.seconds() - self._since < UNSURE
        return self.path is None or unsure or self._wanted

    def lead(self, direct: Iterable[Address], relays: Iterable[Address] = ()) -> None:
        """
        Say where the far portal is.
        """
        before, self.path = self.path, next(iter(direct), self.path)
        self._wanted = False
        if self.path != before:
            self.changed()

    def start(self) -> None:
        """
        Nothing need be kept up.
        """

    def stop(self) -> None:
        """
        Nor let go.
        """

    def send(self, flow: int, datagram: bytes) -> bool:
        """
        Send a datagram.
        """
        return self.path is not None and self._send(tagged(flow, datagram), self.path)

    def punched(self, source: Address) -> None:
        """
        The far portal opens its NAT, so it is there.
        """
        if source == self.path:
            self.heard = self._clock.seconds()

    def came(self) -> None:
        """
        There is a new sender: see whether the far portal is still there.
        """
        now = self._clock.seconds()
        if self.heard is None or now - self.heard > SILENT:
            self._wanted = True
