# -*- test-case-name: tests.admin.page.test_page -*-
"""
C{/}: the page for a person, and the files that it needs.

C{page.html} is its template.  The page reads well without a script; C{page.js} only
keeps it fresh.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.resources import files
from string import Template
from typing import Final

from twisted.web.resource import IResource

from tunnelkit.admin.figures import number, size, words
from tunnelkit.admin.page.markup import Markup, filled, joined
from tunnelkit.admin.page.tables import sessionRows, shownTime, tunnelRows
from tunnelkit.admin.room import Answer, Room
from tunnelkit.status import IStatusSource, ServerStatus

_HTML: Final = b"text/html; charset=utf-8"
_TROUBLE: Final = Template("<li>$trouble</li>")
_COUNT: Final = Template("<div><dt>$name</dt><dd>$count</dd></div>\n")


def _read(name: str) -> bytes:
    return files("tunnelkit.admin.page").joinpath(name).read_bytes()


def makeRoom(source: IStatusSource) -> IResource:
    """
    Make the room of the page.
    """
    template = Template(_read("page.html").decode())
    return Room(lambda: Answer(_page(template, source.status()).encode(), _HTML))


def fileRoom(name: str, kind: bytes) -> Callable[[IStatusSource], IResource]:
    """
    Give what makes the room of a file that the page needs.

    @param name: the file, which lies beside this module.
    @param kind: its content type.
    """

    def makeFileRoom(source: IStatusSource) -> IResource:
        answer = Answer(_read(name), kind)
        return Room(lambda: answer)

    return makeFileRoom


def _page(template: Template, status: ServerStatus) -> Markup:
    condition = _condition(status)
    received = sum(tunnel.received for tunnel in status.tunnels)
    sent = sum(tunnel.sent for tunnel in status.tunnels)
    return filled(
        template,
        condition=condition,
        colour=condition.replace(" ", "-"),
        program=words(status.program),
        started=shownTime(status.started),
        troubles=_troubles(status.troubles),
        clients=number(len(status.sessions)),
        openings=number(status.openings),
        tunnelCount=number(status.open),
        streams=number(sum(tunnel.streams for tunnel in status.tunnels)),
        waiting=number(sum(session.waiting for session in status.sessions)),
        visitors=number(sum(tunnel.visitors for tunnel in status.tunnels)),
        failed=number(sum(tunnel.failed for tunnel in status.tunnels)),
        received=size(received),
        receivedBytes=str(received),
        sent=size(sent),
        sentBytes=str(sent),
        tunnels=tunnelRows(status.tunnels),
        sessions=sessionRows(status.sessions),
        counts=_counts(status.counts),
    )


def _condition(status: ServerStatus) -> str:
    if status.troubles:
        return "in trouble"
    return "draining" if status.draining else "healthy"


def _troubles(troubles: Iterable[str]) -> Markup:
    return joined(filled(_TROUBLE, trouble=words(t, 1000)) for t in troubles)


def _counts(counts: Iterable[tuple[str, int]]) -> Markup:
    return joined(
        filled(
            _COUNT,
            name=words(name.replace("_", " ").capitalize()),
            count=number(count),
        )
        for name, count in counts
    )
