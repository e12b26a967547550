"""
Tests for L{tunnelkit.commands.options.flags}.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit import __version__
from tunnelkit.commands.options.config import Reading, text, texts, truth
from tunnelkit.commands.options.flags import ConfiguredOptions, logLevel, seconds
from tunnelkit.wire.token import Token

ONE = Token("one", "abcdefgh12345678")
TWO = Token("two", "abcdefgh12345678")
THREE = Token("three", "abcdefgh12345678")


class Options(ConfiguredOptions):
    """
    Options of each sort.
    """

    optParameters = [  # noqa: RUF012
        ["word", None, None, "A word."],
        ["file", None, None, "A file."],
        ["token", None, None, "A token."],
        ["token-file", None, None, "A file with a token."],
    ]
    optFlags = [["flag", None, "A flag."]]  # noqa: RUF012
    fileKeys: ClassVar[Mapping[str, Reading]] = {
        **ConfiguredOptions.fileKeys,
        "word": text,
        "file": text,
        "token": text,
        "token-file": text,
        "flag": truth,
        "many": texts,
    }

    def opt_many(self, word: str) -> None:
        """
        May be given
        several times.
        """
        self["many"] = [*(self.get("many") or ()), word]


class OptionsCase(SynchronousTestCase):
    """
    Options, and files for them in a folder of their own.
    """

    def setUp(self) -> None:
        """
        Make the folder.
        """
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def file(self, name: str, content: str, others: bool = False) -> Path:
        """
        Write a file.

        @param others: whether every user may read it.
        """
        path = self.folder / name
        path.write_text(content)
        path.chmod(0o644 if others else 0o600)
        return path

    def parsed(
        self, *arguments: str | Path, environ: Mapping[str, str] | None = None
    ) -> Options:
        """
        Parse a command line.
        """
        options = Options(environ or {})
        options.parseOptions([*map(str, arguments)])
        return options

    def refusal(self, *arguments: str | Path) -> str:
        """
        Give what is said of a command line that cannot be used.
        """
        return str(self.assertRaises(UsageError, self.parsed, *arguments))


class SourcesTests(OptionsCase):
    """
    What stands nearer to the user wins.
    """

    def test_nothing(self) -> None:
        """
        What nobody gives has its default.
        """
        options = self.parsed()
        self.assertEqual(options.one("word", str, "default"), "default")
        self.assertEqual(options.every("many", str), ())
        self.assertFalse(options.flag("flag"))
        self.assertIsNone(options.file("file"))
        self.assertIsNone(options.folder("file"))
        self.assertIsNone(options.token())
        self.assertEqual((options.logLevel, options.warnings), ("info", []))

    def test_flags(self) -> None:
        """
        Flags give everything.
        """
        given = self.file("x", "")
        options = self.parsed(
            *("--word", "w", "--many", "a", "--flag", "--many=b"),
            *("--file", given, "--log-level", "debug"),
        )
        self.assertEqual(options.one("word", str.upper, ""), "W")
        self.assertEqual(options.every("many", str.upper), ("A", "B"))
        self.assertTrue(options.flag("flag"))
        self.assertEqual(options.file("file"), given)
        self.assertEqual(options.logLevel, "debug")

    def test_file(self) -> None:
        """
        A file gives everything; paths in it are relative to it.
        """
        given = self.file("x", "")
        config = self.file(
            "c.toml",
            'word = "w"\nmany = ["a", "b"]\nflag = true\nfile = "x"\n'
            'log-level = "warn"',
        )
        options = self.parsed("--config", config)
        self.assertEqual(options.one("word", str.upper, ""), "W")
        self.assertEqual(options.every("many", str.upper), ("A", "B"))
        self.assertTrue(options.flag("flag"))
        self.assertEqual(options.file("file"), given)
        self.assertEqual(options.logLevel, "warn")

    def test_flagsWin(self) -> None:
        """
        Flags win over the file, and take the place of a whole list.
        """
        config = self.file(
            "c.toml", 'word = "w"\nmany = ["a", "b"]\nfile = "x"\nlog-level = "warn"'
        )
        given = self.file("y", "")
        options = self.parsed(
            *("--config", config, "--word", "v", "--many", "c", "--file", given),
            *("--log-level", "error"),
        )
        self.assertEqual(options.one("word", str, ""), "v")
        self.assertEqual(options.every("many", str), ("c",))
        self.assertEqual(options.file("file"), given)
        self.assertEqual(options.logLevel, "error")

    def test_paths(self) -> None:
        """
        A path is made absolute at once: a daemon changes its folder.
        """
        self.assertEqual(
            self.parsed("--file", "a/b").folder("file"), Path.cwd() / "a" / "b"
        )
        home = self.parsed("--file", "~/b").folder("file")
        self.assertEqual(home, Path("~/b").expanduser())

    def test_refusedByOrigin(self) -> None:
        """
        What cannot be used is refused with the place where it stands.
        """
        config = self.file("c.toml", 'log-level = "loud"')
        start = "'loud' is not one of debug, info, warn, error, critical"
        self.assertEqual(
            self.refusal("--config", config), f"log-level in {config}: {start}"
        )
        self.assertEqual(
            self.refusal("--log-level", "loud"),
            f"--log-level: {start}",
        )

    def test_unknownKey(self) -> None:
        """
        A slip in the file is found.
        """
        config = self.file("c.toml", 'wrod = "w"')
        self.assertIn("did you mean 'word'?", self.refusal("--config", config))

    def test_unreadable(self) -> None:
        """
        A file that is named must be there.
        """
        for path, words in ((self.folder / "no", "No such"), (self.folder, "Is a dir")):
            options = self.parsed("--file", path)
            error = self.assertRaises(UsageError, options.file, "file")
            self.assertIn(f"--file: {path} cannot be read: {words}", str(error))

    def test_emptyPath(self) -> None:
        """
        A shell's unset variable does not become the present folder.
        """
        options = self.parsed("--file", "")
        for read in (options.file, options.folder):
            error = self.assertRaises(UsageError, read, "file")
            self.assertEqual(str(error), "--file: the path is empty")


class TokenTests(OptionsCase):
    """
    A token comes from where it is safest to keep it.
    """

    def test_order(self) -> None:
        """
        A flag wins over the environment, and that over the file.
        """
        environ = {"TUNNELKIT_TOKEN": str(TWO)}
        config = self.file("c.toml", f'token = "{THREE}"')
        one = self.file("one.token", f"{ONE}\n")
        flags = (("--token", str(ONE)), ("--token-file", one))
        for flag in flags:
            self.assertEqual(
                self.parsed("--config", config, *flag, environ=environ).token(), ONE
            )
        options = self.parsed("--config", config, environ=environ)
        self.assertEqual(options.token(), TWO)
        self.assertEqual(self.parsed("--config", config).token(), THREE)

    def test_fileInFile(self) -> None:
        """
        A token file that the file names is beside it.
        """
        self.file("one.token", str(ONE))
        config = self.file("c.toml", 'token-file = "one.token"')
        self.assertEqual(self.parsed("--config", config).token(), ONE)

    def test_emptyVariable(self) -> None:
        """
        A variable that holds nothing, as container tools make them, is none.
        """
        self.assertIsNone(self.parsed(environ={"TUNNELKIT_TOKEN": ""}).token())

    def test_both(self) -> None:
        """
        Two in one place are refused: nobody could know which of them counts.
        """
        one = self.file("one.token", str(ONE))
        options = self.parsed("--token", str(ONE), "--token-file", one)
        error = self.assertRaises(UsageError, options.token)
        self.assertIn("--token and --token-file are both given", str(error))
        config = self.file("c.toml", f'token = "{ONE}"\ntoken-file = "one.token"')
        error = self.assertRaises(UsageError, self.parsed("--config", config).token)
        self.assertIn(f"token in {config} and token-file in {config}", str(error))

    def test_badFile(self) -> None:
        """
        A token file that holds none is refused by name, whatever it holds instead.
        """
        path = self.folder / "x.token"
        options = self.parsed("--token-file", path)
        for content, words in (
            (None, "cannot be read: No such file"),
            (b"", "is empty"),
            (b" \n", "is empty"),
            (b"hunter2\n", "a token has the form tk1_USER_SECRET"),
            (b"\xff\xfe" * 9, "a token has the form tk1_USER_SECRET"),
            (b"x" * 1_000_000, "a token has the form tk1_USER_SECRET"),
        ):
            if content is not None:
                path.write_bytes(content)
            error = self.assertRaises(UsageError, options.token)
            self.assertTrue(str(error).startswith(f"--token-file: {path}"), str(error))
            self.assertIn(words, str(error))
            self.assertNotIn("hunter2", str(error))

    def test_badElsewhere(self) -> None:
        """
        A token that is none is refused with where it stands, and not repeated.
        """
        options = self.parsed(environ={"TUNNELKIT_TOKEN": "hunter2"})
        error = self.assertRaises(UsageError, options.token)
        self.assertEqual(
            str(error), "TUNNELKIT_TOKEN: a token has the form tk1_USER_SECRET"
        )

    def test_warnings(self) -> None:
        """
        A token that others can read is used, and the log says so.
        """
        for others, count in ((True, 1), (False, 0)):
            token = self.file("one.token", str(ONE), others)
            config = self.file("c.toml", f'token = "{ONE}"', others)
            for arguments, path in (
                (("--token-file", token), token),
                (("--config", config), config),
            ):
                options = self.parsed(*arguments)
                self.assertEqual(options.token(), ONE)
                found = [w for w in options.warnings if f"chmod 600 {path}" in w]
                self.assertEqual((len(found), len(options.warnings)), (count, count))
        options = self.parsed("--token", str(ONE))
        self.assertEqual(options.token(), ONE)
        (warning,) = options.warnings
        self.assertIn("better use --token-file", warning)
        self.assertNotIn(ONE.secret, warning)

    if os.name != "posix":
        test_warnings.skip = "only POSIX tells"  # type: ignore[attr-defined]


class ValueTests(SynchronousTestCase):
    """
    Values are read from text.
    """

    def test_logLevel(self) -> None:
        """
        Levels are known by name, in either case.
        """
        for name in ("debug", "info", "warn", "error", "critical"):
            self.assertEqual(logLevel(name), name)
            self.assertEqual(logLevel(name.upper()), name)
        for name in ("", "warning", "10"):
            self.assertRaises(ValueError, logLevel, name)

    def test_seconds(self) -> None:
        """
        A time may have a fraction, and be none at all, but not less or endless.
        """
        self.assertEqual([*map(seconds, ("0", "2.5", "1e2"))], [0.0, 2.5, 100.0])
        for wrong in ("", "soon", "-1", "nan", "inf", "10s"):
            error = self.assertRaises(ValueError, seconds, wrong)
            self.assertIn(f"{wrong!r} is not a number of seconds", str(error))

    def test_manySeconds(self) -> None:
        """
        A time is a week at most: a client would not understand a server that stops in
        a million years.
        """
        self.assertEqual(seconds("604800"), 604800.0)
        for wrong in ("604801", "1e19", "1e300"):
            error = self.assertRaises(ValueError, seconds, wrong)
            words = f"{wrong!r} is more than a week: give at most 604800 seconds"
            self.assertEqual(str(error), words)


class CommandTests(OptionsCase):
    """
    What every command has.
    """

    def shown(self, flag: str) -> str:
        """
        Give what a flag prints before it ends the program.
        """
        with contextlib.redirect_stdout(io.StringIO()) as out:
            ended = self.assertRaises(SystemExit, self.parsed, flag)
        self.assertFalse(ended.code)
        return out.getvalue()

    def test_version(self) -> None:
        """
        C{--version} is tunnelkit's, not Twisted's.
        """
        self.assertEqual(self.shown("--version"), f"tunnelkit {__version__}\n")

    def test_help(self) -> None:
        """
        C{-h} is C{--help}, and its lines have no gaps.
        """
        self.assertEqual(self.shown("-h"), self.shown("--help"))
        self.assertIn("May be given several times.", self.shown("-h"))
        self.assertIn("critical. [default: info]", " ".join(self.shown("-h").split()))

    def test_extra(self) -> None:
        """
        A word that belongs to no option is named.
        """
        self.assertEqual(self.refusal("--flag", "8910"), "'8910' belongs to no option")

    def test_unknown(self) -> None:
        """
        An unknown flag is named.
        """
        self.assertIn("--wrod", self.refusal("--wrod", "x"))
