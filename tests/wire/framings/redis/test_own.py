"""
Tests of L{tunnelkit.wire.framings.redis.own}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.wire.framings.decoding import asked
from tests.wire.framings.redis.test_shared import OWN
from tunnelkit.wire.framings.contract import Local, Request
from tunnelkit.wire.framings.redis.framing import makeRedis
from tunnelkit.wire.framings.redis.inline import encoded


def ask(*lines: str) -> list[Request]:
    """
    Give the requests of one client with a connection of its own.
    """
    data = b"".join(encoded(line.encode().split()) for line in lines)
    events = asked(makeRedis([], {}).requests(True), data)
    return [each for each in events if isinstance(each, Request)]


def silent(*lines: str) -> list[bool]:
    """
    Tell of each command whether it has no reply.
    """
    return [each.silent for each in ask(*lines)]


class OwnTests(SynchronousTestCase):
    """
    A connection of one's own takes every command.
    """

    def test_all(self) -> None:
        """
        What is refused without it passes as it is; and nothing is sent twice, as what
        was set on a connection is lost with it.
        """
        lines = ["HELLO 3", "SELECT 1", "CLIENT TRACKING ON", "GET a", *OWN]
        found = ask(*lines)
        data = [encoded(line.encode().split()) for line in lines]
        self.assertEqual([each.data for each in found], data)
        self.assertFalse(any(each.repeatable for each in found))

    def test_patient(self) -> None:
        """
        What waits may wait for ever, and nothing else may.
        """
        for line, patient in (
            ("BLPOP a 0", True),
            ("WAIT 1 0", True),
            ("XREAD BLOCK 0 STREAMS s $", True),
            ("XREAD STREAMS s $", False),
            ("LPOP a", False),
            ("MULTI", False),
        ):
            (found,) = ask(line)
            self.assertEqual(found.patient, patient, line)

    def test_quit(self) -> None:
        """
        Who quits is told so and closed.
        """
        found = asked(makeRedis([], {}).requests(True), b"quit\r\n")
        self.assertEqual(found, [Local(b"+OK\r\n", close=True)])

    def test_subscribing(self) -> None:
        """
        To subscribe has no reply of the usual kind, and what follows has.
        """
        self.assertEqual(
            silent("GET a", "SUBSCRIBE a b", "PING", "PUNSUBSCRIBE", "GET a"),
            [False, True, False, True, False],
        )

    def test_replyOff(self) -> None:
        """
        After C{CLIENT REPLY OFF} nothing has a reply, until C{ON}, which has one.
        """
        lines = [
            "CLIENT REPLY OFF",
            "GET a",
            "SUBSCRIBE a",
            "CLIENT REPLY SKIP",
            "CLIENT REPLY nonsense",
            "client reply on",
            "GET a",
        ]
        self.assertEqual(silent(*lines), [True] * 5 + [False] * 2)

    def test_replySkip(self) -> None:
        """
        C{CLIENT REPLY SKIP} has no reply, nor has the one command behind it.
        """
        for next, quiet in (("GET a", True), ("CLIENT REPLY ON", False)):
            found = silent("CLIENT REPLY SKIP", next, "GET a")
            self.assertEqual(found, [True, quiet, False])
        self.assertEqual(silent("CLIENT REPLY nonsense", "GET a"), [False, False])

    def test_reset(self) -> None:
        """
        C{RESET} has replies come again.
        """
        self.assertEqual(
            silent("CLIENT REPLY OFF", "RESET", "GET"), [True, False, False]
        )

    def test_replica(self) -> None:
        """
        A replica only listens, and what it says has no replies.
        """
        found = silent(
            "PING", "REPLCONF port 1", "PSYNC ? -1", "REPLCONF ACK 0", "QUIT"
        )
        self.assertEqual(found, [False, False, True, True, True])
