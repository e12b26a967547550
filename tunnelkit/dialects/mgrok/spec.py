# -*- test-case-name: tests.dialects.mgrok.test_spec -*-
"""
What an operator says about mgrok: C{--dialect mgrok:token=SECRET}.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tunnelkit.dialects.house import House
from tunnelkit.dialects.mgrok.dialect import USER, MgrokDialect
from tunnelkit.dialects.spec import Description


@dataclass(frozen=True, slots=True)
class MgrokSpec:
    """
    @ivar token: the shared secret.
    @ivar tlsRequired: whether plain connections are refused.
    """

    token: str = field(repr=False)
    tlsRequired: bool = False

    name = "mgrok"
    users = frozenset({USER})

    @property
    def warning(self) -> str:
        """
        Say how far its login can be trusted.
        """
        if self.tlsRequired:
            return (
                "mgrok is spoken on this port, in TLS alone: its clients have one"
                " secret together, and tell it to any server whose certificate they"
                " trust"
            )
        return (
            "mgrok is spoken on this port, also without TLS: who reads one of its"
            " logins has its secret, and visitors' bytes are not encrypted"
        )

    def make(self, house: House) -> MgrokDialect:
        """
        Make what speaks it.
        """
        return MgrokDialect(house, self.token, not self.tlsRequired)


def parseMgrok(description: Description) -> MgrokSpec:
    """
    Read what is behind C{mgrok:}.

    @raise ValueError: the text says what is wrong.
    """
    return MgrokSpec(description.secret(), description.tlsRequired())
