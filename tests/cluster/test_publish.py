"""Those who listen at three real replicas: what they hear, in which order, and while replicas die."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import redis

from tests.cluster.case import ClusterTestCase
from tests.cluster.harness import Cluster, wait_until

CHANNELS = ("news", "sport", "weather")
PUBLISHERS = 6
MESSAGES = 60


class Listener:
    """Listens at a replica, by redis-py."""

    def __init__(self, cluster: Cluster, id: int, *channels: str, protocol: int = 2) -> None:
        port = cluster.client(id).connection_pool.connection_kwargs["port"]
        self._client = redis.Redis(port=port, protocol=protocol)
        self._pubsub: Any = self._client.pubsub(ignore_subscribe_messages=True)
        self._pubsub.subscribe(*channels)
        self._pubsub.psubscribe("__key*__:*")
        self.heard: dict[bytes, list[bytes]] = defaultdict(list)
        while self._pubsub.get_message(timeout=0.2) is not None:
            pass
        wait_until("it listens", lambda: cluster.client(id).pubsub_numsub(channels[-1])[0][1])

    def hear(self, enough: int, timeout_s: float = 20) -> int:
        """Listen until that many messages were heard; how many were."""

        def heard() -> bool:
            while (message := self._pubsub.get_message(timeout=0.05)) is not None:
                self.heard[message["channel"]].append(message["data"])
            return self.count >= enough

        wait_until(f"{enough} messages, not {self.count}", heard, timeout_s)
        return self.count

    @property
    def count(self) -> int:
        return sum(map(len, self.heard.values()))

    def close(self) -> None:
        self._pubsub.close()
        self._client.close()


def publish(cluster: Cluster, id: int, number: int, count: int = MESSAGES) -> list[bytes]:
    """Publish on all channels at a replica, each message of its own; what is on the first channel."""
    client = cluster.client(id)
    for message in range(count):
        for channel in CHANNELS:
            client.publish(channel, f"{number}.{message}")
    return [f"{number}.{message}".encode() for message in range(count)]


class PublishTests(ClusterTestCase):
    def test_one_order_for_each_channel(self) -> None:
        """At every replica, in both protocols; and what one client publishes comes in its order."""
        with self.cluster().start().ready() as cluster:
            listeners = [
                Listener(cluster, id, *CHANNELS, protocol=protocol) for id in range(3) for protocol in (2, 3)
            ]
            with ThreadPoolExecutor(PUBLISHERS) as pool:
                published = list(pool.map(lambda n: publish(cluster, n % 3, n), range(PUBLISHERS)))
            for listener in listeners:
                listener.hear(PUBLISHERS * MESSAGES * len(CHANNELS))
            for listener in listeners:
                self.assertEqual(listener.heard, listeners[0].heard)
                listener.close()
            for channel in CHANNELS:
                heard = listeners[0].heard[channel.encode()]
                for number, own in enumerate(published):
                    self.assertEqual([m for m in heard if m.startswith(b"%d." % number)], own)
            self.assertEqual(cluster.client(0).publish("nobody", "x"), 0)
            cluster.equal_digests()

    def test_a_replica_dies(self) -> None:
        """The others hear what is published on, in one order; one that starts again says nothing twice."""
        with self.cluster().start().ready() as cluster:
            first, second = Listener(cluster, 0, *CHANNELS), Listener(cluster, 1, *CHANNELS)
            with ThreadPoolExecutor(3) as pool:
                running = [pool.submit(publish, cluster, id, id, 100) for id in (0, 1)]
                cluster.kill(2)
                for one in running:
                    one.result()
            self.assertEqual(first.hear(600), second.hear(600))
            self.assertEqual(first.heard, second.heard)
            cluster.start(2).ready()
            third = Listener(cluster, 2, *CHANNELS)
            publish(cluster, 1, 7, 20)
            for listener in (first, second, third):
                listener.hear(listener.count + 60)
            for channel, heard in third.heard.items():
                self.assertEqual(heard, first.heard[channel][-len(heard) :])
                self.assertEqual(len(set(first.heard[channel])), len(first.heard[channel]), "told once")
            for listener in (first, second, third):
                listener.close()

    def test_events_and_settings(self) -> None:
        """The setting is that of all replicas, also after a restart, and each tells its own clients."""
        with self.cluster().start().ready() as cluster:
            cluster.client(1).config_set("notify-keyspace-events", "KEA")
            for id in range(3):
                client = cluster.client(id)
                wait_until("it is set", lambda: client.config_get()["notify-keyspace-events"] == "AKE")  # noqa: B023
            cluster.terminate(2)
            cluster.start(2).ready()
            self.assertEqual(cluster.client(2).config_get("notify*"), {"notify-keyspace-events": "AKE"})
            listeners = [Listener(cluster, id, "news") for id in range(3)]
            cluster.client(0).set("k", "v", px=300)
            for listener in listeners:
                listener.hear(6)
                self.assertEqual(
                    listener.heard[b"__keyspace@0__:k"], [b"set", b"expire", b"expired"], listener.heard
                )
                listener.close()

    def test_seen_after_the_write(self) -> None:
        """Who hears of a write finds it, at any replica."""
        with self.cluster().start().ready() as cluster:
            listeners = [Listener(cluster, id, "news") for id in range(3)]
            writer = cluster.client(0)
            for number in range(50):
                with writer.pipeline(transaction=number % 2 == 0) as pipe:
                    pipe.set("k", number)
                    pipe.publish("news", number)
                    pipe.execute()
                for id, listener in enumerate(listeners):
                    listener.hear(number + 1)
                    self.assertGreaterEqual(int(cluster.client((id + 1) % 3).get("k")), number)
            for listener in listeners:
                listener.close()
