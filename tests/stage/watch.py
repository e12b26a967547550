"""
Watch: a server and a client under load, and what can be seen of them from outside:
their open files, their memory, what the admin rooms say, and what stands in their logs.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SkipTest

from tests.stage.case import HOST, ClientProgram, FunctionalCase, ServerProgram
from tests.stage.programs import LIMIT, Program, Unfulfilled, reactor
from tunnelkit.carrier.pool import LEAST
from tunnelkit.wire.token import Token

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

MARK: Final = b"tunnelkit-payload-"
"""Stands in what visitors and services say; no log may have it."""
MIB: Final = 1 << 20
LOUD: Final = ("--log-level=debug",)
"""Options of programs that log all they can."""

_PROC: Final = Path("/proc")
_PIPE: Final = "pipe:"
_LOOKING: Final = 2
"""So many open files may be those of who looks; what leaks, leaks hundreds."""
_PIPES: Final = 64 + 8
"""So many pipes may be there: empty ones that wait to be used again, and a program's
own, to who reads what it says."""
_READINGS: Final = 3
"""So many times in a row a count must be the same."""


@dataclass(frozen=True, slots=True)
class Figures:
    """
    What the admin rooms say of a server.

    @ivar streams: visitors that are served, or wait.
    @ivar openings: connections that are not logged in yet.
    @ivar works: work connections that are there, idle or busy.
    @ivar busy: how many of those carry a stream.
    @ivar opened: work connections that were opened, in all.
    @ivar counts: all other totals, by name.
    """

    streams: int
    openings: int
    works: int
    busy: int
    opened: int
    counts: Mapping[str, int]

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Figures:
        """
        Read them from C{/api/v1/status}.
        """
        sessions = told["sessions"]
        busy = sum(each["busy"] for each in sessions)
        return cls(
            streams=told["streams"],
            openings=told["openings"],
            works=busy + sum(each["idle"] for each in sessions),
            busy=busy,
            opened=told["counts"]["work_connections"],
            counts=told["counts"],
        )

    @property
    def quiet(self) -> bool:
        """
        Whether nobody is there but clients.
        """
        return not (self.streams or self.openings or self.busy)


def descriptors(program: Program) -> dict[int, str]:
    """
    Give a program's open files, but for those of the lease store, which opens some
    when it first writes.

    @return: what each is, by its number.
    """
    found = {}
    for entry in (_PROC / str(program.transport.pid) / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found[int(entry.name)] = str(entry.readlink())
    return {n: name for n, name in found.items() if "/leases." not in name}


def pipesOf(files: Mapping[int, str]) -> set[str]:
    """
    Give the pipes among open files; each has two ends, both of which may be there.
    """
    return {name for name in files.values() if name.startswith(_PIPE)}


def _counted(files: Mapping[int, str]) -> int:
    return sum(not name.startswith(_PIPE) for name in files.values())


def resident(program: Program) -> int:
    """
    Give how much memory a program has, in bytes.
    """
    statm = (_PROC / str(program.transport.pid) / "statm").read_text()
    return int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Watched:
    """
    A server with admin rooms, and a client.

    @ivar address: where visitors find the client's first tunnel.
    @ivar since: where the client's output was when that was there.
    """

    def __init__(self, server: ServerProgram, client: ClientProgram) -> None:
        self.server = server
        self.client = client
        self.address = HOST, 0
        self.since = 0

    async def published(self) -> None:
        """
        Wait until the client's tunnels are there, and the work connections that are
        always kept.
        """
        self.address = await self.client.leads()
        await self.shows(
            lambda told: told.quiet and told.works >= LEAST, "work connections wait"
        )
        self.since = self.client.mark()

    @property
    def troubles(self) -> list[str]:
        """
        What the client has said since then of the server's being away.
        """
        return self.client.said("trying again", self.since)

    def figures(self) -> Deferred[Figures]:
        """
        Ask the admin rooms.
        """
        return deferToThread(self._ask)

    async def quiet(self) -> Figures:
        """
        Wait until nobody is there but the client.
        """
        return await self.shows(lambda told: told.quiet, "nobody is there")

    async def shows(self, condition: Callable[[Figures], bool], what: str) -> Figures:
        """
        Wait until the admin rooms say something.

        @param what: the condition in words, for who reads of its failing.
        """
        begun = reactor.seconds()
        while not condition(told := await self.figures()):
            if reactor.seconds() - begun > LIMIT:
                raise Unfulfilled(f"not in {LIMIT:.0f} s: {what}: {told}")
        return told

    async def files(self) -> tuple[int, int]:
        """
        Count the open files of both programs, work connections apart, of which there
        are as many as recent peaks needed, and pipes.  Only while it is quiet.
        """
        counted: list[tuple[int, int]] = []
        # A connection may be seen here and not there while it is made or ended.
        while len(counted) < _READINGS or len({*counted[-_READINGS:]}) > 1:
            works = (await self.quiet()).works
            server, client = descriptors(self.server), descriptors(self.client)
            counted.append((_counted(server) - works, _counted(client) - works))
        return counted[-1]

    async def back(self, files: tuple[int, int]) -> None:
        """
        Wait until both programs have as many open files as they had before, but for
        a connection or two of who looks, and no more pipes than they may keep.

        @raise Unfulfilled: they have not; the text says what they have.
        """
        begun = reactor.seconds()
        while not (_near(now := await self.files(), files) and self._fewPipes()):
            if reactor.seconds() - begun > LIMIT:
                raise Unfulfilled(
                    f"open files were {files}, are {now}: "
                    f"{self._kinds(self.server)}, {self._kinds(self.client)}"
                )

    def memory(self) -> tuple[int, int]:
        """
        Give the memory of both programs, in bytes.
        """
        return resident(self.server), resident(self.client)

    def _fewPipes(self) -> bool:
        both = descriptors(self.server), descriptors(self.client)
        return all(len(pipesOf(each)) <= _PIPES for each in both)

    def _kinds(self, program: Program) -> Counter[str]:
        return Counter(name.partition(":")[0] for name in descriptors(program).values())

    def _ask(self) -> Figures:
        token = (self.server.state / "admin.token").read_text().strip()
        asking = http.client.HTTPConnection(HOST, self.server.admin, timeout=LIMIT)
        with contextlib.closing(asking):
            headers = {"Authorization": f"Bearer {token}", "Connection": "close"}
            asking.request("GET", "/api/v1/status", headers=headers)
            answer = asking.getresponse()
            told = answer.read()
            if answer.status != 200:
                raise Unfulfilled(f"the admin rooms say {answer.status}: {told!r}")
        return Figures.of(json.loads(told))


def _near(now: tuple[int, int], before: tuple[int, int]) -> bool:
    return all(abs(a - b) <= _LOOKING for a, b in zip(now, before, strict=True))


class WatchedCase(FunctionalCase):
    """
    A test that loads programs which log all they can, and at the end looks for what
    no log may have: payload, secrets and bugs.
    """

    timeout = 180.0

    def setUp(self) -> None:
        """
        Nothing is watched yet.
        """
        if not (_PROC / "self" / "statm").exists():
            raise SkipTest("there is no /proc to look at programs with")
        super().setUp()
        self._watched: list[Program] = []
        self._secrets: set[str] = {MARK.decode()}
        # Before any other clean-up is added: when this is done they have all ended.
        self.addCleanup(self._lookThroughLogs)

    async def watched(
        self,
        *tunnels: str,
        server: Iterable[str] = (),
        client: Iterable[str] = (),
        environment: Mapping[str, str] | None = None,
        wrap: Iterable[str] = (),
    ) -> Watched:
        """
        Start a server and a client, and wait until the client's tunnels are there.

        @param tunnels: descriptions for C{--tunnel}.
        @param environment: variables of both, beside the tests' own.
        @param wrap: a command that runs either's, such as one that sets limits.
        """
        both: Any = {"environment": environment, "wrap": [*wrap]}
        started = self.server(*LOUD, *server, admin=True, **both)
        watched = Watched(
            started,
            self.client(started, *tunnels, options=[*LOUD, *client], **both),
        )
        self.keepSecret(Token.parse(started.token.read_text()).secret)
        self.look(watched.server)
        self.look(watched.client)
        await watched.published()
        return watched

    def look(self, program: Program) -> None:
        """
        Look through the log of a program, too, when it has ended.
        """
        self._watched.append(program)

    def keepSecret(self, text: str) -> None:
        """
        Look for this, too.
        """
        self._secrets.add(text)

    def needFiles(self, count: int) -> None:
        """
        Have this process, and those that it starts, open so many files.

        @raise SkipTest: they may not.
        """
        most = self.mostFiles()
        if most < count:
            raise SkipTest(f"{count} open files are needed, and {most} are allowed")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != resource.RLIM_INFINITY and soft < count:
            resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
            self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))

    def mostFiles(self) -> int:
        """
        Say how many files this process, and those that it starts, may open.

        @raise SkipTest: this system does not say.
        """
        if resource is None:
            raise SkipTest("this system has no limit on open files to raise")
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        return sys.maxsize if hard == resource.RLIM_INFINITY else hard

    def measured(self, what: str) -> None:
        """
        Print a figure, for who wants to know it.
        """
        print(f"[{what}] ", end="", flush=True)

    def _lookThroughLogs(self) -> None:
        for program in self._watched:
            for line in program.lines:
                for secret in self._secrets:
                    # As text, and as the bytes that a careless line would show.
                    self.assertNotIn(secret, line)
                    self.assertNotIn(secret.encode().hex(), line)


def mib(count: float) -> str:
    """
    Give a number of bytes in words.
    """
    return f"{count / MIB:.1f} MiB"
