"""
Tests for L{tunnelkit.state.certificates}.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from unittest import skipIf

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from twisted.internet.task import Clock
from twisted.logger import Logger, LogLevel, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.wire.issued import NOW, chainPEM, issued, keyPEM
from tunnelkit.state.certificates import CertificateWatch, readPair
from tunnelkit.wire.certificate import CertificateError, CertificatePair, selfSigned

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


class FilesCase(SynchronousTestCase):
    """
    A certificate and its key in files.
    """

    written = 1_800_000_000

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        self.certificate = folder / "fullchain.pem"
        self.key = folder / "privkey.pem"
        self.first = selfSigned(["one.example.org"], NOW)
        self.second = selfSigned(["two.example.org"], NOW)
        self.write(self.first)

    def write(self, pair: CertificatePair) -> None:
        """
        Write both files.
        """
        self.put(self.certificate, pair.chain)
        self.put(self.key, pair.key)

    def put(self, path: Path, data: bytes) -> None:
        """
        Write a file; each time is some seconds after the last, for the file system.
        """
        path.write_bytes(data)
        self.written += 5
        os.utime(path, (self.written, self.written))


class ReadPairTests(FilesCase):
    """
    A server starts with the files of C{--certificate} and C{--key}, or says what is
    wrong with them.
    """

    def refused(self) -> str:
        """
        Give why the files are refused.
        """
        error = self.assertRaises(
            CertificateError, readPair, self.certificate, self.key
        )
        return str(error)

    def test_read(self) -> None:
        """
        Two files that match are a pair.
        """
        self.assertEqual(readPair(self.certificate, self.key), self.first)

    def test_oneFile(self) -> None:
        """
        One file may hold both.
        """
        self.certificate.write_bytes(self.first.key + self.first.chain)
        pair = readPair(self.certificate, self.certificate)
        self.assertEqual(pair.der, self.first.der)

    def test_missing(self) -> None:
        """
        A missing file is named, and which of the two it is.
        """
        self.key.unlink()
        self.assertIn(f"there is no key file {self.key}:", self.refused())
        self.certificate.unlink()
        self.assertIn(
            f"there is no certificate file {self.certificate}:", self.refused()
        )

    def test_folder(self) -> None:
        """
        A folder in place of a file is named, and what the system says of it.
        """
        self.key.unlink()
        self.key.mkdir()
        self.assertIn(
            f"the key file {self.key} cannot be read (Is a directory)", self.refused()
        )

    @skipIf(ROOT, "root may read everything")
    def test_unreadable(self) -> None:
        """
        A file that may not be read is named, and who must be allowed to.
        """
        self.key.chmod(0)
        reason = self.refused()
        self.assertIn(f"{self.key} cannot be read (Permission denied)", reason)
        self.assertIn("the user who runs the server", reason)

    def test_notPEM(self) -> None:
        """
        Files that are something else are named, and what they should be.
        """
        self.certificate.write_bytes(self.first.der)
        reason = self.refused()
        self.assertIn("the certificate cannot be read: give PEM", reason)
        self.assertIn(f"(certificate {self.certificate}, key {self.key})", reason)

    def test_notMatching(self) -> None:
        """
        A key of another certificate is refused, and both files are named.
        """
        self.key.write_bytes(self.second.key)
        reason = self.refused()
        self.assertIn("the key does not belong to the first certificate", reason)
        self.assertIn(f"(certificate {self.certificate}, key {self.key})", reason)

    def test_noBinding(self) -> None:
        """
        A certificate signed with Ed25519 is refused at start.
        """
        key = ed25519.Ed25519PrivateKey.generate()
        self.certificate.write_bytes(chainPEM(issued(key, None)))
        self.key.write_bytes(keyPEM(key))
        self.assertIn("signed with Ed25519", self.refused())

    def test_tooWeak(self) -> None:
        """
        A key that no client would accept is refused at start, not at each handshake.
        """
        key = rsa.generate_private_key(65537, 1024)
        leaf = issued(key, hashes.SHA256(), ec.generate_private_key(ec.SECP256R1()))
        self.certificate.write_bytes(chainPEM(leaf))
        self.key.write_bytes(keyPEM(key))
        reason = self.refused()
        self.assertIn("KEY_TOO_SMALL", reason)
        self.assertIn(f"key {self.key}", reason)


class CertificateWatchTests(FilesCase):
    """
    A renewed certificate is served without a restart, and never half of one.
    """

    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.told: list[CertificatePair] = []
        self.events: list[Any] = []
        observer: Any = self.events.append
        self.patch(CertificateWatch, "_log", Logger(observer=observer))
        self.watch = self.watching(self.told.append)
        self.watch.start()
        self.addCleanup(self.assertEqual, [], self.clock.getDelayedCalls())
        self.addCleanup(self.watch.stop)
        self.wait()

    def watching(self, changed: Any) -> CertificateWatch:
        """
        Make a watch that knows the first pair.
        """
        return CertificateWatch(
            self.certificate, self.key, changed, self.first, self.clock
        )

    def wait(self) -> None:
        """
        Let some seconds go by.
        """
        self.clock.pump([1.0] * 4)

    def warnings(self) -> list[str]:
        """
        Give what was warned of since this was last asked.
        """
        warnings = [
            formatEvent(e) for e in self.events if e["log_level"] == LogLevel.warn
        ]
        self.events.clear()
        return warnings

    def test_nothingNew(self) -> None:
        """
        Files that stay as they are, or are written again with the same contents,
        change nothing.
        """
        self.write(self.first)
        self.wait()
        self.assertEqual(self.told, [])
        self.assertEqual(self.events, [])

    def test_renewed(self) -> None:
        """
        A new pair is told of within a second, once, and its fingerprint is logged.
        """
        self.write(self.second)
        self.clock.advance(1)
        self.assertEqual(self.told, [self.second])
        self.assertIn(self.second.fingerprint, formatEvent(self.events[0]))
        self.wait()
        self.assertEqual(self.told, [self.second])

    def test_andBack(self) -> None:
        """
        A certificate that is put back is served again.
        """
        self.write(self.second)
        self.wait()
        self.write(self.first)
        self.wait()
        self.assertEqual(self.told, [self.second, self.first])

    def test_changedBeforeTheStart(self) -> None:
        """
        A certificate that is renewed between its reading and the start of the watch
        is not missed.
        """
        self.write(self.second)
        told: list[CertificatePair] = []
        watch = self.watching(told.append)
        watch.check()
        self.assertEqual(told, [self.second])

    def test_oneAfterTheOther(self) -> None:
        """
        Between the replacing of the certificate and that of its key the old pair
        stays, with one warning; then the new one is there.
        """
        for first, then in ((self.certificate, self.key), (self.key, self.certificate)):
            current = readPair(self.certificate, self.key)
            pair = self.second if current == self.first else self.first
            contents = {self.certificate: pair.chain, self.key: pair.key}
            self.told.clear()
            self.put(first, contents[first])
            self.wait()
            self.assertEqual(self.told, [])
            (warning,) = self.warnings()
            self.assertIn("the certificate stays as it is", warning)
            self.assertIn("does not belong", warning)
            self.put(then, contents[then])
            self.wait()
            self.assertEqual(self.told, [pair])
            self.assertEqual(self.warnings(), [])

    def test_eachState(self) -> None:
        """
        Whoever tries again and fails again is told again.
        """
        self.put(self.certificate, self.second.chain)
        self.wait()
        self.assertEqual(len(self.warnings()), 1)
        self.put(self.certificate, self.second.chain + b"\n")
        self.wait()
        self.assertEqual(len(self.warnings()), 1)
        self.wait()
        self.assertEqual(self.warnings(), [])

    def test_missing(self) -> None:
        """
        Files that go away leave the certificate in service, with one warning; when
        they come back all is well.
        """
        self.key.unlink()
        self.wait()
        (warning,) = self.warnings()
        self.assertIn(f"there is no key file {self.key}", warning)
        self.write(self.second)
        self.wait()
        self.assertEqual(self.told, [self.second])
        self.assertEqual(self.warnings(), [])

    def test_missingAgain(self) -> None:
        """
        Files that go away a second time are warned of a second time.
        """
        for _ in range(2):
            self.key.rename(self.key.with_name("aside"))
            self.wait()
            self.assertEqual(len(self.warnings()), 1)
            self.key.with_name("aside").rename(self.key)
            self.wait()
        self.assertEqual(self.told, [])

    def test_links(self) -> None:
        """
        Links that are turned to a folder of new files, as certbot does, are noticed.
        """
        folders = []
        for pair in (self.first, self.second):
            folder = Path(self.mktemp()).resolve()
            folder.mkdir()
            (folder / "cert.pem").write_bytes(pair.chain)
            (folder / "key.pem").write_bytes(pair.key)
            folders.append(folder)
        live = Path(self.mktemp())
        live.symlink_to(folders[0])
        self.certificate, self.key = live / "cert.pem", live / "key.pem"
        watch = self.watching(self.told.append)
        watch.check()
        live.unlink()
        live.symlink_to(folders[1])
        watch.check()
        self.assertEqual(self.told, [self.second])

    def test_asked(self) -> None:
        """
        SIGHUP has the files looked at right now.
        """
        self.write(self.second)
        self.watch.check()
        self.assertEqual(self.told, [self.second])

    def test_stopped(self) -> None:
        """
        A watch that was stopped looks no more; stopping twice does no harm.
        """
        self.watch.stop()
        self.watch.stop()
        self.write(self.second)
        self.wait()
        self.assertEqual(self.told, [])

    def test_changedFails(self) -> None:
        """
        A certificate that cannot be put to use does not keep the next one away.
        """

        def fail(pair: CertificatePair) -> None:
            self.told.append(pair)
            if pair == self.second:
                raise RuntimeError("no")

        watch = self.watching(fail)
        self.write(self.second)
        watch.check()
        third = selfSigned([], NOW)
        self.write(third)
        watch.check()
        self.assertEqual(self.told, [self.second, third])
        self.assertIn(LogLevel.critical, [e["log_level"] for e in self.events])

    def test_interval(self) -> None:
        """
        The files are looked at once in each interval.
        """
        self.watch.stop()
        watch = CertificateWatch(
            self.certificate, self.key, self.told.append, self.first, self.clock, 5.0
        )
        watch.start()
        self.addCleanup(watch.stop)
        self.write(self.second)
        self.clock.advance(4.5)
        self.assertEqual(self.told, [])
        self.clock.advance(0.5)
        self.assertEqual(self.told, [self.second])
