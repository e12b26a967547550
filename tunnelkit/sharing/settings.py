"""
Settings: what a share is told to do, checked and complete.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tunnelkit.sharing.bounds import Bounds
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.framings.contract import Framing


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareSettings:
    """
    @ivar listen: where clients connect: a strports description.
    @ivar target: where the target is: an address, or a client endpoint description.
    @ivar framing: how its protocol is cut into requests and replies.
    @ivar admin: where metrics are: a strports description, or None.
    @ivar adminToken: what who looks at them must know; empty for nothing.
    @ivar grace: for how many seconds requests may go on when it is to stop.
    """

    listen: str
    target: HostPort | str
    framing: Framing
    bounds: Bounds = field(default_factory=Bounds)
    admin: str | None = None
    adminToken: str = field(default="", repr=False)
    grace: float = 10.0
