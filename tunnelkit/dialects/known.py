# -*- test-case-name: tests.dialects.test_known -*-
"""
Known: the dialects that a server, and a client, can be told to speak.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final, TypeVar, cast

from twisted.python.reflect import namedAny

if TYPE_CHECKING:
    from tunnelkit.dialects.abroad import ClientDialect
    from tunnelkit.dialects.foreign import ReadServer
    from tunnelkit.dialects.spec import DialectParser

T_co = TypeVar("T_co", covariant=True)


class Late(Mapping[str, T_co]):
    """
    Things by names, each of which is loaded when it is asked for: what nobody speaks
    takes neither memory nor time.
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        """
        @param places: where in the package of the dialects each is.
        """
        self._places = places

    def __getitem__(self, name: str) -> T_co:
        return cast(T_co, namedAny(f"tunnelkit.dialects.{self._places[name]}"))

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places


DIALECTS: Final[Mapping[str, DialectParser]] = Late(
    {
        "mgrok": "mgrok.spec.parseMgrok",
        "pipe": "pipe.spec.parsePipe",
        "remotedialer": "remotedialer.spec.parseRemoteDialer",
    }
)
"""By its name, what reads how a dialect is described."""

FILES: Final[Mapping[str, ReadServer]] = Late(
    {"mgrok": "mgrok.words.serverWords", "pipe": "pipe.words.serverWords"}
)
"""By its name, what reads the file that the system's own server is configured with; its
client has one, too, of which L{CLIENTS} knows."""

CLIENTS: Final[Mapping[str, ClientDialect]] = Late(
    {
        "mgrok": "mgrok.abroad.client.MGROK",
        "pipe": "pipe.abroad.client.PIPE",
        "remotedialer": "remotedialer.abroad.client.REMOTEDIALER",
    }
)
"""By its name, how a client speaks it."""
