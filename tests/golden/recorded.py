"""
Reads the recorded conversations; README says what is in them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parent


@dataclass(frozen=True)
class Chunk:
    """
    Bytes on the wire, or an event there.

    @ivar time: in seconds from the beginning.
    @ivar connection: the number of its TCP connection.
    @ivar sender: C{c2s} from the client to the server, C{s2c} back.
    @ivar event: C{data}, or C{open}, C{eof}, C{rst}, C{truncated}.
    """

    time: float
    connection: int
    sender: str
    event: str
    data: bytes


def names(system: str) -> list[str]:
    """
    Give the names of a program's conversations.
    """
    return sorted(path.stem for path in (FOLDER / system).glob("*.jsonl"))


def lines(system: str, name: str) -> list[dict[str, Any]]:
    """
    Give all lines of a conversation as they are.
    """
    text = (FOLDER / system / f"{name}.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def meta(system: str, name: str) -> dict[str, Any]:
    """
    Give what was run.
    """
    found: dict[str, Any] = lines(system, name)[0]["meta"]
    return found


def chunks(system: str, name: str) -> Iterator[Chunk]:
    """
    Give what crossed the wire, in order.
    """
    for line in lines(system, name):
        if "conn" in line and "dir" in line:
            data = bytes.fromhex(line.get("hex", ""))
            event = line.get("event", "data")
            yield Chunk(line["t"], line["conn"], line["dir"], event, data)


def streams(system: str, name: str) -> dict[tuple[int, str], bytes]:
    """
    Give all bytes of each connection and direction, as one string.
    """
    found: dict[tuple[int, str], bytes] = {}
    for chunk in chunks(system, name):
        key = chunk.connection, chunk.sender
        found[key] = found.get(key, b"") + chunk.data
    return {key: data for key, data in found.items() if data}


def exchanges(system: str, name: str) -> list[dict[str, str]]:
    """
    Give HTTP requests with their answers.
    """
    found: list[dict[str, str]]
    found = json.loads((FOLDER / system / f"{name}.json").read_text())
    return found
