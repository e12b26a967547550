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
    name, plain = "knock", True
    places = (exactly(b"serve "), exactly(b"carry "))

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
        exchanges = self.knock.exchanges
        if not compare_digest(secret, self.knock.secret):
            self.house.turnAway(self.guest, self.connection, "knock", "wrong secret")
        elif word == b"serve" and what.isdigit():
            serving = Deferred.fromCoroutine(self.serve(int(what[:6])))
            serving.addErrback(lambda why: self.refuse(why.getErrorMessage()))
        elif not exchanges.arrived(
            what.decode(errors="replace"), self.guest, self.connection, rest
        ):
            self.guest.dismiss(self.connection, "nobody waits for it")

    async def serve(self, port):
        house, guest = self.house, self.guest
        who = house.identity("knock", guest, self.connection, "knock")
        ways = Visitors(self.knock.exchanges, house, guest.host, False, self.ask)
        self.session = house.sessions.admit(who, self, ways)
        tunnel = await house.published.open(self.session, Open(1, "knock", "tcp", port))
        guest.leave()
        self.say(f"open {tunnel.address}")

    def refuse(self, reason):
        self.say(f"refused {reason}")
        self.guest.dismiss(self.connection, reason)

    def ask(self, id):
        self.say(f"visitor {id}")

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
