"""
A system without what the fast path needs, such as macOS or Windows: run as a program,
it hides that, imports all of tunnelkit that must be importable there, and runs tests::

    python -m tests.relay.hiding FOLDER TEST...

where FOLDER is trial's temporary one.
"""

from __future__ import annotations

import fcntl
import importlib
import os
import pkgutil
import select
import socket
import sys
from typing import Any, Final

_HIDDEN: Final[tuple[tuple[Any, tuple[str, ...]], ...]] = (
    (select, ("epoll", "EPOLL")),
    (os, ("splice", "SPLICE_", "fork", "pipe2", "memfd_create", "MFD_")),
    (socket, ("TCP_USER_TIMEOUT", "TCP_KEEP", "MSG_MORE")),
    (fcntl, ("F_SETPIPE_SZ", "F_GETPIPE_SZ")),
)
"""Modules, and how the names begin that are hidden."""

FAST: Final = "tunnelkit.relay.fast"


def hide() -> None:
    """
    Hide what only Linux has.
    """
    for module, beginnings in _HIDDEN:
        for name in [n for n in dir(module) if n.startswith(beginnings)]:
            delattr(module, name)


def importAll() -> list[str]:
    """
    Import all modules but those of the fast path.

    @return: their names.
    """
    names, packages = [], ["tunnelkit"]
    while packages:
        package = importlib.import_module(packages.pop())
        names.append(package.__name__)
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            if found.ispkg and found.name != FAST:
                packages.append(found.name)
            elif not found.ispkg and not found.name.endswith("__main__"):
                importlib.import_module(found.name)
                names.append(found.name)
    return names


def _main(folder: str, *tests: str) -> None:
    hide()
    from twisted.internet import pollreactor

    pollreactor.install()
    names = importAll()
    assert len(names) > 50, "modules were not found"
    assert not any(name.startswith(f"{FAST}.") for name in sys.modules), "imported"

    from twisted.internet import reactor
    from twisted.scripts.trial import run

    from tunnelkit.relay.best import isFast, relayFor
    from tunnelkit.relay.portable.relay import PortableRelay

    assert not isFast(reactor)
    assert isinstance(relayFor(reactor), PortableRelay)
    sys.argv = ["trial", "--temp-directory", folder, *tests]
    run()


if __name__ == "__main__":
    _main(*sys.argv[1:])
