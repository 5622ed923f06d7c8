"""Nothing is answered before it is durable; what a replica does while its disk hangs."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from epaxos.interfaces import Outcome, Unavailable
from tests.defaults import default_batching
from tests.node.lab import Cluster, UnavailableCase


class DurabilityTests(SynchronousTestCase):
    def test_nothing_is_answered_before_it_is_durable(self) -> None:
        cluster = Cluster().start()
        cluster.disks[0].slow = True
        outcomes = cluster.submit(0, [b"k", b"a"])
        cluster.run(0.01)
        self.assertEqual((outcomes, cluster.logs[1].texts), ([], {}))
        ((decision, _),) = cluster.disks[0].waiting
        self.assertEqual(len(decision.batches), 1)
        cluster.disks[0].catch_up()
        cluster.run(0.01)
        self.assertEqual(outcomes, [[b"a"]])

    def test_clean_stop_gives_back_unused_slots(self) -> None:
        cluster = Cluster().start()
        cluster.submit(0, [b"k", b"a"])
        cluster.run(0.1)
        self.successResultOf(cluster.nodes[0].stop())
        last = cluster.disks[0].written[-1]
        self.assertEqual((last.reserved, last.checkpoint and last.checkpoint.executed), (1, (1, 0, 0)))


class SilentDiskTests(UnavailableCase):
    """The disk of one replica does not answer."""

    def hung(self) -> Cluster:
        cluster = Cluster().start()
        cluster.submit(0, [b"k", b"a"])
        cluster.run(0.1)
        cluster.disks[0].slow = True
        return cluster

    def logged(self, run: Callable[[], None]) -> list[str]:
        """The log lines about the disk while `run` runs."""
        events: list[LogEvent] = []
        globalLogPublisher.addObserver(events.append)
        try:
            run()
        finally:
            globalLogPublisher.removeObserver(events.append)
        return [text for text in map(formatEvent, events) if "the disk" in text]

    def test_it_is_silent_and_says_so_once(self) -> None:
        cluster = self.hung()
        under_way = cluster.submit(0, [b"j", b"x"])
        said = self.logged(lambda: cluster.run(4))
        self.assertEqual(len(said), 1)
        self.assertIn("replica 0 is silent", said[0])
        cluster.wires[0].sends.clear()
        self.assertEqual(under_way, [], "what is under way may still come")
        new = cluster.submit(0, [b"i", b"x"])
        cluster.run(0.01)
        refused = self.one(new)
        self.assertFalse(refused.may_have_run)
        self.assertIn("the disk of this replica does not answer", str(refused))
        self.assertIn("was not run", str(refused))
        cluster.run(2)
        self.assertEqual(cluster.wires[0].sends, [])
        expired = self.one(under_way)
        self.assertTrue(expired.may_have_run)
        self.assertIn("the disk of this replica does not answer", str(expired))
        self.assertIn("may still run", str(expired))

    def test_the_others_go_on(self) -> None:
        """They decide what the silent replica proposed and claimed, and a barrier does not wait."""
        cluster = self.hung()
        cluster.submit(0, [b"k", b"x"])
        barrier = cluster.submit(1, [b"k", b"!"])
        cluster.run(4)
        self.assertEqual(len(barrier), 1)
        self.assertEqual(cluster.logs[1].texts, cluster.logs[2].texts)
        self.assertTrue(cluster.nodes[1]._core.suspects(0))
        served = cluster.submit(2, [b"k", b"y"])
        cluster.run(0.1)
        self.assertEqual(len(served), 1)
        self.assertNotIsInstance(served[0], Unavailable)

    def test_it_takes_up_when_the_disk_answers(self) -> None:
        cluster = self.hung()
        cluster.submit(0, [b"k", b"x"])
        cluster.run(1.9)  # no longer than others are suspected after
        for number in range(20):
            cluster.submit(1, [b"k", b"%d" % number])
            cluster.run(0.01)

        def answer() -> None:
            cluster.disks[0].slow = False
            cluster.disks[0].catch_up()
            cluster.run(0.01)
            core = cluster.nodes[0]._core
            self.assertEqual([core.suspects(other) for other in (1, 2)], [False, False], "they were heard")
            cluster.run(3)

        said = self.logged(answer)
        self.assertEqual(["answers again" in text for text in said], [True])
        self.assertEqual(cluster.logs[0].texts, cluster.logs[1].texts)
        served = cluster.submit(0, [b"k", b"z"])
        cluster.run(0.1)
        self.assertEqual(served, [[cluster.logs[1].texts[b"k"]]])
        self.assertEqual(cluster.fatal, [])

    def test_what_it_holds_meanwhile_does_not_grow(self) -> None:
        cluster = self.hung()
        cluster.submit(0, [b"k", b"x"])
        cluster.run(4)
        waiting, held = len(cluster.disks[0].waiting), len(cluster.nodes[0]._core.table)
        for _ in range(50):
            cluster.submit(1, [b"j", b"x"])
            cluster.run(0.05)
        self.assertLessEqual(len(cluster.disks[0].waiting), waiting + 1, "a checkpoint, perhaps")
        self.assertEqual(len(cluster.nodes[0]._core.table), held)

    def test_a_slow_disk_is_used(self) -> None:
        """Each sync takes two seconds: commands are answered, and the replica is silent once at most."""
        cluster = Cluster(default_batching(request_timeout_s=60)).start()
        disk = cluster.disks[0]
        disk.slow = True
        outcomes: list[Outcome] = []

        def ask(_: object = None) -> None:
            if len(outcomes) < 5:
                cluster.nodes[0].submit([[b"k", b"x"]], answered)

        def answered(outcome: Outcome) -> None:
            outcomes.append(outcome)
            cluster.clock.callLater(0.01, ask)

        def catch_up() -> None:
            disk.catch_up()
            cluster.clock.callLater(2, catch_up)

        catch_up()
        ask()
        said = self.logged(lambda: cluster.run(30))
        self.assertEqual([outcome for outcome in outcomes if isinstance(outcome, Unavailable)], [])
        self.assertEqual(len(outcomes), 5)
        self.assertLessEqual(len([text for text in said if "silent" in text]), 1)
