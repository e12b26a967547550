# -*- test-case-name: tests.wire.framings.redis.test_commands -*-
"""
Commands of redis, as those see them who share a connection: which of them would change
it for the others, which can be answered here, and which may be asked twice.

A command is its words as they came; names count whatever their case.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

Words: TypeAlias = Sequence[bytes]

KEPT: Final = 64
"""How many words of a command are looked at, and how many bytes of each."""

_SUBSCRIBING: Final = frozenset(
    {
        "SUBSCRIBE",
        "PSUBSCRIBE",
        "SSUBSCRIBE",
        "UNSUBSCRIBE",
        "PUNSUBSCRIBE",
        "SUNSUBSCRIBE",
        "MONITOR",
    }
)
_WAITING: Final = frozenset(
    {
        *("BLPOP", "BRPOP", "BLMOVE", "BRPOPLPUSH", "BLMPOP"),
        *("BZPOPMIN", "BZPOPMAX", "BZMPOP", "WAIT", "WAITAOF"),
    }
)
_STREAMS: Final = frozenset({"XREAD", "XREADGROUP"})
_REPLICATION: Final = frozenset({"SYNC", "PSYNC", "REPLCONF"})
_OWN: Final = (
    _SUBSCRIBING
    | _WAITING
    | {
        *("MULTI", "EXEC", "DISCARD", "WATCH", "UNWATCH", "AUTH", "RESET"),
        *("SHUTDOWN", "DEBUG", "READONLY", "READWRITE", "ASKING", "FAILOVER"),
    }
)

READS: Final = frozenset(
    " ".join(
        (
            "BITCOUNT BITFIELD_RO BITPOS COMMAND DBSIZE DUMP ECHO EXISTS EXPIRETIME",
            "GEODIST GEOHASH GEOPOS GEORADIUSBYMEMBER_RO GEORADIUS_RO GEOSEARCH GET",
            "GETBIT GETRANGE HEXISTS HGET HGETALL HKEYS HLEN HMGET HRANDFIELD HSCAN",
            "HSTRLEN HVALS INFO KEYS LASTSAVE LCS LINDEX LLEN LOLWUT LPOS LRANGE MGET",
            "OBJECT PEXPIRETIME PING PTTL RANDOMKEY ROLE SCAN SCARD SDIFF SINTER",
            "SINTERCARD SISMEMBER SMEMBERS SMISMEMBER SORT_RO SRANDMEMBER SSCAN STRLEN",
            "SUBSTR SUNION TIME TTL TYPE XINFO XLEN XPENDING XRANGE XREAD XREVRANGE",
            "ZCARD ZCOUNT ZDIFF ZINTER ZINTERCARD ZLEXCOUNT ZMSCORE ZRANDMEMBER ZRANGE",
            "ZRANGEBYLEX ZRANGEBYSCORE ZRANK ZREVRANGE ZREVRANGEBYLEX",
            "ZREVRANGEBYSCORE ZREVRANK ZSCAN ZSCORE ZUNION",
        )
    ).split()
)
"""Commands that change nothing, so that they may be asked twice."""

OK: Final = b"+OK\r\n"
_NO_RESP3: Final = b"-NOPROTO unsupported protocol version\r\n"
_HELLO: Final = (
    b"*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n"
    b"$5\r\nproto\r\n:2\r\n$2\r\nid\r\n:0\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n"
    b"$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n"
)


def word(words: Words, index: int) -> str:
    """
    Give a word in capitals; empty where there is none.
    """
    return words[index].upper().decode("latin-1") if index < len(words) else ""


def reads(words: Words) -> bool:
    """
    Tell whether a command changes nothing.
    """
    return word(words, 0) in READS


def needs(words: Words) -> str:
    """
    Say what of a command needs a connection of its own; empty where nothing does.
    """
    name, second = word(words, 0), word(words, 1)
    if name in _OWN:
        return name
    if name in _STREAMS and waits(words):
        return f"{name} BLOCK"
    if (name, second) == ("SCRIPT", "DEBUG"):
        return "SCRIPT DEBUG"
    if name == "CLIENT" and second not in ("SETINFO", "SETNAME"):
        return f"CLIENT {second}" if second else "CLIENT"
    if name == "SELECT" and words[1:] != [b"0"]:
        return name
    if name == "HELLO" and len(words) > 2:
        return "HELLO with more than a version"
    return ""


def answer(words: Words) -> bytes:
    """
    Give what the client is told without asking redis; empty where that is to be asked.
    L{needs} was asked before.
    """
    name = word(words, 0)
    if name in ("SELECT", "CLIENT"):
        return OK
    if name == "HELLO":
        return _HELLO if word(words, 1) in ("", "2") else _NO_RESP3
    return b""


def waits(words: Words) -> bool:
    """
    Tell whether redis may let the client wait for its answer as long as it likes.
    """
    name = word(words, 0)
    if name not in _STREAMS:
        return name in _WAITING
    options = [word(words, index) for index in range(1, len(words))]
    if "STREAMS" not in options:
        return True  # no such command is as long as this
    return "BLOCK" in options[: options.index("STREAMS")]


def opens(words: Words) -> bool:
    """
    Tell whether answers do not follow commands one by one from here on: none, or
    several, or unasked ones.
    """
    name, second = word(words, 0), word(words, 1)
    return name in _SUBSCRIBING or (name, second) == ("CLIENT", "REPLY")


def copies(words: Words) -> bool:
    """
    Tell whether redis answers by its whole data, which is no value of the protocol.
    """
    return word(words, 0) in _REPLICATION
