"""
A toy protocol whose lines say what they are, for tests of sharing.
"""

from __future__ import annotations

from tunnelkit.wire.framings.contract import (
    Answered,
    Asked,
    Local,
    Part,
    Pushed,
    Refusal,
    Reply,
    Request,
    Stray,
    Trouble,
)
from tunnelkit.wire.native.frames import WireError


class _Lines:
    def __init__(self) -> None:
        self.buffer = b""

    def feed(self, data: bytes) -> None:
        """
        Take bytes.
        """
        self.buffer += data

    def ended(self) -> None:
        """
        Nothing ends with a connection.
        """

    def line(self) -> bytes | None:
        """
        Give the next line.
        """
        line, end, rest = self.buffer.partition(b"\n")
        if not end:
            return None
        self.buffer = rest
        return line + end


class ToyRequests(_Lines):
    """
    The first word of a line says what it is; most are requests that may be repeated.
    """

    streaming = False

    @property
    def partial(self) -> int:
        """
        Half a line, or a request that streams.
        """
        return len(self.buffer) + self.streaming

    def next(self) -> Asked | None:
        """
        Give the next event.
        """
        line = self.line()
        if line is None:
            return None
        word = line.split()[0] if line.split() else b""
        if word == b"bad":
            return Refusal("the line is bad", b"refused\n")
        if self.streaming:
            self.streaming = word != b"end"
            return Part(line, last=not self.streaming)
        match word:
            case b"local":
                return Local(line)
            case b"quit":
                return Local(b"bye\n", close=True)
            case b"stream":
                self.streaming = True
                return Request(data=line, more=True, repeatable=True)
            case b"bug":
                raise RuntimeError("a bug of the toy's")
        return Request(
            data=line,
            repeatable=word != b"write",
            silent=word == b"silent",
            patient=word == b"patient",
            label=word,
        )


class ToyReplies(_Lines):
    """
    The same for replies.
    """

    def __init__(self, sticky: bool) -> None:
        super().__init__()
        self.sticky = sticky
        self.due = 0
        self.part = False

    @property
    def begun(self) -> bool:
        """
        Whether there is half a reply.
        """
        return bool(self.buffer) or self.part

    def send(self, request: Request) -> bytes:
        """
        Put a mark before what is sent, as a framing may.
        """
        self.due += not request.silent
        return b">" + request.data

    def ended(self) -> None:
        """
        A reply that begins with C{rest} ends with the connection.
        """
        if self.buffer.startswith(b"rest"):
            self.buffer += b"\n"

    def next(self) -> Answered | None:
        """
        Give the next event.
        """
        line = self.line()
        if line is None:
            return None
        match line.split()[0]:
            case b"stray":
                return Stray("stray as it says")
            case b"push" if self.sticky:
                return Pushed(line)
            case b"bug":
                raise RuntimeError("a bug of the toy's")
        if not self.due:
            raise WireError("nobody asked")
        self.part = line.startswith(b"part")
        if self.part:
            return Reply(data=line, last=False)
        self.due -= 1
        return Reply(
            data=line,
            close=line.startswith(b"close"),
            spent=line.startswith((b"spent", b"rest")),
        )


class Toy:
    """
    The framing.
    """

    def __init__(self, stateful: bool = False) -> None:
        self.stateful = stateful
        self.ordered = True

    def requests(self, sticky: bool) -> ToyRequests:
        """
        Make the decoder for a client's connection.
        """
        return ToyRequests()

    def replies(self, sticky: bool) -> ToyReplies:
        """
        Make the decoder for a connection to the target.
        """
        return ToyReplies(sticky)

    def trouble(self, trouble: Trouble, request: Request | None) -> Local:
        """
        Say which trouble; a request C{soft} lets its client stay.
        """
        stays = request is not None and request.label == b"soft"
        return Local(trouble.name.encode() + b"\n", close=not stays)
