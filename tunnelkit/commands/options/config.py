# -*- test-case-name: tests.commands.options.test_config -*-
"""
Configuration files: TOML with the same words as the flags.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from twisted.python.usage import UsageError

Value: TypeAlias = str | bool | list[str]
"""What a key gives, as its flag would: text, whether the flag is set, or the text of
each time that it is given."""

Reading: TypeAlias = Callable[[Any], Value]
"""Takes what TOML has for a key; its C{ValueError} says what the key takes."""


def text(value: Any) -> str:
    """
    Read a key that takes text.
    """
    if not isinstance(value, str):
        raise ValueError("text in quotes")
    return value


def number(value: Any) -> str:
    """
    Read a key that takes a number, which may stand in quotes.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("a number")
    return str(value)


def truth(value: Any) -> bool:
    """
    Read a key whose flag takes no value.
    """
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def texts(value: Any) -> list[str]:
    """
    Read a key whose flag may be given several times; one text need not be a list.
    """
    given = value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) for one in given):
        raise ValueError('a list of texts in quotes, such as ["...", "..."]')
    return list(given)


def port(value: Any) -> str:
    """
    Read a key that takes a port, or text that says where.
    """
    return text(str(value) if type(value) is int else value)


def ports(value: Any) -> list[str]:
    """
    Read a key like that of L{texts}, where a port may be a plain number.
    """
    given = value if isinstance(value, list) else [value]
    if not all(type(one) in (int, str) for one in given):
        raise ValueError("a list of whole numbers, or of texts in quotes")
    return [str(one) for one in given]


def portList(value: Any) -> str:
    """
    Read a key that takes ports and ranges, separated by commas or in a list.
    """
    return ",".join(ports(value))


def readConfig(path: Path, keys: Mapping[str, Reading]) -> dict[str, Value]:
    """
    Read a configuration file.

    @param keys: how each key is read that may stand in it.
    @raise UsageError: the file cannot be read, or something in it cannot be used;
        the text names the file and the key.
    """
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
        return {key: _read(key, value, keys) for key, value in given.items()}
    except OSError as e:
        raise UsageError(f"--config: {path} cannot be read: {e.strerror}") from e
    except UnicodeDecodeError as e:
        line = 1 + e.object[: e.start].count(b"\n")
        raise UsageError(
            f"--config: {path} is not UTF-8, which TOML is: see line {line}"
        ) from e
    except RecursionError as e:
        raise UsageError(
            f"--config: {path} has brackets within brackets, more than can be read:"
            " write each key on a line of its own"
        ) from e
    except ValueError as e:
        raise UsageError(f"--config: {path}: {e}") from e


def _read(key: str, value: Any, keys: Mapping[str, Reading]) -> Value:
    reading = keys.get(key)
    if reading is None:
        raise ValueError(f"the key {key!r} is not known: {_hint(key, keys)}")
    try:
        return reading(value)
    except ValueError as e:
        raise ValueError(f"the key {key!r} takes {e}, not {_shown(value)}") from None


_ENOUGH: Final = 0.65
"""How alike two words must be for one to be a slip for the other: C{host} is one for
C{hostname}, and C{version} none for C{verify}."""


def _hint(key: str, keys: Mapping[str, Reading]) -> str:
    nearest = difflib.get_close_matches(key.replace("_", "-"), keys, 1, _ENOUGH)
    # That one is no slip: it stands on the command line alone.
    if nearest and key != "config":
        return f"did you mean {nearest[0]!r}?"
    return "it may have " + ", ".join(sorted(keys))


def _shown(value: Any) -> str:
    # Never the value itself, which may be a secret.
    if isinstance(value, bool):
        return "true or false"
    for kind, words in _KINDS:
        if isinstance(value, kind):
            return words
    return "a date or a time"


_KINDS: Final[tuple[tuple[type, str], ...]] = (
    (str, "text"),
    (int, "a number"),
    (float, "a number with a fraction"),
    (list, "a list like this"),
    (dict, "a table"),
)
