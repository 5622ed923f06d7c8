"""docs: operating/backup, in real clusters: backups under load, restored after everything was lost; the
rescue of a survivor's state; copies of all folders."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event, Thread
from typing import Any

import redis
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from epaxos.storage.backup.manifest import MANIFEST
from tests.cluster.harness import TWISTD, Cluster, wait_until
from tests.cluster.load import Load, connect
from tests.cluster.pages import Shell, matches, steps, with_ports
from tests.ctl.fake import run_process
from tests.generated.ctl import BACKUP_FIELDS, RESTORE_FIELDS
from tests.generated.status import names_in

MEMBERS = (0, 1, 2)
PAGE = Path(__file__).parents[2] / "docs" / "operating" / "backup.md"


class Chain(Thread):
    """Writes one key after the other, each at another replica, and each once the one before is acknowledged.

    `acknowledged`: how many of the keys were.
    """

    def __init__(self, ports: list[int]) -> None:
        super().__init__(daemon=True)
        self._clients = [connect(port) for port in ports]
        self._stopped = Event()
        self.acknowledged = 0

    def run(self) -> None:
        """See Thread."""
        while not self._stopped.is_set():
            client = self._clients[self.acknowledged % len(self._clients)]
            client.set(f"chain:{self.acknowledged}", "x")
            self.acknowledged += 1

    def __enter__(self) -> Chain:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self.join(30)

    def held_by(self, client: redis.Redis) -> list[int]:
        """The keys that the cluster of `client` holds."""
        values = client.mget([f"chain:{number}" for number in range(self.acknowledged + 1)])
        return [number for number, value in enumerate(values) if value is not None]


class OnlineCase(SynchronousTestCase):
    timeout = 240

    def ctl(self, *words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = run_process(*words)
        self.assertEqual(done.returncode, code, f"{done.stdout}{done.stderr}")
        return done

    def backup(self, cluster: Cluster, folder: Path, id: int = 0, *options: str) -> dict[str, Any]:
        at = f"127.0.0.1:{cluster.redis_ports[id]}"
        done = self.ctl("--at", at, "--json", "backup", folder, *options)
        document: dict[str, Any] = json.loads(done.stdout)
        self.assertEqual(names_in(document), set(BACKUP_FIELDS))
        return document

    def restore(self, cluster: Cluster, *sources: Path, name: str = "restored") -> dict[str, Any]:
        """New folders for all members, in the place of the old ones."""
        old = cluster.folder / f"old-{name}"
        if not old.exists():
            old.mkdir()
            for id in MEMBERS:
                if cluster.data(id).exists():
                    cluster.data(id).rename(old / str(id))
        words: list[object] = ["--json", "restore", "--name", name]
        for source in sources:
            words += ["--from", source if source.exists() else old / source.name]
        for id in MEMBERS:
            words += ["--data", cluster.data(id)]
        document: dict[str, Any] = json.loads(self.ctl(*words).stdout)
        self.assertEqual(names_in(document), set(RESTORE_FIELDS))
        text = cluster.config.read_text()
        cluster.config.write_text(text.replace("name = example", f"name = {name}"))
        return document


class OnlineTests(OnlineCase):
    def test_under_load_and_everything_lost(self) -> None:
        """The digest is that of the backup, what was acknowledged before is there, and of two writes the
        earlier one, if the later one is."""
        with Cluster(3).start().ready() as cluster:
            folder = cluster.folder / "backup"
            ports = dict(enumerate(cluster.redis_ports))
            with Load(ports, clients=2) as load, Chain(cluster.redis_ports) as chain:
                load.wait_for_more(50)
                before = {writer.name: len(writer.acknowledged) for writer in load.writers}
                chained = chain.acknowledged
                load.forget_gaps()
                made = self.backup(cluster, folder, 1)
                gap_s = load.longest_gap_s(0, 1, 2)
                load.wait_for_more(50)
            self.assertEqual([writer.refused for writer in load.writers], [[]] * len(load.writers))
            self.assertLess(gap_s, 2)
            self.assertGreater(chain.acknowledged, chained + 5)
            self.assertEqual(json.loads(cluster.client(1).execute_command("EPAXOS", "BACKUPS")), [])
            cluster.kill(*MEMBERS)
            for id in MEMBERS:
                shutil.rmtree(cluster.data(id))

            self.restore(cluster, folder)
            cluster.start().ready()
            self.assertEqual({each["digest"] for each in cluster.equal_digests()}, {made["digest"]})
            client = cluster.client(2)
            held = chain.held_by(client)
            self.assertEqual(held, list(range(len(held))), "nothing is there without what came before it")
            self.assertGreaterEqual(len(held), chained)
            for writer in load.writers:
                keys = [writer.key(number) for number in writer.acknowledged[: before[writer.name]]]
                self.assertNotIn(None, client.mget(keys), "acknowledged before the backup was asked for")
            for id in MEMBERS:
                self.assertEqual(cluster.client(id).incr("again"), id + 1)
            second = self.backup(cluster, cluster.folder / "second", 2)
            self.assertEqual((second["cluster"], second["epoch"]), ("restored", 1))

    def test_in_the_data_folder(self) -> None:
        """It stays as it is: over a new base, a death, and a restart; then the files of the state are its."""
        with Cluster(3, "[storage]\ncheckpoint_s = 0.1\n").start().ready() as cluster:
            client = cluster.client(0)
            for number in range(100):
                client.set(f"key {number}", b"1" * 1000)
            made = json.loads(client.execute_command("EPAXOS", "BACKUP", "one"))
            kept = cluster.data(0) / "backups" / "one"
            files = {path.name: path.read_bytes() for path in kept.iterdir()}
            self.assertEqual({path.stat().st_nlink for path in kept.glob("*.log")}, {2})
            for number in range(100):
                client.set(f"key {number}", b"2" * 100_000)
            state = cluster.data(0) / "state"
            wait_until("a new base is there", lambda: not (state / "0.log").exists())
            self.assertEqual({path.stat().st_nlink for path in kept.glob("*.log")}, {1})
            cluster.kill(0)
            cluster.start(0).ready(0, up=MEMBERS).settled()
            again = json.loads(cluster.client(0).execute_command("EPAXOS", "BACKUP", "two"))
            listed = json.loads(cluster.client(0).execute_command("EPAXOS", "BACKUPS"))
            self.assertEqual([each["name"] for each in listed], ["one", "two"])
            self.assertEqual(listed, [made, again])
            self.assertEqual({path.name: path.read_bytes() for path in kept.iterdir()}, files)
            with self.assertRaisesRegex(redis.ResponseError, "there is a backup one already"):
                cluster.client(0).execute_command("EPAXOS", "BACKUP", "one")
            with self.assertRaisesRegex(redis.ResponseError, "the name of a backup is 1 to 64 letters"):
                cluster.client(0).execute_command("EPAXOS", "BACKUP", "../one")
            with self.assertRaisesRegex(redis.ResponseError, "value is not an integer"):
                cluster.client(0).execute_command("EPAXOS", "BACKUP-READ", "one", "0.log", "-1", "5")
            self.assertEqual(cluster.client(0).execute_command("EPAXOS", "BACKUP-DELETE", "two"), b"OK")
            for id in MEMBERS:
                self.assertEqual(cluster.terminate(id), 0)
            aside = cluster.folder / "aside"
            shutil.copytree(kept, aside)
            self.restore(cluster, aside)
            cluster.start().ready()
            self.assertEqual({each["digest"] for each in cluster.equal_digests()}, {made["digest"]})
            self.assertEqual(cluster.client(1).get("key 7"), b"1" * 1000)

    def test_interrupted(self) -> None:
        """`epaxosctl backup` is killed, again and again, and goes on where it was."""
        with Cluster(3).start().ready() as cluster:
            client = cluster.client(0)
            for number in range(40):
                client.set(f"key {number}", os.urandom(1_000_000))
            folder = cluster.folder / "backup"
            at = ("--at", f"127.0.0.1:{cluster.redis_ports[0]}")
            words = [sys.executable, "-m", "epaxos.ctl", *at, "backup", str(folder), "--keep"]

            def taken() -> int:
                return sum(path.stat().st_size for path in folder.glob("*.*") if path.suffix != ".json")

            kills = 0
            while not (folder / MANIFEST).exists():
                before = taken()
                process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
                while process.poll() is None and taken() < before + 6_000_000:
                    time.sleep(0.002)
                kills += process.poll() is None
                process.kill()
                process.wait()
            self.assertGreater(kills, 2)
            self.assertEqual(len(json.loads(client.execute_command("EPAXOS", "BACKUPS"))), 1, "it was one")
            done = self.ctl(*at, "backup", folder, code=1)
            self.assertIn("holds a complete backup already", done.stderr)
            digest = cluster.status(0, digest=True)["digest"]
            cluster.kill(*MEMBERS)
            self.restore(cluster, folder)
            cluster.start().ready()
            self.assertEqual({each["digest"] for each in cluster.equal_digests()}, {digest})

    def test_another_state_machine(self) -> None:
        with Cluster(3) as cluster:
            text = cluster.config.read_text()
            cluster.config.write_text(text.replace("[cluster]\n", "[cluster]\nstate_machine = printer\n"))
            cluster.start().ready()
            for number in range(5):
                cluster.client(number % 3).execute_command("PRINT", f"key {number}", "text")
            folder = cluster.folder / "backup"
            made = self.backup(cluster, folder)
            self.assertEqual(made["state_machine"], "printer")
            cluster.kill(*MEMBERS)
            document = self.restore(cluster, folder)
            self.assertEqual((document["state_machine"], document["digest"]), ("printer", made["digest"]))
            cluster.start().ready()
            self.assertEqual({each["digest"] for each in cluster.equal_digests()}, {made["digest"]})

    def test_nothing_is_kept(self) -> None:
        with Cluster(3, "[storage]\nengine = memory\n").start().ready() as cluster:
            at = f"127.0.0.1:{cluster.redis_ports[0]}"
            done = self.ctl("--at", at, "backup", cluster.folder / "backup", code=1)
            self.assertIn("with engine = memory nothing is kept that could be backed up", done.stderr)
            with self.assertRaisesRegex(redis.ResponseError, "there are no backups: nothing is kept"):
                cluster.client(0).execute_command("EPAXOS", "BACKUP-DELETE", "one")


class RescueTests(OnlineCase):
    """docs: operating/backup, "When the majority is lost"."""

    def test_a_survivor(self) -> None:
        """Two folders are lost; the third one was killed, started once more, and stopped."""
        with Cluster(3).start().ready() as cluster:
            for number in range(300):
                cluster.client(number % 3).set(f"key {number}", number)
            self.backup(cluster, cluster.folder / "backup")  # an epoch ends
            for number in range(300, 400):
                cluster.client(number % 3).set(f"key {number}", number)
            digest = cluster.equal_digests()[0]["digest"]
            held = lambda: cluster.status(1)["counters"]["instances_held"]  # noqa: E731
            wait_until("what was run is durable, so a kill takes nothing of it", lambda: not held())
            refused = self.ctl(
                *("restore", "--from", cluster.data(0), "--name", "new", "--data", cluster.folder / "new"),
                code=1,
            )
            self.assertIn("is in use by another process", refused.stderr)
            cluster.kill(*MEMBERS)
            for id in (0, 2):
                shutil.rmtree(cluster.data(id))
            cluster.start(1)
            wait_until("replica 1 goes on", lambda: cluster.log(1).count("goes on from its disk"))
            self.assertEqual(cluster.terminate(1), 0)
            before = {path: path.read_bytes() for path in cluster.data(1).rglob("*") if path.is_file()}
            document = self.restore(cluster, cluster.data(1), cluster.folder / "backup")
            survivor = cluster.folder / "old-restored" / "1"
            self.assertEqual(document["source"], str(survivor), "it is newer than the backup")
            self.assertEqual([each["epoch"] for each in document["sources"]], [1, 1])
            self.assertIn("what was acknowledged after the last checkpoint of", document["missing"])
            after = {path: path.read_bytes() for path in survivor.rglob("*") if path.is_file()}
            self.assertEqual(
                {path.relative_to(cluster.data(1)): data for path, data in before.items()},
                {path.relative_to(survivor): data for path, data in after.items()},
            )
            cluster.start().ready()
            self.assertEqual({each["digest"] for each in cluster.equal_digests()}, {digest})
            self.assertEqual(cluster.client(2).get("key 399"), b"399")

    def test_a_member_of_the_old_cluster_is_refused(self) -> None:
        """Though the new one has the same name."""
        with Cluster(3).start().ready() as cluster:
            cluster.client(0).set("a", "1")
            self.backup(cluster, cluster.folder / "backup")
            cluster.kill(*MEMBERS)
            self.restore(cluster, cluster.folder / "backup", name="example")
            shutil.rmtree(cluster.data(2))
            (cluster.folder / "old-example" / "2").rename(cluster.data(2))
            cluster.start(0, 1).ready(0, 1, up=(0, 1))
            cluster.start(2)
            self.assertEqual(cluster.ended(2), 3)
            self.assertEqual(cluster.client(0).get("a"), b"1")


class PageTests(SynchronousTestCase):
    """Every command of the page, as it stands there."""

    timeout = 180

    def setUp(self) -> None:
        if shutil.which("bash") is None:
            raise SkipTest("bash is not installed")

    def programs(self, cluster: Cluster) -> Path:
        """A folder with `twistd` and `epaxosctl` of this environment."""
        folder = cluster.folder / "bin"
        folder.mkdir()
        run_twistd = f"{TWISTD[0]} {TWISTD[1]} '{TWISTD[2]}'"
        for name, command in (("twistd", run_twistd), ("epaxosctl", f"{sys.executable} -m epaxos.ctl")):
            script = command
            if name == "twistd":
                script += ' --pidfile "$3.pid" --logfile "$3.log"'  # behind `epaxos --id`
            (folder / name).write_text(f'#!/bin/sh\nexec {script} "$@"\n')
            (folder / name).chmod(0o755)
        return folder

    def end_daemons(self, cluster: Cluster) -> None:
        for path in cluster.folder.glob("*.pid"):
            pid = int(path.read_text())
            os.kill(pid, signal.SIGTERM)
            wait_until(f"daemon {pid} has ended", lambda path=path: not path.exists())

    def test_page(self) -> None:
        with Cluster(3).start().ready() as cluster:
            for number in range(20):
                cluster.client(number % 3).set(f"key {number}", number)
            shell = Shell(cluster.folder)
            self.addCleanup(shell.close)
            shell.run(f'PATH="{self.programs(cluster)}:$PATH"')
            try:
                for command, expected in steps(PAGE.read_text(encoding="utf-8")):
                    if command.startswith("epaxosctl restore"):
                        cluster.kill(*MEMBERS)
                        for id in MEMBERS:
                            shutil.rmtree(cluster.data(id))
                    command = with_ports(command, cluster)
                    said = shell.run(command)
                    self.assertTrue(matches(expected, said), f"{command}\nexpected {expected}\nsaid {said}")
                self.assertEqual(cluster.client(1).get("key 7"), b"7")
            finally:
                self.end_daemons(cluster)


class CopiesTests(SynchronousTestCase):
    """docs: operating/backup, "Copies of all folders"."""

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
