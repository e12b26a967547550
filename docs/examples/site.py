"""
A web site behind a tunnel.
"""

from twisted.internet.endpoints import serverFromString
from twisted.web.resource import Resource
from twisted.web.server import Site


class Hello(Resource):
    isLeaf = True

    def render_GET(self, request):
        visitor = request.getClientAddress().host
        return f"hello, {visitor}\n".encode()


def publishSite(reactor, where):
    """Publish a web site: WHERE is such as
    tunnel:vps.example.org:tokenFile=default.token:name=site"""
    return serverFromString(reactor, where).listen(Site(Hello()))
