"""What goes wrong all the time is said once in a while."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import LogEvent, Logger, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from epaxos.net.quiet_log import Complaints


class ComplaintsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.lines: list[str] = []
        self.complaints = Complaints(Logger(observer=self.observe), self.clock, interval_s=60, lines_max=3)

    def observe(self, event: LogEvent) -> None:
        self.lines.append(formatEvent(event))

    def test_the_same_is_said_once_in_an_interval(self) -> None:
        for _ in range(3):
            self.complaints.warn("replica 1", "refused")
        self.assertEqual(self.lines, ["replica 1: refused"])
        self.clock.advance(59)
        self.complaints.warn("replica 1", "refused")
        self.assertEqual(len(self.lines), 1)
        self.clock.advance(1)
        self.complaints.warn("replica 1", "refused")
        self.assertEqual(self.lines, ["replica 1: refused"] * 2)

    def test_another_subject_or_reason_is_another_complaint(self) -> None:
        self.complaints.warn("replica 1", "refused")
        self.complaints.warn("replica 2", "refused")
        self.complaints.warn("replica 2", "garbage")
        self.assertEqual(self.lines, ["replica 1: refused", "replica 2: refused", "replica 2: garbage"])

    def test_strangers_cannot_fill_the_log(self) -> None:
        for number in range(100):
            self.complaints.warn("stranger", f"a frame of {number} bytes")
        self.assertEqual(len(self.lines), 4)
        self.assertIn("silent for a while", self.lines[-1])
        self.clock.advance(60)
        self.complaints.warn("stranger", "again")
        self.assertEqual(self.lines[4:], ["stranger: again"])

    def test_braces_in_a_reason_are_text(self) -> None:
        self.complaints.warn("stranger", "cluster '{log_namespace}'")
        self.assertEqual(self.lines, ["stranger: cluster '{log_namespace}'"])
