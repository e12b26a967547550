# -*- test-case-name: tests.dialects.pipe.test_spec -*-
"""
What an operator says about pipe: C{--dialect pipe:token=SECRET}.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from tunnelkit.dialects.house import House
from tunnelkit.dialects.pipe.dialect import USER, PipeDialect
from tunnelkit.dialects.spec import Description
from tunnelkit.wire.pipe.login import SKEW

_LONGEST: Final = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class PipeSpec:
    """
    @ivar token: the shared secret.
    @ivar skew: how old a login may be, in seconds; 0 for any age.
    @ivar tlsRequired: whether plain connections are refused.
    """

    token: str = field(repr=False)
    skew: float = SKEW
    tlsRequired: bool = False

    name = "pipe"
    users = frozenset({USER})

    @property
    def warning(self) -> str:
        """
        Say how far its login can be trusted.
        """
        old = f"for {self.skew:.0f} seconds" if self.skew else "for ever (skew=0)"
        return (
            "pipe is spoken on this port: who reads one of its logins can use it"
            f" {old} and can try secrets against it; visitors' bytes are not encrypted"
        )

    def make(self, house: House) -> PipeDialect:
        """
        Make what speaks it.
        """
        return PipeDialect(house, self.token, self.skew, not self.tlsRequired)


def parsePipe(description: Description) -> PipeSpec:
    """
    Read what is behind C{pipe:}.

    @raise ValueError: the text says what is wrong.
    """
    return PipeSpec(
        token=description.secret(),
        skew=description.take("skew", _seconds, float(SKEW)),
        tlsRequired=description.tlsRequired(),
    )


def _seconds(text: str) -> float:
    if not text.isdecimal() or int(text) > _LONGEST:
        raise ValueError(
            f"{text!r} is not a number of seconds, 0 to {_LONGEST}; 0 is for any age"
        )
    return float(text)
