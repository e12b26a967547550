"""
Tests of servers and clients on a reactor that is not the default of Linux: the
portable path serves there, and visitors notice nothing.
"""

from __future__ import annotations

from tests.functional import test_admin, test_cuts, test_visitors
from tests.stage.case import FunctionalCase
from tests.stage.services import halving, resetting
from tests.stage.sockets import Ending, noise, sha256


class PollTests(FunctionalCase):
    """
    C{twistd --reactor=poll}.
    """

    reactor = "poll"

    async def test_bothWays(self) -> None:
        """
        What a visitor sends comes back to its last byte, behind his end.
        """
        service = self.service()
        _, client = self.pair(service.tunnel)
        data = noise(1_000_000)
        for _ in range(3):
            got = await self.visit(await client.leads(), data)
            self.assertEqual(got.ending, Ending.END)
            self.assertEqual((got.count, got.digest), (len(data), sha256(data)))

    async def test_endings(self) -> None:
        """
        A service's end is an end, and its reset a reset.
        """
        ending, failing = self.service(halving(b"bye")), self.service(resetting)
        _, client = self.pair(
            f"{ending.tunnel}:name=ending", f"{failing.tunnel}:name=failing"
        )
        got = await self.visit(await client.leads("ending"), b"")
        self.assertEqual((got.ending, got.first), (Ending.END, b"bye"))
        got = await self.visit(await client.leads("failing"), b"question")
        self.assertEqual(got.ending, Ending.RESET)


class PollAdminTests(test_admin.AdminTests):
    """
    What the admin rooms say, there.
    """

    reactor = "poll"


class PollCableTests(test_cuts.CableTests):
    """
    Connections that are cut, there.
    """

    reactor = "poll"


class PollKillTests(test_cuts.TLSKillTests):
    """
    Kills, there.
    """

    reactor = "poll"


class PollPlainKillTests(test_cuts.PlainKillTests):
    """
    Kills over plain TCP, there.
    """

    reactor = "poll"


class PollClientStopTests(test_cuts.PlainClientStopTests):
    """
    A client that is asked to stop, there.
    """

    reactor = "poll"


class PollServerStopTests(test_cuts.PlainServerStopTests):
    """
    A server that is asked to stop, there.
    """

    reactor = "poll"


class PollHalfCloseTests(test_visitors.TLSHalfCloseTests):
    """
    Ends and resets, there.
    """

    reactor = "poll"


class PollPlainHalfCloseTests(test_visitors.PlainHalfCloseTests):
    """
    Ends and resets over plain TCP, there.
    """

    reactor = "poll"


class PollStallTests(test_visitors.StallTests):
    """
    Who is slow, there.
    """

    reactor = "poll"
