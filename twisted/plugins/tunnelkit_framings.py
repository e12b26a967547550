"""
The framings of C{twistd tunnelshare}, by name only: their code is loaded when one is
chosen.
"""

from __future__ import annotations

from tunnelkit.sharing.named import NamedFraming

echo = NamedFraming(
    "echo",
    "Lines that end in LF, each answered by a line; a line may be asked twice.",
    "echo",
    "tunnelkit.wire.framings.lines:makeEcho",
)

http1 = NamedFraming(
    "http1",
    "HTTP/1.1, no WebSocket; options are host=NAME, fields=N, and in bytes head=N,"
    " target=N, collect=N.",
    "http1",
    "tunnelkit.wire.framings.http1.framing:makeHTTP1",
    ["http"],
)

iso8583 = NamedFraming(
    "iso8583",
    "Messages behind a length of two bytes, the high one first; none is sent twice.",
    "iso8583",
    "tunnelkit.wire.framings.lengths:makeISO8583",
)

mpu = NamedFraming(
    "mpu",
    "Messages behind a length of four decimal digits; none is sent twice.",
    "mpu",
    "tunnelkit.wire.framings.lengths:makeMPU",
)

length = NamedFraming(
    "length",
    "Messages behind a length of SIZE bytes, big or little end first; further options"
    " are offset=N, counts=all, longest=N, repeat=yes.",
    "length:2:big",
    "tunnelkit.wire.framings.lengths:makeLength",
)

line = NamedFraming(
    "line",
    "Lines that end in anything; further options are longest=N, repeat=yes.",
    r"line:delimiter=\\r\\n",
    "tunnelkit.wire.framings.lines:makeLine",
)

modbus = NamedFraming(
    "modbus-tcp",
    "Modbus over TCP: transactions of clients are told apart; reads may be sent twice.",
    "modbus-tcp",
    "tunnelkit.wire.framings.modbus:makeModbus",
)

redis = NamedFraming(
    "redis",
    "Redis, Valkey and others that speak RESP; what needs a connection of its own is"
    " refused by name, or served with --sticky.",
    "redis",
    "tunnelkit.wire.framings.redis.framing:makeRedis",
)
