# -*- test-case-name: tests.bench.test_ways -*-
"""
Ways to the services: none at all, two hops of HAProxy, and tunnelkit.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeAlias

from tests.bench.figures import HAPROXY, PLAIN, TLS
from tests.bench.procfs import resident, seconds
from tests.bench.results import Named
from tests.bench.services import Ports, program
from tests.bench.stage import Process, Stage
from tests.stage.ports import freePort
from tests.stage.programs import TWISTD
from tunnelkit.state.folder import StateFolder

HOST: Final = "127.0.0.1"
STRPORTS: Final = "strports"
"""The key of the way over a description of the user's."""
DESCRIPTION: Final = f"tls:{{pem}}:{{port}}:interface={HOST}"
"""That description, where the user gives none."""

_OTHERS: Final = 64
_TLS13: Final = "ssl-min-ver TLSv1.3"

SERVER: Final = "server"
CLIENT: Final = "client"


@dataclass
class Open:
    """
    A way that can be used.

    @ivar ports: where visitors find the services.
    @ivar sides: the processes on the visitors' side (server) and on the services'
        side (client).
    @ivar starts: seconds that each side took to start.
    """

    stage: Stage
    ports: Ports
    sides: dict[str, list[Process]] = field(default_factory=dict)
    starts: dict[str, float] = field(default_factory=dict)

    def seconds(self) -> float:
        """
        Give the processor time that all its processes have had.
        """
        return seconds(each.running() for each in self._processes())

    def resident(self) -> Mapping[str, int]:
        """
        Give the bytes that each side has in memory.
        """
        return {
            side: resident(each.running() for each in processes)
            for side, processes in self.sides.items()
        }

    def close(self) -> None:
        """
        Stop its processes.
        """
        self.stage.stop(*self._processes())

    def began(
        self, side: str, processes: Iterable[Process], port: int, address: str = HOST
    ) -> None:
        """
        Note a side that was started, and wait until it listens.

        @param port: the last one that it opens.
        @param address: where that is.
        """
        self.sides[side] = [*processes]
        self.starts[side] = max(
            each.listens(port, address) for each in self.sides[side]
        )

    def _processes(self) -> list[Process]:
        return [each for side in self.sides.values() for each in side]


Opening: TypeAlias = Callable[[Stage, Ports], Open]
"""Starts a way to the services at some ports."""


@dataclass(frozen=True, slots=True)
class Way(Named):
    """
    A way from visitors to services.

    @ivar open: starts it.
    """

    open: Opening


def direct(stage: Stage, services: Ports) -> Open:
    """
    Go to the services themselves.
    """
    return Open(stage, services)


# HAProxy.


def haproxyFile(
    pairs: Sequence[tuple[str, int, int]],
    visitors: int,
    splicing: Sequence[str] = (),
    bind: str = "",
    server: str = "",
) -> str:
    """
    Write a configuration for one hop.

    @param pairs: names, ports and the ports that they lead to.
    @param visitors: how many there may be at the same time.
    @param splicing: its options of that.
    @param bind: more about its ports, after a space.
    @param server: more about where they lead to, after a space.
    """
    lines = [
        "global",
        "    nbthread 1",
        f"    maxconn {visitors}",
        "defaults",
        "    mode tcp",
        *(f"    option {option}" for option in splicing),
        f"    maxconn {visitors}",
        "    timeout connect 10s",
        "    timeout client 1h",
        "    timeout server 1h",
    ]
    for name, port, to in pairs:
        lines += [
            f"listen {name}",
            f"    bind {HOST}:{port} backlog 4096{bind}",
            f"    server {name} {HOST}:{to}{server}",
        ]
    return "\n".join(lines) + "\n"


def haproxy(*splicing: str) -> Opening:
    """
    Go through two processes of HAProxy, as a tunnel's bytes go through two.

    @param splicing: its options of that.
    """

    def open(stage: Stage, services: Ports) -> Open:
        between, visitors = Ports.free(), _mostVisitors()
        opened = Open(stage, Ports.free())
        for side, here, there in (
            (CLIENT, between, services),
            (SERVER, opened.ports, between),
        ):
            _hop(opened, side, here, haproxyFile(here.pairs(there), visitors, splicing))
        return opened

    return open


def haproxyTLS(stage: Stage, services: Ports) -> Open:
    """
    Go through two processes of HAProxy between which there is TLS 1.3, as between a
    server and a client of ours.  It makes a TLS connection for each visitor.
    """
    opened, between, visitors = Open(stage, Ports.free()), Ports.free(), _mostVisitors()
    pem = prepared(stage) / "pem" / "localhost.pem"
    inner = haproxyFile(
        between.pairs(services), visitors, bind=f" ssl crt {pem} {_TLS13}"
    )
    _hop(opened, CLIENT, between, inner)
    outer = haproxyFile(
        opened.ports.pairs(between), visitors, server=f" ssl verify none {_TLS13}"
    )
    _hop(opened, SERVER, opened.ports, outer)
    return opened


def _hop(opened: Open, side: str, here: Ports, configuration: str) -> None:
    folder = opened.stage.folderIn()
    conf = folder / "haproxy.cfg"
    conf.write_text(configuration)
    command = program("haproxy"), "-db", "-f", conf
    hop = opened.stage.start(f"haproxy ({side})", *command)
    opened.began(side, [hop], here.source)


def _mostVisitors() -> int:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (files - _OTHERS) * 2 // 5


# tunnelkit.


def tunnelkit(description: str, host: str, *options: str) -> Opening:
    """
    Go through tunnelkit.

    @param description: for C{--port}; C{{port}} in it is the port, C{{state}} the
        state folder, and C{{pem}} a folder with its certificate and key in one file.
    @param host: what the client dials.
    @param options: of both sides.
    """

    def open(stage: Stage, services: Ports) -> Open:
        opened, port = Open(stage, Ports.free()), freePort()
        state = prepared(stage)
        server = stage.start(
            "tunnelserver",
            *_twistd("tunnelserver"),
            "--port",
            description.format(port=port, state=state, pem=state / "pem"),
            f"--state={state}",
            f"--bind={HOST}",
            f"--admin=tcp:{freePort()}:interface={HOST}",
            *options,
        )
        opened.began(SERVER, [server], port)
        client = stage.start(
            "tunnelclient",
            *_twistd("tunnelclient"),
            f"--server={host}:{port}",
            f"--token-file={state / 'default.token'}",
            "--name=bench",
            *tunnels(opened.ports, services),
            *options,
        )
        opened.began(CLIENT, [client], opened.ports.source)
        return opened

    return open


def tunnels(public: Ports, services: Ports) -> list[str]:
    """
    Give the client's options that publish the services.
    """
    return [
        f"--tunnel=tcp:{HOST}:{to}:port={port}:name={name}"
        for name, port, to in public.pairs(services)
    ]


def prepared(stage: Stage) -> Path:
    """
    Make a state folder as the first start of a server does, so that the start that is
    measured is not the first.
    """
    path = stage.folderIn()
    folder = StateFolder(path)
    folder.prepare(os.urandom, datetime.now(UTC), ["localhost", HOST])
    folder.unlock()
    pem = path / "pem"
    pem.mkdir()
    (pem / "localhost.pem").write_bytes(
        folder.keyFile.read_bytes() + folder.certificateFile.read_bytes()
    )
    return path


def ways(paths: Iterable[str], description: str) -> list[Way]:
    """
    Give the ways of a run, in the order in which they are shown.

    @param paths: which ways through tunnelkit: L{PLAIN}, L{TLS}.
    @param description: one more, over this description; empty for none.
    """
    ours = f"tcp:{{port}}:interface={HOST}"
    known = {
        PLAIN: Way(PLAIN, "tunnelkit plain", tunnelkit(ours, HOST, "--insecure")),
        TLS: Way(TLS, "tunnelkit TLS", tunnelkit(ours, HOST)),
    }
    found = [
        Way("direct", "direct", direct),
        Way(HAPROXY, "HAProxy", haproxy("splice-auto")),
        *(way for key, way in known.items() if key in paths),
    ]
    if description:
        kind = description.partition(":")[0]
        opening = tunnelkit(description, "localhost")
        found.append(Way(STRPORTS, f"tunnelkit ({kind}:)", opening))
    return found


def _twistd(command: str) -> list[str]:
    return [*TWISTD, "--nodaemon", "--pidfile=", command]
