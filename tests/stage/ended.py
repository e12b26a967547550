"""
Commands that end by themselves: what they leave behind, stream by stream.

L{tests.stage.programs.Program} is for those that run on; it reads both streams
as one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from tests.stage.programs import LIMIT, TOP

CONSOLE: Final = (sys.executable, "-m", "tunnelkit.commands.console")
"""The command C{tunnelkit}, of the Python that runs the tests."""

Ended = subprocess.CompletedProcess[str]


def ended(
    folder: Path,
    *command: str | Path,
    environment: Mapping[str, str] | None = None,
) -> Deferred[Ended]:
    """
    Run a command to its end.

    @param folder: where it runs.
    @param environment: variables beside the tests' own.
    @return: fails where it does not end in time, or a process that it left behind
        keeps its output open.
    """
    kept = {n: v for n, v in os.environ.items() if not n.startswith("TUNNELKIT_")}
    return deferToThread(
        subprocess.run,
        [*map(str, command)],
        capture_output=True,
        cwd=folder,
        env={**kept, "PYTHONPATH": str(TOP), **(environment or {})},
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=LIMIT,
    )
