"""
Tests for L{tunnelkit.commands.options.config}.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.commands import client, server
from tunnelkit.commands.options.config import (
    Reading,
    number,
    port,
    portList,
    ports,
    readConfig,
    text,
    texts,
    truth,
)

KEYS: Mapping[str, Reading] = {
    "port": ports,
    "ports": portList,
    "admin": port,
    "token": text,
    "token-file": text,
    "tunnel": texts,
    "grace": number,
    "insecure": truth,
}


class ReadConfigTests(SynchronousTestCase):
    """
    A file says what the flags could, in the words of the flags.
    """

    def write(self, content: str | bytes) -> Path:
        """
        Write a file.
        """
        path = Path(self.mktemp()).absolute()
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def refusal(self, content: str | bytes) -> str:
        """
        Give what the user is told of a file, without its name, which is in front.
        """
        path = self.write(content)
        error = self.assertRaises(UsageError, readConfig, path, KEYS)
        start = f"--config: {path}"
        self.assertTrue(str(error).startswith(start), str(error))
        return str(error)[len(start) :]

    def test_everyKind(self) -> None:
        """
        Text, numbers, lists and switches come out as the flags would give them.
        """
        path = self.write(
            """
            # With a comment.
            port = [8910, "unix:/run/x.sock"]
            ports = ["20000-29999", 9000]
            admin = 8911
            token-file = "x.token"
            tunnel = ["tcp:8000", "tcp:22:name=ssh"]
            grace = 2.5
            insecure = true
            """
        )
        self.assertEqual(
            readConfig(path, KEYS),
            {
                "port": ["8910", "unix:/run/x.sock"],
                "ports": "20000-29999,9000",
                "admin": "8911",
                "token-file": "x.token",
                "tunnel": ["tcp:8000", "tcp:22:name=ssh"],
                "grace": "2.5",
                "insecure": True,
            },
        )

    def test_oneForAList(self) -> None:
        """
        One thing need not be put into a list, and a number need not be text.
        """
        path = self.write(
            'port = 8910\nports = 9000\ntunnel = "tcp:8000"\nadmin = "off"\n'
            'grace = "5"\ninsecure = false'
        )
        self.assertEqual(
            readConfig(path, KEYS),
            {
                "port": ["8910"],
                "ports": "9000",
                "tunnel": ["tcp:8000"],
                "admin": "off",
                "grace": "5",
                "insecure": False,
            },
        )

    def test_nothing(self) -> None:
        """
        An empty file says nothing.
        """
        self.assertEqual(readConfig(self.write(""), KEYS), {})

    def test_unknownKey(self) -> None:
        """
        A slip is named, together with what was probably meant.
        """
        for key, nearest in (
            ("prot", "port"),
            ("token_file", "token-file"),
            ("tunnels", "tunnel"),
            ("insecur", "insecure"),
        ):
            self.assertEqual(
                self.refusal(f"{key} = 1"),
                f": the key {key!r} is not known: did you mean {nearest!r}?",
            )

    def test_strangeKey(self) -> None:
        """
        Where nothing is near, all keys are listed.
        """
        words = self.refusal("[zzz]\nx = 1")
        self.assertIn("'zzz' is not known: it may have admin, grace, insecure", words)

    def test_noNonsense(self) -> None:
        """
        What is an option of the command line alone is not taken for a slip.
        """
        for options in (server.Options, client.Options):
            for key in ("config", "version", "help"):
                path = self.write(f"{key} = 1")
                error = self.assertRaises(
                    UsageError, readConfig, path, options.fileKeys
                )
                self.assertIn(f"{key!r} is not known: it may have ", str(error))

    def test_wrongTypes(self) -> None:
        """
        What a key cannot take is refused by the key's name, with what it takes.
        """
        for line, words in (
            ("token = 5", "the key 'token' takes text in quotes, not a number"),
            ("token = [1]", "the key 'token' takes text in quotes, not a list like"),
            ("grace = true", "the key 'grace' takes a number, not true or false"),
            ("grace = [1]", "the key 'grace' takes a number, not a list"),
            ("insecure = 1", "the key 'insecure' takes true or false, not a number"),
            ('insecure = "no"', "the key 'insecure' takes true or false, not text"),
            ("tunnel = 8000", "the key 'tunnel' takes a list of texts in quotes"),
            ("tunnel = [8000]", "the key 'tunnel' takes a list of texts in quotes"),
            (
                "port = [1.5]",
                "the key 'port' takes a list of whole numbers, or of texts",
            ),
            ("port = 1.5", "or of texts in quotes, not a number with a fraction"),
            ("ports = {a = 1}", "not a table"),
            ("admin = 2026-01-01", "the key 'admin' takes text in quotes, not a date"),
        ):
            self.assertIn(words, self.refusal(line))

    def test_noSecrets(self) -> None:
        """
        A token in the wrong place is not repeated where others may read it.
        """
        secret = "tk1_default_verysecret"
        for line in (f'token = ["{secret}"]', f'insecure = "{secret}"'):
            self.assertNotIn("verysecret", self.refusal(line))

    def test_nested(self) -> None:
        """
        A file of nothing but brackets is refused in a sentence, too.
        """
        for content in ("port = " + "[" * 9999, "x = " + "{x = " * 9999):
            self.assertIn("brackets within brackets", self.refusal(content))

    def test_notTOML(self) -> None:
        """
        A file that is not TOML is refused with the place.
        """
        self.assertIn("line 2", self.refusal('port = "8910"\nports\n'))
        self.assertIn("line 2", self.refusal(b'\nname = "\xff"'))

    def test_unreadable(self) -> None:
        """
        A file that is not there, or is a folder, is named.
        """
        for path, words in (
            (Path("nowhere.toml"), "No such file"),
            (Path("."), "Is a directory"),
        ):
            error = self.assertRaises(UsageError, readConfig, path, KEYS)
            self.assertIn(f"--config: {path} cannot be read: {words}", str(error))
