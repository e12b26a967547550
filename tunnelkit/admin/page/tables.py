"""
The parts of the page that repeat: rows for tunnels and for sessions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from string import Template
from typing import Final, TypeVar

from tunnelkit.admin.figures import (
    machineMoment,
    milliseconds,
    moment,
    number,
    ratio,
    size,
    words,
)
from tunnelkit.admin.page.markup import Markup, filled, joined
from tunnelkit.status import SessionStatus, TunnelStatus

_Item = TypeVar("_Item")

MOST: Final = 250
"""The most rows of a table: more do not help a person, and take time to make."""

_TIME: Final = Template('<time datetime="$machine">$shown</time>')
_TUNNEL: Final = Template(
    """\
<tr data-key="$key">
<th scope="row" class="address"><bdi>$address</bdi></th>
<td><bdi>$name</bdi> <small><bdi>$kind</bdi></small></td>
<td><bdi>$client</bdi> <small><bdi>$user</bdi></small></td>
<td class="number">$streams</td>
<td class="number">$visitors <small>$datagrams</small></td>
<td class="number $failedColour">$failed <small>$drops</small></td>
<td class="number" data-side="received" data-bytes="$receivedBytes">$received</td>
<td class="number" data-side="sent" data-bytes="$sentBytes">$sent</td>
<td class="number">$packed <small>$compress</small></td>
</tr>
"""
)
_SESSION: Final = Template(
    """\
<tr>
<th scope="row"><bdi>$client</bdi> <small><bdi>$user</bdi></small></th>
<td class="address"><bdi>$peer</bdi></td>
<td><bdi>$program</bdi></td>
<td class="moment">$since</td>
<td class="number">$roundTrip</td>
<td class="number">$busy busy <small>$idle idle</small></td>
<td class="number $waitingColour">$waiting</td>
<td class="address"><bdi>$session</bdi></td>
</tr>
"""
)
_NOTE: Final = Template('<tr><td colspan="$columns" class="note">$note</td></tr>\n')


def shownTime(seconds: float) -> Markup:
    """
    Show a moment, given in seconds since 1970.
    """
    return filled(_TIME, machine=machineMoment(seconds), shown=moment(seconds))


def tunnelRows(tunnels: Iterable[TunnelStatus]) -> Markup:
    """
    Give the rows of the table of tunnels.
    """
    ordered = sorted(tunnels, key=lambda t: (t.user, t.client, t.name))
    return joined(_rows(ordered, _tunnelRow, "No tunnel is open.", 9))


def sessionRows(sessions: Iterable[SessionStatus]) -> Markup:
    """
    Give the rows of the table of clients.
    """
    ordered = sorted(sessions, key=lambda s: (s.user, s.client, s.since))
    return joined(_rows(ordered, _sessionRow, "No client is logged in.", 8))


def _rows(
    items: list[_Item], row: Callable[[_Item], Markup], nothing: str, columns: int
) -> Iterator[Markup]:
    note = ""
    yield from map(row, items[:MOST])
    if not items:
        note = nothing
    elif len(items) > MOST:
        note = f"and {number(len(items) - MOST)} more"
    if note:
        yield filled(_NOTE, note=note, columns=str(columns))


def _tunnelRow(tunnel: TunnelStatus) -> Markup:
    state = ", withdrawn" if tunnel.withdrawn else ""
    packed = tunnel.receivedPacked + tunnel.sentPacked if tunnel.compress else 0
    return filled(
        _TUNNEL,
        key=words(f"{tunnel.session} {tunnel.name}{state}"),
        address=words(tunnel.address),
        name=words(tunnel.name),
        kind=words(f"{tunnel.kind}{state}"),
        client=words(tunnel.client),
        user=words(tunnel.user),
        streams=number(tunnel.streams),
        visitors=number(tunnel.visitors),
        datagrams=_datagrams(tunnel),
        failed=number(tunnel.failed),
        drops=_drops(tunnel),
        failedColour="bad" if tunnel.failed else "",
        received=size(tunnel.received),
        receivedBytes=str(tunnel.received),
        sent=size(tunnel.sent),
        sentBytes=str(tunnel.sent),
        packed=ratio(tunnel.received + tunnel.sent, packed),
        compress=words(tunnel.compress),
    )


def _datagrams(tunnel: TunnelStatus) -> str:
    came, went = tunnel.datagrams
    return f"{number(came)} in, {number(went)} out" if came or went else ""


def _drops(tunnel: TunnelStatus) -> str:
    """
    Say how many datagrams were dropped for which cause.
    """
    return ", ".join(f"{number(n)} {cause}" for cause, n in tunnel.drops if n)


def _sessionRow(session: SessionStatus) -> Markup:
    return filled(
        _SESSION,
        session=words(session.session),
        client=words(session.client),
        user=words(session.user),
        peer=words(session.peer),
        program=words(session.program),
        since=shownTime(session.since),
        roundTrip=milliseconds(session.roundTrip),
        idle=number(session.idle),
        busy=number(session.busy),
        waiting=number(session.waiting),
        waitingColour="bad" if session.waiting else "",
    )
