"""
Peers: the programs of other systems, for tests that have them at the other side.  They
are those of the folder that C{TUNNELKIT_PEERS} names; nothing here builds or installs
one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SkipTest

VARIABLE: Final = "TUNNELKIT_PEERS"
"""The environment variable that names the folder."""


def peer(name: str) -> Path:
    """
    Find a program.

    @raise SkipTest: it is not there; the reason says what to do.
    """
    folder = os.environ.get(VARIABLE)
    if not folder:
        raise SkipTest(f"{VARIABLE} names no folder with the program {name}")
    path = Path(folder).absolute() / name
    if not os.access(path, os.X_OK):
        raise SkipTest(f"{VARIABLE} holds no program {name}")
    return path
