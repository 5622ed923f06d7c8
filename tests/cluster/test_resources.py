"""The resources that clients can make a replica take, in real processes under real limits."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack
from typing import Any
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from tests.cluster.harness import Cluster, wait_until
from tests.cluster.probe import Probe

VALUE = bytes(range(256)) * 19_532  # 5 MB
LONG = b"$%d\r\n%b\r\n" % (len(VALUE), VALUE)
MEMORY = "[storage]\nengine = memory\n"
ADDRESS_SPACE = 1_500_000_000
"""Bytes of address space.  An idle replica takes about 0.6 GB, because memory that is only reserved
counts."""


def dial(cluster: Cluster, id: int = 0, receive_bytes: int | None = None) -> socket.socket:
    client = socket.socket()
    if receive_bytes is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    client.settimeout(60)
    client.connect(("127.0.0.1", cluster.redis_ports[id]))
    return client


def take(client: socket.socket, *expected: bytes) -> bool:
    """Read replies, and return whether they are exactly these, in this order."""
    buffer = bytearray(1 << 20)
    for reply in expected:
        view = memoryview(reply)
        while view:
            count = client.recv_into(buffer, min(len(view), len(buffer)))
            if not count or buffer[:count] != view[:count]:
                return False
            view = view[count:]
    return True


def resident(cluster: Cluster, id: int = 0) -> int:
    """The megabytes that the replica has in memory."""
    with open(f"/proc/{cluster.processes[id].pid}/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() // 1_000_000


class MemoryTests(SynchronousTestCase):
    def limited(self, limits: str = "") -> Cluster:
        """Three replicas with little address space.  The long timeout is for busy computers, because 5 MB
        go through three processes."""
        cluster = Cluster(3, f"{MEMORY}[limits]\nrequest_timeout_s = 60\n{limits}")
        return cluster.start(prlimit=[f"--as={ADDRESS_SPACE}"]).ready()

    def test_a_few_kilobytes_that_ask_for_gigabytes(self) -> None:
        """Replies of 1.5 to 2 GB arrive completely, the replica takes little memory, and no other client
        waits."""
        with self.limited() as cluster:
            cluster.client(0).set("big", VALUE)
            before = resident(cluster)
            for ask, expected in (
                (b"GET big\r\n" * 300, [LONG] * 300),
                (b"MGET" + b" big" * 400 + b"\r\n", [b"*400\r\n", *[LONG] * 400]),
                (b"HELLO 3\r\nMGET" + b" big no" * 200 + b"\r\n", None),
            ):
                with dial(cluster) as client, Probe(cluster.client(0)) as probe:
                    client.sendall(ask)
                    if expected is None:
                        said = b""  # the reply to HELLO, and then the head of the array
                        while not said.endswith(b"*400\r\n"):
                            said += client.recv(1)
                        expected = [LONG, b"_\r\n"] * 200
                    self.assertTrue(take(client, *expected))
                self.assertLess(probe.longest_s, 0.5)
                self.assertLess(resident(cluster) - before, 60)
            self.assertTrue(cluster.client(0).ping())

    def test_clients_that_hang_up_on_their_replies(self) -> None:
        """Without a bound each of these clients kept 950 MB."""
        with self.limited() as cluster:
            cluster.client(0).set("big", VALUE)
            before = resident(cluster)
            for _ in range(20):
                with dial(cluster, receive_bytes=10_000) as client:
                    client.sendall(b"GET big\r\n" * 200)
                    client.recv(100_000)
            wait_until("they are gone", lambda: cluster.client(0).info()["connected_clients"] < 5)
            self.assertLess(resident(cluster) - before, 60)

    def test_many_that_take_nothing(self) -> None:
        """Values that are replaced stay in unread replies; beyond the bound a client is cut off."""
        with self.limited("clients_bytes_max = 100_000_000\n") as cluster, ExitStack() as stack:
            writer = cluster.client(0)
            modest = stack.enter_context(dial(cluster, receive_bytes=10_000))
            writer.set("kept", VALUE)
            modest.sendall(b"GET kept\r\n")
            with Probe(cluster.client(0)) as probe:
                for number in range(20):  # 400 MB in all
                    for key in range(4):
                        writer.set(f"big{key}", b"%03d" % number + VALUE)
                    client = stack.enter_context(dial(cluster, receive_bytes=10_000))
                    client.sendall(b"MGET big0 big1 big2 big3\r\n")
                    client.recv(10)
            self.assertLess(probe.longest_s, 2.0)
            self.assertTrue(take(modest, LONG))
            self.assertGreater(cluster.client(0).info()["connected_clients"], 5)
            self.assertIn("and all clients together more than clients_bytes_max", cluster.log(0))
            self.assertLess(resident(cluster), 700)
            self.assertTrue(writer.set("still", "here"))

    def test_many_small_replies_that_nobody_takes(self) -> None:
        """2 000 clients ask for 3 MB each, 6 GB in all, in small values, and read nothing."""
        with self.limited() as cluster, ExitStack() as stack, OpenFiles(2_200):
            cluster.client(0).mset({f"key {number}": b"v" * 30_000 for number in range(10)})
            before = resident(cluster)
            ask = b"*101\r\n$4\r\nMGET\r\n" + b"".join(b"$5\r\nkey %d\r\n" % (n % 10) for n in range(100))
            with Probe(cluster.client(0)) as probe:
                for _ in range(2_000):
                    client = stack.enter_context(dial(cluster, receive_bytes=4_096))
                    client.sendall(ask)
            self.assertLess(probe.longest_s, 2.0)
            self.assertGreaterEqual(cluster.client(0).info()["connected_clients"], 2_001)
            self.assertLess(resident(cluster) - before, 400)


class OpenFiles:
    """Lets this process have `count` files open; skips the test where that is not allowed."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._before = resource.getrlimit(resource.RLIMIT_NOFILE)

    def __enter__(self) -> None:
        soft, hard = self._before
        if soft < self._count:
            if hard != resource.RLIM_INFINITY and hard < self._count:
                raise SkipTest(f"this process may not have {self._count} files open")
            resource.setrlimit(resource.RLIMIT_NOFILE, (self._count, hard))

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, self._before)


class DescriptorTests(SynchronousTestCase):
    def test_more_clients_than_descriptors(self) -> None:
        """The replicas go on, open files and start again; excess clients get an error."""
        fit = 1024 - 224 - 24
        with Cluster() as cluster, ExitStack() as stack, OpenFiles(4_000):
            cluster.start(prlimit=["--nofile=1024:1024"]).ready()
            for id in range(3):
                clients = [stack.enter_context(dial(cluster, id)) for _ in range(1_150)]
                for client in clients:
                    client.sendall(b"PING\r\n")
                refused = sum(self.is_refused(client) for client in clients)
                self.assertTrue(1_150 - fit <= refused < 1_150 - fit + 60, f"{refused} were refused")
                self.assertIn(f"only {fit} clients fit into the 1024 files", cluster.log(id))
                self.assertTrue(1 <= cluster.log(id).count("a client is refused: ") <= 3)
            admitted = clients[0]
            admitted.sendall(b"CONFIG GET maxclients\r\n")
            self.assertTrue(take(admitted, b"*2\r\n$10\r\nmaxclients\r\n$3\r\n%d\r\n" % fit))
            value = bytes(1_000_000)
            for number in range(60):  # large enough that LevelDB and the state need several files
                admitted.sendall(b"*3\r\n$3\r\nSET\r\n$3\r\nk%02d\r\n$1000000\r\n%b\r\n" % (number, value))
                self.assertTrue(take(admitted, b"+OK\r\n"))
            for id in range(3):
                self.assertTrue(all(member["up"] for member in cluster.status(id)["members"]))
                self.assertNotIn("EMFILE", cluster.log(id))
            cluster.equal_digests()
            cluster.kill(0)
            cluster.start(0, prlimit=["--nofile=1024:1024"]).ready()
            self.assertEqual(cluster.client(0).strlen("k59"), 1_000_000)
            cluster.equal_digests()

    def is_refused(self, client: socket.socket) -> bool:
        try:
            said = client.recv(100)
        except ConnectionResetError:  # its bytes arrived after the refusal
            return True
        self.assertIn(said, (b"+PONG\r\n", b"-ERR max number of clients reached\r\n"))
        return said != b"+PONG\r\n"

    def test_the_soft_limit_is_raised(self) -> None:
        with Cluster(1) as cluster, ExitStack() as stack, OpenFiles(1_500):
            cluster.start(prlimit=["--nofile=64:1400"]).ready()
            clients = [stack.enter_context(dial(cluster)) for _ in range(1_000)]
            for client in clients:
                client.sendall(b"PING\r\n")
            self.assertEqual(sum(self.is_refused(client) for client in clients), 0)

    def test_a_limit_that_is_too_low(self) -> None:
        with Cluster(1) as cluster:
            cluster.start(prlimit=["--nofile=200:200"])
            self.assertEqual(cluster.ended(0), 1)
            self.assertIn(
                "epaxos: only 200 files may be open (RLIMIT_NOFILE), and a replica needs 249", cluster.log(0)
            )

    def test_strangers_at_the_other_ports(self) -> None:
        """Connections to the other ports cannot take the remaining descriptors either."""
        with Cluster(1) as cluster, ExitStack() as stack, OpenFiles(2_000):
            cluster.start(prlimit=["--nofile=300:300"]).ready()
            for port in (cluster.status_ports[0], cluster.redis_ports[0] - 100, cluster.redis_ports[0]):
                for _ in range(300):
                    stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            time.sleep(1)
            self.assertLess(len(os.listdir(f"/proc/{cluster.processes[0].pid}/fd")), 280)
            self.assertIsNone(cluster.processes[0].poll())


class HalfCloseTests(SynchronousTestCase):
    def test_nc(self) -> None:
        nc = shutil.which("nc")
        if nc is None:
            raise SkipTest("nc is not installed")
        with Cluster(3, MEMORY).start().ready() as cluster:
            cluster.client(0).set("a", "1")
            for id in range(3):
                for ask, expected in (
                    (b"GET a\r\n", b"$1\r\n1\r\n"),
                    (b"SET b 2\r\nGET b\r\nPING\r\n", b"+OK\r\n$1\r\n2\r\n+PONG\r\n"),
                    (b"GET a\r\n" * 5_000, b"$1\r\n1\r\n" * 5_000),
                ):
                    port = str(cluster.redis_ports[id])
                    done = subprocess.run(
                        [nc, "-N", "127.0.0.1", port], input=ask, capture_output=True, timeout=20
                    )
                    self.assertEqual(done.stdout, expected)
            wait_until("they are gone", lambda: self.clients(cluster) == 1)

    def clients(self, cluster: Cluster) -> Any:
        client = cluster.client(0)
        try:
            return client.info()["connected_clients"]
        finally:
            client.close()

    def test_without_a_quorum(self) -> None:
        """The client is told what became of its command."""
        with Cluster(3, MEMORY + "[limits]\nrequest_timeout_s = 1\n").start().ready() as cluster:
            cluster.kill(1, 2)
            with dial(cluster) as client:
                client.sendall(b"SET a 1\r\n")
                client.shutdown(socket.SHUT_WR)
                self.assertIn(b"-CLUSTERDOWN no quorum", client.recv(1_000))
                self.assertEqual(client.recv(1_000), b"")


class IdleTests(SynchronousTestCase):
    def test_timeout(self) -> None:
        settings = "[limits]\nclient_timeout_s = 1\nclient_keepalive_s = 7\n"
        with Cluster(1, MEMORY + settings).start().ready() as cluster, dial(cluster) as idle:
            client = cluster.client(0)
            self.assertEqual(client.config_get("t[ci]*[te]"), {"timeout": "1", "tcp-keepalive": "7"})
            began = time.monotonic()
            while time.monotonic() < began + 3:
                self.assertTrue(client.ping())
                time.sleep(0.05)
            idle.settimeout(5)
            self.assertEqual(idle.recv(1), b"")
