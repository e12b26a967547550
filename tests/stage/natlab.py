"""
Programs for a network of namespaces, each run by C{python -m tests.stage.natlab}:
STUN servers, an echo, a sender, and the two ends of a UDP tunnel.
"""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Callable, Mapping
from itertools import count
from socket import AF_INET, SO_REUSEADDR, SOCK_DGRAM, SOL_SOCKET, socket
from typing import Final

from tests.portal.net import stunAnswer

_WAIT: Final = 0.3


def udp(host: str, port: int) -> socket:
    """
    Make a UDP socket.
    """
    made = socket(AF_INET, SOCK_DGRAM)
    made.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    made.bind((host, port))
    return made


def stun(*hosts: str) -> None:
    """
    Answer as STUN servers do, at several addresses.
    """
    servers = [udp(host, 3478) for host in hosts]
    print("answering", flush=True)
    while True:
        for server in select.select(servers, [], [])[0]:
            asked, peer = server.recvfrom(2048)
            server.sendto(stunAnswer(asked[8:20], peer), peer)


def echo(host: str, port: str) -> None:
    """
    Send all back, in capitals.
    """
    service = udp(host, int(port))
    print("answering", flush=True)
    while True:
        datagram, peer = service.recvfrom(65535)
        service.sendto(datagram.upper(), peer)


def send(host: str, port: str, times: str) -> None:
    """
    Send something until it was answered so many times, and say how often each was.
    """
    sender = udp("127.0.0.1", 0)
    sender.settimeout(_WAIT)
    answers, sent = 0, 0
    begun = time.monotonic()
    while answers < int(times):
        sender.sendto(b"n%d" % sent, (host, int(port)))
        sent += 1
        try:
            sender.recvfrom(65535)
        except TimeoutError:
            continue
        answers += 1
    print(f"answered after {time.monotonic() - begun:.1f} s, {sent} sent", flush=True)


def public(host: str, port: str) -> None:
    """
    Be the public end of a UDP tunnel: C{port} is for visitors, the next one for the
    other end, which says hello from time to time.
    """
    visitors, other = udp(host, int(port)), udp(host, int(port) + 1)
    flows: dict[tuple[str, int], int] = {}
    peers: dict[int, tuple[str, int]] = {}
    numbers, inner = count(1), ("", 0)
    print("answering", flush=True)
    while True:
        for ready in select.select([visitors, other], [], [])[0]:
            datagram, peer = ready.recvfrom(65535)
            if ready is other:
                inner = peer
                flow = int.from_bytes(datagram[:4], "big")
                if flow in peers:
                    visitors.sendto(datagram[4:], peers[flow])
            elif inner[0]:
                flow = flows.setdefault(peer, 0) or next(numbers)
                flows[peer], peers[flow] = flow, peer
                print("carried", flush=True)
                other.sendto(flow.to_bytes(4, "big") + datagram, inner)


def inner(host: str, port: str, service: str) -> None:
    """
    Be the other end of that tunnel, beside the service.
    """
    outer = udp("0.0.0.0", 0)
    outer.connect((host, int(port) + 1))
    flows: dict[int, socket] = {}
    while True:
        ready = select.select([outer, *flows.values()], [], [], _WAIT)[0]
        if not ready:
            outer.send(bytes(4))
        for each in ready:
            if each is outer:
                datagram = outer.recv(65535)
                flow = int.from_bytes(datagram[:4], "big")
                if flow not in flows:
                    flows[flow] = udp("127.0.0.1", 0)
                    flows[flow].connect(("127.0.0.1", int(service)))
                flows[flow].send(datagram[4:])
            else:
                number = next(n for n, known in flows.items() if known is each)
                outer.send(number.to_bytes(4, "big") + each.recv(65535))


PROGRAMS: Final[Mapping[str, Callable[..., None]]] = {
    "stun": stun,
    "echo": echo,
    "send": send,
    "public": public,
    "inner": inner,
}


if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*sys.argv[2:])
