"""
The framings of C{twistd tunnelshare}, by name only: their code is loaded when one is
chosen.
"""

from __future__ import annotations

from tunnelkit.sharing.named import NamedFraming

echo = NamedFraming(
    "echo",
    "Lines that end in LF, each answered by a line; a line may be asked twice.",
    "echo",
    "tunnelkit.wire.framings.lines:makeEcho",
)

http1 = NamedFraming(
    "http1",
    "HTTP/1.1, request by request; HTTP/1.0 and h2c clients too, no WebSocket.",
    "http1[:host=NAME][:collect=BYTES][:head=BYTES][:target=BYTES][:fields=N]",
    "tunnelkit.wire.framings.http1.framing:makeHTTP1",
    ["http"],
)
