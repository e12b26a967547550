# -*- test-case-name: tests.wire.pipe.test_files -*-
"""
Files: the TOML that pipe's server and client are configured with, read as it is.

The program applies no defaults: what a file leaves out is nothing, and what that means
is for those who use these values.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from typing import Any, Final

from tunnelkit.wire.keys import Table, decoded, portNumber
from tunnelkit.wire.pipe.packets import KINDS

_HIGHEST: Final = 65534
"""The highest port that a stock server forwards: it refuses 65535."""
_SPEED: Final = re.compile(r"([0-9]{1,12})\s*([kmg])b", re.ASCII | re.IGNORECASE)
_UNITS: Final = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


@dataclass(frozen=True, slots=True)
class ServerFile:
    """
    What a server's file says.

    @ivar port: of the control connections; None where it does not say.
    @ivar adminPort: of the admin page, 0 for none; None where it does not say.
    @ivar domainTunnel: whether names below C{domain} lead to forwards, through Caddy.
    @ivar token: the shared secret; the empty text where it does not say.
    """

    port: int | None
    adminPort: int | None
    domainTunnel: bool
    domain: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ForwardEntry:
    """
    One service that a client publishes.

    @ivar remotePort: the public port, from 1 to 65534.
    @ivar localPort: of the service, on the client's own host.
    @ivar speedLimit: in bytes a second, each way and each connection; None for none.
    @ivar kind: C{tcp} or C{udp}.
    """

    name: str
    subdomain: str
    remotePort: int
    localPort: int
    speedLimit: int | None
    kind: str


@dataclass(frozen=True, slots=True)
class ClientFile:
    """
    What a client's file says.

    @ivar server: C{HOST:PORT}; the empty text where it does not say.
    @ivar token: the shared secret, likewise.
    """

    server: str
    token: str = field(repr=False)
    forwards: tuple[ForwardEntry, ...]


def readServer(data: bytes, source: str) -> ServerFile:
    """
    Read a server's file.

    @param data: all of it.
    @param source: its name, for the errors.
    @raise ValueError: something in it cannot be used; the text names file and key.
    """
    table = _table(data, source)
    read = ServerFile(
        port=table.take("port", _port, None),
        adminPort=table.take("admin-port", _port, None),
        domainTunnel=table.take("domain-tunnel", _truth, False),
        domain=table.take("domain", _text, ""),
        token=table.take("token", _text, ""),
    )
    table.end()
    return read


def readClient(data: bytes, source: str) -> ClientFile:
    """
    Read a client's file.

    @param data: all of it.
    @param source: its name, for the errors.
    @raise ValueError: something in it cannot be used; the text names file and key.
    """
    table = _table(data, source)
    server = table.take("server-addr", _text, "")
    token = table.take("token", _text, "")
    given = table.take("forwards", _list, list[Any]())
    table.end()
    entries = (
        _entry(Table(each, source, f"number {number} of forwards"))
        for number, each in enumerate(given, 1)
    )
    return ClientFile(server, token, tuple(entries))


def _entry(table: Table) -> ForwardEntry:
    read = ForwardEntry(
        name=table.take("proxy-name", _text, ""),
        subdomain=table.take("subdomain", _text, ""),
        remotePort=table.take("remote-port", _remotePort, 0),
        localPort=table.take("local-port", _port, 0),
        speedLimit=table.take("speed-limit", _speed, None),
        kind=table.take("proxy-type", _kind, ""),
    )
    table.end()
    if not read.remotePort:
        raise table.lack("remote-port", f"a port, a number from 1 to {_HIGHEST}")
    if not read.localPort:
        raise table.lack("local-port", "a port, a number from 1 to 65535")
    if not read.kind:
        raise table.lack("proxy-type", "tcp or udp")
    return read


def _table(data: bytes, source: str) -> Table:
    try:
        given = tomllib.loads(decoded(data, source))
    except tomllib.TOMLDecodeError as e:
        raise ValueError(f"{source}: this is not TOML: {e}") from None
    except RecursionError:
        raise ValueError(f"{source}: brackets within brackets, too many") from None
    return Table(given, source)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a text in quotes")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _port(value: Any) -> int:
    return portNumber(value if type(value) is int else -1)


def _remotePort(value: Any) -> int:
    port = _port(value)
    if port > _HIGHEST:
        raise ValueError(f"a port up to {_HIGHEST}: pipe's server refuses {port}")
    return port


def _kind(value: Any) -> str:
    if value not in ("", *KINDS):
        raise ValueError("tcp or udp")
    return str(value)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("tables, each below a line [[forwards]]")
    return value


def _speed(value: Any) -> int | None:
    if value == "":
        return None
    match = _SPEED.fullmatch(value) if isinstance(value, str) else None
    if match is None or not int(match[1]):
        raise ValueError('a number and a unit in quotes, as "500kb", "2mb" or "1gb"')
    return int(match[1]) * _UNITS[match[2].lower()]
