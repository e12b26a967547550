# -*- test-case-name: tests.wire.remotedialer.test_websocket -*-
"""
WebSocket (RFC 6455), either side, without the connection: bytes in, pieces of binary
messages out.  C{wsproto} does the work.

No extension and no subprotocol is offered or taken, as remotedialer's programs do.
Pings are answered here, with an empty pong whatever they carry, as those do too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeAlias

from h11 import LocalProtocolError as BadHeader
from wsproto import ConnectionType, WSConnection, events
from wsproto.connection import ConnectionState
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from tunnelkit.wire.native.frames import WireError

NORMAL: Final = 1000
PROTOCOL: Final = 1002
UNACCEPTABLE: Final = 1003
TOO_LONG: Final = 1009
"""Codes of closing (RFC 6455, section 7.4.1)."""

_WORDS: Final = 200
"""How much of a refusal is told, in characters."""
_LIVE: Final = (ConnectionState.OPEN, ConnectionState.LOCAL_CLOSING)

Headers: TypeAlias = Iterable[tuple[bytes, bytes]]


class Violation(WireError):
    """
    The peer broke the protocol of WebSocket, or of the request for one.

    @ivar code: what the WebSocket is to be closed with.
    @ivar status: of HTTP, what a request is to be answered with.
    """

    def __init__(self, text: str, code: int = PROTOCOL, status: int = 400) -> None:
        super().__init__(text)
        self.code = code
        self.status = status


def codeFor(error: WireError) -> int:
    """
    Give the code that a WebSocket is to be closed with for a fault of the peer's.
    """
    code: int = getattr(error, "code", PROTOCOL)
    return code


@dataclass(frozen=True, slots=True)
class Asked:
    """
    A client wants a WebSocket: L{WebSocket.accept} it or L{WebSocket.reject} it.

    @ivar target: path and query.
    @ivar headers: names in small letters; without Host and those about extensions.
    """

    target: str
    headers: tuple[tuple[bytes, bytes], ...]

    def header(self, name: str) -> str:
        """
        Give the value of a header, or the empty text; the first, where there are more.
        """
        wanted = name.lower().encode()
        for each, value in self.headers:
            if each == wanted:
                return value.decode("latin-1")
        return ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """
    The server has opened the WebSocket.
    """


@dataclass(frozen=True, slots=True)
class Rejected:
    """
    The server has not.

    @ivar status: of HTTP.
    @ivar text: what it said, as far as that came with it.
    """

    status: int
    text: str


@dataclass(frozen=True, slots=True)
class Piece:
    """
    Bytes of a binary message.

    @ivar last: whether the message ends with them.
    """

    data: bytes
    last: bool


@dataclass(frozen=True, slots=True)
class Pong:
    """
    The peer has answered a L{WebSocket.ping}, or says on its own that it lives.
    """


@dataclass(frozen=True, slots=True)
class Closed:
    """
    The peer closes the WebSocket; it has been answered, and nothing more is said.
    """

    code: int
    reason: str


Event: TypeAlias = Asked | Accepted | Rejected | Piece | Pong | Closed


class WebSocket:
    """
    One side of a WebSocket; make it by L{client}, L{server} or L{asked}.
    """

    def __init__(self, wire: WSConnection, write: Callable[[bytes], object]) -> None:
        self._wire = wire
        self._write = write
        self._tail = b""
        self._dead = False

    @classmethod
    def client(
        cls,
        write: Callable[[bytes], object],
        host: str,
        target: str,
        headers: Headers = (),
    ) -> WebSocket:
        """
        Ask a server for a WebSocket; L{Accepted} or L{Rejected} follows.

        @param write: sends bytes to the peer.
        @param host: with its port, for the header Host.
        @param target: path and query.
        @param headers: that go with the request.
        @raise ValueError: they, host or target cannot stand in a request.
        """
        self = cls(WSConnection(ConnectionType.CLIENT), write)
        request = events.Request(host, target, extra_headers=list(headers))
        try:
            self._write(self._wire.send(request))
        except (BadHeader, UnicodeError) as e:
            raise ValueError(f"{e}") from None
        return self

    @classmethod
    def server(cls, write: Callable[[bytes], object]) -> WebSocket:
        """
        Wait for a client's request, which comes as L{Asked}.

        @param write: sends bytes to the peer.
        """
        return cls(WSConnection(ConnectionType.SERVER), write)

    @classmethod
    def asked(
        cls, write: Callable[[bytes], object], target: str, headers: Headers
    ) -> WebSocket:
        """
        Take a request that somebody else has read; L{accept} it or forget it.

        @raise Violation: it does not ask for a WebSocket.
        """
        self = cls.server(write)
        try:
            self._wire.initiate_upgrade_connection(list(headers), target)
        except RemoteProtocolError as e:
            raise self._refused(e) from None
        except (BadHeader, UnicodeError) as e:
            raise Violation(f"a request that is none: {e}") from None
        list(self._wire.events())  # the request, which the caller knows
        return self

    @property
    def isOpen(self) -> bool:
        """
        Whether messages can be sent.
        """
        return self._wire.state is ConnectionState.OPEN and not self._dead

    def accept(self, headers: Headers = ()) -> None:
        """
        Open the WebSocket that was asked for.

        @param headers: that go with the answer.
        """
        answer = events.AcceptConnection(extra_headers=list(headers))
        self._write(self._wire.send(answer))

    def reject(self, status: int, text: str, headers: Headers = ()) -> None:
        """
        Refuse the WebSocket that was asked for; the connection is to be closed.

        @param status: of HTTP.
        @param text: for who reads the answer.
        @param headers: that go with the answer.
        """
        body = text.encode()
        about = [
            (b"Content-Length", str(len(body)).encode()),
            (b"Content-Type", b"text/plain; charset=utf-8"),
            (b"Connection", b"close"),
        ]
        refusal = events.RejectConnection(status, [*headers, *about], has_body=True)
        self._write(self._wire.send(refusal) + self._wire.send(events.RejectData(body)))
        self._dead = True

    def receive(self, data: bytes) -> Iterator[Event]:
        """
        Take the next bytes of the connection.

        @return: what they mean, made as it is asked for.  Ask for all of it, or close
            the connection.
        @raise Violation: they break the protocol.  A server's answer to a bad request
            has been sent then; else call L{close} with the code.
        """
        if self._dead or not data:  # no bytes would be taken for the end
            return iter(())
        connecting = self._wire.state is ConnectionState.CONNECTING
        if connecting and not self._wire.client:
            self._checkEarly(data)
        try:
            self._wire.receive_data(data)
        except RemoteProtocolError as e:
            raise self._broken(e) from None
        except UnicodeError as e:
            raise self._over(f"a header that is not ASCII: {e}") from None
        return self._events()

    def send(self, message: bytes) -> None:
        """
        Send a binary message; nothing, where the WebSocket is not open any more.
        """
        self._say(events.BytesMessage(message))

    def ping(self) -> None:
        """
        Ask whether the peer lives; any peer answers, and a L{Pong} comes of it.
        """
        self._say(events.Ping())

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """
        Close the WebSocket; the connection is to be closed when L{Closed} comes, or
        soon.  Does nothing where it is closed.

        @param reason: in words, cut to 123 bytes.
        """
        self._say(events.CloseConnection(code, reason or None))

    def _say(self, event: events.Event) -> None:
        if self.isOpen:
            self._write(self._wire.send(event))

    def _checkEarly(self, data: bytes) -> None:
        # What comes before the answer to a request would be lost, and has no bound.
        if self._endsHere():
            raise self._over("bytes before the WebSocket was open")
        self._tail = (self._tail + data)[-4:]

    def _endsHere(self) -> bool:
        return self._tail.replace(b"\r", b"").endswith(b"\n\n")

    def _events(self) -> Iterator[Event]:
        refused: tuple[int, bytes] | None = None
        for event in self._wire.events():
            match event:
                case events.BytesMessage(data, message_finished=last):
                    yield Piece(bytes(data), last)
                case events.TextMessage():
                    raise Violation(
                        "a text message, where all are binary", UNACCEPTABLE
                    )
                case events.Ping():
                    self._say(events.Pong())
                case events.Pong():
                    yield Pong()
                case events.CloseConnection(code, reason):
                    yield self._closed(code, reason or "")
                    return
                case events.Request(target=target, extra_headers=headers):
                    if not self._endsHere():
                        raise self._over("bytes before the WebSocket was open")
                    yield Asked(target, tuple(headers))
                case events.AcceptConnection():
                    yield Accepted()
                case events.RejectConnection(status):
                    refused = status, b""
                case events.RejectData(data) if refused:
                    refused = refused[0], refused[1] + data
        if refused:
            self._dead = True
            yield Rejected(refused[0], refused[1].decode(errors="replace")[:_WORDS])

    def _closed(self, code: int, reason: str) -> Closed:
        # wsproto tells of a fault as if the peer had closed; but then it goes on.
        if self._wire.state in _LIVE:
            raise Violation(f"no WebSocket: {reason}", int(code))
        if self._wire.state is ConnectionState.REMOTE_CLOSING:
            self._write(self._wire.send(events.CloseConnection(code)))
        self._dead = True
        return Closed(int(code), reason)

    def _broken(self, error: RemoteProtocolError) -> Violation:
        hint = error.event_hint
        if not self._wire.client and hint is not None:
            # What is not even HTTP is not answered.
            with suppress(LocalProtocolError, BadHeader):
                self._write(self._wire.send(hint))
        self._dead = True
        return self._refused(error)

    def _refused(self, error: RemoteProtocolError) -> Violation:
        hint = error.event_hint
        status = hint.status_code if isinstance(hint, events.RejectConnection) else 400
        return Violation(f"no request for a WebSocket: {error}", status=status)

    def _over(self, text: str) -> Violation:
        self._dead = True
        return Violation(text)
