"""docs: operating/disk-and-memory, "Backups": the folders of all members, copied while none of them runs."""

from __future__ import annotations

import shutil
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.cluster.harness import Cluster

MEMBERS = (0, 1, 2)


class BackupTests(SynchronousTestCase):
    timeout = 120

    def stop(self, cluster: Cluster, *ids: int) -> None:
        for id in ids:
            self.assertEqual(cluster.terminate(id), 0)

    def put_back(self, cluster: Cluster, backup: Path, *ids: int) -> None:
        for id in MEMBERS:
            shutil.rmtree(cluster.data(id))
        for id in ids:
            shutil.copytree(backup / str(id), cluster.data(id))

    def test_back_to_a_backup(self) -> None:
        backup = Path(self.mktemp())
        with Cluster(3) as cluster:
            cluster.start().ready()
            for id in MEMBERS:
                cluster.client(id).incr("n")
            self.stop(cluster, *MEMBERS)
            for id in MEMBERS:
                shutil.copytree(cluster.data(id), backup / str(id))

            cluster.start().ready()
            self.assertEqual(cluster.client(0).incr("n"), 4)
            self.stop(cluster, *MEMBERS)
            self.put_back(cluster, backup, *MEMBERS)
            cluster.start().ready()
            self.assertEqual(cluster.client(1).incr("n"), 4, "the first 4 came after the backup")

            # A majority of the folders is enough.
            self.stop(cluster, *MEMBERS)
            self.put_back(cluster, backup, 0, 1)
            cluster.start(0, 1).ready(0, 1, up=(0, 1))
            self.assertEqual(cluster.client(1).get("n"), b"3")
            self.assertEqual(cluster.client(0).incr("n"), 4)
