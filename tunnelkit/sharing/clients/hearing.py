# -*- test-case-name: tests.sharing.test_bounds -*-
"""
Hearing: what a client says is cut into requests, no faster than they can be taken.
"""

from __future__ import annotations

from typing import Any, Protocol

from tunnelkit.sharing.asking import Asking
from tunnelkit.sharing.bounds import Bounds
from tunnelkit.sharing.limits import Limits
from tunnelkit.wire.framings.contract import Asked, Requests


class Client(Protocol):
    """
    Who is heard.
    """

    @property
    def full(self) -> bool:
        """
        Whether it has asked enough for the moment.
        """

    def take(self, event: Asked) -> None:
        """
        It has said this.
        """

    def saidAll(self) -> None:
        """
        It says nothing more.
        """

    def keeps(self, size: int) -> bool:
        """
        So many bytes of a request have come that is not whole.

        @return: whether they may be kept.
        """

    def failed(self) -> None:
        """
        There was an exception, which is logged by who calls.
        """

    def late(self) -> None:
        """
        A request does not come to its end.
        """


class Hearing:
    """
    The half of a client's connection on which it says something.

    @ivar streaming: the request that is passed on while it comes; None mostly.
    @ivar ended: whether the client has ended its half.
    @ivar over: whether all that it may still say is dropped.
    @ivar paused: whether the connection is not read.
    """

    def __init__(
        self, client: Client, requests: Requests, bounds: Bounds, limits: Limits
    ) -> None:
        self.streaming: Asking | None = None
        self.ended = False
        self.over = False
        self.paused = False
        self.transport: Any = None
        self._client = client
        self._requests = requests
        self._bounds = bounds
        self._limits = limits
        self._held = bytearray()
        self._reading = False
        self._told = False

    @property
    def partial(self) -> int:
        """
        How many bytes of a request there are that is not whole.
        """
        return self._requests.partial

    def feed(self, data: bytes) -> None:
        """
        Take bytes of the client's.
        """
        if self.over:
            return
        if self.paused or self._reading or self._held:
            # What TLS had read before the pause comes all the same.
            self._held += data
            return
        self._requests.feed(data)
        self.goOn()

    def end(self) -> None:
        """
        The client says nothing more.
        """
        self.ended = True
        self.goOn()

    def goOn(self) -> None:
        """
        See what there is to be read, as far as there is room.
        """
        if self._reading or self.over:
            return
        self._reading = True
        try:
            self._read()
        except Exception:
            self._client.failed()
        finally:
            self._reading = False
        if not self.over:
            partial = 0 if self.streaming else self._requests.partial
            if self._client.keeps(partial):
                self._await()

    def _read(self) -> None:
        while not self.over:
            if self._full():
                self._pause()
                return
            event = self._requests.next()
            if event is not None:
                # What comes behind it has a time of its own.
                self._limits.drop("whole")
                self._client.take(event)
            elif self._held:
                data = bytes(self._held)
                self._held.clear()
                self._requests.feed(data)
            elif self.ended and not self._told:
                self._told = True
                self._requests.ended()
            else:
                break
        self.resume()
        if self._told and not self.over:
            self._client.saidAll()

    def _full(self) -> bool:
        if self.streaming is not None:
            line = self.streaming.line
            return line is None or line.choked
        return self._client.full

    def _pause(self) -> None:
        if not self.paused:
            self.paused = True
            if not self.ended:
                self.transport.pauseProducing()

    def resume(self) -> None:
        """
        Read the connection again.
        """
        if self.paused:
            self.paused = False
            if not self.ended:
                self.transport.resumeProducing()

    def stop(self) -> None:
        """
        Drop whatever comes from now on.
        """
        self.over = True
        self._held.clear()
        self._limits.drop("whole")
        self._limits.drop("pause")

    def _await(self) -> None:
        """
        Limit how long the rest of a request may take, if there is one to come.
        """
        limits, bounds = self._limits, self._bounds
        if self.streaming is not None:
            limits.drop("whole")
            if self.paused:
                limits.drop("pause")
            else:
                limits.set("pause", bounds.pause, self._client.late)
            return
        limits.drop("pause")
        if not self._requests.partial or self.paused:
            limits.drop("whole")
        else:
            limits.begin("whole", bounds.whole, self._client.late)
