# -*- test-case-name: tests.wire.portal.test_tags -*-
"""
Tags: packets between portals in the compatible mode, as udptun's have them.

A packet is the tag of its flow, u16 little-endian, and a datagram as it is, which may
be empty.  There is nothing else: no length, no checksum, no secret.  A packet without
any bytes belongs to no flow; it opens the way through a NAT.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from tunnelkit.wire.native.frames import WireError

TAG: Final = Struct("<H")
TAGS: Final = 1 << 16
"""How many tags there are."""
STOCK: Final = 1498
"""The longest datagram, in bytes, that a program reads which is not ours: it cuts what
is longer."""
LONGEST: Final = 65507 - TAG.size
"""The longest datagram, in bytes, that fits into a packet over UDP."""


def tagged(tag: int, datagram: bytes) -> bytes:
    """
    Give the packet of a datagram.
    """
    return TAG.pack(tag) + datagram


def untagged(packet: bytes) -> tuple[int, bytes]:
    """
    Take a packet apart.

    @return: the tag and the datagram.
    @raise WireError: it is too short for a tag.
    """
    if len(packet) < TAG.size:
        raise WireError(f"a packet of {len(packet)} bytes has no tag")
    return TAG.unpack_from(packet)[0], packet[TAG.size :]
