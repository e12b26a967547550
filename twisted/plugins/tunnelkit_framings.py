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
    "Modbus TCP: transactions are told apart; reads may be asked twice.",
    "modbus-tcp",
    "tunnelkit.wire.framings.modbus:makeModbus",
)

redis = NamedFraming(
    "redis",
    "redis: commands that need a connection of their own are refused without --sticky.",
    "redis:longest=16777216",
    "tunnelkit.wire.framings.redis.framing:makeRedis",
)
