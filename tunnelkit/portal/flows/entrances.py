# -*- test-case-name: tests.portal.test_portals -*-
"""
Entrances: where local senders come in at the near portal, and the passage that they
share to one far portal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from twisted.internet.interfaces import IReactorTime

from tunnelkit.portal.addresses.sockets import Address, ListenUDP, Socket
from tunnelkit.portal.flows.numbers import Numbers
from tunnelkit.portal.flows.table import MOST, Flows
from tunnelkit.relay.asked import Source


@dataclass(slots=True)
class Sender:
    """
    A local sender.

    @ivar entrance: by which socket it came.
    @ivar asked: what has an answer come from the address that it sent to.
    @ivar flow: the number of its flow.
    @ivar answered: whether the far side has ever sent something to it.
    """

    entrance: Socket
    address: Address
    asked: Source
    flow: int
    answered: bool = False


_Key: TypeAlias = tuple[Socket, Address, Source]


class Passage:
    """
    The flows to one far portal.  All entrances that lead there share it, so that no two
    senders have the same number there.

    @ivar came: told when there is a new flow.
    """

    def __init__(
        self,
        clock: IReactorTime,
        numbers: Numbers,
        send: Callable[[int, bytes], bool],
        longest: int,
        counts: Counter[str],
        most: int = MOST,
    ) -> None:
        """
        @param send: sends a datagram of a flow to the far portal, and tells whether it
            could.
        @param longest: the longest datagram, in bytes; what is longer is dropped, never
            cut.
        """
        self.came: Callable[[], object] = lambda: None
        self._numbers = numbers
        self._send = send
        self._longest = longest
        self._counts = counts
        self._senders: Flows[_Key, Sender] = Flows(clock, self._ended, most)
        self._byFlow: dict[int, Sender] = {}

    def __len__(self) -> int:
        return len(self._senders)

    def __contains__(self, flow: int) -> bool:
        return flow in self._byFlow

    def enter(
        self, entrance: Socket, datagram: bytes, address: Address, asked: Source
    ) -> None:
        """
        Take a datagram of a local sender.

        @param asked: what has an answer come from the address that it was sent to.
        """
        if len(datagram) > self._longest:
            self._counts["too long"] += 1
            return
        key = entrance, address, asked
        sender = self._senders.use(key) or self._begin(key)
        if sender is not None and not self._send(sender.flow, datagram):
            self._counts["not sent"] += 1

    def leave(self, flow: int, datagram: bytes) -> None:
        """
        Take a datagram of the far portal.
        """
        sender = self._byFlow.get(flow)
        if sender is None:
            self._counts["of an unknown flow"] += 1
            return
        self._senders.use((sender.entrance, sender.address, sender.asked))
        sender.answered = True
        if not sender.entrance.write(datagram, sender.address, sender.asked):
            self._counts["not taken by the kernel"] += 1

    def shut(self, entrance: Socket) -> None:
        """
        End all flows of an entrance.
        """
        for key in self._senders.inOrder():
            if key[0] is entrance:
                self._senders.end(key)

    def clear(self) -> None:
        """
        End all.
        """
        self._senders.clear()

    def _begin(self, key: _Key) -> Sender | None:
        flow = self._numbers.take(key[1])
        if flow is None:
            self._counts["flows beyond the bound"] += 1
            return None
        sender = Sender(*key, flow)
        self._senders.add(key, sender)
        self._byFlow[flow] = sender
        self.came()
        return sender

    def _ended(self, key: _Key, sender: Sender, used: float) -> None:
        if not sender.answered:
            self._counts["flows without an answer"] += 1
        del self._byFlow[sender.flow]
        self._numbers.free(sender.flow, sender.address, used)


class Entrance:
    """
    A local address that leads to a passage.

    @ivar passage: where it leads.
    """

    def __init__(self, passage: Passage) -> None:
        self.passage = passage
        self._socket = Socket(self._received, asks=True)

    def open(self, listen: ListenUDP, host: str, port: int) -> None:
        """
        Listen.

        @raise CannotListenError: that address is taken, or not ours.
        """
        self._socket.open(listen, host, port)

    @property
    def at(self) -> str:
        """
        Where it listens.
        """
        return str(self._socket.at)

    def close(self) -> None:
        """
        Listen no longer, and end its flows.
        """
        self.passage.shut(self._socket)
        self._socket.close()

    def _received(self, datagram: bytes, address: Address, asked: Source) -> None:
        self.passage.enter(self._socket, datagram, address, asked)
