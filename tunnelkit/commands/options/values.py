# -*- test-case-name: tests.commands.test_portal -*-
"""
Values of a portal's options.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tunnelkit.portal.settings import Target
from tunnelkit.wire.address import HostPort, isAddress, parseHostPort, parsePort
from tunnelkit.wire.token import LEAST_BITS, strengthOf

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LONGEST_SECRET: Final = 4096


def portalName(text: str) -> str:
    """
    Read the name of a portal.

    @raise ValueError: no portal can be called that.
    """
    if not _NAME.fullmatch(text):
        raise ValueError(
            f"{text!r} cannot be a portal's name: give 1 to 64 letters, digits, '.',"
            " '_' and '-'"
        )
    return text


def target(text: str) -> Target:
    """
    Read what C{--connect} leads to.

    @raise ValueError: it is neither a name nor an address.
    """
    return parseHostPort(text) if ":" in text else portalName(text)


def listened(text: str) -> HostPort:
    """
    Read a local address to listen on.

    @raise ValueError: it is none.
    """
    return _local(text, "127.0.0.1")


def bound(text: str) -> HostPort:
    """
    Read the address of the portal's own socket.

    @raise ValueError: it is none.
    """
    return _local(text, "")


def _local(text: str, host: str) -> HostPort:
    if text.isdecimal():
        return HostPort(host, 0 if int(text) == 0 else parsePort(text))
    head, _, port = text.rpartition(":")
    found = HostPort(parseHostPort(f"{head}:1").host, 0) if port == "0" else None
    found = found or parseHostPort(text)
    if not isAddress(found.host):
        raise ValueError(f"{found.host!r} is not an IP address of this machine")
    return found


def length(text: str, most: int) -> int:
    """
    Read the length of a datagram.

    @raise ValueError: it is none.
    """
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise ValueError(f"{text!r} is not a number of bytes from 1 to {most}")
    return int(text)


def rendezvousURL(text: str) -> str:
    """
    Read the URL of a rendezvous.

    @return: the same, with a slash at its end.
    @raise ValueError: it is none.
    """
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise ValueError(f"{text!r} is not a URL such as https://rendezvous.example/")
    return text if text.endswith("/") else f"{text}/"


def readSecret(path: Path) -> str:
    """
    Read a secret from its file.

    @raise ValueError: it can be guessed, or read by everybody.
    """
    if os.name == "posix" and path.stat().st_mode & 0o004:
        raise ValueError(
            f"every user of this machine can read {path}: run chmod 600 {path}"
        )
    with open(path, encoding="utf-8", errors="replace") as file:
        secret = file.read(_LONGEST_SECRET).strip()
    if strengthOf(secret) < LEAST_BITS:
        raise ValueError(
            f"the secret in {path} is too weak: it needs {LEAST_BITS} bits of chance;"
            " take what openssl rand -hex 32 prints"
        )
    return secret
