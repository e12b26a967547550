# -*- test-case-name: tests.control.leases.test_ports -*-
"""
Leases: who owns a public port, while its session lives and for a day after.

A lease belongs to a user for good until it expires, also where that user is revoked
meanwhile: a new token for the same name finds its ports, and no other user gets
visitors that look for this one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final, TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from tunnelkit.control.leases.claims import Claim, Contested, Denied, Index
from tunnelkit.state.lease import ILeaseStore, Lease
from tunnelkit.state.store import WriteBehind
from tunnelkit.wire import codes
from tunnelkit.wire.ports import PortSet

_PICKED: Final = (20000, 29999)
"""Where picked ports come from: outside of what systems use for outgoing
connections."""
_ENOUGH: Final = 100
"""How many of those must be allowed, so that the range is kept to."""
_THROWS: Final = 4
"""How often to pick blindly before all free ports are listed, which takes some
milliseconds where there are thousands of leases."""

_Tunnel: TypeAlias = tuple[str, str, str]
"""User, client and tunnel: by these a lease is remembered."""


class Leases:
    """
    The leases of one space of ports, kept in memory and written behind.

    A lease is live from L{claim} until its holder gives it back with L{release} or
    L{cancel}, and unused after that.
    """

    def __init__(
        self,
        store: ILeaseStore,
        allowed: PortSet,
        *,
        clock: IReactorTime,
        now: Callable[[], float],
        choose: Callable[[int], int],
        space: str = "tcp",
        lasting: float = 24 * 3600,
        unused: int = 100,
        picked: PortSet | None = None,
    ) -> None:
        """
        @param allowed: the ports that clients may have.
        @param picked: those of them that are picked from; None for the usual ones.
        @param clock: tells when a failed write is tried again.
        @param now: gives the time, in seconds since 1970.
        @param choose: gives a random number below its argument.
        @param space: which of the store's leases these are.
        @param lasting: how long an unused lease is kept, in seconds.
        @param unused: the most unused leases of a user; the oldest leaves first.
            Where a server stopped with more live ones, that many are kept, so that
            its clients find their ports again.
        """
        self._store = store
        self._allowed = allowed
        usual = allowed.within(*_PICKED)
        self._pool = picked or (usual if len(usual) >= _ENOUGH else allowed)
        self._now = now
        self._choose = choose
        self._space = space
        self._lasting = lasting
        self._most = unused
        self._behind = WriteBehind(store, clock)
        self._leases: dict[int, Lease] = {}
        self._claims: dict[int, Claim] = {}
        self._remembered: Index[_Tunnel] = Index()
        self._unused: Index[str] = Index()
        self._loaded: Counter[str] = Counter()

    @property
    def trouble(self) -> str | None:
        """
        Why leases are not being written, in a sentence, or None.
        """
        return self._behind.trouble

    def load(self) -> None:
        """
        Read the store; called once, before anything else.

        @raise OSError: it cannot be read; the text names it and says what to do.
        """
        now = self._now()
        stored = [lease for lease in self._store.load() if lease.space == self._space]
        self._loaded.update(lease.user for lease in stored)
        for lease in sorted(stored, key=lambda lease: lease.used):
            # A clock that was ahead once must not make leases last for ever.
            self._put(replace(lease, used=min(lease.used, now)))
            self._unused.add(lease.user, lease.port)
        self._sweep()
        self._behind.flush()

    def claim(
        self,
        user: str,
        client: str,
        tunnel: str,
        port: int,
        holder: object,
        lasting: bool = True,
        avoid: Collection[int] = (),
    ) -> Lease:
        """
        Make a lease live.

        Where its port then cannot be listened on, L{cancel} it and claim again with
        that port in C{avoid}: with port 0 that gives another one.

        @param port: the port asked for, or 0: the one that this tunnel had before,
            else a free one picked at random, else the oldest unused one of this user.
        @param holder: who holds it from now on, such as a session; told from others
            by identity.
        @param lasting: whether the lease outlives its holder.
        @param avoid: ports that other programs on this machine use.
        @raise Denied: it is not to be had.
        @raise Contested: another live holder of this user has it.
        """
        if port:
            self._demand(user, port, avoid)
        else:
            port = self._own((user, client, tunnel), avoid) or self._pick(user, avoid)
        self._contest(port, holder)
        before = self._leases.get(port)
        lease = Lease(self._space, port, user, client, tunnel, self._now())
        self._put(lease)
        self._claims[port] = Claim(holder, lasting, before)
        if lasting:
            self._behind.keep(lease)
            self._behind.flush()
        return lease

    def release(self, lease: Lease, holder: object) -> None:
        """
        Give back a lease whose tunnel has ended: it stays, unused.  One that does not
        last leaves all as it was before the claim.

        Nothing happens where C{holder} does not hold it, or no more.
        """
        claim = self._end(lease.port, holder)
        if claim is None:
            return
        if claim.lasting:
            self._rest(replace(self._leases[lease.port], used=self._now()))
        else:
            self._restore(lease.port, claim.before)
        self._behind.flush()

    def cancel(self, lease: Lease, holder: object) -> None:
        """
        Take back a claim that came to nothing: all is as it was before.

        Nothing happens where C{holder} does not hold it, or no more.
        """
        claim = self._end(lease.port, holder)
        if claim is not None:
            self._restore(lease.port, claim.before)
            self._behind.flush()

    def touch(self) -> None:
        """
        Note that live leases are still used, and drop those that have expired; called
        about once a minute, so that after a crash the store is right to that much.
        """
        now = self._now()
        for port, claim in self._claims.items():
            self._leases[port] = lease = replace(self._leases[port], used=now)
            if claim.lasting:
                self._behind.keep(lease)
        self._sweep()
        self._behind.flush()

    def close(self) -> Deferred[None]:
        """
        Write what is not written yet and let go of the store.

        Called before the sessions of a server that stops are ended: leases that are
        live now stay as they are, however many, and what happens to them later is
        not written any more.  Closing again does nothing.
        """
        self.touch()
        return self._behind.close()

    def _demand(self, user: str, port: int, avoid: Collection[int]) -> None:
        """
        Check that a user may have a port, who asked for that one.
        """
        if port not in self._allowed:
            raise Denied(
                codes.PORT_DENIED,
                f"port {port} is not among those that this server gives to clients"
                f" (--ports {self._allowed}): ask for one of these, or for none",
                retry=False,
            )
        if port in avoid:
            raise Denied(
                codes.PORT_TAKEN,
                f"port {port} is in use by another program on the server's machine:"
                " stop that, or ask for another port, or for none",
            )
        lease = self._current(port)
        if lease is not None and lease.user != user:
            raise Denied(
                codes.PORT_LEASED,
                f"port {port} is leased to another user: ask for another port, or for"
                " none",
            )

    def _contest(self, port: int, holder: object) -> None:
        claim = self._claims.get(port)
        if claim is None:
            return
        lease = self._leases[port]
        if claim.holder is holder:
            raise Denied(
                codes.PORT_LIVE,
                f"port {port} is published by tunnel {lease.tunnel} of this client"
                " already: give each tunnel a port of its own",
                retry=False,
            )
        raise Contested(lease, claim.holder)

    def _own(self, tunnel: _Tunnel, avoid: Collection[int]) -> int:
        """
        Give the port that a tunnel had last and can have again, or 0.
        """
        for port in reversed(self._remembered.of(tunnel)):
            usable = port in self._allowed and port not in avoid
            if usable and self._current(port) is not None:
                return port
        return 0

    def _pick(self, user: str, avoid: Collection[int]) -> int:
        for _ in range(_THROWS if self._pool else 0):
            port = self._any(self._pool)
            if port not in avoid and self._current(port) is None:
                return port
        self._sweep()
        free = self._pool.without([*self._leases, *avoid])
        if free:
            return self._any(free)
        usable = self._pool.without(avoid)
        own = [port for port in self._unused.of(user) if port in usable]
        if not own:
            raise Denied(
                codes.PORT_LEASED,
                f"none of the {len(self._pool)} ports that this server picks from"
                f" ({self._pool}) is free: try later, or have --ports widened there",
            )
        return self._oldest(own)

    def _any(self, ports: PortSet) -> int:
        return ports.nth(self._choose(len(ports)))

    def _oldest(self, ports: Collection[int]) -> int:
        return min(ports, key=lambda port: self._leases[port].used)

    def _current(self, port: int) -> Lease | None:
        """
        Give the lease of a port, which is dropped here where it has expired.
        """
        if self._expired(port):
            self._drop(port)
        return self._leases.get(port)

    def _expired(self, port: int) -> bool:
        lease = self._leases.get(port)
        if lease is None or port in self._claims:
            return False
        return lease.used + self._lasting <= self._now()

    def _sweep(self) -> None:
        for port in list(filter(self._expired, self._leases)):
            self._drop(port)

    def _end(self, port: int, holder: object) -> Claim | None:
        claim = self._claims.get(port)
        if claim is None or claim.holder is not holder:
            return None
        return self._claims.pop(port)

    def _restore(self, port: int, before: Lease | None) -> None:
        if before is None:
            self._drop(port)
        else:
            self._rest(before)

    def _rest(self, lease: Lease) -> None:
        """
        Make a lease unused; where that is one too many of this user, the oldest goes.
        """
        self._put(lease)
        self._unused.add(lease.user, lease.port)
        self._behind.keep(lease)
        unused = self._unused.of(lease.user)
        if len(unused) > max(self._most, self._loaded[lease.user]):
            self._drop(self._oldest(unused))

    def _put(self, lease: Lease) -> None:
        self._remove(lease.port)
        self._leases[lease.port] = lease
        self._remembered.add(_tunnelOf(lease), lease.port)

    def _drop(self, port: int) -> None:
        self._remove(port)
        self._behind.drop(self._space, port)

    def _remove(self, port: int) -> None:
        lease = self._leases.pop(port, None)
        if lease is not None:
            self._remembered.discard(_tunnelOf(lease), port)
            self._unused.discard(lease.user, port)


def _tunnelOf(lease: Lease) -> _Tunnel:
    return lease.user, lease.client, lease.tunnel
