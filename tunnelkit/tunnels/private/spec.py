# -*- test-case-name: tests.tunnels.private.test_spec -*-
"""
Visit descriptions: what C{--visit}, C{--socks} and C{--key} say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from twisted.internet.error import CannotListenError
from twisted.logger import Logger

from tunnelkit.relay.occupant import whyNot
from tunnelkit.tunnels.private.keyfile import ReadFile, endKey, fileName, fileText
from tunnelkit.tunnels.spec import isTunnelName, socketPath, splitDescription
from tunnelkit.wire.address import HostPort, LocalAddress, parseHostPort, parsePort
from tunnelkit.wire.endkey import EndKey

_log: Final = Logger()

LOOPBACK: Final = "127.0.0.1"
_OPTIONS: Final = ("interface", "keyFile", "unix")
_FORM: Final = "write NAME:PORT[:interface=ADDRESS], or NAME:unix=PATH"


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitSpec:
    """
    A private tunnel that a client brings its own visitors to.

    @ivar name: the tunnel's name.
    @ivar at: where visitors come to.
    @ivar key: the key by which the two clients encrypt between them, or None.
    """

    name: str
    at: LocalAddress
    key: EndKey | None = None


def parseVisit(text: str, read: ReadFile = fileText) -> VisitSpec:
    """
    Read a description.

    @param read: gives the text of a file that it names.
    @raise ValueError: the text says what is wrong with which description.
    """
    try:
        name, arguments, options = splitDescription(text)
        for option in options:
            if option not in _OPTIONS:
                known = ", ".join(_OPTIONS)
                raise ValueError(f"a visit has no option {option!r}, only {known}")
        if not isTunnelName(name):
            raise ValueError(f"{name!r} cannot be a tunnel's name: {_FORM}")
        keyFile = fileName(options.get("keyFile"))
        return VisitSpec(
            name=name,
            at=_place(arguments, options),
            key=endKey(keyFile, name, read),
        )
    except ValueError as e:
        raise ValueError(f"visit {text!r}: {e}") from None


def parseSocks(text: str) -> HostPort:
    """
    Read where programs that know SOCKS come to: C{[HOST:]PORT}.

    @raise ValueError: it is no such address.
    """
    if text.isdecimal():
        return HostPort(LOOPBACK, parsePort(text))
    return parseHostPort(text)


def parseKey(text: str, read: ReadFile = fileText) -> tuple[str, EndKey]:
    """
    Read C{NAME=FILE}: the key of a private tunnel.

    @param read: gives the text of the file.
    @raise ValueError: it is no such text, or the file holds none.
    """
    name, equals, file = text.partition("=")
    key = endKey(file, name, read) if equals else None
    if key is None or not isTunnelName(name):
        raise ValueError(f"{text!r} is not NAME=FILE, a tunnel's name and its key")
    return name, key


def _place(arguments: list[str], options: Mapping[str, str]) -> LocalAddress:
    path, interface = options.get("unix"), options.get("interface")
    if path is not None:
        if arguments or interface is not None:
            raise ValueError("it has both unix=PATH and a port: give one of them")
        return socketPath(path)
    match arguments:
        case [port]:
            return _port(port, LOOPBACK if interface is None else interface)
        case []:
            raise ValueError(f"it does not say where visitors come to: {_FORM}")
    if interface is not None:  # which was cut at its first colon
        raise ValueError("write an IPv6 address in brackets: interface=[2001:db8::1]")
    raise ValueError(f"it has more than a name and a port: {_FORM}")


def _port(text: str, interface: str) -> HostPort:
    port = parsePort(text)
    host = interface.removeprefix("[").removesuffix("]")
    try:
        return parseHostPort(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    except ValueError as e:
        raise ValueError(f"interface={interface}: {e}") from None


def warnOfPlace(at: LocalAddress, what: str) -> None:
    """
    Say that others than this machine's users can come to a place, if it is so.
    """
    if not isinstance(at, HostPort) or at.host in ("::1", "localhost"):
        return
    if not at.host.startswith("127."):
        _log.warn(
            "{at} is no address of this machine alone: whoever reaches it reaches"
            " {what} with this client's token",
            at=str(at),
            what=what,
        )


def deaf(spec: VisitSpec, error: CannotListenError) -> str:
    """
    Say why a visit's place cannot be had.
    """
    at = spec.at
    why = whyNot(error, at.port if isinstance(at, HostPort) else 0)
    return (
        f"--visit {spec.name}: cannot listen on {at}: {why}: stop what does, or give"
        " the visit another place"
    )
