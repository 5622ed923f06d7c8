"""Which replicas are suspected."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.protocol.memory.failures import FailureDetector
from epaxos.protocol.values.epoch import Epoch


class FailureDetectorTests(SynchronousTestCase):
    def test_silence(self) -> None:
        detector = FailureDetector(0, Epoch.first(3), 1.0)
        detector.advance(100.0)
        for now, heard in ((100.6, 1), (101.1, 1), (101.7, 1)):
            detector.advance(now)
            detector.on_heard(heard)
        self.assertEqual([detector.suspects(r) for r in range(3)], [False, False, True])

    def trusting(self, n: int = 3, at: float = 100.0) -> FailureDetector:
        """A detector whose peers have been connected for a long time."""
        detector = FailureDetector(0, Epoch.first(n), 1.0)
        detector.advance(at - 60)
        for replica in range(1, n):
            detector.on_connected(replica)
        detector.advance(at)
        return detector

    def test_silence_is_noticed_at_its_deadline(self) -> None:
        """The suspicion comes at once, not with the next heartbeat, and is told once."""
        detector = self.trusting()
        detector.advance(100.5)
        detector.on_heard(1)
        detector.advance(100.6)
        self.assertEqual(detector.next_deadline(), 101.0)
        detector.advance(100.999)
        self.assertEqual(detector.newly_suspected, [])
        detector.advance(101.0)
        self.assertEqual((detector.newly_suspected, detector.suspected_at(2)), ([2], 101.0))
        self.assertEqual(detector.next_deadline(), 101.6)
        detector.on_heard(2)
        detector.advance(101.6)
        self.assertEqual(detector.newly_suspected, [2, 1])
        self.assertFalse(detector.suspects(2))
        self.assertEqual(detector.next_deadline(), 102.6)

    def test_what_a_late_process_reads_has_just_come(self) -> None:
        """It was starved for 0.9 s; a message that it reads then shows that its sender lives now."""
        detector = self.trusting()
        detector.on_heard(1)
        detector.advance(100.9)
        for now in (101.5, 101.8):
            detector.advance(now)
        self.assertEqual(detector.newly_suspected, [2])

    def test_lost_connections(self) -> None:
        detector = self.trusting()
        detector.on_disconnected(1)
        self.assertEqual((detector.newly_suspected, detector.suspected_at(1)), ([1], 100.0))
        detector.on_disconnected(1)
        self.assertEqual(detector.newly_suspected, [1])
        detector.on_connected(1)
        self.assertEqual([detector.suspects(r) for r in range(3)], [False] * 3)

    def test_connections_that_are_lost_again_and_again(self) -> None:
        """They cause at most one suspicion per `suspect_after_s`; silence still shows a failure."""
        detector = self.trusting()
        now = 100.0
        for _ in range(200):
            now += 0.05
            detector.advance(now)
            detector.on_disconnected(1)
            detector.on_connected(1)
            detector.on_heard(2)
        self.assertLessEqual(len(detector.newly_suspected), 10)
        self.assertGreater(len(detector.newly_suspected), 0)
        detector.newly_suspected.clear()
        detector.on_disconnected(1)
        detector.advance(now)
        detector.advance(now + 0.9)
        self.assertEqual(detector.newly_suspected, [])
        detector.on_heard(2)
        detector.advance(now + 1.0)
        self.assertEqual(detector.newly_suspected, [1])

    def test_connections_before_the_first_tick(self) -> None:
        detector = FailureDetector(0, Epoch.first(2), 1.0)
        detector.on_disconnected(1)
        detector.on_connected(1)
        detector.advance(5.0)
        self.assertFalse(detector.suspects(1))

    def test_a_process_that_was_stopped_suspects_nobody(self) -> None:
        detector = FailureDetector(0, Epoch.first(3), 1.0)
        detector.advance(100.0)
        detector.advance(160.0)
        self.assertEqual([detector.suspects(r) for r in range(3)], [False] * 3)

    def test_rank(self) -> None:
        detector = FailureDetector(2, Epoch.first(5), 1.0)
        detector.advance(0.0)
        self.assertEqual([detector.rank(row) for row in range(5)], [2, 1, 0, 4, 3])
        self.assertEqual(detector.next_deadline(), 1.0)
        for now in (0.6, 1.2):
            detector.advance(now)
            for alive in (0, 4):
                detector.on_heard(alive)
        self.assertEqual([detector.rank(row) for row in range(5)], [1, 0, 0, 2, 2])
