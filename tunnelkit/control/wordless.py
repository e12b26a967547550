# -*- test-case-name: tests.control.test_wordless -*-
"""
Wordless: the control channel of a client whose protocol has few words.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed


class Wordless:
    """
    What of a L{Channel<tunnelkit.control.session.Channel>} means nothing to a client
    that brings no work connections beforehand, knows of no certificates, and cannot be
    told that the server stops.  How it is asked whether it lives, and how it is left,
    is for who inherits.
    """

    def want(self, count: int) -> None:
        """
        Do nothing: each visitor gets his connection, or his stream, by himself.
        """

    def drain(self, seconds: float) -> None:
        """
        Do nothing: there are no words for it.
        """

    def vouch(self, hashes: tuple[str, ...]) -> Deferred[None]:
        """
        Do nothing, and be done with it.
        """
        return succeed(None)
