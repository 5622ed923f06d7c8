"""Clients that follow a Redis Cluster, or Sentinel: they go on when replicas are killed under load.

Over real processes, with the classes of redis-py and ioredis that real programs use.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event, Thread
from typing import Any

import redis
from redis.backoff import ConstantBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.retry import Retry
from redis.sentinel import Sentinel

from tests.cluster.case import ClusterTestCase
from tests.cluster.harness import Cluster, wait_until

NAME = "example"
"""The name of the clusters of these tests, and so that of the master."""
GAP_S_MAX = 20.0
"""The longest time without an acknowledgement; clients wait between attempts."""


def retry() -> Retry:
    """How often a client tries again.  By itself redis-py would wait for up to 10 s between two attempts, and
    ask a Sentinel that is dead four times for each that lives."""
    return Retry(ConstantBackoff(0.2), 3)


class Follower(Thread):
    """Sets one new key after the other by a client that finds replicas itself, and makes no new client.

    `acknowledged`: the numbers of its keys; `errors`: what the client did not settle by itself.
    """

    def __init__(self, name: str, client: Any) -> None:
        super().__init__(name=name, daemon=True)
        self.client = client
        self.acknowledged: list[int] = []
        self.errors: list[str] = []
        self.gap_s = 0.0
        self._stopped = Event()

    def run(self) -> None:
        """See Thread."""
        number, last = 0, time.monotonic()
        while not self._stopped.is_set():
            number += 1
            try:
                self.client.set(f"{self.name}:{number}", number)
            except redis.RedisError as error:
                self.errors.append(f"{type(error).__name__}: {error}")
                self._stopped.wait(0.05)
                continue
            now = time.monotonic()
            self.gap_s, last = max(self.gap_s, now - last), now
            self.acknowledged.append(number)

    def stop(self) -> None:
        """End after the current write, and wait for the end."""
        self._stopped.set()
        self.join(30)
        assert not self.is_alive(), f"client {self.name} hangs"

    def missing(self, client: Any) -> list[str]:
        """The acknowledged writes that `client` does not read back."""
        missing = []
        for start in range(0, len(self.acknowledged), 500):
            numbers = self.acknowledged[start : start + 500]
            values = client.mget([f"{self.name}:{number}" for number in numbers])
            missing += [
                f"{number} is {value!r}"
                for number, value in zip(numbers, values)
                if value != str(number).encode()
            ]
        return missing


class FollowingTests(ClusterTestCase):
    def goes_on(self, cluster: Cluster, make: Callable[[str], Any], kill: Callable[[], int]) -> None:
        """Under load by clients that `make` makes, kill the replica that `kill` names, twice."""
        followers = [Follower(f"f{number}", make(f"f{number}")) for number in range(4)]
        for follower in followers:
            follower.start()
        try:
            for _ in range(2):
                self.wait_for_more(followers)
                victim = kill()
                cluster.kill(victim)
                self.wait_for_more(followers)
                cluster.start(victim).ready()
            self.wait_for_more(followers)
        finally:
            for follower in followers:
                follower.stop()
        cluster.equal_digests()
        for follower in followers:
            self.assertLess(follower.gap_s, GAP_S_MAX, follower.errors)
            self.assertEqual(follower.missing(cluster.client(0)), [])

    def wait_for_more(self, followers: list[Follower], count: int = 30) -> None:
        """Wait until each has some more acknowledgements."""
        goals = [(follower, len(follower.acknowledged) + count) for follower in followers]
        wait_until(
            "all clients go on",
            lambda: all(len(follower.acknowledged) >= goal for follower, goal in goals),
            30,
        )

    def test_redis_py_cluster(self) -> None:
        with self.cluster().start().ready() as cluster:
            nodes = [ClusterNode("127.0.0.1", port) for port in cluster.redis_ports]
            clients: list[RedisCluster] = []

            def make(name: str) -> RedisCluster:
                client = RedisCluster(startup_nodes=nodes, socket_timeout=5, client_name=name, retry=retry())
                clients.append(client)
                return client

            victims = iter((1, 2))
            self.goes_on(cluster, make, lambda: next(victims))
            client = make("last")
            self.assertEqual({node.port for node in client.get_primaries()}, set(cluster.redis_ports))
            self.assertEqual(len({client.get_node_from_key(f"k{number}").port for number in range(50)}), 3)
            self.check_commands(client)
            for each in clients:
                each.close()

    def check_commands(self, client: RedisCluster) -> None:
        """What RedisCluster does in ways of its own."""
        keys = [f"key {number}" for number in range(20)]
        self.assertTrue(client.mset_nonatomic(dict.fromkeys(keys, "x")))
        self.assertEqual(client.mget_nonatomic(keys), [b"x"] * 20)
        pipeline = client.pipeline()
        for key in keys:
            pipeline.append(key, "y").get(key)
        self.assertEqual(pipeline.execute(), [2, b"xy"] * 20)
        self.assertEqual(client.delete(*keys), 20)
        self.assertEqual(client.cluster_keyslot("{a}x"), client.keyslot("a"))
        self.assertEqual(client.cluster_info(target_nodes=RedisCluster.RANDOM)["cluster_state"], "ok")
        self.assertEqual(len(client.cluster_nodes()), 3)
        self.assertTrue(client.ping(target_nodes=RedisCluster.ALL_NODES))
        self.assertIsNone(client.execute_command("GET", "{a}x", target_nodes=client.get_random_node()))

    def test_no_crossslot(self) -> None:
        """A command on keys of many slots runs whole, wherever it is sent."""
        with self.cluster().start().ready() as cluster:
            values = {f"k{number}": str(number) for number in range(50)}
            self.assertTrue(cluster.client(0).mset(values))
            self.assertEqual(cluster.client(2).mget(values), [value.encode() for value in values.values()])

    def test_redis_py_sentinel(self) -> None:
        with self.cluster().start().ready() as cluster:
            sentinel = Sentinel(
                [("127.0.0.1", port) for port in cluster.redis_ports],
                sentinel_kwargs={"socket_timeout": 5, "retry": retry()},
                socket_timeout=5,
                retry=retry(),
            )

            def master() -> int:
                _, port = sentinel.discover_master(NAME)
                return cluster.redis_ports.index(port)

            self.goes_on(cluster, lambda name: sentinel.master_for(NAME, client_name=name), master)
            self.assertEqual(len(sentinel.discover_slaves(NAME)), 2)
            reader = sentinel.slave_for(NAME)
            self.assertEqual(reader.get("f0:1"), b"1")
            reader.close()
            with self.assertRaises(redis.sentinel.MasterNotFoundError):
                sentinel.discover_master("another")

    def test_a_minority_sends_clients_away(self) -> None:
        """A replica that is cut off from the others is no master, and has no slots to give."""
        with Cluster(linked=True).start().ready() as cluster:
            cluster.links.cut([(0, 1), (1, 0), (0, 2), (2, 0)])
            cluster.sees_down(0, 1, 2)
            sentinel = Sentinel(
                [("127.0.0.1", port) for port in cluster.redis_ports],
                sentinel_kwargs={"socket_timeout": 5, "retry": retry()},
                socket_timeout=5,
                retry=retry(),
            )
            self.assertEqual(sentinel.discover_master(NAME)[1], cluster.redis_ports[1])
            client = RedisCluster(
                startup_nodes=[ClusterNode("127.0.0.1", port) for port in cluster.redis_ports]
            )
            cluster.sees_down(1, 0)
            client.nodes_manager.initialize()
            self.assertEqual({node.port for node in client.get_primaries()}, set(cluster.redis_ports[1:]))
            client.set("a", 1)
            client.close()

    def test_switch_master(self) -> None:
        """Who listens is told where to go when the replica that it uses is gone."""
        with self.cluster().start().ready() as cluster:
            channel = cluster.client(0).pubsub()
            channel.subscribe("+switch-master")
            self.assertEqual(channel.get_message(timeout=5)["type"], "subscribe")
            cluster.kill(2)
            told = wait_until("a message", lambda: channel.get_message(timeout=5))
            old, new = cluster.redis_ports[2], cluster.redis_ports[0]
            self.assertEqual(told["data"].decode(), f"{NAME} 127.0.0.1 {old} 127.0.0.1 {new}")
            channel.close()


class UdpFollowingTests(ClusterTestCase):
    transport = "udp"

    def test_the_slots_of_the_dead(self) -> None:
        with self.cluster().start().ready() as cluster:
            cluster.kill(1)
            cluster.sees_down(0, 1)
            slots = cluster.client(0).execute_command("CLUSTER", "SLOTS")
            self.assertEqual(
                {owner[1] for _, _, owner in slots}, {cluster.redis_ports[0], cluster.redis_ports[2]}
            )
