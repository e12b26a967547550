# -*- test-case-name: tests.commands.test_server -*-
"""
C{twistd tunnelserver}: options, and the service that they describe.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, ClassVar, Final

from twisted.application.service import IService
from twisted.internet.interfaces import IProtocolFactory, IReactorTime
from twisted.python.usage import UsageError

from tunnelkit.admin.rooms import makeRoot
from tunnelkit.admin.site import makeSite
from tunnelkit.commands.options.config import (
    Reading,
    number,
    port,
    portList,
    ports,
    text,
    texts,
    truth,
)
from tunnelkit.commands.options.flags import (
    GRACE,
    GRACE_OPTION,
    TOKEN_VARIABLE,
    ConfiguredOptions,
    seconds,
)
from tunnelkit.commands.options.foreign import Told
from tunnelkit.commands.process import inProcess, theReactor
from tunnelkit.dialects.descriptions import (
    DEFAULT_PORT,
    hasIPv6,
    listening,
    portsOf,
)
from tunnelkit.dialects.foreign import ReadServer
from tunnelkit.dialects.known import DIALECTS, FILES
from tunnelkit.dialects.spec import DialectSpec, parseDialect
from tunnelkit.server import Server
from tunnelkit.settings import ServerSettings
from tunnelkit.state.folder import DEFAULT_USER, defaultState
from tunnelkit.status import IStatusSource
from tunnelkit.wire.address import HIGHEST, parseHostPort
from tunnelkit.wire.ports import PortSet
from tunnelkit.wire.token import LEAST_BITS, Token

ADMIN_PORT: Final = 8911
"""The port of the admin rooms."""

_LOOPBACK: Final = "127.0.0.1"
_LOWEST: Final = 1024
"""The lowest public port that clients may ask for, unless the operator says so."""


class Options(ConfiguredOptions):
    """
    What C{twistd tunnelserver} can be told.

    @ivar settings: the same, checked and complete, once it is parsed.
    """

    settings: ServerSettings

    synopsis = "[--port PORT]... [--state FOLDER] [options]"
    longdesc = (
        "Publishes services of clients that have no public address. The first start"
        " makes a state folder with a certificate and the token that a client needs,"
        " and the log shows the command for the client."
    )

    optParameters = [
        [
            "state",
            None,
            None,
            "The state folder: users, leases, certificate, tokens. [default: systemd's"
            " StateDirectory, or the user's folder for program state]",
        ],
        [
            "certificate",
            None,
            None,
            "A certificate of your own, PEM, before those that vouch for it; with"
            " --key. Read again when it changes. [default: the state folder's]",
        ],
        ["key", None, None, "The key of --certificate, PEM."],
        [
            "bind",
            None,
            None,
            "The address of public ports. [default: all interfaces, IPv4 and IPv6]",
        ],
        [
            "bind-udp",
            None,
            None,
            "The address of public ports for UDP, where that must be another one."
            " [default: that of --bind]",
        ],
        [
            "ports",
            None,
            None,
            "The public ports that clients may ask for, TCP and UDP alike, such as"
            " 10000-20000,9000."
            f" [default: {_LOWEST}-{HIGHEST} without the server's own]",
        ],
        [
            "hostname",
            None,
            None,
            "The host in public addresses. [default: the one that the client dialled]",
        ],
        [
            "token-file",
            None,
            None,
            f"A file with a token of your own for the user {DEFAULT_USER}, in place of"
            f" the state folder's; {TOKEN_VARIABLE} in the environment is another way.",
        ],
        [
            "admin",
            None,
            None,
            "Where the admin page, /metrics and /healthz are: a port on"
            f" {_LOOPBACK}, a strports description, or off. [default: {ADMIN_PORT}]",
        ],
        GRACE_OPTION,
        *(
            [
                f"{name}-config",
                None,
                None,
                f"The file that a server of {name}'s is configured with: speak"
                f" --dialect {name} as it says. What is given here wins over it.",
            ]
            for name in FILES
        ),
    ]

    optFlags = [
        [
            "insecure",
            None,
            "Accept plain TCP beside TLS: who can read the wire can take sessions"
            " over. A token is needed all the same.",
        ],
        [
            "behind-tls",
            None,
            "Something in front of this server, such as a cloud's edge, ends the TLS:"
            " accept plain TCP from it. Clients need --verify then.",
        ],
    ]

    fileKeys: ClassVar[Mapping[str, Reading]] = {
        **ConfiguredOptions.fileKeys,
        "port": ports,
        "state": text,
        "certificate": text,
        "key": text,
        "bind": text,
        "bind-udp": text,
        "ports": portList,
        "dialect": texts,
        "hostname": text,
        "token-file": text,
        "admin": port,
        "grace": number,
        "insecure": truth,
        "behind-tls": truth,
        **{f"{name}-config": text for name in FILES},
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
        self["port"] = self["dialect"] = None
        self._ipv6 = ipv6
        self._wrote: dict[str, str] = {}
        self._told = Told({})

    def opt_port(self, where: str) -> None:
        """
        Where clients connect: a port number, or a strports description such as
        tcp:8910:interface=192.0.2.1, tls:FOLDER:8910, unix:PATH or
        systemd:domain=INET6:name=NAME. May be given several times. [default: 8910]
        """
        self["port"] = [*(self["port"] or ()), where]

    def opt_dialect(self, description: str) -> None:
        """
        Speak another tunnel's protocol, too, with its clients as they are: NAME, then
        :token=SECRET or :tokenFile=FILE, and :tls=required to refuse it without TLS;
        such as pipe:tokenFile=pipe.token. docs/dialects says what each protects. May be
        given several times.
        """
        self["dialect"] = [*(self["dialect"] or ()), description]

    def postOptions(self) -> None:
        """
        Check everything, and make the settings.
        """
        super().postOptions()
        found = {name: self.content(f"{name}-config", _reader(name)) for name in FILES}
        self._told = Told({name: words for name, words in found.items() if words})
        descriptions = self._ports()
        admin = self.one(
            "admin", self._admin, self._admin(self._told.admin(ADMIN_PORT))
        )
        listened = descriptions if admin is None else (*descriptions, admin)
        self._checkTwice(listened)
        certificate, key = self._certificate()
        allowed = self._allowed(portsOf(listened))
        self.settings = ServerSettings(
            ports=descriptions,
            state=self.folder("state") or defaultState(self.environ),
            certificate=certificate,
            key=key,
            bind=self.one("bind", address, ""),
            bindUDP=self.one("bind-udp", address, ""),
            allowed=allowed,
            picked=self._told.picked(allowed),
            hostname=self.one("hostname", hostName, ""),
            insecure=self.flag("insecure"),
            behindTLS=self.flag("behind-tls"),
            token=self.token(ownToken),
            admin=admin,
            grace=self.one("grace", seconds, GRACE),
            dialects=self._dialects(),
            given=self._wrote,
        )

    def _ports(self) -> tuple[str, ...]:
        return self.every("port", self._listening) or tuple(
            map(self._listening, self._told.places(DEFAULT_PORT))
        )

    def _dialects(self) -> tuple[DialectSpec, ...]:
        under = {name: words.options for name, words in self._told.words.items()}
        specs = self.describe(
            "dialect", lambda text, read: parseDialect(text, DIALECTS, read, under)
        )
        for name in under.keys() - {spec.name for spec in specs}:
            specs += (self._configured(name, under),)
        for name, count in Counter(spec.name for spec in specs).items():
            if count > 1:
                raise UsageError(f"--dialect {name} is given twice: once is enough")
        return specs

    def _configured(
        self, name: str, under: Mapping[str, Mapping[str, str]]
    ) -> DialectSpec:
        try:
            return parseDialect(name, DIALECTS, str, under)
        except ValueError as e:
            raise UsageError(f"{self.origin(f'{name}-config')}: {e}") from e

    def _admin(self, endpoint: str) -> str | None:
        return None if endpoint == "off" else self._listening(endpoint, _LOOPBACK)

    def _listening(self, given: str, interface: str = "") -> str:
        description = listening(given, self._ipv6(), interface)
        self._wrote.setdefault(description, given)
        return description

    def _checkTwice(self, descriptions: Iterable[str]) -> None:
        for description, count in Counter(descriptions).items():
            if count > 1:
                given = self._wrote[description]
                raise UsageError(f"{given} is given twice, by --port or --admin")

    def _allowed(self, own: frozenset[int]) -> PortSet:
        usual = PortSet(((_LOWEST, HIGHEST),))
        left = self.one("ports", PortSet.parse, usual).without(own)
        if not left:
            raise UsageError(
                "--ports leaves nothing for clients: without the server's own"
                f" ({', '.join(map(str, sorted(own)))}) no port is left"
            )
        return left

    def _certificate(self) -> tuple[Path | None, Path | None]:
        certificate, key = self.file("certificate"), self.file("key")
        if (certificate is None) != (key is None):
            lacking = "--key" if key is None else "--certificate"
            raise UsageError(
                f"{lacking} is missing: --certificate and --key go together"
            )
        return (certificate, key) if certificate else self._told.pair()


def _reader(name: str) -> ReadServer:
    # It is loaded if there is something to read.
    return lambda content, path: FILES[name](content, path)


def makeService(options: Options) -> IService:
    """
    Make the service of a process that is a server.
    """
    reactor = theReactor()
    server = Server(options.settings, reactor, os.urandom, adminSite, http=_http)
    grace = options.settings.grace
    return inProcess(lambda failed: server, options, grace, reactor, server.reload)


def _http() -> Any:
    # Only where something asks for it: this import takes a while.
    from tunnelkit.commands.surroundings import http

    return http(theReactor())


def adminSite(
    source: IStatusSource, token: str, clock: IReactorTime
) -> IProtocolFactory:
    """
    Make the site of the admin rooms.
    """
    root = makeRoot(source, token)
    return makeSite(root, clock, streams=root.streams)


def address(text: str) -> str:
    """
    Read an address of this machine.

    @raise ValueError: it is none.
    """
    try:
        return str(ip_address(text.removeprefix("[").removesuffix("]")))
    except ValueError:
        raise ValueError(
            f"{text!r} is not an IP address: give one of this machine's, such as"
            " 0.0.0.0 for IPv4 alone"
        ) from None


def hostName(text: str) -> str:
    """
    Read a host's name or address, without a port.

    @raise ValueError: it is none.
    """
    try:
        found = parseHostPort(text, 0)
    except ValueError as e:
        raise ValueError(
            f"{text!r} is not a host: give a name or an address alone"
        ) from e
    if found.port:
        raise ValueError(f"{text!r} has a port: give the host alone")
    return found.host


def ownToken(text: str) -> Token:
    """
    Read a token of the operator's own for the user C{default}.

    @raise ValueError: it is none, or of another user, or could be guessed.
    """
    token = Token.parse(text)
    if token.user != DEFAULT_USER:
        raise ValueError(
            f"this is a token of the user {token.user}, and the server's own is one of"
            f" the user {DEFAULT_USER}: it begins with tk1_{DEFAULT_USER}_"
        )
    if token.strength() < LEAST_BITS:
        raise ValueError(
            f"the secret is too weak: it has about {token.strength()} bits of chance"
            f" and needs {LEAST_BITS}; write tk1_{DEFAULT_USER}_ and behind it what"
            " openssl rand -hex 20 prints"
        )
    return token
