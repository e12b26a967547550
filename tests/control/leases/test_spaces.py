"""
Tests for L{tunnelkit.control.leases.spaces}.
"""

from __future__ import annotations

from tests.fakes import TimedCase
from tunnelkit.control.leases.claims import Denied
from tunnelkit.control.leases.spaces import Spaces
from tunnelkit.state.store import MemoryStore
from tunnelkit.wire.ports import PortSet


class Store(MemoryStore):
    """
    A store that counts how it is used.
    """

    opened = closed = 0

    def load(self) -> list:  # type: ignore[type-arg]
        """
        Count.
        """
        self.opened += 1
        return super().load()

    def close(self):  # type: ignore[no-untyped-def]
        """
        Count.
        """
        self.closed += 1
        return super().close()


class SpacesTests(TimedCase):
    """
    TCP's and UDP's ports have nothing to do with each other.
    """

    def spaces(self, store: Store) -> Spaces:
        """
        Open a store.
        """
        spaces = Spaces(
            store,
            PortSet.parse("9000"),
            clock=self.clock,
            now=self.clock.seconds,
            choose=lambda below: 0,
        )
        spaces.load()
        return spaces

    def test_apart(self) -> None:
        """
        The only port there is can be had twice, by different users; each space gives
        it once.
        """
        spaces = self.spaces(Store())
        tcp, udp = spaces.bySpace["tcp"], spaces.bySpace["udp"]
        self.assertEqual(tcp.claim("ann", "c", "t", 0, self).port, 9000)
        self.assertEqual(udp.claim("bob", "c", "t", 0, self).port, 9000)
        for leases in (tcp, udp):
            self.assertRaises(Denied, leases.claim, "eve", "c", "t", 9000, self)
        spaces.close()

    def test_store(self) -> None:
        """
        Both are in one store, which is opened once, closed once, and has all of them
        the next time.
        """
        store = Store()
        spaces = self.spaces(store)
        spaces.bySpace["udp"].claim("ann", "c", "t", 0, self)
        spaces.touch()
        self.successResultOf(spaces.close())
        self.assertEqual((store.opened, store.closed), (1, 1))
        self.successResultOf(spaces.close())
        again = self.spaces(store)
        self.assertRaises(Denied, again.bySpace["udp"].claim, "bob", "c", "t", 0, self)
        self.assertEqual(
            again.bySpace["tcp"].claim("bob", "c", "t", 0, self).port, 9000
        )
        self.assertEqual(again.trouble, None)
        again.close()
