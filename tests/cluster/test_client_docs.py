"""The client in docs: using/clients, against real replicas that fail."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import redis
from twisted.trial.unittest import SynchronousTestCase

from tests.cluster.harness import Cluster

PAGE = Path(__file__).parents[2] / "docs" / "using" / "clients.md"


class ClientTests(SynchronousTestCase):
    timeout = 90

    def setUp(self) -> None:
        sources = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
        (source,) = (each for each in sources if "def " in each)  # the others are of libraries for clusters
        self.names: dict[str, Any] = {}
        exec(source, self.names)

    def test_it_goes_on_when_its_replica_dies(self) -> None:
        with Cluster(3, "\n[limits]\nrequest_timeout_s = 1\n").start() as cluster:
            cluster.ready()
            client = self.names["Client"](*(("localhost", port) for port in cluster.redis_ports))
            self.assertEqual(client.ask("SET", "a", "1"), True)
            self.assertRaises(redis.ResponseError, client.ask, "INCRBY", "a", "x")

            cluster.kill(0)
            self.assertRaises(self.names["Unknown"], client.ask, "INCR", "a")
            self.assertEqual(client.ask("SET", "a", "2", repeatable=True), True)
            self.assertEqual(client.ask("INCR", "a"), 3)

            cluster.kill(2)  # no quorum is left
            self.assertRaises(self.names["Unknown"], client.ask, "INCR", "a")
