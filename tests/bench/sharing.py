# -*- test-case-name: tests.bench.test_sharing -*-
"""
Sharing: C{python -m tests.bench.sharing}, part of C{make bench}.

Compares fifty clients that share one connection to a target with fifty that have one
each, and one client through a share with one without.  All ways are open at the same
time, and each round takes each of them in turn.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Final

from tests.bench.asking import QUESTIONS, WARMING
from tests.bench.machine import thisMachine
from tests.bench.procfs import seconds as processorTime
from tests.bench.rounds import REST
from tests.bench.services import startNginx
from tests.bench.stage import Broken, Interrupted, Process, Stage, found
from tests.bench.table import multiple, number
from tests.stage.ports import freePort
from tests.stage.programs import TOP, TWISTD

PIPELINE: Final = 16
"""Requests under way where there may be several."""
_FILES: Final = 1024
_LIMIT: Final = 30.0


@dataclass(frozen=True, slots=True)
class Way:
    """
    A way to a target that is open.

    @ivar protocol: what is spoken.
    @ivar key: the same of each protocol.
    @ivar name: for the table.
    @ivar port: where clients connect.
    @ivar clients: how many of them.
    @ivar beside: the key of the way that it is compared with; its own for none.
    @ivar share: our process, where there is one.
    """

    protocol: str
    key: str
    name: str
    port: int
    clients: int
    beside: str
    share: Process | None = None


def target(stage: Stage, protocol: str) -> int:
    """
    Start a target.

    @return: its port.
    @raise Broken: it is not there.
    """
    port = freePort()
    if protocol == "http1":
        startNginx(stage, port, _FILES)
        return port
    words = ("-m", "tests.bench.echo", str(port), str(freePort()))
    stage.start("echo", sys.executable, *words).listens(port)
    return port


def opened(stage: Stage, protocol: str, clients: int) -> Iterator[Way]:
    """
    Start a target, and all ways to it.
    """
    port = target(stage, protocol)
    yield Way(protocol, "direct", "direct", port, clients, "direct")
    for key, options in (("share", ()), ("pipeline", (f"--pipeline={PIPELINE}",))):
        name = " ".join(("shared", *options))
        share, listen = shared(stage, protocol, port, *options)
        yield Way(protocol, key, name, listen, clients, "direct", share)
    yield Way(protocol, "one", "one, direct", port, 1, "one")
    share, listen = shared(stage, protocol, port)
    yield Way(protocol, "one-share", "one, shared", listen, 1, "one", share)


def shared(stage: Stage, protocol: str, to: int, *options: str) -> tuple[Process, int]:
    """
    Start a share.

    @param to: the target's port.
    @return: it, and its port.
    """
    port = freePort()
    given = (f"--listen={port}", f"--target={to}", f"--protocol={protocol}", *options)
    command = [*TWISTD, "--nodaemon", "--pidfile=", "tunnelshare", *given]
    share = stage.start("tunnelshare", *command)
    share.until(lambda: "new target connection" in share.output, "it has its target")
    share.listens(port)
    return share, port


class Run:
    """
    A run.

    @ivar made: what each way made of each figure, a value a round.
    """

    def __init__(self, seconds: float) -> None:
        self.made: dict[tuple[str, str, str], list[float]] = {}
        self._seconds = seconds

    def take(self, way: Way) -> None:
        """
        Take a round's measures of a way.

        @raise Broken: somebody got no answer.
        """
        words = (way.protocol, way.port, way.clients, self._seconds)
        command = [sys.executable, "-m", "tests.bench.asking", *map(str, words)]
        limit = self._seconds + _LIMIT
        before = self._spent(way)
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=limit, cwd=TOP
        )
        if done.returncode:
            raise Broken(f"{way.protocol}, {way.name}: {done.stderr}")
        told = json.loads(done.stdout)
        made = {key: told[key] for key in ("p50", "p99")}
        made["rate"] = told["answers"] / told["seconds"]
        if way.share is not None:
            # What was answered before is not counted, and took as long each.
            counted = told["seconds"] / (told["seconds"] + WARMING)
            spent = (self._spent(way) - before) * counted
            made["spent"] = spent / told["answers"] * 1e6
        for key, value in made.items():
            self.made.setdefault((way.protocol, way.key, key), []).append(value)
        time.sleep(REST)

    @staticmethod
    def _spent(way: Way) -> float:
        return 0.0 if way.share is None else processorTime([way.share.pid])

    def value(self, protocol: str, way: str, key: str) -> float | None:
        """
        Give what came of it: the median of all rounds.
        """
        values = self.made.get((protocol, way, key))
        return median(values) if values else None


ROWS: Final = (
    ("rate", "requests", "/s"),
    ("p50", "answer, p50", "us"),
    ("p99", "answer, p99", "us"),
    ("added-p50", "added to that, p50", "us"),
    ("added-p99", "added to that, p99", "us"),
    ("spent", "processor time of the share", "us a request"),
)
"""Figures, their names, and their units."""


def cell(run: Run, way: Way, key: str) -> str:
    """
    Give a figure of a way, and how many times that which it is compared with.
    """
    added = key.startswith("added-")
    measured = key.removeprefix("added-")
    value = run.value(way.protocol, way.key, measured)
    beside = run.value(way.protocol, way.beside, measured)
    if value is None or (added and way.key == way.beside):
        return "-"
    if added:
        return "-" if beside is None else number(value - beside)
    if not beside or way.key == way.beside:
        return number(value)
    return f"{number(value)} ({multiple(value / beside)})"


def table(run: Run, ways: Sequence[Way]) -> str:
    """
    Show all figures of one protocol.
    """
    rows = [[ways[0].protocol, *(f"{way.name}" for way in ways)]]
    rows.append(["clients", *(str(way.clients) for way in ways)])
    for key, name, unit in ROWS:
        rows.append([f"{name}, {unit}", *(cell(run, way, key) for way in ways)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)


def measured(
    options: argparse.Namespace, say: Callable[[str], None]
) -> tuple[Run, Sequence[Sequence[Way]]]:
    """
    Open all ways, and measure.

    @return: what came of it, and the ways of each protocol.
    """
    run = Run(options.seconds)
    ways = []
    with Stage() as stage:
        for protocol in options.only or QUESTIONS:
            try:
                ways.append([*opened(stage, protocol, options.clients)])
            except Broken as e:
                say(f"no figures of {protocol}: {e}")
        every = [way for each in ways for way in each]
        for turn in range(options.rounds):
            for at in range(len(every)):
                run.take(every[(at + turn) % len(every)])
    return run, ways


def values(run: Run) -> Mapping[str, object]:
    """
    Give everything as what JSON can hold.
    """
    haproxy = found("haproxy")
    machine = haproxy and thisMachine(haproxy, datetime.now(UTC)).values()
    made = {" ".join(names): rounds for names, rounds in run.made.items()}
    return {"machine": machine, "made": made}


def main(
    arguments: Sequence[str], say: Callable[[str], None] = lambda text: print(text)
) -> int:
    """
    Do it.

    @return: the exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sharing")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--only", nargs="*", choices=[*QUESTIONS], help="protocols")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    try:
        run, ways = measured(options, say)
    except Interrupted as e:
        return e.status
    except Broken as e:
        say(str(e))
        return 1
    say("\n\n".join(table(run, each) for each in ways))
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(values(run), indent=1))
    return 0 if ways else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
