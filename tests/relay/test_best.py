"""
Tests for L{tunnelkit.relay.best}, and for systems on which there is no fast path.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.relay.best import isFast, relayFor
from tunnelkit.relay.portable.relay import PortableRelay

TOP: Final = Path(__file__).parent.parent.parent
ABLE: Final = hasattr(select, "epoll") and hasattr(os, "splice")

PORTABLE: Final = (
    "tests.relay.test_connection",
    "tests.relay.streams.test_join",
    "tests.relay.portable.test_relay",
    "tests.relay.portable.test_raw",
    "tests.relay.test_secure",
    "tests.relay.test_tunnel.PlainTunnelTests",
    "tests.relay.test_tunnel.SecureTunnelTests",
    "tests.relay.streams.test_work",
)
"""The tests of the portable path."""


class BestTests(SynchronousTestCase):
    """
    Tests for L{relayFor}.
    """

    def reactor(self) -> Any:
        """
        Make a reactor of the kind that is the default on Linux, which never runs.
        """
        from twisted.internet.epollreactor import EPollReactor

        return EPollReactor.__new__(EPollReactor)

    def test_epoll(self) -> None:
        """
        With the default reactor of Linux bytes take the fast path.
        """
        reactor = self.reactor()
        self.assertTrue(isFast(reactor))
        from tunnelkit.relay.fast.relay import FastRelay

        self.patch(reactor, "callLater", Clock().callLater)
        self.assertIsInstance(relayFor(reactor), FastRelay)

    def test_others(self) -> None:
        """
        With any other reactor they take the portable one.
        """
        for reactor in (Clock(), object()):
            self.assertFalse(isFast(reactor))
            self.assertIsInstance(relayFor(reactor), PortableRelay)

    def test_hidden(self) -> None:
        """
        A kernel or a Python that lacks something gets the portable one.
        """
        reactor = self.reactor()
        for module, name in ((select, "epoll"), (os, "splice")):
            whole = getattr(module, name)
            self.addCleanup(setattr, module, name, whole)
            delattr(module, name)
            self.assertIsInstance(relayFor(reactor), PortableRelay)
            setattr(module, name, whole)

    if not ABLE:
        test_epoll.skip = test_hidden.skip = "there is no fast path here"  # type: ignore[attr-defined]


class ElsewhereTests(SynchronousTestCase):
    """
    macOS and Windows.
    """

    def test_hidden(self) -> None:
        """
        Where epoll, splice, fork and what else only Linux has are hidden, all modules
        can be imported, and the tests of the portable path pass, with real tunnels
        over the poll reactor among them.
        """
        program = [
            sys.executable,
            "-m",
            "tests.relay.hiding",
            os.path.abspath(self.mktemp()),
        ]
        done = subprocess.run(
            [*program, *PORTABLE],
            cwd=TOP,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertRegex(done.stdout, r"\nPASSED \(")

    if not hasattr(select, "poll"):
        test_hidden.skip = "there is no poll here"  # type: ignore[attr-defined]
