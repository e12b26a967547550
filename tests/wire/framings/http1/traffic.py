"""
Messages of HTTP/1.1, for the tests of that framing.
"""

from __future__ import annotations

import h11

from tests.wire.framings.decoding import answered, asked
from tunnelkit.wire.framings.contract import Answered, Asked, Part, Refusal, Request
from tunnelkit.wire.framings.http1.framing import makeHTTP1
from tunnelkit.wire.framings.http1.heads import Asker


def message(*lines: bytes, body: bytes = b"") -> bytes:
    """
    Make a message.
    """
    return b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def events(*pieces: bytes, **options: str) -> list[Asked]:
    """
    Give what a client's bytes come to.
    """
    return asked(makeHTTP1([], options).requests(False), *pieces)


def onlyRequest(data: bytes, **options: str) -> Request:
    """
    Give the one request that bytes come to.
    """
    (found,) = events(data, **options)
    assert isinstance(found, Request), found
    return found


def refusal(data: bytes, **options: str) -> tuple[bytes, str]:
    """
    Give the first line of what a client is told whose bytes are refused, and the reason
    in the log.
    """
    *_, found = events(data, **options)
    assert isinstance(found, Refusal), found
    head, _, body = found.data.partition(b"\r\n\r\n")
    assert body == f"tunnelshare: {found.reason}\n".encode(), found.data
    assert b"Connection: close" in head.split(b"\r\n"), head
    return head.split(b"\r\n")[0], found.reason


def told(
    *pieces: bytes, asker: Asker | None = None, end: bool = False
) -> list[Answered]:
    """
    Give what a target's bytes come to, as the reply to one request.
    """
    decoder = makeHTTP1([], {}).replies(False)
    decoder.send(Request(data=b"", label=asker or Asker()))
    return answered(decoder, *pieces, end=end)


def written(found: list[Asked]) -> bytes:
    """
    Give the bytes that the target gets of requests.
    """
    return b"".join(e.data for e in found if isinstance(e, Request | Part))


class Parsed:
    """
    What another parser than ours makes of a message.

    @ivar start: method and target, or status.
    @ivar fields: names as they were written, and values.
    """

    def __init__(self) -> None:
        self.start: object = None
        self.fields: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.trailers: list[tuple[bytes, bytes]] = []

    def read(self, connection: h11.Connection) -> bool:
        """
        Read one message; False where there is none.
        """
        while True:
            event = connection.next_event()
            match event:
                case h11.Request():
                    self.start = event.method, event.target
                    self.fields = event.headers.raw_items()
                case h11.Response():
                    self.start = event.status_code
                    self.fields = event.headers.raw_items()
                case h11.InformationalResponse():
                    pass
                case h11.Data():
                    self.body += bytes(event.data)
                case h11.EndOfMessage():
                    self.trailers = event.headers.raw_items()
                    return True
                case _:
                    return False


def parsedRequests(data: bytes) -> list[Parsed]:
    """
    Read requests with h11.
    """
    connection = h11.Connection(h11.SERVER, 1024 * 1024)
    connection.receive_data(data)
    found = []
    while (parsed := Parsed()).read(connection):
        found.append(parsed)
        connection.send(
            h11.Response(status_code=200, headers=[("content-length", "0")])
        )
        connection.send(h11.EndOfMessage())
        connection.start_next_cycle()
    assert not connection.trailing_data[0], connection.trailing_data
    return found


def parsedReply(data: bytes, method: bytes = b"GET", end: bool = False) -> Parsed:
    """
    Read a reply with h11.
    """
    connection = h11.Connection(h11.CLIENT, 1024 * 1024)
    connection.send(h11.Request(method=method, target=b"/", headers=[("host", "x")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    if end:
        connection.receive_data(b"")
    parsed = Parsed()
    assert parsed.read(connection), data
    assert not connection.trailing_data[0], connection.trailing_data
    return parsed
