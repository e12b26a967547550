"""
Knock, a toy: ``serve SECRET PORT`` has a port published.  For each visitor the client
hears ``visitor ID``, and connects anew with ``carry SECRET ID``: his bytes follow.
"""

from hmac import compare_digest

from twisted.internet.defer import Deferred

from tunnelkit.control.wordless import Wordless
from tunnelkit.dialects.exchanges import Exchanges, Visitors
from tunnelkit.relay.connection import Holder
from tunnelkit.wire.native.messages import Open
from tunnelkit.wire.sniff import exactly


class Knock:
    name, plain, places = "knock", True, (exactly(b"serve "), exactly(b"carry "))

    def __init__(self, house, secret):
        self.house, self.secret = house, secret.encode()
        self.exchanges = Exchanges(house)

    def greet(self, guest):
        return Knocking(self, guest)


class Knocking(Wordless, Holder):
    """One connection: first a guest, then what its first line says."""

    def __init__(self, knock, guest):
        self.knock, self.house, self.guest = knock, knock.house, guest
        self.said, self.over, self.session = b"", False, None

    def held(self, connection):
        super().held(connection)
        self.guest.due(connection, "it did not say its line in time")

    def dataReceived(self, data):
        if self.over:
            return  # what nobody wants is not kept
        self.said += data
        line, end, rest = self.said.partition(b"\n")
        self.over = bool(end) or len(line) > 200
        if self.over:
            self.understand(*[*line.split(b" "), b"", b""][:3], rest)

    def understand(self, word, secret, what, rest):
        guest, line, id = self.guest, self.connection, what.decode(errors="replace")
        if not compare_digest(secret, self.knock.secret):
            self.house.turnAway(guest, line, "knock", "wrong secret")
        elif word == b"serve" and what.isdigit():
            Deferred.fromCoroutine(self.serve(int(id[:6]))).addErrback(self.refuse)
        elif not self.knock.exchanges.arrived(id, guest, line, rest):
            guest.dismiss(line, "nobody waits for it")

    async def serve(self, port):
        who = self.house.identity("knock", self.guest, self.connection, "knock")
        waiting = self.knock.exchanges, self.house, self.guest.host, False
        ways = Visitors(*waiting, lambda id: self.say(f"visitor {id}"))
        self.session = self.house.sessions.admit(who, self, ways)
        wanted = Open(1, "knock", "tcp", port)
        tunnel = await self.house.published.open(self.session, wanted)
        self.guest.leave()
        self.say(f"open {tunnel.address}")

    def refuse(self, failure):
        self.say(f"refused {failure.getErrorMessage()}")
        self.guest.dismiss(self.connection, failure.getErrorMessage())

    def say(self, line):
        self.connection.transport.write(line.encode() + b"\n")

    def connectionLost(self, reason):
        if self.session is not None:
            self.session.end("lost", "its connection is gone")
        self.guest.leave()

    # What the session says that this protocol has words for.

    def ping(self, at):
        self.session.heartbeat.answered(at)  # it has no way to ask

    def leave(self, code, reason, retry):
        self.guest.close(self.connection)
