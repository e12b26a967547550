# -*- test-case-name: tests.wire.portal.test_stun -*-
"""
STUN (RFC 8489), as far as it takes to learn one's own address: the request without
attributes, and what may be the answer to it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import Final

from tunnelkit.wire.native.frames import WireError

TRANSACTION: Final = 12
"""The length of a transaction's id, in bytes."""

_HEADER: Final = Struct("!HHI12s")
_COOKIE: Final = 0x2112A442
_REQUEST: Final = 0x0001
_SUCCESS: Final = 0x0101
_ERROR: Final = 0x0111

_ATTRIBUTE: Final = Struct("!HH")
_ADDRESS: Final = Struct("!xBH")
_MAPPED: Final = 0x0020  # XOR-MAPPED-ADDRESS
_CODE: Final = 0x0009  # ERROR-CODE
_FINGERPRINT: Final = 0x8028
_FINGERPRINT_XOR: Final = 0x5354554E
_OPTIONAL: Final = 0x8000
_PASSED_OVER: Final = frozenset(
    (0x0001, 0x0006, 0x0008, 0x0014, 0x0015, 0x001C, 0x001D, 0x001E)
)
"""Attributes that must be understood, and are, and say nothing to us: MAPPED-ADDRESS,
which some routers rewrite, and what belongs to logins."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """
    An answer: where a request came from, as its server saw it.

    @ivar transaction: the id of the request.
    """

    transaction: bytes
    host: str
    port: int


def request(transaction: bytes) -> bytes:
    """
    Give the request for one's own address.

    @param transaction: 12 bytes that nobody can guess.
    """
    return _HEADER.pack(_REQUEST, 0, _COOKIE, transaction)


def parseAnswer(packet: bytes) -> Mapped:
    """
    Read an answer.

    @raise WireError: it is none, or one that tells no address.
    """
    if len(packet) < _HEADER.size:
        raise WireError("an answer of STUN is cut off")
    kind, length, cookie, transaction = _HEADER.unpack_from(packet)
    if cookie != _COOKIE or length % 4 or length != len(packet) - _HEADER.size:
        raise WireError("this is no message of STUN")
    if kind not in (_SUCCESS, _ERROR):
        raise WireError(f"a message of STUN is no answer: {kind:#06x}")
    found = None
    for attribute, value in _attributes(packet):
        if attribute == _MAPPED:
            found = found or _unmasked(value, packet[4:20])
        elif attribute == _CODE and kind == _ERROR:
            raise WireError(f"STUN says error {_code(value)}")
        elif attribute < _OPTIONAL and attribute not in _PASSED_OVER:
            raise WireError(f"an answer of STUN has the unknown part {attribute:#06x}")
    if kind == _ERROR or found is None:
        raise WireError("an answer of STUN has no address")
    return Mapped(transaction, *found)


def _attributes(packet: bytes) -> Iterator[tuple[int, bytes]]:
    at = _HEADER.size
    while at < len(packet):
        kind, length = _ATTRIBUTE.unpack_from(packet, at)
        value = packet[at + _ATTRIBUTE.size : at + _ATTRIBUTE.size + length]
        if len(value) < length:
            raise WireError("an attribute of STUN is cut off")
        if kind == _FINGERPRINT:
            _check(packet, at, value)
            return
        yield kind, value
        at += _ATTRIBUTE.size + length + -length % 4


def _check(packet: bytes, at: int, value: bytes) -> None:
    expected = zlib.crc32(packet[:at]) ^ _FINGERPRINT_XOR
    if value != expected.to_bytes(4, "big") or at + 8 != len(packet):
        raise WireError("the fingerprint of an answer of STUN is wrong")


def _unmasked(value: bytes, mask: bytes) -> tuple[str, int]:
    """
    @param mask: cookie and transaction.
    """
    if len(value) < _ADDRESS.size:
        raise WireError("an address of STUN is cut off")
    family, port = _ADDRESS.unpack_from(value)
    masked = value[_ADDRESS.size :]
    if (family, len(masked)) not in ((1, 4), (2, 16)):
        raise WireError("an address of STUN is of no family that there is")
    raw = bytes(one ^ other for one, other in zip(masked, mask, strict=False))
    host = IPv4Address(raw) if family == 1 else IPv6Address(raw)
    return str(host), port ^ _COOKIE >> 16


def _code(value: bytes) -> int:
    return (value[2] & 7) * 100 + value[3] if len(value) >= 4 else 0
