"""
Tests for L{tunnelkit.relay.fast.secure.work}: all that holds in plain, and what TLS
adds.
"""

from __future__ import annotations

import contextlib
import ssl
from typing import cast

from tests.relay.fast import test_work as plain
from tests.relay.fast.case import LoopCase, Peer, SecurePeer
from tests.relay.streams.test_work import start
from tests.stage.sockets import noise
from tunnelkit.wire.native.frames import HEADER, Data, Done, End, encode


class SecureFramesTests(plain.FramesTests):
    """
    Frames in any order, in records cut anywhere.
    """

    secure = True

    def give(self, peer: Peer, piece: bytes) -> None:
        """
        Let the peer say something, of which the first bytes come alone.
        """
        ready = peer.encrypted(piece)
        for part in (ready[: len(piece) % 97], ready[len(piece) % 97 :]):
            peer.pour(part)
            self.turn()


class SecureWorkTests(plain.WorkTests):
    """
    A work connection under TLS.
    """

    secure = True

    def close(self, peer: Peer) -> None:
        """
        Have the peer see that we end, and say that it ends as well.
        """
        secure = cast(SecurePeer, peer)
        secure.sees(lambda: secure.closed)
        secure.notify()


class SecureEndTests(LoopCase):
    """
    How a peer under TLS may end.
    """

    def test_midRecord(self) -> None:
        """
        A peer that goes in the midst of a record takes its stream along, by a reset:
        nothing of that record is passed on.
        """
        work, peer, owner = self.work(secure=True)
        work.begin()
        visitor, person = self.raw()
        self.joined(visitor, work, start(1))
        ready = peer.encrypted(encode(Data(b"whole")))
        half = peer.encrypted(encode(Data(b"half")))
        peer.pour(ready + half[:-3])
        peer.end()
        self.assertEqual((person.ends(), person.got), ("reset", person.got))
        self.assertIn(person.got, (b"", b"whole"))
        self.assertEqual(owner.losses, ["closed"])

    def test_notified(self) -> None:
        """
        A peer's close_notify behind the last bytes of a stream cuts none of them off.
        """
        work, peer, owner = self.work(secure=True)
        work.begin()
        visitor, person = self.raw()
        self.joined(visitor, work)
        person.end()
        secure = cast(SecurePeer, peer)
        last = encode(Data(b"last")) + encode(End()) + encode(Done(1))
        ready = secure.encrypted(last)
        with contextlib.suppress(ssl.SSLWantReadError):
            secure.tls.unwrap()
        secure.pour(ready + secure.out.read())
        self.assertEqual((person.ends(), person.got), ("end", b"last"))
        self.until(lambda: owner.losses)
        self.assertEqual((owner.losses, owner.idles), (["closed"], 1))

    def test_rubbish(self) -> None:
        """
        A record that was tampered with ends the connection, and nobody else's.
        """
        work, peer, owner = self.work(secure=True)
        work.begin()
        visitor, person = self.raw()
        self.joined(visitor, work)
        ready = bytearray(peer.encrypted(encode(Data(b"x"))))
        ready[-1] ^= 1
        peer.pour(bytes(ready))
        self.until(lambda: owner.losses)
        self.assertEqual((person.ends(), person.got), ("reset", b""))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_earlyUnderTLS(self) -> None:
        """
        What was decrypted before the connection was lent comes first, and what was
        read and not decrypted comes behind it.
        """
        work, peer, owner = self.work(client=True, secure=True)
        del owner
        service, there = self.raw()
        more = HEADER.pack(9)
        work.takeEarly(start(1) + more + noise(4))
        self.joined(work, service)
        peer.send(noise(9)[4:] + encode(End()))
        self.assertEqual((there.ends(), there.got), ("end", noise(4) + noise(9)[4:]))
