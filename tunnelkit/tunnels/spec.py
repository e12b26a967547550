# -*- test-case-name: tests.tunnels.test_spec -*-
"""
Tunnel descriptions: what C{--tunnel} says, in the manner of endpoint strings.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from tunnelkit.tunnels.private.keyfile import ReadFile, endKey, fileName, fileText
from tunnelkit.wire.address import (
    HIGHEST,
    LONGEST_PATH,
    LocalAddress,
    SocketPath,
    parseHostPort,
    parsePort,
)
from tunnelkit.wire.endkey import EndKey
from tunnelkit.wire.packing import PACKERS, isAble
from tunnelkit.wire.rate import parseRate, parseSize
from tunnelkit.wire.token import isUserName

_LONGEST_NAME: Final = 200
_PROXY_VERSIONS: Final = {"v1": 1, "v2": 2}
_TCP_OPTIONS: Final = (
    "burst",
    "compress",
    "limit",
    "limit-in",
    "limit-out",
    "name",
    "port",
    "proxy",
    "subdomain",
    "unix",
)
_PRIVATE_OPTIONS: Final = (
    "burst",
    "keyFile",
    "limit",
    "limit-in",
    "limit-out",
    "name",
    "proxy",
    "unix",
    "visitors",
)
_UDP_OPTIONS: Final = (
    "burst",
    "compress",
    "limit",
    "limit-in",
    "limit-out",
    "name",
    "port",
)


def isTunnelName(text: str) -> bool:
    """
    Tell whether a tunnel can be called that: 1 to 200 printable characters, none of
    them a space.
    """
    return 0 < len(text) <= _LONGEST_NAME and text.isprintable() and " " not in text


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """
    How fast bytes may go through a tunnel, all its visitors together.

    @ivar inward: bytes a second from visitors to the service; 0 is without a limit.
    @ivar outward: bytes a second from the service to visitors; likewise.
    @ivar burst: bytes that may go at once after a rest; 0 is a tenth of a second's.
    """

    inward: int = 0
    outward: int = 0
    burst: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelSpec:
    """
    A tunnel that a client wants.

    @ivar kind: what is published, such as C{tcp}.
    @ivar local: where the local service listens.
    @ivar port: the public port, or 0: the server picks one.
    @ivar name: the tunnel's name, unique in its client.
    @ivar proxy: the version of the PROXY header that the local service gets, or 0:
        none.
    @ivar limits: how fast bytes may go.
    @ivar compress: how bytes are compressed on their way: C{deflate}, C{zstd}, or
        empty for not at all.
    @ivar subdomain: the name that is to lead to it below the server's domain, where a
        dialect has such; empty for none in particular.
    @ivar visitors: with a private tunnel: the users who may visit it; none for its own
        user.
    @ivar keyFile: with a private tunnel: the name of the file of its key, or empty.
    @ivar key: the key by which the two clients encrypt between them, or None.
    """

    kind: str
    local: LocalAddress
    port: int = 0
    name: str
    proxy: int = 0
    limits: Limits = Limits()
    compress: str = ""
    subdomain: str = ""
    visitors: tuple[str, ...] = ()
    keyFile: str = ""
    key: EndKey | None = None

    def __post_init__(self) -> None:
        if not isTunnelName(self.name):
            raise ValueError(
                f"{self.name!r} cannot be a tunnel's name: give one with name=NAME, "
                f"of at most {_LONGEST_NAME} printable characters without spaces"
            )
        if not 0 <= self.port <= HIGHEST:
            raise ValueError(f"{self.port} is not a public port: 1 to {HIGHEST}")
        if self.proxy not in (0, 1, 2):
            raise ValueError(f"there is no version {self.proxy} of the PROXY header")


KindParser: TypeAlias = Callable[[list[str], dict[str, str]], TunnelSpec]
"""Makes a tunnel of the positional arguments and the options of a description."""


def parseTunnel(
    text: str, kinds: Mapping[str, KindParser], read: ReadFile = fileText
) -> TunnelSpec:
    """
    Read a description, C{KIND:ARGUMENTS}.

    @param kinds: by its name, what reads the rest of a description of that kind.
    @param read: gives the text of a file that it names.
    @raise ValueError: the text says what is wrong with which description.
    """
    try:
        kind, arguments, options = splitDescription(text)
        if kind not in kinds:
            known = ", ".join(sorted(kinds))
            raise ValueError(
                f"there is no kind {kind!r}: write KIND:[HOST:]PORT, "
                f"where KIND is one of {known}"
            )
        spec = kinds[kind](arguments, options)
        return replace(spec, key=endKey(spec.keyFile, spec.name, read))
    except ValueError as e:
        raise ValueError(f"tunnel {text!r}: {e}") from None


def splitDescription(text: str) -> tuple[str, list[str], dict[str, str]]:
    r"""
    Take a description apart: C{:} separates, C{NAME=VALUE} is an option, C{\} before
    a character takes its meaning away, and C{[...]} keeps its colons.

    @return: kind, positional arguments, options.
    @raise ValueError: it cannot be taken apart; the text says why.
    """
    arguments: list[str] = []
    options: dict[str, str] = {}
    for name, value in _pieces(text):
        if name is None:
            arguments.append(value)
        elif name in options:
            raise ValueError(f"the option {name!r} is given twice")
        elif not arguments:
            raise ValueError(f"a kind must come before the option {name!r}")
        else:
            options[name] = value
    return arguments[0], arguments[1:], options


def _pieces(text: str) -> Iterator[tuple[str | None, str]]:
    name: str | None = None
    value: list[str] = []
    inside = False
    characters = iter(text)
    for character in characters:
        if character == "\\":
            value.append(_escaped(characters))
        elif character == ":" and not inside:
            yield name, "".join(value)
            name, value = None, []
        elif character == "=" and not inside and name is None:
            name, value = "".join(value), []
        else:
            inside = character == "[" or (inside and character != "]")
            value.append(character)
    if inside:
        raise ValueError(r"a '[' has no ']' (write '\[' for the character itself)")
    yield name, "".join(value)


def _escaped(characters: Iterator[str]) -> str:
    character = next(characters, None)
    if character is None:
        raise ValueError(r"a '\' at the end (write '\\' for the character itself)")
    return character


def parseTCP(arguments: list[str], options: dict[str, str]) -> TunnelSpec:
    """
    Read what follows C{tcp:}, which is C{[HOST:]PORT} or C{unix=PATH}, and the
    options.

    @raise ValueError: the text says what is wrong.
    """
    _checkOptions("tcp", options, _TCP_OPTIONS)
    local = _local("tcp", arguments, options.get("unix"))
    return TunnelSpec(
        kind="tcp",
        local=local,
        port=_publicPort(options.get("port")),
        name=options.get("name", f"tcp-{local}"),
        proxy=_proxyVersion(options.get("proxy")),
        limits=_limits(options),
        compress=_compression(options.get("compress")),
        subdomain=options.get("subdomain", ""),
    )


def parseUDP(arguments: list[str], options: dict[str, str]) -> TunnelSpec:
    """
    Read what follows C{udp:}, which is C{[HOST:]PORT}, and the options.

    @raise ValueError: the text says what is wrong.
    """
    _checkOptions("udp", options, _UDP_OPTIONS)
    local = _local("udp", arguments, None)
    return TunnelSpec(
        kind="udp",
        local=local,
        port=_publicPort(options.get("port")),
        name=options.get("name", f"udp-{local}"),
        limits=_limits(options),
        compress=_compression(options.get("compress")),
    )


def parsePrivate(arguments: list[str], options: dict[str, str]) -> TunnelSpec:
    """
    Read what follows C{private:}, which is C{[HOST:]PORT} or C{unix=PATH}, and the
    options.

    @raise ValueError: the text says what is wrong.
    """
    _checkOptions("private", options, _PRIVATE_OPTIONS)
    if "name" not in options:
        raise ValueError(
            "a private tunnel has no port, only a name: give it with name=NAME"
        )
    return TunnelSpec(
        kind="private",
        local=_local("private", arguments, options.get("unix")),
        name=options["name"],
        proxy=_proxyVersion(options.get("proxy")),
        limits=_limits(options),
        visitors=_users(options.get("visitors")),
        keyFile=fileName(options.get("keyFile")),
    )


def parsePrivateUDP(arguments: list[str], options: dict[str, str]) -> TunnelSpec:
    """
    Read what follows C{private-udp:}, which is C{[HOST:]PORT}, and the options.

    @raise ValueError: the text says what is wrong.
    """
    if "proxy" in options or "unix" in options:
        raise ValueError("private-udp has no options proxy and unix: leave them out")
    return replace(parsePrivate(arguments, options), kind="private-udp")


def _users(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    users = text.split("+")
    for user in users:
        if not isUserName(user):
            raise ValueError(
                f"visitors={text}: {user!r} is no user's name: write them as they stand"
                " in their tokens, with + between them, such as visitors=alice+bob"
            )
    return tuple(dict.fromkeys(users))


def _checkOptions(kind: str, options: Iterable[str], known: tuple[str, ...]) -> None:
    for name in options:
        if name not in known:
            raise ValueError(f"{kind} has no option {name!r}, only {', '.join(known)}")


def _limits(options: dict[str, str]) -> Limits:
    """
    Read how fast bytes may go: C{limit} is for each direction, where there is none
    of its own.
    """
    both = _rate(options, "limit", 0)
    limits = Limits(
        inward=_rate(options, "limit-in", both),
        outward=_rate(options, "limit-out", both),
        burst=_read(options, "burst", parseSize) if "burst" in options else 0,
    )
    if limits.burst and not limits.inward and not limits.outward:
        raise ValueError("burst= is of no use without limit=: give both, or neither")
    return limits


def _rate(options: dict[str, str], name: str, otherwise: int) -> int:
    return _read(options, name, parseRate) if name in options else otherwise


def _read(options: dict[str, str], name: str, read: Callable[[str], int]) -> int:
    try:
        return read(options[name])
    except ValueError as e:
        raise ValueError(f"{name}={options[name]}: {e}") from None


def _local(kind: str, arguments: list[str], path: str | None) -> LocalAddress:
    if path is not None:
        if arguments:
            raise ValueError("it has both unix=PATH and a port: give one of them")
        return socketPath(path)
    match arguments:
        case [port]:
            return parseHostPort(f"127.0.0.1:{port}")
        case [host, port]:
            return parseHostPort(f"{host}:{port}")
        case []:
            raise ValueError(f"the local port is missing: write {kind}:[HOST:]PORT")
    raise ValueError(
        f"it has more than a host and a port: write {kind}:[HOST:]PORT, "
        "IPv6 addresses in brackets"
    )


def socketPath(path: str) -> SocketPath:
    """
    Read the path of a UNIX socket.

    @raise ValueError: it is none.
    """
    if not path or "\0" in path or len(os.fsencode(path)) > LONGEST_PATH:
        raise ValueError(
            f"unix={path}: it is not the path of a UNIX socket, "
            f"which has 1 to {LONGEST_PATH} bytes"
        )
    return SocketPath(path)


def _publicPort(text: str | None) -> int:
    if text is None:
        return 0
    try:
        return parsePort(text)
    except ValueError as e:
        raise ValueError(
            f"port={text}: {e}, or leave it out and the server picks one"
        ) from None


def _proxyVersion(text: str | None) -> int:
    if text is None:
        return 0
    if text not in _PROXY_VERSIONS:
        raise ValueError(f"proxy={text}: it is v1 or v2")
    return _PROXY_VERSIONS[text]


def _compression(text: str | None) -> str:
    if text is None:
        return ""
    if text not in PACKERS:
        raise ValueError(f"compress={text}: it is {' or '.join(sorted(PACKERS))}")
    if not isAble(text):
        raise ValueError(
            f"compress={text}: this Python has no library for it: install"
            f" tunnelkit[{text}], or write compress=deflate"
        )
    return text
