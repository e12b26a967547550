"""
C{twistd tunnelshare} before a Modbus device that takes one connection, with mbpoll.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Final

from twisted.internet.threads import deferToThread

from tests.stage.case import HOST, found
from tests.stage.sharing import SharingCase
from tests.stage.sockets import connected, receiveExactly

REGISTERS: Final = 100
CLIENTS: Final = 8


class Device:
    """
    A device of some units with holding registers.  It knows the functions 3 (read) and
    16 (write), and each register is its unit times 1000 and its address, at first.

    @ivar seen: the transactions of all requests.
    """

    def __init__(self) -> None:
        self.seen: list[int] = []
        self._written: dict[tuple[int, int], bytes] = {}
        self._lock = threading.Lock()

    def talk(self, connection: socket.socket) -> None:
        """
        Serve a connection to its end.
        """
        for transaction, unit, body in requests(connection):
            with self._lock:
                self.seen.append(transaction)
                told = self._serve(unit, body)
            connection.sendall(frame(transaction, unit, told))

    def twice(self, connection: socket.socket) -> None:
        """
        Serve it by somebody who repeats each reply.
        """
        for transaction, unit, body in requests(connection):
            connection.sendall(2 * frame(transaction, unit, self._serve(unit, body)))

    def _serve(self, unit: int, body: bytes) -> bytes:
        function, rest = body[0], body[1:]
        if function not in (3, 16):
            return bytes((function | 0x80, 1))
        address, count = divmod(int.from_bytes(rest[:4], "big"), 1 << 16)
        if address + count > REGISTERS:
            return bytes((function | 0x80, 2))
        places = [(unit, address + each) for each in range(count)]
        if function == 16:
            for at, place in enumerate(places):
                self._written[place] = rest[5 + 2 * at : 7 + 2 * at]
            return body[:5]
        values = (
            self._written.get(place, (unit * 1000 + place[1]).to_bytes(2, "big"))
            for place in places
        )
        return bytes((3, 2 * count)) + b"".join(values)


def requests(connection: socket.socket) -> Iterator[tuple[int, int, bytes]]:
    """
    Give the requests of a connection: transaction, unit, and what is behind those.
    """
    while True:
        try:
            header = receiveExactly(connection, 7)
        except (EOFError, ConnectionResetError):
            return
        length = int.from_bytes(header[4:6], "big")
        body = receiveExactly(connection, length - 1)
        yield int.from_bytes(header[:2], "big"), header[6], body


def frame(transaction: int, unit: int, body: bytes) -> bytes:
    """
    Give a frame.
    """
    length = len(body) + 1
    return b"%b\0\0%b%c%b" % (
        transaction.to_bytes(2, "big"),
        length.to_bytes(2, "big"),
        unit,
        body,
    )


class PollTests(SharingCase):
    """
    mbpoll, through a share.
    """

    async def poll(self, port: int, *words: str, status: int = 0) -> str:
        """
        Run mbpoll once.
        """
        given = ("-mtcp", f"-p{port}", "-1", "-o5", *words)
        poll = self.program("mbpoll", *given)
        self.assertEqual(await poll.exited(), status, poll.output)
        return poll.output

    async def test_poll(self) -> None:
        """
        It reads what the device has, of each unit, writes, reads that, and hears of
        addresses that are none; the device sees one connection, and no transaction
        twice, though mbpoll begins at the same one each time.
        """
        device = Device()
        service = self.service(device.talk)
        _, port = await self.share(service.port, "-pmodbus-tcp")
        for unit in (1, 17):
            told = await self.poll(port, f"-a{unit}", "-r2", "-c2", HOST)
            for address in (1, 2):
                line = rf"\[{address + 1}\]:\s+{unit * 1000 + address}\b"
                self.assertRegex(told, line)
        await self.poll(port, "-a17", "-r3", HOST, "4711", "4712")
        told = await self.poll(port, "-a17", "-r3", "-c2", HOST)
        self.assertRegex(told, r"(?s)\[3\]:\s+4711\b.*\[4\]:\s+4712\b")
        told = await self.poll(port, "-r100", "-c2", HOST, status=1)
        self.assertIn("Illegal data address", told)
        self.assertEqual(service.visitors, 1)
        self.assertEqual(len(device.seen), len({*device.seen}))

    async def test_repeats(self) -> None:
        """
        A gateway that repeats its replies puts nobody out of step.
        """
        found("mbpoll")
        service = self.service(Device().twice)
        share, port = await self.share(service.port, "-pmodbus-tcp")
        for unit in (1, 2, 3):
            told = await self.poll(port, f"-a{unit}", HOST)
            self.assertRegex(told, rf"\[1\]:\s+{unit}000\b")
        await share.says("dropped from .*: a reply to 1, which nobody waits for")
        self.assertEqual(service.visitors, 1)

    async def test_manyClients(self) -> None:
        """
        Clients that all use the same transaction at the same time get what they asked
        for, with several requests under way as well.
        """
        service = self.service(Device().talk)
        _, port = await self.share(service.port, "-pmodbus-tcp", "--pipeline=4")

        def talk() -> None:
            clients = [connected((HOST, port)) for _ in range(CLIENTS)]
            for address in range(20):
                for unit, client in enumerate(clients):
                    client.sendall(read(unit, address))
                for unit, client in enumerate(clients):
                    value = unit * 1000 + address
                    body = b"\3\2" + value.to_bytes(2, "big")
                    expected = frame(1, unit, body)
                    got = receiveExactly(client, len(expected))
                    assert got == expected, (got, expected)
            for client in clients:
                client.close()

        await deferToThread(talk)
        self.assertEqual(service.visitors, 1)


def read(unit: int, address: int) -> bytes:
    """
    Give a request for a register.
    """
    return frame(1, unit, b"\3" + address.to_bytes(2, "big") + b"\0\1")
