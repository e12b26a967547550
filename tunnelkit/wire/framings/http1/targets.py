# -*- test-case-name: tests.wire.framings.http1.test_refusals -*-
"""
Whom a request is for: its target, and its Host.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tunnelkit.wire.framings.http1.answers import Malformed

_HOST: Final = re.compile(
    rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+;=-]*)(?::([0-9]{0,5}))?"
)
_ABSOLUTE: Final = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)[\x21-\x7e]*")
_PORTS: Final[Mapping[bytes, bytes]] = {b"http": b"80", b"https": b"443"}


def isHost(value: bytes) -> bool:
    """
    Tell whether this can be a Host (RFC 9110 section 7.2): a name or an address, and
    maybe a port.
    """
    return _HOST.fullmatch(value) is not None


def checkTarget(method: bytes, target: bytes, host: bytes | None) -> bytes | None:
    """
    See that a request is for one host, and says so in one of the ways of RFC 9112
    section 3.2.

    @param host: the value of its Host; None where it has none.
    @return: which it is for, as far as the request says.
    @raise Malformed: that cannot be, or it says two things.
    """
    if host is not None and not isHost(host):
        raise Malformed(400, "Host is no name or address")
    if target.startswith(b"/") or (target == b"*" and method == b"OPTIONS"):
        return host
    found = _ABSOLUTE.fullmatch(target)
    if found is None:
        raise Malformed(400, "the target begins with no slash, and is no address")
    scheme, authority = found[1].lower(), found[2]
    if scheme not in _PORTS:
        raise Malformed(400, "the target is an address, and not of http")
    if not authority or not isHost(authority):
        raise Malformed(400, "the host in the target is no name or address")
    usual = _PORTS[scheme]
    if host is not None and _place(host, usual) != _place(authority, usual):
        raise Malformed(400, "the host in the target is not the one in Host")
    return authority


def _place(authority: bytes, usual: bytes) -> tuple[bytes, bytes]:
    found = _HOST.fullmatch(authority)
    assert found is not None
    return found[1].lower(), (found[2] or usual).lstrip(b"0")
