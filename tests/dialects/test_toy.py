"""
Tests for the toy of docs/dialects.rst, C{docs/knock.py}.
"""

from __future__ import annotations

import runpy
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import Mock

from tests.network import Speaker
from tests.whole import PORT, PUBLIC, WholeCase
from tunnelkit.dialects.doorway import DELAY, PATIENCE

TOY = Path(__file__).parent.parent.parent / "docs" / "knock.py"


@dataclass(frozen=True)
class KnockSpec:
    """
    How it is spoken.
    """

    name = "knock"
    users = frozenset({"knock"})
    warning = "knock is a toy"

    def make(self, house: Any) -> Any:
        """
        Make what speaks it.
        """
        return runpy.run_path(str(TOY))["Knock"](house, "sesame")


class ToyTests(WholeCase):
    """
    Who copies the toy has something that works.
    """

    def setUp(self) -> None:
        """
        Start a server that speaks it.
        """
        super().setUp()
        self.serve(dialects=(KnockSpec(),))

    def come(self, line: str) -> Speaker:
        """
        Connect, and say a line.
        """
        client = Speaker()
        self.network.connect(PORT, client)
        client.say(line.encode() + b"\n")
        self.network.settle()
        return client

    def test_served(self) -> None:
        """
        A visitor is carried both ways, and so are the ends.
        """
        control = self.come(f"serve sesame {PUBLIC}")
        self.assertEqual(control.take(), b"open tcp://vps.example.org:9000\n")
        visitor = self.visit()
        word, _, id = control.take().decode().strip().partition(" ")
        self.assertEqual(word, "visitor")
        carrying = self.come(f"carry sesame {id}")
        visitor.say(b"question")
        visitor.wire.loseWriteConnection()
        self.network.settle()
        self.assertEqual((carrying.heard, carrying.ended), (b"question", "end"))
        carrying.say(b"answer")
        carrying.wire.loseConnection()
        self.network.settle()
        self.assertEqual((visitor.heard, visitor.ended), (b"answer", "end"))
        (tunnel,) = self.server.status().tunnels
        self.assertEqual((tunnel.user, tunnel.received, tunnel.sent), ("knock", 8, 6))
        control.wire.loseConnection()
        self.network.settle()
        self.assertEqual(self.server.status().tunnels, ())

    def test_refused(self) -> None:
        """
        A port that cannot be had is refused in words.
        """
        control = self.come("serve sesame 80")
        self.assertTrue(control.heard.startswith(b"refused port 80 "), control.heard)
        self.assertEqual(self.server.status().sessions, ())

    def test_strangers(self) -> None:
        """
        Who does not know the secret, or says no line, is sent away.
        """
        wrong = self.come("serve guess 9000")
        self.network.elapse(DELAY)
        self.assertEqual((wrong.heard, wrong.ended), (b"", "end"))
        slow = Speaker()
        self.network.connect(PORT, slow)
        slow.say(b"serve ")
        self.network.elapse(PATIENCE)
        self.assertEqual(slow.ended, "reset")
        self.assertEqual(self.come("carry sesame nothing").ended, "end")
        self.assertEqual(self.come("serve " + "x" * 300).heard, b"")
        self.network.elapse(DELAY)

    def test_babblers(self) -> None:
        """
        What comes behind the line of a client is not kept.
        """
        toy = runpy.run_path(str(TOY))
        knock = toy["Knock"](Mock(), "sesame")
        knocking = knock.greet(Mock())
        knocking.held(Mock())
        knocking.dataReceived(b"serve guess 9000\n")
        said = knocking.said
        knocking.dataReceived(b"x" * 1000)
        self.assertEqual(knocking.said, said)
