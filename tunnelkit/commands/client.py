# -*- test-case-name: tests.commands.test_client -*-
"""
C{twistd tunnelclient}: options, and the service that they describe.
"""

from __future__ import annotations

import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.application.service import IService
from twisted.python.usage import UsageError

from tunnelkit.client import makeClient
from tunnelkit.commands.options.abroad import (
    abroadSettings,
    refuseAbroad,
    spokenBy,
)
from tunnelkit.commands.options.flags import GRACE, GRACE_OPTION, seconds
from tunnelkit.commands.options.login import ServerOptions
from tunnelkit.commands.process import inProcess, theReactor
from tunnelkit.control.names import isClientName
from tunnelkit.dialects.abroad import AbroadClient, AbroadSettings, Means
from tunnelkit.dialects.known import CLIENTS, FILES
from tunnelkit.relay.best import relayFor
from tunnelkit.settings import ClientSettings
from tunnelkit.tunnels.kinds import PARSERS
from tunnelkit.tunnels.private.spec import parseKey, parseSocks, parseVisit
from tunnelkit.tunnels.spec import TunnelSpec, parseTunnel

if TYPE_CHECKING:
    from tunnelkit.dialects.allowed import Pattern

T = TypeVar("T")


class Options(ServerOptions):
    """
    What C{twistd tunnelclient} can be told.

    @ivar settings: the same, checked and complete, once it is parsed.
    @ivar abroad: the same in place of it, where a dialect is spoken.
    """

    settings: ClientSettings
    abroad: AbroadSettings | None = None

    synopsis = (
        "--server HOST[:PORT] --token-file FILE --tunnel KIND:[HOST:]PORT... [options]"
    )
    longdesc = (
        "Publishes local services through a tunnel server. The log shows the public"
        " address of each tunnel. When the server is away, the client waits for it."
    )

    optParameters = [
        [
            "name",
            None,
            None,
            "The name of this client: the server keeps its ports for it."
            " [default: the host's name]",
        ],
        GRACE_OPTION,
        [
            "dialect",
            None,
            None,
            "Speak with another system's server, as its own client would: one of"
            f" {', '.join(sorted(CLIENTS))}. The token is its shared secret then, as it"
            " stands.",
        ],
        [
            "ca",
            None,
            None,
            "With a dialect that is spoken inside TLS: a PEM file of who vouches for"
            " the server's certificate. [default: whom the system trusts]",
        ],
        *(
            [
                f"{name}-config",
                None,
                None,
                f"The file that a client of {name}'s is configured with: speak"
                f" --dialect {name} as it says. What is given here wins over it.",
            ]
            for name in FILES
        ),
    ]

    def __init__(
        self,
        environ: Mapping[str, str] = os.environ,
        host: Callable[[], str] = socket.gethostname,
    ) -> None:
        super().__init__(environ, host)
        for name in ("tunnel", "visit", "socks", "key", "allow"):
            self[name] = None

    def opt_tunnel(self, tunnel: str) -> None:
        """
        What to publish: KIND:[HOST:]PORT or KIND:unix=PATH, then :port=PUBLIC for the
        public port (else the server picks one and keeps it), :name=NAME, :proxy=v1 or
        v2 for a PROXY header, :limit=10MB/s and :compress=zstd or deflate; such as
        tcp:8000, tcp:10.0.0.5:22:port=2222:name=ssh. private:[HOST:]PORT:name=NAME has
        no public port: other clients --visit it, of the users in :visitors=USER+USER.
        May be given several times; one is needed, or a --visit.
        """
        self["tunnel"] = [*(self["tunnel"] or ()), tunnel]

    def opt_visit(self, visit: str) -> None:
        """
        Which private tunnel of another client is to be reached from here, and at which
        port: NAME:PORT or NAME:PORT:interface=ADDRESS (else of this machine alone), or
        NAME:unix=PATH; such as ssh:2222. May be given several times.
        """
        self["visit"] = [*(self["visit"] or ()), visit]

    def opt_socks(self, address: str) -> None:
        """
        Where programs that know SOCKS 5 reach all private tunnels of other clients, as
        NAME.tunnel: PORT, of this machine alone, or HOST:PORT; such as 1080. May be
        given several times.
        """
        self["socks"] = [*(self["socks"] or ()), address]

    def opt_key(self, key: str) -> None:
        """
        With --socks, NAME=FILE: the key of a private tunnel that is encrypted from end
        to end. May be given several times.
        """
        self["key"] = [*(self["key"] or ()), key]

    def opt_allow(self, pattern: str) -> None:
        """
        What a program at the server may dial through this client, such as
        tcp/127.0.0.1:* or unix/run/app.sock; without any it may dial nothing. May be
        given several times.
        """
        self["allow"] = [*(self["allow"] or ()), pattern]

    def postOptions(self) -> None:
        """
        Check everything, and make the settings.
        """
        super().postOptions()
        dialect = spokenBy(self)
        tunnels = self.describe(
            "tunnel", lambda text, read: parseTunnel(text, PARSERS, read)
        )
        grace = self.one("grace", seconds, GRACE)
        if dialect is None:
            refuseAbroad(self)
            name = self.one("name", clientName, self.hostName())
            visits = self.describe("visit", parseVisit)
            made = self.makeSettings(name, tunnels, grace)
            self.settings = replace(
                made,
                visits=visits,
                socks=self.every("socks", parseSocks),
                allow=self.every("allow", _allowed),
                keys=self.describe("key", parseKey),
            )
            _checkTunnels(self.settings)
        else:
            name = self.one("name", clientName, "")
            self.abroad = abroadSettings(self, dialect, name, tunnels, grace)
            _checkTwice(self.abroad.tunnels)


def makeService(options: Options) -> IService:
    """
    Make the service of a process that is a client.
    """
    reactor = theReactor()
    if options.abroad is not None:
        return _makeAbroad(options.abroad, options, reactor)
    settings = options.settings
    return inProcess(
        lambda failed: makeClient(settings, reactor, os.urandom, failed),
        options,
        settings.grace,
        reactor,
    )


def _makeAbroad(settings: AbroadSettings, options: Options, reactor: Any) -> IService:
    def make(failed: Callable[[str], None]) -> AbroadClient:
        means = Means(
            reactor=reactor,
            relay=relayFor(reactor),
            random=os.urandom,
            now=time.time,
            failed=failed,
        )
        return settings.dialect.make(settings, means)

    return inProcess(make, options, settings.grace, reactor)


def _allowed(text: str) -> Pattern:
    # Most clients allow nothing.
    from tunnelkit.dialects.allowed import parseAllow

    return parseAllow(text)


def clientName(text: str) -> str:
    """
    Read the name of a client.

    @raise ValueError: no client can be called that.
    """
    if not isClientName(text):
        raise ValueError(
            f"{text!r} cannot be a client's name: give 1 to 200 printable characters"
        )
    return text


def _checkTunnels(settings: ClientSettings) -> None:
    tunnels, visits = settings.tunnels, settings.visits
    if settings.keys and not settings.socks:
        raise UsageError(
            "--key is for --socks: a visit has its key in keyFile=FILE: leave it out"
        )
    if not (tunnels or visits or settings.socks or settings.allow):
        raise UsageError(
            "--tunnel is missing: say what to publish, such as --tunnel tcp:8000"
        )
    for name in _twice(name for name, _ in settings.keys):
        raise UsageError(f"--key: {name} has two keys: give one of them")
    for at in _twice([*(visit.at for visit in visits), *settings.socks]):
        raise UsageError(
            f"--visit, --socks: two are to be at {at}: give each a place of its own"
        )
    for tunnel in tunnels:
        if tunnel.subdomain:
            raise UsageError(
                f"--tunnel: {tunnel.name} has subdomain=, which is for --dialect pipe:"
                " leave it out"
            )
    _checkTwice(tunnels)


def _checkTwice(tunnels: Sequence[TunnelSpec]) -> None:
    for name in _twice(tunnel.name for tunnel in tunnels):
        raise UsageError(
            f"--tunnel: two tunnels are called {name!r}: give one of them another name"
            " with :name=NAME"
        )
    # The ports of TCP and of UDP have nothing to do with each other.
    for _, port in _twice((each.kind, each.port) for each in tunnels if each.port):
        raise UsageError(
            f"--tunnel: two tunnels ask for the public port {port}: give one of them"
            " another with :port=PUBLIC, or none, and the server picks one"
        )


def _twice(values: Iterable[T]) -> list[T]:
    return [value for value, count in Counter(values).items() if count > 1]
