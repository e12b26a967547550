# -*- test-case-name: tests.wire.framings.redis.test_shared -*-
"""
Commands on a connection that all share: what goes to the target, what is answered here,
and what is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tunnelkit.wire.framings.contract import Asked, Local, Request
from tunnelkit.wire.framings.redis.commands import (
    OWN,
    READS,
    STREAMS,
    blocks,
    error,
    names,
    ownError,
)

OK: Final = b"+OK\r\n"

_VERSION: Final = "6.0.0"
"""The first that knows C{HELLO}: the target has not been asked for its own."""
_DATABASE: Final = b"0"


class Shared:
    """
    Decides on the commands of a client without a connection of its own.
    """

    def decide(self, name: bytes, words: list[bytes], data: bytes) -> Asked:
        """
        @param name: the command in capitals.
        @param words: all of it, where C{LOOKED_AT} has the name.
        @param data: its bytes, which may be the first part of it.
        """
        if name in OWN:
            return Local(ownError(name.decode()))
        look = _LOOKS.get(name)
        told = None if look is None else look(words)
        if told is not None:
            return told
        return Request(data=data, repeatable=name in READS)


def _quit(words: list[bytes]) -> Local:
    return Local(OK, close=True)


def _select(words: list[bytes]) -> Local | None:
    if len(words) != 2:
        return None
    return Local(OK if words[1] == _DATABASE else ownError("SELECT"))


def _stream(words: list[bytes]) -> Local | None:
    if not blocks(words):
        return None
    return Local(ownError(f"{words[0].upper().decode()} with BLOCK"))


def _client(words: list[bytes]) -> Local | None:
    about = words[1].upper() if len(words) > 1 else b""
    if about in _NAMING:
        # What is wrong with others is for the target to say.
        return Local(OK) if len(words) == _NAMING[about] else None
    shown = f" {about.decode()}" if about in _CLIENT else ""
    return Local(ownError(f"CLIENT{shown}"))


def _script(words: list[bytes]) -> Local | None:
    if len(words) > 1 and words[1].upper() == b"DEBUG":
        return Local(ownError("SCRIPT DEBUG"))
    return None


def _hello(words: list[bytes]) -> Local:
    if len(words) > 1 and words[1] != b"2":
        if words[1] == b"3":
            text = "version 3 of the protocol needs a connection of its own (--sticky)"
            return Local(error(text, "NOPROTO"))
        return Local(error("this version of the protocol is not known", "NOPROTO"))
    rest = words[2:]
    while rest:
        option = rest[0].upper()
        if option == b"AUTH":
            return Local(ownError("HELLO with AUTH"))
        if option != b"SETNAME" or len(rest) < 2:
            return Local(error("HELLO takes a version, AUTH and SETNAME"))
        rest = rest[2:]
    return Local(_GREETING)


def _greeting() -> bytes:
    start: tuple[str | int, ...] = ("server", "redis", "version", _VERSION, "proto", 2)
    rest = ("id", 0, "mode", "standalone", "role", "master", "modules")
    told = start + rest
    parts = [f":{v}" if isinstance(v, int) else f"${len(v)}\r\n{v}" for v in told]
    return "\r\n".join((f"*{len(told) + 1}", *parts, "*0", "")).encode()


_GREETING: Final = _greeting()
_NAMING: Final = {b"SETNAME": 3, b"SETINFO": 4}
_CLIENT: Final = names("""
    CACHING GETNAME GETREDIR ID INFO KILL LIST NO-EVICT NO-TOUCH PAUSE REPLY
    TRACKING TRACKINGINFO UNBLOCK UNPAUSE
""")
"""What there is of C{CLIENT}, so that a refusal repeats nothing that it does not
know."""
_LOOKS: Final[dict[bytes, Callable[[list[bytes]], Local | None]]] = {
    b"QUIT": _quit,
    b"SELECT": _select,
    b"CLIENT": _client,
    b"SCRIPT": _script,
    b"HELLO": _hello,
    **dict.fromkeys(STREAMS, _stream),
}
