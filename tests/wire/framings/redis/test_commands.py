"""
Tests of L{tunnelkit.wire.framings.redis.commands}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.wire.framings.redis import commands

OWN = (
    *("SUBSCRIBE a", "psubscribe a*", "SSUBSCRIBE a", "UNSUBSCRIBE", "PUNSUBSCRIBE"),
    *("SUNSUBSCRIBE", "MONITOR", "BLPOP a 0", "BRPOP a 0", "BLMOVE a b LEFT LEFT 0"),
    *("BRPOPLPUSH a b 0", "BLMPOP 0 1 a LEFT", "BZPOPMIN a 0", "BZPOPMAX a 0"),
    *(
        "BZMPOP 0 1 a MIN",
        "XREAD BLOCK 0 STREAMS s $",
        "xread count 1 block 5 streams s",
    ),
    *("XREADGROUP GROUP g c BLOCK 0 STREAMS s >", "WAIT 1 0", "WAITAOF 1 1 0"),
    *("MULTI", "EXEC", "DISCARD", "WATCH a", "UNWATCH", "SELECT 1", "SELECT", "AUTH p"),
    *("HELLO 2 AUTH u p", "HELLO 2 SETNAME n", "RESET", "CLIENT", "CLIENT REPLY OFF"),
    *("CLIENT TRACKING ON", "CLIENT ID", "SHUTDOWN", "DEBUG SLEEP 1", "READONLY"),
    *("READWRITE", "ASKING", "SCRIPT DEBUG YES", "FAILOVER"),
)
SHARED = (
    *("GET a", "SET a b", "XREAD STREAMS block 0", "XREAD COUNT 1 STREAMS s 0", "PING"),
    *("SELECT 0", "CLIENT SETINFO LIB-NAME x", "client setname x", "HELLO", "HELLO 2"),
    *(
        "HELLO 3",
        "SCRIPT LOAD x",
        "EVAL x 0",
        "LPOP a",
        "XREADGROUP GROUP g c STREAMS s >",
    ),
)


def words(line: str) -> list[bytes]:
    """
    Give the words of a command.
    """
    return line.encode().split()


class NeedsTests(SynchronousTestCase):
    """
    What would change a connection for others is known, whatever its case.
    """

    def test_own(self) -> None:
        """
        Each command that needs a connection of its own is told by its name.
        """
        for line in OWN:
            self.assertTrue(commands.needs(words(line)), line)
        self.assertEqual(commands.needs(words("blpop a 0")), "BLPOP")
        self.assertEqual(commands.needs(words("client reply off")), "CLIENT REPLY")
        self.assertEqual(commands.needs(words(OWN[15])), "XREAD BLOCK")

    def test_shared(self) -> None:
        """
        All else passes.
        """
        for line in SHARED:
            self.assertEqual(commands.needs(words(line)), "", line)

    def test_longOptions(self) -> None:
        """
        Nobody hides BLOCK behind more words than are looked at.
        """
        hidden = words("XREAD" + " COUNT 1" * 40 + " BLOCK 0 STREAMS s 0")[
            : commands.KEPT
        ]
        self.assertEqual(commands.needs(hidden), "XREAD BLOCK")


class AnswerTests(SynchronousTestCase):
    """
    What is answered here.
    """

    def test_answers(self) -> None:
        """
        What clients say at their start does no harm, and gets a good answer.
        """
        for line, said in (
            ("SELECT 0", b"+OK\r\n"),
            ("CLIENT SETNAME x", b"+OK\r\n"),
            ("HELLO 3", b"-NOPROTO unsupported protocol version\r\n"),
            ("GET a", b""),
        ):
            self.assertEqual(commands.answer(words(line)), said)
        for line in ("HELLO", "HELLO 2"):
            self.assertTrue(commands.answer(words(line)).startswith(b"*14\r\n"))


class ReadsTests(SynchronousTestCase):
    """
    What may be asked twice.
    """

    def test_reads(self) -> None:
        """
        Commands that change nothing, and no others.
        """
        for line in ("GET a", "hgetall a", "XREAD STREAMS s 0"):
            self.assertTrue(commands.reads(words(line)), line)
        for line in (
            "SET a b",
            "INCR a",
            "LPOP a",
            "GETDEL a",
            "EVAL x 0",
            "",
            "SORT a",
        ):
            self.assertFalse(commands.reads(words(line)), line)


class OpensTests(SynchronousTestCase):
    """
    What ends the order of one answer to one command.
    """

    def test_opens(self) -> None:
        """
        Subscriptions, C{MONITOR} and C{CLIENT REPLY} do.
        """
        for line in ("SUBSCRIBE a b", "monitor", "CLIENT REPLY SKIP"):
            self.assertTrue(commands.opens(words(line)), line)
        for line in ("GET a", "CLIENT ID", "MULTI"):
            self.assertFalse(commands.opens(words(line)), line)

    def test_waits(self) -> None:
        """
        Some may wait for their answer as long as they like.
        """
        for line in ("BLPOP a 0", "WAIT 1 0", "XREAD BLOCK 0 STREAMS s $"):
            self.assertTrue(commands.waits(words(line)), line)
        for line in ("GET a", "XREAD STREAMS s 0"):
            self.assertFalse(commands.waits(words(line)), line)
