"""Large commands on real replicas: their cost is in proportion to what they change, and others are served
meanwhile."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

from tests.cluster.case import ClusterTestCase
from tests.cluster.harness import Cluster
from tests.cluster.load import connect
from tests.cluster.probe import Probe

VALUE = b"x" * 15_900_000
APPENDS = 1000
CPU_MAX_S = 0.7
"""The processor time of a replica that the appends may take.  They take about 0.1 s; when each copies the
value, 1.4 s and more."""
WAIT_MAX_S = 2.0
"""The longest wait of other clients meanwhile, on a busy computer.  On an idle one it is about 10 ms."""


def cpu_s(cluster: Cluster, id: int) -> float:
    """The processor time that the replica has taken so far."""
    fields = Path(f"/proc/{cluster.processes[id].pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def probe(cluster: Cluster, id: int) -> Probe:
    """A client that writes a key at the replica."""
    client = connect(cluster.redis_ports[id], timeout_s=60)
    return Probe(client, lambda client: client.set(f"probe:{id}", "here"))


class AppendTests(ClusterTestCase):
    def append(self, cluster: Cluster) -> list[int]:
        """Append a thousand times, in one pipeline at replica 0."""
        with cluster.client(0, timeout_s=60).pipeline(transaction=False) as pipeline:
            for _ in range(APPENDS):
                pipeline.append("log", "y" * 10)
            return pipeline.execute()

    def check_cpu(self, cluster: Cluster, before: list[float]) -> None:
        for id in range(3):
            self.assertLess(cpu_s(cluster, id) - before[id], CPU_MAX_S, f"replica {id}")

    def test_a_long_value(self) -> None:
        """Appends while others are served, alternating with STRLEN, read at every replica, and again after
        all were killed."""
        grown = len(VALUE) + 10 * APPENDS
        with self.cluster().start().ready() as cluster:
            cluster.client(0, timeout_s=60).set("log", VALUE)
            cluster.equal_digests()
            before = [cpu_s(cluster, id) for id in range(3)]
            self.assertEqual(self.append(cluster), list(range(len(VALUE) + 10, grown + 1, 10)))
            self.check_cpu(cluster, before)
            probes = [probe(cluster, id) for id in range(3)]
            with ExitStack() as running:
                for one in probes:
                    running.enter_context(one)
                self.append(cluster)
                client = cluster.client(1, timeout_s=60)
                for count in range(1, 20):
                    self.assertEqual(client.append("log", "z"), grown + 10 * APPENDS + count)
                    self.assertEqual(client.strlen("log"), grown + 10 * APPENDS + count)
            for one in probes:
                self.assertGreater(one.answers, 3)
                self.assertLess(one.longest_s, WAIT_MAX_S)
            expected = VALUE + b"y" * 20 * APPENDS + b"z" * 19
            for id in range(3):
                self.assertEqual(cluster.client(id, timeout_s=60).get("log"), expected)
            cluster.equal_digests()
            cluster.kill(0, 1, 2)
            cluster.start().ready(timeout_s=60)
            for id in range(3):
                self.assertEqual(cluster.client(id, timeout_s=60).get("log"), expected)
            before = [cpu_s(cluster, id) for id in range(3)]
            self.append(cluster)
            self.check_cpu(cluster, before)
            cluster.equal_digests()


class LongCommandTests(ClusterTestCase):
    def test_many_keys(self) -> None:
        """A command that runs in steps takes effect as a whole, and a state that was flushed is gone."""
        count = 30_000
        pairs = {f"key:{number}": str(number) for number in range(count)}
        with self.cluster().start().ready() as cluster:
            first, second = (cluster.client(id, timeout_s=60) for id in (0, 1))
            self.assertTrue(first.mset(pairs))
            self.assertEqual(second.mget(list(pairs)), [value.encode() for value in pairs.values()])
            self.assertFalse(second.msetnx({**dict.fromkeys(pairs, "no"), "other": "no"}))
            self.assertEqual(first.exists(*pairs, "other"), count)
            self.assertEqual(first.delete(*list(pairs)[: count // 2], "other"), count // 2)
            self.assertEqual(second.dbsize(), count - count // 2)
            cluster.equal_digests()
            self.assertTrue(second.flushdb())
            self.assertEqual(first.dbsize(), 0)
            first.set("after", "it")
            cluster.equal_digests()
            cluster.kill(0, 1, 2)
            cluster.start().ready(timeout_s=60)
            self.assertEqual((cluster.client(2).dbsize(), cluster.client(0).get("after")), (1, b"it"))
