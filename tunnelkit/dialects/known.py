# -*- test-case-name: tests.dialects.test_known -*-
"""
Known: the dialects that a server can be told to speak.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tunnelkit.dialects.pipe.spec import parsePipe
from tunnelkit.dialects.spec import DialectParser

DIALECTS: Final[Mapping[str, DialectParser]] = {
    "pipe": parsePipe,
}
"""By its name, what reads how a dialect is described."""
