# -*- test-case-name: tests.state.test_users -*-
"""
Users: who may log in at this moment, from the file of users and the clock.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from math import inf
from pathlib import Path

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from tunnelkit.state.files import Changes, Stamp
from tunnelkit.state.userfile import (
    User,
    UserFile,
    UsersError,
    addUser,
    listUsers,
    readUsers,
    revokeUser,
)
from tunnelkit.state.verifier import Verifier
from tunnelkit.wire.token import Token

__all__ = [
    "User",
    "Users",
    "UsersError",
    "Verifier",
    "addUser",
    "listUsers",
    "revokeUser",
]


class Users:
    """
    Who may log in, as the file has it.

    While the file is broken, what it held before holds on, and the log says why,
    once for each state of the file.
    """

    _log = Logger()

    def __init__(
        self,
        path: Path,
        now: Callable[[], float],
        override: Token | None = None,
        random: Callable[[int], bytes] = os.urandom,
        others: Collection[str] = (),
    ) -> None:
        """
        @param path: the file of users.
        @param now: gives the time, in seconds since 1970.
        @param override: a token of the operator's own: its user has this secret,
            whatever the file says.  The file may be missing then.
        @param random: gives so many random bytes.
        @param others: users who log in by other means, at any time, and never so.
        @raise UsersError: the file cannot be used.
        """
        self._path = path
        self._now = now
        self._override = _fixed(override, random)
        self._others = frozenset(others)
        self._mayMiss = override is not None
        self._revoked: list[Callable[[str], None]] = []
        self._complaint: tuple[tuple[Stamp, ...], str] | None = None
        self._file = Changes(path)
        self._file.seen()
        self._keep(self._read())
        self._until = self._untils()
        self._allowed = self._allowedNow()
        self._polls = LoopingCall(self.reload)

    def lookup(self, name: str) -> Verifier | None:
        """
        Give what a login of this user is checked against, as the file stands now.

        @return: None where the user is unknown, disabled or expired.
        """
        if self._refresh():
            self._tellRevoked()
        user = self._users.get(name)
        if user is None or name in self._others:
            return None
        return user.verifier if user.mayLogIn(self._now()) else None

    def allowed(self, name: str) -> bool:
        """
        Say whether a user may do anything at this moment, as the file was when it was
        last looked at: that is for each stream, and touches no disk.
        """
        return self._now() < self._until.get(name, -inf)

    def visitors(self, tunnel: str) -> frozenset[str] | None:
        """
        Give those who may visit a private tunnel, by its name, as the file was when it
        was last looked at; None where it says nothing of that.
        """
        return self._visitors.get(tunnel)

    def onRevoked(self, callback: Callable[[str], None]) -> None:
        """
        Have a function told the name of each user who could log in before and
        cannot now: gone, disabled, expired, or with another secret.
        """
        self._revoked.append(callback)

    def reload(self) -> None:
        """
        Look at the file, if it has changed, and at the time, and tell who is
        revoked.
        """
        self._refresh()
        self._tellRevoked()

    def start(self, clock: IReactorTime) -> None:
        """
        L{reload} once a second from now on.
        """
        self._polls.clock = clock
        self._polls.start(1.0, now=False).addErrback(
            lambda failure: self._log.failure(
                "looking at {path} ended", failure=failure, path=str(self._path)
            )
        )

    def stop(self) -> None:
        """
        Do so no more.
        """
        if self._polls.running:
            self._polls.stop()

    def _read(self) -> UserFile:
        if self._mayMiss and not os.path.lexists(self._path):
            return UserFile([], {})
        read = readUsers(self._path)
        self._mayMiss = False
        return read

    def _keep(self, read: UserFile) -> None:
        users = {user.name: user for user in read.users}
        self._users: Mapping[str, User] = {**users, **self._override}
        self._visitors = read.visitors

    def _refresh(self) -> bool:
        """
        @return: whether the file was read anew.
        """
        if not self._file.seen():
            return False
        try:
            self._keep(self._read())
        except UsersError as e:
            self._complain(str(e))
            return False
        self._until = self._untils()
        if self._complaint is not None:
            self._complaint = None
            self._log.info("{path} is mended, and counts again", path=str(self._path))
        return True

    def _complain(self, reason: str) -> None:
        complaint = (self._file.stamps, reason)
        if complaint != self._complaint:
            self._complaint = complaint
            self._log.error("the users stay as they were: {reason}", reason=reason)

    def _untils(self) -> Mapping[str, float]:
        untils = {name: user.until for name, user in self._users.items()}
        return {**untils, **dict.fromkeys(self._others, inf)}

    def _allowedNow(self) -> Mapping[str, Verifier]:
        now = self._now()
        return {n: u.verifier for n, u in self._users.items() if u.mayLogIn(now)}

    def _tellRevoked(self) -> None:
        before, self._allowed = self._allowed, self._allowedNow()
        for name, verifier in before.items():
            if self._allowed.get(name) != verifier:
                self._log.info("user {user} is revoked", user=name)
                self._tell(name)

    def _tell(self, name: str) -> None:
        for callback in list(self._revoked):
            try:
                callback(name)
            except Exception:
                # The others must hear of it, and the polls go on.
                self._log.failure("revoking {user} failed", user=name)


def _fixed(
    override: Token | None, random: Callable[[int], bytes]
) -> Mapping[str, User]:
    if override is None:
        return {}
    user = User(override.user, Verifier.of(override.secret, random))
    return {user.name: user}
