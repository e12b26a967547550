# -*- test-case-name: tests.bench.test_datagrams -*-
"""
UDP: C{python -m tests.bench.datagrams}, part of C{make bench}.

Compares UDP tunnels with two plain forwarders in a row, which datagrams.c has along
with the service and the load.  All ways are open at the same time, and each round takes
each measure of each of them in turn.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from tests.bench.procfs import resident
from tests.bench.rounds import REST
from tests.bench.stage import Broken, Interrupted, Process, Stage, found
from tests.bench.table import number
from tests.bench.udppeers import started, verdicts
from tests.bench.ways import HOST, prepared
from tests.stage.ports import freePort
from tests.stage.programs import TWISTD

SOURCE: Final = Path(__file__).with_name("datagrams.c")
FORWARDERS: Final = "forwarders"
FLOWS: Final = 10_000
RATE: Final = 10_000
LARGE: Final = 1200

Made = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Aim:
    """
    A figure, and what it is to reach.

    @ivar more: whether more of it is better.
    @ivar targets: by way, a multiple of the forwarders' figure, or where it is not
        relative the figure itself.
    """

    key: str
    name: str
    unit: str
    more: bool
    targets: Mapping[str, float]
    relative: bool = True


AIMS: Final = (
    Aim(
        "trips-64",
        "round trips, 16 flows x 4, 64 bytes",
        "/s",
        True,
        {"plain": 0.8, "tls": 0.65},
    ),
    Aim(
        "trips-1200",
        "round trips, 16 flows x 4, 1200 bytes",
        "/s",
        True,
        {"plain": 0.8, "tls": 0.55},
    ),
    Aim("alone", "round trip, one outstanding, p50", "us", False, {"tls": 2.2}),
    Aim(
        "lost",
        "lost of 10 000 flows at 10 000/s",
        "",
        False,
        {"plain": 0, "tls": 0},
        relative=False,
    ),
    Aim(
        "wire",
        "bytes in TCP for each of 1200",
        "x",
        False,
        {"plain": 1.02, "tls": 1.02},
        relative=False,
    ),
    Aim("flow-server", "memory per flow, server", "KiB", False, {}),
    Aim("flow-client", "memory per flow, client", "KiB", False, {}),
)


@dataclass
class Way:
    """
    A way that is open.

    @ivar sides: our processes, by side.
    @ivar link: the port that carriers go to, or 0.
    """

    key: str
    name: str
    port: int
    sides: dict[str, Process] = field(default_factory=dict)
    link: int = 0


def built(stage: Stage) -> Path:
    """
    Build the program in C.

    @raise Broken: there is no compiler, or it does not like it.
    """
    compiler = found("cc") or found("gcc")
    if compiler is None:
        raise Broken("there is no C compiler: no figures of UDP")
    program = stage.folder / "datagrams"
    command = [compiler, "-O2", "-o", str(program), str(SOURCE)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Broken(f"{SOURCE.name} cannot be built: {done.stderr}")
    return program


def opened(
    stage: Stage, program: Path, peers: Sequence[str], say: Callable[[str], None]
) -> Iterator[Way]:
    """
    Start the service, and all ways to it.

    @param peers: other tunnels that are wanted.
    @param say: told of those that are not there.
    """

    def start(*words: object) -> None:
        process = stage.start(f"datagrams {words[0]}", program, *map(str, words))
        process.until(lambda: "ready" in process.output, "it is ready")

    service, first, second = freePort(), freePort(), freePort()
    start("echo", service)
    yield Way("direct", "direct", service)
    start("forward", first, service)
    start("forward", second, first)
    yield Way(FORWARDERS, "two forwarders", second)
    yield tunnelkit(stage, "plain", "tunnelkit plain", service, "--insecure")
    yield tunnelkit(stage, "tls", "tunnelkit TLS", service)
    for name, public, (server, client) in started(stage, peers, service, say):
        yield Way(name, name, public, {"server": server, "client": client})


def tunnelkit(stage: Stage, key: str, name: str, service: int, *options: str) -> Way:
    """
    Start both of our programs.
    """
    twistd = [*TWISTD, "--nodaemon", "--pidfile="]
    port, public, state = freePort(), freePort(), prepared(stage)
    server = stage.start(
        "tunnelserver",
        *(*twistd, "tunnelserver", f"--port=tcp:{port}:interface={HOST}"),
        *(f"--state={state}", f"--bind={HOST}", "--admin=off", *options),
    )
    server.listens(port)
    client = stage.start(
        "tunnelclient",
        *(*twistd, "tunnelclient", f"--server={HOST}:{port}", "--name=bench"),
        f"--token-file={state / 'default.token'}",
        *(f"--tunnel=udp:{HOST}:{service}:port={public}", *options),
    )
    client.until(lambda: "leads to" in client.output, "the tunnel is open")
    return Way(key, name, public, {"server": server, "client": client}, port)


class Run:
    """
    A run.

    @ivar made: what each way made of each figure, a value a round.
    """

    def __init__(self, program: Path, seconds: float) -> None:
        self.made: dict[tuple[str, str], list[float]] = {}
        self._program = program
        self._seconds = seconds

    def take(self, way: Way) -> None:
        """
        Take a round's measures of a way.
        """
        for measure in (self.many, self.alone):
            self._note(way, measure(way))
            time.sleep(REST)

    def crowd(self, way: Way) -> None:
        """
        Have very many visitors come who each say little; once, and last of all: the
        system has not enough ports for as many more, and they take memory.
        """
        before = {side: resident([each.pid]) for side, each in way.sides.items()}
        sent, answered, *_ = self._run("rate", way.port, FLOWS, RATE, 64)
        made = {"lost": sent - answered}
        for side, each in way.sides.items():
            grown = resident([each.pid]) - before[side]
            made[f"flow-{side}"] = grown / 1024 / FLOWS
        self._note(way, made)

    def _note(self, way: Way, made: Made) -> None:
        for key, value in made.items():
            self.made.setdefault((way.key, key), []).append(value)

    def value(self, way: str, key: str) -> float | None:
        """
        Give what came of it: the median of all rounds.
        """
        values = self.made.get((way, key))
        return median(values) if values else None

    def many(self, way: Way) -> Made:
        """
        Sixteen visitors with four datagrams each on their way.
        """
        made = {}
        for size in (64, LARGE):
            before = carried(way.link)
            trips, _, lasted, *_ = self._run("load", way.port, 16, 4, size)
            made[f"trips-{size}"] = trips / lasted
            crossed = carried(way.link) - before
            if size == LARGE and crossed:
                made["wire"] = crossed / 2 / trips / size
        return made

    def alone(self, way: Way) -> Made:
        """
        One visitor with one.
        """
        return {"alone": self._run("load", way.port, 1, 1, 64)[3]}

    def _run(self, *words: object) -> list[float]:
        command = [str(self._program), *map(str, words), str(self._seconds)]
        limit = self._seconds + 30
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
        if done.returncode:
            raise Broken(f"{command} failed: {done.stderr}")
        return [float(each) for each in done.stdout.split()]


def carried(port: int) -> float:
    """
    Give how many bytes all TCP connections of a port have sent and were given to
    send, at both ends, as C{ss} knows; 0 where there is none.
    """
    ss = found("ss")
    if ss is None or not port:
        return 0
    asked = f"( sport = :{port} or dport = :{port} )"
    told = subprocess.run([ss, "-tniH", asked], capture_output=True, text=True)
    return sum(map(float, re.findall(r"bytes_sent:(\d+)", told.stdout)))


def cell(run: Run, aim: Aim, way: Way) -> str:
    """
    Give a figure of a way, beside what it is to reach.
    """
    value, beside = run.value(way.key, aim.key), run.value(FORWARDERS, aim.key)
    if value is None:
        return "-"
    text, made = number(value), value
    if aim.relative and beside:
        made = value / beside
        text += f" ({made:.2f} x)"
    target = aim.targets.get(way.key)
    if target is not None:
        reached = made >= target if aim.more else made <= target
        sign = "\N{GREATER-THAN OR EQUAL TO}"
        sign = sign if aim.more else "\N{LESS-THAN OR EQUAL TO}"
        text += f"; {sign} {target:g}: {'yes' if reached else 'NO'}"
    return text


def table(run: Run, ways: Sequence[Way]) -> str:
    """
    Show all figures.
    """
    rows = [["UDP", *(way.name for way in ways)]]
    for aim in AIMS:
        name = f"{aim.name}, {aim.unit}".removesuffix(", ")
        rows.append([name, *(cell(run, aim, way) for way in ways)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def main(
    arguments: Sequence[str], say: Callable[[str], None] = lambda text: print(text)
) -> int:
    """
    Do it.

    @return: the exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.bench.datagrams")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--peers", nargs="*", default=[], help="of frp, rathole")
    options = parser.parse_args(arguments)
    try:
        with Stage() as stage:
            program = built(stage)
            ways = [*opened(stage, program, options.peers, say)]
            run = Run(program, options.seconds)
            for _ in range(options.rounds):
                for way in ways:
                    run.take(way)
            for way in ways[2:]:
                run.crowd(way)
    except Interrupted as e:
        return e.status
    except Broken as e:
        say(str(e))
        return 1
    say(table(run, ways))
    for line in verdicts(
        lambda way: run.value(way, "trips-64"), options.peers, ("plain", "tls")
    ):
        say(f"round trips of 64 bytes, {line}")
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        made = {f"{way} {key}": values for (way, key), values in run.made.items()}
        options.json.write_text(json.dumps(made, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
