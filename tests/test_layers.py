"""
Tests that the house stands as docs/design.rst says: who may import whom, who may know
the reactor and the command line, how long things are and what they are not called.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

Check = Callable[[str, ast.Module], Iterator[str]]
"""
Gives a sentence for each fault of a module, by its name and its source.
"""

TOP: Final = Path(__file__).parent.parent

FLOORS: Final = (
    {"wire", "failures"},
    {"interfaces", "status"},
    {"relay", "state", "site"},
    {"carrier"},
    {"control"},
    {"tunnels"},
    {"dialects"},
    {"settings"},
    {"notice"},
    {"server", "client"},
    {"endpoints", "checking", "portal", "sharing", "admin"},
    {"api"},
    {"commands"},
)
"""
The rooms, from the ground up: C{tunnelkit/ROOM/} or C{tunnelkit/ROOM.py}.  A module
imports from its own room and from lower floors, not from another room of its floor.
What the design calls floors 0, 6 and 7 are two floors each here, or three, as the
contracts speak of the wire's values, the services of their settings, and what programs
use of all that is built on them.  The package itself is
below all, and imports none of them.
"""

NETWORK: Final = {
    "twisted",
    "OpenSSL",
    "asyncio",
    "select",
    "selectors",
    "socket",
    "ssl",
}
"""
What C{wire/} must do without.
"""

WORDS: Final = {
    *("manager", "handler", "processor", "engine"),
    *("util", "utils", "helper", "helpers", "common", "base"),
}
"""
Words that say that something is done, and not what.
"""


MODULE_LINES: Final = 400
"""
The most lines of a module.
"""
FUNCTION_LINES: Final = 50
"""
The most lines of a function, its docstring not counted.
"""


def room(module: str) -> str:
    """
    Give the room of one of our modules; the empty string for the package itself.
    """
    return [*module.split("."), ""][1]


def floor(name: str) -> int:
    """
    Give the floor of a room, from 0; the package itself is below that.

    @raise LookupError: it stands on none.
    """
    if not name:
        return -1
    for number, rooms in enumerate(FLOORS):
        if name in rooms:
            return number
    raise LookupError(f"tunnelkit.{name} has no floor: enter it in {__name__}.FLOORS")


def imports(tree: ast.AST) -> Iterator[str]:
    """
    Give what a module imports, at any depth: for C{from a import b} both C{a} and
    C{a.b}, as C{b} may be a module.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = "." * node.level + (node.module or "")
            yield package
            yield from (f"{package}.{name.name}" for name in node.names)


class WithoutContracts(ast.NodeTransformer):
    """
    Takes away what is imported for annotations alone.
    """

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        """
        Leave the other branch, if any, of C{if TYPE_CHECKING}.
        """
        return node.orelse if ast.unparse(node.test) == "TYPE_CHECKING" else node


class WithoutFunctions(ast.NodeTransformer):
    """
    Takes away what is done later.
    """

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.Pass:
        """
        Leave nothing of it.
        """
        return ast.Pass()


def importFaults(module: str, tree: ast.Module) -> Iterator[str]:
    """
    Find imports that do not go down.  The contracts may name what stands above them,
    for annotations alone.
    """
    if module == "tunnelkit.interfaces":
        tree = WithoutContracts().visit(tree)
    rooms = set().union(*FLOORS)
    for name in dict.fromkeys(imports(tree)):
        if name.startswith("."):
            yield f"{module} imports {name}: write it from tunnelkit on"
        elif name.startswith("tunnelkit.") and (other := room(name)) in rooms:
            if other != room(module) and floor(other) >= floor(room(module)):
                yield f"{module} imports {name}, which is not below it"
        elif room(module) == "wire" and name.split(".")[0] in NETWORK:
            yield f"{module} imports {name}: wire knows bytes and values only"


def ambientFaults(module: str, tree: ast.Module) -> Iterator[str]:
    """
    Find what takes the reactor or the command line from the air, in place of being
    given it.
    """
    if room(module) == "commands":
        return
    for name in imports(tree):
        if name in (
            "twisted.internet.reactor",
            "sys.argv",
            "prometheus_client.twisted",
        ):
            yield f"{module} imports {name}, which only commands may"
    for node in ast.walk(tree):
        named = isinstance(node, ast.Attribute | ast.Constant)
        text = ast.unparse(node).strip("'") if named else ""
        if text == "sys.argv" or re.fullmatch(r"([\w.]+\.)?internet\.reactor", text):
            yield f"{module} uses {text}, which only commands may"


def sizeFaults(module: str, tree: ast.Module) -> Iterator[str]:
    """
    Find functions that are too long.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
            if lines > FUNCTION_LINES:
                yield f"{module}.{node.name} has {lines} lines"


def nameFaults(module: str, tree: ast.Module) -> Iterator[str]:
    """
    Find modules and classes named after a role.
    """
    if words := WORDS.intersection(module.split(".")):
        yield f"{module} is called {words.pop()}"
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            parts = re.findall("[A-Z]+(?![a-z])|[A-Z]?[a-z]+", node.name)
            if words := WORDS.intersection(part.lower() for part in parts):
                yield f"{module}.{node.name} is called {words.pop()}"


def modules() -> Iterator[tuple[str, str]]:
    """
    Give name and source of each module of tunnelkit.
    """
    for path in sorted((TOP / "tunnelkit").rglob("*.py")):
        parts = path.relative_to(TOP).with_suffix("").parts
        yield ".".join(parts).removesuffix(".__init__"), path.read_text()


class HouseTests(SynchronousTestCase):
    """
    The code keeps to the rules.
    """

    def assertFaultless(self, check: Check) -> None:
        """
        Run a check over each module.
        """
        faults = [
            fault
            for module, source in modules()
            for fault in check(module, ast.parse(source))
        ]
        self.assertEqual(faults, [], "\n".join(["", *faults]))

    def test_everyRoomHasAFloor(self) -> None:
        """
        A new room is put on a floor before anything is built in it.
        """
        for module, _ in modules():
            floor(room(module))

    def test_importsGoDown(self) -> None:
        """
        A reader can follow a byte from floor to floor, and replace what is above
        without touching what is below.
        """
        self.assertFaultless(importFaults)

    def test_nothingFromTheAir(self) -> None:
        """
        Any program can embed any part: it brings its own reactor and command line.
        """
        self.assertFaultless(ambientFaults)

    def test_functionsAreShort(self) -> None:
        """
        A function can be read without scrolling.
        """
        self.assertFaultless(sizeFaults)

    def test_modulesAreShort(self) -> None:
        """
        A module is about one thing.
        """
        long = [
            f"{module}: {count} lines"
            for module, source in modules()
            if (count := source.count("\n")) > MODULE_LINES
        ]
        self.assertEqual(long, [])

    def test_names(self) -> None:
        """
        A name says what a thing is.
        """
        self.assertFaultless(nameFaults)


class PluginTests(SynchronousTestCase):
    """
    C{twisted/plugins/} adds to Twisted and takes nothing from it.
    """

    def test_noPackage(self) -> None:
        """
        C{twistd} runs: a package there would shadow Twisted, or hide our plugins.
        """
        found = [str(path) for path in (TOP / "twisted").rglob("__init__.py")]
        self.assertEqual(found, [])

    def test_namesOnly(self) -> None:
        """
        C{twistd --help} stays as quick as without tunnelkit.
        """
        plugins = list((TOP / "twisted" / "plugins").glob("*.py"))
        self.assertNotEqual(plugins, [])
        for path in plugins:
            # What stands in a function is imported by who uses it.
            tree = WithoutFunctions().visit(ast.parse(path.read_text()))
            ours = {n for n in imports(tree) if n.startswith("tunnelkit")}
            named = {"tunnelkit.sharing.named", "tunnelkit.sharing.named.NamedFraming"}
            self.assertEqual(ours - named, set())
        light = (TOP / "tunnelkit" / "sharing" / "named.py").read_text()
        tree = WithoutContracts().visit(ast.parse(light))
        names = [n for n in imports(tree) if n.startswith("tunnelkit")]
        self.assertEqual(names, [])


class CheckTests(SynchronousTestCase):
    """
    The checks find what they are for.
    """

    def assertFaults(self, check: Check, module: str, source: str, count: int) -> None:
        """
        Run a check over a sample.
        """
        faults = list(check(module, ast.parse(source)))
        self.assertEqual(len(faults), count, f"{source!r}: {faults}")

    def test_imports(self) -> None:
        """
        An import up, or from another room of the same floor, is found in each way that
        it can be written; one down is not.
        """
        for source, count in (
            ("import tunnelkit.carrier.pool", 1),
            ("from tunnelkit import server", 1),
            ("def f():\n    from tunnelkit.client import Client", 2),
            ("from . import join", 2),
            ("if TYPE_CHECKING:\n    import tunnelkit.control.login", 1),
            ("from tunnelkit import __version__", 0),
            ("from tunnelkit.relay.streams.join import Join", 0),
            ("from tunnelkit.wire.native.frames import Data\nimport socket", 0),
        ):
            self.assertFaults(
                importFaults, "tunnelkit.relay.portable.raw", source, count
            )
        self.assertFaults(
            importFaults, "tunnelkit.server", "import tunnelkit.client", 1
        )
        self.assertFaults(
            importFaults, "tunnelkit", "import tunnelkit.wire.native.frames", 1
        )

    def test_contracts(self) -> None:
        """
        The contracts may name what they are about, but not need it.
        """
        source = "if TYPE_CHECKING:\n    import tunnelkit.relay.connection"
        self.assertFaults(importFaults, "tunnelkit.interfaces", source, 0)
        source = "import tunnelkit.relay.connection"
        self.assertFaults(importFaults, "tunnelkit.interfaces", source, 1)

    def test_wire(self) -> None:
        """
        Parsing never touches a transport.
        """
        for name in ("twisted.internet.defer", "socket", "ssl", "select"):
            self.assertFaults(
                importFaults, "tunnelkit.wire.native.frames", f"import {name}", 1
            )
        self.assertFaults(
            importFaults, "tunnelkit.wire.native.frames", "import json", 0
        )

    def test_noFloor(self) -> None:
        """
        A room that is on no floor is named.
        """
        error = self.assertRaises(LookupError, floor, "attic")
        self.assertIn("tunnelkit.attic has no floor", str(error))

    def test_ambient(self) -> None:
        """
        The reactor and the command line are found in each way that they can be had.
        """
        for source in (
            "from twisted.internet import reactor",
            "import twisted.internet.reactor",
            "import twisted.internet as t\nt.internet.reactor.run()",
            "from importlib import import_module as i\ni('twisted.internet.reactor')",
            "import sys\nprint(sys.argv[1])",
            "from sys import argv",
        ):
            self.assertFaults(ambientFaults, "tunnelkit.server", source, 1)
            self.assertFaults(ambientFaults, "tunnelkit.commands.server", source, 0)

    def test_sizes(self) -> None:
        """
        A function's docstring may be as long as it needs to be.
        """
        docstring = '    """' + "\n" * 60 + '    """\n'
        for lines, count in ((50, 0), (51, 1)):
            source = "def f():\n" + docstring + "    x = 1\n" * lines
            self.assertFaults(sizeFaults, "tunnelkit.server", source, count)

    def test_words(self) -> None:
        """
        A word is found wherever it stands in a name, but not within another word.
        """
        for name, count in (
            ("TunnelManager", 1),
            ("BaseTLSContext", 1),
            ("TLSHandler", 1),
            ("Database", 0),
            ("Utility", 0),
        ):
            self.assertFaults(
                nameFaults, "tunnelkit.server", f"class {name}: ...", count
            )
        self.assertFaults(nameFaults, "tunnelkit.wire.util", "", 1)
