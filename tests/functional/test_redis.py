"""
C{twistd tunnelshare} before a Redis server, with Redis's own clients.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Any, BinaryIO, Final

from twisted.internet.threads import deferToThread

from tests.stage.case import HOST, found
from tests.stage.ports import freePort
from tests.stage.programs import Program
from tests.stage.sharing import SharingCase
from tests.stage.sockets import connected
from tunnelkit.wire.framings.redis.commands import OWN, READS, STREAMS
from tunnelkit.wire.framings.redis.inline import encoded

HARMLESS: Final = {
    *(b"COMMAND", b"ECHO", b"INFO", b"LASTSAVE", b"OBJECT", b"PING", b"ROLE"),
    *(b"TIME", b"XINFO"),
}
"""Commands that Redis does not call reads, as they are about no keys, or of which it
says so of their parts only."""


def value(said: BinaryIO) -> Any:
    """
    Read a value of RESP2.
    """
    line = said.readline().rstrip()
    kind, rest = line[:1], line[1:]
    if kind == b"*":
        return [value(said) for _ in range(int(rest))]
    if kind == b"$":
        return said.read(int(rest) + 2)[:-2] if int(rest) >= 0 else None
    return int(rest) if kind == b":" else rest


class RedisCase(SharingCase):
    """
    A test with a Redis server.
    """

    async def redis(self) -> int:
        """
        Start a server that keeps nothing.

        @return: its port.
        """
        port = freePort()
        server = self.program(
            "redis-server",
            *("--port", str(port), "--bind", HOST, "--save", ""),
            # A replica would wait for others for five seconds.
            *("--repl-diskless-sync-delay", "0"),
        )
        await server.says("Ready to accept connections")
        return port

    async def cli(self, port: int, *words: str) -> str:
        """
        Run C{redis-cli} with a command.
        """
        return await self.output("redis-cli", "-p", str(port), *words)

    async def typed(self, port: int, lines: Iterable[str], *options: str) -> list[str]:
        """
        Run C{redis-cli} with commands typed into it, one after the other on one
        connection.
        """
        found("redis-cli")
        text = "".join(f"{line}\n" for line in lines)
        script = 'printf %s "$0" | redis-cli -p "$@"'
        told = await self.output("bash", "-c", script, text, str(port), *options)
        return told.splitlines()


class SharedTests(RedisCase):
    """
    Many clients on one connection.
    """

    async def test_cli(self) -> None:
        """
        redis-cli works as ever, and is told by name what needs a connection of its own;
        all is done over one connection.
        """
        redis = await self.redis()
        _, port = await self.share(redis, "-predis")
        self.assertEqual(await self.cli(port, "set", "a", "b c"), "OK")
        self.assertEqual(await self.cli(port, "get", "a"), "b c")
        self.assertEqual(await self.cli(port, "get", "none"), "")
        self.assertEqual(await self.cli(port, "rpush", "l", "1", "2"), "2")
        told = await self.typed(
            port, ["LRANGE l 0 -1", "MULTI", "CLIENT TRACKING ON", "SELECT 0", "GET a"]
        )
        needs = "ERR tunnelshare: {} needs a connection of its own (--sticky)"
        refused = [needs.format(name) for name in ("MULTI", "CLIENT TRACKING")]
        shown = [each for each in told if each]
        self.assertEqual(shown, ["1", "2", *refused, "OK", "b c"])
        declined = await self.cli(port, "-3", "get", "a")
        self.assertRegex(declined, r"(?m)^HELLO 3 failed: NOPROTO .*\(--sticky\)$")
        self.assertRegex(declined, "(?m)^b c$")
        clients = await self.cli(redis, "client", "list")
        self.assertEqual(len(clients.splitlines()), 2, clients)  # and the one who asks

    async def test_fifty(self) -> None:
        """
        redis-benchmark's fifty clients, who pipeline, are served by one connection,
        with several requests under way on it.
        """
        redis = await self.redis()
        _, port = await self.share(redis, "-predis", "--pipeline=8")
        load = ("-c", "50", "-n", "2000", "-P", "4", "-t", "set,get,lrange_100", "-q")
        told = await self.output("redis-benchmark", "-p", str(port), *load)
        self.assertIn("requests per second", told)
        self.assertNotIn("rror", told)
        stats = await self.cli(redis, "info", "stats")
        self.assertRegex(stats, r"total_connections_received:[23]\b")

    async def test_large(self) -> None:
        """
        Values of some megabytes pass both ways, beside small ones.
        """
        redis = await self.redis()
        _, port = await self.share(redis, "-predis")
        large = bytes(range(256)) * 16 * 1024

        def talk() -> None:
            with connected((HOST, port)) as one, connected((HOST, port)) as other:
                said, heard = one.makefile("rb"), other.makefile("rb")
                one.sendall(encoded([b"SET", b"l", large]))
                assert value(said) == b"OK"
                one.sendall(encoded([b"GET", b"l"]))
                other.sendall(b"PING\r\n")
                assert value(said) == large
                assert value(heard) == b"PONG"

        await deferToThread(talk)

    async def test_commands(self) -> None:
        """
        What is sent twice is what Redis says changes nothing; and all that Redis says
        waits or subscribes is refused.
        """
        redis = await self.redis()

        def ask() -> list[Any]:
            with connected((HOST, redis)) as client:
                client.sendall(encoded([b"COMMAND"]))
                told: list[Any] = value(client.makefile("rb"))
            return told

        flags = {each[0].upper(): {*each[2]} for each in await deferToThread(ask)}
        self.assertGreater(len(flags), 200)
        for name in READS & {*flags}:
            self.assertTrue(b"readonly" in flags[name] or name in HARMLESS, name)
            self.assertNotIn(b"write", flags[name])
        needing = {n for n, f in flags.items() if f & {b"blocking", b"pubsub"}}
        needing -= {b"PUBLISH", b"SPUBLISH"} | STREAMS
        self.assertEqual(needing - OWN, set())


class StickyTests(RedisCase):
    """
    A connection of one's own.
    """

    async def sticky(self) -> tuple[int, int]:
        """
        Start a server, and a share with connections for some clients.

        @return: their ports.
        """
        redis = await self.redis()
        _, port = await self.share(redis, "-predis", "--sticky", "--connections=4")
        return redis, port

    async def test_connection(self) -> None:
        """
        Transactions, databases and RESP3 work; who comes next finds nothing of it.
        After C{CLIENT REPLY OFF} many commands have no reply, and the next reply is the
        right one.
        """
        _, port = await self.sticky()
        lines = ["SELECT 3", "MULTI", "SET a 1", "INCR a", "EXEC", "HELLO 3", "GET a"]
        told = await self.typed(port, lines)
        self.assertEqual(told[:6], ["OK", "OK", "QUEUED", "QUEUED", "OK", "2"])
        self.assertEqual(told[-1], "2")
        self.assertEqual(await self.cli(port, "get", "a"), "")
        told = await self.typed(port, ["HSET h a 1", "HGETALL h"], "-3")
        self.assertEqual(told[0], "1")

        def talk() -> None:
            with connected((HOST, port)) as client:
                said = client.makefile("rb")
                client.sendall(encoded([b"CLIENT", b"REPLY", b"OFF"]))
                client.sendall(b"INCR n\r\n" * 1000)
                client.sendall(b"CLIENT REPLY ON\r\nGET n\r\n")
                assert value(said) == b"OK"
                assert value(said) == b"1000"
                client.sendall(b"CLIENT REPLY SKIP\r\nPING\r\nPING x\r\nQUIT\r\n")
                assert value(said) == b"x"
                assert value(said) == b"OK"
                client.shutdown(socket.SHUT_WR)
                assert not said.read()

        await deferToThread(talk)

    async def test_messages(self) -> None:
        """
        Who subscribes hears what others publish, who waits gets what others push, and
        who monitors sees all of it.
        """
        redis, port = await self.sticky()

        def cli(*words: str) -> Program:
            words = ("-o0", "-e0", "redis-cli", "-p", str(port), *words)
            return self.program("stdbuf", *words)

        found("redis-cli")
        monitor = cli("monitor")
        await monitor.says("OK")
        waiting = cli("blpop", "list", "0")
        await monitor.says('"blpop" "list"')
        subscribed = cli("subscribe", "one", "two")
        await subscribed.says("^2$")
        self.assertEqual(await self.cli(redis, "publish", "two", "hello"), "1")
        await subscribed.says("hello")
        self.assertEqual(await self.cli(port, "rpush", "list", "there"), "1")
        await waiting.says("there")
        self.assertEqual(await waiting.exited(), 0)
        await monitor.says('"rpush" "list" "there"')

    async def test_replica(self) -> None:
        """
        redis-cli takes a copy of all data, as a replica does.
        """
        redis, port = await self.sticky()
        await self.cli(redis, "set", "a", "x" * 10_000)
        copy = self.folder / "copy.rdb"
        await self.cli(port, "--rdb", str(copy))
        self.assertTrue(copy.read_bytes().startswith(b"REDIS"))
