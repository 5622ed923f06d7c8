"""A cluster that `epaxosctl new` has made, started as it says."""

from __future__ import annotations

import json
import shlex
import subprocess
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from epaxos.config.file import load
from epaxos.tools.demo import free_base_port
from tests.cluster.harness import TWISTD, wait_until
from tests.ctl.fake import run_process

REPLICAS = 3


class NewTests(SynchronousTestCase):
    timeout = 180

    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory(prefix="epaxos-test-")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name) / "shop"

    def twistd(self, line: str) -> list[str]:
        """The command of the line, with the interpreter of this process."""
        program, *words = shlex.split(line)
        self.assertEqual(program, "twistd")
        return [*TWISTD, *words]

    def start(self, line: str, number: int) -> None:
        with (self.folder / f"{number}.log").open("wb") as log:
            process = subprocess.Popen(self.twistd(line), stdout=log, stderr=log, cwd=self.folder)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)

    def test_password_and_certificates(self) -> None:
        port = free_base_port(REPLICAS)
        done = run_process("new", self.folder, "--yes", "--port", port, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        commands = json.loads(done.stdout)["commands"]
        for line in commands["check"]:
            checked = subprocess.run(
                self.twistd(line), capture_output=True, text=True, timeout=60, check=False
            )
            self.assertEqual(checked.returncode, 0, checked.stderr)
        for number, line in enumerate(commands["start"]):
            self.start(line, number)
        password = load(self.folder / "cluster.ini").security.requirepass
        at = [f"--at=127.0.0.1:{port + 100 + number}" for number in range(REPLICAS)]
        ready = run_process(at[2], f"--password={password}", "wait-ready", "--timeout", "45")
        self.assertEqual(ready.returncode, 0, ready.stderr)

        from redis import AuthenticationError, Redis

        with Redis(port=port + 100, password=password, socket_timeout=20) as client:
            self.assertTrue(client.set("greeting", "hello"))
        with Redis(port=port + 101, password=password, socket_timeout=20) as client:
            self.assertEqual(client.get("greeting"), b"hello")
        with Redis(port=port + 101, socket_timeout=20) as client:
            self.assertRaises(AuthenticationError, client.get, "greeting")
        for number in range(REPLICAS):
            log = self.folder / f"{number}.log"
            wait_until("it proves who it is", lambda log=log: "have to prove who they are" in log.read_text())
