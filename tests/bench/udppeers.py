# -*- test-case-name: tests.bench.test_udppeers -*-
"""
UDP peers: other tunnels that carry datagrams, as ways to the service of
L{tests.bench.datagrams}.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from tests.bench.peers import PEERS, frpFiles, ratholeFiles
from tests.bench.services import program
from tests.bench.stage import Process, Stage, found
from tests.bench.ways import HOST
from tests.stage.ports import freePort

TIMES: Final = 3.0
"""How many times as much as a peer we are to make."""
ASKING: Final = 0.2
"""Seconds for which an answer is waited for."""

Sides: TypeAlias = tuple[Process, Process]
Started: TypeAlias = tuple[str, int, Sides]
"""A peer's name, its public port, and its processes."""


def rathole(stage: Stage, service: int, public: int) -> Sides:
    """
    Start rathole, in plain as it is where nothing is said.
    """
    port = freePort()
    texts = ratholeFiles([("bench", public, service)], port, "udp")
    return _started(stage, port, texts, "rathole", "rathole", "--server", "--client")


def frp(stage: Stage, service: int, public: int) -> Sides:
    """
    Start frp as it is installed: with TLS, all in one connection.
    """
    port = freePort()
    texts = frpFiles([("bench", public, service)], port, "udp")
    return _started(stage, port, texts, "frps", "frpc", "-c", "-c")


UDP_PEERS: Final[Mapping[str, Callable[[Stage, int, int], Sides]]] = {
    "rathole": rathole,
    "frp": frp,
}


def started(
    stage: Stage, names: Iterable[str], service: int, say: Callable[[str], None]
) -> Iterator[Started]:
    """
    Start those peers that are there and carry datagrams.

    @param say: told of those that are not there.
    """
    for name in names:
        if name in UDP_PEERS:
            absent = [each for each in PEERS[name].programs if found(each) is None]
            if absent:
                say(f"{name} is left out: {', '.join(absent)} not found")
                continue
            public = freePort()
            sides = UDP_PEERS[name](stage, service, public)
            sides[1].until(lambda: answers(public), "a datagram is answered")  # noqa: B023
            yield name, public, sides


def answers(port: int) -> bool:
    """
    Tell whether a datagram comes back from a port.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as visitor:
        visitor.settimeout(ASKING)
        try:
            visitor.connect((HOST, port))
            visitor.send(bytes(64))
            return len(visitor.recv(65535)) == 64
        except OSError:
            return False


def verdicts(
    value: Callable[[str], float | None], peers: Collection[str], ours: Sequence[str]
) -> Iterator[str]:
    """
    Say how many times as many round trips we make as each peer.

    @param value: gives the round trips of a way, by its key.
    @param ours: the keys of our ways.
    """
    for peer in peers:
        for way in ours:
            made, theirs = value(way), value(peer)
            if made and theirs:
                times, reached = made / theirs, made >= TIMES * theirs
                yield (
                    f"{way}: {times:.1f} x {peer}; at least {TIMES:g}: "
                    f"{'yes' if reached else 'NO'}"
                )


def _started(stage: Stage, port: int, texts: tuple[str, str], *words: str) -> Sides:
    folder, processes = stage.folderIn(), list[Process]()
    for name, option, text in zip(words[:2], words[2:], texts, strict=True):
        file = folder / f"{len(processes)}.toml"
        file.write_text(text)
        processes.append(stage.start(name, program(name), option, file))
        if len(processes) == 1:
            processes[0].listens(port)
    return processes[0], processes[1]
