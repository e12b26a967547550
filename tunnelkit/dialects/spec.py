# -*- test-case-name: tests.dialects.test_spec -*-
"""
Dialect descriptions: what C{--dialect} says, in the manner of endpoint strings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol, TypeAlias, TypeVar

from tunnelkit.dialects.house import House
from tunnelkit.interfaces import IDialect
from tunnelkit.tunnels.spec import splitDescription

T = TypeVar("T")

ReadFile: TypeAlias = Callable[[str], str]
"""Gives the text of a file, by its name; its ValueError says what is wrong."""


class DialectSpec(Protocol):
    """
    A dialect that is to be spoken, checked and complete.
    """

    @property
    def name(self) -> str:
        """
        What it is called.
        """

    @property
    def users(self) -> frozenset[str]:
        """
        Who its clients are, once they have logged in: nobody else is called so.
        """

    @property
    def warning(self) -> str:
        """
        What the operator should know, in a sentence: said once at the start.
        """

    def make(self, house: House) -> IDialect:
        """
        Make what speaks it.
        """


class Description:
    """
    A description that was taken apart: each option is taken once.
    """

    def __init__(self, options: dict[str, str], read: ReadFile) -> None:
        self._options = dict(options)
        self._read = read
        self._known: list[str] = []

    def take(self, name: str, parse: Callable[[str], T], default: T) -> T:
        """
        Take an option.

        @param parse: makes a value of its text, or raises ValueError.
        @param default: the value where it is not given.
        """
        self._known.append(name)
        text = self._options.pop(name, None)
        if text is None:
            return default
        try:
            return parse(text)
        except ValueError as e:
            raise ValueError(f"{name}=: {e}") from None

    def has(self, name: str) -> bool:
        """
        Tell whether an option is given that was not taken yet.
        """
        return name in self._options

    def file(self, name: str) -> str | None:
        """
        Take an option that names a file, and give the text of that.
        """
        return self.take(name, self._read, None)

    def secret(self) -> str:
        """
        Take the secret: C{token=SECRET}, or C{tokenFile=FILE} for the first line of a
        file.

        @raise ValueError: there is none, or two.
        """
        given, file = self.take("token", str, None), self.file("tokenFile")
        if given is not None and file is not None:
            raise ValueError("it has both token= and tokenFile=: give one of them")
        lines = (file or given or "").splitlines()
        if not lines or not lines[0]:
            raise ValueError(
                "it has no secret, and without one anybody could use it: give"
                " token=SECRET or tokenFile=FILE"
            )
        return lines[0]

    def tlsRequired(self) -> bool:
        """
        Take C{tls=required}, without which the dialect may be spoken in plain, too.
        """
        return self.take("tls", _required, False)

    def end(self) -> None:
        """
        See that nothing is left.

        @raise ValueError: there is an option that it does not have.
        """
        for name in self._options:
            known = ", ".join(sorted(self._known))
            raise ValueError(f"it has no option {name!r}, only {known}")


DialectParser: TypeAlias = Callable[[Description], DialectSpec]
"""Makes a dialect of the options of a description."""


def parseDialect(
    text: str,
    dialects: Mapping[str, DialectParser],
    read: ReadFile,
    under: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> DialectSpec:
    """
    Read a description, C{NAME:OPTION=VALUE...}.

    @param dialects: by its name, what reads the rest of a description.
    @param read: gives the text of a file.
    @param under: by the dialect's name, options that hold where the text has no other.
    @raise ValueError: the text says what is wrong with the description, and does not
        quote it, as there are secrets in it.
    """
    name, arguments, options = splitDescription(text)
    if name not in dialects:
        known = ", ".join(sorted(dialects))
        raise ValueError(
            f"there is no dialect {name[:40]!r}: write NAME:OPTION=VALUE, where NAME is"
            f" one of {known}"
        )
    try:
        if arguments:
            raise ValueError("what follows the name is OPTION=VALUE, all of it")
        description = Description(_over(options, under.get(name, {})), read)
        spec = dialects[name](description)
        description.end()
    except ValueError as e:
        raise ValueError(f"dialect {name}: {e}") from None
    return spec


def _over(options: dict[str, str], under: Mapping[str, str]) -> dict[str, str]:
    over = {**under, **options}
    if "tokenFile" in options and "token" not in options:
        over.pop("token", None)
    return over


def _required(text: str) -> bool:
    if text != "required":
        raise ValueError("it is required, or left out")
    return True
