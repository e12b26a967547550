# -*- test-case-name: tests.wire.native.test_messages -*-
"""
Codec: messages to bytes and back.

A message is a JSON object with a C{type}, carried in one MESSAGE frame.
L{fromClient} and L{fromServer} make values of what a peer sent and refuse, by name,
what the protocol does not know or what does not hold together.  Fields that are not
known are passed over, so that a later version may add some.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Any, Final, TypeAlias, cast

from tunnelkit.wire.native.frames import Message as MessageFrame
from tunnelkit.wire.native.frames import WireError, encode, encodedMessage
from tunnelkit.wire.native.login import (
    Challenge,
    ClientHello,
    Login,
    Proof,
    ServerHello,
    Welcome,
)
from tunnelkit.wire.native.messages import (
    Bye,
    Certificates,
    Close,
    Closed,
    Dial,
    Drain,
    Flow,
    FlowEnd,
    FromClient,
    FromServer,
    Open,
    Opened,
    Ping,
    Pong,
    Refused,
    Start,
    Vouched,
    Want,
    Work,
)

_MOST: Final = (1 << 63) - 1
"""The greatest number in a message; what every language's JSON can hold is less,
so only the identifiers of pings come near."""
_TEXT: Final = 4096
"""The longest text in a message, in characters."""
_ITEMS: Final = 64
"""The longest list in a message."""

_quoted: Final[Callable[[str], str]] = json.encoder.encode_basestring_ascii
"""Puts a text into JSON."""

_Reader: TypeAlias = Callable[[Any], Any]


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _TEXT:
        raise ValueError("text")
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can hold
        raise ValueError("text") from None
    return value


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _MOST:
        raise ValueError("a whole number")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _listOf(read: _Reader) -> _Reader:
    def readList(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or len(value) > _ITEMS:
            raise ValueError("a list")
        return tuple(map(read, value))

    return readList


_READERS: Final[Mapping[str, _Reader]] = {
    "str": _text,
    "int": _number,
    "bool": _truth,
    "tuple[int, ...]": _listOf(_number),
    "tuple[str, ...]": _listOf(_text),
}
"""How a field is read, by its annotation."""


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    read: _Reader
    needed: bool


@dataclass(frozen=True, slots=True)
class _Shape:
    """
    How one message is read.
    """

    make: Callable[..., Any]
    fields: tuple[_Field, ...]


def _shape(kind: type) -> _Shape:
    return _Shape(
        kind,
        tuple(
            _Field(f.name, _READERS[cast(str, f.type)], f.default is MISSING)
            for f in fields(kind)
        ),
    )


def _shapes(*kinds: type) -> Mapping[str, _Shape]:
    return {cast(Any, kind).name: _shape(kind) for kind in kinds}


_FROM_CLIENT: Final = _shapes(
    ClientHello,
    Login,
    Proof,
    Open,
    Dial,
    Close,
    Work,
    FlowEnd,
    Vouched,
    Ping,
    Pong,
    Bye,
)
_FROM_SERVER: Final = _shapes(
    ServerHello,
    Challenge,
    Welcome,
    Refused,
    Opened,
    Closed,
    Want,
    Certificates,
    Drain,
    Start,
    Flow,
    FlowEnd,
    Ping,
    Pong,
    Bye,
)


def _read(shapes: Mapping[str, _Shape], frame: MessageFrame) -> Any:
    body = frame.body
    shape = shapes.get(body["type"])
    if shape is None:
        raise WireError(f"unknown message {body['type'][:40]!r}")
    given = {}
    for field in shape.fields:
        if field.name not in body:
            if field.needed:
                raise WireError(f"a {body['type']} message without {field.name}")
            continue
        try:
            given[field.name] = field.read(body[field.name])
        except ValueError as e:
            raise WireError(
                f"{field.name} of a {body['type']} message is not {e}"
            ) from None
    return shape.make(**given)


def fromClient(frame: MessageFrame) -> FromClient:
    """
    Make a value of a message that a client sent.

    @raise WireError: no client says that.
    """
    return cast(FromClient, _read(_FROM_CLIENT, frame))


def fromServer(frame: MessageFrame) -> FromServer:
    """
    Make a value of a message that a server sent.

    @raise WireError: no server says that.
    """
    return cast(FromServer, _read(_FROM_SERVER, frame))


def said(message: FromClient | FromServer) -> bytes:
    """
    Give the bytes of a message, in its frame.  Fields that hold their default are
    left out, and a reason is cut to what the other side reads.

    @raise ValueError: it does not fit in one frame.
    """
    body: dict[str, Any] = {"type": message.name}
    for name, default in _named(type(message)):  # type: ignore[arg-type]
        value = getattr(message, name)
        if name == "reason":
            value = value[:_TEXT]
        if value != default:
            body[name] = value
    return encode(MessageFrame(body))


def starting(
    tunnel: str, kind: str, compress: str = ""
) -> Callable[[int, str, str], bytes]:
    """
    Give what makes the L{Start} messages of one tunnel: of the stream's number, the
    visitor and the address that it came to.  There is one for each visitor, and they
    differ in little.
    """
    head = said(Start(0, tunnel, kind, "", "")).partition(b'"stream":0,')[2]
    middle = head.decode().removesuffix('"visitor":"","address":""}')
    end = f',"compress":{_quoted(compress)}}}' if compress else "}"

    def make(stream: int, visitor: str, address: str) -> bytes:
        return encodedMessage(
            f'{{"type":"start","stream":{stream},{middle}"visitor":{_quoted(visitor)},'
            f'"address":{_quoted(address)}{end}'
        )

    return make


# What "starting" writes, where no text in it needs quotes: see RFC 8259 for the number.
_STARTING: Final = re.compile(
    r'\{"type":"start","stream":(0|[1-9][0-9]{0,9}),"tunnel":"TEXT","kind":"TEXT",'
    r'"visitor":"TEXT","address":"TEXT"(?:,"compress":"TEXT")?(?:,"dial":([1-9][0-9]{0,9}))?\}'.replace(
        "TEXT", rf"([ !#-\[\]-~]{{0,{_TEXT}}})"
    )
)


def startIn(text: str) -> Start | None:
    """
    Read a L{Start} as a server of ours writes it, without the way through JSON: there
    is one for each visitor.

    @return: None where it is written in another way, or no L{Start}.
    """
    found = _STARTING.fullmatch(text)
    if found is None:
        return None
    stream, tunnel, kind, visitor, address, compress, dial = found.groups("")
    return Start(
        int(stream), tunnel, kind, visitor, address, compress, int(dial) if dial else 0
    )


@cache
def _named(kind: type) -> tuple[tuple[str, object], ...]:
    """
    Give the fields of a kind of message, with their defaults.
    """
    return tuple((field.name, field.default) for field in fields(kind))
