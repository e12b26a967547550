# -*- test-case-name: tests.wire.pipe.test_codec -*-
"""
Codec: pipe's packets to bytes and back.

A packet is a type u8, a length u16 (big-endian) and so many bytes of JSON, which is
written as Go writes it and read as Go reads it: names of fields without regard to case,
unknown ones passed over, missing ones and C{null} taken for nothing.
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Any, Final, Generic, TypeAlias, TypeVar

from tunnelkit.wire.address import HostPort
from tunnelkit.wire.native.frames import WireError
from tunnelkit.wire.pipe.packets import (
    Cancel,
    Datagram,
    Exchange,
    Forward,
    Forwarded,
    FromClient,
    FromServer,
    Heartbeat,
    Login,
    Packet,
)
from tunnelkit.wire.sniff import ANY, Places

HEADER: Final = Struct("!BH")
LONGEST: Final = 65535
"""The longest JSON of a packet, in bytes."""
PLACES: Final[Places] = (b"\x01", ANY, ANY, b"{")
"""What a client's connection begins with: the header of a L{Login}, and its JSON; smux
has a zero in the fourth place."""

_SHORT: Final = 1024
_REQUEST: Final = 4096
_INT64: Final = range(-(1 << 63), 1 << 63)

P_co = TypeVar("P_co", covariant=True)

# Go's encoding/json escapes these beside what JSON must have escaped.
_ESCAPES: Final = str.maketrans(
    {each: f"\\u{ord(each):04x}" for each in "<>&\u2028\u2029"}
)
_asJSON: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def encode(packet: Packet) -> bytes:
    """
    Give the bytes of a packet.

    @raise ValueError: it is too long for one; of a L{Datagram}, some 48 KiB fit.
    """
    kind, body = _written(packet)
    payload = _asJSON(body).translate(_ESCAPES).encode()
    if len(payload) > LONGEST:
        raise ValueError(f"{len(payload)} bytes do not fit in a packet, {LONGEST} do")
    return HEADER.pack(kind, len(payload)) + payload


def _written(packet: Packet) -> tuple[int, dict[str, Any]]:
    match packet:
        case Login(token, timestamp, version):
            return 1, {
                "token": token,
                "client_version": version,
                "timestamp": timestamp,
            }
        case Heartbeat():
            return 2, {}
        case Forward(port, name, subdomain, kind):
            return 3, {
                "remote_port": port,
                "proxy_name": name,
                "subdomain": subdomain,
                "proxy_type": kind,
            }
        case Forwarded(good, domain, reason):
            status = "success" if good else "failed"
            more = {"reason": reason} if reason else {}
            return 4, {"domain": domain, "status": status, **more}
        case Cancel(name, port):
            return 5, {"proxy_name": name, "remote_port": port}
        case Exchange(id, kind):
            return 6, {"conn_id": id, "proxy_type": kind}
        case Datagram(payload, address):
            return 7, {"payload": b64encode(payload).decode(), "addr": _addr(address)}


def _addr(address: HostPort | None) -> dict[str, Any] | None:
    if address is None:
        return None
    host, _, zone = address.host.partition("%")
    return {"IP": host, "Port": address.port, "Zone": zone}


class _Fields:
    """
    The fields of a JSON object, read as Go reads them.
    """

    def __init__(self, given: dict[str, Any], what: str) -> None:
        self._given = {name.lower(): value for name, value in given.items()}
        self._what = what

    def text(self, name: str) -> str:
        value = self._given.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self._wrong(name, "a text")
        try:
            value.encode()
        except UnicodeEncodeError:  # half of a surrogate pair, which JSON can hold
            raise self._wrong(name, "a text") from None
        return value

    def number(self, name: str) -> int:
        value = self._given.get(name)
        if value is None:
            return 0
        if type(value) is not int or value not in _INT64:
            raise self._wrong(name, "a whole number")
        return value

    def data(self, name: str) -> bytes:
        try:
            return b64decode(self.text(name), validate=True)
        except (binascii.Error, ValueError):
            raise self._wrong(name, "base64") from None

    def inner(self, name: str) -> _Fields | None:
        value = self._given.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self._wrong(name, "an object")
        return _Fields(value, f"the {name} of {self._what}")

    def _wrong(self, name: str, wanted: str) -> WireError:
        return WireError(f"{self._what} has a {name} that is not {wanted}")


def _login(fields: _Fields) -> Login:
    version = fields.text("client_version") or fields.text("version")
    return Login(fields.text("token"), fields.number("timestamp"), version)


def _forward(fields: _Fields) -> Forward:
    return Forward(
        fields.number("remote_port"),
        fields.text("proxy_name"),
        fields.text("subdomain"),
        fields.text("proxy_type"),
    )


def _forwarded(fields: _Fields) -> Forwarded:
    good = fields.text("status") == "success"
    return Forwarded(good, fields.text("domain"), fields.text("reason"))


def _cancel(fields: _Fields) -> Cancel:
    return Cancel(fields.text("proxy_name"), fields.number("remote_port"))


def _exchange(fields: _Fields) -> Exchange:
    return Exchange(fields.text("conn_id"), fields.text("proxy_type"))


def _datagram(fields: _Fields) -> Datagram:
    address = None
    if (given := fields.inner("addr")) is not None:
        zone = given.text("zone")
        host = given.text("ip") + (f"%{zone}" if zone else "")
        address = HostPort(host, given.number("port"))
    return Datagram(fields.data("payload"), address)


@dataclass(frozen=True, slots=True)
class _Kind(Generic[P_co]):
    """
    How one type of packet is read: its name, how long its JSON may be, and what makes
    a value of it.
    """

    name: str
    most: int
    parse: Callable[[_Fields], P_co]


_EXCHANGE: Final = _Kind("an Exchange", _SHORT, _exchange)
_DATAGRAM: Final = _Kind("a UDPDatagram", LONGEST, _datagram)

Grammar: TypeAlias = Mapping[int, _Kind[P_co]]
"""What one side may say."""

FROM_CLIENT: Final[Grammar[FromClient]] = {
    1: _Kind("a Login", _SHORT, _login),
    3: _Kind("a ForwardReq", _REQUEST, _forward),
    5: _Kind("a ForwardCancel", _REQUEST, _cancel),
    6: _EXCHANGE,
    7: _DATAGRAM,
}
"""What a server understands."""

FROM_SERVER: Final[Grammar[FromServer]] = {
    2: _Kind("a Heartbeat", _SHORT, lambda fields: Heartbeat()),
    4: _Kind("a ForwardResp", _REQUEST, _forwarded),
    6: _EXCHANGE,
    7: _DATAGRAM,
}
"""What a client understands."""


class PacketDecoder(Generic[P_co]):
    """
    Bytes in, packets out, wherever the bytes were cut.

    A packet's type and length are checked before its JSON is waited for.  After a
    L{WireError} the decoder is of no further use.
    """

    __slots__ = ("_buffer", "_grammar")

    def __init__(self, grammar: Grammar[P_co]) -> None:
        """
        @param grammar: L{FROM_CLIENT} or L{FROM_SERVER}: whose bytes these are.
        """
        self._buffer = bytearray()
        self._grammar = grammar

    def feed(self, data: bytes) -> Iterator[P_co]:
        """
        Take the next bytes of the connection.

        @return: the packets they complete, made as they are asked for: who takes an
            L{Exchange} asks for no more, and takes what is behind it by L{rest}.
        @raise WireError: the bytes are not packets that this side sends.
        """
        self._buffer += data
        return self._packets()

    def rest(self) -> bytes:
        """
        Give back what was fed and belongs to no packet yet, and forget it: raw bytes
        may follow a packet at once.
        """
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def _packets(self) -> Iterator[P_co]:
        try:
            while len(self._buffer) >= HEADER.size:
                number, length = HEADER.unpack_from(self._buffer)
                kind = self._checked(number, length)
                end = HEADER.size + length
                if len(self._buffer) < end:
                    return
                payload = bytes(self._buffer[HEADER.size : end])
                del self._buffer[:end]
                yield kind.parse(_fields(payload, kind.name))
        except WireError:
            # What comes behind it can be read by nobody.
            self._buffer.clear()
            raise

    def _checked(self, number: int, length: int) -> _Kind[P_co]:
        kind = self._grammar.get(number)
        if kind is None:
            raise WireError(f"a packet of type {number}, which this side never sends")
        if length > kind.most:
            raise WireError(
                f"{kind.name} of {length} bytes, at most {kind.most} may be"
            )
        return kind


def _fields(payload: bytes, what: str) -> _Fields:
    try:
        given = json.loads(payload.decode())
    except (ValueError, RecursionError) as e:
        raise WireError(f"{what} is not JSON: {e}") from e
    if not isinstance(given, dict):
        raise WireError(f"{what} is not a JSON object")
    return _Fields(given, what)
