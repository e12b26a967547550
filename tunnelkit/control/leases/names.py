# -*- test-case-name: tests.control.leases.test_names -*-
"""
Name leases: who owns the name of a private tunnel.  It belongs to one user of the
server, whichever client publishes it, while its session lives and for a day after.

A name is kept as a port is: it has a number, which means nothing else.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from tunnelkit.control.leases.claims import Denied
from tunnelkit.control.leases.ports import Leases
from tunnelkit.state.lease import Lease
from tunnelkit.wire import codes

SPACE: Final = "private"
"""The space of names, as the store calls it."""


class NameLeases(Leases):
    """
    The leases of names.
    """

    def __init__(self, *args: Any, **named: Any) -> None:
        self._numbers: dict[str, int] = {}
        self._next = 1
        super().__init__(*args, space=SPACE, **named)

    def claim(
        self,
        user: str,
        client: str,
        tunnel: str,
        port: int,
        holder: object,
        lasting: bool = True,
        avoid: Collection[int] = (),
    ) -> Lease:
        """
        Make the lease of a tunnel's name live.

        @param port: means nothing here.
        @raise Denied: it belongs to another user.
        @raise Contested: another live holder of this user has it.
        """
        number = self._numbers.get(tunnel, self._next)
        return super().claim(user, client, tunnel, number, holder, lasting)

    def holder(self, name: str) -> Any:
        """
        Give who holds a name now, or None.
        """
        claim = self._claims.get(self._numbers.get(name, 0))
        return None if claim is None else claim.holder

    def _demand(self, user: str, port: int, avoid: Collection[int]) -> None:
        lease = self._current(port)
        if lease is not None and lease.user != user:
            raise Denied(
                codes.NAME_LEASED,
                f"the name {lease.tunnel} belongs to another user: give the tunnel"
                " another with name=NAME",
            )

    def _put(self, lease: Lease) -> None:
        super()._put(lease)
        self._numbers[lease.tunnel] = lease.port
        self._next = max(self._next, lease.port + 1)

    def _remove(self, port: int) -> None:
        lease = self._leases.get(port)
        if lease is not None:
            self._numbers.pop(lease.tunnel, None)
        super()._remove(port)
