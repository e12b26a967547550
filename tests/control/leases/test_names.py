"""
Tests for L{tunnelkit.control.leases.names}.
"""

from __future__ import annotations

from tests.fakes import TimedCase
from tunnelkit.control.leases.claims import Contested, Denied
from tunnelkit.control.leases.names import NameLeases
from tunnelkit.state.store import MemoryStore
from tunnelkit.wire import codes
from tunnelkit.wire.ports import PortSet


class NameLeasesTests(TimedCase):
    """
    A private tunnel's name belongs to one user of the server.
    """

    def setUp(self) -> None:
        """
        Open a store.
        """
        super().setUp()
        self.store = MemoryStore()
        self.leases = self.opened()

    def opened(self) -> NameLeases:
        """
        Start a server.
        """
        leases = NameLeases(
            self.store,
            PortSet.parse("9000"),
            clock=self.clock,
            now=self.clock.seconds,
            choose=lambda below: 0,
        )
        leases.load()
        return leases

    def test_many(self) -> None:
        """
        There are as many names as are asked for, whatever ports the server may use.
        """
        for name in ("ssh", "db", "web"):
            lease = self.leases.claim("ann", "laptop", name, 0, self)
            self.assertEqual((lease.space, lease.tunnel), ("private", name))
            self.assertIs(self.leases.holder(name), self)

    def test_nobody(self) -> None:
        """
        A name that nobody has, or has any more, leads nowhere.
        """
        self.assertIsNone(self.leases.holder("ssh"))
        lease = self.leases.claim("ann", "laptop", "ssh", 0, self)
        self.leases.release(lease, self)
        self.assertIsNone(self.leases.holder("ssh"))

    def test_another(self) -> None:
        """
        Another user does not get the name, be it used at the moment or not; so nobody
        can wait at it for visitors who look for somebody else.
        """
        lease = self.leases.claim("ann", "laptop", "ssh", 0, self)
        for _ in range(2):
            denied = self.assertRaises(
                Denied, self.leases.claim, "bob", "laptop", "ssh", 0, object()
            )
            self.assertEqual(denied.code, codes.NAME_LEASED)
            self.assertIn("the name ssh belongs to another user", denied.reason)
            self.leases.release(lease, self)

    def test_restarted(self) -> None:
        """
        So it is after the server was started again.
        """
        self.leases.release(self.leases.claim("ann", "c", "ssh", 0, self), self)
        self.leases.claim("ann", "c", "db", 0, self)
        self.leases.close()
        again = self.opened()
        self.assertRaises(Denied, again.claim, "bob", "c", "ssh", 0, self)
        self.assertRaises(Denied, again.claim, "bob", "c", "db", 0, self)
        again.claim("bob", "c", "web", 0, self)
        again.claim("ann", "c", "ssh", 0, self)
        self.assertEqual(
            {name: again.holder(name) is self for name in ("ssh", "db", "web")},
            {"ssh": True, "db": False, "web": True},
        )

    def test_contested(self) -> None:
        """
        Two clients of one user who publish the same name are one too many.
        """
        self.leases.claim("ann", "laptop", "ssh", 0, self)
        contested = self.assertRaises(
            Contested, self.leases.claim, "ann", "desk", "ssh", 0, object()
        )
        self.assertIs(contested.holder, self)
        self.assertEqual(contested.lease.client, "laptop")

    def test_expires(self) -> None:
        """
        After a day anybody may have it.
        """
        self.leases.release(self.leases.claim("ann", "c", "ssh", 0, self), self)
        self.clock.advance(24 * 3600)
        self.leases.claim("bob", "c", "ssh", 0, self)
        self.assertIs(self.leases.holder("ssh"), self)
