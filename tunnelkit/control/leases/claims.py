# -*- test-case-name: tests.control.leases.test_ports -*-
"""
Claims: what makes a lease live, why one cannot be, and leases by what they share.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tunnelkit.state.lease import Lease

_Key = TypeVar("_Key", bound=Hashable)


class Denied(Exception):
    """
    A port is not to be had.

    @ivar code: why, from L{tunnelkit.wire.codes}.
    @ivar reason: why and what to do, in words for the client's user.
    @ivar retry: whether asking again later may succeed.
    """

    def __init__(self, code: str, reason: str, retry: bool = True) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.retry = retry


class Contested(Exception):
    """
    A port is held by another live session of the same user: whoever asks finds out
    whether that one still answers.

    @ivar lease: the lease, which says what it is used for.
    @ivar holder: who holds it.
    """

    def __init__(self, lease: Lease, holder: Any) -> None:
        super().__init__(f"port {lease.port} is held by another session")
        self.lease = lease
        self.holder = holder


@dataclass(frozen=True, slots=True)
class Claim:
    """
    What makes a lease live.

    @ivar before: the unused lease that it was, or None.
    """

    holder: object
    lasting: bool
    before: Lease | None


class Index(Generic[_Key]):
    """
    Ports by something that many may share, in the order in which they came.
    """

    def __init__(self) -> None:
        self._ports: dict[_Key, dict[int, None]] = {}

    def add(self, key: _Key, port: int) -> None:
        self._ports.setdefault(key, {})[port] = None

    def discard(self, key: _Key, port: int) -> None:
        ports = self._ports.get(key, {})
        ports.pop(port, None)
        if not ports:
            self._ports.pop(key, None)

    def of(self, key: _Key) -> list[int]:
        return list(self._ports.get(key, ()))
