"""
A service for programs behind a private tunnel.
"""

from twisted.internet.endpoints import (
    clientFromString,
    connectProtocol,
    serverFromString,
)
from twisted.internet.protocol import Factory
from twisted.protocols.amp import AMP, Command, Integer


class Sum(Command):
    arguments = ((b"a", Integer()), (b"b", Integer()))
    response = ((b"total", Integer()),)


class Adder(AMP):
    @Sum.responder
    def add(self, a, b):
        return {"total": a + b}


def publishSum(reactor, where):
    """Publish a service for programs: WHERE is such as
    tunnel:vps.example.org:tokenFile=default.token:kind=private:name=sum"""
    return serverFromString(reactor, where).listen(Factory.forProtocol(Adder))


async def askSum(reactor, where, a, b):
    """Ask it: WHERE is such as
    tunnel:vps.example.org:tokenFile=default.token:to=sum"""
    asking = await connectProtocol(clientFromString(reactor, where), AMP())
    answer = await asking.callRemote(Sum, a=a, b=b)
    asking.transport.loseConnection()
    return answer["total"]
