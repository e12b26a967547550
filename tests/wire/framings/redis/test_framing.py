"""
Tests of L{tunnelkit.wire.framings.redis.framing}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.wire.framings.decoding import asked
from tunnelkit.wire.framings.contract import Request, Trouble
from tunnelkit.wire.framings.redis.asking import LONGEST, array
from tunnelkit.wire.framings.redis.framing import MOST, makeRedis


class TroubleTests(SynchronousTestCase):
    """
    What a client hears where redis does not answer.
    """

    def test_shared(self) -> None:
        """
        It is an error, after which the connection goes on.
        """
        redis = makeRedis([], {})
        (request,) = asked(redis.requests(False), array([b"GET", b"a"]))
        assert isinstance(request, Request)
        for trouble in Trouble:
            said = redis.trouble(trouble, request)
            self.assertRegex(said.data, rb"\A-ERR tunnelshare: [a-z ;]+\r\n\Z")
            self.assertEqual(said.close, trouble is Trouble.STOPPING)

    def test_sticky(self) -> None:
        """
        Who has lost his own connection is closed, as what redis knew of him is gone.
        """
        redis = makeRedis([], {})
        (request,) = asked(redis.requests(True), array([b"GET", b"a"]))
        assert isinstance(request, Request)
        self.assertTrue(redis.trouble(Trouble.LATE, request).close)
        self.assertTrue(redis.trouble(Trouble.DOWN, None).close)


class MakeTests(SynchronousTestCase):
    """
    C{--protocol redis}.
    """

    def test_longest(self) -> None:
        """
        C{longest} is what a command may have.
        """
        self.assertEqual(makeRedis([], {}).longest, LONGEST)
        redis = makeRedis([], {"longest": "20"})
        found = asked(redis.requests(False), array([b"GET", b"abc"]))
        self.assertNotIsInstance(found[0], Request)
        for wrong in ("0", "x", str(MOST + 1)):
            with self.assertRaises(ValueError) as caught:
                makeRedis([], {"longest": wrong})
            self.assertIn("longest", str(caught.exception))
        with self.assertRaises(ValueError):
            makeRedis([], {"db": "1"})
