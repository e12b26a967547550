"""
Tests for L{tests.bench.udppeers}.
"""

from __future__ import annotations

import socket
import threading
import tomllib

from twisted.trial.unittest import SynchronousTestCase

from tests.bench import udppeers
from tests.bench.peers import PEERS, frpFiles, ratholeFiles
from tests.bench.stage import Stage
from tests.bench.udppeers import UDP_PEERS, answers, started, verdicts
from tests.stage.ports import freePort


class UDPPeersTests(SynchronousTestCase):
    """
    Other tunnels are compared where they are there.
    """

    def test_known(self) -> None:
        """
        Who is compared here is known to the other figures as well.
        """
        self.assertEqual({*UDP_PEERS} - {*PEERS}, set())

    def test_absent(self) -> None:
        """
        One that is not installed is left out, which is said; one that carries no
        datagrams is passed over.
        """
        said: list[str] = []
        self.patch(udppeers, "found", lambda name: None)
        with Stage() as stage:
            names = "ssh", "frp", "rathole"
            self.assertEqual([*started(stage, names, 1, said.append)], [])
        self.assertEqual(
            said,
            [
                "frp is left out: frps, frpc not found",
                "rathole is left out: rathole not found",
            ],
        )

    def test_files(self) -> None:
        """
        Both are told that it is UDP which they carry.
        """
        pairs = [("bench", 1, 2)]
        server, client = map(tomllib.loads, ratholeFiles(pairs, 9, "udp"))
        services = server["server"]["services"], client["client"]["services"]
        self.assertEqual([each["bench"]["type"] for each in services], ["udp"] * 2)
        client = tomllib.loads(frpFiles(pairs, 9, "udp")[1])
        self.assertEqual(client["proxies"][0]["type"], "udp")

    def test_answers(self) -> None:
        """
        It is known whether a way is open.
        """
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as service:
            service.bind(("127.0.0.1", 0))
            service.settimeout(10)

            def answer() -> None:
                data, visitor = service.recvfrom(100)
                service.sendto(data, visitor)

            thread = threading.Thread(target=answer)
            thread.start()
            self.assertTrue(answers(service.getsockname()[1]))
            thread.join()
        self.assertFalse(answers(freePort()))

    def test_verdicts(self) -> None:
        """
        What was measured of both is compared, and nothing else.
        """
        made = {"plain": 300.0, "tls": 299.0, "frp": 100.0}
        self.assertEqual(
            [*verdicts(made.get, ["frp", "rathole"], ["plain", "tls"])],
            [
                "plain: 3.0 x frp; at least 3: yes",
                "tls: 3.0 x frp; at least 3: NO",
            ],
        )
