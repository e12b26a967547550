"""
Tests for L{tunnelkit.relay.occupant}.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from twisted.internet.error import CannotListenError
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.relay.occupant import inUse, occupant, whatThen, whyNot

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt\n"
IN_USE = CannotListenError("", 9000, OSError(errno.EADDRINUSE, os.strerror(98)))


def row(port: int, state: str, inode: int, uid: int = 0) -> str:
    """
    Make a line of C{/proc/net/tcp}.
    """
    return (
        f"   0: 0100007F:{port:04X} 00000000:0000 {state} 00000000:00000000"
        f" 00:00000000 00000000  {uid:4}        0 {inode} 1 0 100 0 0 10 0\n"
    )


class OccupantTests(SynchronousTestCase):
    """
    Who has a port is said, where the system tells.
    """

    def setUp(self) -> None:
        """
        Make a C{/proc} of our own.
        """
        self.proc = Path(self.mktemp())
        (self.proc / "net").mkdir(parents=True)

    def table(self, name: str, *rows: str) -> None:
        """
        Write a table of sockets.
        """
        (self.proc / "net" / name).write_text(HEAD + "".join(rows))

    def process(self, number: int, name: str, *inodes: int) -> None:
        """
        Run a program that has sockets.
        """
        descriptors = self.proc / str(number) / "fd"
        descriptors.mkdir(parents=True)
        (self.proc / str(number) / "comm").write_text(f"{name}\n")
        (descriptors / "0").symlink_to("/dev/null")
        for at, inode in enumerate(inodes, 3):
            (descriptors / str(at)).symlink_to(f"socket:[{inode}]")

    def test_found(self) -> None:
        """
        It is found among all processes, on IPv4 and on IPv6.
        """
        self.table("tcp", row(9000, "0A", 77))
        self.table("tcp6", row(9001, "0A", 78))
        self.process(11, "sshd", 5)
        self.process(812, "nginx", 76, 77, 78)
        for port in (9000, 9001):
            self.assertEqual(occupant(port, self.proc), "nginx (process 812)")

    def test_listening(self) -> None:
        """
        Who only has a connection from that port does not have the port.
        """
        self.table("tcp", row(9000, "01", 76), row(9000, "0A", 77))
        self.process(11, "curl", 76)
        self.process(812, "nginx", 77)
        self.assertEqual(occupant(9000, self.proc), "nginx (process 812)")

    def test_anotherUser(self) -> None:
        """
        Of a program of another user no more than the user is known.
        """
        self.table("tcp", row(9000, "0A", 77, uid=0))
        self.assertEqual(occupant(9000, self.proc), "a program of user root")

    def test_unknown(self) -> None:
        """
        Nothing is known where nobody listens, the user has no name, or there is no
        such table; that is no error.
        """
        self.assertEqual(occupant(9000, self.proc), "")
        self.table("tcp", row(9000, "0A", 77, uid=4_000_000))
        self.assertEqual(occupant(9000, self.proc), "")
        self.assertEqual(occupant(9001, self.proc), "")

    def test_endsMeanwhile(self) -> None:
        """
        A process that ends while it is looked at is passed over.
        """
        self.table("tcp", row(9000, "0A", 77))
        (self.proc / "11").mkdir()
        self.process(812, "nginx", 77)
        (self.proc / "812" / "comm").unlink()
        self.assertEqual(occupant(9000, self.proc), "a program (process 812)")

    def test_name(self) -> None:
        """
        A program's name does no harm to a terminal.
        """
        self.table("tcp", row(9000, "0A", 77))
        self.process(812, "x\x1b[2J", 77)
        self.assertTrue(occupant(9000, self.proc).isprintable())

    def test_whyNot(self) -> None:
        """
        The reason tells who it is, where a port is in use.
        """
        self.table("tcp", row(9000, "0A", 77))
        self.process(812, "nginx", 77)
        self.assertTrue(inUse(IN_USE))
        self.assertEqual(
            whyNot(IN_USE, 9000, self.proc),
            "Address already in use, by nginx (process 812)",
        )
        self.assertEqual(whyNot(IN_USE, 9001, self.proc), "Address already in use")

    def test_otherReason(self) -> None:
        """
        Any other reason is said as it is.
        """
        denied = CannotListenError("", 80, OSError(errno.EACCES, "Permission denied"))
        odd = CannotListenError("", 80, "no such interface")
        self.assertFalse(inUse(denied))
        self.assertEqual(whyNot(denied, 80, self.proc), "Permission denied")
        self.assertEqual(whyNot(odd, 80, self.proc), "no such interface")

    def test_atPath(self) -> None:
        """
        Who cannot listen at a path hears what is to be taken away, or that there is no
        such folder.
        """
        lock = "Cannot acquire lock"
        for reason, words in (
            (
                lock,
                f"{lock}: stop the program that has it; where none has, take /s.lock",
            ),
            (OSError(errno.EADDRINUSE, "in use"), "where none has, take /s away"),
            (OSError(errno.ENOENT, "no"), "no: name a path in a folder that is there"),
        ):
            error = CannotListenError("", "/s", reason)
            self.assertIn(words, whatThen(error))

    def test_thisMachine(self) -> None:
        """
        It reads this machine's C{/proc}, if there is one, without fail.
        """
        self.assertIsInstance(occupant(1), str)
