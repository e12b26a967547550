# -*- test-case-name: tests.tunnels.test_detail -*-
"""
Detail: each stream in the log, for those who debug.

A line that no log takes costs some microseconds all the same, which at thousands of
visitors a second is a part of the whole that can be felt.  So these are not made at
all where they are not shown.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from twisted.logger import Logger

from tunnelkit.control.names import legible

shown = False
"""Whether they are shown: where somebody has asked for them.  A program that embeds us
has a log of its own, and Twisted's takes all that it is given."""


class Told(Protocol):
    """
    What is told of a stream: its C{Start} has it, too.
    """

    @property
    def stream(self) -> int:
        """
        Its number.
        """

    @property
    def visitor(self) -> str:
        """
        Who came.
        """

    @property
    def tunnel(self) -> str:
        """
        What they came to.
        """


class Visit(NamedTuple):
    """
    The same, on the side that has no C{Start}.
    """

    stream: int
    visitor: str
    tunnel: str


def begins(log: Logger, told: Told) -> None:
    """
    A visitor came.

    @param log: that of whoever serves.
    """
    if shown:
        log.debug(
            "stream {number} of {visitor} at {name} begins",
            number=told.stream,
            visitor=legible(told.visitor),
            name=told.tunnel,
        )


def ends(log: Logger, told: Told, reason: str, forth: int = 0, back: int = 0) -> None:
    """
    A visitor is gone.

    @param reason: why the stream failed, or empty.
    @param forth: how many bytes came from the visitor.
    @param back: how many went to the visitor.
    """
    if shown:
        log.debug(
            "stream {number} of {visitor} at {name} ends: {how}, {forth} bytes from the"
            " visitor, {back} to the visitor",
            number=told.stream,
            visitor=legible(told.visitor),
            name=told.tunnel,
            how=legible(reason) or "well",
            forth=forth,
            back=back,
        )
