"""SLOWLOG, LATENCY, EPAXOS TRACE and CONFIG SET and REWRITE at three real replicas, with redis-py."""

from __future__ import annotations

import json
import signal

import redis

from epaxos.config.file import load
from tests.cluster.case import ClusterTestCase

LONG = "local n = 0 for i = 1, 300000 do n = n + i end return 7"


class InstrumentTests(ClusterTestCase):
    def test_what_is_slow_and_what_is_set(self) -> None:
        with self.cluster().start().ready() as cluster:
            client = cluster.client(0)
            client.client_setname("me")
            client.config_set("slowlog-log-slower-than", 1000)
            client.config_set("latency-monitor-threshold", 1)
            self.assertEqual(client.eval(LONG, 0), 7)
            slow = [each for each in client.slowlog_get() if each["command"].startswith(b"EVAL ")]
            self.assertEqual(len(slow), 1)
            self.assertGreaterEqual(slow[0]["duration"], 1000)
            self.assertEqual(slow[0]["client_name"], b"me")
            self.assertIn(b"command", [event for event, *_ in client.latency_latest()])
            self.assertGreaterEqual(client.latency_history("command")[-1][1], 1)

            reply, told = client.execute_command("EPAXOS", "TRACE", "SET", "k", "v")
            self.assertEqual(reply, b"OK")
            steps = json.loads(told)
            self.assertIn(steps["path"], ("fast", "slow"))
            self.assertLessEqual({each["member"] for each in steps["answers"]}, {1, 2})
            self.assertTrue(steps["answers"] and steps["syncs"])
            parts = sum(steps[f"{step}_s"] for step in ("waiting", "quorum", "turn", "run"))
            self.assertLessEqual(parts, steps["total_s"] + 0.001)
            reply, told = client.execute_command("EPAXOS", "TRACE", "GET", "k")
            self.assertEqual((reply, json.loads(told)["path"]), (b"v", "read"))
            with self.assertRaises(redis.ResponseError):
                client.execute_command("EPAXOS", "TRACE", "NOPE")

            client.execute_command("CONFIG", "SET", "maxclients", "321", "limits.request_timeout_s", "0.5")
            client.config_set("maxclients", 300)
            with self.assertRaises(redis.ResponseError):
                client.execute_command("CONFIG", "SET", "maxclients", "200", "storage.sync", "no")
            client.config_rewrite()
            limits = load(cluster.config_of(0)).limits
            self.assertEqual((limits.clients_max, limits.request_timeout_s), (300, 0.5))
            cluster.signal(signal.SIGSTOP, 1, 2)
            try:
                with self.assertRaisesRegex(redis.exceptions.ClusterDownError, r"within 0\.5 s"):
                    client.set("k", "w")
            finally:
                cluster.signal(signal.SIGCONT, 1, 2)
