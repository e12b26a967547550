"""
Contract: whose a connection with streams is, and who has a stream of it, as the
L{Line<tunnelkit.dialects.mgrok.line.Line>} sees them.
"""

from __future__ import annotations

from typing import Protocol

from tunnelkit.wire.codes import ResetCode


class Taker(Protocol):
    """
    Who has a stream.
    """

    def received(self, data: bytes) -> None:
        """
        Bytes came: one PSH.  C{Line.consumed} is to be told of them.
        """

    def ended(self) -> None:
        """
        The other side has closed the stream.
        """

    def lost(self, code: ResetCode, reason: str) -> None:
        """
        The stream failed: the line knows it no more.
        """

    def block(self) -> None:
        """
        The connection takes no more for now.
        """

    def unblock(self) -> None:
        """
        It takes more.
        """


class Quiet:
    """
    What who has a stream does on which little is said: it never waits for its turn, and
    hears of a loss by other means.
    """

    def lost(self, code: ResetCode, reason: str) -> None:
        """
        Do nothing: that of the connection is heard besides.
        """

    def block(self) -> None:
        """
        Do nothing: little is said here.
        """

    def unblock(self) -> None:
        """
        Do nothing, likewise.
        """


class Owner(Protocol):
    """
    Whose line it is.
    """

    def begun(self) -> None:
        """
        The connection is there.
        """

    def opened(self, stream: int) -> Taker | None:
        """
        The other side has opened a stream.

        @return: who has it, or None to close it.
        """

    def answered(self) -> None:
        """
        The other side has answered the last C{probe}.
        """

    def broken(self, code: str, reason: str) -> None:
        """
        The other side does not keep to the wire, or is silent.

        @param code: which of these, from L{tunnelkit.wire.codes}.
        """

    def gone(self) -> None:
        """
        The connection is lost.
        """

    def writable(self) -> None:
        """
        The connection takes more, and so may those who have no stream yet.
        """
