# -*- test-case-name: tests.commands.test_console -*-
"""
The console command C{tunnelkit}: server and client in the foreground, the users'
tokens, and a check of a server.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, NoReturn

from twisted.application.service import IService
from twisted.logger import globalLogBeginner, textFileLogObserver
from twisted.python import usage

from tunnelkit.commands import (
    check,
    client,
    forward,
    portal,
    server,
    share,
    tokens,
)
from tunnelkit.commands.options.flags import CommandOptions
from tunnelkit.commands.process import theReactor

USAGE: Final = 2
"""The exit status where the command line cannot be used."""


class Options(CommandOptions):
    """
    What C{tunnelkit} can be told.
    """

    synopsis = "Usage: tunnelkit"
    longdesc = "A reverse tunnel: publishes services from behind a firewall."

    subCommands: ClassVar[Sequence[tuple[str, None, type[usage.Options], str]]] = (
        (
            "server",
            None,
            server.Options,
            "Run a server: like twistd -n tunnelserver, without a pid file.",
        ),
        (
            "client",
            None,
            client.Options,
            "Run a client: like twistd -n tunnelclient, without a pid file.",
        ),
        (
            "portal",
            None,
            portal.Options,
            "Run a UDP portal: like twistd -n tunnelportal, without a pid file.",
        ),
        (
            "share",
            None,
            share.Options,
            "Share a target: like twistd -n tunnelshare, without a pid file.",
        ),
        (
            "forward",
            None,
            forward.Options,
            "Forward connections from one endpoint to another.",
        ),
        ("token", None, tokens.Options, "Make, list and revoke tokens."),
        (
            "check",
            None,
            check.Options,
            "Go through a server and back, and say what works.",
        ),
    )

    def postOptions(self) -> None:
        """
        Want a command.
        """
        if self.subCommand is None:
            raise usage.UsageError("a command is missing")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """
    Run the command, and exit.

    @param arguments: those behind the command's name; None for this process's own.
    """
    options = Options()
    try:
        options.parseOptions(sys.argv[1:] if arguments is None else [*arguments])
    except usage.UsageError as e:
        print("\n".join(_refusal(options, e)), file=sys.stderr)
        sys.exit(USAGE)
    sys.exit(RUN[options.subCommand or ""](options.subOptions))


def _refusal(options: usage.Options, error: usage.UsageError) -> Iterator[str]:
    words = ["tunnelkit"]
    while options.subCommand is not None:
        words.append(options.subCommand)
        options = options.subOptions
    command = " ".join(words)
    if hasattr(options, "subCommands"):
        yield str(options)
    else:
        yield f"{command} --help shows what can be given."
    yield f"{command}: {error}"


def serve(make: Callable[[Any], IService]) -> Callable[[Any], int]:
    """
    Make a command of a C{twistd} plugin.

    @param make: makes its service.
    @return: takes its options and runs until the service ends.
    """

    def run(options: Any) -> int:
        service = make(options)
        globalLogBeginner.beginLoggingTo(
            [textFileLogObserver(sys.stdout)], redirectStandardIO=False
        )
        service.privilegedStartService()
        service.startService()
        reactor = theReactor()
        reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
        reactor.run()
        return 0

    return run


RUN: Final[Mapping[str, Callable[[Any], int]]] = {
    "server": serve(server.makeService),
    "client": serve(client.makeService),
    "portal": serve(portal.makeService),
    "share": serve(share.makeService),
    "forward": serve(forward.makeService),
    "token": tokens.run,
    "check": check.run,
}


if __name__ == "__main__":
    main()
