# -*- test-case-name: tests.wire.test_socks -*-
"""
SOCKS 5 (RFC 1928), the server's side up to the reply: CONNECT to a name, without a
login.  Bytes in, bytes and values out.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

LONGEST: Final = 1 << 16
"""How much a client may say ahead of the reply, in bytes."""

_VERSION: Final = 5
_OLD: Final = 4
_OLD_REJECTED: Final = bytes([0, 91, 0, 0, 0, 0, 0, 0])
_NO_LOGIN: Final = 0
_NO_METHOD: Final = bytes([_VERSION, 0xFF])
_METHOD: Final = bytes([_VERSION, _NO_LOGIN])
_CONNECT: Final = 1
_LENGTHS: Final = {1: 4, 4: 16}
"""How long an address is, by its type; a name says it itself."""
_NAME: Final = 3


class Reply(IntEnum):
    """
    What a client is told of its request (RFC 1928, section 6).
    """

    SUCCEEDED = 0
    FAILED = 1
    NOT_ALLOWED = 2
    UNREACHABLE = 3
    NO_COMMAND = 7
    NO_ADDRESS = 8

    @property
    def message(self) -> bytes:
        """
        The reply as it goes out; the address in it says nothing.
        """
        return bytes([_VERSION, self, 0, 1, 0, 0, 0, 0, 0, 0])


class SocksError(Exception):
    """
    A client is to be sent away.

    @ivar answer: what it is told first.
    """

    def __init__(self, answer: bytes, reason: str) -> None:
        super().__init__(reason)
        self.answer = answer


class Dialogue:
    """
    What one client says and is answered, up to the reply.

    @ivar host: the name that it asked for, once it has; None until then.
    @ivar port: the port of that.
    """

    def __init__(self) -> None:
        self.host: str | None = None
        self.port = 0
        self._given = b""
        self._greeted = False

    def feed(self, data: bytes) -> bytes:
        """
        Take what the client says.

        @return: what to answer.
        @raise SocksError: it cannot be served.
        """
        self._given += data
        if len(self._given) > LONGEST:
            raise SocksError(b"", "it says too much before it is answered")
        answer = b""
        if not self._greeted:
            answer = self._greet()
        if self._greeted and self.host is None:
            try:
                self._request()
            except SocksError as e:
                raise SocksError(answer + e.answer, str(e)) from None
        return answer

    @property
    def rest(self) -> bytes:
        """
        What came behind the request: the first bytes of the stream.
        """
        return self._given

    def _greet(self) -> bytes:
        given = self._given
        if given[:1] == bytes([_OLD]):
            raise SocksError(_OLD_REJECTED, "it speaks SOCKS 4: have it speak SOCKS 5")
        if given[:1] not in (b"", bytes([_VERSION])):
            raise SocksError(b"", "it does not speak SOCKS")
        if len(given) < 2 or len(given) < 2 + given[1]:
            return b""
        end = 2 + given[1]
        if _NO_LOGIN not in given[2:end]:
            raise SocksError(_NO_METHOD, "it wants to log in: have it come without")
        self._given, self._greeted = given[end:], True
        return _METHOD

    def _request(self) -> None:
        """
        Read the request, where it is whole.
        """
        given = self._given
        if given[:1] not in (b"", bytes([_VERSION])):
            raise SocksError(Reply.FAILED.message, "its request is none of SOCKS 5")
        if len(given) >= 2 and given[1] != _CONNECT:
            raise SocksError(
                Reply.NO_COMMAND.message, "it wants something else than CONNECT"
            )
        if len(given) < 5:
            return
        kind = given[3]
        if kind != _NAME and kind not in _LENGTHS:
            raise SocksError(
                Reply.NO_ADDRESS.message, "its address is of a kind that is not known"
            )
        start = 5 if kind == _NAME else 4
        end = start + (given[4] if kind == _NAME else _LENGTHS[kind])
        if len(given) < end + 2:
            return
        if kind != _NAME:
            raise SocksError(
                Reply.NOT_ALLOWED.message,
                "it asked for an address: have it leave names to the proxy, as in"
                " socks5h://",
            )
        self.host = given[start:end].decode("utf-8", "replace")
        self.port = int.from_bytes(given[end : end + 2], "big")
        self._given = given[end + 2 :]
