"""
Recorded conversations between udptun's programs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parent / "golden"


@dataclass(frozen=True)
class Datagram:
    """
    A datagram that somebody sent or got.

    @ivar who: C{near} and C{far} for the portals, C{user} and C{service}.
    @ivar forged: whether the recorder sent it, and no program.
    """

    time: float
    who: str
    event: str
    source: int
    to: int
    payload: bytes
    forged: bool


def datagrams(name: str) -> Iterator[Datagram]:
    """
    Give the datagrams of a conversation.
    """
    for line in (FOLDER / f"{name}.jsonl").read_text().splitlines():
        item = json.loads(line)
        if "hex" not in item or "conn" in item:
            continue
        if item.get("link", "portal") == "portal":
            who = {"c2s": "near", "s2c": "far"}.get(item.get("dir"), item.get("side"))
            yield Datagram(
                item["t"],
                who,
                item.get("event", "send"),
                item.get("src", 0),
                item.get("dst", 0),
                bytes.fromhex(item["hex"]),
                "note" in item,
            )


def exchanges(name: str) -> list[Any]:
    """
    Give HTTP requests with their answers.
    """
    return json.loads((FOLDER / f"{name}.json").read_text())  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Chunk:
    """
    Bytes on a TCP connection.

    @ivar link: between whom the connection is.
    @ivar asks: whether the client sent them.
    """

    time: float
    conn: int
    link: str
    asks: bool
    data: bytes


def chunks(name: str) -> Iterator[Chunk]:
    """
    Give what TCP connections carried.
    """
    links: dict[int, str] = {}
    for line in (FOLDER / f"{name}.jsonl").read_text().splitlines():
        item = json.loads(line)
        if "conn" not in item:
            continue
        conn = item["conn"]
        links.setdefault(conn, item.get("link", ""))
        if "hex" in item:
            data = bytes.fromhex(item["hex"])
            yield Chunk(item["t"], conn, links[conn], item["dir"] == "c2s", data)


def answersOfSTUN(name: str) -> dict[int, tuple[bytes, bytes]]:
    """
    Give what STUN was asked, and what it answered, by the port that asked.
    """
    found: dict[int, tuple[bytes, bytes]] = {}
    asked = b""
    for line in (FOLDER / f"{name}.jsonl").read_text().splitlines():
        item = json.loads(line)
        if item.get("link") == "stun":
            data = bytes.fromhex(item["hex"])
            if item["dir"] == "s2c":
                found[item["dst"]] = asked, data
            asked = data
    return found
