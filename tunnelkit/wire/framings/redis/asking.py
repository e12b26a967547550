# -*- test-case-name: tests.wire.framings.redis.test_asking -*-
"""
What a client of redis says: arrays of bulk strings, and lines as people type them.

A line goes to redis as an array: what it means is read here, once.
"""

from __future__ import annotations

import re
from typing import Final

from tunnelkit.wire.framings.contract import Asked, Local, Refusal, Request
from tunnelkit.wire.framings.redis import commands
from tunnelkit.wire.framings.redis.commands import KEPT, OK
from tunnelkit.wire.native.frames import WireError

LONGEST: Final = 1024 * 1024
"""The longest command, in bytes, where it is not told."""
LINE: Final = 64 * 1024
"""The longest of those that are lines."""

_END: Final = b"\r\n"
_DIGITS: Final = 12
_NUMBER: Final = re.compile(rb"-?(0|[1-9][0-9]{0,9})")
_QUOTED: Final = re.compile(
    rb"""[ \t\n\r\v\f\x00]*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\'|\\(?!'))*)'|"""
    rb"""([^\s\x00"']+))"""
    rb"""(?=[\s\x00]|$)""",
    re.DOTALL,
)
_ESCAPED: Final = re.compile(rb"\\(x[0-9A-Fa-f]{2}|.)", re.DOTALL)
_NAMED: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}
_WEB: Final = (b"POST", b"HOST:")
"""Words by which redis knows, as we do, that a browser was tricked into speaking."""


def failure(words: str) -> bytes:
    """
    Give an error of the protocol.
    """
    return b"-ERR tunnelshare: " + words.encode("ascii", "replace") + _END


def numberOf(text: bytes) -> int:
    """
    Read a number.

    @raise WireError: it is none.
    """
    if not _NUMBER.fullmatch(text):
        raise WireError("a length is no number")
    return int(text)


def typed(line: bytes) -> list[bytes]:
    """
    Take a line apart, as redis does: words, and quoted ones with escapes.

    @raise WireError: a quote has no end.
    """
    words, at, line = [], 0, line.rstrip()
    while at < len(line):
        found = _QUOTED.match(line, at)
        if found is None:
            raise WireError("a quote has no end, or something behind it")
        double, single, plain = found.groups()
        if double is not None:
            words.append(_ESCAPED.sub(lambda each: _unescaped(each[1]), double))
        else:
            words.append(plain if single is None else single.replace(b"\\'", b"'"))
        at = found.end()
    return words


def _unescaped(text: bytes) -> bytes:
    if text[:1] == b"x" and len(text) > 1:
        return bytes.fromhex(text[1:].decode())
    return _NAMED.get(text, text)


def array(words: list[bytes]) -> bytes:
    """
    Give a command as an array.
    """
    parts = [b"*%d\r\n" % len(words)]
    parts += [b"$%d\r\n%b\r\n" % (len(each), each) for each in words]
    return b"".join(parts)


class RedisRequests:
    """
    The decoder of a client's connection.
    """

    def __init__(self, sticky: bool, longest: int) -> None:
        """
        @param sticky: whether the client has its connection for itself.
        @param longest: bytes that a command may have.
        """
        self._sticky = sticky
        self._longest = longest
        self._buffer = bytearray()
        self._open = False  # answers do not follow commands one by one
        self._forget()

    def _forget(self) -> None:
        self._at = 0  # how far the array was read
        self._words: list[bytes] = []
        self._left: int | None = None  # strings to come
        self._size: int | None = None  # of the next one

    @property
    def partial(self) -> int:
        """
        How many bytes of a command there are that is not whole.
        """
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """
        Take bytes.
        """
        self._buffer += data

    def ended(self) -> None:
        """
        What is half there is told by L{partial}.
        """

    def next(self) -> Asked | None:
        """
        Give what the next command comes to.
        """
        try:
            while self._buffer:
                isArray = self._buffer[0] == ord("*")
                data = self._array() if isArray else self._line()
                if data is None:
                    return None
                words = self._words
                self._forget()
                if words:  # redis says nothing to an empty one
                    return self._judged(words, data)
        except WireError as e:
            return Refusal(str(e), failure(str(e)))
        return None

    # What it says.

    def _array(self) -> bytes | None:
        if self._left is None:
            count = self._told(b"*")
            if count is None:
                return None
            self._left = max(0, count)
        while self._left:
            if not self._string():
                return None
            self._left -= 1
        data = bytes(self._buffer[: self._at])
        del self._buffer[: self._at]
        return data

    def _string(self) -> bool:
        """
        Read one more string, if it is all there.
        """
        buffer = self._buffer
        if self._size is None:
            self._size = self._told(b"$")
            if self._size is None:
                return False
            if self._size < 0:
                raise WireError("a string of a command is null")
        end = self._at + self._size
        if end + len(_END) > self._longest:
            raise WireError(f"a command of more than {self._longest} bytes")
        if len(buffer) < end + len(_END):
            return False
        if buffer[end : end + len(_END)] != _END:
            raise WireError("a string is longer than it says")
        if len(self._words) < KEPT:
            self._words.append(bytes(buffer[self._at : min(end, self._at + KEPT)]))
        self._at, self._size = end + len(_END), None
        return True

    def _told(self, kind: bytes) -> int | None:
        """
        Read a line that tells a number, if it is all there.
        """
        at = self._at
        end = self._buffer.find(_END, at, at + _DIGITS + len(_END))
        if end < 0:
            if len(self._buffer) - at >= _DIGITS + len(_END):
                raise WireError("a length is no number")
            return None
        line = bytes(self._buffer[at:end])
        if line[:1] != kind:
            raise WireError(f"{kind.decode()} expected, and not {line[:1]!r}")
        self._at = end + len(_END)
        return numberOf(line[1:])

    def _line(self) -> bytes | None:
        most = min(LINE, self._longest)
        end = self._buffer.find(b"\n", 0, most)
        if end < 0:
            if len(self._buffer) >= most:
                raise WireError(f"a line of more than {most} bytes")
            return None
        words = typed(bytes(self._buffer[:end]))
        del self._buffer[: end + 1]
        if words and words[0].upper() in _WEB:
            raise WireError("this is redis, and no web server")
        self._words = [each[:KEPT] for each in words[:KEPT]]
        return array(words)

    # What becomes of it.

    def _judged(self, words: list[bytes], data: bytes) -> Asked:
        if commands.word(words, 0) == "QUIT":
            return Local(OK, close=True)
        if commands.copies(words):
            name = commands.word(words, 0)
            return Local(failure(f"{name} copies a server, which is not carried"))
        if not self._sticky:
            return self._shared(words, data)
        self._open = self._open or commands.opens(words)
        return Request(
            data=data,
            repeatable=commands.reads(words) and not self._open,
            silent=self._open,
            patient=commands.waits(words),
            label=True,
        )

    def _shared(self, words: list[bytes], data: bytes) -> Asked:
        if what := commands.needs(words):
            return Local(failure(f"{what} needs a connection of its own (--sticky)"))
        if said := commands.answer(words):
            return Local(said)
        return Request(data=data, repeatable=commands.reads(words), label=False)
