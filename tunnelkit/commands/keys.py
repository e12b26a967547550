# -*- test-case-name: tests.commands.test_keys -*-
"""
C{tunnelkit key}: makes the keys by which two clients encrypt a private tunnel from end
to end.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final

from twisted.python import usage

from tunnelkit.commands.options.flags import CommandOptions
from tunnelkit.wire.endkey import newEndKey


class NewOptions(CommandOptions):
    """
    What C{tunnelkit key new} can be told.

    @ivar path: where the key is to be.
    """

    synopsis = "FILE"
    longdesc = (
        "Writes a new key for private tunnels into FILE, which must not be there yet."
        " Copy it to the other client by a way that you trust: whoever has it can speak"
        " for either."
    )
    path: Path

    def parseArgs(self, *arguments: str) -> None:
        """
        Take the file.
        """
        file, *more = arguments or ("",)
        super().parseArgs(*more)
        if not file:
            raise usage.UsageError("the file is missing: say where the key is to be")
        self.path = Path(file).expanduser().absolute()


class Options(CommandOptions):
    """
    What C{tunnelkit key} can be told.
    """

    synopsis = ""
    longdesc = "Makes keys that encrypt private tunnels from end to end."

    subCommands: ClassVar[Sequence[tuple[str, None, type[usage.Options], str]]] = (
        ("new", None, NewOptions, "Write a new key into a file."),
    )

    def postOptions(self) -> None:
        """
        Want a command.
        """
        if self.subCommand is None:
            raise usage.UsageError("a command is missing: new")


def run(options: Any) -> int:
    """
    Run the command.

    @return: the exit status.
    """
    return RUN[options.subCommand](options.subOptions)


def new(options: NewOptions, now: Callable[[], float] = time.time) -> int:
    """
    Write a new key.
    """
    pem = newEndKey(datetime.fromtimestamp(now(), UTC)).pem
    try:
        # It may be the only copy of another: nothing is ever overwritten.
        descriptor = os.open(options.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(pem)
    except FileExistsError:
        print(
            f"tunnelkit key new: {options.path} is there already, and is left as it is:"
            " name another file, or take that one away",
            file=sys.stderr,
        )
        return 1
    except OSError as e:
        print(
            f"tunnelkit key new: {options.path} cannot be written: {e.strerror}",
            file=sys.stderr,
        )
        return 1
    print(f"wrote {options.path}: copy it to the other client, and give both keyFile=")
    return 0


RUN: Final[Mapping[str, Callable[[Any], int]]] = {"new": new}
