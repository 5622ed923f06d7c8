"""What the status shows of the program and of its host."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from cryptography import x509
from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from epaxos.admin.history import History
from epaxos.admin.last_warnings import LastWarnings
from epaxos.config.example import example
from epaxos.config.file import load
from epaxos.ctl.making.certificates import certificates
from epaxos.service.facts import CERTIFICATES_KEPT_S, KEPT_S, WARNINGS_MAX, Facts
from epaxos.service.followed import Followed


class FactsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        (self.folder / "data" / "0").mkdir(parents=True)
        self.clock = Clock()

    def facts(self, settings: str = "") -> Facts:
        path = self.folder / "cluster.ini"
        path.write_text(example(3, data="data") + settings)
        self.warnings = LastWarnings()
        history = History([], self.clock, time.time)
        return Facts(Followed(load(path)), 0, history, self.warnings, self.clock.seconds)

    @contextmanager
    def opened(self, count: int) -> Iterator[None]:
        files = [(self.folder / "cluster.ini").open() for _ in range(count)]
        try:
            yield
        finally:
            for file in files:
                file.close()

    def test_the_host(self) -> None:
        facts = self.facts()
        host = facts()["host"]
        self.assertTrue(0 < host["descriptors"] < host["descriptors_max"])
        self.assertTrue(10_000_000 < host["memory_bytes"] < host["memory_total_bytes"])
        self.assertTrue(0 < host["memory_available_bytes"] < host["memory_total_bytes"])
        self.assertTrue(0 <= host["disk_free_bytes"] <= host["disk_bytes"])
        with self.opened(20):
            self.assertEqual(facts()["host"], host, "not asked again so soon")
            self.clock.advance(KEPT_S)
            self.assertGreaterEqual(facts()["host"]["descriptors"], host["descriptors"] + 15)
        self.assertEqual(facts()["program"]["uptime_s"], KEPT_S)

    def test_nothing_is_kept_on_disk(self) -> None:
        told = self.facts("\n[storage]\nengine = memory\n")()
        self.assertEqual(told["program"]["engine"], "memory")
        self.assertEqual((told["host"]["disk_free_bytes"], told["host"]["disk_bytes"]), (None, None))

    def test_no_certificate(self) -> None:
        self.assertEqual(
            self.facts()()["certificates"], {"peer_tls": False, "ends_at": None, "issuer_ends_at": None}
        )

    def test_when_certificates_end(self) -> None:
        facts = self.facts("\n[security]\npeer_tls = yes\n")
        self.assertEqual(facts()["certificates"], {"peer_tls": True, "ends_at": None, "issuer_ends_at": None})
        files = certificates("example", ["127.0.0.1"])
        for name, content in files.items():
            (self.folder / name).write_bytes(content)
        self.clock.advance(CERTIFICATES_KEPT_S)
        told = facts()["certificates"]
        for field, name in (("ends_at", "0.pem"), ("issuer_ends_at", "ca.pem")):
            end = datetime.fromtimestamp(told[field], timezone.utc)
            self.assertEqual(end, x509.load_pem_x509_certificate(files[name]).not_valid_after_utc)

    def test_the_last_warnings(self) -> None:
        facts = self.facts()
        self.warnings.start()
        self.addCleanup(self.warnings.stop)
        for number in range(WARNINGS_MAX + 2):
            Logger().warn("number {number}", number=number)
        told = facts()["warnings"]
        self.assertEqual(len(told), WARNINGS_MAX)
        self.assertEqual(told[0][1:], ["warn", f"number {WARNINGS_MAX + 1}"])
