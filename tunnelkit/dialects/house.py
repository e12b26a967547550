"""
House: what the server's side of the native protocol works with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from twisted.internet.interfaces import IReactorTime

from tunnelkit import __version__
from tunnelkit.control.sessions import Sessions
from tunnelkit.interfaces import IRelay
from tunnelkit.state.verifier import Verifier
from tunnelkit.tunnels.bursts import Bursts
from tunnelkit.tunnels.published import Published

PROGRAM = f"tunnelkit/{__version__}"
"""What the two sides say they are."""


def _noCounts() -> dict[str, int]:
    names = "logins", "logins_failed", "work_connections", "work_connections_refused"
    return dict.fromkeys(names, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """
    The server, as the native protocol sees it.

    @ivar lookup: gives what a user's login is checked against.
    @ivar decoyKey: makes decoys for users that do not exist.
    @ivar nonce: gives random text for a login.
    @ivar shown: gives the fingerprints of the certificates that the server shows now
        or soon.
    @ivar troubles: told of each login that failed.
    @ivar counts: totals since the start, by name.
    """

    clock: IReactorTime
    relay: IRelay
    sessions: Sessions
    published: Published
    lookup: Callable[[str], Verifier | None]
    decoyKey: bytes
    nonce: Callable[[], str]
    shown: Callable[[], tuple[str, ...]]
    troubles: Bursts
    counts: dict[str, int] = field(default_factory=_noCounts)
