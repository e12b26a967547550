"""
Tests for L{tests.bench.machine}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.bench.machine import Machine, cpuModel, haproxyVersion, totalMemory


class MachineTests(SynchronousTestCase):
    """
    Figures say which machine they are of.
    """

    def test_model(self) -> None:
        """
        The CPU has its name, on a PC and on a Raspberry Pi.
        """
        for text, model in (
            (
                "processor\t: 0\nmodel name\t: AMD EPYC 7763\nflags\t: fpu\n",
                "AMD EPYC 7763",
            ),
            ("processor\t: 0\nCPU part\t: 0xd08\nModel\t\t: Raspberry Pi 4\n", "0xd08"),
            ("", "an unknown model"),
        ):
            self.assertEqual(cpuModel(text), model)

    def test_memory(self) -> None:
        """
        The memory is told in GiB.
        """
        self.assertEqual(
            totalMemory("MemTotal:   8388608 kB\nMemFree: 1 kB\n"), "8.0 GiB"
        )
        self.assertEqual(totalMemory(""), "unknown memory")

    def test_haproxy(self) -> None:
        """
        HAProxy's version is known, as its speed depends on it.
        """
        said = "HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/\n"
        self.assertEqual(haproxyVersion(said), "2.6.12")
        self.assertEqual(haproxyVersion("HA-Proxy version 1.8.3 2017/12/30\n"), "1.8.3")
        self.assertEqual(haproxyVersion(""), "of an unknown version")

    def test_told(self) -> None:
        """
        A picture or table has all of that in one sentence.
        """
        machine = Machine(
            *(
                "2026-11-24",
                "a CPU",
                2,
                "8.0 GiB",
                "6.18",
                "3.11.7",
                "OpenSSL 3.0",
                "2.6",
            ),
            0.5,
        )
        for part in ("2026-11-24", "2 cores of a CPU", "Python 3.11.7", "HAProxy 2.6."):
            self.assertIn(part, machine.told())
        self.assertEqual(machine.values()["load"], 0.5)
