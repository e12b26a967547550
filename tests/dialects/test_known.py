"""
Tests for L{tunnelkit.dialects.known}.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.dialects.abroad import ClientDialect
from tunnelkit.dialects.known import CLIENTS, DIALECTS, FILES

LATE: Final = """
import sys
import tunnelkit.commands.console
late = {"yaml", "wsproto", "h11", "treq", "prometheus_client"}
late |= {f"tunnelkit.dialects.{name}" for name in ("mgrok", "pipe", "remotedialer")}
late |= {"httptools", "tunnelkit.endpoints", "tunnelkit.sharing.pool"}
late |= {f"tunnelkit.tunnels.private.{name}" for name in ("doors", "published")}
print(*sorted(late & {*sys.modules}))
"""


class KnownTests(SynchronousTestCase):
    """
    Which dialects there are.
    """

    def test_all(self) -> None:
        """
        Each that has a name can be had, on either side, by that name alone.
        """
        self.assertEqual({*DIALECTS}, {*CLIENTS})
        self.assertLessEqual({*FILES}, {*DIALECTS})
        for name, parse in DIALECTS.items():
            self.assertTrue(callable(parse))
            self.assertIsInstance(CLIENTS[name], ClientDialect)
            self.assertEqual(CLIENTS[name].name, name)
            self.assertEqual(name in FILES, CLIENTS[name].words is not None)
        self.assertNotIn("frp", DIALECTS)

    def test_late(self) -> None:
        """
        Who speaks none of them pays for none: neither they nor what they need is
        loaded with the commands.
        """
        done = subprocess.run(
            [sys.executable, "-c", LATE],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        self.assertEqual(done.stdout.strip(), "")
