"""
Buffer: the one piece of memory through which all bytes go that no pipe carries.

What is read stands here until it is written, which is at once: nothing is kept from
one event to the next, so one buffer serves all connections of the process.  A
connection reads behind L{HEAD} bytes, in which the one that writes has room for a
frame's header: both leave in one system call.
"""

from __future__ import annotations

from typing import Final

SMALL: Final = 16384
"""How much is read at once from a connection that has not shown yet that it has much
to say, in bytes; also what is kept, at most, of a direction that cannot go on."""

LARGE: Final = 57344
"""The same of a connection that has, where no pipe can carry it."""

HEAD: Final = 4
"""Bytes before those that were read."""

BUFFER: Final = bytearray(HEAD + LARGE)
VIEW: Final = memoryview(BUFFER)
PLACE: Final = VIEW[HEAD : HEAD + SMALL]
"""Where a connection reads to."""
PLENTY: Final = VIEW[HEAD:]
"""Where one reads to that has much to say."""
