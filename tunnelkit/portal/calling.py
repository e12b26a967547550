# -*- test-case-name: tests.portal.test_meeting -*-
"""
Calling the rendezvous: HTTP of which every wait ends, and of whose answers nothing is
believed that need not be.
"""

from __future__ import annotations

import json
from typing import Any, Final

from treq.content import collect
from twisted.internet.defer import CancelledError
from twisted.internet.defer import TimeoutError as Late
from twisted.internet.interfaces import IReactorTime
from twisted.web.http import FORBIDDEN, NOT_FOUND, OK

from tunnelkit.portal.addresses.candidates import Candidates
from tunnelkit.wire.portal.sealed import derived

PATIENCE: Final = 5.0
"""Seconds that a request may take, with its answer."""
LONGEST: Final = 8 * 1024 * 1024
"""What is read of an answer, in bytes."""
_SHOWN: Final = 200
_LATE: Final = "does not answer in time"


class CallFailed(Exception):
    """
    The rendezvous did not do what was asked.  The text says why, for a log.
    """


class Unknown(CallFailed):
    """
    The rendezvous knows no portal of that name.
    """


class Rendezvous:
    """
    The rendezvous, as a portal sees it.
    """

    def __init__(
        self, url: str, http: Any, clock: IReactorTime, secret: bytes | None
    ) -> None:
        """
        @param url: where it is, with a slash at the end.
        @param http: makes requests, as C{treq} does.
        @param secret: what portals share; names are owned by a key made of it.  None
            for names that anybody may have.
        """
        self._url = url
        self._http = http
        self._clock = clock
        self._secret = secret

    async def listed(self, name: str) -> dict[str, str]:
        """
        Give the names that it shows to who looks for one.

        @raise CallFailed: it gives none.
        """
        _, content = await self._call("POST", "", ",", name)
        found = _read(content)
        if not isinstance(found, dict):
            raise CallFailed("the rendezvous answers something else than its list")
        return {str(key): str(value) for key, value in found.items()}

    async def find(self, name: str) -> Candidates:
        """
        Find out where a portal may be.

        @raise Unknown: there is none of that name.
        @raise CallFailed: it cannot be found out.
        """
        listed = await self.listed(name)
        if name not in listed:
            raise Unknown(f"the rendezvous knows no portal {name}")
        try:
            return Candidates.parse(listed[name])
        except ValueError as e:
            raise CallFailed(f"the rendezvous has no address of {name}: {e}") from e

    async def register(self, name: str, where: Candidates) -> None:
        """
        Say where a portal is.

        @raise CallFailed: it is not taken down.
        """
        await self._call("POST", "", f"{name},{where}", name)

    async def withdraw(self, name: str, where: Candidates) -> None:
        """
        Say that a portal is gone from where it was.  One that has come in its place
        stays.

        @raise CallFailed: it is not taken down.
        """
        if self._secret is not None:
            await self._call("DELETE", "", f"{name},{where}", name)
        elif (await self.listed(name)).get(name) == str(where):
            # A name of everybody's is removed wherever it is.
            await self._call("DELETE", "", name, name)

    async def wait(self, name: str, where: Candidates) -> None:
        """
        Ask a portal to open its NAT for this one.

        @raise Unknown: there is none of that name.
        @raise CallFailed: it is not told.
        """
        code, _ = await self._call("POST", name, str(where), name)
        if code == NOT_FOUND:
            raise Unknown(f"the rendezvous knows no portal {name}")

    async def waiting(self, name: str) -> list[Candidates]:
        """
        Give those who wait to be let in, each once.

        @raise CallFailed: that cannot be found out.
        """
        code, content = await self._call("GET", name, "", name)
        # An unknown name has a line of words before its list.
        found = _read(content.rpartition("\n")[2] if code == NOT_FOUND else content)
        if not isinstance(found, list):
            return []
        return [each for each in map(_parsed, found) if each]

    async def _call(
        self, method: str, path: str, body: str, name: str
    ) -> tuple[int, str]:
        # So udptun's programs call what they send, which is text.
        headers = {"content-type": "application/json"} if body else {}
        if self._secret is not None:
            key = derived(self._secret, "rendezvous", name).hex()
            headers["authorization"] = f"Bearer {key}"
        try:
            asked = self._http.request(
                method, self._url + path, data=body.encode(), headers=headers
            )
            response = await asked.addTimeout(PATIENCE, self._clock)
            content = await self._content(response)
        except (CallFailed, CancelledError):
            raise
        except Late:
            raise CallFailed(f"the rendezvous {_LATE}") from None
        except Exception as e:
            # HTTP clients raise what they like.
            raise CallFailed(f"the rendezvous {_reason(e)}") from e
        if response.code not in (OK, NOT_FOUND):
            raise CallFailed(_refusal(response.code, content))
        return response.code, content

    async def _content(self, response: Any) -> str:
        parts: list[bytes] = []

        def take(data: bytes) -> None:
            parts.append(data)
            if sum(map(len, parts)) > LONGEST:
                raise CallFailed("the rendezvous answers without end")

        done = collect(response, take)
        done.addTimeout(PATIENCE, self._clock)
        await done
        return b"".join(parts).decode(errors="replace").rstrip("\n")


def _read(text: str) -> Any:
    try:
        return json.loads(text or "null")
    except (ValueError, RecursionError):
        return None


def _parsed(text: object) -> Candidates | None:
    try:
        return Candidates.parse(str(text))
    except ValueError:
        return None


def _refusal(code: int, content: str) -> str:
    said = "".join(filter(str.isprintable, content))[:_SHOWN]
    if code == FORBIDDEN:
        said = f"{said}; is it the same secret?"
    return f"the rendezvous refuses, with status {code}: {said}"


def _reason(error: Exception) -> str:
    reasons = getattr(error, "reasons", None)
    if reasons:
        error = reasons[0].value
    if isinstance(error, CancelledError):
        return _LATE
    return f"cannot be asked: {str(error) or type(error).__name__}"
