"""
Tests for L{tunnelkit.endpoints.dialling}.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from zope.interface.verify import verifyObject

from tests.endpoints.case import EndpointCase, Program
from tests.network import Plain
from tunnelkit.endpoints import shared
from tunnelkit.endpoints.dialling import NotReached
from tunnelkit.wire.endkey import newEndKey


class DiallingTests(EndpointCase):
    """
    A program that dials a private tunnel speaks with who publishes it.
    """

    def dial(self, name: str, *options: str) -> Deferred[Any]:
        """
        Dial.
        """
        dialled: Deferred[Any] = self.dialling(name, *options).connect(
            Factory.forProtocol(Plain)
        )
        return dialled

    def test_dials(self) -> None:
        """
        Both directions cross, half-closes included; then nothing is left of it.
        """
        verifyObject(IStreamClientEndpoint, self.dialling("ssh"))
        program, port = self.listening("kind=private", "name=ssh")
        dialled = self.dial("ssh")
        self.network.settle()
        mine = self.successResultOf(dialled)
        self.assertEqual(mine.transport.getPeer(), IPv4Address("TCP", "ssh", 0))
        mine.transport.write(b"question")
        self.network.settle()
        (other,) = program.visitors
        transport: Any = other.transport
        # The client that dials: the server knows no other address of it.
        self.assertEqual(transport.getPeer().host, "192.0.2.7")
        self.assertEqual(other.heard, b"question")
        transport.write(b"answer")
        transport.loseConnection()
        self.network.settle()
        self.assertEqual((mine.heard, mine.ended), (b"answer", "end"))
        self.assertEqual(other.ended, "end")
        port.stopListening()
        self.network.elapse(1)
        self.assertEqual(shared._here.get(self.network, {}), {})

    def test_oneConnection(self) -> None:
        """
        Who dials shares the connection of who listens.
        """
        self.listening("kind=private", "name=ssh")
        for _ in range(3):
            mine = self.dial("ssh")
            self.network.settle()
            self.successResultOf(mine).transport.abortConnection()
        self.network.settle()
        self.assertEqual(len([*self.server._sessions]), 1)

    def test_parts(self) -> None:
        """
        Who has done nothing but dial parts from the server when that is over.
        """
        self.publish("private:8000:name=web")
        dialled = self.dial("web")
        self.network.settle()
        mine = self.successResultOf(dialled)
        mine.transport.write(b"hello?")
        self.network.settle()
        self.assertEqual(self.services[-1].heard, b"hello?")
        self.assertEqual(len([*self.server._sessions]), 2)
        mine.transport.loseConnection()
        self.network.settle()
        self.services[-1].wire.loseConnection()
        self.network.elapse(1)
        self.assertEqual(len([*self.server._sessions]), 1)

    def test_nobody(self) -> None:
        """
        A tunnel that nobody publishes is an error that says what to do.
        """
        dialled = self.dial("ssh")
        self.network.settle()
        error = self.failureResultOf(dialled, NotReached).value
        self.assertIsInstance(error, ConnectError)
        self.assertIn("tunnel ssh: there is no private tunnel 'ssh'", str(error))
        self.network.elapse(1)
        self.assertEqual(shared._here.get(self.network, {}), {})

    def test_away(self) -> None:
        """
        So is a server that is not there: who dials decides whether to try again.
        """
        self.stop(self.server)
        dialled = self.dial("ssh")
        self.network.settle()
        error = self.failureResultOf(dialled, NotReached).value
        self.assertIn("cannot be reached", str(error))
        self.network.elapse(1)
        self.assertEqual(shared._here.get(self.network, {}), {})

    def test_awayIsOver(self) -> None:
        """
        Who has failed to reach a server does not try on behind the program's back, and
        the log does not say that he does.
        """
        self.stop(self.server)
        self.network.elapse(1)
        for described in self.dialling("sum"), self.dialling("sum"):
            dialled = described.connect(Program())
            self.network.settle()
            self.failureResultOf(dialled, NotReached)
        self.assertEqual(self.network.getDelayedCalls(), [])
        self.assertEqual(
            [line for line in self.log.lines("warn") if "trying again" in line], []
        )
        self.serve()
        self.network.elapse(60)
        self.assertEqual(len(self.server._sessions), 0)

    def test_late(self) -> None:
        """
        Nobody waits for ever.
        """
        self.listening("kind=private", "name=ssh")
        for wire in self.network.wires:
            wire.frozen = True
        dialled = self.dial("ssh", "timeout=4")
        self.network.elapse(5)
        error = self.failureResultOf(dialled, NotReached).value
        self.assertEqual(str(error), "tunnel ssh: no answer in 4 seconds")

    def test_cancel(self) -> None:
        """
        Who has no interest any more disturbs nobody.
        """
        program, _ = self.listening("kind=private", "name=ssh")
        dialled = self.dial("ssh")
        dialled.cancel()
        self.network.settle()
        self.failureResultOf(dialled, CancelledError)
        self.assertEqual([visitor.ended for visitor in program.visitors], ["reset"])

    def test_unwanted(self) -> None:
        """
        A factory that refuses the connection ends it.
        """
        self.listening("kind=private", "name=ssh")
        factory = Program()
        factory.refusing = True
        dialled = self.dialling("ssh").connect(factory)
        self.network.settle()
        self.failureResultOf(dialled, NotReached)

    def test_bug(self) -> None:
        """
        One that fails gets its own error.
        """

        def broken(address: object) -> None:
            raise RuntimeError("a bug")

        self.listening("kind=private", "name=ssh")
        factory = Program()
        factory.buildProtocol = broken  # type: ignore[method-assign]
        dialled = self.dialling("ssh").connect(factory)
        self.network.settle()
        self.failureResultOf(dialled, RuntimeError)

    def test_lost(self) -> None:
        """
        When the server goes the connection is lost, and not ended.
        """
        self.listening("kind=private", "name=ssh")
        dialled = self.dial("ssh")
        self.network.settle()
        self.stop(self.server)
        self.assertEqual(self.successResultOf(dialled).ended, "reset")

    def test_sealed(self) -> None:
        """
        With the same key on both sides they speak, half-closes and closes included, and
        the server sees none of it; with none on one side they are told.
        """
        file = self.mktemp()
        with open(file, "wb") as opened:
            opened.write(newEndKey(datetime.now(UTC)).pem)
        program, _ = self.listening("kind=private", "name=ssh", f"keyFile={file}")
        dialled = self.dial("ssh", f"keyFile={file}")
        self.network.settle()
        mine = self.successResultOf(dialled)
        mine.transport.write(b"question")
        self.network.settle()
        (other,) = program.visitors
        transport: Any = other.transport
        self.assertEqual(other.heard, b"question")
        transport.write(b"answer")
        transport.loseConnection()
        self.network.settle()
        self.assertEqual((mine.heard, mine.ended), (b"answer", "end"))
        dialled = self.dial("ssh")
        self.network.settle()
        error = self.failureResultOf(dialled, NotReached).value
        self.assertIn("is encrypted from end to end", str(error))
