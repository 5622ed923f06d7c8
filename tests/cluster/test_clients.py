"""Three replicas as clients see them, each a process of its own, on LevelDB."""

from __future__ import annotations

import functools
import operator
import os
import pty
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import SkipTest

import redis

from tests.cluster.case import ClusterTestCase
from tests.cluster.harness import Cluster, wait_until

CLIENTS = 30
INCREMENTS = 20


class ClientTests(ClusterTestCase):
    def test_every_write_is_seen_by_all(self) -> None:
        with self.cluster().start().ready() as cluster:
            clients = [cluster.client(id) for id in range(3)]
            for number in range(30):
                clients[number % 3].set(f"key {number}", b"\0\r\n" * number)
                for client in clients:
                    self.assertEqual(client.get(f"key {number}"), b"\0\r\n" * number)
            self.assertTrue(clients[1].mset({"a": 1, "b": 2}))
            self.assertEqual(clients[2].mget("a", "b", "c"), [b"1", b"2", None])
            self.assertEqual(clients[0].delete("a", "c"), 1)
            with self.assertRaises(redis.exceptions.ResponseError) as refusal:
                clients[0].execute_command("NONSENSE", "x")
            self.assertIn("unknown command", str(refusal.exception))
            self.increment(cluster)
            self.check_status(cluster)

    def increment(self, cluster: Cluster) -> None:
        """Many clients increment one key: each gets numbers that no other gets, and no number is missing."""

        def count(number: int) -> list[int]:
            client = cluster.client(number % 3)
            return [client.incr("sum") for _ in range(INCREMENTS)]

        with ThreadPoolExecutor(CLIENTS) as pool:
            answers = list(pool.map(count, range(CLIENTS)))
        for client in answers:
            self.assertEqual(client, sorted(client))
        self.assertEqual(
            sorted(functools.reduce(operator.iadd, answers, [])), list(range(1, CLIENTS * INCREMENTS + 1))
        )
        for id in range(3):
            self.assertEqual(int(cluster.client(id).get("sum")), CLIENTS * INCREMENTS)

    def check_status(self, cluster: Cluster) -> None:
        statuses = cluster.equal_digests()
        for id, status in enumerate(statuses):
            self.assertEqual(status["id"], id)
            self.assertEqual(status["cluster"], "example")
            self.assertEqual(status["members"], [{"id": member, "up": True} for member in range(3)])
            self.assertEqual(status["committed"], status["executed"])
            self.assertEqual(status["next_slot"], status["executed"][id] + 1)
            self.assertRegex(status["digest"], r"^[0-9a-f]{32}$")
            counters = status["counters"]
            self.assertGreaterEqual(counters["commands_executed"], CLIENTS * INCREMENTS)
            for name in ("fast_path", "store_syncs", "bytes_sent", "bytes_received", "store_bytes"):
                self.assertGreater(counters[name], 0, name)
            for name in ("slow_path", "recovered", "store_queue", "send_queue_bytes"):
                self.assertGreaterEqual(counters[name], 0, name)

    def test_five_replicas_of_which_two_are_gone(self) -> None:
        with self.cluster(5).start().ready() as cluster:
            for id in range(5):
                cluster.client(id).incr("count")
            cluster.kill(1, 3)
            for id in (0, 2, 4):
                cluster.client(id).incr("count")
                self.assertEqual(int(cluster.client(id).get("count")), 6 + (0, 2, 4).index(id))
            cluster.start(1, 3).ready()
            cluster.equal_digests()
            self.assertEqual(int(cluster.client(3).get("count")), 8)

    def test_a_minority_says_so(self) -> None:
        """Without a quorum a client gets an error in time, which says whether its command may still run."""
        with self.cluster(settings="[limits]\nrequest_timeout_s = 0.5\n").start().ready() as cluster:
            cluster.kill(1, 2)
            client = cluster.client(0)
            for command in (("SET", "a", "1"), ("GET", "a")):
                with self.assertRaises(redis.exceptions.RedisError) as refusal:
                    client.execute_command(*command)
                self.assertIn(
                    "CLUSTERDOWN", f"{type(refusal.exception).__name__} {refusal.exception}".upper()
                )
                self.assertIn("may still run", str(refusal.exception))
            self.assertTrue(client.ping())
            cluster.start(1, 2).ready()
            # Half a second may be too short while instances of the other two are recovered.
            wait_until("a write is answered again", lambda: self.answer_of(cluster, 0, "SET", "b", "2"))
            wait_until("all know it", lambda: self.answer_of(cluster, 1, "GET", "b") == b"2")
            cluster.equal_digests()

    def test_what_clients_look_at(self) -> None:
        """As redis-py sends it, in both protocols, with and without a transaction."""
        with self.cluster().start().ready() as cluster:
            for protocol in (2, 3):
                client = redis.Redis(port=cluster.redis_ports[0], protocol=protocol, client_name="me")
                pipeline = client.pipeline(transaction=False)
                self.assertEqual(pipeline.set("a", 1).incr("a").execute(), [True, 2])
                info = client.info()
                self.assertEqual(info["db0"], {"keys": 1, "expires": 0, "avg_ttl": 0})
                self.assertEqual((info["arch_bits"], info["tcp_port"]), (64, cluster.redis_ports[0]))
                self.assertEqual(info["process_id"], cluster.processes[0].pid)
                self.assertGreater(info["used_memory"], 10_000_000)
                self.assertGreater(info["used_cpu_user"], 0)
                self.assertEqual(client.info("cluster"), {"cluster_enabled": 0})
                (own,) = [line for line in client.client_list() if line["id"] == str(client.client_id())]
                self.assertEqual(
                    (own["name"], own["lib-name"], own["cmd"]), ("me", "redis-py", "client|list")
                )
                self.assertEqual(
                    client.config_get("MaxClients", "appendonly"),
                    {"MaxClients": "10000", "appendonly": "yes"},
                )
                pipeline = client.pipeline(transaction=True)
                self.assertEqual(pipeline.set("a", 1).incr("a").execute(), [True, 2])
                self.assertEqual(client.mget("zz", "a"), [None, b"2"])
                client.close()

    def answer_of(self, cluster: Cluster, id: int, *command: str) -> Any:
        """The answer, or None when it is CLUSTERDOWN."""
        try:
            return cluster.client(id).execute_command(*command)
        except redis.exceptions.RedisError as error:
            if "CLUSTERDOWN" not in f"{type(error).__name__} {error}".upper():
                raise
            return None


class ClientsOverUdpTests(ClientTests):
    transport = "udp"

    def test_values_up_to_the_limit(self) -> None:
        """A value that fits into a datagram is written; a longer one is refused with a clear error, and
        nothing else is."""
        with self.cluster().start().ready() as cluster:
            clients = [cluster.client(id) for id in range(3)]
            dropped = [status["counters"]["messages_dropped"] for status in cluster.equal_digests()]
            value = bytes(range(256)) * 230  # 58 880 bytes
            self.assertTrue(clients[0].set("large", value))
            self.assertEqual(clients[1].get("large"), value)
            with clients[2].pipeline(transaction=False) as pipeline:
                pipeline.set("a", "1").set("larger", bytes(100_000)).incr("a")
                replies = pipeline.execute(raise_on_error=False)
            self.assertEqual((replies[0], replies[2]), (True, 2))
            self.assertIsInstance(replies[1], redis.exceptions.ResponseError)
            self.assertIn("command is too large", str(replies[1]))
            self.assertFalse(clients[0].exists("larger"))
            with clients[1].pipeline(transaction=False) as pipeline:
                for number in range(500):  # 2 MB at once
                    pipeline.set(f"key {number}", b"%03d" % number + bytes(4_000))
                self.assertTrue(all(pipeline.execute()))
            stored = clients[0].mget(*(f"key {number}" for number in range(500)))
            self.assertEqual([value[:3] for value in stored], [b"%03d" % number for number in range(500)])
            # Messages are dropped until the replicas have greeted each other, and none after that.
            after = [status["counters"]["messages_dropped"] for status in cluster.equal_digests()]
            self.assertEqual(after, dropped)

    def test_in_single_packets(self) -> None:
        with self.cluster(settings="[limits]\ndatagram_bytes_max = 1400\n").start().ready() as cluster:
            self.increment(cluster)
            client = cluster.client(0)
            client.set("k", bytes(1000))
            with client.pipeline(transaction=False) as pipeline:
                for number in range(1000):
                    pipeline.set(f"key {number}", number)
                self.assertTrue(all(pipeline.execute()))
            cluster.kill(1)
            client.set("k", bytes(1001))
            cluster.start(1).ready()
            cluster.equal_digests()
            self.assertEqual(cluster.client(1).strlen("k"), 1001)
            with self.assertRaises(redis.exceptions.ResponseError):
                client.set("k", bytes(1400))


class RedisToolsTests(ClusterTestCase):
    """The programs of the redis distribution, where they are installed."""

    def tool(self, name: str) -> str:
        path = shutil.which(name)
        if path is None:
            raise SkipTest(f"{name} is not installed")
        return path

    def run_tool(self, *command: object) -> str:
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, f"{command}: {done.stdout}{done.stderr}")
        return done.stdout

    def test_redis_cli(self) -> None:
        cli = self.tool("redis-cli")
        with self.cluster().start().ready() as cluster:

            def ask(id: int, *words: str) -> str:
                return self.run_tool(cli, "-p", cluster.redis_ports[id], *words).strip()

            self.assertEqual(ask(0, "set", "greeting", "hello"), "OK")
            self.assertEqual(ask(1, "get", "greeting"), "hello")
            self.assertEqual(ask(2, "incr", "visits"), "1")
            self.assertEqual(ask(0, "incrby", "visits", "41"), "42")
            self.assertIn("unknown command", ask(1, "nonsense", "list", "x"))
            self.assertEqual(ask(1, "-3", "mget", "visits", "greeting"), "42\nhello")

    def test_redis_cli_stat(self) -> None:
        """Every column of `redis-cli --stat` has a value."""
        cli = self.tool("redis-cli")
        with self.cluster().start().ready() as cluster:
            cluster.client(0).mset({"a": 1, "b": 2})
            master, slave = pty.openpty()
            command = [cli, "-p", str(cluster.redis_ports[0]), "-i", "0.1", "--stat"]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave)
            os.close(slave)
            try:
                output = b""
                while output.count(b"\n") < 5:
                    output += os.read(master, 4096)
            finally:
                process.kill()
                process.wait()
                os.close(master)
            keys, memory, clients, blocked, requests, *_ = output.decode().splitlines()[3].split()
            self.assertEqual((keys, blocked), ("2", "0"))
            self.assertGreaterEqual(int(clients), 1)
            self.assertRegex(memory, r"^[0-9.]+M$")
            self.assertGreater(int(requests), 1)

    def test_curl(self) -> None:
        """A web page that makes a browser send commands runs none of them."""
        curl = self.tool("curl")
        with self.cluster().start().ready() as cluster:
            url = f"http://127.0.0.1:{cluster.redis_ports[0]}/"
            body = ["--data-binary", "SET hacked 1\r\n"]
            for options in (
                ["-X", "POST", *body],
                ["-X", "PUT", *body],
                ["-X", "Post", "-H", "Host:", *body],
                [],
            ):
                command = [curl, "-sS", "--max-time", "20", *options, url]
                done = subprocess.run(command, capture_output=True, timeout=60)
                self.assertIn(
                    done.returncode, (52, 56), f"{options}: {done}"
                )  # nothing came, or it was reset
            self.assertIsNone(cluster.client(1).get("hacked"))
            lines = [line for line in cluster.log(0).splitlines() if "Possible SECURITY ATTACK" in line]
            self.assertEqual(len(lines), 1, "it is said once a minute")

    def test_redis_benchmark(self) -> None:
        benchmark = self.tool("redis-benchmark")
        with self.cluster().start().ready() as cluster:
            with ThreadPoolExecutor(3) as pool:
                outputs = list(pool.map(lambda port: self.benchmark(benchmark, port), cluster.redis_ports))
            for output in outputs:
                self.assertIn("requests per second", output)
            statuses = cluster.equal_digests()
            for status in statuses:  # each replica runs all writes, and the reads of its own clients
                self.assertGreaterEqual(status["counters"]["commands_executed"], 3 * 5000)
                self.assertGreaterEqual(status["counters"]["commands_read"], 5000)

    def benchmark(self, program: str, port: int) -> str:
        options = "-t set,get -n 5000 -c 10 -P 16 -r 1000 -d 16 -q"
        return self.run_tool(program, "-p", port, *options.split())


class RedisToolsOverUdpTests(RedisToolsTests):
    transport = "udp"
