"""
The ports that tests with real processes choose are theirs alone.
"""

from __future__ import annotations

import subprocess
import sys
from itertools import islice
from typing import Final

from twisted.trial.unittest import TestCase

from tests.stage.ports import freePort
from tests.stage.programs import TOP

COUNT: Final = 200
FELLOW: Final = f"""
from tests.stage.ports import freePort
print(*(freePort() for _ in range({COUNT})))
"""


class FreePortTests(TestCase):
    """
    Two of a test's programs, or those of two tests, never want the same port.
    """

    def test_once(self) -> None:
        """
        A port is not given again while many others are.
        """
        ports = list(islice(iter(freePort, 0), COUNT))
        self.assertEqual(len({*ports}), COUNT)

    def test_processes(self) -> None:
        """
        What another process gets at the same time is not among those of this one.
        """
        ours = {freePort() for _ in range(COUNT)}
        command = [sys.executable, "-c", FELLOW]
        output = subprocess.check_output(command, cwd=TOP, text=True)
        theirs = {int(port) for port in output.split()}
        self.assertEqual(len(theirs), COUNT)
        self.assertFalse(ours & theirs)
