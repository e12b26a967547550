# -*- test-case-name: tests.commands.test_portal -*-
"""
C{twistd tunnelportal}: options, and the service that they describe.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from twisted.application.service import IService
from twisted.python.usage import UsageError

from tunnelkit.commands.options.config import (
    Reading,
    number,
    port,
    text,
    texts,
    truth,
)
from tunnelkit.commands.options.flags import seconds
from tunnelkit.commands.options.login import LoginOptions
from tunnelkit.commands.options.values import (
    bound,
    length,
    listened,
    portalName,
    readSecret,
    rendezvousURL,
    target,
)
from tunnelkit.commands.process import inProcess, theReactor
from tunnelkit.dialects.descriptions import (
    DEFAULT_PORT,
    hasIPv6,
    listening,
    serverAddress,
)
from tunnelkit.portal.addresses.own import MOST as STUN_SERVERS
from tunnelkit.portal.links.link import PUNCHING
from tunnelkit.portal.settings import PortalSettings, Target
from tunnelkit.settings import ClientSettings
from tunnelkit.wire.address import HostPort, parseHostPort, parsePort
from tunnelkit.wire.portal import sealed, tags

LOGIN: Final = [
    *(str(option[0]) for option in LoginOptions.optParameters),
    *(str(option[0]) for option in LoginOptions.optFlags),
]
"""Options that say how to log in to the server of C{--via}."""


class Options(LoginOptions):
    """
    What C{twistd tunnelportal} can be told.

    @ivar settings: the same, checked and complete, once it is parsed.
    """

    settings: PortalSettings

    synopsis = (
        "--serve HOST:PORT --name NAME | --listen [HOST:]PORT --connect NAME|HOST:PORT"
        " | --rendezvous-listen WHERE [options]"
    )
    longdesc = (
        "Carries datagrams of many local senders to one far UDP service, over one UDP"
        " path between two portals, through NATs, with no server in between."
    )

    optParameters = [
        [
            "serve",
            None,
            None,
            "This is the far side: the UDP service to which flows go, HOST:PORT.",
        ],
        [
            "name",
            None,
            None,
            "The far side's name: near sides find it by that at the rendezvous.",
        ],
        [
            "bind",
            None,
            None,
            "The portal's own UDP socket: ADDRESS:PORT, or a port on all addresses."
            " [default: any port, on all]",
        ],
        [
            "secret-file",
            None,
            None,
            "A file with the secret that all portals share that may speak to each"
            " other. Needed, unless --compatible is given.",
        ],
        [
            "rendezvous",
            None,
            None,
            "The URL of the rendezvous, which knows where named portals are.",
        ],
        [
            "relay",
            None,
            None,
            "The far side's: the public address, HOST:PORT, of a UDP tunnel that leads"
            " to the socket of --bind. Near sides go there where no direct path works.",
        ],
        [
            "via",
            None,
            None,
            "The far side's: a tunnel server, HOST[:PORT], where PORT is"
            f" {DEFAULT_PORT} if it is left out, or a client endpoint description. The"
            " portal makes a UDP tunnel there, which leads to its own socket and does"
            " what that of --relay does. Needs a token.",
        ],
        [
            "via-port",
            None,
            None,
            "With --via: the public port of that tunnel."
            " [default: the server picks one, and keeps it]",
        ],
        [
            "max-datagram",
            None,
            None,
            "The longest datagram, in bytes; longer ones are dropped and counted."
            f" [default: {sealed.LONGEST}, and {tags.STOCK} with --compatible]",
        ],
        [
            "punch-timeout",
            None,
            None,
            "After how many seconds without a direct path the relay is taken."
            f" [default: {PUNCHING:g}]",
        ],
        [
            "control",
            None,
            None,
            "The near side's: where its HTTP interface is, a port on 127.0.0.1 or a"
            " description. [default: there is none]",
        ],
        [
            "control-token-file",
            None,
            None,
            "A file with what a program must know to use --control. Needed there,"
            " unless --compatible is given.",
        ],
        [
            "rendezvous-listen",
            None,
            None,
            "Be the rendezvous: a port for HTTP, or a description such as"
            " tls:DIRECTORY:443.",
        ],
    ]

    optFlags = [
        [
            "compatible",
            None,
            "Speak as udptun does, which is neither encrypted nor authenticated:"
            " whoever reaches the far side reaches its service.",
        ],
    ]

    fileKeys: ClassVar[Mapping[str, Reading]] = {
        **LoginOptions.fileKeys,
        "serve": text,
        "name": text,
        "listen": texts,
        "connect": texts,
        "bind": text,
        "secret-file": text,
        "compatible": truth,
        "rendezvous": text,
        "stun": texts,
        "relay": text,
        "via": text,
        "via-port": port,
        "max-datagram": number,
        "punch-timeout": number,
        "control": text,
        "control-token-file": text,
        "rendezvous-listen": text,
    }

    def __init__(
        self,
        environ: Mapping[str, str] = os.environ,
        ipv6: Callable[[], bool] = hasIPv6,
        host: Callable[[], str] = socket.gethostname,
    ) -> None:
        """
        @param ipv6: tells whether this machine has IPv6.
        """
        super().__init__(environ, host)
        for name in LOGIN:
            self.docs[name] = f"With --via: {self.docs[name]}"
        self.hasIPv6 = ipv6
        self["listen"] = self["connect"] = self["stun"] = None

    def opt_listen(self, where: str) -> None:
        """
        This is the near side: where local senders send to, a port on 127.0.0.1 or
        ADDRESS:PORT. May be given several times; the n-th leads to the n-th --connect.
        """
        self["listen"] = [*(self["listen"] or ()), where]

    def opt_connect(self, where: str) -> None:
        """
        The far portal: its name at the rendezvous, or HOST:PORT. May be given several
        times.
        """
        self["connect"] = [*(self["connect"] or ()), where]

    def opt_stun(self, where: str) -> None:
        """
        A STUN server, HOST[:PORT], that says where this portal is for the world. May be
        given several times. [default: none]
        """
        self["stun"] = [*(self["stun"] or ()), where]

    def postOptions(self) -> None:
        """
        Check everything, and make the settings.
        """
        super().postOptions()
        compatible = self.flag("compatible")
        secret = self._secret("secret-file")
        control = self.one("control", self._control, None)
        self.settings = PortalSettings(
            serve=self.one("serve", parseHostPort, None),
            name=self.one("name", portalName, ""),
            leads=self._leads(),
            bind=self.one("bind", bound, HostPort("", 0)),
            secret=secret.encode() if secret else None,
            rendezvous=self.one("rendezvous", rendezvousURL, ""),
            stun=self.every("stun", lambda text: parseHostPort(text, 3478)),
            relay=self.one("relay", parseHostPort, None),
            via=self._via(),
            viaPort=self.one("via-port", parsePort, 0),
            longest=self._longest(compatible),
            punching=self.one("punch-timeout", seconds, PUNCHING),
            control=control,
            controlToken=self._secret("control-token-file") or "",
            rendezvousAt=self.one("rendezvous-listen", self._listening, None),
        )
        self._checkRole(self.settings)
        self._checkSecrets(self.settings, compatible)
        self._checkNames(self.settings)

    def _listening(self, text: str) -> str:
        return listening(text, self.hasIPv6())

    def _control(self, text: str) -> str:
        return listening(text, self.hasIPv6(), "127.0.0.1")

    def _longest(self, compatible: bool) -> int:
        usual, most = sealed.LONGEST, sealed.LONGEST
        if compatible:
            usual, most = tags.STOCK, tags.LONGEST
        return self.one("max-datagram", lambda text: length(text, most), usual)

    def _via(self) -> ClientSettings | None:
        server = self.one("via", serverAddress, None)
        if server is not None:
            return self.loginSettings(server, self.hostName(), (), 0.0)
        for name in (*LOGIN, "via-port"):
            if self._given(name):
                raise UsageError(
                    f"--{name} is about the server of --via: give both, or neither"
                )
        return None

    def _leads(self) -> tuple[tuple[HostPort, Target], ...]:
        listens = self.every("listen", listened)
        connects = self.every("connect", target)
        if len(listens) != len(connects):
            raise UsageError(
                f"--listen is given {len(listens)} times and --connect"
                f" {len(connects)} times: give one of each for each far portal"
            )
        return tuple(zip(listens, connects, strict=True))

    def _secret(self, name: str) -> str | None:
        path = self.file(name)
        if path is None:
            return None
        try:
            return readSecret(path)
        except ValueError as e:
            raise UsageError(f"--{name}: {e}") from e

    def _checkRole(self, settings: PortalSettings) -> None:
        near = bool(settings.leads or settings.control)
        if settings.far and near:
            option = "--listen" if settings.leads else "--control"
            raise UsageError(
                f"--serve is the far side's and {option} the near side's: run a portal"
                " for each"
            )
        if not (settings.far or near or settings.rendezvousAt):
            raise UsageError(
                "there is nothing to do: give --serve HOST:PORT for the far side,"
                " --listen and --connect for the near side, or --rendezvous-listen"
            )
        for name in ("relay", "via"):
            if getattr(settings, name) and not settings.far:
                raise UsageError(f"--{name} is the far side's, which has --serve")
        if len(settings.stun) > STUN_SERVERS:
            raise UsageError(f"--stun: {STUN_SERVERS} servers are enough")

    def _checkSecrets(self, settings: PortalSettings, compatible: bool) -> None:
        portal = settings.far or settings.leads or settings.control
        if compatible and settings.secret:
            raise UsageError(
                "--compatible knows no secret: leave it out, or --secret-file"
            )
        if portal and not compatible and settings.secret is None:
            raise UsageError(
                "--secret-file is missing: all portals that may speak to each other"
                " share a secret; 'openssl rand -hex 32 > FILE; chmod 600 FILE' makes"
                " one, and --compatible speaks as udptun does, without any"
            )
        if settings.control and not compatible and not settings.controlToken:
            raise UsageError(
                "--control-token-file is missing: who may use --control can open ways"
                " to any portal"
            )
        for name in ("relay", "via"):
            if getattr(settings, name) and compatible:
                raise UsageError(
                    f"--{name} needs sealed packets: leave out --compatible"
                )

    def _checkNames(self, settings: PortalSettings) -> None:
        if settings.rendezvous and settings.far and not settings.name:
            raise UsageError(
                "--name is missing: at the rendezvous this portal needs a name"
            )
        for _, to in settings.leads:
            if isinstance(to, str) and not settings.rendezvous:
                raise UsageError(
                    f"--connect: {to!r} is a name: give --rendezvous URL, which knows"
                    " where that is, or HOST:PORT"
                )


def makeService(options: Options) -> IService:
    """
    Make the service of a process that is a portal.
    """
    # The rest of a portal is loaded where there is one.
    from tunnelkit.commands.surroundings import surroundings
    from tunnelkit.portal.service import makePortal

    reactor: Any = theReactor()
    around = surroundings(reactor, os.urandom, time.time)
    settings = options.settings
    return inProcess(
        lambda failed: makePortal(settings, around, reactor), options, 0.0, reactor
    )
