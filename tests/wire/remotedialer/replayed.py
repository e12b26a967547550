"""
Reads the WebSocket of recorded conversations, both sides, with our own.
"""

from __future__ import annotations

from unittest.mock import patch

from tests.golden.recorded import streams
from tunnelkit.wire.remotedialer.websocket import Asked, Piece, WebSocket


def key(request: bytes) -> bytes:
    """
    Give the Sec-WebSocket-Key of a request.
    """
    for line in request.split(b"\r\n"):
        if line.lower().startswith(b"sec-websocket-key: "):
            return line.split(b": ")[1]
    raise AssertionError("no key")


def asking(request: bytes) -> WebSocket:
    """
    Make our client that has asked with a recorded key.
    """
    with patch("wsproto.handshake.generate_nonce", lambda: key(request)):
        return WebSocket.client(bytes, "127.0.0.1", "/connect")


def pieces(data: bytes, step: int = 4096) -> list[bytes]:
    """
    Cut what a peer sent.
    """
    return [data[at : at + step] for at in range(0, len(data), step)]


def messagesOf(socket: WebSocket, *received: bytes) -> list[bytes]:
    """
    Give the whole binary messages of what a peer sent.

    @param received: that, in pieces.
    """
    found, message = list[bytes](), b""
    for data in received:
        for event in socket.receive(data):
            if isinstance(event, Asked):
                socket.accept()
            elif isinstance(event, Piece):
                message += event.data
                if event.last:
                    found.append(message)
                    message = b""
    return found


def replayed(name: str) -> dict[tuple[int, str], list[bytes]]:
    """
    Give the binary messages of each connection and direction of a conversation.
    """
    found: dict[tuple[int, str], list[bytes]] = {}
    recorded = streams("remotedialer", name)
    for (connection, sender), data in recorded.items():
        if sender == "c2s":
            head, end, rest = data.partition(b"\r\n\r\n")
            received = [head + end, *pieces(rest)]
            socket = WebSocket.server(bytes)
        else:
            received = pieces(data)
            socket = asking(recorded[connection, "c2s"])
        found[connection, sender] = messagesOf(socket, *received)
    return found
