"""
What tunnelkit adds to C{twistd}, by name only: every C{twistd --help} imports this
module, and none should pay for the rest.
"""

from __future__ import annotations

from twisted.application.service import ServiceMaker

tunnelServer = ServiceMaker(
    "tunnelkit server",
    "tunnelkit.commands.server",
    "Publish services of clients that have no public address.",
    "tunnelserver",
)

tunnelClient = ServiceMaker(
    "tunnelkit client",
    "tunnelkit.commands.client",
    "Publish local services through a tunnel server.",
    "tunnelclient",
)

tunnelPortal = ServiceMaker(
    "tunnelkit portal",
    "tunnelkit.commands.portal",
    "Carry UDP from many local senders to one far service, through NATs.",
    "tunnelportal",
)

tunnelShare = ServiceMaker(
    "tunnelkit share",
    "tunnelkit.commands.share",
    "Let many clients use a target that takes few connections.",
    "tunnelshare",
)
