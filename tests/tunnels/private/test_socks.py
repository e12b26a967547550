"""
Tests for L{tunnelkit.tunnels.private.socks}.
"""

from __future__ import annotations

from typing import Final

from tests.network import Speaker
from tests.test_private import SSH, PrivateCase
from tunnelkit.failures import StartFailed
from tunnelkit.tunnels.private.socks import ASKING, PATIENCE
from tunnelkit.wire.endkey import newEndKey
from tunnelkit.wire.socks import Reply

SOCKS: Final = 1080
HELLO: Final = b"\x05\x01\x00"


def asks(host: str, port: int = 22) -> bytes:
    """
    Make a request for a name.
    """
    name = host.encode()
    return b"\x05\x01\x00\x03" + bytes([len(name)]) + name + port.to_bytes(2, "big")


class SocksCase(PrivateCase):
    """
    A client that programs speak SOCKS with.
    """

    def setUp(self) -> None:
        """
        Start it.
        """
        super().setUp()
        self.socks = self.client(socks=(str(SOCKS),), name="desk")
        self.socks.startService()
        self.network.settle()

    def ask(self, *said: bytes) -> Speaker:
        """
        Be a program that says something, piece by piece.
        """
        program = Speaker()
        self.network.connect(SOCKS, program)
        for each in said:
            program.say(each)
            self.network.settle()
        return program


class SocksTests(SocksCase):
    """
    Programs that know SOCKS reach private tunnels by their names.
    """

    def test_served(self) -> None:
        """
        One asks for a tunnel by its name, in whatever pieces and case, is told that it
        is there, and speaks with the service.
        """
        self.publish(SSH)
        for said in (
            (HELLO, asks("ssh.tunnel")),
            (HELLO + asks("ssh.TUNNEL", 99),),
            tuple(bytes([byte]) for byte in HELLO + asks("ssh.tunnel")),
        ):
            program = self.ask(*said)
            self.assertEqual(program.take(), b"\x05\x00" + Reply.SUCCEEDED.message)
            program.say(b"hello?")
            self.network.settle()
            service = self.services[-1]
            self.assertEqual(service.heard, b"hello?")
            service.say(b"hello!")
            service.wire.loseConnection()
            self.network.settle()
            self.assertEqual(program.heard, b"hello!")
            program.wire.loseConnection()
            self.network.settle()

    def test_impatient(self) -> None:
        """
        What is said behind the request, before the answer, reaches the service.
        """
        self.publish(SSH)
        program = self.ask(HELLO + asks("ssh.tunnel") + b"hello?")
        self.assertEqual(self.services[-1].heard, b"hello?")
        program.wire.loseConnection()

    def test_others(self) -> None:
        """
        Other names are refused, and it does not help to look them up.
        """
        for said in (
            asks("example.org"),
            asks(".tunnel"),
            asks("tunnel"),
            b"\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50",
        ):
            program = self.ask(HELLO, said)
            self.assertEqual(program.heard, b"\x05\x00" + Reply.NOT_ALLOWED.message)
            self.assertEqual(program.ended, "end")
        self.assertIn(
            "visitors of --socks are reset: it asked for 'example.org': only private"
            " tunnels are here, as NAME.tunnel",
            self.log.lines("warn"),
        )

    def test_unpublished(self) -> None:
        """
        A tunnel that is not there is not allowed; where the server is away that is
        told.
        """
        program = self.ask(HELLO, asks("ssh.tunnel"))
        self.assertEqual(program.heard[2:], Reply.NOT_ALLOWED.message)
        self.stop(self.server)
        program = self.ask(HELLO, asks("ssh.tunnel"))
        self.assertEqual(program.heard[2:], Reply.UNREACHABLE.message)
        self.assertEqual(program.ended, "end")

    def test_silent(self) -> None:
        """
        Who does not say what it wants is sent away, and so is who does not go.
        """
        program = self.ask(HELLO)
        self.network.elapse(PATIENCE)
        self.assertEqual(program.ended, "reset")

    def test_many(self) -> None:
        """
        Strangers cannot fill the memory by saying nothing.
        """
        silent = [self.ask() for _ in range(ASKING)]
        self.network.settle()
        self.assertEqual(self.ask(HELLO).ended, "end")
        silent[0].wire.loseConnection()
        self.network.settle()
        self.assertEqual(self.ask(HELLO).heard, b"\x05\x00")
        self.network.elapse(PATIENCE)

    def test_goes(self) -> None:
        """
        Who goes before it is there leaves nothing behind.
        """
        self.publish(SSH)
        program = Speaker()
        self.network.connect(SOCKS, program)
        program.say(HELLO + asks("ssh.tunnel"))
        program.wire.abortConnection()
        self.network.settle()
        self.assertEqual(self.socks.streams, 0)

    def test_stopped(self) -> None:
        """
        When the client stops, all are sent away.
        """
        self.publish(SSH)
        waiting = self.ask(HELLO)
        served = self.ask(HELLO, asks("ssh.tunnel"))
        self.stop(self.socks)
        self.assertEqual((waiting.ended, served.ended), ("reset", "reset"))

    def test_taken(self) -> None:
        """
        A port that is in use ends the client with a sentence that names it.
        """
        client = self.client(socks=(str(SOCKS),), name="other")
        error = self.assertRaises(StartFailed, client.startService)
        self.assertIn("--socks: cannot listen on 127.0.0.1:1080: Address", str(error))

    def test_keyCase(self) -> None:
        """
        A browser that writes names in small letters does not get past the key of a
        tunnel with capitals: what it says is encrypted, or goes nowhere.
        """
        key = newEndKey(self.now)
        self.stop(self.socks)
        client = self.client(socks=(str(SOCKS),), name="desk", keys=(("SSH", key),))
        client.startService()
        self.network.settle()
        # A server that means ill has a tunnel of that other name, without a key.
        self.publish(SSH)
        program = self.ask(HELLO, asks("ssh.tunnel"))
        self.assertEqual(program.heard[2:], Reply.NOT_ALLOWED.message)
        self.assertEqual(self.services, [])

    def test_key(self) -> None:
        """
        A tunnel that is encrypted from end to end is reached with its key.
        """
        key = newEndKey(self.now)
        file = self.state / "end.key"
        file.write_bytes(key.pem)
        self.publish(f"{SSH}:keyFile={file}")
        program = self.ask(HELLO, asks("ssh.tunnel"))
        self.assertEqual(program.heard[2:], Reply.NOT_ALLOWED.message)
        self.stop(self.socks)
        client = self.client(socks=(str(SOCKS),), name="desk", keys=(("ssh", key),))
        client.startService()
        self.network.settle()
        program = self.ask(HELLO, asks("ssh.tunnel"))
        program.say(b"hello?")
        self.network.settle()
        self.assertEqual(self.services[-1].heard, b"hello?")
        program.wire.loseConnection()
