"""A replica that has lost its data, or runs twice, stops with one clear line."""

from __future__ import annotations

import contextlib
import shutil
import subprocess

import redis
from twisted.trial.unittest import SynchronousTestCase

from epaxos.tools.demo import free_base_port
from tests.cluster.harness import Cluster, wait_until


class DoubledTests(SynchronousTestCase):
    def assert_said(self, text: str, said: str) -> None:
        lines = [line for line in text.splitlines() if said in line]
        self.assertTrue(lines, text)
        self.assertNotIn("Traceback", text)
        self.assertNotIn("internal error", text)

    def test_a_wiped_data_folder(self) -> None:
        with Cluster().start().ready() as cluster:
            for number in range(20):
                cluster.client(1).set(f"k{number}", "v")
            cluster.kill(1)
            shutil.rmtree(cluster.data(1))
            cluster.log_file(1).unlink()
            cluster.start(1)
            self.assertEqual(cluster.ended(1), 1)
            self.assert_said(cluster.log(1), "its data was lost or replaced, or another process has its id")
            for id in (0, 2):
                self.assertEqual(cluster.client(id).get("k7"), b"v")

    def test_two_processes_with_the_same_id(self) -> None:
        """The second process has a folder and ports of its own; the others dial the first.  The others decide
        what the second proposes, and then hold slots of its row that the first has never used."""
        with Cluster().start().ready() as cluster:
            cluster.client(0).set("a", "v")
            text = cluster.config.read_text()
            base = cluster.redis_ports[0] - 100
            other = free_base_port(1)
            for port, new in ((base + 2, other), (base + 102, other + 1), (base + 202, other + 2)):
                text = text.replace(f":{port}:", f":{new}:").replace(f":{port}\n", f":{new}\n")
            doubled = cluster.folder / "doubled.ini"
            doubled.write_text(text.replace("data/2", "data/doubled"))
            command = [*cluster.command(2)[:-1], str(doubled)]
            with cluster.log_file(2).open("ab") as log:
                second = subprocess.Popen(command, cwd=cluster.folder, stdout=log, stderr=log)
            try:

                def served() -> bool:
                    """Send it a command.  It does not answer, because it hears no other replica."""
                    with contextlib.suppress(redis.RedisError):
                        redis.Redis(port=other + 1, socket_timeout=0.5).set("b", "w")
                    return second.poll() is not None or cluster.processes[2].poll() is not None

                wait_until("one of the two has stopped", served, 60)
            finally:
                second.kill()
                second.wait()
            self.assertIn(1, (second.returncode, cluster.processes[2].poll()))
            self.assert_said(cluster.log(2), "another process has its id")
            self.assertEqual(cluster.client(1).get("a"), b"v")
