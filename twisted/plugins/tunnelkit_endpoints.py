"""
Endpoint descriptions that begin with C{tunnel:}, by name only: every program that reads
an endpoint description imports this module, and none should pay for the rest.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import (
    IReactorCore,
    IStreamClientEndpoint,
    IStreamClientEndpointStringParserWithReactor,
    IStreamServerEndpoint,
    IStreamServerEndpointStringParser,
)
from twisted.plugin import IPlugin
from zope.interface import implementer


@implementer(
    IPlugin,
    IStreamServerEndpointStringParser,
    IStreamClientEndpointStringParserWithReactor,
)
class _Tunnel:
    """
    C{tunnel:HOST[:PORT]:tokenFile=FILE:name=NAME} to listen, and C{...:to=NAME} to
    connect.
    """

    prefix = "tunnel"

    def parseStreamServer(
        self, reactor: IReactorCore, *args: Any, **kwargs: Any
    ) -> IStreamServerEndpoint:
        """
        Read a description of where to listen.
        """
        from tunnelkit.endpoints.strings import serverEndpoint

        return serverEndpoint(reactor, args, kwargs)

    def parseStreamClient(
        self, reactor: IReactorCore, *args: Any, **kwargs: Any
    ) -> IStreamClientEndpoint:
        """
        Read a description of where to connect.
        """
        from tunnelkit.endpoints.strings import clientEndpoint

        return clientEndpoint(reactor, args, kwargs)


tunnel = _Tunnel()
