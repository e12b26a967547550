"""
Tests for L{tests.bench.loads}.
"""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from tests.bench.loads import Requests, Transfer, readIperf, readWrk
from tests.bench.stage import Broken

WRK = """\
Running 3s test @ http://127.0.0.1:18080/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   306.75us   41.66us   1.57ms   88.73%
    Req/Sec   104.38k     4.44k  110.84k    83.87%
  321873 requests in 3.10s, 51.57MB read
{more}Requests/sec: 103827.17
Transfer/sec:     16.63MB
"""


class WrkTests(SynchronousTestCase):
    """
    What wrk says.
    """

    def test_read(self) -> None:
        """
        The rate and the number of requests are found.
        """
        self.assertEqual(readWrk(WRK.format(more="")), Requests(103_827.17, 321_873, 0))

    def test_failed(self) -> None:
        """
        Requests that failed are counted, whatever they failed of.
        """
        more = (
            "  Socket errors: connect 1, read 2, write 3, timeout 4\n"
            "  Non-2xx or 3xx responses: 5\n"
        )
        self.assertEqual(readWrk(WRK.format(more=more)).failed, 15)

    def test_nothing(self) -> None:
        """
        Who has no figure is told what wrk said in its place.
        """
        error = self.assertRaises(Broken, readWrk, "unable to connect to 127.0.0.1\n")
        self.assertIn("unable to connect", str(error))


class IperfTests(SynchronousTestCase):
    """
    What iperf3 says.
    """

    def test_read(self) -> None:
        """
        What counts is what arrived, not what was sent.
        """
        end = {
            "sum_sent": {"bytes": 900, "bits_per_second": 99.0},
            "sum_received": {"bytes": 800, "bits_per_second": 88.5},
        }
        self.assertEqual(readIperf(json.dumps({"end": end})), Transfer(800, 88.5))

    def test_error(self) -> None:
        """
        Its own words say what was wrong.
        """
        said = json.dumps({"end": {}, "error": "the server is busy running a test"})
        error = self.assertRaises(Broken, readIperf, said)
        self.assertIn("the server is busy", str(error))

    def test_nothing(self) -> None:
        """
        Output that is cut short, or not JSON at all, is no figure.
        """
        for said in ("", "iperf3: out of memory", "[]", '{"end": {}}', '{"end": 5}'):
            self.assertRaises(Broken, readIperf, said)
