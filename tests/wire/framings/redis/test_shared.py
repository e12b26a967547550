"""
Tests of L{tunnelkit.wire.framings.redis.shared}, and of what is known of commands.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from tests.wire.framings.decoding import asked
from tunnelkit.wire.framings.contract import Asked, Local, Request
from tunnelkit.wire.framings.redis import commands as known
from tunnelkit.wire.framings.redis.commands import LOOKED_AT
from tunnelkit.wire.framings.redis.framing import makeRedis
from tunnelkit.wire.framings.redis.inline import encoded

PAGE: Final = Path(__file__).parents[4] / "docs" / "sharing.rst"
OWN = (
    *("SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "MONITOR", "SYNC", "PSYNC", "REPLCONF"),
    *("UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE", "SHUTDOWN", "DEBUG", "AUTH"),
    *("BLPOP", "BRPOP", "BLMOVE", "BRPOPLPUSH", "BLMPOP", "BZPOPMIN", "BZPOPMAX"),
    *("BZMPOP", "WAIT", "WAITAOF", "MULTI", "EXEC", "DISCARD", "WATCH", "UNWATCH"),
    *("RESET", "ASKING", "READONLY", "READWRITE"),
)
"""Commands that are refused by their names."""


def ask(line: str) -> Asked:
    """
    Give what becomes of a command that shares its connection.
    """
    data = encoded(line.encode().split())
    (event,) = asked(makeRedis([], {}).requests(False), data)
    return event


def needs(name: str) -> Local:
    """
    Give the refusal of a command by its name.
    """
    text = f"-ERR tunnelshare: {name} needs a connection of its own (--sticky)\r\n"
    return Local(text.encode())


class PageTests(SynchronousTestCase):
    """
    docs/sharing.rst has what is done with each command.
    """

    def test_table(self) -> None:
        """
        The table names all commands that are not just passed on, and no others; those
        that it calls refused are.
        """
        page = PAGE.read_text().partition(":name: table-redis-commands")[2]
        rows = [row.partition('", ') for row in page.split("\n\n")[1].splitlines()]
        told = {
            name: answer
            for names, _, answer in rows
            for name in re.findall("``([A-Z]+)``", names)
        }
        looked = {name.decode() for name in LOOKED_AT | {b"QUIT"}}
        self.assertEqual({*told}, {name.decode() for name in known.OWN} | looked)
        refused = {name for name, answer in told.items() if answer == "refused"}
        self.assertEqual(refused, {name.decode() for name in known.OWN})


class RefusedTests(SynchronousTestCase):
    """
    What would change a connection for others is refused by name, and its client stays.
    """

    def test_names(self) -> None:
        """
        Each such command is refused whatever its case and its arguments.
        """
        for name in OWN:
            self.assertEqual(ask(name), needs(name))
            self.assertEqual(ask(f"{name.lower()} x 0"), needs(name))

    def test_arguments(self) -> None:
        """
        Some are refused only with some arguments.
        """
        for line, name in (
            ("XREAD BLOCK 0 STREAMS s $", "XREAD with BLOCK"),
            ("xread count 1 block 5 streams s $", "XREAD with BLOCK"),
            ("XREADGROUP GROUP g c BLOCK 0 STREAMS s >", "XREADGROUP with BLOCK"),
            ("SELECT 1", "SELECT"),
            ("SELECT x", "SELECT"),
            ("HELLO 2 AUTH u p", "HELLO with AUTH"),
            ("HELLO 2 SETNAME x auth u p", "HELLO with AUTH"),
            ("CLIENT", "CLIENT"),
            ("client reply off", "CLIENT REPLY"),
            ("CLIENT TRACKING ON", "CLIENT TRACKING"),
            ("CLIENT KILL x", "CLIENT KILL"),
            ("CLIENT \xff", "CLIENT"),
            ("SCRIPT DEBUG YES", "SCRIPT DEBUG"),
        ):
            self.assertEqual(ask(line), needs(name), line)

    def test_hidden(self) -> None:
        """
        Nobody hides C{BLOCK} behind a group of the name C{STREAMS}, nor behind more
        options than a sane client gives; a key may be called so.
        """
        for line in (
            "XREADGROUP GROUP STREAMS STREAMS BLOCK 0 STREAMS s >",
            "XREAD COUNT STREAMS BLOCK 0 STREAMS s $",
            f"XREAD{' COUNT 1' * 5000} BLOCK 0 STREAMS s $",
        ):
            self.assertIsInstance(ask(line), Local, line[:60])
        for line in (
            "XREAD STREAMS block 0",
            "XREADGROUP GROUP BLOCK c STREAMS s >",
            "XREAD COUNT 1 STREAMS s BLOCK 0 0",
        ):
            self.assertIsInstance(ask(line), Request, line)


class AnsweredTests(SynchronousTestCase):
    """
    What clients say at their start is answered here, and harms nobody.
    """

    def test_ok(self) -> None:
        """
        A name for the connection, and database 0, are as they are asked for.
        """
        for line in (
            "SELECT 0",
            "client setname x",
            "CLIENT SETINFO LIB-NAME x",
        ):
            self.assertEqual(ask(line), Local(b"+OK\r\n"))

    def test_quit(self) -> None:
        """
        Who quits is told so and closed, and nobody else is.
        """
        self.assertEqual(ask("quit"), Local(b"+OK\r\n", close=True))

    def test_hello(self) -> None:
        """
        Version 2 of the protocol is what it is; 3 is declined so that clients use 2.
        """
        greeting = ask("HELLO")
        assert isinstance(greeting, Local)
        self.assertTrue(greeting.data.startswith(b"*14\r\n$6\r\nserver\r\n"))
        self.assertIn(b"$5\r\nproto\r\n:2\r\n", greeting.data)
        for line in ("HELLO 2", "hello 2 setname x"):
            self.assertEqual(ask(line), greeting)
        for line, text in (
            ("HELLO 3", rb"-NOPROTO tunnelshare: version 3 .*\(--sticky\)\r\n\Z"),
            ("HELLO 3 AUTH u p", rb"-NOPROTO tunnelshare: version 3 "),
            ("HELLO 4", rb"-NOPROTO tunnelshare: this version .* not known\r\n"),
            ("HELLO x", rb"-NOPROTO "),
            ("HELLO 2 x", rb"-ERR tunnelshare: HELLO takes "),
        ):
            told = ask(line)
            assert isinstance(told, Local)
            self.assertRegex(told.data, text)
            self.assertNotIn(b"\n", told.data[:-2])


class ServedTests(SynchronousTestCase):
    """
    All else goes to the target.
    """

    def test_repeatable(self) -> None:
        """
        Commands that change nothing may be sent twice, and no others.
        """
        for line, repeatable in (
            ("GET a", True),
            ("hgetall a", True),
            ("XREAD STREAMS s 0", True),
            ("PING", True),
            ("SET a b", False),
            ("INCR a", False),
            ("LPOP a", False),
            ("GETDEL a", False),
            ("GETEX a", False),
            ("SORT a STORE b", False),
            ("EVAL x 0", False),
            ("XREADGROUP GROUP g c STREAMS s >", False),
            ("SCRIPT LOAD x", False),
            ("SELECT", False),
            ("CLIENT SETNAME", False),
            ("SPOP a", False),
            ("nonsense", False),
            ("\xff", False),
        ):
            data = encoded(line.encode().split())
            self.assertEqual(ask(line), Request(data=data, repeatable=repeatable))
