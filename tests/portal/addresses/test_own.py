"""
Tests for L{tunnelkit.portal.addresses.own}.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from ipaddress import IPv6Address
from struct import pack

from twisted.internet.defer import Deferred, succeed

from tests.logs import Log
from tests.portal.net import NetCase, at, stunAnswer
from tunnelkit.portal.addresses.own import AGAIN, EVERY, OwnAddress
from tunnelkit.portal.addresses.places import Place
from tunnelkit.portal.addresses.sockets import Address

IPV4: Address = ("203.0.113.1", 3478)
IPV6: Address = ("2001:db8::1", 3478)
OTHER: Address = ("203.0.113.2", 3478)


def answer6(transaction: bytes, seen: Address) -> bytes:
    """
    Give the answer to a request that came from an IPv6 address.
    """
    mask = bytes.fromhex("2112a442") + transaction
    raw = IPv6Address(seen[0]).packed
    host = bytes(a ^ b for a, b in zip(raw, mask, strict=True))
    value = pack("!xBH", 2, seen[1] ^ 0x2112) + host
    head = pack("!HHI", 0x0101, 4 + len(value), 0x2112A442) + transaction
    return head + pack("!HH", 0x0020, len(value)) + value


class OwnAddressTests(NetCase):
    """
    A portal learns where it is from the servers that it asked, in both families.
    """

    def setUp(self) -> None:
        """
        Ask a server with an address of each family, and a second one.
        """
        super().setUp()
        self.sent: list[tuple[bytes, Address]] = []
        self.counts: Counter[str] = Counter()
        self.changes = 0
        self.log = Log(self)
        names = {"stun": [IPV4, IPV6, ("203.0.113.9", 3478)], "other": [OTHER]}

        def resolve(host: str, port: int) -> Deferred[Sequence[Address]]:
            return succeed(names[host])

        servers = [Place(at(name, 3478), resolve, self.clock) for name in names]
        self.own = OwnAddress(
            servers,
            self.clock,
            self.net.random,
            lambda packet, to: not self.sent.append((packet, to)),  # type: ignore[func-returns-value]
            self.counts,
        )
        self.own.changed = self.changed
        self.own.start()
        self.addCleanup(self.own.stop)

    def changed(self) -> None:
        """
        Count a change.
        """
        self.changes += 1

    def transaction(self, server: Address) -> bytes:
        """
        Give the id of the last request to a server.
        """
        return [packet for packet, to in self.sent if to == server][-1][8:20]

    def test_both(self) -> None:
        """
        The addresses of both families are learnt, IPv4 first.
        """
        self.assertEqual([to for _, to in self.sent], [IPV4, IPV6, OTHER])
        seen6: Address = ("2001:db8::77", 6000)
        self.own.takes(answer6(self.transaction(IPV6), seen6), IPV6)
        seen4: Address = ("198.51.100.1", 5000)
        self.own.takes(stunAnswer(self.transaction(IPV4), seen4), IPV4)
        self.assertEqual(self.own.addresses, (seen4, seen6))
        self.assertEqual(self.changes, 2)

    def test_unguessable(self) -> None:
        """
        Each question has an id of its own.
        """
        self.net.run(EVERY + 10)
        asked = {packet[8:20] for packet, _ in self.sent}
        self.assertEqual(len(asked), 6)

    def test_again(self) -> None:
        """
        A server that does not answer is asked four times, ever more slowly, and anew
        some time later.
        """
        self.net.run(sum(AGAIN) - 0.05)
        self.assertEqual(len([to for _, to in self.sent if to == IPV4]), 4)
        self.assertEqual(self.counts["unanswered questions to STUN"], 0)
        self.net.run(0.1)
        self.assertEqual(self.counts["unanswered questions to STUN"], 3)
        self.sent.clear()
        self.net.run(EVERY - sum(AGAIN))
        self.assertIn(IPV4, [to for _, to in self.sent])

    def test_late(self) -> None:
        """
        The answer to a request that was sent again is taken once, whichever it
        answers.
        """
        transaction = self.transaction(IPV4)
        self.net.run(2)
        answer = stunAnswer(transaction, ("198.51.100.1", 5000))
        self.assertTrue(self.own.takes(answer, IPV4))
        self.assertFalse(self.own.takes(answer, IPV4))
        self.assertEqual(self.changes, 1)

    def test_wrong(self) -> None:
        """
        An answer with the id of another question, or from another server, is not
        believed, and the right one still is.
        """
        answer = stunAnswer(self.transaction(OTHER), ("198.51.100.66", 1))
        self.assertTrue(self.own.takes(answer, IPV4))
        self.assertFalse(self.own.takes(answer, ("192.0.2.66", 3478)))
        self.assertEqual(self.own.addresses, ())
        self.assertEqual(self.counts["wrong answers of STUN"], 1)
        right = stunAnswer(self.transaction(IPV4), ("198.51.100.1", 5000))
        self.own.takes(right, IPV4)
        self.assertEqual(self.own.addresses, (("198.51.100.1", 5000),))

    def test_symmetric(self) -> None:
        """
        Where two servers see two ports the log says, once, what that means.
        """
        for port, server in ((5000, IPV4), (5001, OTHER)):
            seen: Address = ("198.51.100.1", port)
            self.own.takes(stunAnswer(self.transaction(server), seen), server)
        (line,) = self.log.lines("warn")
        self.assertIn("the NAT here shows each peer another port", line)
        self.assertEqual(len(self.own.addresses), 2)
