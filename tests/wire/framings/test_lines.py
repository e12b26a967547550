"""
Tests of L{tunnelkit.wire.framings.lines}, and of what all framings share in which
requests and replies are frames.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.wire.framings.decoding import answered, asked, splits
from tunnelkit.wire.framings.contract import Local, Refusal, Reply, Request, Trouble
from tunnelkit.wire.framings.lines import LONGEST, makeEcho, makeLine
from tunnelkit.wire.native.frames import WireError


def requests(*lines: bytes, repeatable: bool = True) -> list[Request]:
    """
    Give requests that are these lines.
    """
    return [Request(data=line, repeatable=repeatable) for line in lines]


class EchoTests(SynchronousTestCase):
    """
    Lines that end in LF.
    """

    def test_everySplit(self) -> None:
        """
        Lines come out whole wherever the stream was cut, two in one segment too.
        """
        for pieces in splits(b"a\n\nkkk\nlast"):
            decoder = makeEcho([], {}).requests(False)
            self.assertEqual(asked(decoder, *pieces), requests(b"a\n", b"\n", b"kkk\n"))
            self.assertEqual(decoder.partial, 4)

    def test_replies(self) -> None:
        """
        Each reply is a line, given when it is whole.
        """
        for pieces in splits(b"a\nb\n"):
            decoder = makeEcho([], {}).replies(False)
            for request in requests(b"1\n", b"2\n"):
                self.assertEqual(decoder.send(request), request.data)
            replies = [Reply(data=b"a\n"), Reply(data=b"b\n")]
            self.assertEqual(answered(decoder, *pieces), replies)
            self.assertFalse(decoder.begun)

    def test_begun(self) -> None:
        """
        Half a reply has begun; the target's end does not make it whole.
        """
        decoder = makeEcho([], {}).replies(False)
        decoder.send(Request(data=b"a\n"))
        self.assertFalse(decoder.begun)
        self.assertEqual(answered(decoder, b"hal", end=True), [])
        self.assertTrue(decoder.begun)

    def test_unasked(self) -> None:
        """
        What nobody asked for is never taken for the next client's reply.
        """
        decoder = makeEcho([], {}).replies(False)
        decoder.send(Request(data=b"a\n"))
        decoder.feed(b"a\nb\n")
        self.assertEqual(decoder.next(), Reply(data=b"a\n"))
        with self.assertRaises(WireError) as caught:
            decoder.next()
        self.assertEqual(str(caught.exception), "it sent 2 bytes that nobody asked for")

    def test_longest(self) -> None:
        """
        A line of 64 KiB passes, and the first byte beyond it is refused with a reason.
        """
        line = b"x" * (LONGEST - 1) + b"\n"
        decoder = makeEcho([], {}).requests(False)
        self.assertEqual(asked(decoder, line), requests(line))
        decoder.feed(b"x" * LONGEST)
        self.assertEqual(decoder.next(), Refusal("a line has more than 65536 bytes"))

    @given(st.lists(st.binary(max_size=20)), st.lists(st.integers(0, 60)))
    def test_anyCuts(self, lines: list[bytes], cuts: list[int]) -> None:
        """
        Whatever lines say, and however the network cuts them, they are the same lines.
        """
        stream = b"".join(line.replace(b"\n", b"") + b"\n" for line in lines)
        places = [0, *sorted(cuts), len(stream)]
        pieces = [
            stream[a:b] for a, b in zip(places, [*places[1:], len(stream)], strict=True)
        ]
        events = asked(makeEcho([], {}).requests(False), *pieces)
        whole = [line + b"\n" for line in stream.split(b"\n")[:-1]]
        self.assertEqual(events, requests(*whole))

    def test_trouble(self) -> None:
        """
        A client that gets no reply is closed.
        """
        told = makeEcho([], {}).trouble(Trouble.LATE, None)
        self.assertEqual(told, Local(b"", close=True))

    def test_given(self) -> None:
        """
        C{echo} takes no options, and says so.
        """
        with self.assertRaises(ValueError) as caught:
            makeEcho([], {"delimiter": "x"})
        text = "there is no option 'delimiter': it has none"
        self.assertEqual(str(caught.exception), text)


class LineTests(SynchronousTestCase):
    """
    Lines that end in something else.
    """

    def test_delimiter(self) -> None:
        """
        A delimiter of several bytes, cut in the middle too, ends a line.
        """
        for pieces in splits(b"a\r\rb\r\n\r\n"):
            framing = makeLine([], {"delimiter": r"\r\n", "repeat": "no"})
            events = asked(framing.requests(False), *pieces)
            lines = requests(b"a\r\rb\r\n", b"\r\n", repeatable=False)
            self.assertEqual(events, lines)

    def test_longest(self) -> None:
        """
        C{longest} bounds a line, and C{repeat=yes} lets a request be sent twice.
        """
        framing = makeLine([], {"longest": "3", "repeat": "yes"})
        events = asked(framing.requests(False), b"ab\nabc")
        self.assertEqual(
            events,
            [*requests(b"ab\n"), Refusal("a line has more than 3 bytes")],
        )

    def test_wrong(self) -> None:
        """
        What cannot be is told with what can.
        """
        for options, text in (
            ({"longest": "0"}, "longest=0: give a number from 1 to 16777216"),
            ({"longest": "x"}, "longest=x: give a number from 1 to 16777216"),
            ({"repeat": "1"}, "repeat=1: give yes or no"),
            (
                {"delimiter": ""},
                r"delimiter=: give characters, or \r, \n, \t, \xHH",
            ),
            (
                {"end": "x"},
                "there is no option 'end': there are delimiter, longest, repeat",
            ),
        ):
            with self.assertRaises(ValueError) as caught:
                makeLine([], options)
            self.assertEqual(str(caught.exception), text)
        with self.assertRaises(ValueError) as caught:
            makeLine(["x"], {})
        self.assertEqual(str(caught.exception), "'x' is one argument too many")
