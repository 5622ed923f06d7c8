"""A disk that does not answer, under a real replica."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from threading import Thread

import redis
from twisted.trial.unittest import SynchronousTestCase

from tests.builds import plain_only
from tests.cluster.harness import Cluster, wait_until

ROOT = Path(__file__).resolve().parents[2]


def source_that_hangs(folder: Path) -> Path:
    """A copy of epaxos whose store writes only in its thread, and hangs there as long as a file `hang` exists
    in the data folder."""
    shutil.copytree(ROOT / "epaxos", folder / "epaxos")
    for name, old, new in (
        ("store.py", "or in_thread or not (", "or True or in_thread or not ("),
        (
            "writer.py",
            "        sync = sync and self._sync\n",
            "        while (self._database.parent / 'hang').exists():\n"
            "            __import__('time').sleep(0.02)\n"
            "        sync = sync and self._sync\n",
        ),
    ):
        path = folder / "epaxos" / "storage" / "leveldb" / name
        text = path.read_text()
        assert text.count(old) == 1, name
        path.write_text(text.replace(old, new))
    return folder


@plain_only
class HangingDiskTests(SynchronousTestCase):
    def test_one_of_three_hangs_and_answers_again(self) -> None:
        source = source_that_hangs(Path(self.mktemp()).resolve())
        with Cluster(source=source).start().ready() as cluster:
            self.assertTrue(cluster.client(0).set("a", "1"))
            hang = cluster.data(0) / "hang"
            hang.touch()
            told: list[str] = []

            def write() -> None:
                """A write that is decided on the fast path, and of which no other replica hears."""
                try:
                    cluster.client(0).set("a", "2")
                except redis.RedisError as error:
                    told.append(str(error))

            under_way = Thread(target=write)
            under_way.start()
            wait_until("it says so", lambda: "is silent until it does" in cluster.log(0))
            begin = time.monotonic()
            refused = self.assertRaises(redis.RedisError, cluster.client(0).set, "b", "1")
            self.assertLess(time.monotonic() - begin, 2)
            self.assertIn("the disk of this replica does not answer; the command was not run", str(refused))

            def barrier() -> bool:
                try:
                    return cluster.client(1).dbsize() >= 1
                except redis.RedisError:
                    return False

            wait_until("a barrier is served by the others", barrier)
            self.assertEqual(cluster.client(2).get("a"), cluster.client(1).get("a"))
            under_way.join()
            if told:
                self.assertIn("does not answer; the command may still run", told[0])
            self.assertIsNone(cluster.processes[0].poll())
            hang.unlink()
            wait_until("it goes on", lambda: "the disk answers again: replica 0 goes on" in cluster.log(0))
            cluster.ready()
            self.assertEqual(cluster.client(0).get("a"), cluster.client(1).get("a"))
            self.assertTrue(cluster.client(0).set("b", "2"))
            self.assertEqual(cluster.log(0).count("is silent until it does"), 1)
