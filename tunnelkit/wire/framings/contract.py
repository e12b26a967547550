"""
What a framing is, which cuts requests and replies out of streams, to C{tunnelshare},
which takes whole requests of many clients to a target one by one, and each reply to
who asked.

A framing has no sockets, no clock and no reactor.  It makes two kinds of decoders:
L{Requests}, one for each connection of a client, and L{Replies}, one for each
connection to the target.  Both are fed bytes, which may be cut anywhere, and are asked
for events until there is none (C{None}).  An event is asked for when there is a use for
it, which may be much later: what was fed is kept until then.

To write one: see L{tunnelkit.wire.framings.lines}; C{docs/sharing.rst} has the walk.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Protocol, TypeAlias


class Trouble(Enum):
    """
    Why a request has no reply of the target's.
    """

    DOWN = auto()
    """The target could not be connected to as long as the request could wait."""
    BUSY = auto()
    """Too many requests wait, or this one has waited too long for its turn."""
    LATE = auto()
    """The target took the request and was silent for too long."""
    SLOW = auto()
    """The client itself has not ended a request in time."""
    BROKEN = auto()
    """The target's connection ended, or its bytes were no reply."""
    STOPPING = auto()
    """We are stopping."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    A request that goes to the target: whole, or its first part.

    @ivar data: its bytes.  L{Replies.send} has the last word on what is written.
    @ivar more: whether L{Part}s follow, of which one is the last.  So a request that is
        too long to be collected streams; it has the target for itself until its last
        part is written, and is never repeated once anything was.
    @ivar repeatable: whether it may be sent again where the target ended before the
        first byte of the reply: only if to serve it twice is as good as once.
    @ivar silent: whether the target says nothing to it: it is over once it is written.
    @ivar patient: whether the reply may take for ever, so that no limit counts: for
        commands that wait, on a connection that is its client's own.
    @ivar label: whatever L{Replies} has to know of it, such as the method of a HTTP
        request; nobody else looks at it.
    """

    data: bytes
    more: bool = False
    repeatable: bool = False
    silent: bool = False
    patient: bool = False
    label: Any = None


@dataclass(frozen=True, slots=True)
class Part:
    """
    More of the L{Request} before it.  It is written as it is.

    @ivar last: whether the request ends with it; the data may be empty.
    """

    data: bytes
    last: bool = False


@dataclass(frozen=True, slots=True)
class Local:
    """
    What the client is told without asking the target.  It has its place in the client's
    order: it is said when all requests before it are answered.

    A L{Local} says nothing about a request that comes after it: C{100 Continue} is one,
    given while the request is collected.

    @ivar close: whether the client's connection is closed behind it.  Nothing that the
        client sent later is looked at.
    """

    data: bytes
    close: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    The client's bytes are no requests that can be served: it is told so, in its place
    in the client's order as a L{Local}, and closed; the log says why.  After it the
    decoder is fed no more, and asked no more.

    In the middle of a request that streams it ends the target's connection as well.

    @ivar reason: for the log: a sentence without a stop, such as "the length -001 is no
        number".  No secrets, and of the client's bytes no more than needed.
    @ivar data: for the client; may be empty.
    """

    reason: str
    data: bytes = b""


Asked: TypeAlias = Request | Part | Local | Refusal
"""What a client's bytes come to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """
    Bytes of the reply that is due, for who asked: all, or a part.

    Parts go to the client as they come, and a slow client then slows the target down; a
    short reply is better collected, so that nobody gets half of one.

    @ivar data: what the client gets, which may be other bytes than the target's; may be
        empty, which says no more than that the target is not silent.
    @ivar last: whether the reply ends with it.  Interim replies are not the last.
    @ivar close: with C{last}: whether the client is to be closed behind it.
    @ivar spent: with C{last}: whether the target's connection must not be used again,
        as the target will close it, or as its state is not that of a fresh one.
    """

    data: bytes
    last: bool = True
    close: bool = False
    spent: bool = False


@dataclass(frozen=True, slots=True)
class Stray:
    """
    A reply that nobody waits for and that does no harm: it is dropped and counted, and
    the connection stays.  Where such a thing puts the two out of step, raise instead.

    @ivar reason: for the log.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Pushed:
    """
    What the target says of its own accord to who has the connection for itself; only
    where L{Framing.replies} was told that it is sticky.
    """

    data: bytes


Answered: TypeAlias = Reply | Stray | Pushed
"""What a target's bytes come to."""


class Requests(Protocol):
    """
    The decoder of one client's connection.

    No byte of a client's may make it raise: what cannot be served is a L{Refusal}.
    """

    @property
    def partial(self) -> int:
        """
        How many bytes of a request have come that is not whole, counting those that
        were passed on already; 0 between two requests.  Such a request has a time
        limit, and is logged where the client leaves.  It is looked at when L{next} has
        given C{None}.
        """

    def feed(self, data: bytes) -> None:
        """
        Take bytes of the client's.  It is not called again before L{next} has given
        C{None}, so what a decoder holds is bounded by what it calls a request that is
        too long.
        """

    def ended(self) -> None:
        """
        The client says nothing more, and may still read.  What is half there is
        dropped, and needs no event.
        """

    def next(self) -> Asked | None:
        """
        Give the next event; C{None} where more bytes are needed.
        """


class Replies(Protocol):
    """
    The decoder of one connection to the target, from its first byte.

    It knows which requests were sent and are not answered; replies belong to them in
    that order.
    """

    @property
    def begun(self) -> bool:
        """
        Whether any byte has come of the reply that is due.  A request is not repeated
        then.
        """

    def send(self, request: Request) -> bytes:
        """
        A request goes out now: expect its reply.  With C{silent} there is none.  It is
        never called between a L{feed} and the C{None} of L{next}.

        @return: what is written to the target in place of C{request.data}, which it
            mostly is.  The same request may be sent again later, on another connection.
        """

    def feed(self, data: bytes) -> None:
        """
        Take bytes of the target's; L{next} is asked until it gives C{None}.
        """

    def ended(self) -> None:
        """
        The target says nothing more: where a reply ends with the connection, L{next}
        gives its last part.  What is due otherwise is seen to by who has the
        connection.
        """

    def next(self) -> Answered | None:
        """
        Give the next event; C{None} where there is none.

        @raise WireError: the bytes are not the reply that is due, or nothing is due:
            the connection is dropped, and who waits for a reply gets what
            L{Framing.trouble} says.  The words are for the log.  It is not used any
            more after that.
        """


class Framing(Protocol):
    """
    A protocol of requests and replies, as one C{--protocol} means it.

    @ivar stateful: whether the target keeps something for each connection that one
        client can change for the next, where C{--sticky} lets it.  A connection that
        was a client's own is then not given to another.
    @ivar ordered: whether targets answer in the order of the requests, so that more
        than one may be under way (C{--pipeline}).
    """

    @property
    def stateful(self) -> bool: ...

    @property
    def ordered(self) -> bool: ...

    def requests(self, sticky: bool) -> Requests:
        """
        Make the decoder for a client's connection.

        @param sticky: whether the client will have a connection to the target for
            itself.  Without it, refuse by name what needs that.
        """

    def replies(self, sticky: bool) -> Replies:
        """
        Make the decoder for a connection to the target.

        @param sticky: whether it is one client's own.
        """

    def trouble(self, trouble: Trouble, request: Request | None) -> Local:
        """
        Say what a client is told in place of a reply, of which it has no byte yet.

        @param request: the request; C{None} where there is none, as for a client that
            is told to go before it has asked.
        @return: often nothing but a close.
        """
