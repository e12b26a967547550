"""
Tests for L{tunnelkit.wire.remotedialer.login}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.golden.recorded import meta, streams
from tunnelkit.wire.remotedialer.login import (
    CLIENT,
    PATH,
    PEER,
    PEER_TOKEN,
    isClient,
    isPeer,
    shown,
)
from tunnelkit.wire.remotedialer.websocket import Asked, WebSocket


def asked(name: str, connection: int) -> Asked:
    """
    Give the request of a recorded client.
    """
    head = streams("remotedialer", name)[connection, "c2s"].partition(b"\r\n\r\n")[0]
    (request,) = WebSocket.server(bytes).receive(head + b"\r\n\r\n")
    assert isinstance(request, Asked)
    return request


class LoginTests(SynchronousTestCase):
    """
    Who is known gets in, and nobody else.
    """

    def test_goldenClient(self) -> None:
        """
        A real client is known by its id.
        """
        request = asked("session", 1)
        self.assertEqual(request.target, PATH)
        self.assertTrue(isClient(request.header(CLIENT), ["bar", "foo"]))
        self.assertEqual(request.header(PEER), "")

    def test_goldenPeer(self) -> None:
        """
        A real peer is known by its id and its token.
        """
        server = meta("remotedialer", "peers")["server_b"]
        request = asked("peers", 1)
        name, token = request.header(PEER), request.header(PEER_TOKEN)
        self.assertTrue(isPeer(name, token, {server["id"]: server["token"]}))

    def test_strangers(self) -> None:
        """
        Ids and tokens that are not listed, or are empty, do not get in.
        """
        for key in ("", "fo", "fooo", "FOO", "\u00e9", "\udcff"):
            self.assertFalse(isClient(key, ["foo", ""]), key)
        known = {"a": "token-a", "b": "token-b", "c": "", "": "x"}
        for name, token in (
            ("a", "token-b"),
            ("z", "token-a"),
            ("z", ""),
            ("c", ""),
            ("", "x"),
            ("a", "\udcff"),
        ):
            self.assertFalse(isPeer(name, token, known), name)

    def test_shown(self) -> None:
        """
        Logs tell clients apart, and tell nobody an id.
        """
        self.assertEqual(shown("foo"), "2c26b46b")
        self.assertNotEqual(shown("foo"), shown("bar"))
