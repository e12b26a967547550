# -*- test-case-name: tests.sharing.test_plugins -*-
"""
A framing by name, for C{twisted/plugins/}: this module imports nothing that takes time,
as C{twistd --help} may import it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, cast

from twisted.plugin import IPlugin
from zope.interface import Attribute, Interface, implementer

if TYPE_CHECKING:
    from tunnelkit.wire.framings.contract import Framing


class IFraming(Interface):
    """
    A framing by name, as C{--protocol NAME[:ARGUMENT...][:OPTION=VALUE...]} chooses it.

    Anybody can add one: an object that provides this and C{twisted.plugin.IPlugin}, in
    a module of C{twisted/plugins/}, such as a L{NamedFraming}.
    """

    name: str = Attribute("What C{--protocol} calls it.")
    aliases: Sequence[str] = Attribute("Other names for it, which are not listed.")
    summary: str = Attribute("What it is, in one line.")
    usage: str = Attribute("What C{--protocol} may be given, such as C{length:2:big}.")

    def make(arguments: list[str], options: dict[str, str]) -> Framing:
        """
        Make it.

        @param arguments: what stands behind the name, between colons.
        @param options: what stands there as C{OPTION=VALUE}.
        @raise ValueError: it cannot be given that; the text is for the user.
        """


@implementer(IPlugin, IFraming)
class NamedFraming:
    """
    A framing whose code is loaded when it is chosen.
    """

    def __init__(
        self,
        name: str,
        summary: str,
        usage: str,
        made: str,
        aliases: Sequence[str] = (),
    ) -> None:
        """
        @param made: where the function is that makes it, C{MODULE:FUNCTION}; it takes
            what L{IFraming.make} takes.
        """
        self.name = name
        self.summary = summary
        self.usage = usage
        self.made = made
        self.aliases = aliases

    def make(self, arguments: list[str], options: dict[str, str]) -> Framing:
        """
        Load it, and make it.
        """
        module, _, function = self.made.partition(":")
        make = cast(
            "Callable[[list[str], dict[str, str]], Framing]",
            getattr(import_module(module), function),
        )
        return make(arguments, options)
