"""
Tests that docs/running.rst and docs/troubleshooting.rst tell the truth: all options,
keys, metrics, codes and messages that there are, and none that there are not.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

from twisted.internet.task import Clock
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from tests.admin.asking import STATUS, AskingCase
from tunnelkit.commands import (
    check,
    client,
    console,
    forward,
    portal,
    server,
    share,
    tokens,
)
from tunnelkit.commands.options.flags import ConfiguredOptions
from tunnelkit.dialects.doorway import Doorway
from tunnelkit.dialects.house import House
from tunnelkit.wire import codes

TOP: Final = Path(__file__).parent.parent

PROGRAMS: Final[Mapping[str, type[usage.Options]]] = {
    "tunnelserver": server.Options,
    "tunnelclient": client.Options,
    "tunnelportal": portal.Options,
    "tunnelshare": share.Options,
    "tunnelkit check": check.Options,
    "tunnelkit forward": forward.Options,
    "tunnelkit token new": tokens.NewOptions,
    "tunnelkit token list": tokens.StateOptions,
    "tunnelkit token revoke": tokens.UserOptions,
}
"""What has options, by the name that it has in docs/running.rst."""

Described = dict[str, dict[str, list[str]]]
"""The lines below each C{option} directive, by program and by what the directive
says."""


def page(name: str) -> str:
    """
    Read a page of the documentation.
    """
    return (TOP / "docs" / name).read_text(encoding="utf-8")


def described(text: str) -> Described:
    """
    Find the options that a page describes.
    """
    found: Described = {}
    options: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith(".. program:: "):
            options = found.setdefault(line.removeprefix(".. program:: "), {})
        elif line.startswith(".. option:: "):
            lines = options.setdefault(line.removeprefix(".. option:: "), [])
        elif line.startswith("   "):
            lines.append(line.strip())
        elif line:
            lines = []
    return found


def field(lines: Iterable[str], name: str) -> str | None:
    """
    Give what stands between the literal marks of a field, such as C{:Example:}.
    """
    for line in lines:
        if line.startswith(f":{name}: "):
            literal = re.fullmatch(r"``(.*)``", line.removeprefix(f":{name}: "))
            return literal[1] if literal else None
    return None


def leaves(options: usage.Options) -> dict[str, type[usage.Options]]:
    """
    Give the commands below one, by their words, that have none below them.
    """
    found: dict[str, type[usage.Options]] = {}
    for name, _, make, _ in getattr(options, "subCommands", ()):
        below = leaves(make())
        found |= {f"{name} {rest}": one for rest, one in below.items()} or {name: make}
    return found


class OptionsTests(SynchronousTestCase):
    """
    Who looks an option up in docs/running.rst finds it, as it is.
    """

    def setUp(self) -> None:
        """
        Read the page.
        """
        self.described = described(page("running.rst"))

    def test_programs(self) -> None:
        """
        Each command has its options listed; server and client are those of twistd.
        """
        self.assertEqual(set(self.described), set(PROGRAMS))
        commands = leaves(console.Options())
        known = {
            name.removeprefix("tunnelkit ").removeprefix("tunnel"): options
            for name, options in PROGRAMS.items()
        }
        self.assertEqual(commands, known)

    def test_options(self) -> None:
        """
        Each option is described, with its value if it takes one, and no other is.
        """
        for program, make in PROGRAMS.items():
            options = make()
            takes = {name.rstrip("="): name.endswith("=") for name in options.longOpt}
            told = {
                words[0].removeprefix("--").rstrip(","): bool(words[1:])
                for words in map(str.split, self.described[program])
            }
            # The other name of --help stands where a value would.
            self.assertTrue(told.pop("help"), program)
            del takes["help"]
            self.assertEqual(told, takes, program)

    def test_examples(self) -> None:
        """
        What may be given has a default and an example, which is of that option.
        """
        for program, name, lines in self.each():
            self.assertTrue(any(line.startswith(":Default: ") for line in lines), name)
            example = field(lines, "Example")
            assert example is not None, f"{program} {name} has no example"
            self.assertIn(name, example.split())

    def test_keys(self) -> None:
        """
        What may stand in a file is shown as it stands there, and can be read.
        """
        for program, name, lines in self.each():
            options = PROGRAMS[program]
            if not issubclass(options, ConfiguredOptions):
                continue
            key, shown = name.removeprefix("--"), field(lines, "In a file")
            self.assertEqual(shown is not None, key in options.fileKeys, name)
            if shown is not None:
                ((given, value),) = tomllib.loads(shown).items()
                self.assertEqual(given, key)
                options.fileKeys[key](value)

    def each(self) -> Iterator[tuple[str, str, list[str]]]:
        """
        Give program, name and description of each option that does something.
        """
        for program, options in self.described.items():
            for words, lines in options.items():
                name = words.split()[0].rstrip(",")
                if name not in ("--help", "--version"):
                    yield program, name, lines


class NumbersTests(AskingCase):
    """
    Who writes a program for the admin rooms finds what they give in docs/running.rst.
    """

    def setUp(self) -> None:
        """
        Read the page, and have a server with all the counts of a real one.
        """
        super().setUp()
        self.page = page("running.rst")
        nothing: Any = None
        doorway = Doorway(Clock(), nothing, nothing, nothing)
        (house,) = (field for field in fields(House) if field.name == "counts")
        assert callable(house.default_factory), "House has no counts of its own"
        self.counts = doorway.counts | house.default_factory()
        self.source.now = replace(STATUS, counts=tuple(self.counts.items()))

    def rows(self, title: str) -> set[str]:
        """
        Give the literals in the first column of a table.
        """
        _, found, table = self.page.partition(f".. csv-table:: {title}\n")
        assert found, f"docs/running.rst has no table {title}"
        content = table.split("\n\n")[1]
        return set(re.findall(r"^   ``(\w+)``", content, re.MULTILINE))

    def test_metrics(self) -> None:
        """
        Each metric is listed, and no other.
        """
        lines = self.ask("/metrics").body.decode().splitlines()
        names = {
            re.split("[{ ]", line)[0] for line in lines if not line.startswith("#")
        }
        self.assertEqual(self.rows("``/metrics``"), names)

    def test_status(self) -> None:
        """
        Each field of the status is listed, and no other, and so are its counts.
        """
        status = self.ask("/api/v1/status").json()
        self.assertEqual(self.rows("``/api/v1/status``"), set(status))
        self.assertEqual(self.rows("each of ``sessions``"), set(status["sessions"][0]))
        (row,) = re.findall("^   ``counts``, .*", self.page, re.MULTILINE)
        self.assertEqual(set(re.findall(r"``(\w+)``", row)), {"counts", *self.counts})

    def test_tunnels(self) -> None:
        """
        Each field of a tunnel is listed, and no other.
        """
        (tunnel,) = self.ask("/api/v1/tunnels").json()["tunnels"]
        title = "each of ``tunnels`` in ``/api/v1/tunnels``"
        self.assertEqual(self.rows(title), set(tunnel))


LEVELS: Final = ("info", "warn", "error", "critical", "failure")
"""What logs at info or above."""

SENTENCES: Final = (
    "CertificateError",
    "CheckFailed",
    "Denied",
    "LoginRefused",
    "NoWork",
    "Parting",
    "Refusal",
    "Refused",
    "ServerUnproven",
    "StartFailed",
    "StateError",
    "Undialled",
    "Unreached",
    "UsageError",
    "UsersError",
    "ValueError",
)
"""What is made of a sentence that a person gets to read."""

UNSEEN: Final = ("codec", "frames", "proxy")
"""Modules of C{wire/} whose errors are for the other side, or for a program."""

WORDS: Final = 6
"""How many words of a message must stand on the page: it may leave out the rest."""


def messages() -> Iterator[tuple[str, str]]:
    """
    Give the place of each message in the code, and a part of it without what changes.
    """
    for path in sorted((TOP / "tunnelkit").rglob("*.py")):
        if path.stem in UNSEEN:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for call in ast.walk(tree):
            if isinstance(call, ast.Call):
                for part in map(longest, texts(call, constants(tree))):
                    yield f"{path.relative_to(TOP)}:{call.lineno}", part


def texts(call: ast.Call, named: Mapping[str, list[str]]) -> Iterator[list[str]]:
    """
    Give the texts that a call shows to people, each in the pieces that do not change.
    """
    match call.func:
        case ast.Attribute(value, attr) if ast.unparse(value).endswith("_log"):
            shown = call.args[:1] if attr in LEVELS else []
        case ast.Name(name) | ast.Attribute(attr=name) if name in SENTENCES:
            shown = call.args
        case _:
            return
    for argument in shown:
        pieces = fixed(argument, named)
        if any(" " in piece.strip() for piece in pieces):
            yield pieces


def fixed(argument: ast.expr, named: Mapping[str, list[str]]) -> list[str]:
    """
    Give the pieces of a text that do not change.
    """
    match argument:
        case ast.Constant(str(text)):
            return re.split(r"\{\w+(?::\w+)?\}", text)
        case ast.JoinedStr(values):
            return [str(v.value) for v in values if isinstance(v, ast.Constant)]
        case ast.Name(name):
            return named.get(name, [])
    return []


def constants(tree: ast.Module) -> dict[str, list[str]]:
    """
    Give the texts that have a name in a module.
    """
    return {
        node.target.id: fixed(node.value, {})
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        if node.value is not None
    }


def longest(pieces: Iterable[str]) -> str:
    """
    Give the first words of the longest piece.
    """
    piece = max(pieces, key=len).strip(" :;,()'")
    return " ".join(piece.split()[:WORDS])


class MessagesTests(SynchronousTestCase):
    """
    Who looks a message or a code up in docs/troubleshooting.rst finds it.
    """

    def setUp(self) -> None:
        """
        Read the page.
        """
        self.page = " ".join(page("troubleshooting.rst").split())

    def test_messages(self) -> None:
        """
        Each message that a person can get stands on the page.
        """
        found = list(messages())
        self.assertGreater(len(found), 100)
        lacking = [f"{at} {text}" for at, text in found if text not in self.page]
        self.assertEqual(lacking, [])

    def test_codes(self) -> None:
        """
        Each code of a refusal is explained, and no other.
        """
        real = {v for k, v in vars(codes).items() if k.isupper() and isinstance(v, str)}
        self.assertEqual(self.rows("Why somebody was refused, sent away or lost"), real)

    def test_resets(self) -> None:
        """
        Each code of a reset is explained by its number and its name, and no other.
        """
        real = {f"{code.value}, ``{code.name.lower()}``" for code in codes.ResetCode}
        self.assertEqual(self.rows("Why a visitor was reset"), real)

    def rows(self, title: str) -> set[str]:
        """
        Give the codes of a table.
        """
        _, _, table = page("troubleshooting.rst").partition(f"csv-table:: {title}\n")
        content = table.split("\n\n")[1]
        coded = re.findall(r"^   (\d+, ``\w+``|``[\w-]+``)", content, re.MULTILINE)
        return {row.strip("`") if row.startswith("`") else row for row in coded}
