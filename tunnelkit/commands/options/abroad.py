# -*- test-case-name: tests.commands.options.test_abroad -*-
"""
Abroad: the options of a client that speaks a dialect with another system's server.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cryptography import x509
from twisted.python.usage import UsageError

from tunnelkit.commands.options.login import ServerOptions
from tunnelkit.dialects.abroad import AbroadSettings, ClientDialect, Place
from tunnelkit.dialects.descriptions import serverAddress
from tunnelkit.dialects.foreign import ClientWords
from tunnelkit.dialects.known import CLIENTS, FILES
from tunnelkit.tunnels.published import PRIVATE
from tunnelkit.tunnels.spec import TunnelSpec
from tunnelkit.wire.certificate import parseFingerprint

OPTIONS: Final = (
    "token",
    "token-file",
    "fingerprint",
    "verify",
    "insecure",
    "ca",
    "name",
    "tunnel",
    "visit",
    "socks",
    "key",
    "allow",
)
"""Options that some of the dialects take, and some do not."""

_ALONE: Final = ("ca",)
"""Those that our own protocol does not."""

_LACKING: Final = {
    "token": "give a file that holds the secret with --token-file",
    "name": "give the client's id with --name",
    "tunnel": "say what to publish, such as --tunnel tcp:8000:port=9000",
    "allow": "say what may be dialled",
}


def clientDialect(text: str) -> ClientDialect:
    """
    Read the name of a dialect.

    @raise ValueError: there is none of that name.
    """
    if text not in CLIENTS:
        known = ", ".join(sorted(CLIENTS))
        raise ValueError(f"there is no dialect {text[:40]!r}, only {known}")
    return CLIENTS[text]


def spokenBy(options: ServerOptions) -> ClientDialect | None:
    """
    Give the dialect that is to be spoken: the one that is named, or whose configuration
    file is given.
    """
    named = options.one("dialect", clientDialect, None)
    for name in FILES:
        origin = options.origin(f"{name}-config")
        if origin is None or (named is not None and named.name == name):
            continue
        if named is not None:
            raise UsageError(
                f"{origin} is for the dialect {name}, and {named.name} is to be"
                " spoken: leave one of them out"
            )
        named = CLIENTS[name]
    return named


def refuseAbroad(options: ServerOptions) -> None:
    """
    Refuse what has no meaning without a dialect.
    """
    for name in _ALONE:
        if (origin := options.origin(name)) is not None:
            raise UsageError(
                f"{origin} is for servers of other systems: say which with --dialect,"
                " or leave it out"
            )


def abroadSettings(
    options: ServerOptions,
    dialect: ClientDialect,
    name: str,
    tunnels: tuple[TunnelSpec, ...],
    grace: float,
) -> AbroadSettings:
    """
    Check options, and make settings of them and the rest.
    """
    for option in OPTIONS:
        origin = options.origin(option)
        if origin is not None and _group(option) not in dialect.takes:
            raise UsageError(
                f"{origin} makes no sense with the dialect {dialect.name}: leave it out"
            )
    for tunnel in tunnels:
        if tunnel.kind.startswith(PRIVATE):
            raise UsageError(
                f"--tunnel: {tunnel.name} is a private tunnel, which servers of other"
                " systems do not have: leave it out, or --dialect"
            )
    words = _words(options, dialect)
    settings = AbroadSettings(
        dialect=dialect,
        place=_place(options, dialect, words),
        token=_token(options, dialect) or words.token,
        name=name,
        tunnels=tunnels or words.tunnels,
        allow=options.every("allow", str),
        fingerprint=options.one("fingerprint", parseFingerprint, None),
        authority=_authority(options),
        grace=grace,
    )
    _checkWhole(options, settings)
    if dialect.warning:
        options.warnings.append(dialect.warning)
    return settings


def _checkWhole(options: ServerOptions, settings: AbroadSettings) -> None:
    dialect = settings.dialect
    for option in sorted(dialect.needs):
        if not getattr(settings, "tunnels" if option == "tunnel" else option):
            raise UsageError(f"--{option} is missing: {_LACKING[option]}")
    if not settings.place.tls:
        for option in ("fingerprint", "ca"):
            if (origin := options.origin(option)) is not None:
                raise UsageError(
                    f"{origin} is about a certificate, and without TLS there is none:"
                    " leave it out, or speak TLS"
                )
    try:
        dialect.check(settings)
    except ValueError as e:
        raise UsageError(f"dialect {dialect.name}: {e}") from None


def _group(option: str) -> str:
    return "token" if option == "token-file" else option


def _token(options: ServerOptions, dialect: ClientDialect) -> str:
    if "token" not in dialect.takes:
        return ""
    return options.secret(_secret) or ""


def _secret(text: str) -> str:
    """
    Take the secret as it stands: the first line.
    """
    lines = text.splitlines()
    if not lines or not lines[0]:
        raise ValueError("the secret is empty")
    return lines[0]


def _words(options: ServerOptions, dialect: ClientDialect) -> ClientWords:
    if dialect.words is None:
        return ClientWords()
    found = options.content(f"{dialect.name}-config", dialect.words)
    return found or ClientWords()


def _place(options: ServerOptions, dialect: ClientDialect, words: ClientWords) -> Place:
    read: Callable[[str], Place]
    tls = dialect.tls and not options.flag("insecure") and not words.insecure
    read = dialect.place or (lambda text: Place(serverAddress(text, dialect.port), tls))
    place = options.one("server", read, None)
    if place is None and words.server:
        try:
            place = read(words.server)
        except ValueError as e:
            raise UsageError(f"{options.origin(f'{dialect.name}-config')}: {e}") from e
    if place is None:
        raise UsageError("--server is missing: say where the server is")
    return place


def _authority(options: ServerOptions) -> str:
    path = options.file("ca")
    if path is None:
        return ""
    content = path.read_text(encoding="ascii", errors="replace")
    try:
        x509.load_pem_x509_certificates(content.encode())
    except ValueError:
        raise UsageError(
            f"{options.origin('ca')}: {path} holds no certificates in PEM"
        ) from None
    return content
