"""Clusters of earlier versions, upgraded one replica after the other, and back, under load.

The older version is built as a wheel from the history of this repository.  Skipped, with a word, where there
is no history, or no pip.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import mkdtemp

import redis
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from epaxos.service.exit_status import REMOVED, WRONG_DATA
from tests.cluster.harness import Cluster
from tests.cluster.load import Load
from tests.test_packaging import ROOT

BEFORE_UIDS = "2425dae"
"""The last revision whose replicas know of no uids."""
BEFORE_CHANGES = "a0b8820"
"""The last revision whose replicas know of epochs, and of no other members in them."""
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q")


def _run(*command: object, folder: Path = ROOT) -> bytes:
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, timeout=300)
    if done.returncode:
        raise SkipTest(f"{command[0]} cannot make the older version: {done.stderr.decode()[-300:]}")
    return done.stdout


@cache
def installed(revision: str) -> Path:
    """A folder with what the wheel of this revision installs."""
    if shutil.which("git") is None:
        raise SkipTest("there is no git")
    folder = Path(mkdtemp(prefix="epaxos-before-"))
    tree = _run("git", "archive", "--format=tar", revision)
    with tarfile.open(fileobj=BytesIO(tree)) as archive:
        archive.extractall(folder / "tree", filter="data")
    _run(*PIP, "wheel", "--no-deps", "--no-index", "--no-build-isolation", "-w", folder, folder / "tree")
    (wheel,) = folder.glob("*.whl")
    _run(*PIP, "install", "--no-deps", "--no-index", "--target", folder / "installed", wheel)
    return folder / "installed"


def before_uids() -> Path:
    """The last version that knows of no uids."""
    return installed(BEFORE_UIDS)


class VersionsCase(SynchronousTestCase):
    def load(self, cluster: Cluster) -> Load:
        return Load(dict(enumerate(cluster.redis_ports)), clients=2)

    def change(self, cluster: Cluster, id: int, source: Path | None, kill: bool = False) -> None:
        """Stop a replica, and start it with another version."""
        if kill:
            cluster.kill(id)
        else:
            self.assertEqual(cluster.terminate(id), 0)
        cluster.use(source)
        cluster.start(id).ready()

    def check(self, cluster: Cluster, load: Load) -> None:
        cluster.equal_digests()
        for id in cluster.members:
            self.assertEqual(load.missing(cluster.client(id)), [], f"seen at replica {id}")
            for bad in ("Traceback", "internal error", "not a frame", "unknown kind"):
                self.assertNotIn(bad, cluster.log(id))


class BeforeUidsTests(VersionsCase):
    def test_an_old_cluster_upgraded_one_by_one(self) -> None:
        """And one put back in between, while its folder is what the old version knows."""
        old = before_uids()
        with Cluster(source=old).start().ready() as cluster:
            with self.load(cluster) as load:
                load.wait_for_more(20, 0, 1, 2)
                for id, source, kill in (
                    (0, None, False),
                    (1, None, True),
                    (1, old, True),
                    (1, None, False),
                    (2, None, True),
                    (0, None, True),
                ):
                    self.change(cluster, id, source, kill)
                    load.wait_for_more(20, 0, 1, 2)
            self.check(cluster, load)

    def test_an_upgraded_cluster_put_back_one_by_one(self) -> None:
        """Its folders are of the same format, and what they hold beside it is ignored by the old version."""
        old = before_uids()
        with Cluster(source=old).start().ready() as cluster:
            with self.load(cluster) as load:
                load.wait_for_more(20, 0, 1, 2)
                for source in (None, old, None):
                    for id in range(3):
                        self.change(cluster, id, source, kill=id == 1)
                        load.wait_for_more(20, 0, 1, 2)
            self.check(cluster, load)

    def test_an_empty_folder_in_an_old_cluster(self) -> None:
        """It waits while the others do not say who they are, and stops once one does."""
        old = before_uids()
        with Cluster(source=old).start().ready() as cluster:
            cluster.client(0).set("a", "v")
            cluster.kill(2)
            shutil.rmtree(cluster.data(2))
            cluster.use(None)
            cluster.start(2)
            self.change_one_beside(cluster)
            self.assertEqual(cluster.ended(2), 3)
            self.assertIn("this folder is empty, and replica 0 has data of this cluster", cluster.log(2))
            self.assertTrue(cluster.client(1).set("b", "v"))

    def change_one_beside(self, cluster: Cluster) -> None:
        self.assertEqual(cluster.terminate(0), 0)
        cluster.start(0).ready(0, up=(0, 1))


class BeforeChangesTests(VersionsCase):
    def test_an_old_cluster_upgraded_and_changed(self) -> None:
        """Its members may change once all of them know how; the old version refuses its folders then."""
        old = installed(BEFORE_CHANGES)
        with Cluster(source=old, room=1).start().ready() as cluster:
            with self.load(cluster) as load:
                load.wait_for_more(20, 0, 1, 2)
                self.assertEqual(cluster.client(0).execute_command("EPAXOS", "TURN"), 1)
                cluster.settled()
                self.change(cluster, 0, None)
                self.change(cluster, 1, None, kill=True)
                load.wait_for_more(20, 0, 1, 2)
                refused = "replica 2 is of a version that knows of no changes of the members"
                with self.assertRaisesRegex(redis.ResponseError, refused):
                    cluster.client(0).execute_command("EPAXOS", "REMOVE", "1")
                self.assertEqual(cluster.client(0).execute_command("EPAXOS", "TURN"), 2)
                cluster.settled()
                self.change(cluster, 1, old)  # the folder is one that the old version knows
                self.change(cluster, 1, None)
                self.change(cluster, 2, None)
                load.wait_for_more(20, 0, 1, 2)
                cluster.join(3, 1)
                self.assertEqual(cluster.change(0, "REPLACE", 2, "BY", 3), [0, 1, 3])
                self.assertEqual(cluster.ended(2, 30), REMOVED)
                cluster.ready()
            cluster.settled()
            self.check(cluster, load)
            self.assertEqual(cluster.terminate(0), 0)
            cluster.use(old)
            cluster.start(0)
            self.assertEqual(cluster.ended(0), WRONG_DATA)
            self.assertIn("it is in storage format 6, and this version knows only", cluster.log(0))


class UpgradeTurnTests(VersionsCase):
    """What is new is served from the turn on that brings the version, and until then one may go back."""

    def test_an_upgrade_under_load(self) -> None:
        old = installed(BEFORE_CHANGES)
        with Cluster(source=old).start().ready() as cluster:
            with self.load(cluster) as load:
                load.wait_for_more(20, 0, 1, 2)
                self.assertEqual(cluster.client(0).execute_command("EPAXOS", "TURN"), 1)
                cluster.settled()
                self.change(cluster, 0, None)
                self.change(cluster, 1, None, kill=True)
                self.refused(cluster, 0, 1)
                self.assertEqual(cluster.client(0).execute_command("EPAXOS", "TURN"), 2)
                cluster.settled()
                self.refused(cluster, 0, 1)  # because one of them is old
                self.change(cluster, 2, None)
                load.wait_for_more(20, 0, 1, 2)
                self.refused(cluster, 0, 1, 2)  # because nobody has asked for it
                for source in (old, None):
                    for id in range(3):
                        self.change(cluster, id, source, kill=id == 2)
                        load.wait_for_more(20, 0, 1, 2)
                self.assertEqual(cluster.client(1).execute_command("EPAXOS", "TURN"), 3)
                cluster.settled()
                sessions = self.served(cluster, 0, 1, 2)
                load.wait_for_more(20, 0, 1, 2)
            self.check(cluster, load)
            self.restarted(cluster, sessions)
            self.assertEqual(cluster.terminate(0), 0)
            cluster.use(old)
            cluster.start(0)
            self.assertEqual(cluster.ended(0), WRONG_DATA)
            self.assertIn("it is in storage format 6, and this version knows only", cluster.log(0))

    def refused(self, cluster: Cluster, *ids: int) -> None:
        for id in ids:
            for command in (("EPAXOS", "SESSION"), ("SET", "k", "v", "EX", "100"), ("EXPIRE", "k", "100")):
                with self.assertRaisesRegex(redis.ResponseError, "needs an upgrade turn: it is of version 2"):
                    cluster.client(id).execute_command(*command)
            self.assertTrue(cluster.client(id).set("k", "v", xx=id > 0))

    def served(self, cluster: Cluster, *ids: int) -> list[str]:
        """A session of each replica, and in each a number that has counted once."""
        sessions = []
        for id in ids:
            client = cluster.client(id)
            session = client.execute_command("EPAXOS", "SESSION")
            for _ in range(2):
                found = client.execute_command("EPAXOS", "ONCE", session, 1, 0, "INCR", f"counter{id}")
                self.assertEqual(found, 1)
            self.assertTrue(client.set(f"brief{id}", "v", ex=1000))
            sessions.append(session)
        return sessions

    def restarted(self, cluster: Cluster, sessions: list[str]) -> None:
        """What it replays has the meaning that it had, and the sessions are there."""
        self.change(cluster, 2, None, kill=True)
        client = cluster.client(2)
        for id, session in enumerate(sessions):
            found = client.execute_command("EPAXOS", "ONCE", session, 1, 0, "INCR", f"counter{id}")
            self.assertEqual(found, 1)
            self.assertGreater(client.ttl(f"brief{id}"), 900)
        cluster.equal_digests()
