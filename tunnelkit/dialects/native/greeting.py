# -*- test-case-name: tests.dialects.native.test_greeting -*-
"""
Greeting: a connection of the native protocol that has not said yet what it is for.

Its first message tells a control channel from a work connection.
"""

from __future__ import annotations

from twisted.python.failure import Failure

from tunnelkit.control.login.proofs import sameProof, workProof
from tunnelkit.control.session import Session
from tunnelkit.dialects.doorway import Guest
from tunnelkit.dialects.house import House
from tunnelkit.dialects.native.channel import ControlChannel
from tunnelkit.relay.connection import Connection, Holder
from tunnelkit.wire import codes
from tunnelkit.wire.native.codec import fromClient, said
from tunnelkit.wire.native.frames import Frame, FrameDecoder, Message, WireError
from tunnelkit.wire.native.login import VERSION, ClientHello
from tunnelkit.wire.native.messages import Refused, Work


class Greeting(Holder):
    """
    Waits for the first message.
    """

    def __init__(self, house: House, guest: Guest) -> None:
        self._house = house
        self._guest = guest
        self._decoder = FrameDecoder()
        self._over = False

    def held(self, connection: Connection) -> None:
        """
        Give the client its time to log in.
        """
        super().held(connection)
        self._guest.due(connection, "it did not log in in time")

    def dataReceived(self, data: bytes) -> None:
        """
        Look for the first message; what comes behind it is for the next holder.
        """
        if self._over:
            return
        try:
            frame = next(self._decoder.feed(data), None)
            if frame is not None:
                self._over = True
                self._first(frame)
        except WireError as e:
            self._over = True
            self._refuse(codes.PROTOCOL, str(e))

    def connectionLost(self, reason: Failure) -> None:
        """
        It is gone.
        """
        self._guest.leave()

    def _first(self, frame: Frame) -> None:
        message = fromClient(frame) if isinstance(frame, Message) else None
        match message:
            case ClientHello():
                self._hello(message)
            case Work():
                self._work(message)
            case _:
                raise WireError("neither hello nor work came first")

    def _hello(self, hello: ClientHello) -> None:
        if VERSION not in hello.versions:
            self._refuse(
                codes.VERSION,
                f"this server speaks version {VERSION} of the protocol",
                (VERSION,),
            )
            return
        channel = ControlChannel(self._house, self._guest, hello)
        self.connection.hold(channel)
        channel.dataReceived(self._decoder.rest())

    def _work(self, work: Work) -> None:
        """
        Lend a work connection to its session.  Nothing is answered: a client knows
        by itself whether it may, and a stranger learns nothing.
        """
        session = self._house.sessions.find(work.session)
        pool = None if session is None else session.works
        if session is None or pool is None:
            self._guest.dismiss(self.connection, "a work connection of no session")
            return
        if not self._proves(work, session):
            self._guest.dismiss(self.connection, "a work connection without proof")
            return
        self._guest.leave()
        counts, rest = self._house.counts, self._decoder.rest()
        end = self._house.relay.borrow(self.connection, rest, pool, client=False)
        counts["work_connections"] += 1
        if not pool.add(end):
            counts["work_connections_refused"] += 1

    def _proves(self, work: Work, session: Session) -> bool:
        shown = self._guest.seen if session.identity.bound else None
        if session.identity.bound and shown is None:
            return False
        proof = workProof(
            session.key, work.serial, shown.certificate if shown else None
        )
        return sameProof(proof, work.proof) and session.takes(work.serial)

    def _refuse(self, code: str, reason: str, versions: tuple[int, ...] = ()) -> None:
        refused = Refused(code, reason, versions=versions)
        self.connection.transport.write(said(refused))
        self._guest.dismiss(self.connection, reason)
