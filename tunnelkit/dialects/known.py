# -*- test-case-name: tests.dialects.test_known -*-
"""
Known: the dialects that a server, and a client, can be told to speak.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tunnelkit.dialects.abroad import ClientDialect
from tunnelkit.dialects.foreign import ReadServer
from tunnelkit.dialects.mgrok.client import MGROK
from tunnelkit.dialects.mgrok.spec import parseMgrok
from tunnelkit.dialects.mgrok.words import serverWords as mgrokWords
from tunnelkit.dialects.pipe.client import PIPE
from tunnelkit.dialects.pipe.spec import parsePipe
from tunnelkit.dialects.pipe.words import serverWords as pipeWords
from tunnelkit.dialects.remotedialer.client import REMOTEDIALER
from tunnelkit.dialects.remotedialer.spec import parseRemoteDialer
from tunnelkit.dialects.spec import DialectParser

DIALECTS: Final[Mapping[str, DialectParser]] = {
    "mgrok": parseMgrok,
    "pipe": parsePipe,
    "remotedialer": parseRemoteDialer,
}
"""By its name, what reads how a dialect is described."""

FILES: Final[Mapping[str, ReadServer]] = {
    "mgrok": mgrokWords,
    "pipe": pipeWords,
}
"""By its name, what reads the file that the system's own server is configured with."""

CLIENTS: Final[Mapping[str, ClientDialect]] = {
    each.name: each for each in (MGROK, PIPE, REMOTEDIALER)
}
"""By its name, how a client speaks it."""
