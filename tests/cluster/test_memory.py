"""`maxmemory` with real replicas."""

from __future__ import annotations

from typing import Any

import redis
from twisted.trial.unittest import SynchronousTestCase

from tests.cluster.harness import Cluster, wait_until

MAX_BYTES = 50 * 2**20
VALUE = b"v" * 5000
OOM = "command not allowed when used memory > 'maxmemory'."


def write(client: redis.Redis, keys: range) -> int:
    """Set these keys, in pipelines; how many were refused."""
    refused = 0
    for start in range(keys.start, keys.stop, 1000):
        pipeline = client.pipeline(transaction=False)
        for key in range(start, min(start + 1000, keys.stop)):
            pipeline.set(f"key:{key}", VALUE)
        refused += sum(isinstance(reply, Exception) for reply in pipeline.execute(raise_on_error=False))
    return refused


def is_set(client: redis.Redis, key: str) -> bool:
    """Whether the replica takes a new value again: it looks at its memory now and then."""
    try:
        return bool(client.set(key, "v"))
    except redis.OutOfMemoryError:
        return False


class MemoryTests(SynchronousTestCase):
    def memory(self, cluster: Cluster, id: int) -> dict[str, Any]:
        info: dict[str, Any] = cluster.client(id).info()
        return info

    def test_bounded(self) -> None:
        """Three times as much as there is room for: the least recently used keys go, and all states agree."""
        with Cluster() as cluster:
            cluster.start().ready()
            clients = [cluster.client(id) for id in range(3)]
            clients[1].config_set("maxmemory", "50mb")
            clients[1].config_set("maxmemory-policy", "allkeys-lru")
            wait_until(
                "all know it",
                lambda: all(client.config_get()["maxmemory"] == str(MAX_BYTES) for client in clients),
            )
            highest = 0
            for part in range(15):
                write(clients[part % 3], range(part * 2_000, part * 2_000 + 2_000))
                highest = max(highest, int(self.memory(cluster, 0)["used_memory"]))
            self.assertLess(highest, 1.3 * MAX_BYTES)
            wait_until(
                "it is within the bound",
                lambda: all(self.memory(cluster, id)["used_memory"] <= MAX_BYTES for id in range(3)),
            )
            keys = int(clients[0].dbsize())
            self.assertTrue(7_000 < keys < 10_500, keys)
            self.assertTrue(all(self.memory(cluster, id)["evicted_keys"] > 15_000 for id in range(3)))
            last = sum(map(bool, clients[0].mget([f"key:{key}" for key in range(29_000, 30_000)])))
            self.assertGreater(last, 900)
            cluster.equal_digests()
            cluster.kill(0, 1, 2)
            cluster.start().ready()
            self.assertEqual(cluster.client(2).config_get("maxmemory")["maxmemory"], str(MAX_BYTES))

    def test_refused(self) -> None:
        with Cluster() as cluster:
            cluster.start().ready()
            client = cluster.client(0)
            client.config_set("maxmemory", "5mb")
            self.assertGreater(write(client, range(4_000)), 1_000)
            with self.assertRaisesRegex(redis.OutOfMemoryError, OOM):
                client.set("k", "v")
            with self.assertRaisesRegex(redis.RedisError, OOM):
                client.eval("return redis.call('set', KEYS[1], 1)", 1, "k")
            pipeline = client.pipeline(transaction=True)
            pipeline.set("k", "v")
            self.assertRaises(redis.RedisError, pipeline.execute)
            self.assertEqual((client.get("k"), client.get("key:1")), (None, VALUE))
            for start in range(0, 4_000, 1000):
                client.delete(*(f"key:{key}" for key in range(start, start + 1000)))
            wait_until("there is room", lambda: self.memory(cluster, 0)["used_memory"] < 5_000_000)
            wait_until("it is written again", lambda: is_set(client, "k"))
            cluster.equal_digests()
