# -*- test-case-name: tests.commands.test_tokens -*-
"""
C{tunnelkit token}: makes, lists and revokes the tokens of users, in the state folder
of a server, which may run meanwhile and sees it within a second.
"""

from __future__ import annotations

import getopt
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final

from twisted.python import usage

from tunnelkit.commands.options.flags import CommandOptions
from tunnelkit.commands.options.saying import say
from tunnelkit.dialects.descriptions import DEFAULT_PORT
from tunnelkit.state.files import replaceFile
from tunnelkit.state.folder import DEFAULT_USER, StateFolder, defaultState
from tunnelkit.state.userfile import User, UsersError, addUser, listUsers, revokeUser
from tunnelkit.state.verifier import Verifier
from tunnelkit.wire.token import Token, isUserName


class StateOptions(CommandOptions):
    """
    What all of these commands can be told.

    @ivar folder: the state folder, once it is parsed.
    """

    folder: StateFolder

    longdesc = ""

    optParameters = [
        [
            "state",
            None,
            None,
            "The server's state folder. [default: systemd's StateDirectory, or the"
            " user's folder for program state]",
        ],
    ]

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        super().__init__()
        self.environ = environ

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """
        Take options behind the user, too.
        """
        given = [*(options or ())]
        try:
            flags, names = getopt.gnu_getopt(given, self.shortOpt, self.longOpt)
        except getopt.error as e:
            raise usage.UsageError(str(e)) from e
        first = [f"{flag}={value}" if value else flag for flag, value in flags]
        super().parseOptions([*first, "--", *names])

    def postOptions(self) -> None:
        """
        Find the folder.
        """
        given = self["state"]
        self.folder = StateFolder(
            Path(given).absolute() if given else defaultState(self.environ)
        )


class UserOptions(StateOptions):
    """
    What a command can be told that is about one user.
    """

    synopsis = "USER [options]"

    usualUser: ClassVar[str | None] = None
    """The user where none is given."""

    def parseArgs(self, *arguments: str) -> None:
        """
        Take the user.
        """
        user, *more = arguments or (self.usualUser,)
        super().parseArgs(*more)
        if user is None:
            raise usage.UsageError("the user is missing")
        if not isUserName(user):
            raise usage.UsageError(
                f"{user!r} cannot be a user: give 1 to 64 of a-z, 0-9, '.' and '-'"
            )
        self["user"] = user


class NewOptions(UserOptions):
    """
    What C{tunnelkit token new} can be told.
    """

    synopsis = "[USER] [options]"
    longdesc = (
        "Prints a new token, this once: the state folder keeps only what checks it."
        f" USER is {DEFAULT_USER} if it is left out."
    )
    usualUser: ClassVar[str | None] = DEFAULT_USER

    optFlags = [
        [
            "replace",
            None,
            "Give a user who has a token another one; the old one ends at once.",
        ],
    ]


class Options(CommandOptions):
    """
    What C{tunnelkit token} can be told.
    """

    synopsis = ""
    longdesc = (
        "The tokens with which clients log in. A running server sees a change within a"
        " second."
    )

    subCommands = [
        ["new", None, NewOptions, "Make a token for a user and print it."],
        ["list", None, StateOptions, "List the users."],
        ["revoke", None, UserOptions, "End a user's token, sessions and tunnels."],
    ]

    def postOptions(self) -> None:
        """
        Want a command.
        """
        if self.subCommand is None:
            raise usage.UsageError("a command is missing: new, list or revoke")


def run(options: Options) -> int:
    """
    Do what the options say.

    @return: the exit status.
    """
    given: StateOptions = options.subOptions
    try:
        _COMMANDS[options.subCommand or ""](_checked(given.folder), given)
    except UsersError as e:
        print(f"tunnelkit token: {e}", file=sys.stderr)
    except OSError as e:
        print(
            f"tunnelkit token: {e.filename}: {e.strerror}; run it as the user who runs"
            " the server",
            file=sys.stderr,
        )
    else:
        return 0
    return 1


def _new(folder: StateFolder, options: StateOptions) -> None:
    user = options["user"]
    token, words = makeToken(folder, user, bool(options["replace"]), os.urandom)
    print(token)
    print(words, file=sys.stderr)


def _list(folder: StateFolder, options: StateOptions) -> None:
    say("\n".join(described(listUsers(folder.usersFile), time.time())))


def _revoke(folder: StateFolder, options: StateOptions) -> None:
    revokeUser(folder.usersFile, options["user"])
    print(
        f"{options['user']} is revoked: a running server ends the sessions within a"
        " second",
        file=sys.stderr,
    )


_COMMANDS: Final[Mapping[str, Callable[[StateFolder, StateOptions], None]]] = {
    "new": _new,
    "list": _list,
    "revoke": _revoke,
}


def makeToken(
    folder: StateFolder, user: str, replace: bool, random: Callable[[int], bytes]
) -> tuple[Token, str]:
    """
    Make a token for a user.

    @param replace: whether the user may have one already.
    @param random: gives so many random bytes, such as C{os.urandom}.
    @return: the token, and what to do with it.
    @raise UsersError: the user has one, or the file of users cannot be used.
    """
    path = folder.usersFile
    there = path.exists() and user in (each.name for each in listUsers(path))
    if there and not replace:
        raise UsersError(
            f"{user} has a token already, which is shown to nobody: add --replace for"
            " another one, and the old one ends at once"
        )
    token = Token.new(user, random)
    addUser(path, user, Verifier.of(token.secret, random))
    words = [
        f"{user} has a {'new ' if there else ''}token, for servers with the state"
        f" folder {folder.path}; it is shown this once.",
        "On the client's machine, put it into a file that only its user can read, and"
        " run:",
        f"  twistd -n tunnelclient --server HOST:{DEFAULT_PORT} --token-file FILE"
        " --tunnel tcp:8000",
    ]
    if user == DEFAULT_USER and folder.tokenFile.exists():
        replaceFile(folder.tokenFile, f"{token}\n".encode())
        words.insert(1, f"{folder.tokenFile} holds it now.")
    return token, "\n".join(words)


def described(users: Iterable[User], now: float) -> Iterator[str]:
    """
    Describe users, a line each.

    @param now: seconds since 1970.
    """
    listed = sorted(users, key=lambda user: user.name)
    width = max((len(user.name) for user in listed), default=0)
    for user in listed:
        yield f"{user.name:{width}}  {_condition(user, now)}"


def _condition(user: User, now: float) -> str:
    if user.disabled:
        return "disabled"
    if user.expires is None:
        return "may log in"
    words = "may log in until" if user.mayLogIn(now) else "expired"
    return f"{words} {user.expires.isoformat(' ')}"


def _checked(folder: StateFolder) -> StateFolder:
    if not folder.path.is_dir():
        raise UsersError(
            f"there is no state folder {folder.path}: name the server's with --state,"
            " or start the server, which makes it"
        )
    return folder
