# -*- test-case-name: tests.dialects.mgrok.test_dialect -*-
"""
Dialect: mgrok on the server's port.
"""

from __future__ import annotations

from typing import Final

from zope.interface import implementer

from tunnelkit.dialects.doorway import Guest
from tunnelkit.dialects.house import House
from tunnelkit.dialects.mgrok.control import Control
from tunnelkit.interfaces import IDialect
from tunnelkit.relay.connection import Holder
from tunnelkit.wire.smux.frames import PLACES

USER: Final = "mgrok"
"""Who all clients of mgrok are: they share one secret, and have no names."""


@implementer(IDialect)
class MgrokDialect:
    """
    What speaks mgrok on a server's port.
    """

    name = "mgrok"
    places = (PLACES,)

    def __init__(self, house: House, token: str, plain: bool) -> None:
        """
        @param token: the shared secret.
        """
        self.plain = plain
        self._house = house
        self._token = token

    def greet(self, guest: Guest) -> Holder:
        """
        Hear who it is.
        """
        return Control(self._house, guest, USER, self._token).line
