"""
Tests of L{tunnelkit.relay.portable.sockets}, with sockets in a folder.
"""

from __future__ import annotations

import errno
import os
import socket
import tempfile
from pathlib import Path
from shutil import rmtree

from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from tunnelkit.relay.portable.sockets import listenAt


class Quiet(Factory):
    """
    Makes what says nothing.
    """

    noisy = False
    protocol = Protocol


class SocketTests(TestCase):
    """
    A path, and what is there.
    """

    def setUp(self) -> None:
        """
        Have a folder whose name is short enough for a socket in it.
        """
        folder = tempfile.mkdtemp()
        self.addCleanup(rmtree, folder)
        self.path = Path(folder, "s")
        self.lock = Path(folder, "s.lock")

    def listen(self) -> IListeningPort:
        """
        Listen there.
        """
        return listenAt(reactor, str(self.path), Quiet())  # type: ignore[arg-type]

    def leave(self) -> None:
        """
        Leave a socket at which nobody listens, and a lock that names a process that
        runs: this one.
        """
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(self.path))
        self.lock.symlink_to(str(os.getpid()))

    async def assertListening(self) -> None:
        """
        It can be connected to, by this user alone, and leaves nothing behind.
        """
        port = self.listen()
        with socket.socket(socket.AF_UNIX) as program:
            program.connect(str(self.path))
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        await maybeDeferred(port.stopListening)
        self.assertFalse(os.path.lexists(self.lock))

    async def test_listening(self) -> None:
        """
        A program gets through.
        """
        await self.assertListening()

    async def test_left(self) -> None:
        """
        After a kill it starts again, even if the number of the dead process is that of
        another one by now, as in a container at each start.
        """
        self.leave()
        await self.assertListening()

    async def test_lockLeft(self) -> None:
        """
        So it does where only the lock is left.
        """
        self.lock.symlink_to(str(os.getpid()))
        await self.assertListening()

    def assertTaken(self) -> None:
        """
        It is in use, in these words.
        """
        error = self.assertRaises(CannotListenError, self.listen)
        self.assertEqual(error.socketError.errno, errno.EADDRINUSE)

    def test_inUse(self) -> None:
        """
        Where somebody listens nothing is taken away, and the reason has the words that
        it has at a port.
        """
        self.addCleanup(self.listen().stopListening)
        self.assertTaken()
        with socket.socket(socket.AF_UNIX) as program:
            program.connect(str(self.path))

    def test_noSocket(self) -> None:
        """
        A file of somebody's that is no socket stays as it is.
        """
        self.path.write_text("mine")
        self.lock.symlink_to(str(os.getpid()))
        self.assertTaken()
        self.assertEqual(self.path.read_text(), "mine")

    def test_foreignSocket(self) -> None:
        """
        So does a socket without a lock: another kind of program left it.
        """
        self.leave()
        self.lock.unlink()
        self.assertTaken()
        self.assertTrue(self.path.exists())
