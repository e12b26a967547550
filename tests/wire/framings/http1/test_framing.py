"""
Tests of L{tunnelkit.wire.framings.http1.framing}.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from tests.wire.framings.http1.traffic import parsedReply
from tunnelkit.sharing.plugins import framingNamed
from tunnelkit.tunnels.spec import splitDescription
from tunnelkit.wire.framings.contract import Local, Request, Trouble
from tunnelkit.wire.framings.http1.framing import HTTP1, makeHTTP1
from tunnelkit.wire.framings.http1.heads import Asker
from tunnelkit.wire.framings.http1.limits import Limits

LATE: Final = """
import sys
import tunnelkit.commands.server, tunnelkit.commands.client, tunnelkit.commands.share
from tunnelkit.sharing.plugins import framings
found = {each.name: each for each in framings()}
before = "httptools" in sys.modules
found["http1"].make([], {})
print(before, "httptools" in sys.modules)
"""


class TroubleTests(SynchronousTestCase):
    """
    What a client is told in place of a reply.
    """

    def test_excuses(self) -> None:
        """
        A client learns by status and sentence what is wrong, and that it is closed; who
        asked with HEAD gets no body.
        """
        framing = makeHTTP1([], {})
        for trouble, status, sentence in (
            (Trouble.DOWN, 502, b"the target cannot be reached"),
            (
                Trouble.BUSY,
                503,
                b"too many requests wait for the target: try again later",
            ),
            (Trouble.LATE, 504, b"the target has not answered in time"),
            (Trouble.SLOW, 408, b"the request has not come whole in time"),
            (Trouble.BROKEN, 502, b"the target ended, or what it said was no reply"),
            (Trouble.STOPPING, 503, b"it is being stopped: try again later"),
        ):
            request = Request(data=b"", label=Asker())
            told = framing.trouble(trouble, request)
            self.assertTrue(told.close)
            parsed = parsedReply(told.data)
            self.assertEqual(parsed.start, status)
            self.assertEqual(parsed.body, b"tunnelshare: " + sentence + b"\n")
            self.assertIn((b"Connection", b"close"), parsed.fields)
            request = Request(data=b"", label=Asker(head=True))
            head = framing.trouble(trouble, request).data
            self.assertEqual(parsedReply(head, b"HEAD").start, status)
            self.assertEqual(head + parsed.body, told.data)

    def test_unasked(self) -> None:
        """
        A client that has not asked is closed without a word, unless there is no place
        for it, or it has taken too long.
        """
        framing = makeHTTP1([], {})
        for trouble in {*Trouble} - {Trouble.BUSY, Trouble.SLOW}:
            self.assertEqual(framing.trouble(trouble, None), Local(b"", close=True))
        for trouble, status in ((Trouble.BUSY, 503), (Trouble.SLOW, 408)):
            told = framing.trouble(trouble, None)
            self.assertTrue(told.close)
            self.assertEqual(parsedReply(told.data).start, status)


class OptionsTests(SynchronousTestCase):
    """
    What C{--protocol http1} may be given.
    """

    def test_names(self) -> None:
        """
        It is called C{http1}, or C{http} as in the original; its connections answer in
        order, and may be logged in by a client that has one for itself.
        """
        for name in ("http1", "http"):
            made = framingNamed(name, lambda text: (text, [], {}))
            assert isinstance(made, HTTP1)
            self.assertTrue(made.ordered)
            self.assertTrue(made.stateful)

    def test_described(self) -> None:
        """
        Options stand behind the name; a colon in a value has a C{\\} before it.
        """
        text = r"http1:host=a\:81:collect=5:head=300:target=6:fields=7"
        made = framingNamed(text, splitDescription)
        assert isinstance(made, HTTP1)
        self.assertEqual(made.host, b"a:81")
        limits = Limits(collect=5, head=300, target=6, fields=7)
        self.assertEqual(made.limits, limits)

    def test_late(self) -> None:
        """
        Who shares something else, or nothing, pays nothing for the parser.
        """
        done = subprocess.run(
            [sys.executable, "-c", LATE],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        self.assertEqual(done.stdout.strip(), "False True")

    def test_wrong(self) -> None:
        """
        What cannot be is told with what can.
        """
        for options, text in (
            ({"host": ""}, "host=: give a name or an address, and maybe a port"),
            ({"host": "a b"}, "host=a b: give a name or an address, and maybe a port"),
            ({"collect": "x"}, "collect=x: give a number from 0 to 67108864"),
            ({"head": "1"}, "head=1: give a number from 256 to 1048576"),
            ({"target": "0"}, "target=0: give a number from 1 to 1048576"),
            ({"fields": "0"}, "fields=0: give a number from 1 to 10000"),
            (
                {"tls": "yes"},
                "there is no option 'tls': "
                "there are host, collect, head, target, fields",
            ),
        ):
            with self.assertRaises(ValueError) as caught:
                makeHTTP1([], options)
            self.assertEqual(str(caught.exception), text)
        self.assertRaises(ValueError, makeHTTP1, ["x"], {})
