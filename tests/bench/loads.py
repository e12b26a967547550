# -*- test-case-name: tests.bench.test_loads -*-
"""
Loads of others: wrk and iperf3, and what they say.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from tests.bench.services import program
from tests.bench.stage import Broken, Process, Stage

CONNECTIONS: Final = 32
"""How many connections wrk holds."""

_SLACK: Final = 15.0


@dataclass(frozen=True, slots=True)
class Requests:
    """
    What wrk says.

    @ivar rate: requests a second.
    @ivar count: how many that were.
    @ivar failed: how many were not answered as they should.
    """

    rate: float
    count: int
    failed: int


@dataclass(frozen=True, slots=True)
class Transfer:
    """
    What iperf3 says of the side that receives.

    @ivar count: bytes.
    @ivar rate: bits a second.
    """

    count: int
    rate: float


def readWrk(said: str) -> Requests:
    """
    Read what wrk says.

    @raise Broken: there is no figure in it.
    """
    rate = re.search(r"(?m)^Requests/sec:\s+([\d.]+)", said)
    count = re.search(r"(?m)^\s*(\d+) requests in ", said)
    if rate is None or count is None:
        raise Broken(f"wrk gives no figure: {said.strip()}")
    errors = re.search(
        r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said
    )
    others = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    failed = sum(map(int, errors.groups())) if errors else 0
    failed += int(others[1]) if others else 0
    return Requests(float(rate[1]), int(count[1]), failed)


def readIperf(said: str) -> Transfer:
    """
    Read what C{iperf3 -J} says.

    @raise Broken: it failed.
    """
    try:
        document = json.loads(said)
        if fault := document.get("error"):
            raise Broken(f"iperf3: {fault}")
        received = document["end"]["sum_received"]
        return Transfer(int(received["bytes"]), float(received["bits_per_second"]))
    except (ValueError, LookupError, TypeError, AttributeError) as e:
        raise Broken(f"iperf3 gives no figure: {said.strip()[:400]}") from e


def requests(stage: Stage, port: int, seconds: float, close: bool) -> Requests:
    """
    Ask a web service as often as it answers.

    @param close: whether each request has a connection of its own.
    """
    whole = max(1, round(seconds))
    header = ("-H", "Connection: close") if close else ()
    said = _run(
        stage,
        whole,
        "wrk",
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{whole}s",
        *header,
        f"http://127.0.0.1:{port}/",
    )
    return readWrk(said)


def transfer(
    stage: Stage, port: int, seconds: float, *, down: bool = False, streams: int = 1
) -> Transfer:
    """
    Move as much as goes.

    @param down: to the visitor, not to the service.
    @param streams: how many at the same time.
    """
    process = transferring(stage, port, seconds, down=down, streams=streams)
    return transferred(stage, process, seconds)


def transferring(
    stage: Stage,
    port: int,
    seconds: float,
    *,
    down: bool = False,
    streams: int = 1,
    rate: str = "",
) -> Process:
    """
    Begin to, and do not wait for it.

    @param rate: bits a second, such as C{1G}; empty for all that goes.
    """
    return stage.start(
        "iperf3",
        program("iperf3"),
        *("-c", "127.0.0.1", "-p", str(port), "-J", "-P", str(streams)),
        *("-t", str(max(1, round(seconds)))),
        *(("-R",) if down else ()),
        *(("-b", rate) if rate else ()),
    )


def transferred(stage: Stage, process: Process, seconds: float) -> Transfer:
    """
    Wait for a transfer that was begun.
    """
    try:
        process.exited(seconds + _SLACK)
        return readIperf(process.output)
    finally:
        stage.stop(process)


def _run(stage: Stage, seconds: float, name: str, *arguments: str) -> str:
    process = stage.start(name, program(name), *arguments)
    try:
        process.exited(seconds + _SLACK)
        return process.output
    finally:
        stage.stop(process)
