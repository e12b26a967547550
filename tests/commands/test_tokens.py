"""
Tests for L{tunnelkit.commands.tokens}.
"""

from __future__ import annotations

import contextlib
import io
import os
from datetime import UTC, datetime
from pathlib import Path
from unittest import skipIf

from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from tests.state.test_verifier import constant
from tunnelkit.commands.tokens import NewOptions, Options, described, makeToken, run
from tunnelkit.state.folder import StateFolder
from tunnelkit.state.userfile import User, UsersError, listUsers
from tunnelkit.state.verifier import Verifier
from tunnelkit.wire.token import Token

NOW = datetime(2026, 11, 21, tzinfo=UTC)
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


class TokensCase(SynchronousTestCase):
    """
    A state folder, as the first start of a server leaves it.
    """

    def setUp(self) -> None:
        """
        Make it.
        """
        self.folder = StateFolder(Path(self.mktemp()).absolute())
        self.folder.prepare(os.urandom, NOW, ["localhost"])
        self.folder.unlock()

    def run_(self, *arguments: str) -> tuple[int, str, str]:
        """
        Run a command in that folder.

        @return: exit status, standard output, standard error.
        """
        options = Options()
        options.parseOptions([*arguments, "--state", str(self.folder.path)])
        with (
            contextlib.redirect_stdout(io.StringIO()) as out,
            contextlib.redirect_stderr(io.StringIO()) as err,
        ):
            status = run(options)
        return status, out.getvalue(), err.getvalue()

    def opens(self, text: str) -> bool:
        """
        Tell whether a token lets its user in.
        """
        token = Token.parse(text)
        users = {user.name: user for user in listUsers(self.folder.usersFile)}
        if token.user not in users:
            return False
        verifier = users[token.user].verifier
        return Verifier.of(token.secret, lambda _: verifier.salt) == verifier


class NewTests(TokensCase):
    """
    C{tunnelkit token new} gives one more token.
    """

    def test_new(self) -> None:
        """
        Standard output is the token alone, so that it can go into a file; how to use
        it is beside that.
        """
        status, out, err = self.run_("new", "alice")
        self.assertEqual((status, out.count("\n")), (0, 1))
        self.assertEqual(Token.parse(out).user, "alice")
        self.assertTrue(self.opens(out))
        self.assertIn("twistd -n tunnelclient --server HOST:8910 --token-file", err)
        self.assertIn(str(self.folder.path), err)
        self.assertNotIn(Token.parse(out).secret, err)

    def test_there(self) -> None:
        """
        A token in use is not ended by a slip.
        """
        _, first, _ = self.run_("new", "alice")
        status, out, err = self.run_("new", "alice")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("alice has a token already", err)
        self.assertIn("--replace", err)
        self.assertTrue(self.opens(first))

    def test_replace(self) -> None:
        """
        A token that got lost is replaced, and opens nothing any more.
        """
        _, first, _ = self.run_("new", "alice")
        status, second, err = self.run_("new", "alice", "--replace")
        self.assertEqual(status, 0)
        self.assertIn("alice has a new token", err)
        self.assertEqual((self.opens(first), self.opens(second)), (False, True))

    def test_default(self) -> None:
        """
        The first user's token stands in its file still, when it is another.
        """
        before = self.folder.tokenFile.read_text()
        status, out, err = self.run_("new", "--replace")
        self.assertEqual((status, self.folder.tokenFile.read_text()), (0, out))
        self.assertIn(f"{self.folder.tokenFile} holds it now", err)
        self.assertEqual((self.opens(before), self.opens(out)), (False, True))
        self.folder.tokenFile.unlink()
        self.run_("new", "--replace")
        self.assertFalse(self.folder.tokenFile.exists())

    def test_noUsers(self) -> None:
        """
        A server that began with a token of the operator's own can have more users.
        """
        self.folder.usersFile.unlink()
        status, out, _ = self.run_("new", "alice")
        self.assertEqual((status, self.opens(out)), (0, True))

    def test_chance(self) -> None:
        """
        The secret is what the system's source of randomness gave.
        """
        token, _ = makeToken(self.folder, "alice", False, constant)
        self.assertEqual(token, Token.new("alice", constant))


class ListTests(TokensCase):
    """
    C{tunnelkit token list} shows who may log in.
    """

    def test_list(self) -> None:
        """
        Users are listed, and nothing that helps to become one of them.
        """
        self.run_("new", "alice")
        self.assertEqual(
            self.run_("list"), (0, "alice    may log in\ndefault  may log in\n", "")
        )

    def test_conditions(self) -> None:
        """
        It shows who may not log in, and why.
        """
        verifier = Verifier.of("x", constant)
        users = [
            User("d", verifier),
            User("c", verifier, disabled=True),
            User("b", verifier, expires=datetime(2026, 11, 22, tzinfo=UTC)),
            User("a-b", verifier, expires=NOW),
        ]
        self.assertEqual(
            [*described(users, NOW.timestamp())],
            [
                "a-b  expired 2026-11-21 00:00:00+00:00",
                "b    may log in until 2026-11-22 00:00:00+00:00",
                "c    disabled",
                "d    may log in",
            ],
        )


class RevokeTests(TokensCase):
    """
    C{tunnelkit token revoke} ends a user.
    """

    def test_revoke(self) -> None:
        """
        The user is gone, and others stay.
        """
        _, token, _ = self.run_("new", "alice")
        status, out, err = self.run_("revoke", "alice")
        self.assertEqual((status, out), (0, ""))
        self.assertIn("alice is revoked", err)
        self.assertFalse(self.opens(token))
        self.assertTrue(self.opens(self.folder.tokenFile.read_text()))

    def test_unknown(self) -> None:
        """
        A slip in the name is told.
        """
        status, out, err = self.run_("revoke", "alcie")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("'alcie'", err)


class FolderTests(TokensCase):
    """
    What is wrong with the folder is said in one sentence.
    """

    def assertFails(self, words: str, *arguments: str) -> None:
        """
        A command says one sentence and fails.
        """
        status, out, err = self.run_(*arguments)
        self.assertEqual((status, out, err.count("\n")), (1, "", 1), err)
        self.assertTrue(err.startswith("tunnelkit token: "), err)
        self.assertIn(words, err)

    def test_missing(self) -> None:
        """
        A folder that is not there is probably not the server's, and none is made.
        """
        self.folder = StateFolder(Path(self.mktemp()).absolute())
        for command in (("new", "alice"), ("list",), ("revoke", "alice")):
            self.assertFails(f"there is no state folder {self.folder.path}", *command)
        self.assertFalse(self.folder.path.exists())

    def test_broken(self) -> None:
        """
        A file of users that somebody broke is left as it is.
        """
        self.folder.usersFile.write_text("[users")
        for command in (("new", "alice"), ("list",), ("revoke", "alice")):
            self.assertFails(str(self.folder.usersFile), *command)
        self.assertEqual(self.folder.usersFile.read_text(), "[users")

    @skipIf(ROOT, "root may do everything")
    def test_forbidden(self) -> None:
        """
        Who is not the user of the server is told to be.
        """
        self.folder.path.chmod(0)
        self.addCleanup(self.folder.path.chmod, 0o700)
        self.assertFails("user who runs the server", "new", "alice")

    def test_forbiddenByFake(self) -> None:
        """
        The same, where the tests run as root.
        """

        def forbidden(self: Path) -> bool:
            raise PermissionError(13, "Permission denied", str(self))

        self.patch(Path, "is_dir", forbidden)
        self.assertFails("Permission denied; run it as the user who runs", "list")


class OptionsTests(SynchronousTestCase):
    """
    The commands are written as people write them.
    """

    def parsed(self, *arguments: str) -> tuple[str | None, dict[str, object], Path]:
        """
        Parse a command line.
        """
        options = Options()
        options.parseOptions([*arguments])
        given = options.subOptions
        return options.subCommand, dict(given), given.folder.path

    def test_orders(self) -> None:
        """
        Options may stand before the user or behind.
        """
        for arguments in (
            ("new", "alice", "--state", "/x", "--replace"),
            ("new", "--state=/x", "--replace", "alice"),
            ("new", "--replace", "alice", "--state=/x"),
        ):
            self.assertEqual(
                self.parsed(*arguments),
                ("new", {"state": "/x", "replace": 1, "user": "alice"}, Path("/x")),
            )

    def test_defaults(self) -> None:
        """
        C{new} is for the first user, and the folder is the server's.
        """
        options = NewOptions({"STATE_DIRECTORY": "/var/lib/tunnelkit"})
        options.parseOptions([])
        self.assertEqual(options["user"], "default")
        self.assertEqual(options.folder.path, Path("/var/lib/tunnelkit"))

    def test_refused(self) -> None:
        """
        What cannot be a command is refused in words.
        """
        for arguments, words in (
            ((), "a command is missing: new, list or revoke"),
            (("mew",), "Unknown command: mew"),
            (("revoke",), "the user is missing"),
            (("new", "Alice"), "'Alice' cannot be a user"),
            (("new", "a", "b"), "'b' belongs to no option"),
            (("list", "a"), "'a' belongs to no option"),
            (("new", "--sate", "x"), "--sate"),
            (("new", "--state"), "--state requires argument"),
        ):
            error = self.assertRaises(UsageError, self.parsed, *arguments)
            self.assertIn(words, str(error))

    def test_usersError(self) -> None:
        """
        A program gets the error itself.
        """
        folder = StateFolder(Path(self.mktemp()))
        folder.path.mkdir()
        makeToken(folder, "a", False, constant)
        self.assertRaises(UsersError, makeToken, folder, "a", False, constant)
