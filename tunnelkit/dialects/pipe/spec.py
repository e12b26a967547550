# -*- test-case-name: tests.dialects.pipe.test_spec -*-
"""
What an operator says about pipe: C{--dialect pipe:token=SECRET}.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from tunnelkit.dialects.house import House
from tunnelkit.dialects.pipe.caddy import URL, Caddy, Subdomains
from tunnelkit.dialects.pipe.dialect import USER, PipeDialect
from tunnelkit.dialects.spec import Description
from tunnelkit.wire.pipe.login import SKEW

_LONGEST: Final = 7 * 24 * 3600
_LONGEST_NAME: Final = 245
"""A domain with a label before it is a name of 253 characters at most, most often."""
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class PipeSpec:
    """
    @ivar token: the shared secret.
    @ivar skew: how old a login may be, in seconds; 0 for any age.
    @ivar tlsRequired: whether plain connections are refused.
    @ivar domain: names below it lead to forwards, through Caddy; empty for none.
    @ivar caddy: where Caddy's API is.
    """

    token: str = field(repr=False)
    skew: float = SKEW
    tlsRequired: bool = False
    domain: str = ""
    caddy: str = URL

    name = "pipe"
    users = frozenset({USER})

    @property
    def warning(self) -> str:
        """
        Say how far its login can be trusted.
        """
        old = f"for {self.skew:.0f} seconds" if self.skew else "for ever (skew=0)"
        return (
            "pipe is spoken on this port: who reads one of its logins can use it"
            f" {old} and can try secrets against it; visitors' bytes are not encrypted"
        )

    def make(self, house: House) -> PipeDialect:
        """
        Make what speaks it.
        """
        names = None
        if self.domain:
            caddy = Caddy(self.caddy, house.http(), house.clock)
            names = Subdomains(self.domain, caddy, house.nonce)
            house.atEnd(names.close)
        plain = not self.tlsRequired
        return PipeDialect(house, self.token, self.skew, plain, names)


def parsePipe(description: Description) -> PipeSpec:
    """
    Read what is behind C{pipe:}.

    @raise ValueError: the text says what is wrong.
    """
    domain = description.take("domain", _domain, "")
    if not domain and description.has("caddy"):
        raise ValueError("caddy= is of no use without domain=: give both, or neither")
    return PipeSpec(
        token=description.secret(),
        skew=description.take("skew", _seconds, float(SKEW)),
        tlsRequired=description.tlsRequired(),
        domain=domain,
        caddy=description.take("caddy", _url, URL),
    )


def _domain(text: str) -> str:
    name = text.lower().removesuffix(".")
    labels = name.split(".")
    if len(name) > _LONGEST_NAME or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError(f"{text[:80]!r} is not a domain, such as example.com")
    return name


def _url(text: str) -> str:
    place = urlsplit(text)
    if place.scheme not in ("http", "https") or not place.hostname:
        raise ValueError(
            rf"{text[:80]!r} is not the address of an API, such as"
            r" http\://127.0.0.1\:2019, with a \ before each :"
        )
    return text


def _seconds(text: str) -> float:
    if not text.isdecimal() or int(text) > _LONGEST:
        raise ValueError(
            f"{text!r} is not a number of seconds, 0 to {_LONGEST}; 0 is for any age"
        )
    return float(text)
