"""The same commands to a real Redis and to a real cluster: the answers are equal, except where they are meant
to differ.

Broken input, and many more commands, are in tests/resp/test_differential.py.
"""

from __future__ import annotations

import os
import re
import socket
from random import Random

from tests.cluster.case import ClusterTestCase
from tests.resp.differential import difference, encode, session
from tests.resp.reference import RealRedis

COMMANDS = int(os.environ.get("DIFFERENTIAL_CLUSTER_COMMANDS", "1500"))
SEED = int(os.environ.get("DIFFERENTIAL_SEED", "1"))
LAST = b"the last of them"
REPLY_TO_LAST = b"$%d\r\n%b\r\n" % (len(LAST), LAST)


def answers(link: socket.socket, data: bytes) -> bytes:
    """The answers to `data`, without the number of the connection.  Every command in it is answered."""
    link.sendall(data + encode([b"ECHO", LAST]))
    received = b""
    while not received.endswith(REPLY_TO_LAST):
        piece = link.recv(1 << 16)
        if not piece:
            raise AssertionError(f"closed after {received!r}")
        received += piece
    return re.sub(rb"(?<=\$2\r\nid\r\n):[0-9]+", b":1", received)


class DifferentialTests(ClusterTestCase):
    """Tries DIFFERENTIAL_CLUSTER_COMMANDS commands, from the seed DIFFERENTIAL_SEED on."""

    def test_random_sessions(self) -> None:
        settings = ["--appendonly", "yes", "--appendfsync", "always", "--proto-max-bulk-len", "16000000"]
        with RealRedis(*settings) as redis, self.cluster().start().ready() as cluster:
            seed, tried = SEED, 0
            while tried < COMMANDS:
                sent, count = session(Random(seed), odd=False)
                address = ("127.0.0.1", cluster.redis_ports[seed % cluster.n])
                with socket.create_connection(address, 20) as ours, redis.dial() as real:
                    for data in map(b"".join, sent):
                        wrong = difference(answers(ours, data), answers(real, data))
                        self.assertIsNone(wrong, f"seed {seed}: {wrong}\n to {data!r} of {sent}")
                seed, tried = seed + 1, tried + count
            cluster.equal_digests()
