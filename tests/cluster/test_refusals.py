"""A replica that cannot start says why in one line, on stderr and in its log, and ends with status 1."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from functools import partial

import redis
from twisted.trial.unittest import SynchronousTestCase

from epaxos.service.exit_status import FAILED, WRONG_DATA
from tests.cluster.harness import TWISTD, Cluster, wait_until


class RefusalTests(SynchronousTestCase):
    def run_replica(
        self, cluster: Cluster, *options: str, twistd: tuple[str, ...] = ("-n",)
    ) -> tuple[int, str, str]:
        """Run a replica.  Its exit status, its stdout, which is the log, and its stderr."""
        command = [*TWISTD, *twistd, "epaxos", *options]
        done = subprocess.run(command, cwd=cluster.folder, capture_output=True, text=True, timeout=30)
        return done.returncode, done.stdout, done.stderr

    def refused(self, cluster: Cluster, id: int = 0, expected: int = FAILED) -> tuple[str, str]:
        """Run a replica that must refuse to start.  Its one line on stderr, and its log."""
        status, log, errors = self.run_replica(cluster, "--id", str(id), "--config", str(cluster.config))
        self.assertEqual(status, expected, log + errors)
        self.assertNotIn("Traceback", log + errors)
        self.assertEqual(errors.count("\n"), 1, errors)
        return errors, log

    def test_a_wrong_configuration(self) -> None:
        """The process prints the error and ends.  All kinds of errors are in tests/service/test_tap.py."""
        with Cluster() as cluster:
            good = cluster.config.read_text()
            for wrong, said in (
                (good + "[timing]\nheartbeet_s = 1\n", "heartbeat_s"),
                (good.replace("name = example", "name = example\nstate_machine = abacus"), "abacus"),
            ):
                cluster.config.write_text(wrong)
                errors, _ = self.refused(cluster)
                self.assertIn("cluster.ini", errors)
                self.assertIn(said, errors)

    def test_an_id_that_is_not_there(self) -> None:
        with Cluster() as cluster:
            self.assertIn("[replica 3]", self.refused(cluster, 3)[0])

    def test_a_port_that_is_taken(self) -> None:
        with Cluster() as cluster:
            for port in (cluster.redis_ports[1], cluster.status_ports[1], cluster.redis_ports[1] - 100):
                with socket.create_server(("127.0.0.1", port)):
                    errors, log = self.refused(cluster, 1)
                    for said in (errors, log):
                        self.assertIn(f"cannot listen on 127.0.0.1:{port}: Address already in use", said)

    def test_the_data_of_another(self) -> None:
        with Cluster() as cluster:
            cluster.start().ready().client(0).set("a", "b")
            for id in range(3):
                self.assertEqual(cluster.terminate(id), 0)
            text = cluster.config.read_text()
            for mine, other, said in (
                ("data/0", "data/1", "replica"),
                ("name = example", "name = elsewhere", "example"),
                ("name = example", "name = example\nstate_machine = printer", "kv"),
            ):
                swapped = text.replace(mine, "\0").replace(other, mine).replace("\0", other)
                cluster.config.write_text(swapped)
                errors, log = self.refused(cluster, 0, WRONG_DATA)
                self.assertIn(said, errors)
                self.assertIn(errors.partition(": ")[2].strip(), log)
            cluster.config.write_text(text)
            cluster.start().ready()
            self.assertEqual(cluster.client(2).get("a"), b"b")

    def test_a_data_folder_in_use(self) -> None:
        """A second process does no harm to the replica that runs."""
        with Cluster() as cluster:
            cluster.start().ready()
            before = cluster.status(0)["next_slot"]
            errors, _ = self.refused(cluster, 0)
            self.assertIn("data/0", errors)
            self.assertTrue(cluster.client(0).set("a", "b"))
            self.assertGreaterEqual(cluster.status(0)["next_slot"], before)

    def test_a_daemon_that_cannot_start(self) -> None:
        """The caller gets a status and a line."""
        with Cluster() as cluster, socket.create_server(("127.0.0.1", cluster.redis_ports[0])):
            options = ("--id", "0", "--config", str(cluster.config))
            status, _, errors = self.run_replica(cluster, *options, twistd=())
            self.assertEqual(status, 1)
            self.assertIn("cannot listen on", errors)
            self.assertNotIn("Traceback", errors)
            self.assertIn("Address already in use", (cluster.folder / "epaxos-0.log").read_text())
            pid_file = cluster.folder / "epaxos-0.pid"  # the daemon removes it when it ends
            wait_until("the pid file is gone", lambda: not pid_file.exists())

    def serves(self, cluster: Cluster, id: int) -> bool:
        """Whether the replica, of which the cluster has no process, takes commands."""
        try:
            return cluster.client(id).get("a") is None
        except (redis.ConnectionError, redis.ResponseError):
            return False

    def test_daemons(self) -> None:
        """Three daemons, started in one folder and stopped by SIGTERM."""
        with Cluster() as cluster:
            pids = []
            try:
                for id in range(3):
                    status, _, errors = self.run_replica(
                        cluster, "--id", str(id), "--config", str(cluster.config), twistd=()
                    )
                    self.assertEqual((status, errors), (0, ""))
                    pid_file = cluster.folder / f"epaxos-{id}.pid"
                    pids.append(int(wait_until("the pid file is there", lambda f=pid_file: f.read_text())))
                for id in range(3):  # each serves from the moment on at which the cluster is founded
                    wait_until(f"replica {id} serves", partial(self.serves, cluster, id))
                self.assertTrue(cluster.client(2).set("a", "b"))
                self.assertEqual(cluster.client(1).get("a"), b"b")
            finally:
                for pid in pids:
                    os.kill(pid, signal.SIGTERM)
            wait_until("they are gone", lambda: not list(cluster.folder.glob("*.pid")))
