# -*- test-case-name: tests.state.test_userfile -*-
"""
The file of users, C{users.toml} in the state folder.

It holds a table for each user, and nothing from which a secret can be had; and one for
each private tunnel of which the operator says who may visit it::

    [users.default]
    verifier = "SCRAM-SHA-256$4096:c2FsdA...$3Ab...:9Xc..."

    [users."ci.example.org"]
    verifier = "SCRAM-SHA-256$4096:..."
    expires = 2027-01-01T00:00:00Z
    disabled = true

    [private.ssh]
    visitors = ["default"]

People edit it by hand, C{tunnelkit token} does, and a server reads it all the while:
it is only ever replaced whole, edits wait for each other, and comments survive them.
"""

from __future__ import annotations

import contextlib
import math
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from tunnelkit.state.files import Lock, replaceFile
from tunnelkit.state.verifier import Verifier
from tunnelkit.wire.token import isUserName

if TYPE_CHECKING:
    # A server that runs only reads, and has no need of it: it is imported where users
    # are edited.
    import tomlkit
    from tomlkit.items import Item, Table

_NAMES: Final = "a user's name is 1 to 64 characters of a-z, 0-9, '.' and '-'"
_TABLES: Final = ("users", "private")
_KEYS: Final = ("verifier", "disabled", "expires")
_HEAD: Final = """\
# Who may log in.  tunnelkit token new, list and revoke work on this file, too.

"""


class UsersError(Exception):
    """
    The file of users cannot be used.  The text names the file, says what is wrong
    with it and what to do.
    """


@dataclass(frozen=True, slots=True)
class User:
    """
    A user, as the file has it.

    @ivar disabled: whether logging in is forbidden for now.
    @ivar expires: until when logging in is allowed, with its zone; None is for ever.
    """

    name: str
    verifier: Verifier
    disabled: bool = False
    expires: datetime | None = None

    @property
    def until(self) -> float:
        """
        The time until which the user may log in, seconds since 1970.
        """
        if self.disabled:
            return -math.inf
        return math.inf if self.expires is None else self.expires.timestamp()

    def mayLogIn(self, now: float) -> bool:
        """
        Tell whether the user may log in.

        @param now: seconds since 1970.
        """
        return now < self.until


@dataclass(frozen=True, slots=True)
class UserFile:
    """
    What the file says.

    @ivar visitors: the names of those who may visit a private tunnel, by its name,
        where the operator has said so.
    """

    users: list[User]
    visitors: Mapping[str, frozenset[str]]


def readUsers(path: Path) -> UserFile:
    """
    Read the file of users.

    @raise UsersError: it is missing, cannot be read, or does not hold together.
    """
    return _parsed(path, _text(path))


def listUsers(path: Path) -> list[User]:
    """
    Read who is in the file.

    @raise UsersError: it is missing, cannot be read, or does not hold together.
    """
    return readUsers(path).users


def addUser(path: Path, name: str, verifier: Verifier) -> User:
    """
    Put a user into the file, which is made where it is missing.  One that is there
    gets the new verifier and keeps all else.

    @return: the user as the file now has it: still disabled, or expired, if it was.
    @raise UsersError: the file cannot be used, or no user can be called that.
    """
    if not isUserName(name):
        raise UsersError(f"{name!r} is no user: {_NAMES}")
    with _editing(path):
        users = _edit(path, lambda document: _put(document, name, verifier))
    return next(user for user in users if user.name == name)


def createUsers(path: Path, name: str, verifier: Verifier) -> bool:
    """
    Make the file, with one user, unless it is there.

    @return: whether it was made.
    @raise UsersError: it could not be made.
    """
    with _editing(path):
        if path.exists():
            return False
        _edit(path, lambda document: _put(document, name, verifier))
    return True


def revokeUser(path: Path, name: str) -> None:
    """
    Take a user out of the file; comments before and behind its table stay.

    @raise UsersError: the file cannot be used, or has no such user.
    """
    with _editing(path):
        if name not in (user.name for user in listUsers(path)):
            raise UsersError(f"{path} has no user {name!r}: nothing is revoked")
        _edit(path, lambda document: _removed(document, name))


@contextlib.contextmanager
def _editing(path: Path) -> Iterator[None]:
    try:
        with Lock(path.with_name(f"{path.name}.lock")):
            yield
    except OSError as e:
        raise UsersError(
            f"{path} cannot be written ({e.strerror}): check the folder, and that you"
            " are the user who runs the server"
        ) from e


def _edit(path: Path, change: Callable[[tomlkit.TOMLDocument], str]) -> list[User]:
    """
    @param change: gives the text that the document becomes.
    @return: the users that the file then has.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    text = _text(path) if path.exists() else _HEAD
    _parsed(path, text)
    try:
        changed = change(tomlkit.parse(text))
    except (ValueError, TOMLKitError) as e:
        raise UsersError(
            f"{path} is written in a form that can only be edited by hand ({e}): write"
            " each user as a table, [users.NAME]"
        ) from e
    users = _parsed(path, changed).users
    replaceFile(path, changed.encode())
    return users


def _put(document: tomlkit.TOMLDocument, name: str, verifier: Verifier) -> str:
    import tomlkit

    if "users" not in document:
        document["users"] = tomlkit.table(is_super_table=True)
    users = cast("Table", document["users"])
    if name not in users:
        users[name] = tomlkit.table()
    cast("Table", users[name])["verifier"] = str(verifier)
    return document.as_string()


def _removed(document: tomlkit.TOMLDocument, name: str) -> str:
    from tomlkit.items import Table

    users = cast(Table, document["users"])
    names = list(users)
    behind = _takeBehind(cast("Item", users[name]))
    followers = names[names.index(name) + 1 :]
    del users[name]
    if followers and isinstance(users[followers[0]], Table):
        trivia = cast(Table, users[followers[0]]).trivia
        trivia.indent = behind + trivia.indent
        behind = ""
    return document.as_string() + behind


def _takeBehind(item: Item) -> str:
    """
    Take the comments off the end of a table, which TOML Kit counts as part of it
    although they mostly are about the one that follows.
    """
    from tomlkit.items import Table

    behind = ""
    if isinstance(item, Table):
        body = item.value.body
        while body and body[-1][0] is None:
            behind = body.pop()[1].as_string() + behind
    return behind


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except FileNotFoundError as e:
        raise UsersError(
            f"there is no file of users {path}: tunnelkit token new makes one"
        ) from e
    except OSError as e:
        raise UsersError(
            f"the file of users {path} cannot be read ({e.strerror}): it must be a file"
            " that the user who runs the server may read"
        ) from e
    except UnicodeDecodeError as e:
        raise UsersError(
            f"the file of users {path} is not UTF-8, which TOML is ({e})"
        ) from e


def _parsed(path: Path, text: str) -> UserFile:
    try:
        document = tomllib.loads(text)
        for key in document:
            if key not in _TABLES:
                raise ValueError(f"unknown key {key!r}: there are {', '.join(_TABLES)}")
        return UserFile(_users(document), _visitors(document))
    except (ValueError, RecursionError) as e:
        raise UsersError(
            f"the file of users {path} is wrong: {e}; mend it by hand, or take it back"
            " from a copy"
        ) from e


def _visitors(document: dict[str, Any]) -> Mapping[str, frozenset[str]]:
    tunnels = document.get("private", {})
    if not isinstance(tunnels, dict):
        raise ValueError("private must be tables, [private.TUNNEL]")
    return {name: _admitted(name, keys) for name, keys in tunnels.items()}


def _admitted(name: str, keys: Any) -> frozenset[str]:
    """
    @param name: of the tunnel.
    """
    if not isinstance(keys, dict) or [*keys] != ["visitors"]:
        raise ValueError(
            f'private tunnel {name} must be a table, [private."{name}"], with visitors'
            " and nothing else"
        )
    visitors = keys["visitors"]
    if not isinstance(visitors, list):
        raise ValueError(
            f'visitors of {name} must be a list of users, such as ["alice", "bob"]'
        )
    for user in visitors:
        if not (isinstance(user, str) and isUserName(user)):
            raise ValueError(
                f"{user!r} among the visitors of {name} is no user: {_NAMES}"
            )
    return frozenset(visitors)


def _users(document: dict[str, Any]) -> list[User]:
    users = document.get("users", {})
    if not isinstance(users, dict):
        raise ValueError("users must be tables, [users.NAME]")
    return [_user(name, keys) for name, keys in users.items()]


def _user(name: str, keys: Any) -> User:
    if not isUserName(name):
        raise ValueError(f"{name!r} is no user: {_NAMES}")
    if not isinstance(keys, dict):
        raise ValueError(f"user {name} must be a table, [users.{name}]")
    for key in keys:
        if key not in _KEYS:
            raise ValueError(
                f"unknown key {key!r} of user {name}: there are {', '.join(_KEYS)}; the"
                f' name of a user with a dot stands in quotes, [users."{name}.{key}"]'
            )
    if "verifier" not in keys:
        raise ValueError(f"user {name} lacks a verifier: tunnelkit token new makes one")
    try:
        return User(
            name,
            _verifier(keys["verifier"]),
            _disabled(keys.get("disabled", False)),
            _expires(keys["expires"]) if "expires" in keys else None,
        )
    except ValueError as e:
        raise ValueError(f"user {name}: {e}") from e


def _verifier(value: Any) -> Verifier:
    if not isinstance(value, str):
        raise ValueError("verifier must be a string")
    return Verifier.parse(value)


def _disabled(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("disabled must be true or false")
    return value


def _expires(value: Any) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError(
            "expires must be a date with time and zone, such as 2027-01-01T00:00:00Z"
        )
    return value
