"""Replicas that are killed, paused or slow under load: no acknowledged write is ever missing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from signal import SIGCONT, SIGSTOP

from tests.cluster.case import ClusterTestCase
from tests.cluster.harness import Cluster
from tests.cluster.load import Load

GAP_MAX_S = 5.0
"""The longest wait of clients that are not connected to a failed replica."""


class FailureTests(ClusterTestCase):
    def load(self, cluster: Cluster) -> Load:
        return Load(dict(enumerate(cluster.redis_ports)))

    def check(self, cluster: Cluster, load: Load) -> None:
        """Check that all replicas come to the same state, with all acknowledged writes."""
        cluster.equal_digests()
        self.assertTrue(all(writer.acknowledged for writer in load.writers))
        for id in range(cluster.n):
            self.assertEqual(load.missing(cluster.client(id)), [], f"seen at replica {id}")
        cluster.equal_digests()

    @contextmanager
    def undisturbed(self, load: Load, *others: int) -> Iterator[None]:
        """Check that meanwhile the clients of these replicas go on, and none gets an error."""
        writers = load.of(*others)
        refused = [len(writer.refused) for writer in writers]
        load.forget_gaps()
        yield
        self.assertLess(load.longest_gap_s(*others), GAP_MAX_S)
        self.assertEqual([len(writer.refused) for writer in writers], refused)

    def test_each_one_killed_under_load(self) -> None:
        with self.cluster().start().ready() as cluster:
            with self.load(cluster) as load:
                load.wait_for_more(50, 0, 1, 2)
                for victim in range(3):
                    others = [id for id in range(3) if id != victim]
                    with self.undisturbed(load, *others):
                        cluster.kill(victim)
                        load.wait_for_more(100, *others)
                        cluster.start(victim).ready()
                    load.wait_for_more(20, victim)
            self.check(cluster, load)

    def test_two_of_three_killed(self) -> None:
        with self.cluster().start().ready() as cluster:
            with self.load(cluster) as load:
                load.wait_for_more(50, 0, 1, 2)
                cluster.kill(0, 2)
                cluster.start(0, 2).ready()
                load.wait_for_more(50, 0, 1, 2)
            self.check(cluster, load)

    def test_all_killed_at_once(self) -> None:
        with self.cluster().start().ready() as cluster:
            with self.load(cluster) as load:
                for _ in range(2):
                    load.wait_for_more(50, 0, 1, 2)
                    cluster.kill(0, 1, 2)
                    cluster.start().ready()
                load.wait_for_more(50, 0, 1, 2)
            self.check(cluster, load)

    def test_one_stopped_for_a_while(self) -> None:
        """It hears nothing, is suspected, and then catches up."""
        with self.cluster().start().ready() as cluster:
            with self.load(cluster) as load:
                load.wait_for_more(50, 0, 1, 2)
                with self.undisturbed(load, 0, 2):
                    cluster.signal(SIGSTOP, 1)
                    cluster.sees_down(0, 1)
                    load.wait_for_more(100, 0, 2)
                    cluster.signal(SIGCONT, 1)
                    cluster.ready()
                load.wait_for_more(50, 1)
            self.check(cluster, load)

    def test_two_and_all_stopped_for_a_while(self) -> None:
        with self.cluster().start().ready() as cluster:
            with self.load(cluster) as load:
                load.wait_for_more(50, 0, 1, 2)
                cluster.signal(SIGSTOP, 0, 1)
                cluster.sees_down(2, 0, 1)
                cluster.signal(SIGCONT, 0, 1)
                load.wait_for_more(50, 0, 1, 2)
                cluster.signal(SIGSTOP, 0, 1, 2)
                time.sleep(1.5)  # longer than suspect_after_s, and no replica is up to ask
                cluster.signal(SIGCONT, 0, 1, 2)
                load.wait_for_more(50, 0, 1, 2)
            self.check(cluster, load)

    def test_one_down_almost_from_the_start(self) -> None:
        with self.cluster().start().ready() as cluster:
            cluster.kill(2)
            with Load({0: cluster.redis_ports[0], 1: cluster.redis_ports[1]}) as load:
                load.wait_for_more(100, 0, 1)
                cluster.start(2).ready()
                load.wait_for_more(50, 0, 1)
            self.check(cluster, load)
            self.assertTrue(cluster.client(2).set("late", "but there"))
            self.assertEqual(cluster.client(0).get("late"), b"but there")

    def test_stopped_in_turn_without_a_loss(self) -> None:
        """A rolling restart with SIGTERM: status 0 each time, and clients of the others notice nothing."""
        with self.cluster().start().ready() as cluster:
            with self.load(cluster) as load:
                for id in range(3):
                    load.wait_for_more(30, 0, 1, 2)
                    with self.undisturbed(load, *(other for other in range(3) if other != id)):
                        self.assertEqual(cluster.terminate(id), 0)
                        cluster.start(id).ready()
            self.check(cluster, load)


class DiskTests(ClusterTestCase):
    def test_a_full_disk(self) -> None:
        """The replica stops with status 1, because it cannot keep promises.  With free space it starts
        again."""
        with self.cluster().start(0, 1).start(2, file_bytes_max=200_000).ready() as cluster:
            client = cluster.client(0)
            for number in range(100):
                client.set(f"key {number}", b"x" * 10_000)
                if cluster.processes[2].poll() is not None:
                    break
            self.assertEqual(cluster.ended(2), 1)
            log = cluster.log(2)
            self.assertIn("File too large", log)
            self.assertEqual(len([line for line in log.splitlines() if line.startswith("epaxos: ")]), 1, log)
            self.assertNotIn("Traceback", log)
            self.assertTrue(client.set("last", "one"))
            cluster.start(2).ready()
            cluster.equal_digests()
            self.assertEqual(cluster.client(2).get("last"), b"one")


class FailuresOverUdpTests(FailureTests):
    transport = "udp"
