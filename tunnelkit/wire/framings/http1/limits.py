# -*- test-case-name: tests.wire.framings.http1 -*-
"""
What a stranger can make us hold.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """
    How large the parts of a message may be.

    @ivar head: bytes of a start line with all header fields.
    @ivar target: bytes of a request's target.
    @ivar fields: how many header fields there may be, and how many trailers.
    @ivar collect: of a request's body so many bytes are collected before it takes the
        target; what is longer streams from there on.
    @ivar extensions: bytes of all chunk extensions of a message.
    @ivar trailers: bytes of all trailers of a message.
    @ivar whole: a reply of a known length up to this, in bytes, is collected, so that
        no client gets half of it.
    @ivar interims: how many interim replies there may be before the reply.
    """

    head: int = 32 * 1024
    target: int = 8 * 1024
    fields: int = 100
    collect: int = 1024 * 1024
    extensions: int = 16 * 1024
    trailers: int = 8 * 1024
    whole: int = 64 * 1024
    interims: int = 32
