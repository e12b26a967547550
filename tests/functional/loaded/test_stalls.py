"""
Tests of what a thousand visitors who do not read cost, of a service that never stops:
little memory, and nobody's time but their own.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import termios
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SkipTest

from tests.bench.procfs import resident
from tests.stage.crowd import Echo, Source, queue
from tests.stage.ended import ended
from tests.stage.programs import LIMIT, Program, stuck, together
from tests.stage.sockets import (
    Address,
    Ending,
    connected,
    receive,
    receiveExactly,
    reset,
)
from tests.stage.watch import (
    MARK,
    WatchedCase,
    descriptors,
    mib,
    pipesOf,
)

STALLED: Final = 1_000
OTHERS: Final = 500
READING: Final = 20
"""How many read on in the end."""
MORE: Final = 1_000_000
"""What each of those reads then, in bytes: more than was on its way."""

KERNELS: Final = 65536
"""What the kernel is to keep at each side of each connection, in bytes."""
NARROW: Final = f"""\
import socket

from tunnelkit.relay.fast import end


def narrowing(whole):
    def narrow(self, *arguments, **options):
        whole(self, *arguments, **options)
        if self.family != socket.AF_UNIX:
            for which in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                self.setsockopt(socket.SOL_SOCKET, which, {KERNELS})

    return narrow


class Narrow(end.Socket):
    __init__ = narrowing(end.Socket.__init__)


end.Socket = Narrow
socket.socket.__init__ = narrowing(socket.socket.__init__)
"""
"""
Has the kernel keep little for a program's connections.  Else it would keep some
megabytes for each visitor, and have none left for others: a limit of its own
(C{net.ipv4.tcp_mem}), which is not looked at here.
"""
ORDINARY: Final = (
    ("setpriv", "--bounding-set=-sys_admin,-sys_resource") if os.geteuid() == 0 else ()
)
"""Has a program run with no more pipes than C{pipe-user-pages-soft} says."""


@dataclass(frozen=True, slots=True)
class Held:
    """
    What a program holds.

    @ivar memory: resident, in bytes.
    @ivar pipes: how many pipes it has.
    @ivar piped: how many bytes are in them.
    """

    memory: int
    pipes: int
    piped: int

    @classmethod
    def by(cls, program: Program) -> Held:
        """
        Look.
        """
        pid = program.transport.pid
        files = descriptors(program)
        pipes = pipesOf(files)
        # Each of which may have two descriptors here.
        ends = {name: number for number, name in files.items() if name in pipes}
        piped = sum(_waiting(f"/proc/{pid}/fd/{fd}") for fd in ends.values())
        return cls(resident([pid]), len(pipes), piped)


def _waiting(path: str) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        told = fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4))
    finally:
        os.close(descriptor)
    return int.from_bytes(told, "little")


if TYPE_CHECKING:
    _Case = WatchedCase
else:
    _Case = object


class StalledMixin(_Case):
    """
    The case, for each path.

    @cvar options: of both programs.
    @cvar wrap: a command that runs either program's.
    @cvar most: by how much a program may grow for each visitor, in KiB.
    """

    options: ClassVar[tuple[str, ...]] = ()
    wrap: ClassVar[tuple[str, ...]] = ()
    most: ClassVar[int]

    async def others(self, address: Address, count: int) -> None:
        """
        Have other visitors come to the echo, who must all be answered.
        """

        def visit(number: int) -> None:
            with connected(address) as visitor:
                said = MARK + b"%d" % number
                visitor.sendall(said)
                visitor.shutdown(socket.SHUT_WR)
                got = receive(visitor)
                self.assertEqual((got.ending, got.first), (Ending.END, said))

        await queue(count, visit, 8)

    def come(self, address: Address, crowd: list[socket.socket]) -> None:
        """
        Have all those come who do not read; their first byte shows that they are
        served.
        """
        for _ in range(STALLED):
            crowd.append(visitor := connected(address, KERNELS))
            self.addCleanup(visitor.close)
            self.assertEqual(receiveExactly(visitor, 1), MARK[:1])

    def readOn(self, source: Source, crowd: Iterable[socket.socket]) -> None:
        """
        Have some read on, who must hear what comes next.
        """
        for visitor in crowd:
            self.assertEqual(receiveExactly(visitor, MORE), source.said(1, MORE))

    async def test_thousand(self) -> None:
        """
        1,000 visitors do not read what a service sends them without end.  While they
        come, and while they stall, others are answered; for each of them neither
        program grows by more than a few buffers; who reads on later misses nothing.
        """
        self.needFiles(3 * STALLED)
        echo, source = Echo(), Source(buffer=KERNELS)
        self.addCleanup(echo.stop)
        self.addCleanup(source.stop)
        watched = await self.watched(
            f"{source.tunnel}:name=flood",
            f"{echo.tunnel}:name=echo",
            server=self.options,
            client=self.options,
            environment=self.prepared(NARROW),
            wrap=self.wrap,
        )
        flood = await watched.client.leads("flood")
        others = await watched.client.leads("echo")
        await self.others(others, 100)
        files = await watched.files()
        programs = watched.server, watched.client
        before = [Held.by(each) for each in programs]

        crowd: list[socket.socket] = []
        coming = deferToThread(self.come, flood, crowd)
        await self.others(others, OTHERS)
        await coming
        await together(
            stuck(lambda: source.sent, "what the service says", 3 * LIMIT),
            self.others(others, OTHERS),
        )
        after = [Held.by(each) for each in programs]
        self.told(source, before, after)
        for then, now in zip(before, after, strict=True):
            self.assertLessEqual((now.memory - then.memory) / STALLED, self.most * 1024)
        await self.others(others, OTHERS)
        await deferToThread(self.readOn, source, crowd[:: STALLED // READING])
        self.assertEqual((await watched.figures()).streams, STALLED)
        for visitor in crowd:
            reset(visitor)
        await watched.back(files)

    def told(self, source: Source, before: list[Held], after: list[Held]) -> None:
        """
        Print what was found.
        """
        for name, then, now in zip(("server", "client"), before, after, strict=True):
            grown = (now.memory - then.memory) / STALLED / 1024
            self.measured(
                f"{name}: {grown:.1f} KiB for each who does not read; "
                f"{now.pipes} pipes with {mib(now.piped)}"
            )
        self.measured(f"{mib(source.sent)} under way")


class PlainStalledTests(StalledMixin, WatchedCase):
    """
    The fast path, over plain TCP.
    """

    options = ("--insecure",)
    most = 25


class FewPipesStalledTests(PlainStalledTests):
    """
    The same for a user who has no more than his share of pipes, as any but root: what
    finds no pipe is copied.
    """

    wrap = ORDINARY

    async def test_thousand(self) -> None:
        """
        Also where there is no pipe for most of them.
        """
        tried = await ended(self.folder, *self.wrap, "true")
        if tried.returncode != 0:
            raise SkipTest(f"no limit on pipes can be set: {tried.stderr}")
        await super().test_thousand()

    def told(self, source: Source, before: list[Held], after: list[Held]) -> None:
        """
        Print what was found, and see that the limit was reached.
        """
        super().told(source, before, after)
        for now in after:
            self.assertLess(now.pipes, STALLED // 2)

    if not shutil.which("setpriv"):
        test_thousand.skip = "setpriv is not installed"  # type: ignore[attr-defined]


class TLSStalledTests(StalledMixin, WatchedCase):
    """
    The fast path, over TLS.
    """

    most = 100


class PortableStalledTests(StalledMixin, WatchedCase):
    """
    The portable path.
    """

    reactor = "poll"
    most = 200
