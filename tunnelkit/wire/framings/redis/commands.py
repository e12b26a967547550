# -*- test-case-name: tests.wire.framings.redis.test_shared -*-
"""
Commands: what is known of them by name.

A test compares these with what a Redis server says of its commands.
"""

from __future__ import annotations

from typing import Final


def names(text: str) -> frozenset[bytes]:
    """
    Give the names in a text.
    """
    return frozenset(text.encode().split())


READS: Final = names("""
    GET MGET STRLEN GETRANGE SUBSTR LCS GETBIT BITCOUNT BITPOS BITFIELD_RO
    EXISTS TTL PTTL EXPIRETIME PEXPIRETIME TYPE KEYS SCAN RANDOMKEY DBSIZE DUMP SORT_RO
    HGET HMGET HGETALL HKEYS HVALS HLEN HEXISTS HSTRLEN HSCAN HRANDFIELD HTTL HPTTL
    HEXPIRETIME HPEXPIRETIME
    LLEN LRANGE LINDEX LPOS
    SCARD SMEMBERS SISMEMBER SMISMEMBER SRANDMEMBER SSCAN SINTER SINTERCARD SUNION SDIFF
    ZCARD ZCOUNT ZLEXCOUNT ZRANGE ZRANGEBYSCORE ZRANGEBYLEX ZREVRANGE ZREVRANGEBYSCORE
    ZREVRANGEBYLEX ZRANK ZREVRANK ZSCORE ZMSCORE ZSCAN ZRANDMEMBER ZINTER ZINTERCARD
    ZUNION ZDIFF
    XLEN XRANGE XREVRANGE XPENDING XREAD
    GEOPOS GEODIST GEOHASH GEOSEARCH GEORADIUS_RO GEORADIUSBYMEMBER_RO
    PFCOUNT EVAL_RO EVALSHA_RO FCALL_RO
    PING ECHO TIME INFO COMMAND LASTSAVE ROLE LOLWUT OBJECT XINFO
""")
"""They change nothing, so they may be sent twice."""

SUBSCRIBING: Final = names("""
    SUBSCRIBE PSUBSCRIBE SSUBSCRIBE UNSUBSCRIBE PUNSUBSCRIBE SUNSUBSCRIBE
""")
"""They have a reply for each channel, and messages follow."""

WAITING: Final = names("""
    BLPOP BRPOP BLMOVE BRPOPLPUSH BLMPOP BZPOPMIN BZPOPMAX BZMPOP WAIT WAITAOF
""")
"""They may have no reply for as long as they like."""

STREAMS: Final = names("XREAD XREADGROUP")
"""They wait where they are given C{BLOCK}."""

REPLICATING: Final = names("SYNC PSYNC")
"""After them what the target says is no RESP."""

OWN: Final = (
    SUBSCRIBING
    | WAITING
    | REPLICATING
    | names("""
        MONITOR MULTI EXEC DISCARD WATCH UNWATCH AUTH RESET
        ASKING READONLY READWRITE REPLCONF SHUTDOWN DEBUG
    """)
)
"""They change what the connection is for who comes next, take it for a while, or end
it."""

HTTP: Final = names("POST HOST:")
"""They begin a request or a line of HTTP; Redis closes the connection at them."""

LOOKED_AT: Final = STREAMS | SUBSCRIBING | names("SELECT HELLO CLIENT SCRIPT")
"""What is done with them depends on their arguments."""


def ownError(what: str) -> bytes:
    """
    Refuse what needs a connection of its own.
    """
    return error(f"{what} needs a connection of its own (--sticky)")


def error(text: str, kind: str = "ERR") -> bytes:
    """
    Give an error of ours.
    """
    return f"-{kind} tunnelshare: {text}\r\n".encode()


def blocks(words: list[bytes]) -> bool:
    """
    Tell whether C{XREAD} or C{XREADGROUP} waits.
    """
    at = 1
    while at < len(words):
        option = words[at].upper()
        if option in (b"BLOCK", b"STREAMS"):
            return option == b"BLOCK"
        at += _TAKEN.get(option, 1)
    return False


_TAKEN: Final = {b"GROUP": 3, b"COUNT": 2, b"CLAIM": 2}
"""How many words an option is: what it is given may be called as another is."""
