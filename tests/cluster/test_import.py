"""`epaxosctl import` into three real replicas, one of which is killed meanwhile."""

from __future__ import annotations

from pathlib import Path
from unittest import SkipTest

import redis

from tests.applications.servers import OneRedis
from tests.cluster.case import ClusterTestCase
from tests.ctl.fake import run


class ImportTests(ClusterTestCase):
    def test_everything(self) -> None:
        journal = Path(self.mktemp())
        with OneRedis() as source, self.cluster().start().ready() as cluster:
            served = cluster.client(0).execute_command("COMMAND INFO", "RESTORE")
            if served == [None]:
                raise SkipTest("RESTORE is not served")
            client = redis.Redis(port=source.ports[0])
            client.mset({f"s{number}": "x" * (number % 200) for number in range(3000)})
            client.set(b"\0\xff", b"\r\n")
            client.set("lives", 1, ex=1000)
            for number in range(100):
                client.hset(f"h{number}", mapping={f"f{field}": field for field in range(number + 1)})
                client.rpush(f"l{number}", *("x" * place for place in range(5 * number + 1)))
            cluster.kill(1)
            done = run(
                *("--at", f"127.0.0.1:{cluster.redis_ports[0]}", "import"),
                *("--from", f"redis://127.0.0.1:{source.ports[0]}", "--journal", journal),
            )
            self.assertEqual(done.exit_code, 0, done.output)
            ours = cluster.client(2)
            self.assertEqual(ours.dbsize(), client.dbsize())
            keys = list(client.scan_iter(match="s*"))
            self.assertEqual(ours.mget(keys), client.mget(keys))
            for number in range(100):
                self.assertEqual(ours.hgetall(f"h{number}"), client.hgetall(f"h{number}"))
                self.assertEqual(ours.lrange(f"l{number}", 0, -1), client.lrange(f"l{number}", 0, -1))
            self.assertTrue(900 < ours.ttl("lives") <= 1000)
            client.close()
            cluster.start(1).ready()
            cluster.equal_digests()
