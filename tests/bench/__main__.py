# -*- test-case-name: tests.bench.test_options -*-
"""
C{python -m tests.bench}: the command.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from tests.bench.figures import HAPROXY
from tests.bench.machine import Machine, thisMachine
from tests.bench.measures import Load
from tests.bench.neighbours import Listening, Noise
from tests.bench.options import Options, parsed
from tests.bench.peers import present
from tests.bench.picture import picture
from tests.bench.results import Results
from tests.bench.rounds import Run, tell
from tests.bench.services import Services, missing, program
from tests.bench.stage import Broken, Interrupted, Stage
from tests.bench.table import rst, terminal
from tests.bench.visitors import filesFor
from tests.bench.ways import ways


def measured(options: Options) -> tuple[Results, Noise]:
    """
    Do the run that the options ask for.

    @return: what came of it, and what else the machine did meanwhile.
    """
    listening = Listening()
    files = filesFor(options.visitors)
    compared = ways(options.paths, options.tlsPort)
    compared += present(options.peers, tell)
    with Stage() as stage:
        services = Services(stage, files)
        load = Load(stage, services.ports, options.seconds, options.visitors)
        results = Run(compared, options.rounds, options.only, load, services).go()
    return results, listening.heard()


def write(options: Options, machine: Machine, noise: Noise, results: Results) -> None:
    """
    Write the files that the options ask for.
    """
    about = {
        "machine": machine.values(),
        "noise": noise.values(),
        "options": {key: str(value) for key, value in asdict(options).items()},
    }
    _file(options.json, results.written(**about))
    _file(options.svg, picture(results, machine.told()))
    _file(options.rst, rst(results, f"{machine.told()} {noise.told()}"))


def main(arguments: Sequence[str]) -> int:
    """
    Do it.

    @return: the exit status: 1 where something could not be measured.  What is
        measured and falls short is no failure.
    """
    options = parsed(arguments)
    lacking = "" if Path("/proc/self/smaps_rollup").exists() else "this needs Linux"
    if lacking := lacking or missing():
        tell(lacking)
        return 1
    machine = thisMachine(program(HAPROXY), datetime.now())
    try:
        results, noise = measured(options)
    except Interrupted as e:
        return e.status
    except Broken as e:
        tell(str(e))
        return 1
    print(machine.told(), noise.told(), "", terminal(results), sep="\n")
    write(options, machine, noise, results)
    return 1 if results.faults else 0


def _file(path: Path | None, content: str) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
