"""
Spoiling: what a server of bad will says to its clients.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from tests.stage.rubbish import frame, message
from tests.stage.spoken import Impostor, Speaker, welcome
from tunnelkit.wire.native.codec import said
from tunnelkit.wire.native.login import Challenge, ClientHello, Login, ServerHello
from tunnelkit.wire.native.messages import Start, Want

Spoil: TypeAlias = Callable[[Impostor, Speaker], None]
"""What a server does with a new control channel."""
Spoiling: TypeAlias = tuple[Spoil, str]

NAME = "published"

NESTED = b"[" * 60_000

ON_CHANNEL = (
    frame(0, b"stream bytes"),
    frame(9, b"an unknown frame"),
    frame(1, b"{", (1 << 24) - 1),
    frame(1, NESTED),
    b"\xff" * 70_000,
    message({"type": "nonsense"}),
    message({"type": "want", "count": -1}),
    message({"type": "welcome"}),
)
"""What no server may say on a control channel."""


# What spoils a login.


def hello(channel: Speaker) -> Login:
    """
    Do what comes first in a good one.
    """
    channel.hear(ClientHello)
    channel.say(ServerHello(1, "none", "a test"))
    return channel.hear(Login)


def otherVersion(impostor: Impostor, channel: Speaker) -> None:
    """
    Answer in a version that the client does not know.
    """
    channel.say(ServerHello(2, "none", "a test"))


def binding(impostor: Impostor, channel: Speaker) -> None:
    """
    Offer a binding where there is no TLS.
    """
    channel.say(ServerHello(1, "endpoint", "a test"))


def early(impostor: Impostor, channel: Speaker) -> None:
    """
    Welcome who has proven nothing.
    """
    hello(channel)
    channel.say(welcome("v="))


def challenge(iterations: int) -> Spoil:
    """
    Make one that asks for so much work.
    """

    def spoil(impostor: Impostor, channel: Speaker) -> None:
        nonce = hello(channel).first.rpartition("r=")[2]
        salt = "c2FsdHNhbHRzYWx0c2FsdA=="
        channel.say(Challenge(f"r={nonce}x,s={salt},i={iterations}"))

    return spoil


def otherNonce(impostor: Impostor, channel: Speaker) -> None:
    """
    Challenge somebody else.
    """
    hello(channel)
    channel.say(Challenge("r=x,s=c2FsdHNhbHRzYWx0c2FsdA==,i=4096"))


def unproven(impostor: Impostor, channel: Speaker) -> None:
    """
    Prove nothing.
    """
    impostor.challenged(channel)
    channel.say(welcome(f"v={'A' * 43}="))


def noKey(impostor: Impostor, channel: Speaker) -> None:
    """
    Give a session key that is none.
    """
    channel.say(replace(welcome(impostor.challenged(channel)), key="no key"))


IN_LOGIN: Sequence[Spoiling] = (
    (otherVersion, "version 2"),
    (binding, "endpoint"),
    (early, "welcome does not belong here"),
    (otherNonce, "challenge"),
    (challenge(1), "1 iterations"),
    (challenge(10_000_000), "10000000 iterations"),
    (unproven, "does not know the secret"),
    (noKey, "key is not hexadecimal"),
)
"""Each with what the client says of it."""


def afterLogin(rubbish: bytes) -> Spoil:
    """
    Make one that welcomes the client and then says something.
    """

    def spoil(impostor: Impostor, channel: Speaker) -> None:
        channel.say(welcome(impostor.challenged(channel)))
        with contextlib.suppress(ConnectionError):
            channel.send(rubbish)

    return spoil


def start(stream: int, tunnel: str = NAME, kind: str = "tcp") -> Start:
    """
    Make what opens a stream.
    """
    return Start(stream, tunnel, kind, "192.0.2.1:1", "192.0.2.2:2")


ON_WORK = {
    "stream bytes without a stream": frame(0, b"hello"),
    "an end without a stream": frame(0, b""),
    "a delivery": frame(4, b"\0\0\0\1"),
    "a datagram": frame(3, bytes(8)),
    "an unknown frame": frame(9, b"hello"),
    "an endless message": frame(1, b"{", (1 << 24) - 1),
    "nested JSON": frame(1, NESTED),
    "another message": said(Want(1)),
    "half a start": message({"type": "start", "stream": 1}),
    "stream number 0": said(start(0)),
    "a stream number too many": said(start(1 << 32)),
    "two starts": said(start(1)) + said(start(2)),
    "bytes behind the end": said(start(1)) + frame(0, b"") + frame(0, b"hello"),
}
"""What no server may say on a work connection."""
