"""What the status shows of the last minute."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from epaxos.admin.recent import MINUTE_S, Recent
from epaxos.interfaces.metrics import Histogram


class RecentTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.recent = Recent()
        self.disk, self.late = Histogram(), Histogram()

    def second(self, **gauges: float) -> None:
        self.recent.take(gauges, list(self.disk.counts), list(self.late.counts))

    def test_nothing_was_measured(self) -> None:
        self.assertEqual(set(self.recent.last_minute().values()), {None})
        self.second()
        self.assertEqual(set(self.recent.last_minute().values()), {None})
        self.assertEqual(set(self.recent.clients().values()), {None})

    def test_what_is_older_than_a_minute_does_not_count(self) -> None:
        self.second()
        self.disk.add(3.0, 10)
        self.late.add(0.4, 10)
        self.second()
        shown = self.recent.last_minute()
        self.assertTrue(2 <= shown["disk_p50_s"] < shown["disk_p99_s"] <= 5, shown)
        self.assertTrue(0.2 <= shown["late_p99_s"] <= 0.5, shown)
        for _ in range(MINUTE_S):
            self.second()
        self.assertEqual(set(self.recent.last_minute().values()), {None})

    def test_how_long_the_epoch_is_not_settled(self) -> None:
        seen = []
        for settled in (1, 0, 0, 1, 0):
            self.second(epaxos_epoch_settled=settled)
            seen.append(self.recent.unsettled_s)
        self.assertEqual(seen, [0, 1, 2, 0, 1])

    def test_clients(self) -> None:
        self.second(epaxos_clients=3.0, epaxos_clients_max=10.0, epaxos_clients_held_bytes=0.0)
        self.assertEqual(
            self.recent.clients(), {"connected": 3, "max": 10, "held_bytes": 0, "held_bytes_max": None}
        )
