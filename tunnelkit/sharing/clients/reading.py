# -*- test-case-name: tests.sharing.test_bounds -*-
"""
Reading: whether a client reads what it is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from tunnelkit.sharing.bounds import Bounds
from tunnelkit.sharing.limits import Limits

if TYPE_CHECKING:
    from tunnelkit.sharing.targets.line import TargetLine


class Client(Protocol):
    """
    Who reads.
    """

    def drained(self) -> None:
        """
        It has read all.
        """

    def stalled(self) -> None:
        """
        It has not read for too long.
        """


@implementer(IPushProducer)
class Reading:
    """
    The half of a client's connection on which it is told something.

    @ivar choked: whether it has much to read at the moment, and does not.
    """

    def __init__(self, client: Client, bounds: Bounds, limits: Limits) -> None:
        self.choked = False
        self._client = client
        self._bounds = bounds
        self._limits = limits
        self._holding: TargetLine | None = None

    def pauseProducing(self) -> None:
        """
        It does not read.
        """
        self.choked = True
        self._limits.set("full", self._bounds.full, self._client.stalled)

    def resumeProducing(self) -> None:
        """
        It has read all.
        """
        self.choked = False
        self._limits.drop("full")
        self.release()
        self._client.drained()

    def stopProducing(self) -> None:
        """
        The connection is lost, which is told otherwise as well.
        """

    def hold(self, line: TargetLine) -> None:
        """
        There is more for it: have the target wait with that, if it does not read, and
        not for long.
        """
        if self.choked and self._holding is None:
            self._holding = line
            line.hold()
            self._limits.set("stalled", self._bounds.stalled, self._client.stalled)

    def release(self) -> None:
        """
        Let the target go on.
        """
        self._limits.drop("stalled")
        holding, self._holding = self._holding, None
        if holding is not None:
            holding.release()
