# -*- test-case-name: tests.commands.test_forward -*-
"""
C{tunnelkit forward}: options, and the service that they describe.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from getopt import GetoptError, gnu_getopt
from itertools import chain
from typing import ClassVar

from twisted.application.service import IService
from twisted.python.usage import UsageError

from tunnelkit.commands.options.config import Reading, number
from tunnelkit.commands.options.flags import (
    GRACE,
    GRACE_OPTION,
    ConfiguredOptions,
    seconds,
)
from tunnelkit.commands.options.shared import count, forwarded, plain
from tunnelkit.commands.process import inProcess, theReactor
from tunnelkit.dialects.descriptions import hasIPv6
from tunnelkit.wire.address import HostPort, LocalAddress

_CLIENTS = 10_000


class Options(ConfiguredOptions):
    """
    What C{tunnelkit forward} can be told.

    @ivar listen: where to listen: an address, or a server endpoint description.
    @ivar target: where that leads: an address, or a client endpoint description.
    @ivar clients: connections at a time.
    @ivar grace: seconds that they have when it is to stop.
    """

    listen: HostPort | str
    target: LocalAddress | str
    clients: int
    grace: float

    synopsis = "LISTEN TARGET [options]"
    longdesc = (
        "Forwards each connection to LISTEN to a fresh one to TARGET. Both are a port"
        " on 127.0.0.1, HOST:PORT, or an endpoint description, such as"
        " tls:DIRECTORY:443 or unix:PATH."
    )

    optParameters = [
        [
            "max-clients",
            None,
            None,
            "How many connections there may be at a time; further ones are reset."
            f" [default: {_CLIENTS}]",
        ],
        GRACE_OPTION,
    ]

    fileKeys: ClassVar[Mapping[str, Reading]] = {
        **ConfiguredOptions.fileKeys,
        "max-clients": number,
        "grace": number,
    }

    def __init__(
        self,
        environ: Mapping[str, str] = os.environ,
        ipv6: Callable[[], bool] = hasIPv6,
    ) -> None:
        """
        @param ipv6: tells whether this machine has IPv6.
        """
        super().__init__(environ)
        self._ipv6 = ipv6
        self._where: tuple[str, ...] = ()

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """
        Take options behind the places as well, which Twisted does not.
        """
        given = [*(options or ())]
        with suppress(GetoptError):  # which is told below
            found, places = gnu_getopt(given, self.shortOpt, self.longOpt)
            words = chain.from_iterable(found)
            given = [*(word for word in words if word), "--", *places]
        super().parseOptions(given)

    def parseArgs(self, *arguments: str) -> None:
        """
        Take the two places.
        """
        self._where = arguments

    def postOptions(self) -> None:
        """
        Check everything.
        """
        super().postOptions()
        if len(self._where) != 2:
            raise UsageError("LISTEN and TARGET are needed, such as 8000 192.0.2.1:80")
        try:
            self.listen = plain(self._where[0], self._ipv6())
        except ValueError as e:
            raise UsageError(f"LISTEN: {e}") from e
        try:
            self.target = forwarded(self._where[1])
        except ValueError as e:
            raise UsageError(f"TARGET: {e}") from e
        self.clients = self.one("max-clients", count(1, 1_000_000), _CLIENTS)
        self.grace = self.one("grace", seconds, GRACE)


def makeService(options: Options) -> IService:
    """
    Make the service of a process that forwards.
    """
    from tunnelkit.relay.best import relayFor
    from tunnelkit.sharing.forward import Forward

    reactor = theReactor()

    def make(failed: Callable[[str], None]) -> Forward:
        relay = relayFor(reactor)
        listen, target = options.listen, options.target
        return Forward(listen, target, reactor, relay, options.clients, failed)

    return inProcess(make, options, options.grace, reactor)
