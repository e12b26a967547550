"""
Tests of L{tunnelkit.endpoints.words}.
"""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import tunnelkit
from tunnelkit.commands import client
from tunnelkit.endpoints.words import described

SOURCES = (
    "carrier/route.py",
    "control/login/client.py",
    "control/login/server.py",
    "dialects/native/binding.py",
    "dialects/native/calling.py",
)
"""Where a client finds words for what is wrong with its server."""
ELSEWHERE = {"--ca", "--token", "--token-file"}
"""What these say to other clients alone, or where the other test looks."""


class DescribedTests(SynchronousTestCase):
    """
    A program that has no command line of ours is told of none.
    """

    def test_token(self) -> None:
        """
        Where the token is of no use, the option that names its file is named.
        """
        said = "check the one in --token, --token-file or TUNNELKIT_TOKEN, or have"
        self.assertEqual(described(said), "check the one in tokenFile=, or have")

    def test_all(self) -> None:
        """
        There is a word for each option that a sentence may name.
        """
        options = {f"--{name}" for name in client.Options({}).synonyms}
        for source in SOURCES:
            text = (Path(tunnelkit.__file__).parent / source).read_text()
            named = set(re.findall(r"--[a-z]+(?:-[a-z]+)*", text)) & options
            for option in named - ELSEWHERE:
                self.assertNotIn("--", described(option), source)
