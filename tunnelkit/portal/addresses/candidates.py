# -*- test-case-name: tests.portal.flows.test_exits -*-
"""
Candidates: the addresses at which a portal may be, as a rendezvous keeps them.

As text they stand behind each other with spaces between, without a comma, as the
rendezvous has that for itself: C{198.51.100.7:4321 [2001:db8::1]:4321
relay=203.0.113.5:20417}.  A program that is not ours has one address and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from tunnelkit.portal.addresses.sockets import Address
from tunnelkit.wire.address import HostPort, parseHostPort

MOST: Final = 8
"""Addresses that a portal may have."""
LONGEST: Final = 512
"""Characters that they may take."""
_RELAY: Final = "relay="


@dataclass(frozen=True, slots=True)
class Candidates:
    """
    @ivar direct: its own addresses, the one that is most likely first.
    @ivar relays: addresses of tunnels to it.
    """

    direct: tuple[Address, ...] = ()
    relays: tuple[Address, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Candidates:
        """
        Read them.

        @raise ValueError: these are none; the text says why.
        """
        words = text.split()
        if not 1 <= len(words) <= MOST or len(text) > LONGEST:
            raise ValueError(f"give 1 to {MOST} addresses IP:PORT, with spaces between")
        relays = [word for word in words if word.startswith(_RELAY)]
        direct = [word for word in words if not word.startswith(_RELAY)]
        return cls(
            tuple(map(_address, direct)),
            tuple(_address(word.removeprefix(_RELAY)) for word in relays),
        )

    def __str__(self) -> str:
        # Where all else fails there is the relay, so it is not what is left out.
        relays = [f"{_RELAY}{shown(address)}" for address in self.relays[:MOST]]
        direct = map(shown, self.direct[: MOST - len(relays)])
        return " ".join([*direct, *relays])

    def __bool__(self) -> bool:
        return bool(self.direct or self.relays)


def shown(address: Address) -> str:
    """
    Give an address as people write it.
    """
    return str(HostPort(*address))


def unique(addresses: Iterable[Address | None]) -> tuple[Address, ...]:
    """
    Give those that there are, each once.
    """
    return tuple(dict.fromkeys(each for each in addresses if each is not None))


def _address(text: str) -> Address:
    found = parseHostPort(text)
    try:
        host = ip_address(found.host)
    except ValueError:
        raise ValueError(f"{text!r} is not an address IP:PORT") from None
    if host.is_multicast or host.is_unspecified:
        raise ValueError(f"{text!r} is not the address of a machine")
    return str(host), found.port
