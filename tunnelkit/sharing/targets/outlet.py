# -*- test-case-name: tests.sharing.test_targets -*-
"""
Outlet: what is written to a target, and how much of that was sent.
"""

from __future__ import annotations

from typing import Any

from tunnelkit.relay.connection import unwritten


class Outlet:
    """
    @ivar written: how many bytes were written.
    """

    def __init__(self, transport: Any) -> None:
        self.written = 0
        self._transport = transport

    def write(self, data: bytes) -> None:
        """
        Write bytes.
        """
        self._transport.write(data)
        self.written += len(data)

    @property
    def sent(self) -> int | None:
        """
        How many of them the kernel has, or had when the connection was lost; None where
        that is not known.
        """
        left = unwritten(self._transport)
        return None if left is None else self.written - left
