"""Clients that keep copies of values (CLIENT TRACKING) at three replicas."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import redis
from redis.cache import CacheConfig

from tests.cluster.case import ClusterTestCase
from tests.cluster.harness import Cluster, wait_until
from tests.resp.lab import encode

KEYS = [f"key {number}" for number in range(6)]
KILLED = 2
STALE_S = 5.0
"""Far more than a message takes, because tests share the machine."""
FORGET_ALL = b">2\r\n$10\r\ninvalidate\r\n_\r\n"


class _Copies:
    """A client of redis-py that keeps copies, and what it has seen."""

    def __init__(self, cluster: Cluster, id: int) -> None:
        port = cluster.client(id).get_connection_kwargs()["port"]
        self.client = redis.Redis(port=port, protocol=3, cache_config=CacheConfig(), socket_timeout=20)
        self.seen = dict.fromkeys(KEYS, 0)
        self.reads = 0

    def read(self, key: str) -> int:
        self.reads += 1
        return int(self.client.get(key) or 0)


class TrackingTests(ClusterTestCase):
    def test_no_copy_outlives_its_invalidation(self) -> None:
        """One replica is killed and comes back, and its clients with it."""
        with self.cluster().start().ready() as cluster:
            acknowledged: dict[str, tuple[int, float]] = {key: (0, time.monotonic()) for key in KEYS}
            readers = [_Copies(cluster, id) for id in (0, 1, 2, 0)]
            wrong: list[object] = []
            over = False

            def write(number: int) -> None:
                """The only writer of its key, at a replica that stays."""
                key, client = KEYS[number], cluster.client(number % 2)
                value = 0
                while not over:
                    value += 1
                    client.set(key, value)
                    acknowledged[key] = (value, time.monotonic())
                    time.sleep(0.002 * number * number)

            def read(copies: _Copies) -> None:
                while not over:
                    time.sleep(0.001)
                    for key in KEYS:
                        (value, at), began = acknowledged[key], time.monotonic()
                        try:
                            found = copies.read(key)
                        except redis.exceptions.RedisError:
                            if copies is not readers[KILLED]:
                                raise
                            time.sleep(0.05)
                            continue
                        if found < copies.seen[key]:
                            wrong.append(("back", key, found, copies.seen[key]))
                        if found < value and began - at > STALE_S:
                            wrong.append(("stale", key, found, value))
                        copies.seen[key] = found

            with ThreadPoolExecutor(len(KEYS) + len(readers)) as pool:
                tasks = [pool.submit(write, number) for number in range(len(KEYS))]
                tasks += [pool.submit(read, copies) for copies in readers]
                try:
                    for step in (self._nothing, cluster.kill, cluster.start):
                        if step is not self._nothing:
                            step(KILLED)
                        time.sleep(2)
                    cluster.ready()
                    wait_until("a reader that is back", lambda: readers[KILLED].seen[KEYS[0]] > 1)
                    time.sleep(1)
                finally:
                    over = True
                for task in tasks:
                    task.result()
            self.assertEqual(wrong, [])
            final = {key: value for key, (value, _) in acknowledged.items()}
            for copies in readers:
                wait_until(
                    "the last values", lambda copies=copies: {key: copies.read(key) for key in KEYS} == final
                )
            for key in KEYS:
                for copies in readers:
                    self.assertGreater(copies.seen[key], 0)
            asked = sum(self._gets(cluster, id) for id in (0, 1))
            reads = sum(copies.reads for copies in readers if copies is not readers[KILLED])
            self.assertLess(asked, reads, "copies are used")

    @staticmethod
    def _nothing(id: int) -> None:
        """Nothing is wrong yet."""

    @staticmethod
    def _gets(cluster: Cluster, id: int) -> int:
        return int(cluster.client(id).info("commandstats")["cmdstat_get"]["calls"])

    def test_when_all_copies_are_forgotten(self) -> None:
        with self.cluster().start().ready() as cluster, closing(self._connect(cluster, 0)) as reader:
            client = cluster.client(1)
            client.set("a", "1", px=2000)
            cluster.client(0).get("a")  # else the write may be told, too
            self._read(reader, b"$1\r\n1\r\n", "GET a")
            self._expect(reader, b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n")  # its time is over
            self._read(reader, b"_\r\n", "GET b")  # not the same: another replica may remove that once more
            client.flushall()
            self._expect(reader, FORGET_ALL)
            self._read(reader, b"_\r\n", "GET a")
            cluster.kill(1, 2)
            self._expect(reader, FORGET_ALL)
            cluster.start(1, 2).ready()
            self._read(reader, b"_\r\n", "GET a")
            cluster.terminate(0)
            self._expect(reader, FORGET_ALL)
            self.assertEqual(reader.recv(100), b"")

    def _connect(self, cluster: Cluster, id: int) -> socket.socket:
        port = cluster.client(id).get_connection_kwargs()["port"]
        link = socket.create_connection(("127.0.0.1", port), 20)
        link.sendall(encode("HELLO 3", "CLIENT TRACKING ON"))
        data = b""
        while not data.endswith(b"+OK\r\n"):
            data += link.recv(10_000)
        return link

    def _read(self, link: socket.socket, answer: bytes, command: str) -> None:
        link.sendall(encode(command))
        self._expect(link, answer)

    def _expect(self, link: socket.socket, expected: bytes) -> None:
        data = b""
        while len(data) < len(expected):
            piece = link.recv(len(expected) - len(data))
            self.assertTrue(piece, data)
            data += piece
        self.assertEqual(data, expected)
