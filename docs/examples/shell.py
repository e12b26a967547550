"""
A Python shell for ssh behind a tunnel.
"""

from twisted.conch.manhole import ColoredManhole
from twisted.conch.manhole_ssh import ConchFactory, TerminalRealm
from twisted.conch.ssh.keys import Key
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import Portal
from twisted.internet.endpoints import serverFromString


def publishShell(reactor, where, hostKey, users):
    """Publish a Python shell inside this program, for ssh."""
    realm = TerminalRealm()
    realm.chainedProtocolFactory.protocolFactory = lambda _: ColoredManhole({})
    checker = InMemoryUsernamePasswordDatabaseDontUse(**users)
    factory = ConchFactory(Portal(realm, [checker]))
    key = Key.fromString(hostKey)
    factory.publicKeys = {key.sshType(): key.public()}
    factory.privateKeys = {key.sshType(): key}
    return serverFromString(reactor, where).listen(factory)
