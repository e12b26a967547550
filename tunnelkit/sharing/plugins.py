# -*- test-case-name: tests.sharing.test_plugins -*-
"""
Which framings there are: plugins, found through C{twisted.plugin}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, cast

from twisted.logger import Logger
from twisted.plugin import getPlugins

from tunnelkit.sharing.named import IFraming, NamedFraming
from tunnelkit.wire.framings.contract import Framing

_log: Final = Logger()

ORDER: Final = ("echo", "http1", "iso8583", "mpu")
"""Which come first where all are listed; the others follow by name."""


def framings(found: Iterable[Any] | None = None) -> list[Any]:
    """
    Give all framings, in the order in which they are listed.  What another program has
    added and cannot be used is logged and left out.

    @param found: the plugins; C{None} for those that are installed.
    """
    usable = [
        each
        for each in (getPlugins(IFraming) if found is None else found)
        if _usable(each)
    ]
    usable.sort(key=_place)
    known: dict[str, Any] = {}
    for each in usable:
        if known.setdefault(each.name, each) is not each:
            _log.warn("two framings are called {name}: one counts", name=each.name)
    return [*known.values()]


def _place(framing: Any) -> tuple[int, bool, str]:
    # Where two have one name it is ours that counts.
    place = ORDER.index(framing.name) if framing.name in ORDER else len(ORDER)
    return place, not isinstance(framing, NamedFraming), framing.name


def _usable(framing: Any) -> bool:
    try:
        words = (framing.name, framing.summary, framing.usage, *framing.aliases)
        good = all(isinstance(word, str) for word in words) and callable(framing.make)
    except Exception:
        _log.failure("a framing cannot be used: {framing}", framing=repr(framing))
        return False
    if not good:
        _log.error("a framing cannot be used: {framing}", framing=repr(framing))
    return good


def framingNamed(
    text: str, split: Callable[[str], tuple[str, list[str], dict[str, str]]]
) -> Framing:
    """
    Make the framing that C{--protocol} names.

    @param split: takes the text apart.
    @raise ValueError: there is none such, or it cannot be made so; the text is for the
        user.
    """
    name, arguments, options = split(text)
    for each in framings():
        if name == each.name or name in each.aliases:
            return cast(Framing, each.make(arguments, options))
    names = ", ".join(each.name for each in framings())
    raise ValueError(f"there is no protocol {name!r}: choose among {names}")
