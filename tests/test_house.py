"""
Tests of what stands around the code: packaging, the finding of a Python, news, and the
tests themselves.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final
from unittest import SkipTest
from zipfile import ZipFile

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase

TOP: Final = Path(__file__).parent.parent


def run(*command: str | Path, cwd: Path) -> str:
    """
    Run a program to its end, with nothing in its environment by which Python would find
    this checkout, or pip the network.

    @return: what it wrote.
    @raise AssertionError: it failed.
    """
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environ | {"PIP_NO_INDEX": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}"
    return done.stdout


def copyCheckout(to: Path) -> None:
    """
    Copy what is committed, or would be.

    @raise SkipTest: that cannot be known.
    """
    if not (TOP / ".git").exists() or shutil.which("git") is None:
        raise SkipTest("this is no git checkout, or git is missing")
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    git = subprocess.run(listed, cwd=TOP, capture_output=True, text=True)
    if git.returncode:
        raise SkipTest(f"git does not list the checkout: {git.stderr.strip()}")
    for name in git.stdout.split("\0"):
        if (TOP / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TOP / name, to / name)


def needPackage(name: str, least: int) -> None:
    """
    Skip the test where this Python has no such package.

    @param least: the major version that will do.
    """
    try:
        found = version(name)
    except PackageNotFoundError:
        raise SkipTest(f"{name} is not installed") from None
    if int(found.split(".")[0]) < least:
        raise SkipTest(f"{name} is {found}, and {least} is needed")


class InstalledTests(SynchronousTestCase):
    """
    What somebody gets who installs tunnelkit.  Nothing here needs the network.
    """

    def setUp(self) -> None:
        """
        Make a clean checkout.
        """
        needPackage("setuptools", 77)
        needPackage("pip", 23)
        self.folder = Path(self.mktemp()).resolve()
        self.checkout = self.folder / "checkout"
        copyCheckout(self.checkout)

    def built(self, kind: str) -> Path:
        """
        Have setuptools build what pip would install.

        @param kind: C{wheel}, or C{editable}.
        """
        to = self.folder / kind
        to.mkdir()
        program = f"from setuptools import build_meta as b; b.build_{kind}({str(to)!r})"
        run(sys.executable, "-c", program, cwd=self.checkout)
        (wheel,) = to.iterdir()
        return wheel

    def installed(self, wheel: Path) -> Path:
        """
        Install into a new virtual environment, which takes what tunnelkit needs from
        where these tests run.

        @return: the folder of its programs.
        """
        folder = self.folder / "venv"
        venv.create(folder, symlinks=True)
        pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
        run(*pip, "install", "--no-deps", wheel, cwd=self.folder)
        (packages,) = folder.glob("lib/python3*/site-packages")
        needed = [p for p in sys.path if p.endswith(("site-packages", "dist-packages"))]
        (packages / "needed.pth").write_text("\n".join(needed))
        return folder / "bin"

    def assertCommands(self, programs: Path) -> None:
        """
        Look for our commands in C{twistd --help}, away from any checkout.
        """
        twistd = "from twisted.scripts.twistd import run; run()"
        output = run(programs / "python", "-c", twistd, "--help", cwd=self.folder)
        for command in ("tunnelserver", "tunnelclient"):
            self.assertRegex(output, rf"(?m)^ +{command} ")

    def test_wheel(self) -> None:
        """
        A wheel adds its commands to C{twistd}, and one of its own.
        """
        programs = self.installed(self.built("wheel"))
        self.assertCommands(programs)
        self.assertTrue((programs / "tunnelkit").exists())

    def test_editable(self) -> None:
        """
        An editable install adds its commands to C{twistd} too.
        """
        self.assertCommands(self.installed(self.built("editable")))

    def test_contents(self) -> None:
        """
        A wheel holds the whole package and the plugin, and nothing that would shadow
        Twisted or lie about beside it.
        """
        wanted = {
            str(path.relative_to(self.checkout))
            for path in (self.checkout / "tunnelkit").rglob("*")
            if path.is_file()
        }
        self.assertIn("tunnelkit/py.typed", wanted)
        with ZipFile(self.built("wheel")) as wheel:
            found = {name for name in wheel.namelist() if ".dist-info/" not in name}
        names = {f"twisted/plugins/tunnelkit_{n}.py" for n in ("plugins", "framings")}
        self.assertEqual(found, wanted | names)


class CheckoutTests(SynchronousTestCase):
    """
    A checkout works where it is, installed or not.
    """

    def test_plugins(self) -> None:
        """
        Twisted finds each of our commands, and once.
        """
        found = [plugin.tapname for plugin in getPlugins(IServiceMaker)]
        for command in ("tunnelserver", "tunnelclient"):
            self.assertEqual(found.count(command), 1)


class FindPythonTests(SynchronousTestCase):
    """
    C{make} finds a Python that will do, or says what to install.
    """

    def setUp(self) -> None:
        """
        Make a machine without Python.
        """
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir()

    def install(self, name: str, unlike: str = "") -> None:
        """
        Give the machine a Python.

        @param unlike: a statement that makes it worse than ours.
        """
        program = f"import sys; {unlike}\nexec(sys.argv[1])"
        path = self.folder / name
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{program}" "$2"\n')
        path.chmod(0o755)

    def find(self, *arguments: str) -> tuple[int, str]:
        """
        Look for a Python.

        @return: exit status, and what was written.
        """
        done = subprocess.run(
            ["/bin/sh", TOP / ".ci" / "findpython", *arguments],
            env={"PATH": str(self.folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.returncode, done.stdout

    def test_none(self) -> None:
        """
        Who has no Python is told what to install.
        """
        status, said = self.find()
        self.assertEqual(status, 1)
        self.assertIn("none that runs", said)
        self.assertIn("apt-get install python3-venv", said)

    def test_tooOld(self) -> None:
        """
        Who has an old Python is told which, and which is needed.
        """
        self.install("python3", "sys.version_info = (3, 9, 2)")
        status, said = self.find()
        self.assertEqual(status, 1)
        self.assertIn("python3 is Python 3.9", said)
        self.assertIn("needs Python 3.11", said)

    def test_noVenv(self) -> None:
        """
        Who has a Python without venv is told the name of the package with it.
        """
        self.install("python3.11", "sys.modules['ensurepip'] = None")
        status, said = self.find()
        self.assertEqual(status, 1)
        version = f"python3.{sys.version_info.minor}"
        self.assertIn(
            f"python3.11 has no venv (Debian, Ubuntu: apt-get install {version}-venv)",
            said,
        )

    def test_firstThatWillDo(self) -> None:
        """
        A Python that does not run, is too old or lacks venv is passed over.
        """
        self.install("python3.14", "sys.exit(127)")
        self.install("python3.13", "sys.modules['ensurepip'] = None")
        self.install("python3.12", "sys.version_info = (3, 10, 1)")
        self.install("python3")
        self.assertEqual(self.find(), (0, "python3\n"))

    def test_named(self) -> None:
        """
        Who names a Python gets that or none.
        """
        self.install("python3")
        self.install("python3.12", "sys.version_info = (3, 10, 1)")
        self.assertEqual(self.find("python3"), (0, "python3\n"))
        self.assertEqual(self.find("python3.12")[0], 1)


class NewsTests(SynchronousTestCase):
    """
    Each change that somebody may notice has its news.
    """

    def test_fragments(self) -> None:
        """
        A fragment is called NUMBER.CATEGORY, so that it reaches the news.
        """
        tables = tomllib.loads((TOP / "pyproject.toml").read_text())
        news = tables["tool"]["towncrier"]
        categories = "|".join(each["directory"] for each in news["type"])
        names = [path.name for path in (TOP / news["directory"]).iterdir()]
        known = re.compile(
            rf"\.gitignore|(\d+|\+[\w-]+)\.({categories})(\.\d+)?(\.rst)?"
        )
        self.assertEqual([name for name in names if not known.fullmatch(name)], [])


def tests() -> Iterator[tuple[str, ast.Module]]:
    """
    Give name and source of each module of tests.
    """
    for path in sorted((TOP / "tests").rglob("test_*.py")):
        yield str(path.relative_to(TOP)), ast.parse(path.read_text())


class TestsTests(SynchronousTestCase):
    """
    The tests can be read by those who did not write them.
    """

    def test_docstrings(self) -> None:
        """
        Each test says what a user would notice.
        """
        silent = [
            f"{module}:{node.lineno} {node.name}"
            for module, tree in tests()
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            if node.name.endswith("Tests") or node.name.startswith("test_")
            if not (ast.get_docstring(node) or "").strip()
        ]
        self.assertEqual(silent, [])

    def test_suppress(self) -> None:
        """
        No test fails for an import: trial takes a C{suppress} in a module for a list.
        """
        found = [
            f"{module}:{node.lineno}"
            for module, tree in tests()
            for node in tree.body
            if isinstance(node, ast.ImportFrom)
            if "suppress" in [name.asname or name.name for name in node.names]
        ]
        self.assertEqual(found, [])
