# -*- test-case-name: tests.wire.framings.redis.test_own -*-
"""
Commands on a connection that is its client's own: all go to the target, and what is
known of their replies goes along.
"""

from __future__ import annotations

from dataclasses import dataclass

from tunnelkit.wire.framings.contract import Asked, Local, Request
from tunnelkit.wire.framings.redis.commands import (
    REPLICATING,
    STREAMS,
    SUBSCRIBING,
    WAITING,
    blocks,
)
from tunnelkit.wire.framings.redis.shared import OK


@dataclass(frozen=True, slots=True)
class Announced:
    """
    What a command without a reply of the usual kind leads to.

    @ivar channels: how many channels are confirmed, at least, each by a message.
    @ivar raw: whether what the target says from now on is no RESP.
    """

    channels: int = 0
    raw: bool = False


class Own:
    """
    Decides on the commands of a client with a connection of its own.  None is sent
    twice: what was set on the connection is lost with it.
    """

    def __init__(self) -> None:
        self._off = False
        self._skip = False
        self._raw = False

    def decide(self, name: bytes, words: list[bytes], data: bytes) -> Asked:
        """
        @param name: the command in capitals.
        @param words: all of it, where C{LOOKED_AT} has the name.
        @param data: its bytes, which may be the first part of it.
        """
        if name == b"QUIT" and not self._raw:
            return Local(b"" if self._off else OK, close=True)
        skipped, self._skip = self._skip, False
        if name == b"RESET":
            self._off = False
        mute = self._off or skipped
        if name == b"CLIENT" and len(words) == 3 and words[1].upper() == b"REPLY":
            mute = self._reply(words[2].upper(), mute)
        label = None if mute else self._label(name, words)
        waits = name in WAITING or (name in STREAMS and blocks(words))
        silent = mute or self._raw or label is not None
        return Request(data=data, silent=silent, patient=waits, label=label)

    def _label(self, name: bytes, words: list[bytes]) -> Announced | None:
        if name in SUBSCRIBING:
            return Announced(channels=max(1, len(words) - 1))
        if name in REPLICATING:
            self._raw = True
            return Announced(raw=True)
        return None

    def _reply(self, told: bytes, mute: bool) -> bool:
        """
        Take C{CLIENT REPLY}.

        @param mute: whether another command had no reply here.
        @return: whether this one has none.
        """
        if told == b"SKIP":
            self._skip = not self._off
        elif told in (b"ON", b"OFF"):
            self._off = told == b"OFF"
            mute = self._off
        return mute or told == b"SKIP"
