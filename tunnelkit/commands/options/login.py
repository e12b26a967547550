# -*- test-case-name: tests.commands.test_client -*-
"""
Logging in to a server: the options of all commands that do.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from typing import ClassVar

from twisted.python.usage import UsageError

from tunnelkit.commands.options.config import (
    Reading,
    number,
    text,
    texts,
    truth,
)
from tunnelkit.commands.options.flags import TOKEN_VARIABLE, ConfiguredOptions
from tunnelkit.dialects.descriptions import DEFAULT_PORT, serverAddress
from tunnelkit.settings import ClientSettings
from tunnelkit.tunnels.spec import TunnelSpec
from tunnelkit.wire.address import HostPort
from tunnelkit.wire.certificate import parseFingerprint
from tunnelkit.wire.token import Token


class LoginOptions(ConfiguredOptions):
    """
    How to log in to a server, whichever that is.
    """

    optParameters = [
        [
            "token-file",
            None,
            None,
            f"A file with the token to log in with. It, --token or {TOKEN_VARIABLE} in"
            " the environment is needed.",
        ],
        [
            "token",
            None,
            None,
            "The token itself; every user of this machine can read it there.",
        ],
        [
            "fingerprint",
            None,
            None,
            "Accept only the certificate with this SHA-256, which the server's log"
            " shows. [default: any, as the server proves that it knows the token]",
        ],
    ]

    optFlags = [
        [
            "verify",
            None,
            "Accept only a certificate that verifies for the server's name; needed"
            " where something else ends the TLS in front of the server.",
        ],
        [
            "insecure",
            None,
            "Speak plain TCP: who can read the wire can read everything and take the"
            " session over. Servers refuse it unless they are told --insecure, too.",
        ],
    ]

    fileKeys: ClassVar[Mapping[str, Reading]] = {
        **ConfiguredOptions.fileKeys,
        "token": text,
        "token-file": text,
        "fingerprint": text,
        "verify": truth,
        "insecure": truth,
    }

    def __init__(
        self,
        environ: Mapping[str, str] = os.environ,
        host: Callable[[], str] = socket.gethostname,
    ) -> None:
        """
        @param host: gives this machine's name.
        """
        super().__init__(environ)
        self.hostName = host

    def loginSettings(
        self,
        server: HostPort | str,
        name: str,
        tunnels: tuple[TunnelSpec, ...],
        grace: float,
    ) -> ClientSettings:
        """
        Check these options, and make settings of them and the rest.
        """
        settings = ClientSettings(
            server=server,
            token=self._neededToken(),
            name=name,
            tunnels=tunnels,
            fingerprint=self.one("fingerprint", parseFingerprint, None),
            verify=self.flag("verify"),
            insecure=self.flag("insecure"),
            grace=grace,
        )
        if settings.insecure and (settings.verify or settings.fingerprint):
            other = "--verify" if settings.verify else "--fingerprint"
            raise UsageError(
                f"--insecure is plain TCP, where there is no certificate: leave it out,"
                f" or {other}"
            )
        return settings

    def _neededToken(self) -> Token:
        token = self.token()
        if token is None:
            raise UsageError(
                "the token is missing: give a file that holds it with --token-file;"
                " the server made one, default.token in its state folder"
            )
        return token


class ServerOptions(LoginOptions):
    """
    Which server to log in to, and how.
    """

    optParameters = [
        [
            "server",
            None,
            None,
            f"The server: HOST[:PORT], where PORT is {DEFAULT_PORT} if it is left out,"
            " or a client endpoint description such as tls:HOST:PORT or unix:PATH."
            " Needed.",
        ],
    ]

    # All that a client knows, so that its file serves all who log in.
    fileKeys: ClassVar[Mapping[str, Reading]] = {
        **LoginOptions.fileKeys,
        "server": text,
        "name": text,
        "tunnel": texts,
        "visit": texts,
        "socks": texts,
        "key": texts,
        "grace": number,
        "dialect": text,
        "ca": text,
        "allow": texts,
        "mgrok-config": text,
        "pipe-config": text,
    }

    def makeSettings(
        self, name: str, tunnels: tuple[TunnelSpec, ...], grace: float
    ) -> ClientSettings:
        """
        Check these options, and make settings of them and the rest.
        """
        return self.loginSettings(self._server(), name, tunnels, grace)

    def _server(self) -> HostPort | str:
        server = self.one("server", serverAddress, None)
        if server is None:
            raise UsageError(
                f"--server is missing: give HOST or HOST:PORT of the server, where PORT"
                f" is {DEFAULT_PORT} if it is left out"
            )
        return server
