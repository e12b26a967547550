# -*- test-case-name: tests.tunnels.private.test_spec -*-
"""
Visit descriptions: what C{--visit} says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tunnelkit.tunnels.spec import isTunnelName, socketPath, splitDescription
from tunnelkit.wire.address import HostPort, LocalAddress, parseHostPort, parsePort

LOOPBACK: Final = "127.0.0.1"
_OPTIONS: Final = ("interface", "keyFile", "unix")
_FORM: Final = "write NAME:PORT[:interface=ADDRESS], or NAME:unix=PATH"


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitSpec:
    """
    A private tunnel that a client brings its own visitors to.

    @ivar name: the tunnel's name.
    @ivar at: where visitors come to.
    @ivar keyFile: the file of the key by which the two clients encrypt between them,
        or None.
    """

    name: str
    at: LocalAddress
    keyFile: Path | None = None


def parseVisit(text: str) -> VisitSpec:
    """
    Read a description.

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
        key = options.get("keyFile")
        return VisitSpec(
            name=name,
            at=_place(arguments, options),
            keyFile=None if key is None else Path(key),
        )
    except ValueError as e:
        raise ValueError(f"visit {text!r}: {e}") from None


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
    raise ValueError(f"it has more than a name and a port: {_FORM}")


def _port(text: str, interface: str) -> HostPort:
    port = parsePort(text)
    host = interface.removeprefix("[").removesuffix("]")
    try:
        return parseHostPort(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    except ValueError as e:
        raise ValueError(f"interface={interface}: {e}") from None
