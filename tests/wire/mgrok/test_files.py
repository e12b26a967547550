"""
Tests for L{tunnelkit.wire.mgrok.files}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.wire.mgrok.files import (
    ClientFile,
    ProxyEntry,
    ServerFile,
    readClient,
    readServer,
)

SERVER = b"""
# as the program's sample
enable_tls: true
tls_cert_file: ~/certs/server.crt
tls_key_file: "~/certs/server.key"
bind_addr: 0.0.0.0
bind_port: 9000
auth_token: 0196e9bd-dab3-7d51-a89c-4fcc68e3a811
port_range_start: 10000
port_range_end: 20000
"""
CLIENT = b"""
server: "example.com:9000"
token: 0123
proxies:
  web:
    type: tcp
    local_port: 8080
    remote_port: 8000
  53:
    type: "udp"
    local_port: 9001
"""


def proxy(lines: str) -> bytes:
    """
    Make a client's file with one proxy.
    """
    return b"proxies:\n  web: {" + lines.encode() + b"}\n"


class FilesTests(SynchronousTestCase):
    """
    Who has mgrok's files need not write others.
    """

    def test_server(self) -> None:
        """
        Each key of a server's file is read.
        """
        self.assertEqual(
            readServer(SERVER, "ms.yaml"),
            ServerFile(
                True,
                "~/certs/server.crt",
                "~/certs/server.key",
                "0.0.0.0",
                9000,
                "0196e9bd-dab3-7d51-a89c-4fcc68e3a811",
                (10000, 20000),
            ),
        )

    def test_client(self) -> None:
        """
        Each key of a client's file is read, and a name may be a number.
        """
        self.assertEqual(
            readClient(CLIENT, "mc.yaml"),
            ClientFile(
                "example.com:9000",
                "0123",
                (
                    ProxyEntry("web", "tcp", 8080, 8000),
                    ProxyEntry("53", "udp", 9001, 0),
                ),
            ),
        )

    def test_nothing(self) -> None:
        """
        What a file leaves out has the program's defaults.
        """
        nothing = ServerFile(False, "", "", "", None, "", None)
        for data in (b"", b"# nothing\n", b"~", b"auth_token:\nenable_tls:\n"):
            self.assertEqual(readServer(data, "ms.yaml"), nothing)
        for data in (b"", b"proxies:\n", b"server: ''\nproxies: {}"):
            read = readClient(data, "mc.yaml")
            self.assertEqual(read, ClientFile("localhost:9000", "", ()))

    def test_texts(self) -> None:
        """
        A secret is what stands there, also where it looks like something else.
        """
        for text, token in (
            ("0123", "0123"),
            ("yes", "yes"),
            ("2024-01-01", "2024-01-01"),
            ("0x1F", "0x1F"),
            ("1e3", "1e3"),
            ("'~'", "~"),
            ("~", ""),
            ("null", ""),
            ('"null"', "null"),
            ("!!str 5", "5"),
            ("&a abc", "abc"),
        ):
            read = readServer(f"auth_token: {text}\n".encode(), "ms.yaml")
            self.assertEqual(read.token, token)

    def test_truths(self) -> None:
        """
        TLS is on or off in each of YAML's words.
        """
        for word, truth in (("True", True), ("on", True), ("no", False), ("~", False)):
            data = f"enable_tls: {word}\ntls_cert_file: xx\ntls_key_file: xx".encode()
            self.assertIs(readServer(data, "ms.yaml").tls, truth)

    def test_hidden(self) -> None:
        """
        Secrets do not get into a log.
        """
        self.assertNotIn("0196e9bd", repr(readServer(SERVER, "ms.yaml")))
        self.assertNotIn("0123", repr(readClient(CLIENT, "mc.yaml")))

    def test_server_errors(self) -> None:
        """
        Who made a slip is told the file and the key, and no secret is shown.
        """
        for data, words in (
            (b"enable_tls: maybe", "ms.yaml: the key 'enable_tls' takes true or false"),
            (
                b"enable_tls: true",
                "the key 'tls_cert_file' is missing: it takes the pa",
            ),
            (b"enable_tls: true\ntls_cert_file: a", "the key 'tls_key_file' is missin"),
            (b"bind_port: 70000", "the key 'bind_port' takes a port, a number from 0"),
            (b"bind_port: 0123", "the key 'bind_port' takes a port, a number from 0"),
            (b"bind_port: x", "the key 'bind_port' takes a port, a number from 0"),
            (
                b"port_range_start: 5",
                "the key 'port_range_start' takes a port up to th",
            ),
            (b"port_range_end: 5", "the key 'port_range_start' takes a port up to th"),
            (b"token: 987", "ms.yaml: the key 'token' is not known; there may be auth"),
            (b"auth_token: [987]", "ms.yaml: the key 'auth_token' takes a text"),
            (b"a: 1\na: 2", "ms.yaml: the file takes each key once, and not 'a' twice"),
            (b"- 987", "ms.yaml: the file takes keys with their values, and not what"),
            (b"? [987]\n: 1", "ms.yaml: the file takes a text"),
            (
                b"auth_token: [987",
                "ms.yaml: this is not YAML: expected ',' or ']', but",
            ),
            (
                b"auth_token: 987: 987",
                "ms.yaml: this is not YAML: mapping values are n",
            ),
            (b"a: \x00", "ms.yaml: this is not YAML: unacceptable character"),
            (b"a: 1\n---\nb: 1", "ms.yaml: this is not YAML: but found another docume"),
            (b"\xff", "ms.yaml: line 1 is not UTF-8"),
            (b"a: " + b"[" * 5000, "ms.yaml: brackets within brackets, too many"),
        ):
            error = self.assertRaises(ValueError, readServer, data, "ms.yaml")
            self.assertIn(words, str(error))
            self.assertTrue(str(error).startswith("ms.yaml: "))
            self.assertNotIn("987", str(error))

    def test_client_errors(self) -> None:
        """
        Which proxy is wrong is told too.
        """
        where = "mc.yaml: proxies, 'web'"
        for data, words in (
            (proxy(""), where + ": the key 'type' is missing: it takes tcp or udp"),
            (proxy("type: http"), where + ": the key 'type' takes tcp or udp"),
            (proxy("type: tcp"), where + ": the key 'local_port' is missing"),
            (proxy("remote_port: 65536"), where + ": the key 'remote_port' takes a po"),
            (proxy("local_host: x"), where + ": the key 'local_host' is not known"),
            (b"proxies: {web: 1}", where + " takes keys with their values, and not wh"),
            (b"proxies: {web: &a {web: *a}}", where + ": the key 'web' is not known"),
            (b"proxies: [a]", "mc.yaml: the key 'proxies' takes keys with their value"),
            (b"proxies: {'': {}}", "the key 'proxies' takes names of 1 to 255 bytes"),
            (b"proxies: {" + b"a" * 256 + b": {}}", "takes names of 1 to 255 bytes"),
            (b"<<: {}", "mc.yaml: the key '<<' is not known"),
        ):
            error = self.assertRaises(ValueError, readClient, data, "mc.yaml")
            self.assertIn(words, str(error))
