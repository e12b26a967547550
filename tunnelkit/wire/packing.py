# -*- test-case-name: tests.wire.test_packing -*-
"""
Packing: compression of one direction of a stream, and how it is undone.

C{deflate} is the format of zlib (RFC 1950), by the standard library; C{zstd} is one
frame of Zstandard (RFC 8878), by the standard library from Python 3.14 on and by
C{backports.zstd} before.  Both have a mark of their end and a sum of what is in them,
so that what was cut off never looks whole.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from typing import Any, Final, Protocol

from tunnelkit.wire.native.frames import WireError

_LEVEL: Final = 4
"""zlib's, from 1 to 9: 70 MB/s with text, and 6 a twentieth smaller at 28 MB/s."""
_FAST: Final = 1
"""Zstandard's: it is faster than zlib at any level, and packs better."""
WINDOW: Final = 1 << 17
"""How far back Zstandard may look, in bytes: a power of two.  What a stream costs in
memory follows from it: some 170 KiB where it is packed, 70 KiB where it is unpacked.
Its own choice would be 2 MiB, and cost one."""
_WINDOW_LOG: Final = WINDOW.bit_length() - 1
_LIBRARIES: Final = ("compression.zstd", "backports.zstd")


class Packer(Protocol):
    """
    Packs one direction of a stream.
    """

    def pack(self, data: bytes) -> bytes:
        """
        Give what is to be sent for C{data}; from it the other side can make all of
        C{data} at once.
        """

    def end(self) -> bytes:
        """
        Give what is to be sent at the end.
        """


class Unpacker(Protocol):
    """
    Unpacks one direction of a stream, no more at a time than is asked for.
    """

    def feed(self, data: bytes) -> None:
        """
        Take what was received.
        """

    def read(self, most: int) -> bytes:
        """
        Give the next bytes, or none where more must be fed first.

        @param most: the most bytes to give.
        @raise WireError: what was fed was not packed so; the text says what it is.
        """

    @property
    def complete(self) -> bool:
        """
        Whether all was fed and read, and the end with it.
        """


class Deflater:
    """
    Packs in the format of zlib.
    """

    def __init__(self) -> None:
        self._zlib = zlib.compressobj(_LEVEL)

    def pack(self, data: bytes) -> bytes:
        """
        Pack bytes.
        """
        return self._zlib.compress(data) + self._zlib.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        """
        End.
        """
        return self._zlib.flush()


class Inflater:
    """
    Unpacks the format of zlib.
    """

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj()
        self._waiting = b""
        self._more = False

    def feed(self, data: bytes) -> None:
        """
        Take packed bytes.
        """
        self._waiting += data

    def read(self, most: int) -> bytes:
        """
        Unpack some.
        """
        if not self._waiting and not self._more:
            return b""
        try:
            piece = self._zlib.decompress(self._waiting, most)
        except zlib.error as e:
            raise WireError(f"bytes that are no deflate ({e})") from None
        self._waiting = self._zlib.unconsumed_tail
        # The library may have taken all, and not yet given all.
        self._more = len(piece) == most
        if self._zlib.unused_data:
            raise _behind("deflate")
        return piece

    @property
    def complete(self) -> bool:
        """
        Whether that was all.
        """
        return self._zlib.eof


class Condenser:
    """
    Packs into a frame of Zstandard.
    """

    def __init__(self) -> None:
        library = _loaded()
        known = library.CompressionParameter
        self._zstd = library.ZstdCompressor(
            options={
                known.compression_level: _FAST,
                known.window_log: _WINDOW_LOG,
                known.checksum_flag: 1,
            }
        )

    def pack(self, data: bytes) -> bytes:
        """
        Pack bytes.
        """
        packed: bytes = self._zstd.compress(data, self._zstd.FLUSH_BLOCK)
        return packed

    def end(self) -> bytes:
        """
        End.
        """
        packed: bytes = self._zstd.flush(self._zstd.FLUSH_FRAME)
        return packed


class Expander:
    """
    Unpacks a frame of Zstandard.
    """

    def __init__(self) -> None:
        library = _loaded()
        self._error: type[Exception] = library.ZstdError
        most = library.DecompressionParameter.window_log_max
        self._zstd = library.ZstdDecompressor(options={most: _WINDOW_LOG})
        self._waiting = b""

    def feed(self, data: bytes) -> None:
        """
        Take packed bytes.
        """
        self._waiting += data

    def read(self, most: int) -> bytes:
        """
        Unpack some.
        """
        zstd = self._zstd
        if zstd.eof:
            if self._waiting:
                raise _behind("zstd")
            return b""
        if zstd.needs_input and not self._waiting:
            return b""
        waiting, self._waiting = self._waiting, b""
        try:
            piece: bytes = zstd.decompress(waiting, most)
        except self._error as e:
            raise WireError(f"bytes that are no zstd ({e})") from None
        if zstd.unused_data:
            raise _behind("zstd")
        return piece

    @property
    def complete(self) -> bool:
        """
        Whether that was all.
        """
        return bool(self._zstd.eof) and not self._waiting


def _behind(kind: str) -> WireError:
    return WireError(f"bytes behind the end of its {kind}")


@cache
def library() -> Any:
    """
    Give Zstandard's library, or None where there is none.  It is not loaded before it
    is asked for.
    """
    for name in _LIBRARIES:
        try:
            return import_module(name)
        except ImportError:
            continue
    return None


def _loaded() -> Any:
    found = library()
    assert found is not None, "nobody has looked whether there is zstd"
    return found


PACKERS: Final[Mapping[str, Callable[[], Packer]]] = {
    "deflate": Deflater,
    "zstd": Condenser,
}
"""What packs, by the name that it has in messages and options."""

UNPACKERS: Final[Mapping[str, Callable[[], Unpacker]]] = {
    "deflate": Inflater,
    "zstd": Expander,
}
"""What unpacks, likewise."""


def isAble(kind: str) -> bool:
    """
    Tell whether streams can be compressed so, by this program as it is installed.
    """
    return kind in PACKERS and (kind != "zstd" or library() is not None)
