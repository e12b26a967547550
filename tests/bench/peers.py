# -*- test-case-name: tests.bench.test_peers -*-
"""
Peers: other tunnels, as ways to the services, each as its own documentation has it
run, with its settings left alone; and HAProxy told to splice whatever there is, which
it hardly does where it may choose.
"""

from __future__ import annotations

import getpass
import subprocess
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import randrange
from typing import Final

from tests.bench.services import Ports, program
from tests.bench.stage import LIMIT, Broken, Stage, found
from tests.bench.ways import (
    CLIENT,
    HOST,
    SERVER,
    Open,
    Opening,
    Way,
    haproxy,
    haproxyTLS,
)
from tests.stage.ports import freePort

TOKEN: Final = "b7f0e1d2c3a495867"
"""What both sides of a peer must know; it guards nothing."""
BORE: Final = 7835
"""The port where bore listens for clients: it cannot be told another."""

Pairs = Sequence[tuple[str, int, int]]
"""Names, public ports and the services' ports."""


@dataclass(frozen=True, slots=True)
class Peer:
    """
    Another tunnel.

    @ivar programs: what it needs on PATH.
    @ivar open: starts it.
    """

    programs: Collection[str]
    open: Opening


def ratholeFiles(pairs: Pairs, port: int, kind: str = "tcp") -> tuple[str, str]:
    """
    Write rathole's configuration, the server's and the client's.

    @param kind: C{tcp} or C{udp}.
    """
    said = "" if kind == "tcp" else f'type = "{kind}"\n'
    server = f'[server]\nbind_addr = "{HOST}:{port}"\ndefault_token = "{TOKEN}"\n'
    client = f'[client]\nremote_addr = "{HOST}:{port}"\ndefault_token = "{TOKEN}"\n'
    for name, public, to in pairs:
        server += f'[server.services.{name}]\n{said}bind_addr = "{HOST}:{public}"\n'
        client += f'[client.services.{name}]\n{said}local_addr = "{HOST}:{to}"\n'
    return server, client


def rathole(stage: Stage, services: Ports) -> Open:
    """
    Go through rathole, in plain as it is where nothing is said.
    """
    opened, port = Open(stage, Ports.free()), freePort()
    texts = ratholeFiles(opened.ports.pairs(services), port)
    folder = stage.folderIn()
    for side, text in zip((SERVER, CLIENT), texts, strict=True):
        (folder / f"{side}.toml").write_text(text)
        command = (program("rathole"), f"--{side}", folder / f"{side}.toml")
        process = stage.start(f"rathole --{side}", *command)
        opened.began(side, [process], port if side == SERVER else opened.ports.source)
    return opened


def frpFiles(pairs: Pairs, port: int, kind: str = "tcp") -> tuple[str, str]:
    """
    Write frp's configuration, the server's and the client's.

    @param kind: C{tcp} or C{udp}.
    """
    token = f'auth.token = "{TOKEN}"\n'
    server = (
        f'bindAddr = "{HOST}"\nbindPort = {port}\nproxyBindAddr = "{HOST}"\n{token}'
    )
    client = f'serverAddr = "{HOST}"\nserverPort = {port}\n{token}'
    for name, public, to in pairs:
        client += (
            f'[[proxies]]\nname = "{name}"\ntype = "{kind}"\nlocalIP = "{HOST}"\n'
            f"localPort = {to}\nremotePort = {public}\n"
        )
    return server, client


def frp(stage: Stage, services: Ports) -> Open:
    """
    Go through frp as it is installed: with TLS, all streams in one connection.
    """
    opened, port = Open(stage, Ports.free()), freePort()
    texts = frpFiles(opened.ports.pairs(services), port)
    folder = stage.folderIn()
    for name, side, text in zip(("frps", "frpc"), (SERVER, CLIENT), texts, strict=True):
        (folder / f"{name}.toml").write_text(text)
        process = stage.start(name, program(name), "-c", folder / f"{name}.toml")
        opened.began(side, [process], port if side == SERVER else opened.ports.source)
    return opened


def bore(stage: Stage, services: Ports) -> Open:
    """
    Go through bore, with a client for each service.
    """
    opened = Open(stage, Ports.free())
    command = program("bore")
    if "--bind-tunnels" not in _said(command, "server", "--help"):
        raise Broken("bore 0.6 is needed: one before that listens on all interfaces")
    # Several servers can listen on its one port, each on an address of its own.
    address = f"127.{randrange(1, 255)}.{randrange(256)}.{randrange(1, 255)}"
    bound = ("--bind-addr", address, "--bind-tunnels", HOST)
    server = stage.start("bore server", command, "server", *bound)
    opened.began(SERVER, [server], BORE, address)
    clients, starts = [], []
    for name, public, to in opened.ports.pairs(services):
        local = (command, "local", str(to), "--local-host", HOST)
        where = ("--to", address, "--port", str(public))
        client = stage.start(f"bore local ({name})", *local, *where)
        starts.append(client.listens(public))
        clients.append(client)
    opened.sides[CLIENT] = clients
    opened.starts[CLIENT] = max(starts)
    return opened


def sshdFile(folder: Path, port: int) -> str:
    """
    Write the configuration of an ssh server that knows one key.

    @param folder: where the keys are.
    """
    return "\n".join(
        [
            f"ListenAddress {HOST}:{port}",
            f"HostKey {folder / 'host'}",
            f"AuthorizedKeysFile {folder / 'user.pub'}",
            "PidFile none",
            "StrictModes no",
            "UsePAM no",
            "PermitRootLogin prohibit-password",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "",
        ]
    )


def ssh(stage: Stage, services: Ports) -> Open:
    """
    Go through ssh -R, with a server of our own.
    """
    opened, port = Open(stage, Ports.free()), freePort()
    folder = stage.folderIn()
    for name in ("host", "user"):
        _keyed(folder / name)
    conf = folder / "sshd_config"
    conf.write_text(sshdFile(folder, port))
    server = stage.start("sshd", program("sshd"), "-D", "-e", "-f", conf)
    opened.began(SERVER, [server], port)
    forwards = [
        f"-R{HOST}:{public}:{HOST}:{to}"
        for _, public, to in opened.ports.pairs(services)
    ]
    client = stage.start(
        "ssh -R",
        program("ssh"),
        *("-N", "-F", "none", "-i", folder / "user", "-p", str(port)),
        *("-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={folder}/known"),
        *("-o", "ExitOnForwardFailure=yes", "-o", "IdentitiesOnly=yes"),
        *("-o", "BatchMode=yes"),
        *forwards,
        f"{getpass.getuser()}@{HOST}",
    )
    opened.began(CLIENT, [client], opened.ports.source)
    return opened


def _keyed(path: Path) -> None:
    _said(program("ssh-keygen"), *("-q", "-t", "ed25519", "-N", "", "-f", str(path)))


def _said(*command: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=LIMIT, check=False
    )
    if done.returncode:
        raise Broken(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


PEERS: Final[Mapping[str, Peer]] = {
    "haproxy-splice": Peer(["haproxy"], haproxy("splice-request", "splice-response")),
    "haproxy-tls": Peer(["haproxy"], haproxyTLS),
    "rathole": Peer(["rathole"], rathole),
    "bore": Peer(["bore"], bore),
    "frp": Peer(["frps", "frpc"], frp),
    "ssh": Peer(["ssh", "sshd", "ssh-keygen"], ssh),
}
"""The peers, by the names that options have for them."""


def present(
    names: Collection[str],
    say: Callable[[str], None],
    find: Callable[[str], str | None] = found,
) -> list[Way]:
    """
    Give the ways of those peers that are there.

    @param names: the wanted ones.
    @param say: told of those that are not.
    """
    ways = []
    for name in dict.fromkeys(names):
        peer = PEERS[name]
        absent = [each for each in peer.programs if find(each) is None]
        if absent:
            say(f"{name} is left out: {', '.join(absent)} not found")
        else:
            ways.append(Way(name, name, peer.open))
    return ways
