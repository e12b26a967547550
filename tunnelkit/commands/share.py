# -*- test-case-name: tests.commands.test_share -*-
"""
C{twistd tunnelshare}: options, and the service that they describe.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, ClassVar, Final, NoReturn

from twisted.application.service import IService
from twisted.internet.interfaces import IProtocolFactory
from twisted.python.usage import UsageError
from twisted.web.resource import Resource

from tunnelkit.commands.options.config import Reading, number, port, text, truth
from tunnelkit.commands.options.flags import (
    GRACE,
    GRACE_OPTION,
    ConfiguredOptions,
    seconds,
    span,
)
from tunnelkit.commands.options.saying import say
from tunnelkit.commands.options.shared import count, listened, targeted
from tunnelkit.commands.options.values import readSecret
from tunnelkit.commands.process import inProcess, theReactor
from tunnelkit.dialects.descriptions import hasIPv6
from tunnelkit.sharing.bounds import Bounds
from tunnelkit.sharing.plugins import framingNamed, framings
from tunnelkit.sharing.settings import ShareSettings
from tunnelkit.tunnels.spec import splitDescription
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.framings.contract import Framing

if TYPE_CHECKING:
    from tunnelkit.sharing.pool import Pool

LISTEN: Final = 8000
"""Where clients connect, on loopback."""
TARGET: Final = 1234
"""The target's port."""
PROTOCOL: Final = "echo"

_USUAL: Final = Bounds()
_MOST: Final = 1_000_000


class Options(ConfiguredOptions):
    """
    What C{twistd tunnelshare} can be told.

    @ivar settings: the same, checked and complete, once it is parsed.
    """

    settings: ShareSettings

    synopsis = "[--listen WHERE] [--target WHERE] [--protocol NAME] [options]"
    longdesc = (
        "Lets any number of clients use a target that takes few connections, or one:"
        " whole requests are forwarded one by one, and each reply goes to who asked."
    )

    optParameters = [
        [
            "listen",
            "l",
            None,
            "Where clients connect: a port on 127.0.0.1, HOST:PORT, or a strports"
            f" description. [default: {LISTEN}]",
        ],
        [
            "target",
            "t",
            None,
            "Where the target is: a port on 127.0.0.1, HOST[:PORT], or a client"
            f" endpoint description. [default: 127.0.0.1:{TARGET}]",
        ],
        [
            "protocol",
            "p",
            None,
            "What clients and target speak: a name that --list shows, with what it may"
            f" be given. [default: {PROTOCOL}]",
        ],
        [
            "connections",
            None,
            None,
            "How many connections to the target there may be at a time."
            f" [default: {_USUAL.connections}]",
        ],
        [
            "pipeline",
            None,
            None,
            "How many requests may be under way on one of them, where the protocol"
            f" answers in order. [default: {_USUAL.pipeline}]",
        ],
        [
            "timeout",
            None,
            None,
            "How many seconds a request waits for its turn, or for the target to come"
            f" back. [default: {_USUAL.timeout:g}]",
        ],
        [
            "reply-timeout",
            None,
            None,
            "How many seconds the target may take for a reply; then its connection is"
            f" made anew. [default: {_USUAL.replyTimeout:g}]",
        ],
        [
            "max-clients",
            None,
            None,
            f"How many clients there may be at a time. [default: {_USUAL.clients}]",
        ],
        [
            "max-queue",
            None,
            None,
            f"How many requests may wait, in all. [default: {_USUAL.queue}]",
        ],
        [
            "max-requests",
            None,
            None,
            "How many requests a client may have that are not answered; it is not read"
            f" any further then. [default: {_USUAL.each}]",
        ],
        [
            "admin",
            None,
            None,
            "Where /metrics and /healthz are: a port on 127.0.0.1, HOST:PORT, or a"
            " strports description. [default: nowhere]",
        ],
        [
            "admin-token-file",
            None,
            None,
            "A file with what a program must know to see /metrics."
            " [default: it is open to who reaches it]",
        ],
        GRACE_OPTION,
    ]

    optFlags = [
        [
            "sticky",
            None,
            "Give each client a connection to the target of its own, as long as it"
            " stays: for protocols that keep something for a connection.",
        ],
        ["verbose", "v", "Log everything: like --log-level debug."],
    ]

    fileKeys: ClassVar[Mapping[str, Reading]] = {
        **ConfiguredOptions.fileKeys,
        "listen": port,
        "target": port,
        "protocol": text,
        "connections": number,
        "pipeline": number,
        "sticky": truth,
        "timeout": number,
        "reply-timeout": number,
        "max-clients": number,
        "max-queue": number,
        "max-requests": number,
        "admin": port,
        "admin-token-file": text,
        "grace": number,
        "verbose": truth,
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

    def opt_list(self) -> NoReturn:
        """
        List the protocols, with how each is chosen, and exit.
        """
        say("\n".join(listing()))
        sys.exit(0)

    def parseArgs(self, *arguments: str) -> None:
        """
        Take C{list} for C{--list}, as C{tunnelkit share list} reads well.
        """
        if arguments == ("list",):
            self.opt_list()
        super().parseArgs(*arguments)

    def postOptions(self) -> None:
        """
        Check everything, and make the settings.
        """
        super().postOptions()
        if self.flag("verbose"):
            self.logLevel = "debug"
        framing = self.one("protocol", protocol, None) or protocol(PROTOCOL)
        bounds = self._bounds()
        if bounds.pipeline > 1 and not framing.ordered:
            raise UsageError(
                "--pipeline: targets of this protocol need not answer in order, so"
                " only one request can be under way on a connection"
            )
        self.settings = ShareSettings(
            listen=self.one("listen", self._listened, self._listened(str(LISTEN))),
            target=self.one("target", target, target(str(TARGET))),
            framing=framing,
            bounds=bounds,
            admin=self.one("admin", self._listened, None),
            adminToken=self._adminToken(),
            grace=self.one("grace", seconds, GRACE),
        )

    def _listened(self, given: str) -> str:
        return listened(given, self._ipv6())

    def _bounds(self) -> Bounds:
        some, many = count(1, 1000), count(1, _MOST)
        return replace(
            _USUAL,
            connections=self.one("connections", some, _USUAL.connections),
            sticky=self.flag("sticky"),
            pipeline=self.one("pipeline", some, _USUAL.pipeline),
            timeout=self.one("timeout", span, _USUAL.timeout),
            replyTimeout=self.one("reply-timeout", span, _USUAL.replyTimeout),
            clients=self.one("max-clients", many, _USUAL.clients),
            queue=self.one("max-queue", many, _USUAL.queue),
            each=self.one("max-requests", many, _USUAL.each),
        )

    def _adminToken(self) -> str:
        path = self.file("admin-token-file")
        if path is None:
            return ""
        if self.origin("admin") is None:
            raise UsageError("--admin-token-file is about --admin: give both")
        try:
            return readSecret(path)
        except ValueError as e:
            raise UsageError(f"--admin-token-file: {e}") from e


def target(text: str) -> HostPort | str:
    """
    Read where the target is.

    @raise ValueError: it is nowhere.
    """
    return targeted(text, TARGET)


def protocol(text: str) -> Framing:
    """
    Make a framing.

    @raise ValueError: there is none such.
    """
    return framingNamed(text, splitDescription)


def listing() -> Iterator[str]:
    """
    Give the lines of C{--list}.
    """
    found = framings()
    width = max(len(each.name) for each in found)
    for each in found:
        yield f"* {each.name:{width}}  {each.summary}"
        if each.usage != each.name:
            yield f"  {'':{width}}  -p '{each.usage}'"
    yield ""
    yield f"usage for example: twistd -n tunnelshare -p {PROTOCOL} -t {TARGET}"


def makeService(options: Options) -> IService:
    """
    Make the service of a process that is a share.
    """
    from tunnelkit.sharing.service import ShareService, makeShare

    reactor = theReactor()
    settings = options.settings

    def make(failed: Callable[[str], None]) -> ShareService:
        return makeShare(settings, reactor, random.random, site, failed)

    return inProcess(make, options, settings.grace, reactor)


def site(pool: Pool, token: str) -> IProtocolFactory:
    """
    Make the site of the metrics.

    @param token: what opens it; empty where it is open.
    """
    # Only where it is asked for.
    from tunnelkit.admin.lock import Lock
    from tunnelkit.admin.room import Answer, Corridor, Room, asJSON
    from tunnelkit.admin.rooms import Entrance
    from tunnelkit.admin.site import makeSite

    @cache
    def exposition() -> Callable[[], bytes]:
        from tunnelkit.sharing.metrics import makeExposition

        return makeExposition(pool)

    def health() -> Answer:
        if pool.healthy:
            return asJSON({"healthy": True})
        troubles = ["the target cannot be reached, or does not answer"]
        return asJSON({"healthy": False, "troubles": troubles}, 503)

    root: Resource = Corridor()
    kind = b"text/plain; version=0.0.4; charset=utf-8"
    root.putChild(b"metrics", Room(lambda: Answer(exposition()(), kind)))
    root.putChild(b"healthz", Room(health))
    if token:
        root = Entrance(root, Lock(token), frozenset((b"/healthz",)), ())
    return makeSite(root, pool.clock)
