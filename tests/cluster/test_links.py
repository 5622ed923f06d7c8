"""Links between real replicas, cut, delayed and made to flap."""

from __future__ import annotations

import time
from collections.abc import Sequence

import redis
from twisted.trial.unittest import SynchronousTestCase

from tests.cluster.harness import Cluster, wait_until
from tests.cluster.links import between

SETTINGS = "[limits]\nrequest_timeout_s = 3\n"


class LinkTests(SynchronousTestCase):
    """One cluster for all steps.  Each begins and ends when every replica sees all others."""

    transport = "tcp"
    ways_to_cut: Sequence[str] = ("hold", "lose", "close")

    def test_cut_delayed_and_flapping(self) -> None:
        with Cluster(3, SETTINGS, self.transport, linked=True).start().ready() as cluster:
            for how in self.ways_to_cut:
                self.check_cut(cluster, how)
                cluster.ready()
            self.check_one_way(cluster)
            cluster.ready()
            self.check_delay(cluster)
            self.check_flapping(cluster)
            self.check_loss(cluster)
            cluster.ready()
            cluster.equal_digests()

    def check_cut(self, cluster: Cluster, how: str) -> None:
        """A replica that is cut off can do nothing, the others go on, and all work again when the link is
        healed."""
        links = cluster.links
        links.cut(between([2], [0, 1]), how)
        cluster.sees_down(0, 2)
        cluster.sees_down(2, 0, 1)
        before = links.bytes_passed()
        self.assertTrue(cluster.client(0).set(how, "cut"))
        with self.assertRaises(redis.exceptions.RedisError) as refusal:
            cluster.client(2).get(how)
        self.assertIn("no quorum answered", str(refusal.exception))
        after = links.bytes_passed()
        for pair in between([2], [0, 1]):
            self.assertEqual(before[pair], after[pair], pair)
        links.heal()
        wait_until("the cut off replica is back", lambda: self.gets(cluster, 2, how) == b"cut")

    def gets(self, cluster: Cluster, id: int, key: str) -> bytes | None:
        try:
            return cluster.client(id).get(key)
        except redis.exceptions.RedisError:
            return None

    def check_one_way(self, cluster: Cluster) -> None:
        """Replica 2 hears everything and nobody hears it, so the others hold it for down."""
        cluster.links.cut([(2, 0), (2, 1)])
        cluster.sees_down(0, 2)
        cluster.sees_down(1, 2)
        self.assertTrue(cluster.client(1).set("one way", "through"))
        cluster.links.heal()

    def check_delay(self, cluster: Cluster) -> None:
        """A command waits for the faster of the two others, once the replica knows which one that is."""
        links = cluster.links
        links.delay(between([0], [1]), 100)
        links.delay(between([0], [2]), 400, 50)
        client = cluster.client(0)
        for number in range(5):
            client.set("delayed", number)
        took_s = []
        for number in range(5):
            begin = time.monotonic()
            client.set("delayed", number)
            took_s.append(time.monotonic() - begin)
        self.assertGreater(min(took_s), 0.2)
        self.assertLess(sorted(took_s)[2], 0.6)
        links.calm()

    def check_flapping(self, cluster: Cluster) -> None:
        """A flapping link disturbs no client for long, because there is another majority."""
        client = cluster.client(0)
        for number in range(5):
            cluster.links.cut(between([0], [1]), "close")
            self.assertTrue(client.set("flapping", number))
            cluster.links.heal()
            self.assertTrue(client.set("flapping", number))

    def check_loss(self, cluster: Cluster) -> None:
        """Lost datagrams are sent again, doubled ones do no harm; connections lose nothing."""
        links = cluster.links
        links.lose(links.all, 0.05, 0.1)
        client = cluster.client(2)
        for number in range(20):
            self.assertEqual(client.incr("lossy"), number + 1)
        links.calm()


class UdpLinkTests(LinkTests):
    """The same over UDP, where every cut drops datagrams."""

    transport = "udp"
    ways_to_cut = ("lose",)
