"""
Tests for L{tunnelkit.admin.rooms}.
"""

from __future__ import annotations

from base64 import b64encode

from tests.admin.asking import TOKEN, AskingCase, FakeSource, Seen
from tunnelkit.admin.room import Room, asJSON
from tunnelkit.admin.rooms import DOORS, Door, makeRoot

LOCKED = ["/" + door.path for door in DOORS if door.locked]
PATHS = ["/" + door.path for door in DOORS if not door.streams]
NOWHERE = [
    "/nope",
    "/api",
    "/api/v1",
    "/api/v1/status/",
    "/api/v1/status/more",
    "/metrics/",
    "/healthz/more",
    "//",
    "/%00",
    "/..",
]


class LockedTests(AskingCase):
    """
    Who has no token sees nothing but whether the server is healthy.
    """

    def test_whatIsLocked(self) -> None:
        """
        The health check is the only thing that strangers see.
        """
        self.assertEqual(set(PATHS) - set(LOCKED), {"/healthz"})
        self.assertEqual(self.ask("/healthz", headers={}).code, 200)

    def test_noToken(self) -> None:
        """
        Without a token every room, there or not, says that it wants one and how to
        give it.
        """
        for path in (*LOCKED, *NOWHERE):
            seen = self.ask(path, headers={})
            self.assertEqual(seen.code, 401, path)
            self.assertIn("admin.token", seen.json()["error"])
            self.assertIn("Authorization: Bearer", seen.json()["error"])

    def test_wrongToken(self) -> None:
        """
        A wrong token is answered like none.
        """
        wrong = b64encode(b"admin:wrong").decode()
        for header in ("Bearer wrong", f"Basic {wrong}", "Bearer", "\xff"):
            seen = self.ask("/metrics", headers={"authorization": header})
            self.assertEqual(
                (seen.code, seen.body),
                (401, self.ask("/metrics", headers={}).body),
                header,
            )

    def test_challenge(self) -> None:
        """
        A browser is told to ask its user, and a program to send the token.
        """
        seen = self.ask("/", headers={})
        self.assertEqual(
            seen.headers.getRawHeaders("www-authenticate"),
            [
                'Bearer realm="tunnelkit admin"',
                'Basic realm="tunnelkit admin", charset="UTF-8"',
            ],
        )

    def test_rightToken(self) -> None:
        """
        With the token every room opens, for a program and for a browser.
        """
        password = b64encode(f"me:{TOKEN}".encode()).decode()
        for header in (f"Bearer {TOKEN}", f"Basic {password}"):
            for path in PATHS:
                seen = self.ask(path, headers={"authorization": header})
                self.assertEqual(seen.code, 200, path)

    def test_otherMethods(self) -> None:
        """
        No other method is a way round the lock.
        """
        for method in ("HEAD", "POST", "OPTIONS"):
            self.assertEqual(self.ask("/metrics", method, {}).code, 401, method)

    def test_disguisedPath(self) -> None:
        """
        A path that only looks like the health check's does not open another room.
        """
        for path in ("/healthz/../metrics", "/healthz;/metrics", "/%68ealthz"):
            self.assertEqual(self.ask(path, headers={}).code, 401, path)

    def test_emptyToken(self) -> None:
        """
        A server without an admin token has no admin rooms, not open ones.
        """
        self.assertRaises(ValueError, makeRoot, FakeSource(), "")


class AnswerTests(AskingCase):
    """
    What all rooms have in common.
    """

    def test_head(self) -> None:
        """
        HEAD gives what GET gives, without the body.
        """
        for path in PATHS:
            got, headed = self.ask(path), self.ask(path, "HEAD")
            self.assertEqual((headed.code, headed.body), (200, b""), path)
            self.assertEqual(headed.header("content-length"), str(len(got.body)))
            self.assertEqual(headed.header("content-type"), got.header("content-type"))

    def test_otherMethods(self) -> None:
        """
        Nothing can be changed here, and who tries is told what can be done instead.
        """
        for path in PATHS:
            for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"):
                seen = self.ask(path, method)
                self.assertEqual(seen.code, 405, f"{method} {path}")
                self.assertEqual(seen.header("allow"), "GET, HEAD")
                self.assertIn("GET and HEAD", seen.json()["error"])

    def test_nowhere(self) -> None:
        """
        A path that leads nowhere is answered in words.
        """
        for path in NOWHERE:
            seen = self.ask(path)
            self.assertEqual(seen.code, 404, path)
            self.assertIn("no room of this name", seen.json()["error"])

    def test_query(self) -> None:
        """
        A query, as some health checkers add one, changes nothing.
        """
        self.assertEqual(self.ask("/healthz?at=7", headers={}).code, 200)

    def every(self) -> list[Seen]:
        """
        Give an answer of each sort: a room's, and every refusal.
        """
        answers = [
            *map(self.ask, PATHS),
            self.ask("/", headers={}),
            self.ask("/nope"),
            self.ask("/", "POST"),
        ]
        self.source.now = None
        answers.append(self.ask("/"))
        self.flushLoggedErrors(RuntimeError)
        self.assertLessEqual({200, 401, 404, 405, 500}, {seen.code for seen in answers})
        return answers

    def test_headers(self) -> None:
        """
        No answer is kept in a cache, shown in a frame, taken for something else, or
        loads anything from elsewhere.
        """
        for seen in self.every():
            self.assertEqual(seen.header("cache-control"), "no-store")
            self.assertEqual(seen.header("x-content-type-options"), "nosniff")
            self.assertEqual(seen.header("x-frame-options"), "DENY")
            self.assertEqual(seen.header("referrer-policy"), "no-referrer")
            self.assertEqual(seen.header("cross-origin-resource-policy"), "same-origin")
            self.assertEqual(seen.header("server"), "tunnelkit")

    def test_policy(self) -> None:
        """
        A browser runs no script but the file of ours, not even one that got into the
        page.
        """
        for seen in self.every():
            policy = dict(
                part.strip().split(" ", 1)
                for part in seen.header("content-security-policy").split(";")
            )
            self.assertEqual(policy["default-src"], "'none'")
            self.assertEqual(policy["script-src"], "'self'")
            self.assertEqual(policy["style-src"], "'self'")
            self.assertEqual(policy["frame-ancestors"], "'none'")
            self.assertNotIn("unsafe", seen.header("content-security-policy"))


class FurtherRoomTests(AskingCase):
    """
    A room more is a line more.
    """

    def test_further(self) -> None:
        """
        A room that is added is there, locked, beside the others.
        """
        hello = Door("api/v2/hello", lambda source: Room(lambda: asJSON("hello")))
        self.root = makeRoot(self.source, TOKEN, (*DOORS, hello))
        self.assertEqual(self.ask("/api/v2/hello").json(), "hello")
        self.assertEqual(self.ask("/api/v2/hello", headers={}).code, 401)
        self.assertEqual(self.ask("/api/v1/status").code, 200)
