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
