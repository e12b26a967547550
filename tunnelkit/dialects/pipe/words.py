# -*- test-case-name: tests.dialects.pipe.test_words -*-
"""
Words: what pipe's configuration files say, in ours.
"""

from __future__ import annotations

from collections import Counter

from tunnelkit.dialects.foreign import ClientWords, ServerWords
from tunnelkit.tunnels.spec import Limits, TunnelSpec
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.pipe.files import ForwardEntry, readClient, readServer

_LONGEST = 180


def serverWords(data: bytes, source: str) -> ServerWords:
    """
    Read a server's file.

    @param source: its name, for the errors.
    @raise ValueError: something in it cannot be used; the text says what.
    """
    read = readServer(data, source)
    options = {"token": read.token}
    if read.domainTunnel:
        if not read.domain:
            raise ValueError(
                f"{source}: the key 'domain-tunnel' is of no use without 'domain', the"
                " one below which names are given"
            )
        options["domain"] = read.domain
    return ServerWords(options, read.port, read.adminPort)


def clientWords(data: bytes, source: str) -> ClientWords:
    """
    Read a client's file.

    @param source: its name, for the errors.
    @raise ValueError: something in it cannot be used; the text says what.
    """
    read = readClient(data, source)
    used: Counter[str] = Counter()
    tunnels = tuple(_tunnel(entry, used) for entry in read.forwards)
    return ClientWords(read.server, read.token, tunnels)


def _tunnel(entry: ForwardEntry, used: Counter[str]) -> TunnelSpec:
    # There may be none, and one twice: they mean nothing to the program.
    name = "".join(
        each if each.isprintable() and each != " " else "-" for each in entry.name
    )[:_LONGEST]
    if not name or used[name]:
        name = f"{name or entry.kind}-{entry.remotePort}"
    used[name] += 1
    rate = entry.speedLimit or 0
    return TunnelSpec(
        kind=entry.kind,
        local=HostPort("127.0.0.1", entry.localPort),
        port=entry.remotePort,
        name=name,
        limits=Limits(inward=rate, outward=rate),
        subdomain=entry.subdomain,
    )
