"""Clients that wait for elements at three replicas, one of which is killed."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import redis

from tests.cluster.case import ClusterTestCase
from tests.cluster.harness import Cluster, wait_until

CONSUMERS = 30
PRODUCERS = 6
PUSHED = 400
KILLED = 2
LATENCY_S = 0.5
"""Far more than a push and a pop take, because tests share two slow cores; far less than a timeout."""


class BlockingTests(ClusterTestCase):
    def test_nothing_is_lost_and_nothing_comes_twice(self) -> None:
        """But for what was popped for the clients of the replica that is killed."""
        with self.cluster().start().ready() as cluster:
            numbers = itertools.count()
            acknowledged: list[bytes] = []
            got: list[tuple[int, bytes]] = []
            over = False

            def produce(number: int) -> None:
                client = self.client(cluster, number % 3)
                for _ in range(PUSHED // PRODUCERS):
                    element = b"%d" % next(numbers)
                    try:
                        client.rpush(f"queue {number % 2}", element)
                    except redis.exceptions.RedisError:
                        if number % 3 == KILLED:
                            return  # whether it was pushed nobody knows
                        continue
                    acknowledged.append(element)
                    time.sleep(0.002)

            def consume(number: int) -> None:
                client = self.client(cluster, number % 3)
                while not over:
                    try:
                        found = client.blpop(["queue 0", "queue 1"], timeout=0.5)
                    except redis.exceptions.RedisError:
                        if number % 3 == KILLED:
                            return
                        continue
                    if found is not None:
                        got.append((number % 3, found[1]))

            with ThreadPoolExecutor(CONSUMERS + PRODUCERS) as pool:
                consuming = [pool.submit(consume, number) for number in range(CONSUMERS)]
                producing = [pool.submit(produce, number) for number in range(PRODUCERS)]
                wait_until("elements at all replicas", lambda: len({id for id, _ in list(got)}) == 3)
                cluster.kill(KILLED)
                for each in producing:
                    each.result()
                client = self.client(cluster, 0)
                wait_until("empty queues", lambda: not client.exists("queue 0", "queue 1"))
                time.sleep(0.5)
                over = True
                for each in consuming:
                    each.result()
            elements = [element for _, element in got]
            self.assertEqual([element for element, count in Counter(elements).items() if count > 1], [])
            lost = set(acknowledged) - set(elements)
            self.assertLessEqual(len(lost), CONSUMERS // 3, "one for each client of the killed replica")
            self.assertGreater(len(acknowledged), PUSHED // 2)
            cluster.start(KILLED).ready()
            cluster.equal_digests()

    def client(self, cluster: Cluster, id: int) -> redis.Redis:
        """A client that asks nothing twice."""
        return redis.Redis(port=cluster.redis_ports[id], socket_timeout=10, retry=None)

    def test_how_long_a_push_takes_to_wake(self) -> None:
        with self.cluster().start().ready() as cluster, ThreadPoolExecutor(1) as pool:
            for waits_at, pushed_at in ((0, 0), (0, 1)):
                took = []
                pushing = self.client(cluster, pushed_at)
                for number in range(20):
                    waiting = pool.submit(self.woken_at, cluster, waits_at)
                    self.wait_for_blocked(cluster, *(int(id == waits_at) for id in range(3)))
                    pushing.ping()
                    began = time.monotonic()
                    pushing.rpush("queue", number)
                    took.append(waiting.result() - began)
                self.assertLess(median(took), LATENCY_S)
                print(
                    f"\nfrom a push at {pushed_at} to the client at {waits_at}: {1000 * median(took):.1f} ms"
                )

    def woken_at(self, cluster: Cluster, id: int) -> float:
        self.assertIsNotNone(self.client(cluster, id).blpop("queue", timeout=20))
        return time.monotonic()

    def test_clients_as_they_are(self) -> None:
        """The calls of redis-py, and what ends a wait from outside."""
        with self.cluster().start().ready() as cluster, ThreadPoolExecutor(4) as pool:
            client = self.client(cluster, 0)
            self.assertIsNone(client.blpop("a", timeout=0.05))
            self.assertIsNone(client.brpoplpush("a", "b", timeout=0.05))
            self.assertIsNone(client.bzpopmin("a", timeout=0.05))
            moved = pool.submit(self.client(cluster, 1).brpoplpush, "a", "b", 20)
            lowest = pool.submit(self.client(cluster, 2).bzpopmin, ["z", "y"], 20)
            self.wait_for_blocked(cluster, 0, 1, 1)
            client.lpush("a", "x")
            client.zadd("y", {"m": 1.5})
            self.assertEqual((moved.result(), client.lrange("b", 0, -1)), (b"x", [b"x"]))
            self.assertEqual(lowest.result(), (b"y", b"m", 1.5))
            other = self.client(cluster, 1)
            one = other.client()
            number = one.client_id()
            unblocked = pool.submit(one.blpop, "a", 20)
            self.wait_for_blocked(cluster, 0, 1, 0)
            self.assertTrue(other.client_unblock(number, error=True))
            with self.assertRaisesRegex(redis.exceptions.ResponseError, "unblocked via CLIENT UNBLOCK"):
                unblocked.result()
            stopped = pool.submit(one.blpop, "a", 20)
            self.wait_for_blocked(cluster, 0, 1, 0)
            cluster.terminate(1)
            with self.assertRaisesRegex(redis.exceptions.ResponseError, "UNBLOCKED"):
                stopped.result()

    def wait_for_blocked(self, cluster: Cluster, *counts: int) -> None:
        for id, count in enumerate(counts):
            client = self.client(cluster, id)
            wait_until(
                f"{count} clients that wait at replica {id}",
                lambda client=client, count=count: client.info("clients")["blocked_clients"] == count,
            )
