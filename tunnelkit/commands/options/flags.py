# -*- test-case-name: tests.commands.options.test_flags -*-
"""
Options that stand on the command line or in a configuration file.

A flag wins over the environment, the environment over the file, the file over the
default; of options that may be given several times, those on the command line
replace those in the file.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, Final, NoReturn, TypeAlias, TypeVar, cast

from twisted.logger import LogLevel
from twisted.python import usage

from tunnelkit import __version__
from tunnelkit.commands.options.config import Reading, Value, readConfig, text
from tunnelkit.commands.options.saying import say
from tunnelkit.state.secrets import exposure, readText, readToken
from tunnelkit.wire.token import Token

T = TypeVar("T")

ReadFile: TypeAlias = Callable[[str], str]
"""Gives the text of a file, by its name; its ValueError says what is wrong."""

TOKEN_VARIABLE: Final = "TUNNELKIT_TOKEN"
"""The environment variable that may hold a token."""

GRACE: Final = 10.0
"""How long streams may go on when a program stops, in seconds, unless it is told."""

GRACE_OPTION: Final = [
    "grace",
    None,
    None,
    "How many seconds streams may go on after SIGTERM or Ctrl-C; a second one cuts"
    f" them at once. [default: {GRACE:g}]",
]

LEVELS: Final = tuple(level.name for level in LogLevel.iterconstants())
"""The names of log levels, the least important first."""

LONGEST: Final = 7 * 24 * 3600
"""The longest time that an option takes, in seconds: a week.  What is longer by far
would not even fit into a message."""

_LONGEST_FILE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Given:
    """
    What an option was given.

    @ivar origin: where it stands, for messages.
    @ivar folder: what relative paths in it are relative to.
    """

    value: Value
    origin: str
    folder: Path = Path()

    def read(self, parse: Callable[[str], T], text: str) -> T:
        """
        Make a value of the text, or of one of the texts, that was given.

        @param parse: its C{ValueError} says what is wrong.
        @raise UsageError: the same, with where it stands.
        """
        try:
            return parse(text)
        except ValueError as e:
            raise usage.UsageError(f"{self.origin}: {e}") from e

    def path(self, text: str) -> Path:
        """
        Make an absolute path of the text.

        @raise UsageError: there is no text, of which the present folder would be made.
        """
        if not text:
            raise usage.UsageError(f"{self.origin}: the path is empty")
        return Path.cwd() / self.folder / os.path.expanduser(text)


class CommandOptions(usage.Options):
    """
    Options of a command of tunnelkit's.
    """

    def opt_version(self) -> NoReturn:
        """
        Display tunnelkit's version and exit.
        """
        say(f"tunnelkit {__version__}")
        sys.exit(0)

    def opt_help(self) -> NoReturn:
        """
        Display this help and exit.
        """
        say(str(self))
        sys.exit(0)

    opt_h = opt_help

    def getSynopsis(self) -> str:
        """
        Give the line that shows how the command is used: one of several below another
        has a gap in it, as that has no synopsis of its own.
        """
        return " ".join(super().getSynopsis().split())

    def parseArgs(self, *arguments: str) -> None:
        """
        Refuse what belongs to no option.
        """
        if arguments:
            raise usage.UsageError(f"{arguments[0]!r} belongs to no option")


class ConfiguredOptions(CommandOptions):
    """
    Options that may stand in a file, too.

    @cvar usualLevel: the log level where none is given.
    @cvar fileKeys: what may stand in the file, and how it is read there.
    @ivar environ: the environment variables.
    @ivar logLevel: how important an event must be for the log: the name of a level.
    @ivar warnings: what is not wrong and yet should be known: a sentence each, for
        the log.
    """

    usualLevel: ClassVar = "info"
    fileKeys: ClassVar[Mapping[str, Reading]] = {"log-level": text}

    optParameters = [
        [
            "config",
            None,
            None,
            "A TOML file with the same words as these options, without the dashes"
            " before them. What is given here wins over the file.",
        ],
        [
            "log-level",
            None,
            None,
            f"What the log shows: {', '.join(LEVELS)}.",
        ],
    ]

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        super().__init__()
        # Of what a docstring says, the help wraps the words and keeps the spaces.
        self.docs = {n: doc and " ".join(doc.split()) for n, doc in self.docs.items()}
        self.docs["log-level"] += f" [default: {self.usualLevel}]"
        self.environ = environ
        self.logLevel = self.usualLevel
        self.warnings: list[str] = []
        self._file: Mapping[str, Given] = {}

    def postOptions(self) -> None:
        """
        Read the file, and what all commands have.
        """
        if self["config"] is not None:
            path = Path(self["config"]).absolute()
            self._file = {
                key: Given(value, f"{key} in {path}", path.parent)
                for key, value in readConfig(path, self.fileKeys).items()
            }
        self.logLevel = self.one("log-level", logLevel, self.usualLevel)

    def one(self, name: str, parse: Callable[[str], T], default: T) -> T:
        """
        Give what the option C{name} says.

        @param parse: makes a value of its text.
        @param default: the value where it is not given.
        """
        given = self._given(name)
        if given is None:
            return default
        return given.read(parse, cast(str, given.value))

    def every(self, name: str, parse: Callable[[str], T]) -> tuple[T, ...]:
        """
        Give what an option says that may be given several times.
        """
        given = self._given(name)
        if given is None:
            return ()
        return tuple(given.read(parse, one) for one in cast(list[str], given.value))

    def describe(self, name: str, parse: Callable[[str, ReadFile], T]) -> tuple[T, ...]:
        """
        Give what descriptions say that may be given several times and may name files.

        @param parse: makes a value of a text and of what gives the text of a file.
        """
        given = self._given(name)
        if given is None:
            return ()
        read = partial(self._textIn, given)
        return self.every(name, lambda text: parse(text, read))

    def flag(self, name: str) -> bool:
        """
        Tell whether a flag is set.
        """
        given = self._given(name)
        return given is not None and bool(given.value)

    def file(self, name: str) -> Path | None:
        """
        Give the path of a file that can be read.
        """
        given = self._given(name)
        if given is None:
            return None
        path = given.path(cast(str, given.value))
        given.read(_checkReadable, str(path))
        return path

    def content(self, name: str, read: Callable[[bytes, str], T]) -> T | None:
        """
        Give what is read of a file of another program's, which may hold a secret.

        @param read: makes a value of its bytes and its name.
        """
        path = self.file(name)
        if path is None:
            return None
        self._warnOfFile(path)
        try:
            with open(path, "rb") as file:
                return read(file.read(_LONGEST_FILE), str(path))
        except OSError as e:
            raise usage.UsageError(f"{path} cannot be read: {e.strerror}") from e
        except ValueError as e:
            raise usage.UsageError(f"{self.origin(name)}: {e}") from e

    def folder(self, name: str) -> Path | None:
        """
        Give the path of a folder, which need not be there.
        """
        given = self._given(name)
        return None if given is None else given.path(cast(str, given.value))

    def origin(self, name: str) -> str | None:
        """
        Give where an option stands, for messages; None where it is not given.
        """
        given = self._given(name)
        return None if given is None else given.origin

    def token(self, parse: Callable[[str], Token] = Token.parse) -> Token | None:
        """
        Give the token that C{--token}, C{--token-file}, the environment or the file
        has.

        @param parse: makes a token of its text.
        """
        return self.secret(parse)

    def secret(self, parse: Callable[[str], T]) -> T | None:
        """
        Give what is made of the same text, where that is no token of ours.
        """
        variable = self.environ.get(TOKEN_VARIABLE)
        given = (
            self._tokenOf(self._fromFlag)
            or (Given(variable, TOKEN_VARIABLE) if variable else None)
            or self._tokenOf(self._file.get)
        )
        if given is None:
            return None
        return given.read(parse, cast(str, given.value))

    def _given(self, name: str) -> Given | None:
        return self._fromFlag(name) or self._file.get(name)

    def _fromFlag(self, name: str) -> Given | None:
        value = self.get(name)
        return None if value in (None, 0) else Given(value, f"--{name}")

    def _tokenOf(self, find: Callable[[str], Given | None]) -> Given | None:
        token, file = find("token"), find("token-file")
        if token and file:
            raise usage.UsageError(
                f"{token.origin} and {file.origin} are both given: give one of them"
            )
        if file:
            return self._tokenIn(file)
        if token:
            self._warnOfToken(token)
        return token

    def _tokenIn(self, given: Given) -> Given:
        path = given.path(cast(str, given.value))
        content = given.read(readToken, str(path))
        self._warnOfFile(path)
        return Given(content, f"{given.origin}: {path}")

    def _textIn(self, given: Given, name: str) -> str:
        path = given.path(name)
        content = readText(str(path), _LONGEST_FILE)
        self._warnOfFile(path, "secret")
        return content

    def _warnOfToken(self, token: Given) -> None:
        if token.origin.startswith("--"):
            self.warnings.append(
                "every user of this machine can read a token on the command line:"
                " better use --token-file"
            )
        else:
            self._warnOfFile(Path(self["config"]).absolute())

    def _warnOfFile(self, path: Path, what: str = "token") -> None:
        if warning := exposure(path, what):
            self.warnings.append(warning)


def logLevel(text: str) -> str:
    """
    Read the name of a log level.

    @raise ValueError: there is none of that name.
    """
    if text.lower() not in LEVELS:
        raise ValueError(f"{text!r} is not one of {', '.join(LEVELS)}")
    return text.lower()


def seconds(text: str) -> float:
    """
    Read a time in seconds.

    @raise ValueError: it is none, or longer than L{LONGEST}.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ValueError(f"{text!r} is not a number of seconds, such as {GRACE:g}")
    if value > LONGEST:
        raise ValueError(
            f"{text!r} is more than a week: give at most {LONGEST} seconds"
        )
    return value


def span(text: str) -> float:
    """
    Read a time in seconds that something may take.

    @raise ValueError: it is none, or nothing can be done in it.
    """
    value = seconds(text)
    if not value:
        raise ValueError("in no time nothing is done: give some seconds")
    return value


def _checkReadable(path: str) -> None:
    try:
        open(path, "rb").close()
    except OSError as e:
        raise ValueError(f"{path} cannot be read: {e.strerror}") from e
