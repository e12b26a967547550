"""
The plain sockets of tests see what a user's program would see.
"""

from __future__ import annotations

import errno
import socket

from twisted.trial.unittest import TestCase

from tests.stage.programs import LIMIT
from tests.stage.sockets import Dialled, Ending, listener, receive, reset


class DialledTests(TestCase):
    """
    A connection that is reset at once is not lost, nor mistaken for one that ended.
    """

    def test_resetAtOnce(self) -> None:
        """
        What was said before the reset comes, and then the reset.
        """
        listening = listener(("127.0.0.1", 0))
        self.addCleanup(listening.close)
        address = listening.getsockname()
        dialled = Dialled()
        self.addCleanup(dialled.close)
        dialled.setblocking(False)
        self.assertRaises(BlockingIOError, dialled.connect, address)
        accepted, _ = listening.accept()
        accepted.sendall(b"a word")
        reset(accepted)
        # What Python does in connect when it has waited.
        error = dialled.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self.assertEqual(error, errno.ECONNRESET)
        dialled.wasReset = True
        dialled.settimeout(LIMIT)
        received = receive(dialled)
        self.assertEqual((received.first, received.ending), (b"a word", Ending.RESET))
