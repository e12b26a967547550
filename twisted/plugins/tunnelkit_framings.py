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
