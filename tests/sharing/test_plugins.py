"""
Tests of L{tunnelkit.sharing.plugins} and L{tunnelkit.sharing.named}.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import takewhile
from pathlib import Path
from textwrap import dedent
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from tests.logs import Log
from tunnelkit.sharing.named import NamedFraming
from tunnelkit.sharing.plugins import framingNamed, framings
from tunnelkit.tunnels.spec import splitDescription
from tunnelkit.wire.framings.contract import Request

TOP: Final = Path(__file__).parent.parent.parent

PAGE: Final = (TOP / "docs" / "sharing.rst").read_text()

HALF: Final = """
from zope.interface import implementer
from twisted.plugin import IPlugin
from tunnelkit.sharing.named import IFraming

@implementer(IPlugin, IFraming)
class Half:
    name = "half"

half = Half()
"""
SCRIPT: Final = """
from tunnelkit.commands.share import listing, protocol
print("\\n".join(listing()))
requests = protocol("pairs").requests(False)
requests.feed(b"abc")
print(requests.next().data)
"""


def block(name: str) -> str:
    """
    Give a code block of docs/sharing.rst.
    """
    _, _, rest = PAGE.partition(f"   :name: {name}\n\n")
    lines = takewhile(lambda line: not line or line[:1] == " ", rest.splitlines())
    return dedent("\n".join(lines))


def named(name: str, made: str = "tunnelkit.wire.framings.lines:makeEcho") -> object:
    """
    Make a framing with a name.
    """
    return NamedFraming(name, f"The {name}.", name, made)


class DelimiterTests(SynchronousTestCase):
    """
    How docs/sharing.rst writes what is no character.
    """

    def test_works(self) -> None:
        """
        It works when it is typed as it stands there.
        """
        written = re.findall(r"``(\\+\w+)``", PAGE)
        ends = dict(zip(written, (b"\r", b"\n", b"\t", b"\xaa"), strict=True))
        for word, end in ends.items():
            text = word.replace("HH", "aa")
            framing = framingNamed(f"line:delimiter={text}", splitDescription)
            requests = framing.requests(False)
            requests.feed(b"a" + end + b"b")
            request = requests.next()
            assert isinstance(request, Request)
            self.assertEqual(request.data, b"a" + end)


class FramingsTests(SynchronousTestCase):
    """
    Which there are.
    """

    def test_order(self) -> None:
        """
        They come in a fixed order: those of the original first, then the others by
        name.
        """
        names = ("zeta", "mpu", "alpha", "echo", "iso8583", "http1")
        found = framings([named(name) for name in names])
        self.assertEqual(
            [each.name for each in found],
            ["echo", "http1", "iso8583", "mpu", "alpha", "zeta"],
        )

    def test_ours(self) -> None:
        """
        The installed ones are there, each with a line about it, and can be made as its
        line says.
        """
        found = framings()
        names = [each.name for each in found]
        self.assertEqual(names[0], "echo")
        self.assertLessEqual({"echo", "iso8583", "mpu", "length", "line"}, {*names})
        for each in found:
            self.assertTrue(each.summary)
            framing = framingNamed(each.usage.replace("\\\\", "\\"), splitDescription)
            self.assertIsNone(framing.requests(False).next())
            self.assertIsNone(framing.replies(False).next())

    def test_made(self) -> None:
        """
        What stands behind the name is what the framing is made with.
        """
        framing = framingNamed(r"line:delimiter=\\r\\n", splitDescription)
        requests = framing.requests(False)
        requests.feed(b"a\nb\r\nc")
        self.assertEqual(requests.next(), Request(data=b"a\nb\r\n"))

    def test_unknown(self) -> None:
        """
        A slip is told with the names that there are.
        """
        with self.assertRaises(ValueError) as caught:
            framingNamed("ecko", splitDescription)
        text = str(caught.exception)
        self.assertTrue(text.startswith("there is no protocol 'ecko': choose among"))
        self.assertIn("echo", text)

    def test_aliases(self) -> None:
        """
        A framing may have other names.
        """
        framing = NamedFraming("a", "A.", "a", "x:y", aliases=("b",))
        self.assertEqual(framings([framing])[0].aliases, ("b",))

    def test_twice(self) -> None:
        """
        Where two have one name, one counts, and the log says so.
        """
        log = Log(self)
        self.assertEqual(len(framings([named("a"), named("a")])), 1)
        self.assertEqual(log.lines("warn"), ["two framings are called a: one counts"])

    def test_broken(self) -> None:
        """
        A third party's framing that is none, or fails when it is looked at, is logged,
        and no other is lost by it.
        """

        class Fails:
            name = "fails"

            @property
            def summary(self) -> str:
                raise RuntimeError("a bug of theirs")

        found = framings([Fails(), named("a"), NamedFraming("n", 3, "n", "x:y")])  # type: ignore[arg-type]
        self.assertEqual([each.name for each in found], ["a"])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class ThirdPartyTests(SynchronousTestCase):
    """
    What another package adds.
    """

    def test_found(self) -> None:
        """
        A package that brings a plugin, as in docs/sharing.rst, is found, and used; half
        a plugin beside it, and a module that cannot be imported, cost nobody else.
        """
        folder = Path(self.mktemp()).absolute()
        plugins = folder / "twisted" / "plugins"
        plugins.mkdir(parents=True)
        (plugins / "pair_plugin.py").write_text(block("framing-plugin"))
        (plugins / "half_plugin.py").write_text(HALF)
        (plugins / "broken_plugin.py").write_text("import nowhere_at_all\n")
        (folder / "pairs.py").write_text(block("framing-code"))
        path = os.pathsep.join((str(folder), str(TOP)))
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONPATH": path},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.splitlines()
        self.assertIn("* pairs", [line[:7] for line in lines])
        self.assertIn("* echo ", [line[:7] for line in lines])
        self.assertNotIn("* half ", [line[:7] for line in lines])
        self.assertEqual(lines[-1], "b'ab'")
