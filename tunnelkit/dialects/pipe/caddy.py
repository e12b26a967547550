# -*- test-case-name: tests.dialects.pipe.test_caddy -*-
"""
Caddy: names below a domain that lead to forwards, through the API of a Caddy that runs
beside the server and has its certificates.

A forward does not wait for it: what goes wrong there is logged and tried again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.defer import TimeoutError as Late
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.web.http import MULTIPLE_CHOICE, NOT_FOUND, OK

from tunnelkit.control.names import legible
from tunnelkit.control.session import Refusal
from tunnelkit.wire.codes import NAME

URL: Final = "http://127.0.0.1:2019"
"""Where Caddy's API is, where the operator says nothing."""
PATIENCE: Final = 5.0
"""Seconds that a request may take, with its answer."""
AGAIN: Final = (1.0, 60.0)
"""Seconds after which a failed request is made again, at first and at last."""
PARTINGS: Final = 3
"""Tries to take a route away."""

_RANDOM: Final = 7
"""Characters of a name that nobody asked for."""
_ROUTES: Final = "/config/apps/http/servers/pipe/routes"
_SUBJECTS: Final = "/config/apps/tls/automation/policies/0/subjects"
_LONGEST: Final = 64 * 1024
_SHOWN: Final = 200


class CaddyFailed(Exception):
    """
    Caddy did not do what was asked.  The text says why, for the log.
    """


class Caddy:
    """
    Its API.

    @ivar closing: whether the server stops, which waits for one answer at most.
    """

    def __init__(self, url: str, http: Any, clock: IReactorTime) -> None:
        """
        @param http: makes requests, as C{treq} does.
        """
        self.url = url.rstrip("/")
        self.clock = clock
        self.closing = False
        self._http = http

    async def add(self, host: str, port: int) -> None:
        """
        Have a host lead to a port of this machine.

        @raise CaddyFailed: it does not.
        """
        # Of a server that was killed there may be one, and it would be the first.
        await self.remove(host, port)
        route = {
            "@id": f"{host}.{port}",
            "match": [{"host": [host]}],
            "handle": [
                {"handler": "reverse_proxy", "upstreams": [{"dial": f":{port}"}]}
            ],
        }
        await self._call("POST", _ROUTES, route)

    async def certify(self, host: str) -> None:
        """
        Have a certificate for a host.

        @raise CaddyFailed: it has no place for that.
        """
        await self._call("POST", _SUBJECTS, host)

    async def remove(self, host: str, port: int) -> None:
        """
        Have it lead there no more.

        @raise CaddyFailed: that cannot be.
        """
        await self._call("DELETE", f"/id/{host}.{port}", None, NOT_FOUND)

    async def _call(self, method: str, path: str, body: object, *good: int) -> None:
        asking = Deferred.fromCoroutine(self._asked(method, path, body))
        try:
            code, words = await asking.addTimeout(PATIENCE, self.clock)
        except (Late, CancelledError):
            raise CaddyFailed("it does not answer in time") from None
        except Exception as e:
            # HTTP clients raise what they like.
            raise CaddyFailed(_reason(e)) from e
        if not OK <= code < MULTIPLE_CHOICE and code not in good:
            raise CaddyFailed(f"it answers {method} {path} with {code}{words}")

    async def _asked(self, method: str, path: str, body: object) -> tuple[int, str]:
        data = None if body is None else json.dumps(body).encode()
        headers = {} if data is None else {"content-type": "application/json"}
        response = await self._http.request(
            method, self.url + path, data=data, headers=headers
        )
        heard = bytearray()

        def take(data: bytes) -> None:
            if len(heard) + len(data) > _LONGEST:
                raise ValueError("it answers without end")
            heard.extend(data)

        await response.collect(take)
        words = legible(heard.decode(errors="replace").strip(), _SHOWN)
        return response.code, f": {words}" if words else ""


class Route:
    """
    A host that leads to a port, from now on until it is L{removed <remove>}.

    @ivar place: the host, and the port.
    @ivar done: fires when nothing is left of it to do.
    """

    _log = Logger()

    def __init__(
        self,
        caddy: Caddy,
        host: str,
        port: int,
        before: Iterable[Deferred[None]] = (),
    ) -> None:
        """
        @param before: what must be done beforehand.
        """
        self._caddy = caddy
        self._before = [*before]
        self.place = host, port
        self._host = host
        self._port = port
        self._wanted = True
        self._said = ""
        self._pause: Deferred[None] | None = None
        self._asking: Deferred[None] | None = None
        self._waking: IDelayedCall | None = None
        self.done: Deferred[None] = Deferred.fromCoroutine(self._live())
        self.done.addErrback(
            lambda failure: self._log.failure("a bug at {host}", failure, host=host)
        )

    def remove(self) -> None:
        """
        Have it lead there no more.
        """
        self._wanted = False
        if self._asking is not None:
            self._asking.cancel()
        self.hurry()

    def hurry(self) -> None:
        """
        Wait no longer before the next try.
        """
        if self._waking is not None and self._waking.active():
            self._waking.cancel()
        pause, self._pause = self._pause, None
        if pause is not None:
            pause.callback(None)

    async def _live(self) -> None:
        for done in self._before:
            await done
        if not self._wanted:
            return  # nothing was asked of Caddy
        first, last = AGAIN
        wait, there = first, False
        while self._wanted and not there:
            there = await self._tried(self._caddy.add(self._host, self._port))
            if there:
                await self._lead()
            elif self._wanted:
                await self._sleep(wait)
                wait = min(last, 2 * wait)
        while self._wanted:
            await self._sleep(None)
        for _ in range(PARTINGS):
            # One of which no answer came may be there as well.
            if await self._tried(self._caddy.remove(self._host, self._port)):
                break
            if self._caddy.closing:
                break
            await self._sleep(first)

    async def _lead(self) -> None:
        self._said = ""
        self._log.info(
            "https://{host} leads to port {port}, through Caddy",
            host=self._host,
            port=self._port,
        )
        # Without a policy of its own Caddy has certificates for what it serves.
        await self._tried(self._caddy.certify(self._host), "; that may be well")

    async def _tried(
        self, trying: Coroutine[Any, Any, None], then: str = "; trying again"
    ) -> bool:
        self._asking = Deferred.fromCoroutine(trying)
        wanted = self._wanted
        try:
            await self._asking
        except CaddyFailed as e:
            # What was given up because the forward ended is no trouble.
            if str(e) != self._said and wanted == self._wanted:
                self._said = str(e)
                self._log.warn(
                    "Caddy at {url} does not do its part for {host}: {reason}{then}",
                    url=self._caddy.url,
                    host=self._host,
                    reason=str(e),
                    then=then,
                )
            return False
        finally:
            self._asking = None
        return True

    async def _sleep(self, seconds: float | None) -> None:
        self._pause = Deferred()
        if seconds is not None:
            self._waking = self._caddy.clock.callLater(seconds, self.hurry)
        await self._pause


class Subdomains:
    """
    The names below a domain.
    """

    def __init__(self, domain: str, caddy: Caddy, nonce: Callable[[], str]) -> None:
        """
        @param nonce: gives random hexadecimal text.
        """
        self.domain = domain
        self._caddy = caddy
        self._nonce = nonce
        self._taken: set[str] = set()
        self._routes: set[Route] = set()

    def take(self, label: str) -> str:
        """
        Reserve a name.

        @param label: what stands before the domain; empty for one that is made up.
        @return: the whole name.
        @raise Refusal: another forward has it.
        """
        name = f"{label.lower() or self._nonce()[:_RANDOM]}.{self.domain}"
        if name in self._taken:
            raise Refusal(NAME, f"{name} leads to another forward already")
        self._taken.add(name)
        return name

    def lead(self, name: str, port: int) -> Route:
        """
        Have a name lead to a port.
        """
        # Who had the name may still try to take its route away, which is called alike.
        before = [each.done for each in self._routes if each.place == (name, port)]
        route = Route(self._caddy, name, port, before)
        self._routes.add(route)
        route.done.addBoth(lambda _: self._routes.discard(route))
        return route

    def give(self, name: str, route: Route | None) -> None:
        """
        Let others have a name.
        """
        self._taken.discard(name)
        if route is not None:
            route.remove()

    def close(self) -> Deferred[Any]:
        """
        Wait until no name leads anywhere: all forwards have ended.
        """
        self._caddy.closing = True
        routes = [*self._routes]
        for route in routes:
            route.hurry()
        return DeferredList([route.done for route in routes])


def _reason(error: Exception) -> str:
    reasons = getattr(error, "reasons", None)
    if reasons:
        error = reasons[0].value
    if isinstance(error, CancelledError):
        return "it does not answer in time"
    return f"it cannot be asked: {str(error) or type(error).__name__}"
