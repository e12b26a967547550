# -*- test-case-name: tests.bench.test_options -*-
"""
Options: what a run is to measure, and where it is to be written.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.figures import KEYS, PLAIN, TLS
from tests.bench.peers import PEERS
from tests.bench.ways import DESCRIPTION

_LEAST_VISITORS = 100


@dataclass(frozen=True, slots=True)
class Options:
    """
    The options.

    @ivar seconds: how long each measurement lasts.
    @ivar only: the keys of the figures that are wanted.
    @ivar paths: the ways through tunnelkit.
    @ivar tlsPort: a description for one more of them; empty for none.
    @ivar peers: the others that are compared, if they are there.
    @ivar visitors: how many wait while memory is measured.
    @ivar json: a file for every figure of every round; None for none.
    @ivar svg: a file for the picture.
    @ivar rst: a file for the table.
    """

    rounds: int
    seconds: float
    only: Collection[str]
    paths: Collection[str]
    tlsPort: str
    peers: Collection[str]
    visitors: int
    json: Path | None
    svg: Path | None
    rst: Path | None


def parsed(arguments: Sequence[str]) -> Options:
    """
    Read the command line.

    @raise SystemExit: it is wrong, or asks for help.
    """
    found = _parser().parse_args(arguments)
    return Options(
        rounds=found.rounds,
        seconds=found.seconds,
        only=found.only,
        paths=found.paths,
        tlsPort=found.tls_port,
        peers=[name for names in found.peers for name in names],
        visitors=found.visitors,
        json=found.json,
        svg=found.svg,
        rst=found.rst,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="Compare tunnelkit with two hops of HAProxy, and with others.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--rounds", type=_least(1), default=3, metavar="N", help="default: 3")
    add(
        "--seconds",
        type=_least(1),
        default=3,
        metavar="S",
        help="how long each measurement lasts; default: 3",
    )
    add(
        "--only",
        type=_among(KEYS),
        default=KEYS,
        metavar="FIGURE,...",
        help=f"of {', '.join(KEYS)}; default: all",
    )
    add(
        "--paths",
        type=_among((PLAIN, TLS)),
        default=(PLAIN, TLS),
        metavar="PATH,...",
        help=f"{PLAIN} (both sides with --insecure), {TLS}; default: both",
    )
    add(
        "--tls-port",
        nargs="?",
        const=DESCRIPTION,
        default="",
        metavar="DESCRIPTION",
        help="a strports description as one more path, in which {port}, {state} (the "
        "server's folder) and {pem} (a folder with certificate and key in one file) "
        f"are put in; default: none, and without a value {DESCRIPTION}",
    )
    add(
        "--peers",
        nargs="*",
        type=_among(tuple(PEERS)),
        default=(),
        metavar="PEER",
        help=f"of {', '.join(PEERS)}, where they are on PATH; default: none",
    )
    add(
        "--visitors",
        type=_least(_LEAST_VISITORS),
        default=2000,
        metavar="N",
        help="how many wait while memory is measured; default: 2000",
    )
    add("--json", type=Path, metavar="FILE", help="write all figures")
    add("--svg", type=Path, metavar="FILE", help="draw a picture")
    add("--rst", type=Path, metavar="FILE", help="write the table for the docs")
    return parser


def _least(bound: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        number = int(text)
        if number < bound:
            raise argparse.ArgumentTypeError(f"{number} is less than {bound}")
        return number

    # Named in what argparse says of a text that is none.
    read.__name__ = "number"
    return read


def _among(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    def read(text: str) -> tuple[str, ...]:
        names = tuple(filter(None, text.replace(",", " ").split()))
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(
                    f"{name} is not among {', '.join(known)}"
                )
        return names

    return read
