"""EPAXOS ONCE at real replicas: over kills, restarts, turns of the epoch and taken states."""

from __future__ import annotations

import shutil
from pathlib import Path
from unittest import SkipTest

import redis
from twisted.trial.unittest import SynchronousTestCase

from tests.cluster.harness import Cluster, wait_until
from tests.cluster.once import SETTINGS, count
from tests.cluster.pages import Shell, matches, steps, with_ports

PAGE = Path(__file__).parents[2] / "docs" / "using" / "exactly-once.md"


class OnceTests(SynchronousTestCase):
    timeout = 300

    def test_every_number_counts_once_while_replicas_are_killed(self) -> None:
        with Cluster(3, SETTINGS).start().ready() as cluster:
            counted = count(cluster, 30)
            self.assertTrue(counted.is_exact, str(counted))
            self.assertGreater(counted.kills, 5)
            self.assertGreater(counted.sent, len(counted.replies), "no number was sent twice")

    def test_a_reply_is_kept_over_a_restart_and_a_turn(self) -> None:
        with Cluster(3).start().ready() as cluster:
            session = cluster.client(0).execute_command("EPAXOS", "SESSION")
            once = ("EPAXOS", "ONCE", session, 1, 0, "INCR", "a")
            self.assertEqual(cluster.client(0).execute_command(*once), 1)
            self.assertEqual(cluster.client(1).execute_command(*once), 1)
            cluster.kill(0, 1, 2)
            cluster.start().ready()
            self.assertEqual(cluster.client(2).execute_command(*once), 1)
            cluster.kill(2)
            cluster.sees_down(0, 2)
            for _ in range(2):
                cluster.client(0).execute_command("EPAXOS", "TURN")
            cluster.start(2).ready()
            cluster.settled()
            self.assertEqual(cluster.client(2).execute_command(*once), 1)
            self.assertEqual(cluster.client(2).get("a"), b"1")
            cluster.equal_digests()

    def test_an_idle_session_ends(self) -> None:
        with Cluster(3, "\n[limits]\nsession_timeout_s = 2\n").start().ready() as cluster:
            client = cluster.client(1)
            session = client.execute_command("EPAXOS", "SESSION")
            once = ("EPAXOS", "ONCE", session, 1, 0, "INCR", "a")
            before = cluster.equal_digests()[0]["digest"]
            cluster.kill(0)
            wait_until(
                "another replica than the lowest ends it",
                lambda: cluster.status(1, True)["digest"] == cluster.status(2, True)["digest"] != before,
            )
            with self.assertRaises(redis.ResponseError) as refusal:
                client.execute_command(*once)
            self.assertEqual(str(refusal.exception).split()[0], "NOSESSION")

    def test_the_page(self) -> None:
        if shutil.which("redis-cli") is None:
            raise SkipTest("there is no redis-cli")
        with Cluster(3).start().ready() as cluster:
            shell = Shell(cluster.folder)
            self.addCleanup(shell.close)
            all_steps = list(steps(PAGE.read_text(encoding="utf-8")))
            for command, expected in all_steps:
                command = command.replace("$(redis-cli ", "$(redis-cli --raw ")  # into a pipe, as it is
                said = shell.run(with_ports(command, cluster))
                self.assertTrue(matches(expected, said), f"{command}\nexpected {expected!r}\nsaid {said!r}")
            self.assertGreater(len(all_steps), 5)
