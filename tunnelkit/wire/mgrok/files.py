# -*- test-case-name: tests.wire.mgrok.test_files -*-
"""
Files: the YAML that mgrok's server and client are configured with, read as it is.

The types are by key and not by what a value looks like: a token C{0123} or C{yes} is
that text, as it is for the program (a stock reader of YAML makes a number and a truth
of them), and C{null}, C{~} and nothing without quotes are the empty text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import yaml

from tunnelkit.wire.keys import Table, decoded, portNumber
from tunnelkit.wire.mgrok.codec import LONGEST_NAME
from tunnelkit.wire.mgrok.messages import KINDS

SERVER: Final = "localhost:9000"
"""Where a client goes that is not told where."""

_NOTHING: Final = frozenset(("", "~", "null", "Null", "NULL"))
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,9}", re.ASCII)
_TRUTHS: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("true", "yes", "on", "y"), True),
    **dict.fromkeys(("false", "no", "off", "n", ""), False),
}


@dataclass(frozen=True, slots=True)
class ServerFile:
    """
    What a server's file says.

    @ivar certificate: path of the certificate in PEM as it stands there, the home
        folder perhaps as C{~/}; the empty text where it does not say.
    @ivar key: path of its key, likewise.
    @ivar bindAddress: where to listen, likewise; the program does not heed it.
    @ivar bindPort: None where it does not say; the program does not heed it.
    @ivar token: the shared secret.
    @ivar ports: the first and the last public port for clients that leave the choice,
        or None; the program does not heed it.
    """

    tls: bool
    certificate: str
    key: str
    bindAddress: str
    bindPort: int | None
    token: str = field(repr=False)
    ports: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class ProxyEntry:
    """
    One service that a client publishes.

    @ivar kind: C{tcp} or C{udp}.
    @ivar localPort: of the service, on the client's own host.
    @ivar remotePort: the public port; 0 for any, which the client never learns.
    """

    name: str
    kind: str
    localPort: int
    remotePort: int


@dataclass(frozen=True, slots=True)
class ClientFile:
    """
    What a client's file says.

    @ivar server: C{HOST:PORT}.
    @ivar token: the shared secret.
    """

    server: str
    token: str = field(repr=False)
    proxies: tuple[ProxyEntry, ...]


def readServer(data: bytes, source: str) -> ServerFile:
    """
    Read a server's file.

    @param data: all of it.
    @param source: its name, for the errors.
    @raise ValueError: something in it cannot be used; the text names file and key.
    """
    table = Table(_mapping(data, source), source)
    first = table.take("port_range_start", _port, 0)
    last = table.take("port_range_end", _port, 0)
    read = ServerFile(
        tls=table.take("enable_tls", _truth, False),
        certificate=table.take("tls_cert_file", _text, ""),
        key=table.take("tls_key_file", _text, ""),
        bindAddress=table.take("bind_addr", _text, ""),
        bindPort=table.take("bind_port", _port, 0) or None,
        token=table.take("auth_token", _text, ""),
        ports=(first, last) if first or last else None,
    )
    table.end()
    if read.tls and not read.certificate:
        raise table.lack("tls_cert_file", "the path of a certificate in PEM")
    if read.tls and not read.key:
        raise table.lack("tls_key_file", "the path of the certificate's key in PEM")
    if read.ports and not 0 < first <= last:
        raise table.wrong("port_range_start", "a port up to that of port_range_end")
    return read


def readClient(data: bytes, source: str) -> ClientFile:
    """
    Read a client's file.

    @param data: all of it.
    @param source: its name, for the errors.
    @raise ValueError: something in it cannot be used; the text names file and key.
    """
    table = Table(_mapping(data, source), source)
    server = table.take("server", _text, "") or SERVER
    token = table.take("token", _text, "")
    given = table.take("proxies", _proxies, dict[str, yaml.Node]())
    table.end()
    entries = (_entry(name, node, source) for name, node in given.items())
    return ClientFile(server, token, tuple(entries))


def _entry(name: str, node: yaml.Node, source: str) -> ProxyEntry:
    within = f"proxies, {name[:LONGEST_NAME]!r}"
    try:
        table = Table(_children(node), source, within)
    except ValueError as e:
        raise ValueError(f"{source}: {within} takes {e}") from None
    read = ProxyEntry(
        name=name,
        kind=table.take("type", _kind, ""),
        localPort=table.take("local_port", _port, 0),
        remotePort=table.take("remote_port", _port, 0),
    )
    table.end()
    if not read.kind:
        raise table.lack("type", "tcp or udp")
    if not read.localPort:
        raise table.lack("local_port", "a port, a number from 1 to 65535")
    return read


def _mapping(data: bytes, source: str) -> dict[str, yaml.Node]:
    text = decoded(data, source)
    try:
        node = yaml.compose(text, Loader=yaml.BaseLoader)
        children = _children(node) if node is not None else {}
    except yaml.MarkedYAMLError as e:
        # Its own text quotes the line, in which a secret may stand.
        line = f", line {e.problem_mark.line + 1}" if e.problem_mark else ""
        raise ValueError(f"{source}: this is not YAML: {e.problem}{line}") from None
    except yaml.YAMLError as e:
        raise ValueError(f"{source}: this is not YAML: {e}") from None
    except RecursionError:
        raise ValueError(f"{source}: brackets within brackets, too many") from None
    except ValueError as e:
        raise ValueError(f"{source}: the file takes {e}") from None
    return children


def _children(node: yaml.Node) -> dict[str, yaml.Node]:
    found: dict[str, yaml.Node] = {}
    if _isNothing(node):
        return found
    line = node.start_mark.line + 1
    if not isinstance(node, yaml.MappingNode):
        raise ValueError(f"keys with their values, and not what is in line {line}")
    for key, value in node.value:
        name = _text(key)
        if name in found:
            raise ValueError(f"each key once, and not {name!r} twice")
        found[name] = value
    return found


def _isNothing(node: yaml.Node) -> bool:
    plain = isinstance(node, yaml.ScalarNode) and node.style is None
    return plain and node.value in _NOTHING


def _text(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise ValueError("a text")
    return "" if _isNothing(node) else str(node.value)


def _truth(node: yaml.Node) -> bool:
    try:
        return _TRUTHS[_text(node).lower()]
    except KeyError:
        raise ValueError("true or false") from None


def _port(node: yaml.Node) -> int:
    text = _text(node) or "0"
    # One with a zero in front is octal for some, and decimal for others.
    return portNumber(int(text) if _NUMBER.fullmatch(text) else -1)


def _kind(node: yaml.Node) -> str:
    kind = _text(node)
    if kind not in ("", *KINDS):
        raise ValueError("tcp or udp")
    return kind


def _proxies(node: yaml.Node) -> dict[str, yaml.Node]:
    given = _children(node)
    for name in given:
        if not 1 <= len(name.encode()) <= LONGEST_NAME:
            raise ValueError(f"names of 1 to {LONGEST_NAME} bytes")
    return given
