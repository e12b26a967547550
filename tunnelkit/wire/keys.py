# -*- test-case-name: tests.wire.test_keys -*-
"""
Keys: what stands in a table of another program's configuration file, as values.

The programs pass over what they do not know; here each key has an effect or is refused,
so that nothing is lost in silence when tunnelkit takes such a program's place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from tunnelkit.wire.address import HIGHEST

T = TypeVar("T")


class Table:
    """
    A table, of which each key is taken once.
    """

    def __init__(self, given: object, source: str, within: str = "") -> None:
        """
        @param given: what stands there.
        @param source: the name of the file.
        @param within: where in the file the table is, as C{forwards, the first}.
        @raise ValueError: it is no table.
        """
        self._where = f"{source}: {within}: " if within else f"{source}: "
        if not isinstance(given, Mapping):
            raise ValueError(f"{self._where}a table of keys is wanted here")
        self._left = dict(given)
        self._known: list[str] = []

    def take(self, key: str, read: Callable[[Any], T], default: T) -> T:
        """
        Take what stands under a key.

        @param read: makes a value of it, or raises ValueError with what is wanted.
        @param default: where there is no such key.
        @raise ValueError: it cannot be read; the text names the file and the key, and
            does not quote what may be a secret.
        """
        self._known.append(key)
        if key not in self._left:
            return default
        try:
            return read(self._left.pop(key))
        except ValueError as e:
            raise self.wrong(key, str(e)) from None

    def wrong(self, key: str, wanted: str) -> ValueError:
        """
        Make the error for a key that stands there, and cannot be used.

        @param wanted: what it takes.
        """
        return ValueError(f"{self._where}the key {key!r} takes {wanted}")

    def lack(self, key: str, wanted: str) -> ValueError:
        """
        Make the error for a key that must stand there.

        @param wanted: what it takes.
        """
        return ValueError(f"{self._where}the key {key!r} is missing: it takes {wanted}")

    def end(self) -> None:
        """
        See that nothing is left.

        @raise ValueError: there is a key that nobody knows; the text names it.
        """
        for key in self._left:
            known = ", ".join(sorted(self._known))
            raise ValueError(
                f"{self._where}the key {key!r} is not known; there may be {known}"
            )


def decoded(data: bytes, source: str) -> str:
    """
    Give the text of a configuration file.

    @param source: the name of the file.
    @raise ValueError: it is not UTF-8; the text names file and line.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as e:
        line = 1 + data.count(b"\n", 0, e.start)
        raise ValueError(f"{source}: line {line} is not UTF-8") from None


def portNumber(value: int) -> int:
    """
    Check a port.

    @raise ValueError: it is none from 0 to 65535.
    """
    if not 0 <= value <= HIGHEST:
        raise ValueError(f"a port, a number from 0 to {HIGHEST}")
    return value
