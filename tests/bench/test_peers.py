"""
Tests for L{tests.bench.peers}.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.bench.peers import PEERS, frpFiles, present, ratholeFiles, sshdFile

PAIRS = [("web", 1001, 2001), ("echo", 1002, 2002)]


class PresentTests(SynchronousTestCase):
    """
    Peers that are there, and peers that are not.
    """

    def test_absent(self) -> None:
        """
        One that is not installed is left out, which is said, and the others are not.
        """
        said = list[str]()
        ways = present(
            ["frp", "rathole", "rathole"],
            said.append,
            lambda name: None if name == "frpc" else name,
        )
        self.assertEqual([way.name for way in ways], ["rathole"])
        self.assertEqual(said, ["frp is left out: frpc not found"])

    def test_all(self) -> None:
        """
        All that the issue of the data plane names can be compared.
        """
        ways = present([*PEERS], self.fail, lambda name: name)
        names = {way.key for way in ways}
        haproxy = {"haproxy-splice", "haproxy-tls"}
        self.assertEqual(names, haproxy | {"rathole", "bore", "frp", "ssh"})


class FilesTests(SynchronousTestCase):
    """
    Their configurations keep to this machine.
    """

    def test_rathole(self) -> None:
        """
        Each service is published on its port.
        """
        server, client = map(tomllib.loads, ratholeFiles(PAIRS, 9))
        self.assertEqual(server["server"]["bind_addr"], "127.0.0.1:9")
        self.assertEqual(client["client"]["remote_addr"], "127.0.0.1:9")
        services = server["server"]["services"], client["client"]["services"]
        self.assertEqual(services[0]["echo"]["bind_addr"], "127.0.0.1:1002")
        self.assertEqual(services[1]["echo"]["local_addr"], "127.0.0.1:2002")

    def test_frp(self) -> None:
        """
        Likewise.
        """
        server, client = map(tomllib.loads, frpFiles(PAIRS, 9))
        self.assertEqual((server["bindAddr"], server["bindPort"]), ("127.0.0.1", 9))
        self.assertEqual(server["proxyBindAddr"], "127.0.0.1")
        self.assertEqual((client["serverAddr"], client["serverPort"]), ("127.0.0.1", 9))
        self.assertEqual(
            client["proxies"][1],
            {
                "name": "echo",
                "type": "tcp",
                "localIP": "127.0.0.1",
                "localPort": 2002,
                "remotePort": 1002,
            },
        )

    def test_ssh(self) -> None:
        """
        The ssh server that is started listens for nobody else, and takes no password.
        """
        text = sshdFile(Path("/f"), 9)
        self.assertIn("ListenAddress 127.0.0.1:9\n", text)
        self.assertIn("PasswordAuthentication no\n", text)
