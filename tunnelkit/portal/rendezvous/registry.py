# -*- test-case-name: tests.portal.rendezvous.test_pages -*-
"""
The registry of a rendezvous: where named portals are, and who waits to be let in by
them.

A name belongs to whoever registered it, for as long as it is registered again and
again.  Who proves nothing, as programs that are not ours, has a name that anybody may
have; who shows a key owns it, and nobody else sees it, changes it or takes those away
who wait.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from twisted.internet.interfaces import IReactorTime

from tunnelkit.portal.addresses.candidates import Candidates
from tunnelkit.portal.flows.table import Flows

NAMES: Final = 10_000
"""Names that are registered.  With that many, no other one is, so that nobody can drive
somebody else's out by registering many."""
LASTING: Final = 90.0
"""For so many seconds a name is kept that is not registered again."""
WAITING: Final = 64
"""Who waits at one name; of more the first ones leave."""
LONGEST_NAME: Final = 64
"""Characters of a name."""

Owner = bytes | None
"""The key that somebody shows, None for none."""


class Full(Exception):
    """
    There are too many names.  The text is for who asked.
    """


class Foreign(Exception):
    """
    The name is another's.  The text is for who asked.
    """


@dataclass(slots=True)
class _Name:
    """
    @ivar owner: the hash of its owner's key, None where everybody may do everything.
    """

    address: str
    owner: bytes | None


@dataclass(slots=True)
class _Line:
    """
    Who waits, the first come first.
    """

    addresses: list[str] = field(default_factory=list)


class Registry:
    """
    Names and lines.
    """

    def __init__(self, clock: IReactorTime, names: int = NAMES) -> None:
        """
        @param names: how many there may be.
        """
        self._most = names
        self._names: Flows[str, _Name] = Flows(clock, _forget, names, LASTING)
        self._lines: Flows[str, _Line] = Flows(clock, _forget, names, LASTING)

    def listed(self, owner: Owner) -> dict[str, str]:
        """
        Give the names that somebody may see, with their addresses.
        """
        return {
            name: entry.address
            for name, entry in self._names.items()
            if _opens(entry.owner, owner)
        }

    def register(self, name: str, address: str, owner: Owner) -> None:
        """
        Enter a name.

        @raise Foreign: it is another's.
        @raise Full: there are too many.
        @raise ValueError: these are no name and address.
        """
        checkName(name)
        address = str(Candidates.parse(address))
        entry = self._mayChange(name, owner)
        if entry is None and len(self._names) >= self._most:
            raise Full("this rendezvous has all the names that it takes: try later")
        if owner is not None and (entry is None or entry.owner is None):
            self._lines.end(name)  # Who waits there was let in by nobody.
        self._names.end(name)
        self._names.add(name, _Name(address, _hashed(owner)))

    def remove(self, name: str, owner: Owner, address: str = "") -> None:
        """
        Remove a name and those who wait there.

        @param address: where the owner was, so that one who came in its place stays;
            empty for anywhere.  A name that anybody may have goes in any case.
        @raise Foreign: it is another's.
        @raise ValueError: this is no address.
        """
        entry = self._mayChange(name, owner)
        owned = entry if entry is not None and entry.owner is not None else None
        if address and owned and owned.address != str(Candidates.parse(address)):
            return
        self._names.end(name)
        self._lines.end(name)

    def wait(self, name: str, address: str, owner: Owner) -> bool:
        """
        Enter somebody who waits.

        @return: whether the name is registered.
        @raise Foreign: it is another's.
        @raise ValueError: these are no name and address.
        """
        checkName(name)
        address = str(Candidates.parse(address))
        known = self._mayChange(name, owner) is not None
        line = self._lines.use(name)
        if line is None:
            line = _Line()
            self._lines.add(name, line)
        if address not in line.addresses:
            line.addresses.append(address)
        del line.addresses[:-WAITING]
        return known

    def waiting(self, name: str, owner: Owner) -> tuple[bool, list[str] | None]:
        """
        Take those who wait away.

        @return: whether the name is registered, and who waits, None where nobody ever
            did.
        @raise Foreign: it is another's.
        """
        known = self._mayChange(name, owner) is not None
        line = self._lines.use(name)
        self._lines.end(name)
        return known, None if line is None else line.addresses

    def clear(self) -> None:
        """
        Forget all.
        """
        self._names.clear()
        self._lines.clear()

    def _mayChange(self, name: str, owner: Owner) -> _Name | None:
        entry = self._names.get(name)
        if entry is not None and not _opens(entry.owner, owner):
            raise Foreign(f"the name {name} is another portal's: choose another one")
        return entry


def checkName(name: str) -> None:
    """
    @raise ValueError: no portal can be called that.
    """
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable() or "/" in name:
        raise ValueError(f"a name has 1 to {LONGEST_NAME} characters, and no slash")


def _forget(key: str, value: object, used: float) -> None:
    pass


def _hashed(owner: Owner) -> bytes | None:
    return None if owner is None else sha256(owner).digest()


def _opens(lock: bytes | None, owner: Owner) -> bool:
    return lock is None or lock == _hashed(owner)
