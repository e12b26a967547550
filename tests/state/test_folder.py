"""
Tests for L{tunnelkit.state.folder}.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from base64 import b32decode
from pathlib import Path
from typing import Any
from unittest import mock, skipIf, skipUnless

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from twisted.logger import Logger, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.state.test_verifier import constant, logIn
from tests.wire.issued import NOW, keyPEM
from tunnelkit.state import files
from tunnelkit.state.files import Lock
from tunnelkit.state.folder import Prepared, StateError, StateFolder, defaultState
from tunnelkit.state.users import Verifier, addUser, listUsers
from tunnelkit.wire.certificate import certificatePair
from tunnelkit.wire.token import Token

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0

SECRETS = ["admin.token", "decoy.key", "default.token", "key.pem", "users.toml"]
FIRST = Prepared(certificate=True, user=True, adminToken=True)
NOTHING = Prepared(certificate=False, user=False, adminToken=False)


class FolderCase(SynchronousTestCase):
    """
    A state folder that is not there yet.
    """

    def setUp(self) -> None:
        self.path = Path(self.mktemp()) / "state" / "tunnelkit"
        self.state = self.folder()
        self.events: list[Any] = []
        observer: Any = self.events.append
        self.patch(StateFolder, "_log", Logger(observer=observer))

    def folder(self) -> StateFolder:
        """
        Give the folder, as another start of the server would have it.
        """
        state = StateFolder(self.path)
        self.addCleanup(state.unlock)
        return state

    def prepare(self, user: bool = True) -> Prepared:
        """
        Start a server and end it.
        """
        state = self.folder()
        try:
            return state.prepare(os.urandom, NOW, ["vps.example.org"], user)
        finally:
            state.unlock()

    def contents(self) -> dict[str, bytes]:
        """
        Give what is in the folder, but for locks.
        """
        return {
            each.name: each.read_bytes()
            for each in self.path.iterdir()
            if "lock" not in each.name
        }

    def refused(self) -> str:
        """
        Give why a start is refused.
        """
        return str(self.assertRaises(StateError, self.prepare))

    def assertComplete(self) -> None:
        """
        The folder is that of a server that clients can log in to, and holds nothing
        else.
        """
        self.assertEqual(sorted(self.contents()), sorted([*SECRETS, "certificate.pem"]))
        pair = self.state.pair()
        certificatePair(pair.chain, pair.key)
        token = Token.parse(self.state.tokenFile.read_text())
        (user,) = listUsers(self.state.usersFile)
        self.assertEqual((user.name, token.user), ("default", "default"))
        logIn(user.verifier, token.secret)
        self.assertEqual(len(self.state.decoyKey()), 32)
        self.assertEqual(len(b32decode(self.state.adminToken().upper())), 20)


class DefaultStateTests(SynchronousTestCase):
    """
    Without C{--state} the folder is where the system wants it.
    """

    def test_systemd(self) -> None:
        """
        A unit's C{StateDirectory=} is used, the first where it names several.
        """
        for value in ("/var/lib/tunnelkit", "/var/lib/tunnelkit:/var/lib/other"):
            self.assertEqual(
                defaultState({"STATE_DIRECTORY": value}), Path("/var/lib/tunnelkit")
            )

    def test_user(self) -> None:
        """
        Else it is the platform's folder for the state of the user's programs.
        """
        self.patch(os, "environ", {**os.environ, "XDG_STATE_HOME": "/home/me/state"})
        for environ in ({}, {"STATE_DIRECTORY": ""}):
            path = defaultState(environ)
            self.assertEqual(path.name, "tunnelkit")
            if sys.platform == "linux":
                self.assertEqual(path, Path("/home/me/state/tunnelkit"))


class PrepareTests(FolderCase):
    """
    The first start makes a server that is safe to use, and no later one changes it.
    """

    def test_first(self) -> None:
        """
        The first start makes certificate, user and secrets, and tells so.
        """
        self.assertEqual(self.prepare(), FIRST)
        self.assertComplete()

    def test_modes(self) -> None:
        """
        The folder is the server's alone, and so is each file in it, whatever the
        umask.
        """
        self.addCleanup(os.umask, os.umask(0))
        self.prepare()
        self.assertEqual(self.path.stat().st_mode & 0o7777, 0o700)
        for each in self.path.iterdir():
            self.assertEqual(each.stat().st_mode & 0o777, 0o600, each.name)

    def test_second(self) -> None:
        """
        Later starts find everything and change nothing, nor do they say that
        anything is new.
        """
        self.prepare()
        before = self.contents()
        self.assertEqual(self.prepare(), NOTHING)
        self.assertEqual(self.contents(), before)
        self.assertEqual(self.events, [])

    def test_secrets(self) -> None:
        """
        Secrets are the random bytes that were given, 160 bits of them; no two
        servers share any.
        """
        self.state.prepare(constant, NOW, [])
        bits = b32decode(self.state.adminToken().upper())
        self.assertEqual(bits, constant(20))
        token = Token.parse(self.state.tokenFile.read_text())
        self.assertEqual(token, Token.new("default", constant))
        self.assertEqual(self.state.decoyKey(), constant(32))
        (user,) = listUsers(self.state.usersFile)
        self.assertEqual(user.verifier, Verifier.of(token.secret, constant))

    def test_certificateNames(self) -> None:
        """
        The certificate is for the names of the server.
        """
        self.prepare()
        certificate = x509.load_der_x509_certificate(self.state.pair().der)
        names = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
        self.assertEqual(list(names.value), [x509.DNSName("vps.example.org")])

    def test_tokenRemoved(self) -> None:
        """
        Who has put the token in a safe place and removed the file does not find it
        again.
        """
        self.prepare()
        self.state.tokenFile.unlink()
        self.assertEqual(self.prepare(), NOTHING)
        self.assertFalse(self.state.tokenFile.exists())

    def test_usersThere(self) -> None:
        """
        Where the operator has made users there is no C{default} that was not asked
        for.
        """
        self.path.mkdir(parents=True, mode=0o700)
        addUser(self.state.usersFile, "alice", Verifier.of("a", constant))
        self.assertEqual(
            self.prepare(), Prepared(certificate=True, user=False, adminToken=True)
        )
        self.assertEqual([u.name for u in listUsers(self.state.usersFile)], ["alice"])
        self.assertFalse(self.state.tokenFile.exists())

    def test_noUser(self) -> None:
        """
        Where the operator brings a token no other one is made; without it, a later
        start is the first for the user.
        """
        expected = Prepared(certificate=True, user=False, adminToken=True)
        self.assertEqual(self.prepare(user=False), expected)
        self.assertFalse(self.state.usersFile.exists())
        self.assertFalse(self.state.tokenFile.exists())
        expected = Prepared(certificate=False, user=True, adminToken=False)
        self.assertEqual(self.prepare(), expected)
        self.assertComplete()

    def test_tokenWithoutUsers(self) -> None:
        """
        A token without its user, left by a start that was cut short, becomes good:
        who has copied it already can use it.
        """
        self.path.mkdir(parents=True, mode=0o700)
        token = Token.new("default", os.urandom)
        self.state.tokenFile.write_text(str(token))
        self.state.tokenFile.chmod(0o600)
        self.assertEqual(self.prepare(), FIRST)
        self.assertEqual(Token.parse(self.state.tokenFile.read_text()), token)
        self.assertComplete()

    def test_poorToken(self) -> None:
        """
        A token file that holds none, another user's or a weak one is never taken for
        a user's secret, nor overwritten; what to do is said without quoting it.
        """
        self.path.mkdir(parents=True, mode=0o700)
        for text, why in (
            ("", "tk1_USER_SECRET"),
            ("hunter2", "tk1_USER_SECRET"),
            ("tk1_default_hunter2", "less than 128 bits"),
            (str(Token.new("alice", constant)), "of the user alice"),
        ):
            self.state.tokenFile.write_text(text)
            self.state.tokenFile.chmod(0o600)
            reason = self.refused()
            self.assertIn(why, reason)
            self.assertIn(f"{self.state.tokenFile} holds no token", reason)
            self.assertIn("remove it, and the next start makes another", reason)
            self.assertNotIn("hunter2", reason)
            self.assertEqual(self.state.tokenFile.read_text(), text)
            self.assertFalse(self.state.usersFile.exists())
        self.state.tokenFile.unlink()
        self.assertTrue(self.prepare().user)
        self.assertComplete()

    def test_keyWithoutCertificate(self) -> None:
        """
        A key that is there alone is not lost: its certificate is made.
        """
        self.path.mkdir(parents=True, mode=0o700)
        key = keyPEM(ec.generate_private_key(ec.SECP384R1()))
        self.state.keyFile.write_bytes(key)
        self.state.keyFile.chmod(0o600)
        self.assertEqual(self.prepare(), FIRST)
        self.assertEqual(self.state.keyFile.read_bytes(), key)
        self.assertComplete()

    def test_keyOfNoUse(self) -> None:
        """
        A key for which no certificate can be made is not overwritten; the server
        says what is wrong with it.
        """
        self.path.mkdir(parents=True, mode=0o700)
        key = keyPEM(ed25519.Ed25519PrivateKey.generate())
        self.state.keyFile.write_bytes(key)
        self.state.keyFile.chmod(0o600)
        reason = self.refused()
        self.assertIn(f"in the state folder {self.path}", reason)
        self.assertIn("use one for ECDSA or RSA", reason)
        self.assertEqual(self.state.keyFile.read_bytes(), key)

    @skipUnless(hasattr(os, "fork"), "this system has no fork")
    def test_killed(self) -> None:
        """
        A first start that is killed at any moment is completed by the next one, and
        what it has made already counts.
        """
        folder = Path(self.mktemp()).resolve()
        folder.mkdir()
        subprocess.run(
            [sys.executable, "-m", "tests.state.killed", str(folder)],
            env={**os.environ, "PYTHONPATH": str(Path(files.__file__).parents[2])},
            check=True,
        )
        moments = list(folder.iterdir())
        self.assertGreater(len(moments), 30)
        for self.path in moments:
            self.state = StateFolder(self.path)
            before = self.contents()
            prepared = self.prepare()
            self.assertEqual(prepared.user, "users.toml" not in before)
            self.assertEqual(prepared.certificate, "certificate.pem" not in before)
            self.assertEqual(prepared.adminToken, "admin.token" not in before)
            self.assertComplete()
            after = self.contents()
            for name in after.keys() & before.keys():
                self.assertEqual(after[name], before[name], f"{name} in {self.path}")

    def test_diskFull(self) -> None:
        """
        Where the disk is full the start ends with a sentence, and the next one
        completes it.
        """

        def full(descriptor: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with mock.patch.object(os, "fsync", full):
            self.assertIn("No space left on device", self.refused())
        self.assertEqual(self.prepare(), FIRST)
        self.assertComplete()


class OthersTests(FolderCase):
    """
    Nobody else on the machine gets at the server's secrets.
    """

    def test_writableFolder(self) -> None:
        """
        A folder that others can write to is refused, with the command that mends it.
        """
        self.prepare()
        for mode in (0o770, 0o720, 0o707, 0o777, 0o1777):
            self.path.chmod(mode)
            reason = self.refused()
            self.assertIn(f"others may write to the state folder {self.path}", reason)
            self.assertIn(f"run chmod 700 {self.path}", reason)
        self.path.chmod(0o700)
        self.assertEqual(self.prepare(), NOTHING)

    def test_readableFolder(self) -> None:
        """
        A folder whose list of names others may read, as systemd makes it, is used as
        it is.
        """
        self.path.mkdir(parents=True)
        self.path.chmod(0o755)
        self.prepare()
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o755)
        self.assertEqual(self.events, [])

    def test_readableSecrets(self) -> None:
        """
        A secret that others can read is closed to them, with a warning that names
        it.
        """
        self.prepare()
        for name in SECRETS:
            for mode in (0o640, 0o604, 0o666):
                self.events.clear()
                (self.path / name).chmod(mode)
                self.prepare()
                self.assertEqual((self.path / name).stat().st_mode & 0o777, 0o600)
                (event,) = self.events
                self.assertIn(
                    f"others could read {self.path / name}", formatEvent(event)
                )

    def test_readableCertificate(self) -> None:
        """
        The certificate is no secret, and may be given to whom one likes.
        """
        self.prepare()
        self.state.certificateFile.chmod(0o644)
        self.prepare()
        self.assertEqual(self.state.certificateFile.stat().st_mode & 0o777, 0o644)
        self.assertEqual(self.events, [])


class LockTests(FolderCase):
    """
    Two servers do not use one folder.
    """

    def test_second(self) -> None:
        """
        The second is told who uses the folder and what to do, and changes nothing.
        """
        self.state.lock()
        for start in (self.folder().lock, self.prepare):
            error = self.assertRaises(StateError, start)
            self.assertEqual(
                str(error),
                f"another server (process {os.getpid()}) uses the state folder"
                f" {self.path}: stop it, or give this one a folder of its own with"
                " --state",
            )
        self.assertEqual(self.contents(), {})

    def test_preparedIsLocked(self) -> None:
        """
        A server that has prepared its folder holds it.
        """
        self.state.prepare(os.urandom, NOW, [])
        self.assertRaises(StateError, self.folder().lock)

    def test_again(self) -> None:
        """
        A server that holds its folder may ask for it again.
        """
        self.state.lock()
        self.state.lock()
        self.state.prepare(os.urandom, NOW, [])

    def test_unlocked(self) -> None:
        """
        A folder that its server has left can be used.
        """
        self.state.lock()
        self.state.unlock()
        self.state.unlock()
        self.folder().lock()

    def test_usersStayOpen(self) -> None:
        """
        The lock keeps other servers away, not C{tunnelkit token}.
        """
        self.state.prepare(os.urandom, NOW, [])
        addUser(self.state.usersFile, "alice", Verifier.of("a", constant))

    def test_noLocks(self) -> None:
        """
        On a file system without locks the server does not start, and says why.
        """

        def refuse(lock: Lock, wait: bool) -> bool:
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        self.patch(files.Lock, "take", refuse)
        self.assertIn("No locks available", self.refused())


class BadFolderTests(FolderCase):
    """
    Where the folder cannot be used there is one sentence that names it.
    """

    def test_isAFile(self) -> None:
        """
        A file in the folder's place, or on the way to it, is named.
        """
        self.path.parent.mkdir(parents=True)
        self.path.write_text("")
        reason = self.refused()
        self.assertIn(f"the state folder {self.path} cannot be used", reason)
        self.assertIn("File exists", reason)
        self.assertIn("--state", reason)
        self.path = self.path / "deeper" / "still"
        reason = self.refused()
        self.assertIn(f"the state folder {self.path} cannot be used", reason)
        self.assertIn("Not a directory", reason)

    @skipIf(ROOT, "root may write everywhere")
    def test_notWritable(self) -> None:
        """
        A place where nothing can be made is named, and who must be able to.
        """
        self.path.parent.mkdir(parents=True)
        self.path.parent.chmod(0o500)
        self.addCleanup(self.path.parent.chmod, 0o700)
        reason = self.refused()
        self.assertIn(f"{self.path} cannot be used", reason)
        self.assertIn("Permission denied", reason)
        self.assertIn("the user who runs the server may write", reason)

    def test_readOnly(self) -> None:
        """
        A file system that is read-only is said to be.
        """

        def refuse(*arguments: object, **named: object) -> None:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self.path))

        self.patch(os, "mkdir", refuse)
        reason = self.refused()
        self.assertIn(f"{self.path} cannot be used", reason)
        self.assertIn("Read-only file system", reason)

    def test_certificate(self) -> None:
        """
        A certificate that cannot be read, or has lost its key, is named.
        """
        self.prepare()
        self.state.keyFile.unlink()
        error = self.assertRaises(StateError, self.state.pair)
        self.assertIn(f"there is no key file {self.state.keyFile}", str(error))

    def test_decoyKey(self) -> None:
        """
        A key of decoys that was damaged is named, and what to do.
        """
        self.prepare()
        self.state.decoyKeyFile.write_bytes(b"short")
        error = self.assertRaises(StateError, self.state.decoyKey)
        self.assertIn(f"{self.state.decoyKeyFile} has 5 bytes, not 32", str(error))
        self.state.decoyKeyFile.unlink()
        error = self.assertRaises(StateError, self.state.decoyKey)
        self.assertIn(f"{self.state.decoyKeyFile}: No such file", str(error))

    def test_adminToken(self) -> None:
        """
        An operator may write an admin token, but not one that everybody guesses.
        """
        self.prepare()
        for good in ("correct-horse-battery", "x" * 16 + "\n"):
            self.state.adminTokenFile.write_text(good)
            self.assertEqual(self.state.adminToken(), good.strip())
        for bad in (b"", b"\n", b"admin", b"two words and more", b"\xff" * 20):
            self.state.adminTokenFile.write_bytes(bad)
            error = self.assertRaises(StateError, self.state.adminToken)
            self.assertIn(f"{self.state.adminTokenFile} holds no token", str(error))
            self.assertIn("16 to 256 characters", str(error))

    def test_paths(self) -> None:
        """
        All files of the server are in its folder, under the names that the docs
        give.
        """
        self.assertEqual(
            [
                self.state.leasesFile,
                self.state.lockFile,
                self.state.tokenFile,
                self.state.adminTokenFile,
            ],
            [
                self.path / "leases.sqlite",
                self.path / "lock",
                self.path / "default.token",
                self.path / "admin.token",
            ],
        )
