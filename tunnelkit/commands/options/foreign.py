# -*- test-case-name: tests.commands.test_mgrok -*-
"""
What the files of other systems' servers tell ours, where no option says more.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from twisted.python.usage import UsageError

from tunnelkit.dialects.foreign import ServerWords
from tunnelkit.wire.ports import PortSet


class Told:
    """
    All that such files say.

    @ivar words: what each says, by its dialect's name.
    """

    def __init__(self, words: Mapping[str, ServerWords]) -> None:
        self.words = words

    def places(self, usual: int) -> list[str]:
        """
        Say where clients connect, as C{--port} would.

        @param usual: the port where no file says one.
        """
        told = [
            words.listen or str(words.port)
            for words in self.words.values()
            if words.listen or words.port is not None
        ]
        return [*dict.fromkeys(told or [str(usual)])]

    def admin(self, usual: int) -> str:
        """
        Say where the admin rooms are, as C{--admin} would.
        """
        told = [words.admin for words in self.words.values()]
        port = next((each for each in told if each is not None), usual)
        return str(port) if port else "off"

    def pair(self) -> tuple[Path | None, Path | None]:
        """
        Give the files of a certificate and of its key, where some are named.
        """
        for words in self.words.values():
            if words.pair:
                certificate, key = words.pair
                return certificate, key
        return None, None

    def picked(self, allowed: PortSet) -> PortSet | None:
        """
        Give the ports that the server picks from, where a client leaves it the choice.

        @param allowed: those that clients may have.
        @raise UsageError: they are none of these.
        """
        for name, words in self.words.items():
            if words.picked is not None:
                low, high = words.picked
                if found := allowed.within(low, high):
                    return found
                raise UsageError(
                    f"--{name}-config: none of its port range {low}-{high} is among"
                    f" those that clients may have (--ports {allowed})"
                )
        return None
