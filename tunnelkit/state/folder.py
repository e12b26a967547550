# -*- test-case-name: tests.state.test_folder -*-
"""
The state folder: what a server keeps from one start to the next.

It is made at the first start, and each file in it only where it is missing, so that
a start that was cut short is completed by the next one.
"""

from __future__ import annotations

import contextlib
import os
import re
from base64 import b32encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, TypeAlias

from platformdirs import user_state_path
from twisted.logger import Logger

from tunnelkit.state.certificates import readPair
from tunnelkit.state.files import Lock, replaceFile
from tunnelkit.state.userfile import UsersError, createUsers
from tunnelkit.state.verifier import Verifier
from tunnelkit.wire.certificate import CertificateError, CertificatePair, selfSigned
from tunnelkit.wire.token import LEAST_BITS, Token

Random: TypeAlias = Callable[[int], bytes]

DEFAULT_USER: Final = "default"
"""The user who is there from the first start."""

_DECOY_KEY: Final = 32
"""The length of the key of decoys, in bytes."""
_ADMIN_TOKEN: Final = re.compile(r"[!-~]{16,256}", re.ASCII)
_ADMIN_BYTES: Final = 20
"""How much chance is in the admin token: 160 bits."""


class StateError(Exception):
    """
    The state folder cannot be used.  The text names it and says what to do.
    """


def defaultState(environ: Mapping[str, str]) -> Path:
    """
    Give the folder that is used where none is named: systemd's, or else the one
    where the platform has programs keep their state.
    """
    given = environ.get("STATE_DIRECTORY", "").split(":")[0]
    return Path(given) if given else user_state_path("tunnelkit", appauthor=False)


@dataclass(frozen=True, slots=True)
class Prepared:
    """
    What was not there before.

    @ivar certificate: a self-signed certificate was made.
    @ivar user: the user C{default} was made: the first start.
    @ivar adminToken: the token of the admin rooms was made.
    """

    certificate: bool
    user: bool
    adminToken: bool


class StateFolder:
    """
    The folder, and what is in it.

    @ivar path: the folder itself.
    """

    _log = Logger()

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock(self.lockFile)

    @property
    def certificateFile(self) -> Path:
        """
        The self-signed certificate, PEM.
        """
        return self.path / "certificate.pem"

    @property
    def keyFile(self) -> Path:
        """
        Its key, PEM.
        """
        return self.path / "key.pem"

    @property
    def usersFile(self) -> Path:
        """
        The file of users.
        """
        return self.path / "users.toml"

    @property
    def tokenFile(self) -> Path:
        """
        The token of the user C{default}, there until the operator removes it.
        """
        return self.path / "default.token"

    @property
    def adminTokenFile(self) -> Path:
        """
        The token of the admin rooms.
        """
        return self.path / "admin.token"

    @property
    def decoyKeyFile(self) -> Path:
        """
        The key from which unknown users' challenges are made.
        """
        return self.path / "decoy.key"

    @property
    def leasesFile(self) -> Path:
        """
        The database of leases.
        """
        return self.path / "leases.sqlite"

    @property
    def lockFile(self) -> Path:
        """
        Locked while a server uses the folder; it holds that server's process id.
        """
        return self.path / "lock"

    def lock(self) -> None:
        """
        Make the folder, if it is not there, and keep other servers off it until this
        process ends, or L{unlock}.  A process that forks locks it afterwards.

        @raise StateError: it cannot be used, or another server uses it.
        """
        if self._lock.held:
            return
        with self._explained():
            self._makeFolder()
            if not self._lock.take(wait=False):
                raise StateError(
                    f"another server (process {self._lock.holder()}) uses the state"
                    f" folder {self.path}: stop it, or give this one a folder of its"
                    " own with --state"
                )

    def unlock(self) -> None:
        """
        Let another server use the folder.
        """
        self._lock.release()

    def prepare(
        self, random: Random, now: datetime, names: Iterable[str], user: bool = True
    ) -> Prepared:
        """
        L{lock} the folder and make what is missing in it.

        @param random: gives so many random bytes, such as C{os.urandom}.
        @param now: the time, with its zone.
        @param names: host names and addresses for the certificate.
        @param user: whether a user C{default} is made where there is no file of
            users; not where the operator brings a token for that user.
        @return: what is new.
        @raise StateError: the folder or something in it cannot be used.
        """
        self.lock()
        with self._explained():
            self._closeToOthers()
            self._makeDecoyKey(random)
            # The user comes last: a start that made it has made all else.
            return Prepared(
                certificate=self._makeCertificate(now, names),
                adminToken=self._makeAdminToken(random),
                user=user and self._makeUser(random),
            )

    def pair(self) -> CertificatePair:
        """
        Read the folder's own certificate and its key.

        @raise StateError: they cannot be used.
        """
        with self._explained():
            return readPair(self.certificateFile, self.keyFile)

    def decoyKey(self) -> bytes:
        """
        Read the key from which unknown users' challenges are made, 32 bytes.

        @raise StateError: it cannot be used.
        """
        with self._explained():
            key = self.decoyKeyFile.read_bytes()
        if len(key) != _DECOY_KEY:
            raise StateError(
                f"{self.decoyKeyFile} has {len(key)} bytes, not {_DECOY_KEY}: remove"
                " it, and the next start makes another"
            )
        return key

    def adminToken(self) -> str:
        """
        Read the token of the admin rooms.

        @raise StateError: it cannot be used.
        """
        with self._explained():
            token = self.adminTokenFile.read_text(errors="replace").strip()
        if not _ADMIN_TOKEN.fullmatch(token):
            raise StateError(
                f"{self.adminTokenFile} holds no token: write one of 16 to 256"
                " characters without spaces, or remove it, and the next start makes one"
            )
        return token

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """
        Make a sentence of what goes wrong with files.
        """
        try:
            yield
        except (UsersError, CertificateError) as e:
            raise StateError(f"in the state folder {self.path}: {e}") from e
        except OSError as e:
            place = e.filename or self.path
            raise StateError(
                f"the state folder {self.path} cannot be used ({place}: {e.strerror}):"
                " give a folder with --state in which the user who runs the server may"
                " write"
            ) from e

    def _makeFolder(self) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.name == "posix" and self.path.stat().st_mode & 0o022:
            raise StateError(
                f"others may write to the state folder {self.path}, and could become"
                f" any user: run chmod 700 {self.path}"
            )

    def _closeToOthers(self) -> None:
        if os.name != "posix":
            return
        for path in (
            self.keyFile,
            self.usersFile,
            self.tokenFile,
            self.adminTokenFile,
            self.decoyKeyFile,
        ):
            if path.exists() and path.stat().st_mode & 0o077:
                path.chmod(0o600)
                self._log.warn(
                    "others could read {path}: it has mode 600 now; if they may have,"
                    " remove it and make another",
                    path=str(path),
                )

    def _makeDecoyKey(self, random: Random) -> None:
        if not self.decoyKeyFile.exists():
            replaceFile(self.decoyKeyFile, random(_DECOY_KEY))

    def _makeAdminToken(self, random: Random) -> bool:
        if self.adminTokenFile.exists():
            return False
        token = b32encode(random(_ADMIN_BYTES)).lower()
        replaceFile(self.adminTokenFile, token + b"\n")
        return True

    def _makeCertificate(self, now: datetime, names: Iterable[str]) -> bool:
        if self.certificateFile.exists():
            return False
        # The key is written first.  One that has no certificate is from a start that
        # was cut short, or the operator's, and must not get lost.
        key = self.keyFile.read_bytes() if self.keyFile.exists() else None
        pair = selfSigned(names, now, key)
        replaceFile(self.keyFile, pair.key)
        replaceFile(self.certificateFile, pair.chain)
        return True

    def _makeUser(self, random: Random) -> bool:
        if self.usersFile.exists():
            return False
        # Once the user is there its secret is nowhere but in the file of its token,
        # which is therefore written first.
        if self.tokenFile.exists():
            token = self._token()
        else:
            token = Token.new(DEFAULT_USER, random)
            replaceFile(self.tokenFile, f"{token}\n".encode())
        verifier = Verifier.of(token.secret, random)
        return createUsers(self.usersFile, DEFAULT_USER, verifier)

    def _token(self) -> Token:
        try:
            token = Token.parse(self.tokenFile.read_text(errors="replace"))
            if token.user != DEFAULT_USER:
                raise ValueError(f"the token is of the user {token.user}")
            if token.strength() < LEAST_BITS:
                raise ValueError(
                    f"the secret has less than {LEAST_BITS} bits of chance"
                )
        except ValueError as e:
            raise StateError(
                f"{self.tokenFile} holds no token for the user {DEFAULT_USER} ({e}):"
                " remove it, and the next start makes another"
            ) from e
        return token
