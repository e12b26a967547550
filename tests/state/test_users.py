"""
Tests for L{tunnelkit.state.users}.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import Logger, LogLevel, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.state.test_verifier import RFC, constant
from tunnelkit.state.users import (
    Users,
    UsersError,
    Verifier,
    addUser,
    revokeUser,
)
from tunnelkit.wire.token import Token

ONE = Verifier.parse(RFC)
TWO = Verifier.of("two", constant)
OVERRIDE = Token("default", "s3cr3t" * 6)
END = datetime(2027, 1, 1, tzinfo=UTC)


class UsersCase(SynchronousTestCase):
    """
    A file with the users C{default} and C{alice}, and a wall clock.
    """

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        self.path = folder / "users.toml"
        self.time = END.timestamp() - 3600
        self.events: list[Any] = []
        observer: Any = self.events.append
        self.patch(Users, "_log", Logger(observer=observer))
        for name in ("default", "alice"):
            addUser(self.path, name, ONE)

    def users(self, override: Token | None = None) -> Users:
        """
        Make the users as a server does.
        """
        return Users(self.path, lambda: self.time, override, constant)

    def change(self, old: str, new: str) -> None:
        """
        Edit the file by hand.
        """
        text = self.path.read_text()
        self.assertIn(old, text)
        self.path.write_text(text.replace(old, new))

    def logged(self, level: Any) -> list[str]:
        """
        Give what was logged at a level since this was last asked.
        """
        logged = [formatEvent(e) for e in self.events if e["log_level"] == level]
        self.events.clear()
        return logged


class LookupTests(UsersCase):
    """
    A login is checked against the file as it is then.
    """

    def test_others(self) -> None:
        """
        Who logs in by other means, as a dialect's clients do, is always allowed to
        go on, and nobody logs in as that user in the usual way, whatever the file says.
        """
        addUser(self.path, "pipe", ONE)
        users = Users(self.path, lambda: self.time, None, constant, {"pipe", "mgrok"})
        self.assertIsNone(users.lookup("pipe"))
        self.assertIsNone(users.lookup("mgrok"))
        self.assertIsNotNone(users.lookup("alice"))
        names = "pipe", "mgrok", "alice", "nobody"
        self.assertEqual([*map(users.allowed, names)], [True, True, True, False])

    def test_visitors(self) -> None:
        """
        Who may visit a private tunnel is seen within a second; while the file is
        broken, what it said holds on.
        """
        users, clock = self.users(), Clock()
        users.start(clock)
        self.addCleanup(users.stop)
        self.assertIsNone(users.visitors("ssh"))
        with self.path.open("a") as file:
            file.write("\n[private.ssh]\nvisitors = ['alice']\n")
        clock.advance(1.0)
        self.assertEqual(users.visitors("ssh"), {"alice"})
        self.change("['alice']", "alice")
        clock.advance(1.0)
        self.assertEqual(users.visitors("ssh"), {"alice"})
        self.change("visitors = alice", "visitors = []")
        clock.advance(1.0)
        self.assertEqual(users.visitors("ssh"), set())
        self.assertIsNone(users.visitors("db"))

    def test_known(self) -> None:
        """
        Who is in the file may log in, nobody else.
        """
        users = self.users()
        self.assertEqual(users.lookup("default"), ONE)
        self.assertEqual(users.lookup("alice"), ONE)
        for name in ("bob", "", "Alice", "users"):
            self.assertIsNone(users.lookup(name))

    def test_changes(self) -> None:
        """
        What C{tunnelkit token} does is seen at the next login.
        """
        users = self.users()
        addUser(self.path, "bob", TWO)
        self.assertEqual(users.lookup("bob"), TWO)
        addUser(self.path, "bob", ONE)
        self.assertEqual(users.lookup("bob"), ONE)
        revokeUser(self.path, "bob")
        self.assertIsNone(users.lookup("bob"))
        self.assertEqual(users.lookup("alice"), ONE)

    def test_disabled(self) -> None:
        """
        Who is disabled by hand cannot log in until enabled again.
        """
        users = self.users()
        self.change("[users.alice]", "[users.alice]\ndisabled = true")
        self.assertIsNone(users.lookup("alice"))
        self.change("disabled = true", "disabled = false")
        self.assertEqual(users.lookup("alice"), ONE)

    def test_expired(self) -> None:
        """
        Who expires cannot log in from that second on, without any change to the
        file.
        """
        self.change("[users.alice]", f"[users.alice]\nexpires = {END.isoformat()}")
        users = self.users()
        self.time = END.timestamp() - 0.1
        self.assertEqual(users.lookup("alice"), ONE)
        self.time = END.timestamp()
        self.assertIsNone(users.lookup("alice"))
        self.assertEqual(users.lookup("default"), ONE)

    def test_allowed(self) -> None:
        """
        What is asked for each visitor knows of an expiry at that moment, and of a
        change of the file when that was looked at.
        """
        self.change("[users.alice]", f"[users.alice]\nexpires = {END.isoformat()}")
        users = self.users()
        self.time = END.timestamp() - 0.1
        self.assertTrue(users.allowed("alice"))
        self.time = END.timestamp()
        self.assertFalse(users.allowed("alice"))
        self.assertFalse(users.allowed("nobody"))
        revokeUser(self.path, "default")
        self.assertTrue(users.allowed("default"))
        users.reload()
        self.assertFalse(users.allowed("default"))

    def test_revokedAtLogin(self) -> None:
        """
        A revocation that is seen at somebody's login takes effect there and then.
        """
        users = self.users()
        told: list[str] = []
        users.onRevoked(told.append)
        revokeUser(self.path, "alice")
        users.lookup("default")
        self.assertEqual(told, ["alice"])


class OverrideTests(UsersCase):
    """
    C{--token-file} and C{TUNNELKIT_TOKEN} give C{default} a secret of the operator's
    own.
    """

    def test_replaces(self) -> None:
        """
        The token's secret counts for its user, the file's for the others.
        """
        users = self.users(OVERRIDE)
        expected = Verifier.of(OVERRIDE.secret, constant)
        self.assertEqual(users.lookup("default"), expected)
        self.assertEqual(users.lookup("alice"), ONE)

    def test_fileCannotTouchIt(self) -> None:
        """
        Whatever the file comes to say of that user, the token stays good and nobody
        is cut.
        """
        users = self.users(OVERRIDE)
        told: list[str] = []
        users.onRevoked(told.append)
        expected = users.lookup("default")
        self.change("[users.default]", "[users.default]\ndisabled = true")
        self.assertEqual(users.lookup("default"), expected)
        revokeUser(self.path, "default")
        self.assertEqual(users.lookup("default"), expected)
        users.reload()
        self.assertEqual(told, [])

    def test_notWritten(self) -> None:
        """
        The secret stays in memory: the file does not change.
        """
        before = self.path.read_bytes()
        self.users(OVERRIDE).lookup("default")
        self.assertEqual(self.path.read_bytes(), before)

    def test_noFile(self) -> None:
        """
        With a token of the operator's own no file is needed; one that comes later is
        read.
        """
        self.path.unlink()
        users = self.users(OVERRIDE)
        users.reload()
        self.assertIsNotNone(users.lookup("default"))
        self.assertIsNone(users.lookup("alice"))
        self.assertEqual(self.events, [])
        addUser(self.path, "alice", TWO)
        self.assertEqual(users.lookup("alice"), TWO)
        self.path.unlink()
        self.assertEqual(users.lookup("alice"), TWO)
        (error,) = self.logged(LogLevel.error)
        self.assertIn("there is no file of users", error)

    def test_brokenFile(self) -> None:
        """
        A broken file is refused at start all the same.
        """
        self.path.write_text("=")
        self.assertRaises(UsersError, self.users, OVERRIDE)


class BrokenFileTests(UsersCase):
    """
    A slip of the hand in the file shuts nobody out.
    """

    def test_atStart(self) -> None:
        """
        A server does not start with a broken file, or none, and says why.
        """
        self.path.write_text("[user.a]\n")
        error = self.assertRaises(UsersError, self.users)
        self.assertIn(f"{self.path} is wrong: unknown key 'user'", str(error))
        self.path.unlink()
        error = self.assertRaises(UsersError, self.users)
        self.assertIn(f"there is no file of users {self.path}", str(error))

    def test_later(self) -> None:
        """
        While the file is broken all stays as it was, with one error in the log for
        each change; once it is mended it counts again, which is said once.
        """
        users = self.users()
        told: list[str] = []
        users.onRevoked(told.append)
        good = self.path.read_text()
        for broken in (good + "=", good + "\n\n=", "[users.alice]\nfoo = 1\n"):
            self.path.write_text(broken)
            for _ in range(4):
                users.reload()
                self.assertEqual(users.lookup("alice"), ONE)
            (error,) = self.logged(LogLevel.error)
            self.assertIn("the users stay as they were: ", error)
            self.assertIn(str(self.path), error)
        self.assertEqual(told, [])
        self.path.write_text(good.replace("alice", "bob"))
        self.assertEqual(users.lookup("bob"), ONE)
        self.assertEqual(told, ["alice"])
        self.path.write_text(good)
        users.reload()
        mended = f"{self.path} is mended, and counts again"
        lines = [mended, "user alice is revoked", "user bob is revoked"]
        self.assertEqual(self.logged(LogLevel.info), lines)

    def test_gone(self) -> None:
        """
        A file that is gone for a moment, as while an editor saves it, cuts nobody.
        """
        users = self.users()
        told: list[str] = []
        users.onRevoked(told.append)
        for _ in range(2):
            aside = self.path.rename(self.path.with_name("aside"))
            users.reload()
            users.reload()
            self.assertEqual(users.lookup("alice"), ONE)
            self.assertEqual(len(self.logged(LogLevel.error)), 1)
            aside.rename(self.path)
            users.reload()
            self.assertEqual(users.lookup("alice"), ONE)
        self.assertEqual(told, [])

    def test_unreadable(self) -> None:
        """
        A file that cannot be read is an error in the log, not the end of logins.
        """
        users = self.users()
        self.path.unlink()
        self.path.mkdir()
        self.assertEqual(users.lookup("alice"), ONE)
        (error,) = self.logged(LogLevel.error)
        self.assertIn("cannot be read", error)

    def test_expiryGoesOn(self) -> None:
        """
        Who expires while the file is broken is cut off all the same.
        """
        self.change("[users.alice]", f"[users.alice]\nexpires = {END.isoformat()}")
        users = self.users()
        told: list[str] = []
        users.onRevoked(told.append)
        self.path.write_text("=")
        users.reload()
        self.assertEqual(told, [])
        self.time = END.timestamp()
        users.reload()
        self.assertEqual(told, ["alice"])


class RevocationTests(UsersCase):
    """
    Who may no longer log in is told of within a second, so that the sessions can be
    closed.
    """

    def setUp(self) -> None:
        super().setUp()
        self.change("[users.alice]", f"[users.alice]\nexpires = {END.isoformat()}")
        self.clock = Clock()
        self.watched = self.users()
        self.told: list[str] = []
        self.watched.onRevoked(self.told.append)
        self.watched.start(self.clock)
        self.addCleanup(self.assertEqual, [], self.clock.getDelayedCalls())
        self.addCleanup(self.watched.stop)
        self.clock.pump([1.0] * 3)

    def test_nothing(self) -> None:
        """
        Nobody is cut while nothing changes, or by a change to others.
        """
        addUser(self.path, "bob", TWO)
        self.change("# Who", "# Those who")
        self.clock.pump([1.0] * 5)
        self.assertEqual(self.told, [])

    def test_vanished(self) -> None:
        """
        A user taken out of the file is told of, once.
        """
        revokeUser(self.path, "alice")
        self.clock.advance(1)
        self.assertEqual(self.told, ["alice"])
        self.assertEqual(self.logged(LogLevel.info), ["user alice is revoked"])
        self.clock.pump([1.0] * 5)
        self.assertEqual(self.told, ["alice"])

    def test_disabled(self) -> None:
        """
        A user who is disabled is told of, again at the next time.
        """
        for _ in range(2):
            self.change("[users.default]", "[users.default]\ndisabled = true")
            self.clock.advance(1)
            self.assertEqual(self.told, ["default"])
            self.told.clear()
            self.change("disabled = true\n", "")
            self.clock.advance(1)
            self.assertEqual(self.told, [])

    def test_expired(self) -> None:
        """
        A user who expires is told of though nothing was written.
        """
        self.time = END.timestamp() - 1
        self.clock.advance(1)
        self.assertEqual(self.told, [])
        self.time = END.timestamp()
        self.clock.advance(1)
        self.assertEqual(self.told, ["alice"])

    def test_expiredBetweenLogins(self) -> None:
        """
        A refused login of a user who has just expired does not hide the sessions
        that are still open.
        """
        self.time = END.timestamp()
        self.assertIsNone(self.watched.lookup("alice"))
        self.clock.advance(1)
        self.assertEqual(self.told, ["alice"])

    def test_newSecret(self) -> None:
        """
        A new token cuts off who logged in with the old one.
        """
        addUser(self.path, "default", TWO)
        self.clock.advance(1)
        self.assertEqual(self.told, ["default"])
        self.assertEqual(self.watched.lookup("default"), TWO)

    def test_several(self) -> None:
        """
        All who are revoked at once are told of, to all who asked, even where one of
        those fails.
        """

        def fail(name: str) -> None:
            raise RuntimeError(name)

        late: list[str] = []
        users = self.users()
        for callback in (fail, late.append):
            users.onRevoked(callback)
        self.path.write_text("")
        users.reload()
        self.assertEqual(sorted(late), ["alice", "default"])
        self.assertEqual(len(self.logged(LogLevel.critical)), 2)

    def test_askedAgainMeanwhile(self) -> None:
        """
        Who is told of a revocation and looks at the users then finds them changed.
        """
        found: list[Verifier | None] = []
        self.watched.onRevoked(lambda name: found.append(self.watched.lookup(name)))
        revokeUser(self.path, "alice")
        self.watched.reload()
        self.assertEqual(found, [None])
        self.assertEqual(self.told, ["alice"])

    def test_stopped(self) -> None:
        """
        After the stop nobody is told of anything; stopping twice does no harm.
        """
        self.watched.stop()
        self.watched.stop()
        revokeUser(self.path, "alice")
        self.clock.pump([1.0] * 3)
        self.assertEqual(self.told, [])
