"""
HTTP without sockets: what a site answers to the bytes of a request.
"""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.web.resource import IResource
from twisted.web.server import Site

from tunnelkit.portal.web import makeSite


def connection(
    root: IResource | Site, clock: Clock, host: str = "192.0.2.9"
) -> tuple[Any, StringTransport]:
    """
    Connect to a site.

    @return: what takes the bytes of requests, and what has those of answers.
    """
    site = root if isinstance(root, Site) else makeSite(root, clock)
    peer = IPv4Address("TCP", host, 12345)
    channel = site.buildProtocol(peer)
    transport = StringTransport(peerAddress=peer)
    transport.abortConnection = transport.loseConnection  # type: ignore[method-assign]
    channel.makeConnection(transport)
    return channel, transport


def asked(root: IResource, clock: Clock, request: str) -> str:
    """
    Give the answer to a request that says C{Connection: close}.
    """
    channel, transport = connection(root, clock)
    channel.dataReceived(request.encode())
    answer: str = transport.value().decode()
    channel.connectionLost()
    return answer


def shown(answer: str) -> tuple[str, str, str]:
    """
    Give status line, content type and body of an answer.
    """
    head, _, body = answer.partition("\r\n\r\n")
    status, *lines = head.split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return status, headers.get("content-type", ""), body


def dateless(answer: str) -> str:
    """
    Give answers without what is different each time.
    """
    return re.sub(r"Date: .*?\r\n", "Date: now\r\n", answer)
