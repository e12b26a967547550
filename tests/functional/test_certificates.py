"""
Tests of certificates: one's own, new ones while clients are connected, and what
clients can demand of them.
"""

from __future__ import annotations

from pathlib import Path

from tests.stage.authority import Authority, Issued, shown
from tests.stage.case import HOST, ClientProgram, FunctionalCase, ServerProgram
from tests.stage.ports import freePort
from tests.stage.programs import LIMIT, reactor
from tests.stage.services import Visitor
from tests.stage.sockets import Ending

FEW, MANY = 4, 16
"""
Visitors at once: more than there are idle work connections, so that new ones come;
and more than a few have left behind.
"""

HAPROXY = """
defaults
    mode tcp
    timeout connect 10s
    timeout client 60s
    timeout server 60s
frontend edge
    bind {host}:{port} ssl crt {pem} ssl-min-ver TLSv1.3
    default_backend tunnelkit
backend tunnelkit
    server tunnelkit {host}:{behind}
"""


class CertificateCase(FunctionalCase):
    """
    A server with a certificate from a private authority.

    @ivar authority: that authority.
    @ivar trust: the environment of who trusts it.
    """

    def setUp(self) -> None:
        """
        Found the authority.
        """
        super().setUp()
        self.authority = Authority()
        path = self.folder / "authority.pem"
        path.write_bytes(self.authority.certificate)
        self.trust = {"SSL_CERT_FILE": str(path)}

    def certified(
        self, issued: Issued, *options: str
    ) -> tuple[ServerProgram, Path, Path]:
        """
        Start a server.

        @return: it, and the files of its certificate and of its key.
        """
        certificate, key = issued.write(self.folder)
        server = self.server("--certificate", certificate, "--key", key, *options)
        return server, certificate, key


class RotationTests(CertificateCase):
    """
    A new certificate is put in place while clients are connected.
    """

    async def greeted(self, client: ClientProgram) -> Visitor:
        """
        Have a visitor come who stays, and see that he is served.
        """
        visitor = await self.visitor(await client.leads("echo"))
        await visitor.send(b"hello")
        self.assertEqual(await visitor.read(5), b"hello")
        return visitor

    async def crowd(self, client: ClientProgram, count: int) -> None:
        """
        Have so many visitors come who stay, and see that all are served.
        """
        for visitor in [await self.greeted(client) for _ in range(count)]:
            visitor.finish()
            self.assertEqual((await visitor.rest()).ending, Ending.END)

    async def test_rotation(self) -> None:
        """
        The certificate's file is replaced, and a second later the key's: between the
        two nothing changes; afterwards new connections are shown the new one.  A
        visitor stays all the while, and others come before and after who need new work
        connections; the client notices nothing.
        """
        first, second = (self.authority.issue([HOST]) for _ in range(2))
        server, certificate, key = self.certified(first)
        address = HOST, server.port
        client = self.client(server, f"{self.service().tunnel}:name=echo")
        stayed = await self.greeted(client)
        self.assertEqual(await shown(address), first.fingerprint)

        began, mark = client.mark(), server.mark()
        certificate.write_bytes(second.certificate)
        await server.says(
            "the certificate stays as it is: the key does not belong", mark
        )
        self.assertEqual(await shown(address), first.fingerprint)
        await self.crowd(client, FEW)

        mark = server.mark()
        key.write_bytes(second.key)
        await server.says(f"new certificate .*{second.fingerprint}", mark)
        await self.showsSoon(server, second)
        await self.crowd(client, MANY)
        await stayed.send(b"still")
        self.assertEqual(await stayed.read(5), b"still")
        self.assertEqual(client.lines[began:], [])

    async def test_hangUp(self) -> None:
        """
        SIGHUP has the server look at once, and neither it nor its visitors end.
        """
        first, second = (self.authority.issue([HOST]) for _ in range(2))
        server, _, _ = self.certified(first)
        client = self.client(server, f"{self.service().tunnel}:name=echo")
        stayed = await self.greeted(client)
        second.write(self.folder)
        server.signal("HUP")
        await server.says("SIGHUP: reading files again")
        await server.says(f"new certificate .*{second.fingerprint}")
        await self.showsSoon(server, second)
        await stayed.send(b"still")
        self.assertEqual(await stayed.read(5), b"still")
        # Who comes anew logs in with the new certificate.
        other = self.client(server, f"{self.service().tunnel}:name=echo", name="other")
        await self.greeted(other)

    async def showsSoon(self, server: ServerProgram, issued: Issued) -> None:
        """
        Wait until new connections are shown this certificate: its clients are told
        first.
        """
        begun, last = reactor.seconds(), ""
        while last != issued.fingerprint:
            self.assertLess(reactor.seconds() - begun, LIMIT, f"still {last}")
            last = await shown((HOST, server.port))


class DemandTests(CertificateCase):
    """
    What a client demands beyond the token.
    """

    async def served(self, client: ClientProgram) -> None:
        """
        See that visitors are served.
        """
        got = await self.visit(await client.leads(), b"hello")
        self.assertEqual((got.ending, got.first), (Ending.END, b"hello"))

    def demanding(
        self, server: ServerProgram, *options: str, trusting: bool, port: int = 0
    ) -> ClientProgram:
        """
        Start a client.

        @param trusting: whether it trusts the authority.
        """
        return self.client(
            server,
            self.service().tunnel,
            options=options,
            to=f"{HOST}:{port}" if port else "",
            environment=self.trust if trusting else {},
        )

    async def test_verify(self) -> None:
        """
        With C{--verify} a certificate of an authority that the client trusts is good,
        and one of an unknown authority ends it with a sentence.
        """
        server, _, _ = self.certified(self.authority.issue([HOST]))
        good = self.demanding(server, "--verify", trusting=True)
        bad = self.demanding(server, "--verify", trusting=False)
        await self.served(good)
        sentence = await bad.gaveUp()
        self.assertRegex(sentence, rf"certificate of {HOST}:\d+ does not verify")
        self.assertIn("--verify", sentence)

    async def test_otherName(self) -> None:
        """
        With C{--verify} a certificate for another name ends the client with a
        sentence; without, the token is enough.
        """
        server, _, _ = self.certified(self.authority.issue(["other.example"]))
        bad = self.demanding(server, "--verify", trusting=True)
        good = self.demanding(server, trusting=False)
        await self.served(good)
        self.assertRegex(
            await bad.gaveUp(), rf"certificate of {HOST}:\d+ is not for the name"
        )

    async def test_fingerprint(self) -> None:
        """
        With C{--fingerprint} the certificate that the server's log shows is good, and
        any other ends the client with a sentence that has both.
        """
        server = self.server()
        line = (await server.says("fingerprint: (sha256:[0-9a-f]{64})"))[1]
        good = self.demanding(server, f"--fingerprint={line}", trusting=False)
        bad = self.demanding(server, f"--fingerprint={'ab' * 32}", trusting=False)
        await self.served(good)
        sentence = await bad.gaveUp()
        self.assertIn(line.removeprefix("sha256:"), sentence)
        self.assertIn("--fingerprint", sentence)

    async def test_behindTLS(self) -> None:
        """
        Behind a HAProxy that ends the TLS, C{--behind-tls} and C{--verify} together
        work, over visitors that need new work connections; without C{--verify} the
        client ends with a sentence that says to use it.
        """
        edge = freePort()
        pem = self.folder / "edge.pem"
        issued = self.authority.issue([HOST])
        pem.write_bytes(issued.certificate + issued.key)
        server = self.server("--behind-tls")
        text = HAPROXY.format(host=HOST, port=edge, pem=pem, behind=server.port)
        self.program("haproxy", "-db", "-f", self.file("haproxy.cfg", text))
        await self.accepts((HOST, edge))
        await server.listens()
        good = self.demanding(server, "--verify", trusting=True, port=edge)
        bad = self.demanding(server, trusting=False, port=edge)
        address = await good.leads()
        visitors = [await self.visitor(address) for _ in range(FEW)]
        for visitor in visitors:
            await visitor.send(b"hello")
            self.assertEqual(await visitor.read(5), b"hello")
        sentence = await bad.gaveUp()
        self.assertIn("use --verify", sentence)
