"""What three real replicas measure, as Prometheus reads it, and their probes."""

from __future__ import annotations

import shutil
import subprocess
from urllib.error import HTTPError
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from tests.cluster.case import ClusterTestCase
from tests.cluster.harness import Cluster, wait_until
from tests.generated.metrics import DEFINITIONS

OF_UDP = {"epaxos_datagrams"}


class MonitoringTests(ClusterTestCase):
    def get(self, cluster: Cluster, id: int, path: str) -> tuple[int, str]:
        try:
            with urlopen(f"http://127.0.0.1:{cluster.status_ports[id]}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()

    def test_metrics_and_probes(self) -> None:
        with self.cluster().start().ready() as cluster:
            client = cluster.client(0)
            for number in range(100):
                client.set(f"k{number}", "v")
                client.hset("h", f"f{number}", "v")
                client.get("k0")
            client.set("e", "v", ex=1000)
            _, text = self.get(cluster, 0, "/metrics")
            families = {family.name: family.samples for family in text_string_to_metric_families(text)}
            self.assertEqual({each.name for each in DEFINITIONS} - set(families), set())
            samples = {
                (sample.name, *sample.labels.values()): sample.value
                for name in families
                for sample in families[name]
            }
            self.assertEqual(samples["epaxos_command_calls_total", "set"], 101)
            self.assertEqual(samples["epaxos_command_seconds_count", "hash"], 100)
            self.assertEqual(samples["epaxos_command_seconds_count", "string"], 201)
            self.assertGreaterEqual(samples["epaxos_step_seconds_count", "quorum"], 301)
            self.assertGreaterEqual(samples["epaxos_step_seconds_count", "waiting"], 301)
            self.assertGreaterEqual(samples["epaxos_step_seconds_count", "execution"], 201)
            self.assertGreater(samples["epaxos_step_seconds_count", "disk"], 100)
            self.assertGreater(samples["epaxos_step_seconds_sum", "quorum"], 0)
            self.assertEqual(samples["epaxos_keys", "0"], 102)
            self.assertEqual([samples["epaxos_member_up", str(id)] for id in range(3)], [1, 1, 1])
            self.assertLess(samples["epaxos_loop_late_seconds_sum",], 60)
            empty = {name for name, its in families.items() if name.startswith("epaxos_") and not its}
            self.assertEqual(empty, {*OF_UDP, "epaxos_behind_taken_bytes", "epaxos_behind_bytes"})
            if shutil.which("promtool") is not None:
                done = subprocess.run(
                    ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
                )
                self.assertNotIn("epaxos", done.stderr, "what promtool complains of")
            self.assertEqual(self.get(cluster, 1, "/readyz"), (200, "ok\n"))
            cluster.kill(0, 2)
            wait_until("it is not ready", lambda: self.get(cluster, 1, "/readyz")[0] == 503)
            self.assertIn("only 1 of 3 members are up", self.get(cluster, 1, "/readyz")[1])
            self.assertEqual(self.get(cluster, 1, "/healthz"), (200, "ok\n"))
