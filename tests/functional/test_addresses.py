"""
Tests of where a server may listen, and of how a client finds it there.
"""

from __future__ import annotations

from tests.stage.authority import Authority
from tests.stage.case import HOST, ClientProgram, FunctionalCase, ServerProgram
from tests.stage.ports import freePort
from tests.stage.sockets import Ending, listener

CROWD = 5
"""
Visitors at once: more than there are idle work connections.
"""


class AddressTests(FunctionalCase):
    """
    Whatever the server listens on, clients get through it.
    """

    async def assertServes(self, client: ClientProgram) -> None:
        """
        Check that visitors are served, some at once.
        """
        _, port = await client.leads()
        visitors = [await self.visitor((HOST, port)) for _ in range(CROWD)]
        for visitor in visitors:
            await visitor.send(b"hello")
            visitor.finish()
            got = await visitor.rest()
            self.assertEqual((got.ending, got.first), (Ending.END, b"hello"))

    async def test_bare(self) -> None:
        """
        A bare port number is a port of IPv4 and IPv6, with TLS.
        """
        port = freePort()
        server = self.server(ports=[str(port)])
        four = self.client(server, self.service().tunnel, to=f"{HOST}:{port}")
        six = self.client(
            server, self.service().tunnel, to=f"[::1]:{port}", name="other"
        )
        await self.assertServes(four)
        await six.says(r"tcp://\[::1\]:\d+ leads to")
        await self.assertServes(six)

    async def test_folderOfCertificates(self) -> None:
        """
        With C{tls:FOLDER:PORT} a folder of certificates is served, and one that
        verifies for the name that the client dialled is good enough for C{--verify}
        and for a client with a C{tls:} description.
        """
        authority, folder, port = Authority(), self.folder / "pem", freePort()
        issued = authority.issue(["localhost"])
        folder.mkdir()
        (folder / "localhost.pem").write_bytes(issued.key + issued.certificate)
        trusted = self.folder / "authority.pem"
        trusted.write_bytes(authority.certificate)
        server = self.server(ports=[f"tls:{folder}:{port}:interface={HOST}"])
        clients = [
            self.client(
                server,
                self.service().tunnel,
                to=to,
                options=options,
                name=f"client{n}",
                environment={"SSL_CERT_FILE": str(trusted)},
            )
            for n, (to, options) in enumerate(
                (
                    (f"localhost:{port}", ["--verify"]),
                    (f"tls:localhost:{port}", []),
                )
            )
        ]
        for client in clients:
            await self.assertServes(client)

    async def test_sslDescription(self) -> None:
        """
        So is a certificate with C{ssl:}, to which the login is bound.
        """
        issued, port = Authority().issue([HOST]), freePort()
        certificate, key = issued.write(self.folder)
        server = self.server(
            ports=[
                f"ssl:{port}:privateKey={key}:certKey={certificate}:interface={HOST}"
            ]
        )
        client = self.client(
            server,
            self.service().tunnel,
            to=f"{HOST}:{port}",
            options=[f"--fingerprint={issued.fingerprint}"],
        )
        await self.assertServes(client)

    async def test_unix(self) -> None:
        """
        A server on a UNIX socket serves a client on the same machine, with TLS, or
        without where both are told so.
        """
        path = self.folder / "server.sock"
        server = self.server("--insecure", ports=[f"unix:{path}"])
        secured = self.client(server, self.service().tunnel, to=f"unix:{path}")
        plain = self.client(
            server,
            self.service().tunnel,
            to=f"unix:{path}",
            options=["--insecure"],
            name="plain",
        )
        await self.assertServes(secured)
        await self.assertServes(plain)

    async def test_several(self) -> None:
        """
        A server with several C{--port} listens on all of them, and a client may use a
        description of Twisted's for one.
        """
        ports = [freePort(), freePort()]
        server = self.server(ports=[f"tcp:{port}:interface={HOST}" for port in ports])
        for port in ports:
            client = self.client(
                server,
                self.service().tunnel,
                to=f"tcp:host={HOST}:port={port}",
                name=f"at{port}",
            )
            await self.assertServes(client)

    async def test_systemd(self) -> None:
        """
        A server takes a socket that systemd has opened for it; while it is started
        again a client that connects there waits, and is served.
        """
        listening = listener((HOST, 0))
        self.addCleanup(listening.close)
        port = listening.getsockname()[1]
        state = self.state()

        def activated() -> ServerProgram:
            # What systemd does: the process id is known only to the process itself.
            return self.server(
                ports=["systemd:domain=INET:name=tunnel"],
                state=state,
                environment={"LISTEN_FDS": "1", "LISTEN_FDNAMES": "tunnel"},
                descriptors={3: listening.fileno()},
                wrap=["/bin/sh", "-c", 'export LISTEN_PID=$$; exec "$@"', "sh"],
            )

        server = activated()
        client = self.client(server, self.service().tunnel, to=f"{HOST}:{port}")
        await self.assertServes(client)
        await server.keeps()
        address, mark = await client.leads(), client.mark()
        await server.kill()
        activated()
        self.assertEqual(await client.leads(since=mark), address)
        await self.assertServes(client)
        self.assertEqual(client.said("refused", mark), [])
