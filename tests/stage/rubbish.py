"""
Rubbish: what strangers say to a port that is open to the Internet.
"""

from __future__ import annotations

import contextlib
import json
import ssl
from collections.abc import Callable, Sequence
from functools import cache
from random import Random
from typing import Final

from tests.stage.authority import strangers
from tunnelkit.wire.native.frames import HEADER
from tunnelkit.wire.sniff import OPENING

_JUNK: Final[Sequence[object]] = (
    None,
    True,
    -1,
    0.5,
    10**400,
    "",
    "x" * 5000,
    "\ud800",
    "\n\x1b[31m\x00",
    "default",
    [],
    [1, 2],
    ["a"] * 100,
    {},
    {"type": "hello"},
)
_TYPES: Final = [
    "hello",
    "login",
    "proof",
    "open",
    "close",
    "work",
    "vouched",
    "ping",
    "pong",
    "bye",
    "challenge",
    "welcome",
    "refused",
    "opened",
    "closed",
    "want",
    "certificates",
    "drain",
    "start",
    "dial",
    "HELLO",
]
_FIELDS: Final = [
    "versions",
    "program",
    "host",
    "mechanism",
    "first",
    "client",
    "instance",
    "final",
    "id",
    "tunnel",
    "kind",
    "port",
    "lease",
    "session",
    "serial",
    "proof",
    "at",
    "code",
    "reason",
    "retry",
]
_HELLO: Final = {"type": "hello", "versions": [1], "program": "p", "host": "h"}
_HTTP: Final = (
    b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
    b"GET /\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"CONNECT example.org:443 HTTP/1.1\r\n\r\n",
    b"\x05\x01\x00",
    b"SSH-2.0-OpenSSH_9.2p1\r\n",
    b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
)


def frame(kind: int, payload: bytes, length: int | None = None) -> bytes:
    """
    Make a frame that need not be a good one.

    @param length: what its header says, where that is not the payload's length.
    """
    said = len(payload) if length is None else length
    return HEADER.pack(kind << 24 | said) + payload


def message(body: object) -> bytes:
    """
    Make a MESSAGE frame of any JSON.
    """
    return frame(1, json.dumps(body).encode())


@cache
def clientHello() -> bytes:
    """
    Give the first bytes of a TLS client.
    """
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        strangers().wrap_bio(incoming, outgoing).do_handshake()
    return outgoing.read()


def opening(number: int) -> bytes:
    """
    Make what nobody should say first, the same for the same number.
    """
    return _Rubbish(number).opening()


def inside(number: int) -> bytes:
    """
    Make the same for the inside of TLS.
    """
    return _Rubbish(number).inside()


class _Rubbish:
    """
    All kinds of it.
    """

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def opening(self) -> bytes:
        kinds = _Rubbish._noise, _Rubbish._cutHello, *self._speech
        return self._random.choice(kinds)(self)

    def inside(self) -> bytes:
        return self._random.choice(self._speech)(self)

    def _noise(self) -> bytes:
        return self._random.randbytes(self._random.randrange(1, 2000))

    def _cutHello(self) -> bytes:
        hello = clientHello()
        cut = self._random.randrange(1, len(hello) + 1)
        return hello[:cut] + self._random.choice((b"", self._noise()))

    def _http(self) -> bytes:
        return self._random.choice(_HTTP)

    def _silence(self) -> bytes:
        return b""

    def _version(self) -> bytes:
        return b"TK/%d\n" % self._random.randrange(10**7) + self._noise()

    def _rubbish(self) -> bytes:
        return OPENING + self._noise()

    def _junkMessage(self) -> bytes:
        return OPENING + message(self._junk(self._random.choice(_TYPES)))

    def _junkLogin(self) -> bytes:
        types = self._random.choices(_TYPES, k=3)
        return (
            OPENING
            + message(_HELLO)
            + b"".join(message(self._junk(type_)) for type_ in types)
        )

    def _wrongJSON(self) -> bytes:
        payload = self._random.choice(
            (
                b"[" * 30_000,
                b'{"type":' * 8000,
                b"{}",
                b"null",
                b'{"type":7}',
                b'{"type":"hello"',
                b'{"type":"hello","versions":[NaN],"program":"","host":""}',
                b'{"type":"ping","at":' + b"9" * 60_000 + b"}",
                b"\xff\xfe{}",
                b'{"type":"\\ud800"}',
            )
        )
        return OPENING + frame(1, payload)

    def _oversized(self) -> bytes:
        kind = self._random.randrange(256)
        length = self._random.randrange(1 << 24)
        return OPENING + frame(kind, self._noise(), length)

    def _wrongFrame(self) -> bytes:
        kind = self._random.randrange(8)
        payload = self._random.randbytes(self._random.randrange(20))
        return (
            OPENING + self._random.choice((b"", message(_HELLO))) + frame(kind, payload)
        )

    def _junk(self, type_: str) -> dict[str, object]:
        body: dict[str, object] = {
            name: self._random.choice(_JUNK)
            for name in _FIELDS
            if self._random.random() < 0.7
        }
        return {"type": type_, **body}

    _speech: Final[Sequence[Callable[[_Rubbish], bytes]]] = (
        _http,
        _silence,
        _version,
        _rubbish,
        _junkMessage,
        _junkLogin,
        _wrongJSON,
        _oversized,
        _wrongFrame,
    )
