"""
A first start that is killed, once for each of its moments; run as a program of its
own by L{tests.state.test_folder}, as it forks.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.wire.issued import NOW
from tunnelkit.state.folder import StateFolder


def dieAt(moment: int) -> None:
    """
    Kill this process in place of the n-th of its calls that change files.
    """
    left = moment

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def count(*arguments: Any, **named: Any) -> Any:
            nonlocal left
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **named)

        return count

    for name in ("mkdir", "open", "fsync", "replace", "close"):
        setattr(os, name, counted(getattr(os, name)))


def killedAt(moment: int, folder: Path) -> bool:
    """
    Start a server in another process, which is killed at that moment.

    @return: whether it was done before that.
    """
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        return os.WIFEXITED(status)
    dieAt(moment)
    StateFolder(folder / str(moment)).prepare(os.urandom, NOW, [])
    os._exit(0)


def main() -> None:
    """
    Make a state folder for each moment in the folder that is named.
    """
    folder = Path(sys.argv[1])
    moment = 1
    while not killedAt(moment, folder):
        moment += 1


if __name__ == "__main__":
    main()
