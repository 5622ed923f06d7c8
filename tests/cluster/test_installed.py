"""A replica of the installed wheel, started and looked after by the commands of the Containerfile, with no
source on its path."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

from twisted.trial.unittest import SynchronousTestCase

import epaxos
from tests import test_packaging
from tests.cluster.harness import Cluster, wait_until
from tests.test_packaging import ROOT, TWISTD, instructions, output_of


class Installed(Cluster):
    """A cluster whose replicas run `command`, which ends with the number of the replica."""

    words: list[str]

    def command(self, id: int) -> list[str]:
        """See Cluster."""
        return [*self.words, str(id)]


class InstalledTests(SynchronousTestCase):
    timeout = 120

    def test_used(self) -> None:
        folder = Path(self.mktemp()).resolve()
        builder = test_packaging.WheelTests()
        wheel = builder.build(folder)
        python = builder.environment(folder / "environment")
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python)
        output_of(*pip, "install", "-q", "--no-deps", "--no-index", wheel)
        version = output_of(python.with_name("epaxosctl"), "--version")
        self.assertIn(epaxos.__version__, version)
        with Installed(1) as cluster:
            cluster.words = self.words(python, cluster.config)
            self.check(cluster, python)

    def words(self, python: Path, config: Path) -> list[str]:
        """What the image runs, without the number of the replica at its end."""
        entry = json.loads(instructions("ENTRYPOINT")[0])
        command = json.loads(instructions("CMD")[-1])
        self.assertEqual((entry[0], command), ("twistd", ["--id", "0"]))
        entry[entry.index("/etc/epaxos/cluster.ini")] = str(config)
        return ["env", "-u", "PYTHONPATH", str(python), "-c", TWISTD, *entry[1:], *command[:-1]]

    def check(self, cluster: Cluster, python: Path) -> None:
        self.assertNotEqual(self.healthy(cluster, python), 0, "it does not run yet")
        cluster.start()
        wait_until("it is healthy", lambda: self.healthy(cluster, python) == 0, 60)
        cluster.ready()
        client = cluster.client(0)
        self.assertTrue(client.ping())
        self.assertTrue(client.set("a", "1"))
        self.assertEqual(client.eval("return redis.call('GET', KEYS[1])", 1, "a"), b"1")
        at = f"http://127.0.0.1:{cluster.status_ports[0]}"
        with urlopen(Request(f"{at}/", headers={"Accept": "text/html"}), timeout=10) as answer:
            names = re.findall(r'(?:src|href)="([\w./-]+)"', answer.read().decode())
        self.assertIn("uPlot.js", names)
        for name in names:
            with urlopen(f"{at}/{name}", timeout=10) as answer:
                self.assertEqual(answer.status, 200, name)
        where = output_of(python, "-c", "import epaxos; print(epaxos.__file__)").strip()
        self.assertNotIn(str(ROOT / "epaxos"), where)
        self.assertFalse((cluster.folder / "twistd.pid").exists())
        self.assertEqual(cluster.terminate(0), 0)

    def healthy(self, cluster: Cluster, python: Path) -> int:
        """The exit status of the health check."""
        (command,) = re.findall(r"CMD (\[.*\])", instructions("HEALTHCHECK")[0])
        words = json.loads(command)
        self.assertEqual(words[0], "python")
        environment = {**os.environ, "STATUS_PORT": str(cluster.status_ports[0])}
        done = subprocess.run([python, *words[1:]], env=environment, stderr=subprocess.DEVNULL, timeout=30)
        return done.returncode
