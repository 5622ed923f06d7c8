"""Protected mode, a password and EPAXOS, at real replicas and with redis-cli."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from base64 import b64encode
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.cluster.harness import Cluster, wait_until

PASSWORD = "open sesame"
READY = "is ready for clients"


def own_address() -> str:
    """An IPv4 address of this host that is not loopback's.  Raises SkipTest where there is none."""
    if shutil.which("ip") is None:
        raise SkipTest("ip is not installed, so no address of this host is known")
    said = subprocess.run(["ip", "-o", "-4", "address"], capture_output=True, text=True, check=True).stdout
    found = [host for host in re.findall(r" inet ([0-9.]+)", said) if not host.startswith("127.")]
    if not found:
        raise SkipTest("this host has no address but loopback's")
    return found[0]


class SecurityTests(SynchronousTestCase):
    timeout = 120

    def setUp(self) -> None:
        self.program = shutil.which("redis-cli") or ""
        if not self.program:
            raise SkipTest("redis-cli is not installed")

    def cli(self, cluster: Cluster, *arguments: str, host: str = "127.0.0.1", id: int = 0) -> str:
        """What redis-cli prints."""
        command = [self.program, "-h", host, "-p", str(cluster.redis_ports[id]), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        return (done.stdout + done.stderr).strip()

    def status(self, cluster: Cluster, password: str = "", host: str = "127.0.0.1") -> tuple[int, str]:
        request = Request(f"http://{host}:{cluster.status_ports[0]}/status")
        if password:
            request.add_header("Authorization", f"Basic {b64encode(f'me:{password}'.encode()).decode()}")
        try:
            with urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def started(self, cluster: Cluster) -> Cluster:
        cluster.start()
        for id in range(cluster.n):
            wait_until(f"replica {id} is ready", lambda id=id: READY in cluster.log(id))
        return cluster

    def test_a_password(self) -> None:
        with Cluster(3, f"[security]\nrequirepass = {PASSWORD}\n") as cluster:
            self.started(cluster)
            given = ("--no-auth-warning", "-a", PASSWORD)
            for command in (("set", "a", "1"), ("ping",), ("epaxos", "status"), ("config", "get", "*")):
                self.assertEqual(self.cli(cluster, *command), "NOAUTH Authentication required.")
            self.assertIn("WRONGPASS", self.cli(cluster, "auth", "open"))
            wait_until("a quorum", lambda: self.cli(cluster, *given, "set", "a", "1") == "OK")
            self.assertEqual(self.cli(cluster, *given, "-3", "get", "a", id=1), "1")
            shown = self.cli(cluster, *given, "config", "get", "*")
            self.assertIn("protected-mode", shown)
            members = wait_until("all are connected", lambda: self.members(cluster, *given))
            self.assertEqual(members[::7], ["0", "1", "2"])
            told: Any = json.loads(self.cli(cluster, *given, "epaxos", "status"))
            self.assertEqual((told["id"], told["cluster"]), (0, "example"))
            self.assertEqual(self.status(cluster)[0], 401)
            self.assertEqual(self.status(cluster, "wrong")[0], 401)
            code, text = self.status(cluster, PASSWORD)
            self.assertEqual((code, json.loads(text).keys()), (200, told.keys()))
            logs = "".join(map(cluster.log, range(3)))
            self.assertIn("a wrong password", logs)
            self.assertNotIn(PASSWORD, logs + shown + text)
            for id in range(3):
                self.assertEqual(cluster.terminate(id), 0)

    def members(self, cluster: Cluster, *options: str) -> list[str] | None:
        lines = self.cli(cluster, *options, "epaxos", "members").splitlines()
        return lines if lines.count("connected") == 2 and lines.count("here") == 1 else None

    def test_protected_mode(self) -> None:
        host = own_address()
        for security, is_refused in (("", True), ("[security]\nprotected_mode = no\n", False)):
            with Cluster(1) as cluster:
                text = re.sub(
                    r"((?:client|status) = tcp:\d+):interface=\S+", r"\1", cluster.config.read_text()
                )
                cluster.config.write_text(text + security)
                self.started(cluster)
                self.assertEqual(self.cli(cluster, "set", "a", "1"), "OK")
                self.assertEqual(self.status(cluster)[0], 200)
                said, (code, page) = self.cli(cluster, "get", "a", host=host), self.status(cluster, host=host)
                if is_refused:
                    self.assertTrue(said.startswith("DENIED ") or "onnection" in said, said)
                    self.assertEqual((code, page.count("\n")), (403, 1))
                    self.assertIn("refused by protected mode", cluster.log(0))
                else:
                    self.assertEqual((said, code), ("1", 200))
                    self.assertIn("NOPERM", self.cli(cluster, "epaxos", "members", host=host))
                self.assertIn("here", self.cli(cluster, "epaxos", "members"))
                self.assertIn("[security]", cluster.log(0))
