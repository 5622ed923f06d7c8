"""Turns of the epoch in real clusters: under load, around a death, and what an operator sees of them."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import redis

from tests.cluster.case import ClusterTestCase
from tests.cluster.harness import Cluster, wait_until
from tests.cluster.load import Load
from tests.ctl.fake import run_process


class TurnTests(ClusterTestCase):
    timeout = 180

    def ctl(self, cluster: Cluster, id: int, *options: str) -> subprocess.CompletedProcess[str]:
        """`epaxosctl turn` at the replica."""
        return run_process("--at", f"127.0.0.1:{cluster.redis_ports[id]}", "turn", *options)

    def epochs(self, cluster: Cluster, *ids: int) -> list[dict[str, Any]]:
        return [cluster.status(id)["epoch"] for id in ids or range(cluster.n)]

    def turn(self, cluster: Cluster, id: int, number: int) -> None:
        """Let epoch `number` begin, once every member is in the one before."""

        def may_begin() -> bool:
            every = self.epochs(cluster)
            return all(each["settled"] and each["number"] == number - 1 for each in every)

        wait_until(f"every member is in epoch {number - 1}", may_begin)
        self.assertEqual(cluster.client(id).execute_command("EPAXOS", "TURN"), number)

    def settled(self, cluster: Cluster, number: int) -> None:
        def are_there() -> bool:
            return all(each["number"] == number and each["settled"] for each in self.epochs(cluster))

        wait_until(f"every member is in epoch {number}, and knows it of the others", are_there)

    def check(self, cluster: Cluster, load: Load) -> None:
        cluster.equal_digests()
        for id in range(cluster.n):
            self.assertEqual(load.missing(cluster.client(id)), [], f"seen at replica {id}")
            for bad in ("Traceback", "internal error", "not a frame", "unknown kind"):
                self.assertNotIn(bad, cluster.log(id))

    def load(self, cluster: Cluster) -> Load:
        return Load(dict(enumerate(cluster.redis_ports)), clients=2)

    def test_under_load(self) -> None:
        """No client notices it, and nothing that was acknowledged is lost."""
        with self.cluster().start().ready() as cluster:
            with self.load(cluster) as load:
                load.wait_for_more(20, 0, 1, 2)
                for number in range(1, 7):
                    self.turn(cluster, number % 3, number)
                    load.wait_for_more(10, 0, 1, 2)
                self.assertEqual([writer.refused for writer in load.writers], [[]] * 6)
            self.settled(cluster, 6)
            self.check(cluster, load)

    def test_killed_around_a_turn(self) -> None:
        """The one that is killed misses the end of the epoch, or not; it is back, and follows."""
        with self.cluster().start().ready() as cluster:
            with self.load(cluster) as load:
                load.wait_for_more(20, 0, 1, 2)
                for number in range(1, 5):
                    dead, asked = number % 3, (number + 1) % 3
                    self.turn(cluster, asked, number)
                    cluster.kill(dead)
                    load.wait_for_more(10, *({0, 1, 2} - {dead}))
                    cluster.start(dead).ready()
                    load.wait_for_more(10, 0, 1, 2)
                    self.settled(cluster, number)
            self.check(cluster, load)

    def test_with_one_down_and_with_two(self) -> None:
        """A majority is enough, and less is refused."""
        with self.cluster().start().ready() as cluster:
            cluster.client(0).set("a", "v")
            cluster.kill(2)
            cluster.sees_down(0, 2)
            self.assertEqual(cluster.client(0).execute_command("EPAXOS", "TURN"), 1)
            self.assertTrue(cluster.client(1).set("b", "v"))
            cluster.kill(1)
            cluster.sees_down(0, 1)
            refused = "no majority of the members is connected"
            with self.assertRaisesRegex(redis.ResponseError, refused):
                cluster.client(0).execute_command("EPAXOS", "TURN")
            done = self.ctl(cluster, 0)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn(refused, done.stderr)
            self.assertEqual([each["number"] for each in self.epochs(cluster, 0)], [1])
            cluster.start(1, 2).ready()
            self.settled(cluster, 1)
            self.turn(cluster, 0, 2)
            self.settled(cluster, 2)
            cluster.equal_digests()

    def test_in_memory_every_member_has_to_be_there(self) -> None:
        """Nobody could give it the state."""
        with self.cluster(3, "[storage]\nengine = memory\n").start().ready() as cluster:
            self.turn(cluster, 0, 1)
            self.settled(cluster, 1)
            cluster.kill(2)
            cluster.sees_down(0, 2)
            refused = "replica 2 is not connected, and could not come back, as nothing is kept on disk"
            with self.assertRaisesRegex(redis.ResponseError, refused):
                cluster.client(0).execute_command("EPAXOS", "TURN")
            self.assertIn("the others keep all that it misses", cluster.log(0))

    def test_what_the_operator_sees(self) -> None:
        with self.cluster().start().ready() as cluster:
            done = self.ctl(cluster, 1, "--json")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual(json.loads(done.stdout), {"epoch": 1, "version": 2})
            self.settled(cluster, 1)
            done = self.ctl(cluster, 2)
            self.assertEqual(
                (done.returncode, done.stdout),
                (0, "epoch 2 has begun, and is safe; the cluster is at version 2\n"),
            )
            for id in range(3):
                wait_until("it is in the log", lambda id=id: f"replica {id} opens epoch 2" in cluster.log(id))

    def test_all_restarted(self) -> None:
        """After a clean stop and after a kill, they go on in the epoch in which they were."""
        with self.cluster().start().ready() as cluster:
            cluster.client(0).set("a", "v")
            self.turn(cluster, 0, 1)
            self.settled(cluster, 1)
            cluster.client(1).set("b", "v")
            for id in range(3):
                self.assertEqual(cluster.terminate(id), 0)
            cluster.start().ready()
            self.settled(cluster, 1)
            self.turn(cluster, 2, 2)
            cluster.kill(0, 1, 2)
            cluster.start().ready()
            self.settled(cluster, 2)
            self.assertEqual(cluster.client(2).mget("a", "b"), [b"v", b"v"])
            cluster.equal_digests()


class TurnOverUdpTests(TurnTests):
    transport = "udp"
