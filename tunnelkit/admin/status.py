# -*- test-case-name: tests.admin.test_api -*-
"""
C{/api/v1/status}: the server and its sessions, in JSON.
"""

from __future__ import annotations

from twisted.web.resource import IResource

from tunnelkit.admin.room import Room, asJSON
from tunnelkit.status import IStatusSource, ServerStatus, SessionStatus


def makeRoom(source: IStatusSource) -> IResource:
    """
    Make the room.
    """
    return Room(lambda: asJSON(_server(source.status())))


def _server(status: ServerStatus) -> dict[str, object]:
    tunnels = status.tunnels
    return {
        "program": status.program,
        "started": status.started,
        "draining": status.draining,
        "healthy": not status.troubles,
        "troubles": status.troubles,
        "openings": status.openings,
        "counts": dict(status.counts),
        "tunnels": status.open,
        "streams": sum(tunnel.streams for tunnel in tunnels),
        "received": sum(tunnel.received for tunnel in tunnels),
        "sent": sum(tunnel.sent for tunnel in tunnels),
        "sessions": [_session(session) for session in status.sessions],
    }


def _session(session: SessionStatus) -> dict[str, object]:
    return {
        "session": session.session,
        "user": session.user,
        "client": session.client,
        "peer": session.peer,
        "program": session.program,
        "since": session.since,
        "round_trip": session.roundTrip,
        "idle": session.idle,
        "busy": session.busy,
        "waiting": session.waiting,
        "strays": session.strays,
    }
