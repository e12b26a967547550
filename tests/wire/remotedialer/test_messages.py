"""
Tests for L{tunnelkit.wire.remotedialer.messages}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.wire.remotedialer.messages import Error, notFound, route, routed


class RouteTests(SynchronousTestCase):
    """
    A dial through the wrong server finds the right client.
    """

    def test_route(self) -> None:
        """
        A network names the client to dial through, where a peer asks.
        """
        for network, found in (
            ("tcp", ("", "tcp")),
            ("foo::tcp", ("foo", "tcp")),
            ("foo::bar::tcp", ("foo", "bar::tcp")),
            ("", ("", "")),
        ):
            self.assertEqual(route(network), found)
        self.assertEqual(route(routed("foo", "unix")), ("foo", "unix"))

    def test_notFound(self) -> None:
        """
        Who sends to a connection that is gone is told so in the words it knows.
        """
        self.assertEqual(
            notFound("client", 0, 2), Error(2, "connection not found client/0/2")
        )
