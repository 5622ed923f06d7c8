"""`epaxosctl` with real replicas: what an operator sees of a cluster, also while a member is dead."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.cluster.harness import Cluster, wait_until
from tests.ctl.fake import run_process
from tests.generated.status import FIELDS, names_in


def at(cluster: Cluster, id: int) -> tuple[str, str]:
    """The option that names the replica."""
    return "--at", f"127.0.0.1:{cluster.redis_ports[id]}"


class CtlTests(SynchronousTestCase):
    timeout = 180

    def wait_ready(self, cluster: Cluster, id: int, *options: str) -> None:
        done = run_process(*at(cluster, id), "wait-ready", *options)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def statuses(self, cluster: Cluster, id: int, code: int = 0) -> tuple[list[dict[str, Any]], str]:
        """All members as the replica `id` names them, and the line on stderr."""
        done = run_process(*at(cluster, id), "status", "--json")
        self.assertEqual(done.returncode, code, done.stderr)
        document = json.loads(done.stdout)
        self.assertEqual(document["cluster"], "example")
        return document["members"], done.stderr

    def test_from_the_start_to_a_death_and_back(self) -> None:
        with Cluster(3) as cluster:
            cluster.start()
            for id in range(3):
                self.wait_ready(cluster, id)
            for number in range(50):
                cluster.client(0).set(f"key {number}", "value")
            cluster.ready().equal_digests()
            members, _ = self.statuses(cluster, 1)
            self.assertEqual([member["state"] for member in members], ["connected", "here", "connected"])
            for id, member in enumerate(members):
                self.assertEqual((member["id"], member["reached"], member["lag"]), (id, True, 0))
                self.assertEqual(names_in(member["status"]), set(FIELDS))
                self.assertGreater(member["memory_bytes"], 10_000_000)

            cluster.kill(2)
            cluster.sees_down(0, 2)
            members, line = self.statuses(cluster, 0, code=1)
            self.assertEqual([member["reached"] for member in members], [True, True, False])
            self.assertIn("1 of 3 members did not answer: replica 2: 127.0.0.1:", line)
            plain = run_process(*at(cluster, 0), "status")
            self.assertEqual(plain.returncode, 1)
            self.assertEqual([row.split()[1] for row in plain.stdout.splitlines()[1:]], ["yes", "yes", "no"])

            self.check_folders(cluster)

            cluster.start(2)
            self.wait_ready(cluster, 2)
            wait_until("no member is behind", lambda: not any(m["lag"] for m in self.statuses(cluster, 2)[0]))

    def check_folders(self, cluster: Cluster) -> None:
        """That of the dead replica is read, that of one that runs is not."""
        done = run_process("inspect", cluster.data(2), "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        found = json.loads(done.stdout)
        self.assertEqual((found["replica"], found["members"], found["state_machine"]), (2, [0, 1, 2], "kv"))
        self.assertGreaterEqual(found["written"], found["synced"])
        self.assertGreater(found["synced"], 1)
        done = run_process("inspect", cluster.data(1))
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(done.stderr, f"epaxosctl: {cluster.data(1)} is in use by another process\n")

    def test_without_a_quorum(self) -> None:
        with Cluster(3, "[limits]\nrequest_timeout_s = 0.5\n") as cluster:
            cluster.start().ready()
            cluster.kill(1, 2)
            done = run_process(*at(cluster, 0), "wait-ready", "--timeout", "4")
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertRegex(
                done.stderr, "does not serve after 4 s: no majority of the members is up: it sees 1 of 3$"
            )
            cluster.start(1)
            self.wait_ready(cluster, 0)

    def test_a_state_machine_without_get(self) -> None:
        with Cluster(3) as cluster:
            text = cluster.config.read_text()
            cluster.config.write_text(text.replace("[cluster]\n", "[cluster]\nstate_machine = printer\n"))
            cluster.start(0)
            done = run_process(*at(cluster, 0), "wait-ready", "--timeout", "4")
            self.assertRegex(done.stderr, "does not serve after 4 s: it starts or stops")
            cluster.start(1, 2)
            self.wait_ready(cluster, 0)

    def test_a_password(self) -> None:
        """Asked with it, without it, and with another one."""
        with Cluster(1, "[security]\nrequirepass = secret\n") as cluster:
            cluster.start()
            self.wait_ready(cluster, 0, "--password", "secret")
            for options, why in (((), "NOAUTH"), (("--password", "wrong"), "WRONGPASS")):
                done = run_process(*at(cluster, 0), *options, "status")
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                self.assertIn(f"it refused: {why} ", done.stderr)
            done = run_process(*at(cluster, 0), "--password", "secret", "status")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertNotIn("secret", done.stdout)

    def test_over_unix_sockets_and_every_interface(self) -> None:
        for client in (f"unix:{Path(self.mktemp()).absolute().parent / 's'}", "tcp:PORT:interface=0.0.0.0"):
            with Cluster(1) as cluster:
                port = cluster.redis_ports[0]
                text = cluster.config.read_text().replace(
                    f"client = tcp:{port}:interface=127.0.0.1",
                    f"client = {client.replace('PORT', str(port))}",
                )
                cluster.config.write_text(text)
                cluster.start()
                where = client.removeprefix("unix:") if client.startswith("unix:") else f"127.0.0.1:{port}"
                done = run_process("--at", where, "wait-ready")
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                done = run_process("--at", where, "status", "--json")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(json.loads(done.stdout)["members"][0]["asked"], where)
