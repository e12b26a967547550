# -*- test-case-name: tests.sharing.test_service -*-
"""
Connections as Twisted has them: what is set on each, and how its ends are shown.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IAddress, ISSLTransport, ITCPTransport

from tunnelkit.wire.address import HostPort, unmapped


def prepare(transport: Any) -> None:
    """
    Have small messages leave at once, and have the kernel find out who is gone.
    """
    if ITCPTransport.providedBy(transport):
        transport.setTcpNoDelay(True)
        transport.setTcpKeepAlive(True)


def isTLS(transport: Any) -> bool:
    """
    Tell whether there is TLS on a connection: then no half of it ends alone, and what
    its socket has is not yet what was said.
    """
    return bool(ISSLTransport.providedBy(transport))


def shown(address: IAddress | None) -> str:
    """
    Show an address as the log has it.
    """
    host, port = getattr(address, "host", None), getattr(address, "port", None)
    if host is not None and port is not None:
        return str(HostPort(unmapped(host), port))
    name = getattr(address, "name", None)
    if isinstance(name, bytes):
        return f"unix:{name.decode(errors='replace')}"
    return "unix" if name is None else str(name)
