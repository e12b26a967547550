"""
Knock, a toy: ``serve SECRET PORT`` has a port published.  For each visitor the client
hears ``visitor ID``, and connects anew with ``carry SECRET ID``: his bytes follow.
"""

from __future__ import annotations

from hmac import compare_digest

from twisted.internet.defer import Deferred, succeed

from tunnelkit.control.session import Identity, Refusal
from tunnelkit.dialects.exchanges import Exchanges, Visitors
from tunnelkit.relay.connection import Holder
from tunnelkit.wire.messages import Open
from tunnelkit.wire.sniff import exactly


class Knock:
    name, plain = "knock", True
    places = (exactly(b"serve "), exactly(b"carry "))

    def __init__(self, house, secret):
        self.house, self.secret = house, secret.encode()
        self.exchanges = Exchanges(house)

    def greet(self, guest):
        return Knocking(self, guest)


class Knocking(Holder):
    """One connection: first a guest, then what its first line says."""

    def __init__(self, knock, guest):
        self.knock, self.guest = knock, guest
        self.said, self.session, self.over = b"", None, False

    def held(self, connection):
        super().held(connection)
        self.guest.due(connection, "it did not say its line in time")

    def dataReceived(self, data):
        self.said += data
        line, end, rest = self.said.partition(b"\n")
        word, secret, what = [*line.split(b" "), b"", b""][:3]
        if self.over or (not end and len(line) < 200):
            return
        self.over, house = True, self.knock.house
        if not compare_digest(secret, self.knock.secret):
            house.turnAway(self.guest, self.connection, "knock", "wrong secret")
        elif word == b"serve" and what.isdigit():
            self.serve(int(what[:6]))
        elif not self.knock.exchanges.arrived(
            what.decode(errors="replace"), self.guest, self.connection, rest
        ):
            self.guest.dismiss(self.connection, "nobody waits for it")

    def serve(self, port):
        house, host = self.knock.house, self.guest.host
        visitors = Visitors(self.knock.exchanges, house, host, False, self.ask)
        who = Identity(
            user="knock",
            client=host,
            instance=house.nonce(),
            bound=False,
            program="knock",
            peer=self.guest.peer,
            host="localhost",
        )
        try:
            self.session = house.sessions.admit(who, self, visitors)
        except Refusal as e:
            self.say(e.reason)
            return
        opening = house.published.open(self.session, Open(1, "knock", "tcp", port))
        Deferred.fromCoroutine(opening).addCallbacks(self.opened, self.refused)

    def opened(self, tunnel):
        self.guest.leave()
        self.say(f"open {tunnel.address}")

    def refused(self, failure):
        self.say(f"refused {failure.getErrorMessage()}")
        self.session.end("", "its port was refused")

    def ask(self, id):
        self.say(f"visitor {id}")

    def say(self, line):
        self.connection.transport.write(line.encode() + b"\n")

    def connectionLost(self, reason):
        if self.session is not None:
            self.session.end("lost", "its connection is gone")
        self.guest.leave()

    # What the session says.  Of most of it this protocol knows nothing.

    def want(self, count):
        pass

    def drain(self, seconds):
        pass

    def vouch(self, hashes):
        return succeed(None)

    def ping(self, at):
        self.session.heartbeat.answered(at)  # it has no way to ask

    def leave(self, code, reason, retry):
        self.guest.close(self.connection)
