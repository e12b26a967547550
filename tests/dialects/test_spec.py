"""
Tests for L{tunnelkit.dialects.spec}.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.dialects.house import House
from tunnelkit.dialects.spec import Description, DialectSpec, parseDialect
from tunnelkit.interfaces import IDialect

FILES: Final[Mapping[str, str]] = {"secret": "from a file\nand more\n", "empty": "\n"}


@dataclass(frozen=True)
class Parrot:
    """
    A dialect that was described.
    """

    secret: str
    tls: bool
    times: int
    name: str = "parrot"
    users: frozenset[str] = frozenset({"parrot"})
    warning: str = ""

    def make(self, house: House) -> IDialect:
        """
        Never asked.
        """
        raise NotImplementedError


def parrot(description: Description) -> DialectSpec:
    """
    Read what is behind C{parrot:}.
    """
    return Parrot(
        description.secret(),
        description.tlsRequired(),
        description.take("times", int, 1),
    )


def read(name: str) -> str:
    """
    Give the text of a file.
    """
    try:
        return FILES[name]
    except KeyError:
        raise ValueError(f"{name} cannot be read") from None


def parsed(text: str) -> DialectSpec:
    """
    Read a description.
    """
    return parseDialect(text, {"parrot": parrot, "raven": parrot}, read)


class ParseTests(SynchronousTestCase):
    """
    What an operator writes behind C{--dialect}.
    """

    def test_options(self) -> None:
        """
        A dialect has its options, each in its place.
        """
        self.assertEqual(
            parsed(r"parrot:token=a\:b:tls=required:times=3"), Parrot("a:b", True, 3)
        )
        self.assertEqual(parsed("parrot:token=x"), Parrot("x", False, 1))

    def test_file(self) -> None:
        """
        A secret that stands in a file is its first line, and not on the command line.
        """
        self.assertEqual(
            parsed("parrot:tokenFile=secret"), Parrot("from a file", False, 1)
        )

    def test_wrong(self) -> None:
        """
        What is wrong is told, with what to do, and without the secret.
        """
        for text, why in {
            "crow:token=sesame": "there is no dialect 'crow': write"
            " NAME:OPTION=VALUE, where NAME is one of parrot, raven",
            "parrot": "dialect parrot: it has no secret, and without one anybody could"
            " use it: give token=SECRET or tokenFile=FILE",
            "parrot:token=": "dialect parrot: it has no secret",
            "parrot:tokenFile=empty": "dialect parrot: it has no secret",
            "parrot:tokenFile=gone": "dialect parrot: tokenFile=: gone cannot be read",
            "parrot:token=sesame:tokenFile=secret": "it has both token= and tokenFile=",
            "parrot:token=sesame:tls=no": "tls=: it is required, or left out",
            "parrot:token=sesame:times=x": "dialect parrot: times=: invalid literal",
            "parrot:token=sesame:colour=green": "it has no option 'colour', only times,"
            " tls, token, tokenFile",
            "parrot:sesame": "what follows the name is OPTION=VALUE",
        }.items():
            error = self.assertRaises(ValueError, parsed, text)
            self.assertIn(why, str(error))
            self.assertNotIn("sesame", str(error))
