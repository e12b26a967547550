"""
Tests for L{tunnelkit.relay.flows.table}.
"""

from __future__ import annotations

from tests.fakes import TimedCase
from tunnelkit.relay.flows.flow import Flow
from tunnelkit.relay.flows.table import TICK, FlowTable
from tunnelkit.wire.native.datagrams import Run
from tunnelkit.wire.native.messages import FlowEnd


class Silent(Flow):
    """
    A flow of which nothing comes.
    """

    def deliver(self, run: Run) -> None:
        """
        Do nothing.
        """


class Told:
    """
    A carrier that remembers which flows ended.

    @ivar said: numbers and reasons.
    """

    def __init__(self) -> None:
        self.said: list[tuple[int, str]] = []

    def put(self, frame: bytes) -> None:
        """
        Do nothing.
        """

    def tell(self, message: FlowEnd) -> None:
        """
        Remember it.
        """
        self.said.append((message.id, message.reason))

    def forget(self, flow: Flow) -> None:
        """
        Do nothing.
        """


class FlowTableTests(TimedCase):
    """
    Who says nothing for long is forgotten, and nobody before.
    """

    def setUp(self) -> None:
        """
        Make a table of three places.
        """
        super().setUp()
        self.left: list[int] = []
        self.told = Told()
        self.table = FlowTable(
            self.clock, lambda flow: self.left.append(flow.id), most=3, idle=90
        )

    def begin(self, number: int) -> Silent:
        """
        Begin a flow.
        """
        flow = Silent(number, f"visitor {number}", self.table)
        flow.carrier = self.told
        self.table.add(flow)
        return flow

    def wait(self, seconds: int) -> None:
        """
        Let time pass.
        """
        self.clock.pump([TICK] * seconds)

    def test_idle(self) -> None:
        """
        A flow is over after 90 seconds without a datagram, and the other side is told;
        then nothing is left that waits.
        """
        self.begin(1)
        self.wait(89)
        self.assertEqual((self.left, len(self.table)), ([], 1))
        self.wait(2)
        self.assertEqual((self.left, len(self.table)), ([1], 0))
        self.assertEqual(self.told.said, [(1, "nothing came for 90 seconds")])

    def test_used(self) -> None:
        """
        One that is used stays.
        """
        flow = self.begin(1)
        for _ in range(10):
            self.wait(60)
            self.table.touch(flow)
        self.assertEqual(self.left, [])
        self.wait(91)
        self.assertEqual(self.left, [1])

    def test_bound(self) -> None:
        """
        Where there is no place left the one leaves that was not used for longest,
        whoever came first.
        """
        flows = [self.begin(number) for number in (1, 2, 3)]
        self.table.touch(flows[0])
        self.begin(4)
        self.assertEqual(self.left, [2])
        self.table.touch(flows[2])
        self.begin(5)
        self.begin(6)
        self.assertEqual(self.left, [2, 1, 4])
        self.assertEqual(self.told.said[0], (2, "another flow needed its place"))
        self.assertEqual((len(self.table), self.table.total), (3, 6))
        self.table.clear("over")

    def test_end(self) -> None:
        """
        A flow that the other side ended is forgotten without an answer, once.
        """
        flow = self.begin(1)
        self.table.end(flow, "gone", known=True)
        self.table.end(flow, "gone", known=True)
        self.assertEqual((self.left, self.told.said), ([1], []))
        other = self.begin(1)
        self.table.end(flow, "an old one is not the new one")
        self.assertEqual(len(self.table), 1)
        self.table.end(other, "bye")
        self.assertEqual(self.told.said, [(1, "bye")])
        self.wait(1)

    def test_unannounced(self) -> None:
        """
        The other side is told nothing of a flow of which it has never heard.
        """
        flow = self.begin(1)
        flow.opening = b"announcement"
        self.table.end(flow, "gone")
        self.assertEqual(self.told.said, [])
        self.wait(1)

    def test_clear(self) -> None:
        """
        All end together when their tunnel does, and nothing is left that waits.
        """
        for number in (1, 2, 3):
            self.begin(number)
        self.table.clear("the tunnel was withdrawn")
        self.assertEqual(self.left, [1, 2, 3])
        self.assertEqual(self.told.said[2], (3, "the tunnel was withdrawn"))
