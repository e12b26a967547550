"""
Tests for L{tunnelkit.admin.page.page} and L{tunnelkit.admin.page.tables}.
"""

from __future__ import annotations

import re
from dataclasses import fields, replace
from html.parser import HTMLParser
from typing import Any, TypeVar

from tests.admin.asking import (
    DATAGRAMS,
    EMPTY,
    SESSION,
    STATUS,
    TROUBLED,
    TUNNEL,
    AskingCase,
)
from tunnelkit.admin.page.tables import MOST

HOSTILE = "\"'></td></script><script src=//evil.example>alert(1)</script>&lt;$tunnels"

_Status = TypeVar("_Status")


class Reader(HTMLParser):
    """
    Reads a page as a browser does.

    @ivar elements: each element and the names of its attributes.
    @ivar links: what the page points to or loads.
    @ivar ids: the ids of elements.
    @ivar words: the text, in pieces.
    """

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """
        Note an element.
        """
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        for name, value in attrs:
            if name in ("href", "src"):
                self.links.append(value or "")
            if name == "id":
                self.ids.append(value or "")

    def handle_data(self, data: str) -> None:
        """
        Note text.
        """
        if data.strip():
            self.words.append(data.strip())


def hostile(status: _Status) -> _Status:
    """
    Give a status with hostile text wherever there is text.
    """
    dataclass: Any = status
    changed = {
        field.name: HOSTILE for field in fields(dataclass) if field.type == "str"
    }
    return replace(dataclass, **changed)  # type: ignore[no-any-return]


class PageCase(AskingCase):
    """
    A test that looks at the page.
    """

    def page(self) -> Reader:
        """
        Ask for the page and read it.
        """
        seen = self.ask("/")
        self.assertEqual(seen.code, 200)
        self.assertEqual(seen.header("content-type"), "text/html; charset=utf-8")
        return Reader(seen.body)


class PageTests(PageCase):
    """
    A person sees how the server does.
    """

    def test_tunnel(self) -> None:
        """
        A tunnel's public address, client, visitors and bytes can be read without a
        script.
        """
        words = self.page().words
        for shown in (
            "tcp://vps.example.org:20411",
            "web",
            "garage",
            "18\u202f234",
            "1.5 KiB",
            "5.0 GiB",
        ):
            self.assertIn(shown, words)

    def test_withdrawn(self) -> None:
        """
        Of a tunnel that is withdrawn and still has visitors both can be read; among
        those that are open it is not counted.
        """
        withdrawn = replace(TUNNEL, withdrawn=True)
        self.source.now = replace(STATUS, tunnels=(TUNNEL, withdrawn))
        words = self.page().words
        self.assertEqual((words.count("tcp"), words.count("tcp, withdrawn")), (1, 1))
        self.assertEqual(words[words.index("Tunnels") + 1], "1")
        self.assertEqual(words[words.index("Streams") + 1], "6")

    def test_session(self) -> None:
        """
        A client, where it comes from, since when and how far away it is can be read.
        """
        words = self.page().words
        for shown in (
            "garage",
            "203.0.113.24:51822",
            "2026-11-09 10:03 UTC",
            "21.3 ms",
            "3 busy",
            "6 idle",
            "9f3a21c0",
        ):
            self.assertIn(shown, words)

    def test_counts(self) -> None:
        """
        The totals since the start have names for people.
        """
        words = self.page().words
        self.assertEqual(words[words.index("Logins failed") + 1], "4")
        self.assertIn("5 not logged in yet", words)

    def test_condition(self) -> None:
        """
        Whether all is well is to be read in words, in the tab's title too.
        """
        for status, condition in (
            (STATUS, "healthy"),
            (replace(STATUS, draining=True), "draining"),
            (TROUBLED, "in trouble"),
        ):
            self.source.now = status
            words = self.page().words
            self.assertIn(condition, words)
            self.assertIn(f"tunnelkit: {condition}", words)

    def test_troubles(self) -> None:
        """
        Every trouble stands on the page.
        """
        self.source.now = TROUBLED
        words = self.page().words
        self.assertIn("the lease store is full", words)
        self.assertIn("the sky falls", words)

    def test_empty(self) -> None:
        """
        A server that nobody uses yet says so in place of empty tables.
        """
        self.source.now = EMPTY
        words = self.page().words
        self.assertIn("No tunnel is open.", words)
        self.assertIn("No client is logged in.", words)

    def test_many(self) -> None:
        """
        With thousands of tunnels the page stays one that can be read, and says how
        many it leaves out.
        """
        self.source.now = replace(
            STATUS, tunnels=(TUNNEL,) * (MOST + 1200), sessions=(SESSION,) * MOST
        )
        page = self.page()
        rows = [tag for tag, _ in page.elements].count("tr")
        self.assertEqual(rows, 2 + MOST + 1 + MOST)
        self.assertIn("and 1\u202f200 more", page.words)

    def test_order(self) -> None:
        """
        Rows keep their places from one look to the next.
        """
        tunnels = tuple(replace(TUNNEL, name=name) for name in ("b-1", "a-1", "c-1"))
        self.source.now = replace(STATUS, tunnels=tunnels)
        before = self.page().words
        self.source.now = replace(STATUS, tunnels=tunnels[::-1])
        self.assertEqual(self.page().words, before)
        shown = [word for word in before if word in ("a-1", "b-1", "c-1")]
        self.assertEqual(shown, ["a-1", "b-1", "c-1"])

    def test_live(self) -> None:
        """
        A look again shows the numbers of that moment.
        """
        self.assertIn("1.5 KiB", self.page().words)
        self.source.now = replace(STATUS, tunnels=(replace(TUNNEL, received=2048),))
        words = self.page().words
        self.assertIn("2.0 KiB", words)
        self.assertNotIn("1.5 KiB", words)

    def test_compressed(self) -> None:
        """
        What compression gains stands beside the bytes of a tunnel; where there is none
        there is a dash.
        """
        self.assertIn("\N{EN DASH}", self.page().words)
        packed = replace(
            TUNNEL, sent=14464, compress="zstd", receivedPacked=2000, sentPacked=3000
        )
        self.source.now = replace(STATUS, tunnels=(packed,))
        words = self.page().words
        self.assertNotIn("\N{EN DASH}", words)
        self.assertEqual(words[words.index("3.2 to 1") + 1], "zstd")

    def test_datagrams(self) -> None:
        """
        A UDP tunnel shows its flows, its datagrams, and those that were dropped, by
        cause; what never happened is left out.
        """
        self.source.now = replace(STATUS, tunnels=(DATAGRAMS,))
        words = self.page().words
        self.assertIn("udp://vps.example.org:5300", words)
        for expected in ("24 in, 23 out", "4 queue, 2 late"):
            self.assertIn(expected, words)

    def test_refresh(self) -> None:
        """
        Without a script the page refreshes itself.
        """
        self.assertIn(
            b'<noscript><meta http-equiv="refresh" content="10"></noscript>',
            self.ask("/").body,
        )


class HostileTests(PageCase):
    """
    What clients choose is text on the page, and never anything else.
    """

    def test_hostileText(self) -> None:
        """
        A page full of hostile names has the same elements and attributes as any, and
        the names to be read on it.
        """
        self.source.now = replace(TROUBLED, troubles=("all is lost",))
        usual = self.page()
        self.source.now = replace(
            hostile(STATUS),
            troubles=(HOSTILE,),
            counts=((HOSTILE, 1), ("logins_failed", 4)),
            sessions=(hostile(SESSION),),
            tunnels=(hostile(TUNNEL),),
        )
        page = self.page()
        self.assertEqual(page.elements, usual.elements)
        self.assertEqual(page.links, usual.links)
        self.assertEqual(page.ids, usual.ids)
        # The program, the trouble, the count, five of the tunnel, five of the session.
        self.assertEqual(page.words.count(HOSTILE), 14)

    def test_unprintableText(self) -> None:
        """
        A name that is not even text does not take the page away.
        """
        self.source.now = replace(
            STATUS, tunnels=(replace(TUNNEL, name="a\ud800\u202eb"),)
        )
        self.assertIn("a\ufffd\ufffdb", self.page().words)


class FilesTests(AskingCase):
    """
    The page brings what it needs, and needs nothing from elsewhere.
    """

    def test_links(self) -> None:
        """
        All that the page loads or points to is here, also where the rooms are seen
        under another path.
        """
        links = Reader(self.ask("/").body).links
        self.assertLessEqual({"page.css", "page.js", "page.svg"}, set(links))
        for link in links:
            self.assertNotRegex(link, "^(/|[a-z]+:)")
            self.assertEqual(self.ask("/" + link).code, 200, link)

    def test_kinds(self) -> None:
        """
        A browser takes the files for what they are.
        """
        for name, kind in (
            ("page.css", "text/css; charset=utf-8"),
            ("page.js", "text/javascript; charset=utf-8"),
            ("page.svg", "image/svg+xml"),
        ):
            seen = self.ask("/" + name)
            self.assertEqual(seen.header("content-type"), kind)
            self.assertGreater(len(seen.body), 100)

    def test_nothingInline(self) -> None:
        """
        Nothing on the page needs what its own policy forbids.
        """
        for tag, attributes in Reader(self.ask("/").body).elements:
            self.assertNotEqual(tag, "style")
            self.assertNotIn("style", attributes)
            self.assertEqual([a for a in attributes if a.startswith("on")], [], tag)
            if tag == "script":
                self.assertIn("src", attributes)

    def test_nothingFromElsewhere(self) -> None:
        """
        The files load nothing either.
        """
        self.assertNotRegex(self.ask("/page.css").body.decode(), r"url\(|@import")
        self.assertNotRegex(self.ask("/page.js").body.decode(), r"https?:|innerHTML")

    def test_parts(self) -> None:
        """
        Each part that the script keeps fresh is on the page.
        """
        script = self.ask("/page.js").body.decode()
        found = re.search(r"PARTS = \[(.*?)\]", script)
        assert found is not None
        parts = re.findall(r'"(\w+)"', found[1])
        self.assertEqual(len(parts), 6)
        ids = Reader(self.ask("/").body).ids
        for part in (*parts, "freshness"):
            self.assertEqual(ids.count(part), 1, part)
