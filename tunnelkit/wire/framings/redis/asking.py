# -*- test-case-name: tests.wire.framings.redis.test_asking -*-
"""
Requests: commands cut out of what a client says.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from tunnelkit.wire.framings.contract import Asked, Part, Refusal, Request
from tunnelkit.wire.framings.redis.commands import HTTP, LOOKED_AT
from tunnelkit.wire.framings.redis.inline import encoded, split
from tunnelkit.wire.framings.redis.values import END, LINE, Walk, told
from tunnelkit.wire.native.frames import WireError

COLLECTED: Final = 1024 * 1024
"""How much of a command is collected before it takes the target, in bytes; what is
longer is passed on as it comes."""
ARGUMENTS: Final = 1024 * 1024
"""How many words a command may have."""
LONGEST: Final = 512 * 1024 * 1024
"""How long one of them may be, in bytes: what Redis takes, unless it is told more."""
NAME: Final = 1024
"""How long the name of a command may be, in bytes."""

_ARRAY: Final = ord("*")
_FIRST: Final = re.compile(rb"\*\d+\r\n\$(\d+)\r\n")


class Decides(Protocol):
    """
    What becomes of a command.
    """

    def decide(self, name: bytes, words: list[bytes], data: bytes) -> Asked: ...


class CommandWalk(Walk):
    """
    A walk over commands: arrays of strings, and nothing else.
    """

    def _begin(self, line: bytearray) -> None:
        if self._open:
            if line[:1] != b"$":
                raise WireError(f"expected '$', got {bytes(line[:1])!r}")
            told(line, LONGEST)
        elif line != b"*-1":
            told(line, ARGUMENTS)
        super()._begin(line)


def wordsOf(data: bytes) -> list[bytes]:
    """
    Give the words of a command that is whole.
    """
    words = []
    at = data.index(END) + 2
    while at < len(data):
        begin = data.index(END, at) + 2
        end = begin + int(data[at + 1 : begin - 2])
        words.append(data[begin:end])
        at = end + 2
    return words


class RedisRequests:
    """
    The decoder of a client's connection.
    """

    def __init__(self, decides: Decides) -> None:
        self._decides = decides
        self._buffer = bytearray()
        self._walk = CommandWalk()
        self._at = 0
        self._passed = 0

    @property
    def partial(self) -> int:
        """
        How many bytes of a command there are that is not whole.
        """
        return self._passed + len(self._buffer)

    def feed(self, data: bytes) -> None:
        """
        Take bytes.
        """
        self._buffer += data

    def ended(self) -> None:
        """
        No command ends with its connection.
        """

    def next(self) -> Asked | None:
        """
        Give what comes of the next command, or of the next part of a long one.
        """
        try:
            return self._next()
        except WireError as e:
            reason = str(e)
            return Refusal(reason, f"-ERR Protocol error: {reason}\r\n".encode())

    def _next(self) -> Asked | None:
        buffer = self._buffer
        while buffer:
            if not self._at and not self._passed and buffer[0] != _ARRAY:
                words = self._line()
                if words is None:
                    return None
                if words:
                    return self._decided(encoded(words), words)
                continue
            self._at = self._walk.go(buffer, self._at)
            if self._passed:
                return self._part()
            if self._walk.whole:
                data = self._taken()
                if _FIRST.match(data):
                    return self._decided(data, None)
            elif self._at and len(buffer) > COLLECTED:
                return self._begun()
            else:
                return None
        return None

    def _taken(self) -> bytes:
        data = bytes(self._buffer[: self._at])
        del self._buffer[: self._at]
        self._at = 0
        return data

    def _line(self) -> list[bytes] | None:
        end = self._buffer.find(b"\n", 0, LINE)
        if end < 0:
            if len(self._buffer) >= LINE:
                raise WireError("too big inline request")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        words = None if b"\0" in line else split(line)
        if words is None:
            raise WireError("unbalanced quotes in request")
        return words

    def _decided(self, data: bytes, words: list[bytes] | None) -> Asked:
        name = words[0].upper() if words else self._name(data)
        if name in HTTP:
            raise WireError("this is HTTP")
        if name in LOOKED_AT and words is None:
            words = wordsOf(data)
        return self._decides.decide(name, words or [], data)

    @staticmethod
    def _name(data: bytes | bytearray) -> bytes:
        found = _FIRST.match(data)
        assert found is not None, "a command has at least one word"
        length = int(found[1])
        if length > NAME:
            raise WireError(f"the name of a command has more than {NAME} bytes")
        return bytes(data[found.end() : found.end() + length]).upper()

    def _begun(self) -> Asked:
        """
        Begin to pass on a command that is too long to be collected.
        """
        name = self._name(self._buffer)
        if name in LOOKED_AT:
            raise WireError(f"{name.decode()} with more than {COLLECTED} bytes")
        event = self._decided(self._taken(), None)
        if not isinstance(event, Request):
            raise WireError(
                f"{name.decode()} cannot be served, and is too long to skip"
            )
        self._passed = len(event.data)
        return Request(
            data=event.data,
            more=True,
            silent=event.silent,
            patient=event.patient,
            label=event.label,
        )

    def _part(self) -> Part | None:
        last = self._walk.whole
        if not self._at:
            return None
        data = self._taken()
        self._passed = 0 if last else self._passed + len(data)
        return Part(data, last)
