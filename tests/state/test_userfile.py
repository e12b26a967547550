"""
Tests for L{tunnelkit.state.userfile}.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from unittest import skipIf

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.state.test_verifier import RFC, constant
from tunnelkit.state import userfile
from tunnelkit.state.userfile import (
    User,
    UsersError,
    addUser,
    createUsers,
    listUsers,
    readUsers,
    revokeUser,
)
from tunnelkit.state.verifier import Verifier

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0

ONE = Verifier.parse(RFC)
TWO = Verifier.of("two", constant)

WRITTEN = f"""\
# The users of our server.

# Alice does the books.
[users.alice]  # since 2024
verifier = "{ONE}"

# Bob is a machine.
[users."bob.example.org"]
verifier = "{ONE}"
disabled = true  # until it is mended

# Carol leaves us.
[users.carol]
expires = 2027-01-01T00:00:00Z
verifier = "{ONE}"

# That is all.
"""


class FileCase(SynchronousTestCase):
    """
    A file of users in a folder of its own.
    """

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        self.path = folder / "users.toml"

    def names(self) -> list[str]:
        """
        Give the names of the users.
        """
        return [user.name for user in listUsers(self.path)]


class ListUsersTests(FileCase):
    """
    The file says who there is, or what is wrong with it.
    """

    def refused(self, text: str) -> str:
        """
        Give why a file is refused.
        """
        self.path.write_text(text)
        reason = str(self.assertRaises(UsersError, listUsers, self.path))
        self.assertIn(f"the file of users {self.path}", reason)
        self.assertNotIn("WG5d8o", reason)
        return reason

    def test_users(self) -> None:
        """
        All that the file says of its users is there.
        """
        self.path.write_text(WRITTEN)
        self.assertEqual(
            listUsers(self.path),
            [
                User("alice", ONE),
                User("bob.example.org", ONE, disabled=True),
                User("carol", ONE, expires=datetime(2027, 1, 1, tzinfo=UTC)),
            ],
        )

    def test_none(self) -> None:
        """
        A file may have no users.
        """
        for text in ("", "# nobody\n", "[users]\n"):
            self.path.write_text(text)
            self.assertEqual(listUsers(self.path), [])

    def test_missing(self) -> None:
        """
        A file that is not there is named, and what makes one.
        """
        error = self.assertRaises(UsersError, listUsers, self.path)
        self.assertEqual(
            str(error),
            f"there is no file of users {self.path}: tunnelkit token new makes one",
        )

    def test_unreadable(self) -> None:
        """
        What cannot be read is named, and what the system says of it.
        """
        self.path.mkdir()
        error = self.assertRaises(UsersError, listUsers, self.path)
        self.assertIn(f"{self.path} cannot be read (Is a directory)", str(error))

    def test_notTOML(self) -> None:
        """
        Where the file is no TOML the line is told.
        """
        self.assertIn("at line 2, column 1", self.refused("[users.a]\n="))
        self.assertIn("is wrong", self.refused("a = " + "[" * 100_000))

    def test_notUTF8(self) -> None:
        """
        A file in another encoding is refused.
        """
        self.path.write_bytes(b"# M\xfcller")
        error = self.assertRaises(UsersError, listUsers, self.path)
        self.assertIn("is not UTF-8", str(error))

    def test_unknownKeys(self) -> None:
        """
        A key that is not known is refused by name, as it may be a misspelt one.
        """
        self.assertIn("unknown key 'user'", self.refused("[user.a]\n"))
        reason = self.refused(f'[users.a]\nverifier = "{ONE}"\ndisable = true\n')
        self.assertIn("unknown key 'disable' of user a", reason)
        self.assertIn("there are verifier, disabled, expires", reason)

    def test_visitors(self) -> None:
        """
        It says who may visit which private tunnel, nobody included; who edits users
        leaves that as it is.
        """
        self.path.write_text(
            "# the office\n[private.ssh]\nvisitors = ['alice', 'ci.org']\n"
            "[private.'my db']\nvisitors = []\n"
        )
        addUser(self.path, "bob", ONE)
        self.assertEqual(
            readUsers(self.path).visitors,
            {"ssh": frozenset({"alice", "ci.org"}), "my db": frozenset()},
        )
        self.assertEqual(self.names(), ["bob"])
        self.assertIn("# the office\n[private.ssh]", self.path.read_text())

    def test_notVisitors(self) -> None:
        """
        What is no list of users there is refused, and where it stands is told: what
        does not count would let others in, or nobody.
        """
        for text, words in (
            ("private = 1", "private must be tables"),
            ("[private]\nssh = ['alice']", 'ssh must be a table, [private."ssh"]'),
            ("[private.ssh]\n", "with visitors and nothing else"),
            ("[private.ssh]\nvisitor = []\n", "with visitors and nothing else"),
            ("[private.ssh]\nvisitors = 'bob'\n", "visitors of ssh must be a list"),
            ("[private.ssh]\nvisitors = ['Bob']\n", "'Bob' among the visitors of ssh"),
            ("[private.ssh]\nvisitors = [1]\n", "1 among the visitors of ssh"),
        ):
            self.assertIn(words, self.refused(text))

    def test_dot(self) -> None:
        """
        Who forgets the quotes around a name with a dot is told.
        """
        reason = self.refused(f'[users.ci.org]\nverifier = "{ONE}"\n')
        self.assertIn('[users."ci.org"]', reason)

    def test_names(self) -> None:
        """
        A name that no token can have is refused.
        """
        for name in ("Alice", "a_b", "", "x" * 65, "al\u00efce"):
            reason = self.refused(f'[users."{name}"]\nverifier = "{ONE}"\n')
            self.assertIn(f"{name!r} is no user: a user's name is", reason)

    def test_shapes(self) -> None:
        """
        Users are tables.
        """
        self.assertIn("users must be tables", self.refused("users = 1\n"))
        self.assertIn("users must be tables", self.refused("[[users]]\n"))
        self.assertIn("user a must be a table", self.refused("[users]\na = 1\n"))

    def test_values(self) -> None:
        """
        A value of the wrong kind is refused with the user's name and what is right.
        """
        for line, reason in (
            ("verifier = 1", "verifier must be a string"),
            ("verifier = 'secret'", "a verifier is SCRAM-SHA-256$"),
            (f"verifier = '{ONE}'\ndisabled = 1", "disabled must be true or false"),
            (f"verifier = '{ONE}'\nexpires = 2027", "expires must be a date"),
            (f"verifier = '{ONE}'\nexpires = 2027-01-01", "expires must be a date"),
            (
                f"verifier = '{ONE}'\nexpires = 2027-01-01T00:00:00",
                "expires must be a date with time and zone",
            ),
        ):
            self.assertIn(f"user a: {reason}", self.refused(f"[users.a]\n{line}\n"))

    def test_noVerifier(self) -> None:
        """
        A user without a verifier is refused: there is none without a secret.
        """
        self.assertIn(
            "user a lacks a verifier: tunnelkit token new", self.refused("[users.a]\n")
        )

    def test_mayLogIn(self) -> None:
        """
        Users log in unless they are disabled, and until they expire.
        """
        end = datetime(2027, 1, 1, tzinfo=UTC)
        at = end.timestamp()
        self.assertTrue(User("a", ONE).mayLogIn(at))
        self.assertFalse(User("a", ONE, disabled=True).mayLogIn(at))
        self.assertTrue(User("a", ONE, expires=end).mayLogIn(at - 1))
        self.assertFalse(User("a", ONE, expires=end).mayLogIn(at))
        self.assertFalse(User("a", ONE, True, end).mayLogIn(at - 1))


class EditTests(FileCase):
    """
    C{tunnelkit token} changes what it was asked to and nothing else.
    """

    def test_new(self) -> None:
        """
        The first user makes the file, mode 0600.
        """
        self.assertEqual(addUser(self.path, "alice", ONE), User("alice", ONE))
        self.assertEqual(listUsers(self.path), [User("alice", ONE)])
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def test_add(self) -> None:
        """
        A further user stands behind the others, which stay as they were written.
        """
        self.path.write_text(WRITTEN)
        addUser(self.path, "ci.example.org", TWO)
        text = self.path.read_text()
        self.assertTrue(text.startswith(WRITTEN))
        self.assertIn('\n[users."ci.example.org"]\n', text)
        self.assertEqual(listUsers(self.path)[-1], User("ci.example.org", TWO))

    def test_again(self) -> None:
        """
        A user who gets a new token keeps the rest: who is disabled stays disabled,
        and that is told.
        """
        self.path.write_text(WRITTEN)
        user = addUser(self.path, "bob.example.org", TWO)
        self.assertEqual(user, User("bob.example.org", TWO, disabled=True))
        head, bob = WRITTEN.split("# Bob")
        expected = f"{head}# Bob{bob.replace(str(ONE), str(TWO), 1)}"
        self.assertEqual(self.path.read_text(), expected)

    def test_badName(self) -> None:
        """
        A name that no token can have is refused, and no file is made.
        """
        error = self.assertRaises(UsersError, addUser, self.path, "Al\nice", ONE)
        self.assertIn("'Al\\nice' is no user: a user's name is", str(error))
        self.assertFalse(self.path.exists())

    def test_revoke(self) -> None:
        """
        Who is revoked is gone; all comments but those among the user's own keys
        stay, and so does what others have.
        """
        for name, gone in (
            ("alice", f'[users.alice]  # since 2024\nverifier = "{ONE}"\n'),
            (
                "bob.example.org",
                f'[users."bob.example.org"]\nverifier = "{ONE}"\n'
                "disabled = true  # until it is mended\n",
            ),
            (
                "carol",
                f'[users.carol]\nexpires = 2027-01-01T00:00:00Z\nverifier = "{ONE}"\n',
            ),
        ):
            self.path.write_text(WRITTEN)
            revokeUser(self.path, name)
            self.assertEqual(self.path.read_text(), WRITTEN.replace(gone, ""))

    def test_revokeAll(self) -> None:
        """
        The last user can be revoked, and a new one added after that.
        """
        self.path.write_text(WRITTEN)
        for name in self.names():
            revokeUser(self.path, name)
        self.assertEqual(self.names(), [])
        for comment in ("# Alice", "# Bob", "# Carol", "# That is all."):
            self.assertIn(comment, self.path.read_text())
        addUser(self.path, "dave", TWO)
        self.assertEqual(self.names(), ["dave"])

    def test_revokeUnknown(self) -> None:
        """
        Who revokes a user that is not there is told, and the file stays untouched.
        """
        self.path.write_text(WRITTEN)
        error = self.assertRaises(UsersError, revokeUser, self.path, "bob")
        self.assertIn(f"{self.path} has no user 'bob'", str(error))
        self.assertEqual(self.path.read_text(), WRITTEN)

    def test_revokeMissing(self) -> None:
        """
        Where there is no file there is nobody to revoke, and none is made.
        """
        error = self.assertRaises(UsersError, revokeUser, self.path, "bob")
        self.assertIn("there is no file of users", str(error))
        self.assertFalse(self.path.exists())

    def test_otherForms(self) -> None:
        """
        Users written in TOML's other forms can be edited as well.
        """
        for text in (
            f'[users]\na.verifier = "{ONE}"\n',
            f'[users]\na = {{verifier = "{ONE}"}}\n',
            f'users.a.verifier = "{ONE}"\n',
            f'[users]\r\n[users.a]\r\nverifier = "{ONE}"',
        ):
            self.path.write_bytes(text.encode())
            addUser(self.path, "b", TWO)
            self.assertEqual(listUsers(self.path), [User("a", ONE), User("b", TWO)])
            addUser(self.path, "a", TWO)
            self.assertEqual(listUsers(self.path), [User("a", TWO), User("b", TWO)])
            revokeUser(self.path, "a")
            self.assertEqual(listUsers(self.path), [User("b", TWO)])

    def test_inline(self) -> None:
        """
        A form in which nothing can be added is left as it is, and what to do is
        said.
        """
        text = f'users = {{a = {{verifier = "{ONE}"}}}}\n'
        self.path.write_text(text)
        error = self.assertRaises(UsersError, addUser, self.path, "b", TWO)
        self.assertIn("write each user as a table, [users.NAME]", str(error))
        self.assertEqual(self.path.read_text(), text)

    def test_broken(self) -> None:
        """
        A file with a mistake in it is not edited, so that nothing gets lost.
        """
        for mistake, reason in (
            (
                "[users.eve]\nverifer = 1\n",
                "is wrong: unknown key 'verifer' of user eve",
            ),
            ("[users.eve]\n=", "is wrong: Invalid statement (at line"),
        ):
            text = WRITTEN + mistake
            self.path.write_text(text)
            for edit in (
                lambda: addUser(self.path, "dave", TWO),
                lambda: revokeUser(self.path, "alice"),
            ):
                error = self.assertRaises(UsersError, edit)
                self.assertIn(reason, str(error))
            self.assertEqual(self.path.read_text(), text)

    def test_create(self) -> None:
        """
        A server's first user is made where there is no file, and only there.
        """
        self.assertTrue(createUsers(self.path, "default", ONE))
        self.assertEqual(listUsers(self.path), [User("default", ONE)])
        self.assertTrue(self.path.read_text().startswith("# Who may log in."))
        self.assertFalse(createUsers(self.path, "default", TWO))
        self.assertEqual(listUsers(self.path), [User("default", ONE)])

    def test_noFolder(self) -> None:
        """
        Where the folder is missing, that is said.
        """
        path = self.path.parent / "missing" / "users.toml"
        for edit in (addUser, createUsers):
            error = self.assertRaises(UsersError, edit, path, "a", ONE)
            self.assertIn(f"{path} cannot be written (No such file", str(error))

    @skipIf(ROOT, "root may write everywhere")
    def test_notWritable(self) -> None:
        """
        Where nothing can be written, that is said, and who must run the command.
        """
        self.path.parent.chmod(0o500)
        self.addCleanup(self.path.parent.chmod, 0o700)
        error = self.assertRaises(UsersError, addUser, self.path, "a", ONE)
        self.assertIn("the user who runs the server", str(error))

    def test_atOnce(self) -> None:
        """
        Of users that several commands add at the same time none is lost.
        """
        program = (
            "import os, pathlib, sys\n"
            "from tunnelkit.state.users import Verifier, addUser\n"
            "for each in range(10):\n"
            "    verifier = Verifier.of('secret', os.urandom)\n"
            "    addUser(pathlib.Path(sys.argv[1]), f'{sys.argv[2]}{each}', verifier)\n"
        )
        folder = Path(userfile.__file__).parents[2]
        with contextlib.ExitStack() as stack:
            running = [
                stack.enter_context(
                    subprocess.Popen(
                        [sys.executable, "-c", program, str(self.path), name],
                        env={**os.environ, "PYTHONPATH": str(folder)},
                    )
                )
                for name in ("a", "b", "c")
            ]
        self.assertEqual([each.returncode for each in running], [0, 0, 0])
        expected = [f"{name}{each}" for name in "abc" for each in range(10)]
        self.assertEqual(sorted(self.names()), expected)

    @settings(max_examples=30)
    @given(
        st.lists(
            st.tuples(st.booleans(), st.sampled_from(["a", "b.c", "d", "e-1", "f."])),
            max_size=12,
        )
    )
    def test_anyEdits(self, edits: list[tuple[bool, str]]) -> None:
        """
        After any edits the file holds whom it should, in the order of their coming,
        and every comment that it began with.
        """
        self.path.write_text(WRITTEN)
        expected = self.names()
        for add, name in edits:
            if add:
                addUser(self.path, name, ONE)
                expected += [name] * (name not in expected)
            elif name in expected:
                revokeUser(self.path, name)
                expected.remove(name)
            else:
                self.assertRaises(UsersError, revokeUser, self.path, name)
        self.assertEqual(self.names(), expected)
        self.assertTrue(self.path.read_text().startswith(WRITTEN))
