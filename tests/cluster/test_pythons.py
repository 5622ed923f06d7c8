"""Replicas of one cluster on several Pythons, and so on both bindings of LevelDB."""

from __future__ import annotations

import subprocess
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.cluster.harness import TWISTD, Cluster

ROOT = Path(__file__).parents[2]
WRITE_S = 60.0
"""How long a megabyte may take: a machine with other work may not run a process for long."""
ASK = """
import sys, epaxos.service.assembly
from epaxos.storage.leveldb import engine
print(sys.version_info[1], engine.NAME)
"""


def environments() -> dict[str, str]:
    """An interpreter for each binding, from the environments of the Makefile."""
    found: dict[str, str] = {}
    for interpreter in sorted(ROOT.glob(".venv*/bin/python")):
        done = subprocess.run(
            [str(interpreter), "-c", ASK], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        if done.returncode == 0:
            found.setdefault(done.stdout.split()[1], str(interpreter))
    return found


class Mixed(Cluster):
    """A cluster in which each replica has an interpreter of its own."""

    interpreters: list[str]

    def command(self, id: int) -> list[str]:
        """See Cluster."""
        return [self.interpreters[id], *TWISTD[1:], *super().command(id)[len(TWISTD) :]]


class PythonTests(SynchronousTestCase):
    def test_a_cluster_of_both_that_changes_over(self) -> None:
        """They understand each other, and each opens the files of the other."""
        found = environments()
        if len(found) < 2:
            raise SkipTest("there is no environment with the other binding: `make pythons` makes them")
        one, other = found["plyvel"], found["plyvel_next"]
        with Mixed(3) as cluster:
            for number, cluster.interpreters in enumerate(([one, other, one], [other, one, other]), 1):
                cluster.start().ready()
                for id in range(3):
                    self.assertEqual(cluster.client(id).incr("visits"), 3 * (number - 1) + id + 1)
                    with cluster.client(id, WRITE_S).pipeline(transaction=False) as pipeline:
                        for key in range(500):
                            pipeline.set(f"{number} {id} {key}", "x" * 2000)
                        pipeline.execute()
                cluster.equal_digests()
                for id in range(3):
                    if id == number:
                        cluster.kill(id)
                    else:
                        self.assertEqual(cluster.terminate(id), 0)
            cluster.start().ready()
            self.assertEqual(cluster.client(1).dbsize(), 3001)
            cluster.equal_digests()
