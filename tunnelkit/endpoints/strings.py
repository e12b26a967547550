# -*- test-case-name: tests.endpoints.test_strings -*-
"""
Strings: endpoint descriptions that begin with C{tunnel:}.

A server's address has colons of its own.  So what stands before the first option is
put together again: C{tunnel:[::1]:8910:name=site} needs no escapes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from typing import Any, Final, TypeVar

from tunnelkit.control.names import isClientName
from tunnelkit.endpoints.dialling import PATIENCE, TunnelClientEndpoint
from tunnelkit.endpoints.listening import TunnelServerEndpoint
from tunnelkit.endpoints.login import login, tokenIn
from tunnelkit.endpoints.program import here
from tunnelkit.settings import ClientSettings
from tunnelkit.tunnels.kinds import PARSERS
from tunnelkit.tunnels.private.keyfile import endKey, fileName, fileText
from tunnelkit.tunnels.spec import TunnelSpec, isTunnelName
from tunnelkit.wire.certificate import parseFingerprint
from tunnelkit.wire.endkey import EndKey

T = TypeVar("T")

PREFIX: Final = "tunnel"
_LOGIN: Final = ("client", "fingerprint", "insecure", "tokenFile", "verify")
_KINDS: Final = {
    "tcp": (
        *("burst", "compress", "limit", "limit-in", "limit-out"),
        *("name", "port"),
    ),
    "private": (
        *("burst", "limit", "limit-in", "limit-out"),
        *("keyFile", "name", "visitors"),
    ),
}
"""What a tunnel may be told, by its kind."""
_TRUTHS: Final = {"yes": True, "no": False}
_LONGEST: Final = 7 * 24 * 3600


def serverEndpoint(
    reactor: Any, arguments: Iterable[str], options: dict[str, str]
) -> TunnelServerEndpoint:
    """
    Read what follows C{tunnel:} where a program listens.

    @raise ValueError: the text says what is wrong.
    """
    with_ = _Options(arguments, options)
    kind = with_.take("kind", _kind, "tcp")
    with_.check((*_LOGIN, "kind", "wait", *_KINDS[kind]))
    return TunnelServerEndpoint(
        reactor,
        with_.settings(),
        with_.tunnel(kind),
        with_.take("wait", _seconds, None),
    )


def clientEndpoint(
    reactor: Any, arguments: Iterable[str], options: dict[str, str]
) -> TunnelClientEndpoint:
    """
    Read what follows C{tunnel:} where a program connects.

    @raise ValueError: the text says what is wrong.
    """
    with_ = _Options(arguments, options)
    with_.check((*_LOGIN, "keyFile", "timeout", "to"))
    name = with_.take("to", _tunnelName, None)
    if name is None:
        raise with_.wrong("to=NAME is missing: the name of the private tunnel to dial")
    settings = with_.settings()
    timeout = with_.take("timeout", _seconds, PATIENCE)
    return TunnelClientEndpoint(reactor, settings, name, timeout, with_.key(name))


class _Options:
    """
    What a description has, and what is wrong with it.
    """

    def __init__(self, arguments: Iterable[str], options: dict[str, str]) -> None:
        self._server = ":".join(arguments)
        self._options = options

    def wrong(self, what: str) -> ValueError:
        """
        Say what is wrong.
        """
        return ValueError(f"{PREFIX}:{self._server}: {what}")

    def check(self, known: Collection[str]) -> None:
        """
        See whether there is anything that means nothing.
        """
        for name in self._options:
            if name not in known:
                may = ", ".join(sorted(known))
                none = f"there is no option {name!r} here, only {may}"
                raise self.wrong(_elsewhere(name, known) or none)

    def take(self, name: str, read: Callable[[str], T], default: T) -> T:
        """
        Give what an option says.

        @param read: makes a value of its text; its ValueError says what is wrong.
        """
        if name not in self._options:
            return default
        try:
            return read(self._options[name])
        except ValueError as e:
            raise self.wrong(f"{name}={self._shown(name)}: {e}") from None

    def settings(self) -> ClientSettings:
        """
        Give which server it is, and as who to log in there.
        """
        if not self._server:
            raise self.wrong(f"the server is missing: write {PREFIX}:HOST[:PORT]")
        token = self.take("tokenFile", tokenIn, None)
        if token is None:
            raise self.wrong("tokenFile=FILE is missing: the token to log in with")
        # Each is read by itself, so that what is wrong is said with its name.
        self.take("fingerprint", parseFingerprint, None)
        client = self.take("client", _clientName, "")
        fingerprint = self.take("fingerprint", str, "")
        verify = self.take("verify", _truth, False)
        insecure = self.take("insecure", _truth, False)
        try:
            return login(self._server, token, client, fingerprint, verify, insecure)
        except ValueError as e:
            raise self.wrong(str(e)) from None

    def tunnel(self, kind: str) -> TunnelSpec:
        """
        Give the tunnel that is asked for.
        """
        options = {
            name: text for name, text in self._options.items() if name in _KINDS[kind]
        }
        if "port" in options:
            options.setdefault("name", f"{kind}-{options['port']}")
        if "name" not in options:
            raise self.wrong("name=NAME is missing: the server keeps a port for a name")
        try:
            # Of the service, which is this program, the parser knows nothing.
            spec = PARSERS[kind](["1"], options)
        except ValueError as e:
            raise self.wrong(str(e)) from None
        key = self._key(spec.keyFile, spec.name)
        return replace(spec, local=here(None), key=key)

    def key(self, tunnel: str) -> EndKey | None:
        """
        Give the key of a tunnel that is encrypted from end to end.
        """
        return self._key(self.take("keyFile", fileName, ""), tunnel)

    def _key(self, name: str, tunnel: str) -> EndKey | None:
        try:
            return endKey(name, tunnel, fileText)
        except ValueError as e:
            raise self.wrong(str(e)) from None

    def _shown(self, name: str) -> str:
        return os.fspath(self._options[name])[:200]


def _elsewhere(name: str, known: Collection[str]) -> str:
    """
    Say where an option would mean something, or give an empty text.
    """
    if "to" in known:
        dials = name in ("name", "port", *_KINDS["private"])
        return f"{name}= is for listening: to dial give to=NAME" if dials else ""
    if name == "to":
        return "to= is for dialling: to listen give name=NAME"
    for kind, options in _KINDS.items():
        if name in options:
            return f"{name}= goes with kind={kind}"
    return ""


def _kind(text: str) -> str:
    if text not in _KINDS:
        raise ValueError(f"a program can be behind {' or '.join(sorted(_KINDS))}")
    return text


def _tunnelName(text: str) -> str:
    if not isTunnelName(text):
        raise ValueError("no tunnel can be called that")
    return text


def _clientName(text: str) -> str:
    if not isClientName(text):
        raise ValueError("a client's name has 1 to 200 printable characters")
    return text


def _truth(text: str) -> bool:
    if text not in _TRUTHS:
        raise ValueError("it is yes or no")
    return _TRUTHS[text]


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= _LONGEST:
        raise ValueError("it is a number of seconds, such as 30, and at most a week")
    return value
