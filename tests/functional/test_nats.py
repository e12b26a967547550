"""
Functional tests of portals behind NATs: real processes in network namespaces that a
test makes for itself, with the kernel's own NAT between them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import Final

from twisted.trial.unittest import SkipTest

from tests.stage.case import FunctionalCase
from tests.stage.programs import TOP, Program

WAN: Final = "203.0.113"
"""The network between the NATs: 1 and 2 are theirs, 10 and 11 are public."""
KINDS: Final = {
    "cone": (
        "masquerade",
        'iifname "wan" udp dport 1024-65535 dnat to {inside}',
    ),
    "restricted": ("masquerade", ""),
    "symmetric": ("masquerade fully-random", ""),
}
"""What is done to what goes out, and to what comes in."""
RULES: Final = """
table ip nat {{
    chain out {{
        type nat hook postrouting priority srcnat
        oifname "wan" {out}
    }}
    chain in {{
        type nat hook prerouting priority dstnat
        {into}
    }}
}}
table ip filter {{
    chain input {{
        type filter hook input priority filter
        iifname "wan" drop
    }}
}}
"""
BLOCK: Final = f"""
table ip block {{
    chain forward {{
        type filter hook forward priority filter
        ip saddr {WAN}.2 drop
        ip daddr {WAN}.2 drop
    }}
}}
"""
"""What has the near side's NAT let nothing pass from or to the far side's."""
PUNCHING: Final = 4
RETRIED: Final = 45.0
"""Seconds within which a direct path is found that there is now: it is tried every 30,
and may take some of its own."""


def need(*command: str, given: str = "") -> None:
    """
    Run a command.

    @raise SkipTest: it cannot be run here, or fails.
    """
    if shutil.which(command[0]) is None:
        raise SkipTest(
            f"{command[0]} is missing: install iproute2, util-linux, nftables"
        )
    done = subprocess.run(command, input=given, capture_output=True, text=True)
    if done.returncode:
        raise SkipTest(f"{' '.join(command)}: {done.stderr.strip()}")


class NatsCase(FunctionalCase):
    """
    A test with a near and a far machine, each behind a NAT, and a public one.
    """

    async def lay(self, near: str, far: str) -> None:
        """
        Make the network.

        @raise SkipTest: this machine does not allow it.
        """
        if os.geteuid() != 0:
            raise SkipTest("only root can make network namespaces")
        need("unshare", "--net", "true")
        for name in ("wan", "pub", "nat1", "nat2", "near", "far"):
            await self.namespace(name)
        self.ip("wan", "link add bridge type bridge")
        self.ip("wan", "link set bridge up")
        self.join("wan", "port3", "pub", "eth", f"{WAN}.10/24")
        self.ip("pub", f"address add {WAN}.11/24 dev eth")
        for number, (machine, kind) in enumerate((("near", near), ("far", far)), 1):
            nat = f"nat{number}"
            self.join("wan", f"port{number}", nat, "wan", f"{WAN}.{number}/24")
            self.join(nat, "lan", machine, "eth", f"10.0.{number}.2/24")
            self.ip(nat, f"address add 10.0.{number}.1/24 dev lan")
            self.ip(machine, f"route add default via 10.0.{number}.1")
            out, into = KINDS[kind]
            into = into.format(inside=f"10.0.{number}.2")
            self.within(nat, "sysctl", "-qw", "net.ipv4.ip_forward=1")
            self.within(nat, "nft", "-f", "-", given=RULES.format(out=out, into=into))

    async def namespace(self, name: str) -> None:
        """
        Make a namespace, which lasts as long as the program that holds it.
        """
        holder = self.program(
            "unshare", "--net", "sh", "-c", "echo made; exec sleep 600"
        )
        await holder.says("made")
        pid = holder.transport.pid
        assert pid is not None
        self.pids[name] = pid
        self.ip(name, "link set lo up")

    def within(self, name: str, *command: str, given: str = "") -> None:
        """
        Run a command in a namespace.
        """
        need(*self.entering(name), *command, given=given)

    def entering(self, name: str) -> list[str]:
        """
        Give what goes before a command that is to run in a namespace.
        """
        return ["nsenter", f"--net=/proc/{self.pids[name]}/ns/net"]

    def ip(self, name: str, words: str) -> None:
        """
        Run C{ip} in a namespace.
        """
        self.within(name, "ip", *words.split())

    def join(self, one: str, port: str, other: str, end: str, address: str) -> None:
        """
        Lay a cable.

        @param port: the end in C{one}; in C{wan} it is plugged into the bridge.
        @param end: the end in C{other}, which gets the address.
        """
        self.ip(
            one,
            f"link add {port} type veth peer name {end} netns {self.pids[other]}",
        )
        if one == "wan":
            self.ip(one, f"link set {port} master bridge")
        self.ip(one, f"link set {port} up")
        self.ip(other, f"address add {address} dev {end}")
        self.ip(other, f"link set {end} up")

    def lab(self, name: str, *words: str) -> Program:
        """
        Run a program of the lab in a namespace.
        """
        command = [sys.executable, "-m", "tests.stage.natlab", *words]
        return self.program(*self.entering(name), *command)

    def portal(self, name: str, *options: str) -> Program:
        """
        Run a portal in a namespace.
        """
        command = [sys.executable, "-m", "tunnelkit.commands.console", "portal"]
        return self.program(*self.entering(name), *command, *options)

    async def tunnelServer(self) -> list[str]:
        """
        Start a tunnel server in the public place.

        @return: what tells a far portal of it.
        """
        state = self.state()
        command = [sys.executable, "-m", "tunnelkit.commands.console", "server"]
        self.relay = server = self.program(
            *self.entering("pub"),
            *command,
            f"--port=tcp:8910:interface={WAN}.10",
            f"--state={state}",
            "--admin=off",
        )
        await server.says("listening on ")
        return [f"--via={WAN}.10", f"--token-file={state / 'default.token'}"]

    def setUp(self) -> None:
        """
        Make a secret.
        """
        super().setUp()
        self.pids: dict[str, int] = {}
        self.secret = self.folder / "secret"
        self.secret.write_text("0123456789abcdef" * 4)
        self.secret.chmod(0o600)
        assert TOP.exists()

    async def meet(
        self,
        near: str,
        far: str,
        compatible: bool = False,
        server: bool = False,
        blocked: bool = False,
    ) -> tuple[str, str]:
        """
        Have two portals meet, with a relay for them in the public place, and a sender
        send until it was answered.

        @param compatible: whether they speak as udptun does, which has no relay.
        @param server: whether the relay is a real tunnel, which the far portal makes by
            itself.
        @param blocked: whether nothing passes between the two NATs.
        @return: how the near portal says that the far one was reached: C{directly} or
            C{through a tunnel}, and where.
        """
        await self.lay(near, far)
        if blocked:
            self.within("nat1", "nft", "-f", "-", given=BLOCK)
        services = [
            self.lab("pub", "stun", f"{WAN}.10", f"{WAN}.11"),
            self.lab("pub", "public", f"{WAN}.10", "20417"),
            self.lab("far", "echo", "127.0.0.1", "9999"),
        ]
        for service in services:
            await service.says("answering")
        if server:
            relay = await self.tunnelServer()
        else:
            self.lab("far", "inner", f"{WAN}.10", "20417", "7000")
            relay = [f"--relay={WAN}.10:20417"]
        self.portal("pub", "--rendezvous-listen", f"tcp:8900:interface={WAN}.10")
        both = (
            "--compatible" if compatible else f"--secret-file={self.secret}",
            f"--rendezvous=http://{WAN}.10:8900/",
            f"--stun={WAN}.10",
            f"--stun={WAN}.11",
        )
        far_ = self.portal(
            "far",
            *("--serve=127.0.0.1:9999", "--name=home", "--bind=7000", *both),
            *([] if compatible else relay),
        )
        await far_.says("the world sees this portal")
        near_ = self.portal(
            "near",
            *("--listen=4001", "--connect=home", f"--punch-timeout={PUNCHING}", *both),
        )
        reached = await near_.says(
            r"home is reached (directly|through a tunnel) at (.*)"
        )
        sender = self.lab("near", "send", "127.0.0.1", "4001", "20")
        await sender.says("answered after")
        self.assertEqual(
            "direct path works to portals behind" in near_.output, near == "symmetric"
        )
        return reached[1], reached[2]


class BackTests(NatsCase):
    """
    The relay is for as long as there is no direct path.
    """

    timeout = 120.0

    async def test_movesBack(self) -> None:
        """
        Where nothing passes between two NATs the portals meet through a tunnel server;
        when it does again they move to the direct path, which goes on when that server
        is gone.
        """
        reached, at = await self.meet(
            "restricted", "restricted", server=True, blocked=True
        )
        self.assertEqual(reached, "through a tunnel")
        self.assertEqual(at.partition(":")[0], f"{WAN}.10")
        near = self._programs[-2]
        since = near.mark()
        self.within("nat1", "nft", "delete", "table", "ip", "block")
        await near.says(rf"home is reached directly at {WAN}\.2:\d+", since, RETRIED)
        await self.relay.kill()
        sender = self.lab("near", "send", "127.0.0.1", "4001", "20")
        await sender.says("answered after")
        self.assertEqual(near.said("home is not heard any more"), [])


class NatsTests(NatsCase):
    """
    Which NATs work is what docs/portals.rst says.
    """

    timeout = 60.0

    async def assertReached(self, near: str, far: str, how: str) -> None:
        """
        Have two portals meet.
        """
        reached, at = await self.meet(near, far)
        self.assertEqual(reached, how, f"{near} to {far}: at {at}")
        host = f"{WAN}.2" if how == "directly" else f"{WAN}.10"
        self.assertEqual(at.partition(":")[0], host)

    async def test_coneToCone(self) -> None:
        """
        Full cones reach each other directly.
        """
        await self.assertReached("cone", "cone", "directly")

    async def test_coneToRestricted(self) -> None:
        """
        A full cone reaches a port-restricted NAT directly.
        """
        await self.assertReached("cone", "restricted", "directly")

    async def test_coneToSymmetric(self) -> None:
        """
        A full cone reaches a symmetric NAT directly, at another port than STUN said.
        """
        await self.assertReached("cone", "symmetric", "directly")

    async def test_restrictedToCone(self) -> None:
        """
        A port-restricted NAT reaches a full cone directly.
        """
        await self.assertReached("restricted", "cone", "directly")

    async def test_restrictedToRestricted(self) -> None:
        """
        Port-restricted NATs reach each other directly.
        """
        await self.assertReached("restricted", "restricted", "directly")

    async def test_restrictedToSymmetric(self) -> None:
        """
        A port-restricted NAT reaches a symmetric one through the relay.
        """
        await self.assertReached("restricted", "symmetric", "through a tunnel")

    async def test_symmetricToCone(self) -> None:
        """
        A symmetric NAT reaches a full cone directly.
        """
        await self.assertReached("symmetric", "cone", "directly")

    async def test_symmetricToRestricted(self) -> None:
        """
        A symmetric NAT reaches a port-restricted one through the relay.
        """
        await self.assertReached("symmetric", "restricted", "through a tunnel")

    async def test_symmetricToSymmetric(self) -> None:
        """
        Symmetric NATs reach each other through the relay.
        """
        await self.assertReached("symmetric", "symmetric", "through a tunnel")

    async def test_tunnel(self) -> None:
        """
        Symmetric NATs reach each other through a tunnel server, of which the far portal
        alone was told.
        """
        reached, at = await self.meet("symmetric", "symmetric", server=True)
        self.assertEqual(reached, "through a tunnel")
        self.assertEqual(at.partition(":")[0], f"{WAN}.10")

    async def test_compatible(self) -> None:
        """
        In the compatible mode port-restricted NATs reach each other, too.
        """
        reached, at = await self.meet("restricted", "restricted", compatible=True)
        self.assertEqual((reached, at), ("directly", f"{WAN}.2:7000"))
        self.assertEqual(len(self._programs[-2].said("home is reached")), 1)
