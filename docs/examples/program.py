"""
A server in a program, and endpoints without strings.
"""

from pathlib import Path

from tunnelkit import api


def startServer(reactor, state, listen, told):
    """Have a server in this program, and be told who comes and goes."""
    server = api.makeServer(
        reactor, state, [listen], ports="20000-20999", bind="127.0.0.1", watch=told
    )
    server.startService()
    return server


def publish(reactor, server, tokenFile, told):
    """Listen at a server, and be told what becomes of the tunnel."""
    login = api.login(server, Path(tokenFile), client="example")
    return api.listening(reactor, login, "adder", watch=told)


def dial(reactor, server, tokenFile):
    """Connect to a private tunnel."""
    login = api.login(server, Path(tokenFile), client="visitor")
    return api.dialling(reactor, login, "sum")


def through(server, user, client, target):
    """Connect, in the server's program, to what one of its clients allows:
    TARGET is such as tcp/127.0.0.1:5432"""
    return server.dialers().dialer(api.ClientName(user, client), target)
