# -*- test-case-name: tests.admin.test_api -*-
"""
C{/api/v1/tunnels}: what is published, and what goes through it, in JSON.
"""

from __future__ import annotations

from twisted.web.resource import IResource

from tunnelkit.admin.room import Answer, Room, asJSON
from tunnelkit.status import IStatusSource, TunnelStatus


def makeRoom(source: IStatusSource) -> IResource:
    """
    Make the room.
    """
    return Room(lambda: _answer(source.status().tunnels))


def _answer(tunnels: tuple[TunnelStatus, ...]) -> Answer:
    return asJSON({"tunnels": [_tunnel(tunnel) for tunnel in tunnels]})


def _tunnel(tunnel: TunnelStatus) -> dict[str, object]:
    return {
        "name": tunnel.name,
        "kind": tunnel.kind,
        "address": tunnel.address,
        "user": tunnel.user,
        "client": tunnel.client,
        "session": tunnel.session,
        "streams": tunnel.streams,
        "visitors": tunnel.visitors,
        "failed": tunnel.failed,
        "received": tunnel.received,
        "sent": tunnel.sent,
        "withdrawn": tunnel.withdrawn,
        "compress": tunnel.compress,
        "received_packed": tunnel.receivedPacked,
        "sent_packed": tunnel.sentPacked,
        "datagrams_received": tunnel.datagrams[0],
        "datagrams_sent": tunnel.datagrams[1],
        "drops": dict(tunnel.drops),
    }
