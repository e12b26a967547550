# -*- test-case-name: tests.control.test_names -*-
"""
Names: what the other side calls itself and what it says, before that is shown to
people: in logs, in public addresses, in the admin rooms.
"""

from __future__ import annotations

from typing import Final

from tunnelkit.wire.address import parseHostPort

_LONGEST: Final = 200
"""The longest name of a client, in characters."""


def isClientName(text: str) -> bool:
    """
    Tell whether a client can be called that: 1 to 200 printable characters.
    """
    return 0 < len(text) <= _LONGEST and text.isprintable()


def legible(text: str, most: int = _LONGEST) -> str:
    """
    Make a text fit for a line of a log: what could move a terminal's cursor, begin
    another line or hide the rest is shown as C{?}.

    @param most: how many characters are kept.
    """
    shown = "".join(each if each.isprintable() else "?" for each in text[:most])
    return shown + "..." if len(text) > most else shown


def hostOr(text: str, otherwise: str) -> str:
    """
    Give the host that a text names, without brackets, or C{otherwise} where it names
    none.
    """
    bracketed = text.startswith("[") and text.endswith("]")
    host = text[1:-1] if bracketed else text
    # What stands behind the % of an IPv6 address may be anything.
    if not host.isprintable() or " " in host:
        return otherwise
    try:
        parseHostPort(f"[{host}]" if ":" in host or bracketed else host, 1)
    except ValueError:
        return otherwise
    return host
