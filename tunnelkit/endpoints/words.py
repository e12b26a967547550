# -*- test-case-name: tests.endpoints.test_words -*-
"""
Words: what a client says of its options, for whom they stand in a description.
"""

from __future__ import annotations

import re
from typing import Final

_OPTIONS: Final = {
    "--token, --token-file or TUNNELKIT_TOKEN": "tokenFile=",
    "--fingerprint": "fingerprint=",
    "--insecure": "insecure=yes",
    "--server": "the description",
    "--verify": "verify=yes",
}
"""What the command line calls something, and what a description does."""
_NAMED: Final = re.compile("|".join(_OPTIONS))


def described(sentence: str) -> str:
    """
    Name the options of a description where a sentence names those of a command line.
    """
    return _NAMED.sub(lambda found: _OPTIONS[found[0]], sentence)
