"""Who starts with the wrong folder stops with status 3 and one clear line; the others go on."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path
from random import Random

import redis

from epaxos.service.exit_status import WRONG_DATA
from epaxos.tools.demo import free_base_port
from tests.cluster.case import ClusterTestCase
from tests.cluster.harness import Cluster, wait_until
from tests.cluster.load import Load

FOUNDED = re.compile(r"first start: the cluster has the uuid ([0-9a-f]{32})")


class IdentityCase(ClusterTestCase):
    def assert_wrong(self, cluster: Cluster, id: int, said: str, timeout_s: float = 30) -> None:
        """It ends with status 3, and the only line on stderr that is for people says why."""
        self.assertEqual(cluster.ended(id, timeout_s), WRONG_DATA)
        log = cluster.log(id)
        lines = [line for line in log.splitlines() if line.startswith("epaxos: ")]
        self.assertEqual(len(lines), 1, log)
        self.assertIn(said, lines[0])
        for bad in ("Traceback", "internal error"):
            self.assertNotIn(bad, log)

    def assert_serves(self, cluster: Cluster, *ids: int) -> None:
        for id in ids:
            self.assertIsNone(cluster.processes[id].poll(), cluster.log(id)[-2000:])
            self.assertTrue(cluster.client(id).set(f"key of {id}", "v"))


class FolderTests(IdentityCase):
    def test_a_wiped_folder(self) -> None:
        with self.cluster().start().ready() as cluster:
            for wait_s in (0, 2):  # at once, and when the others have long seen it down
                cluster.kill(1)
                time.sleep(wait_s)
                kept = cluster.folder / "kept"
                cluster.data(1).rename(kept)
                cluster.log_file(1).unlink()
                cluster.start(1)
                self.assert_wrong(cluster, 1, "replica 1 was here before under another uid, says replica")
                self.assert_serves(cluster, 0, 2)
                shutil.rmtree(cluster.data(1))
                kept.rename(cluster.data(1))
                cluster.start(1).ready()
            cluster.equal_digests()

    def test_a_wiped_folder_while_only_one_other_is_up(self) -> None:
        """It never makes a second cluster with it."""
        with self.cluster().start().ready() as cluster:
            cluster.client(0).set("a", "v")
            cluster.kill(1, 2)
            shutil.rmtree(cluster.data(1))
            cluster.log_file(1).unlink()
            cluster.start(1)
            self.assert_wrong(cluster, 1, "was here before under another uid, says replica 0")
            cluster.start(2).ready(0, 2, up=(0, 2))
            self.assertEqual(cluster.client(2).get("a"), b"v")

    def test_a_folder_that_was_put_back(self) -> None:
        """A copy of some time ago: the others know that it has said more."""
        with self.cluster().start().ready() as cluster:
            cluster.client(1).set("a", "1")
            self.assertEqual(cluster.terminate(1), 0)
            old = cluster.folder / "old"
            shutil.copytree(cluster.data(1), old)
            cluster.start(1).ready()
            for number in range(20):
                cluster.client(1).set(f"k{number}", "v")
            time.sleep(2)  # its number of writes is told every now and then
            cluster.kill(1)
            shutil.rmtree(cluster.data(1))
            old.rename(cluster.data(1))
            cluster.log_file(1).unlink()
            cluster.start(1)
            self.assert_wrong(cluster, 1, "this folder is older than what it has said: replica")
            self.assert_serves(cluster, 0, 2)

    def test_a_cluster_of_the_same_name(self) -> None:
        with self.cluster().start().ready() as cluster, self.cluster().start().ready() as other:
            other.kill(0, 1, 2)
            cluster.kill(2)
            shutil.rmtree(cluster.data(2))
            shutil.copytree(other.data(2), cluster.data(2))
            cluster.log_file(2).unlink()
            cluster.start(2)
            self.assert_wrong(cluster, 2, "is of another cluster that has the name 'example' as well: its")
            self.assert_serves(cluster, 0, 1)

    def test_another_replicas_folder(self) -> None:
        """This is seen before anybody is asked."""
        with self.cluster().start().ready() as cluster:
            cluster.kill(1, 2)
            shutil.rmtree(cluster.data(2))
            cluster.data(1).rename(cluster.data(2))
            cluster.log_file(2).unlink()
            cluster.start(2)
            self.assert_wrong(cluster, 2, "it belongs to replica 1, not to replica 2")


class FolderOverUdpTests(FolderTests):
    transport = "udp"


class CopyTests(IdentityCase):
    def moved(self, cluster: Cluster, id: int, data: Path) -> list[str]:
        """The command line of a process with the number `id`, another folder, and other ports."""
        text = cluster.config.read_text()
        base, other = cluster.redis_ports[0] - 100, free_base_port(1)
        for port, new in ((base + id, other), (base + 100 + id, other + 1), (base + 200 + id, other + 2)):
            text = text.replace(f":{port}:", f":{new}:").replace(f":{port}\n", f":{new}\n")
        config = cluster.folder / "moved.ini"
        config.write_text(text.replace(f"data/{id}", str(data)))
        return [*cluster.command(id)[:-1], str(config)]

    def run_moved(self, cluster: Cluster, id: int, data: Path) -> subprocess.Popen[bytes]:
        command = self.moved(cluster, id, data)
        with cluster.log_file(id).open("ab") as log:
            process = subprocess.Popen(command, cwd=cluster.folder, stdout=log, stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_a_copy_beside_the_original(self) -> None:
        """Nobody can tell which one is right, so both stop; started alone, one is taken."""
        with self.cluster().start().ready() as cluster:
            cluster.client(2).set("a", "v")
            copy = cluster.folder / "copy"
            shutil.copytree(cluster.data(2), copy)
            second = self.run_moved(cluster, 2, copy)
            self.assertEqual(second.wait(30), WRONG_DATA)
            self.assertEqual(cluster.ended(2, 30), WRONG_DATA)
            lines = [line for line in cluster.log(2).splitlines() if line.startswith("epaxos: ")]
            self.assertEqual(len(lines), 2, lines)
            for line in lines:
                self.assertIn("another process has the uid of this folder", line)
            self.assert_serves(cluster, 0, 1)
            cluster.start(2).ready()
            cluster.equal_digests()

    def test_a_second_process_with_a_folder_of_its_own(self) -> None:
        """It is in no list, so it never votes; the first one goes on."""
        with self.cluster().start().ready() as cluster:
            cluster.client(0).set("a", "v")
            second = self.run_moved(cluster, 2, cluster.folder / "other")
            self.assertEqual(second.wait(30), WRONG_DATA)
            self.assertIn("replica 2 was here before under another uid", cluster.log(2))
            self.assert_serves(cluster, 0, 1, 2)

    def test_the_same_folder_twice(self) -> None:
        """Its lock keeps the second process out; a restart may help it, so its status is 1."""
        with self.cluster(1).start().ready() as cluster:
            second = self.run_moved(cluster, 0, cluster.data(0))
            self.assertEqual(second.wait(30), 1)
            self.assertIn("is in use by another process", cluster.log(0))
            self.assert_serves(cluster, 0)


class FirstStartTests(IdentityCase):
    def test_it_waits_for_all(self) -> None:
        """Until the last one is there nobody serves, and the others say for whom they wait."""
        with self.cluster().start(0, 1) as cluster:
            waits = "waits for replica 2: at the first start every member has to be there"
            for id in (0, 1):
                wait_until("it says so", lambda id=id: waits in cluster.log(id))
                with self.assertRaises(redis.RedisError) as refusal:
                    cluster.client(id).set("too", "early")
                self.assertIn("the replica does not run", str(refusal.exception))
                up = [member["id"] for member in cluster.status(id)["members"] if member["up"]]
                self.assertEqual(up, [id])
            cluster.start(2).ready()
            self.assert_serves(cluster, 0, 1, 2)
            cluster.kill(1)
            cluster.kill(2)
            cluster.start(2).ready(0, 2)
            self.assert_serves(cluster, 0, 2)  # from now on a majority is enough

    def test_killed_while_it_founds(self) -> None:
        """At any moment, again and again: in the end there is one cluster, with all members."""
        random = Random(15)
        with self.cluster() as cluster:
            for _ in range(8):
                running = [id for id in range(3) if id in cluster.processes]
                cluster.start(*(id for id in range(3) if id not in running))
                time.sleep(random.uniform(0.2, 1.2))
                for id in random.sample(range(3), random.choice((1, 2, 3))):
                    self.assertIsNone(cluster.processes[id].poll(), cluster.log(id)[-2000:])
                    cluster.kill(id)
            cluster.start(*(id for id in range(3) if id not in cluster.processes))
            cluster.ready()
            self.assert_serves(cluster, 0, 1, 2)
            uuids = {found for id in range(3) for found in FOUNDED.findall(cluster.log(id))}
            self.assertEqual(len(uuids), 1)
            cluster.equal_digests()

    def test_memory_alone(self) -> None:
        """A restart of a replica that keeps nothing is that of a wiped folder."""
        settings = "[storage]\nengine = memory\n"
        with self.cluster(settings=settings).start().ready() as cluster:
            self.assert_serves(cluster, 0, 1, 2)
            cluster.kill(1)
            cluster.log_file(1).unlink()
            cluster.start(1)
            self.assert_wrong(cluster, 1, "replica 1 was here before under another uid")
            self.assert_serves(cluster, 0, 2)


class FirstStartOverUdpTests(FirstStartTests):
    transport = "udp"


class UnderLoadTests(IdentityCase):
    def test_killed_and_back(self) -> None:
        """What is checked at each start refuses nobody who is right."""
        with self.cluster().start().ready() as cluster:
            with Load(dict(enumerate(cluster.redis_ports))) as load:
                load.wait_for_more(20, 0, 1, 2)
                for round in range(6):
                    cluster.kill(round % 3)
                    cluster.start(round % 3).ready()
                    load.wait_for_more(20, 0, 1, 2)
            cluster.equal_digests()
            self.assertEqual(load.missing(cluster.client(0)), [])
            for id in range(3):
                for said in ("refused: ", "another uid", "older than", "another process"):
                    self.assertNotIn(said, cluster.log(id))


class UnderLoadOverUdpTests(UnderLoadTests):
    transport = "udp"
