"""One client, one command outstanding: how long it waits, beside a bare Twisted TCP echo.

`python -m tests.bench.latency PORT` is that echo.
"""

from __future__ import annotations

import socket
import sys
import time
from random import Random
from statistics import median, quantiles
from typing import Any

from twisted.internet.protocol import Factory, Protocol

from tests.bench.load import KEYS, VALUE_BYTES, command
from tests.bench.processes import MEMORY, cluster, free_ports, python, started, wait_for_port
from tests.bench.results import Result, Table
from tests.bench.session import Session

__all__ = ["latencies", "one_client"]

GOAL = 4.0


def latencies(port: int, reply_bytes: int, count: int) -> list[float]:
    """The round trips, in microseconds, of SETs of random keys, one after the other."""
    random = Random(port)
    value = b"v" * VALUE_BYTES
    asked = [command(b"SET", b"key:%012d" % random.randrange(KEYS), value) for _ in range(count)]
    found = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for request in asked:
            expected = reply_bytes or len(request)
            begin = time.perf_counter()
            connection.sendall(request)
            received = len(connection.recv(4096))
            while received < expected:
                received += len(connection.recv(4096))
            found.append((time.perf_counter() - begin) * 1e6)
    return found


def one_client(session: Session, available: dict[str, str]) -> Result:
    """The median against the echo's."""
    result = Result("One client, one command outstanding")
    count = 1000 if session.quick else 4000
    all_of: dict[str, list[float]] = {"epaxos": [], "LevelDB": [], "echo": []}

    def measure(name: str, port: int, reply_bytes: int) -> float:
        found = latencies(port, reply_bytes, count)
        all_of[name] += found
        return median(found)

    (echo_port,) = free_ports(1)
    log = session.folder / "echo.log"
    with (
        cluster(3, MEMORY) as memory,
        cluster(3) as leveldb,
        started(python("latency", echo_port), log) as echo,
    ):
        wait_for_port(echo_port, echo)
        ok = len(b"+OK\r\n")
        runs = {
            "epaxos": lambda: measure("epaxos", memory.redis_ports[0], ok),
            "echo": lambda: measure("echo", echo_port, 0),
            "LevelDB": lambda: measure("LevelDB", leveldb.redis_ports[0], ok),
        }
        figures = session.alternate("latency", runs)
    work = "one client, one SET outstanding, in memory: median"
    row = session.row(
        work, "a Twisted TCP echo", "us", figures["epaxos"], figures["echo"], GOAL, at_most=True
    )
    result.rows.append(row)
    result.tables.append(
        Table(
            "Round trips of one client, microseconds",
            ["", "median", "p99"],
            [
                [
                    name,
                    f"{median(all_of[key][count:]):,.0f}",
                    f"{quantiles(all_of[key][count:], n=100)[98]:,.0f}",
                ]
                for key, name in (
                    ("echo", "Twisted TCP echo"),
                    ("epaxos", "three replicas, memory"),
                    ("LevelDB", "three replicas, LevelDB, sync"),
                )
            ],
        )
    )
    result.settings.append(f"{count} commands a run, the same blocking client on all sides.")
    return result


class _Echo(Protocol):
    transport: Any

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)


def _echo(port: int) -> None:
    from twisted.internet import reactor

    loop: Any = reactor
    loop.listenTCP(port, Factory.forProtocol(_Echo), interface="127.0.0.1")
    loop.run()


if __name__ == "__main__":
    _echo(int(sys.argv[1]))
