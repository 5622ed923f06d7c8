"""A new base is written while clients write, and replicas die in the middle of it."""

from __future__ import annotations

import time
from threading import Event, Thread

import redis

from tests.cluster.case import ClusterTestCase
from tests.cluster.harness import Cluster, wait_until

KEYS = 4000
VALUE_BYTES = 1000


class _Writer(Thread):
    """Sets all keys again and again, each time to values of a higher number, through one replica."""

    def __init__(self, cluster: Cluster, id: int) -> None:
        super().__init__()
        self._client = cluster.client(id)
        self._id = id
        self.acknowledged: dict[str, int] = {}
        self.round = 0
        self.ended = Event()
        self.start()

    def name_of(self, number: int) -> str:
        return f"{self._id}:{number}"

    def run(self) -> None:
        """See Thread.  Ends with the replica, or when `ended` is set."""
        while not self.ended.is_set():
            self.round += 1
            for first in range(0, KEYS, 50):
                value = str(self.round).ljust(VALUE_BYTES, "v")
                names = list(map(self.name_of, range(first, first + 50)))
                try:
                    self._client.mset(dict.fromkeys(names, value))
                except (redis.ConnectionError, redis.ResponseError, redis.TimeoutError):
                    return
                self.acknowledged.update(dict.fromkeys(names, self.round))


class BaseTests(ClusterTestCase):
    def bases(self, cluster: Cluster, id: int) -> list[str]:
        return sorted(path.name for path in (cluster.data(id) / "state").glob("*.base"))

    def test_killed_while_a_base_is_written(self) -> None:
        """Every acknowledged write is there, nothing else is, and all replicas have the same state."""
        with self.cluster().start().ready() as cluster:
            for _ in range(2):
                before = [set(self.bases(cluster, id)) for id in range(3)]
                writers = [_Writer(cluster, id) for id in range(3)]

                def base_begun(before: list[set[str]] = before) -> bool:
                    return any(set(self.bases(cluster, id)) - before[id] for id in range(3))

                wait_until("a base is begun", base_begun, 120)
                time.sleep(0.02)
                cluster.kill(0, 1, 2)
                for writer in writers:
                    writer.ended.set()
                    writer.join()
                cluster.start().ready(timeout_s=60)
                cluster.equal_digests(60)
                client = cluster.client(0)
                for writer in writers:
                    names = list(writer.acknowledged)
                    self.assertTrue(names)
                    for name, value in zip(names, client.mget(names)):
                        self.assertEqual(len(value), VALUE_BYTES)
                        found = int(value.rstrip(b"v"))
                        self.assertGreaterEqual(found, writer.acknowledged[name])
                        self.assertLessEqual(found, writer.round)
                self.assertEqual(client.flushall(), True)
                cluster.equal_digests(60)
