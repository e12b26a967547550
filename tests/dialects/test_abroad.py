"""
Tests for L{tunnelkit.dialects.abroad}.
"""

from __future__ import annotations

import hashlib
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase

from tests.fakes import pairOf, random
from tests.network import Network, Plain
from tunnelkit.carrier.route import Reached, Unreached
from tunnelkit.dialects.abroad import (
    AbroadSettings,
    ClientDialect,
    Means,
    Place,
    routeTo,
)
from tunnelkit.relay.best import relayFor
from tunnelkit.relay.secure import ServerTLS
from tunnelkit.wire.address import HostPort

PAIR = pairOf("127.0.0.1")
OTHER = pairOf("localhost")
PLACE = Place(HostPort("127.0.0.1", 7000), True)


def make(settings: AbroadSettings, means: Means) -> Any:
    """
    Make no client.
    """


DIALECT = ClientDialect(
    name="toy",
    takes=frozenset(),
    needs=frozenset(),
    tls=True,
    warning="",
    port=7000,
    check=lambda settings: None,
    make=make,
)


class RouteTests(SynchronousTestCase):
    """
    The way to another system's server.
    """

    def setUp(self) -> None:
        """
        Run a server with TLS.
        """
        self.network = Network()
        inner = Factory.forProtocol(Plain)
        factory = TLSMemoryBIOFactory(ServerTLS(PAIR), False, inner, self.network)
        self.network.listenTCP(7000, factory)

    def reach(self, place: Place = PLACE, **demands: Any) -> Deferred[Reached]:
        """
        Go there.
        """
        reactor: Any = self.network
        settings = AbroadSettings(dialect=DIALECT, place=place, **demands)
        means = Means(
            reactor=reactor,
            relay=relayFor(reactor),
            random=random,
            now=lambda: 0.0,
            failed=self.fail,
        )
        reaching = routeTo(settings, means).open()
        self.network.settle()
        return reaching

    def refusal(self, **demands: Any) -> str:
        """
        Give why it was not reached.
        """
        error = self.failureResultOf(self.reach(**demands), Unreached).value
        self.assertTrue(error.lasting)
        return str(error)

    def test_stranger(self) -> None:
        """
        A certificate that nobody vouches for is not good enough, as nothing else shows
        who is there.
        """
        words = self.refusal()
        self.assertIn("does not verify", words)
        self.assertIn("--fingerprint", words)
        self.assertIn("--ca", words)

    def test_fingerprint(self) -> None:
        """
        Unless the user names it, and then no other is.
        """
        good = hashlib.sha256(PAIR.der).digest()
        reached = self.successResultOf(self.reach(fingerprint=good))
        assert reached.seen is not None
        self.assertEqual(reached.seen.certificate, PAIR.der)
        words = self.refusal(fingerprint=hashlib.sha256(OTHER.der).digest())
        self.assertIn("not the one that --fingerprint demands", words)

    def test_authority(self) -> None:
        """
        Or who vouches for it.
        """
        self.successResultOf(self.reach(authority=PAIR.chain.decode()))
        self.assertIn("verify", self.refusal(authority=OTHER.chain.decode()))

    def test_plain(self) -> None:
        """
        Where the dialect is spoken in plain there is no TLS.
        """
        reached = self.successResultOf(self.reach(Place(PLACE.server, False)))
        self.assertIsNone(reached.seen)
