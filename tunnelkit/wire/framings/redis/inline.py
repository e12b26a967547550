# -*- test-case-name: tests.wire.framings.redis.test_inline -*-
"""
Commands typed by hand: a line of words, some of them in quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_SPACE: Final = rb"[ \t\r\n\v\f]"
_WORD: Final = re.compile(
    rb"""(?s)%s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^\s"']+)())(?:%s|$)"""
    % (_SPACE, _SPACE)
)
_ESCAPE: Final = re.compile(rb"(?s)\\(x[0-9a-fA-F]{2}|.)")
_NAMED: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}


def split(line: bytes) -> list[bytes] | None:
    r"""
    Give the words of a line, as Redis does: in C{"} there may be C{\xHH}, C{\n} and
    the like, and in C{'} only C{\'} says something else.

    @return: None where quotes are not closed, or stand against a word.
    """
    words = []
    at, end = 0, len(line.rstrip(b" \t\r\n\v\f"))
    while at < end:
        found = _WORD.match(line, at, end)
        if found is None:
            return None
        double, single, plain = found[1], found[2], found[3]
        if double is not None:
            words.append(_ESCAPE.sub(_unescaped, double))
        elif single is not None:
            words.append(single.replace(rb"\'", b"'"))
        else:
            words.append(plain)
        at = found.end()
    return words


def _unescaped(found: re.Match[bytes]) -> bytes:
    what = found[1]
    if len(what) > 1:
        return bytes((int(what[1:], 16),))
    return _NAMED.get(what, what)


def encoded(words: Iterable[bytes]) -> bytes:
    """
    Give a command as an array of strings, which nobody takes for another.
    """
    parts = [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    return b"*%d\r\n%b" % (len(parts), b"".join(parts))
