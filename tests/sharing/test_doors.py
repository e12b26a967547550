"""
Tests of L{tunnelkit.sharing.doors}.
"""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.endpoints.listening import NotPublished
from tunnelkit.failures import StartFailed
from tunnelkit.sharing.doors import Door


class Endpoint:
    """
    Listens when it is told to, and is the port, too.
    """

    stopped = 0

    def __init__(self) -> None:
        self.cancelled = 0
        self.listening: Deferred[Any] = Deferred(self._cancel)

    def _cancel(self, listening: Deferred[Any]) -> None:
        self.cancelled += 1

    def listen(self, factory: object) -> Deferred[Any]:
        """
        Listen.
        """
        return self.listening

    def stopListening(self) -> Deferred[None]:
        """
        Stop.
        """
        self.stopped += 1
        return succeed(None)


class DoorTests(SynchronousTestCase):
    """
    A door, at an endpoint.
    """

    def setUp(self) -> None:
        """
        Have both.
        """
        self.failures: list[str] = []
        self.endpoint: Any = Endpoint()
        self.door = Door("--listen x", self.failures.append)

    def open(self) -> None:
        """
        Open it.
        """
        self.door.open(self.endpoint, object())

    def test_atOnce(self) -> None:
        """
        What listens at once is closed with the program.
        """
        self.endpoint.listening.callback(self.endpoint)
        self.open()
        self.successResultOf(self.door.close())
        self.assertEqual(self.endpoint.stopped, 1)

    def test_later(self) -> None:
        """
        So is what listens later, as a tunnel does whose server was away.
        """
        self.open()
        self.endpoint.listening.callback(self.endpoint)
        self.successResultOf(self.door.close())
        self.assertEqual((self.endpoint.stopped, self.failures), (1, []))

    def test_never(self) -> None:
        """
        A program that ends while it waits ends quietly.
        """
        self.open()
        self.successResultOf(self.door.close())
        self.assertEqual((self.endpoint.cancelled, self.failures), (1, []))

    def test_failsLater(self) -> None:
        """
        What fails later is said in one sentence, in the endpoint's own words.
        """
        self.open()
        self.endpoint.listening.errback(NotPublished("the server is away"))
        self.assertEqual(
            self.failures, ["cannot listen on --listen x: the server is away"]
        )

    def test_failsAtOnce(self) -> None:
        """
        What fails at once does not start, and says what to do.
        """
        for error, words in (
            (CannotListenError("", 80, OSError(errno.EACCES, "no")), "x: no: give one"),
            (PermissionError(errno.EACCES, "no"), "x: no: name a path in a folder"),
        ):
            self.setUp()
            self.endpoint.listening.errback(error)
            self.assertIn(words, str(self.assertRaises(StartFailed, self.open)))

    def test_bug(self) -> None:
        """
        A bug of an endpoint's stays one.
        """
        self.endpoint.listening.errback(ZeroDivisionError())
        self.assertRaises(ZeroDivisionError, self.open)
