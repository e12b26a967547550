"""
What the tests of the admin rooms share: a server to look at, and a way to ask.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Final

from treq.testing import StubTreq
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers
from twisted.web.resource import IResource
from zope.interface import implementer

from tunnelkit.admin.rooms import makeRoot
from tunnelkit.status import IStatusSource, ServerStatus, SessionStatus, TunnelStatus

TOKEN: Final = "ta1_dhzj3rmb7kq2"
BEARER: Final = {"authorization": f"Bearer {TOKEN}"}

SESSION: Final = SessionStatus(
    session="9f3a21c0",
    user="default",
    client="garage",
    peer="203.0.113.24:51822",
    program="tunnelkit 26.11.0",
    since=1_794_218_583.0,
    roundTrip=0.0213,
    idle=6,
    busy=3,
    waiting=2,
)
TUNNEL: Final = TunnelStatus(
    name="web",
    kind="tcp",
    address="tcp://vps.example.org:20411",
    user="default",
    client="garage",
    session="9f3a21c0",
    streams=3,
    visitors=18234,
    failed=7,
    received=1536,
    sent=5_368_709_120,
    receivedPacked=1536,
    sentPacked=5_368_709_120,
    drops=(("late", 2),),
)
DATAGRAMS: Final = TunnelStatus(
    name="dns",
    kind="udp",
    address="udp://vps.example.org:5300",
    user="default",
    client="garage",
    session="9f3a21c0",
    streams=3,
    visitors=1200,
    failed=0,
    received=1536,
    sent=3072,
    datagrams=(24, 23),
    drops=(("queue", 4), ("late", 2), ("kernel", 0)),
)
"""What a UDP tunnel shows."""
STATUS: Final = ServerStatus(
    program="tunnelkit 26.11.0",
    started=1_793_880_000.0,
    draining=False,
    troubles=(),
    counts=(("logins", 31), ("logins_failed", 4)),
    openings=5,
    sessions=(SESSION,),
    tunnels=(TUNNEL,),
)
EMPTY: Final = replace(STATUS, sessions=(), tunnels=())
TROUBLED: Final = replace(STATUS, troubles=("the lease store is full", "the sky falls"))


@implementer(IStatusSource)
class FakeSource:
    """
    A server whose status a test sets; None is a server with a bug.
    """

    def __init__(self, now: ServerStatus | None = STATUS) -> None:
        self.now = now

    dialers: Any = None

    def troubles(self) -> tuple[str, ...]:
        """
        Give what the test set.
        """
        return self.status().troubles

    def status(self) -> ServerStatus:
        """
        Give what the test set.
        """
        if self.now is None:
            raise RuntimeError("a bug in the server, with a secret in its text")
        return self.now


@dataclass(frozen=True)
class Seen:
    """
    What an asker got.
    """

    code: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str:
        """
        Give the one header of this name.
        """
        (value,) = self.headers.getRawHeaders(name, [])
        return value

    def json(self) -> Any:
        """
        Give the value that the body holds.
        """
        return json.loads(self.body)


class AskingCase(SynchronousTestCase):
    """
    A test that asks the rooms, over HTTP in memory.
    """

    def setUp(self) -> None:
        """
        Make the rooms.
        """
        self.source = FakeSource()
        self.root: IResource = makeRoot(self.source, TOKEN)

    def ask(
        self, path: str, method: str = "GET", headers: dict[str, str] | None = None
    ) -> Seen:
        """
        Ask with the token, or with other headers.
        """
        treq: Any = StubTreq(self.root)
        response = self.successResultOf(
            treq.request(
                method,
                "http://127.0.0.1:8911" + path,
                headers=BEARER if headers is None else headers,
            )
        )
        body = self.successResultOf(treq.content(response))
        return Seen(response.code, response.headers, body)
