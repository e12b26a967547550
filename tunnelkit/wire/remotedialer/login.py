# -*- test-case-name: tests.wire.remotedialer.test_login -*-
"""
Login: who asks for a WebSocket, by the headers of the request.

A stock client has nothing to show but its id, so ids are secrets here: only those that
are known come in, and logs and metrics show L{shown} in their place.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from hashlib import sha256
from hmac import compare_digest
from typing import Final

from tunnelkit.wire.sniff import Places, exactly

PLACES: Final[Places] = exactly(b"GET ")
"""What a client's connection begins with: no other method can ask for a WebSocket."""
CLIENT: Final = "X-Tunnel-ID"
"""The header with a client's id, which is the key that it is dialled by."""
PEER: Final = "X-API-Tunnel-ID"
"""The header with the id of a server that is a peer."""
PEER_TOKEN: Final = "X-API-Tunnel-Token"
"""The header with that server's own token."""
PATH: Final = "/connect"
"""Where the WebSocket is."""
FAILED: Final = "failed authentication"
"""What one is told who may not come in, with status 401."""


def isClient(key: str, known: Collection[str]) -> bool:
    """
    Tell whether a client's id is known, in a time that does not depend on how much of
    it is right.  An empty one is not.
    """
    said = key.encode(errors="replace")
    found = [compare_digest(said, each.encode()) for each in known]
    return any(found) and bool(key)


def isPeer(name: str, token: str, known: Mapping[str, str]) -> bool:
    """
    Tell whether a peer is known and has its token, likewise.

    @param known: the token of each peer, by its id.
    """
    expected = known.get(name, "")
    good = compare_digest(token.encode(errors="replace"), expected.encode())
    return good and bool(name) and bool(expected)


def shown(key: str) -> str:
    """
    Give what may be shown of a client's id: eight digits of its SHA-256.
    """
    return sha256(key.encode(errors="replace")).hexdigest()[:8]
